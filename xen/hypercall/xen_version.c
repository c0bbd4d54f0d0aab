/* xen_version: who we are and what we offer (public/version.h, features.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/abi.h"
#include "boot/boot.h"
#include "lib/string.h"
#include <xen/features.h>
#include <xen/version.h>

#define VERSION_MAJOR 4
#define VERSION_MINOR 17
#define DENIED        "<denied>"

/* Of the image's .note.gnu.build-id; absent if the linker made none. */
extern const uint8_t build_id_start[] __attribute__((weak));
extern const uint8_t build_id_end[] __attribute__((weak));

static long put_string(const struct hcall *c, const char *text, size_t size)
{
    char buf[1024] = {0};

    strlcpy(buf, text, min(size, sizeof(buf)));
    return copy_to_guest(c->arg[1], buf, min(size, sizeof(buf)));
}

static long put_compile_info(const struct hcall *c)
{
    struct xen_compile_info info = {0};

    strlcpy(info.compiler, "gcc " __VERSION__, sizeof(info.compiler));
    strlcpy(info.compile_by, "corbel", sizeof(info.compile_by));
    strlcpy(info.compile_domain, "", sizeof(info.compile_domain));
    strlcpy(info.compile_date, "reproducible build", sizeof(info.compile_date));
    return copy_to_guest(c->arg[1], &info, sizeof(info));
}

static long put_features(const struct hcall *c)
{
    struct xen_feature_info info;

    if (copy_from_guest(&info, c->arg[1], sizeof(info)))
        return -EFAULT;
    if (info.submap_idx >= XENFEAT_NR_SUBMAPS)
        return -EINVAL;
    info.submap = BIT(XENFEAT_writable_page_tables) |
                  BIT(XENFEAT_auto_translated_physmap) |
                  BIT(XENFEAT_hvm_callback_vector) | BIT(XENFEAT_hvm_safe_pvclock) |
                  BIT(XENFEAT_memory_op_vnode_supported);
    info.submap |= BIT(c->v->domain->is_dom0_identity ? XENFEAT_direct_mapped
                                                      : XENFEAT_not_direct_mapped);
    if (c->v->domain->is_privileged)
        info.submap |= BIT(XENFEAT_dom0);
    return copy_to_guest(c->arg[1], &info, sizeof(info));
}

/* A note is name size, descriptor size, type, name, descriptor (ELF, note section). */
static long put_build_id(const struct hcall *c)
{
    struct xen_build_id arg;
    uint32_t name_bytes, bytes;
    const uint8_t *id;

    if ((uintptr_t)build_id_end - (uintptr_t)build_id_start < 16)
        return -ENODATA;
    memcpy(&name_bytes, build_id_start, 4);
    memcpy(&bytes, build_id_start + 4, 4);
    id = build_id_start + 12 + ALIGN_UP(name_bytes, 4u);
    if (!c->arg[1])
        return bytes;
    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.len == 0)
        return -EINVAL;
    if (arg.len < bytes)
        return -ENOBUFS;
    if (copy_to_guest(c->arg[1] + offsetof(struct xen_build_id, buf), id, bytes))
        return -EFAULT;
    return bytes;
}

long do_xen_version(struct hcall *c)
{
    /* Where PV guests would see the hypervisor, and where the stock one lives. */
    static const uint64_t virt_start = 0xffff800000000000;
    static const uint32_t compat_virt_start;
    struct domain *d = c->v->domain;

    switch ((uint32_t)c->arg[0]) {
    case XENVER_version:
        return VERSION_MAJOR << 16 | VERSION_MINOR;
    case XENVER_extraversion:
        return put_string(c, ".0-corbel", sizeof(xen_extraversion_t));
    case XENVER_compile_info:
        return put_compile_info(c);
    case XENVER_capabilities:
        return put_string(c,
                          "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 ",
                          sizeof(xen_capabilities_info_t));
    case XENVER_changeset:
        return put_string(c, "unavailable", sizeof(xen_changeset_info_t));
    case XENVER_platform_parameters:
        return c->compat ? copy_to_guest(c->arg[1], &compat_virt_start, 4)
                         : copy_to_guest(c->arg[1], &virt_start, 8);
    case XENVER_get_features:
        return put_features(c);
    case XENVER_pagesize:
        return c->arg[1] ? -EINVAL : (long)PAGE_SIZE;
    case XENVER_guest_handle:
        return copy_to_guest(c->arg[1], d->handle, sizeof(d->handle));
    case XENVER_commandline:
        return put_string(c, d->is_privileged ? boot_info.cmdline : DENIED,
                          sizeof(xen_commandline_t));
    case XENVER_build_id:
        return put_build_id(c);
    }
    return -ENOSYS;
}
