/* Guest memory from the hypervisor: by physical address, and hypercall buffers by
 * virtual. SPDX-License-Identifier: GPL-2.0-or-later */
#include "hvm/hvm.h"
#include "cpu/percpu.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/string.h"

static int access_phys(struct domain *d, uint64_t gpa, void *buf, size_t bytes,
                       bool write)
{
    while (bytes) {
        size_t offset = gpa & ~PAGE_MASK, n = min(bytes, PAGE_SIZE - offset);
        enum p2m_type type;
        mfn_t mfn = p2m_get_frame(d, gpa_to_gfn(gpa), write, &type);
        char *p;

        if (!mfn_valid_number(mfn)) {
            if (write && type == P2M_RAM_RO)
                goto next; /* writes to ROM have no effect */
            return -EFAULT;
        }
        p = (char *)mfn_to_virt(mfn) + offset;
        if (!write) {
            memcpy(buf, p, n);
        } else {
            if (type == P2M_RAM_LOGDIRTY)
                p2m_mark_dirty(d, gpa_to_gfn(gpa));
            memcpy(p, buf, n);
        }
        frame_put(mfn);
next:
        gpa += n;
        buf = (char *)buf + n;
        bytes -= n;
    }
    return 0;
}

int guest_read_phys(struct domain *d, uint64_t gpa, void *buf, size_t bytes)
{
    return access_phys(d, gpa, buf, bytes, false);
}

int guest_write_phys(struct domain *d, uint64_t gpa, const void *buf, size_t bytes)
{
    return access_phys(d, gpa, (void *)buf, bytes, true);
}

/* Hypercall buffers are read and written as the kernel would, but SMAP does not count:
 * the pointer comes from the kernel, through whichever mapping. */
static int access_virt(uint64_t gva, void *buf, size_t bytes, bool write)
{
    struct vcpu *v = current;
    uint64_t flags = v->hvm->regs.rflags;
    int rc = 0;

    v->hvm->regs.rflags |= RFLAGS_AC;
    while (bytes && !rc) {
        size_t n = min(bytes, PAGE_SIZE - (gva & ~PAGE_MASK));
        uint32_t pfec = write ? PFEC_WRITE : 0;
        uint64_t gpa;

        rc = guest_walk(v, gva, &pfec, &gpa);
        if (!rc)
            rc = access_phys(v->domain, gpa, buf, n, write);
        gva += n;
        buf = (char *)buf + n;
        bytes -= n;
    }
    v->hvm->regs.rflags = flags;
    return rc ? -EFAULT : 0;
}

int copy_from_guest(void *dst, uint64_t gva, size_t bytes)
{
    return access_virt(gva, dst, bytes, false);
}

int copy_to_guest(uint64_t gva, const void *src, size_t bytes)
{
    return access_virt(gva, (void *)src, bytes, true);
}

int clear_guest(uint64_t gva, size_t bytes)
{
    static const uint8_t zeros[256];
    int rc = 0;

    while (bytes && !rc) {
        size_t n = min(bytes, sizeof(zeros));

        rc = copy_to_guest(gva, zeros, n);
        gva += n;
        bytes -= n;
    }
    return rc;
}
