/*
 * Making and removing an HVM domain: the calls in the order in which the hypervisor wants
 * them, with libxenctrl only.  Interfaces: public/domctl.h, memory.h, hvm/params.h.
 *
 * Works on Corbel and on stock Xen 4.17.  What only one of them has is asked for first
 * and done without when it is refused; each such place says so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../firmware/layout.h"
#include "domain.h"
#include "firmware.h"
#include <xen/hvm/e820.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

#define PAGE_BYTES  4096u
#define PAGE_SHIFT  12
#define BATCH       1024         /* extents in one call */
#define SLACK_BYTES (2ull << 20) /* shared pages and rounding */

/* As xl does: a page-table pool of 1 MiB per vCPU and 8 bytes per page of RAM and then
 * some. */
#define POOL_PER_VCPU (1ull << 20)
#define POOL_PER_MIB  (8ull << 10)

#define MAX_EVTCHN_PORT    1023
#define MAX_GRANT_FRAMES   64
#define MAX_MAPTRACK       1024
#define GRANT_VERSION      2
#define TSC_MODE_DEFAULT   0
#define TSC_MODE_NATIVE    2 /* XEN_CPUID_TSC_MODE_NEVER_EMULATE in arch-x86/cpuid.h */
#define PSE_DIRECTORY_BITS 0xe7u /* present, writable, user, accessed, dirty, 4 MiB */

#define E820_RAM      1
#define E820_RESERVED 2

int hypervisor_open(struct hypervisor *h, struct failure *f)
{
    memset(h, 0, sizeof(*h));
    /* The library's own messages repeat ours, with less for users and more for
     * developers. */
    xentoollog_level level = getenv("CORBEL_DEBUG") ? XTL_DETAIL : XTL_CRITICAL;
    h->log = (xentoollog_logger *)xtl_createlogger_stdiostream(stderr, level, 0);
    h->xch = xc_interface_open(h->log, h->log, 0);
    if (!h->xch) {
        int err = errno;
        hypervisor_close(h);
        if (err == EACCES || err == EPERM)
            return fail_with(f, -EACCES,
                             "no permission to talk to the hypervisor; be root");
        return fail_with(
            f, -ENOENT,
            "cannot talk to the hypervisor (%s); is this Dom0, and is the module "
            "xen-privcmd loaded?",
            strerror(err));
    }
    h->fmem = xenforeignmemory_open(h->log, 0);
    if (!h->fmem) {
        int err = errno;
        hypervisor_close(h);
        return fail_with(f, -err, "cannot map guests' memory: %s", strerror(err));
    }
    return 0;
}

void hypervisor_close(struct hypervisor *h)
{
    if (h->fmem)
        xenforeignmemory_close(h->fmem);
    if (h->xch)
        xc_interface_close(h->xch);
    if (h->log)
        xtl_logger_destroy(h->log);
    memset(h, 0, sizeof(*h));
}

const char *shutdown_name(unsigned code)
{
    static const char *const names[] = {"poweroff", "reboot",   "suspend",
                                        "crash",    "watchdog", "soft-reset"};

    return code < sizeof(names) / sizeof(names[0]) ? names[code] : "unknown";
}

int domain_info(struct hypervisor *h, uint32_t domid, xc_domaininfo_t *info)
{
    int n = xc_domain_getinfolist(h->xch, domid, 1, info);

    if (n < 0)
        return -errno;
    return n == 1 && info->domain == domid ? 0 : -ESRCH;
}

bool domain_asleep(struct hypervisor *h, uint32_t domid)
{
    uint64_t state = 0;

    return domid && !xc_hvm_param_get(h->xch, domid, HVM_PARAM_ACPI_S_STATE, &state) &&
           state;
}

static uint64_t free_mib(struct hypervisor *h)
{
    xc_physinfo_t info = {0};

    if (xc_physinfo(h->xch, &info))
        return 0;
    return info.free_pages >> (20 - PAGE_SHIFT);
}

static int check_machine(struct hypervisor *h, struct failure *f)
{
    const uint32_t needed = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap;
    xc_physinfo_t info = {0};

    if (xc_physinfo(h->xch, &info))
        return fail_with(f, -errno, "cannot ask the hypervisor what it can do: %s",
                         strerror(errno));
    if ((info.capabilities & needed) != needed)
        return fail_with(
            f, -ENODEV,
            "the hypervisor cannot run HVM guests on this machine: virtualization or "
            "nested paging is missing, or off in its firmware");
    return 0;
}

int domain_create(struct hypervisor *h, const struct domain_spec *spec, uint32_t *domid,
                  struct failure *f)
{
    struct xen_domctl_createdomain config = {
        .flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
        .max_vcpus = spec->vcpus,
        .max_evtchn_port = MAX_EVTCHN_PORT,
        .max_grant_frames = MAX_GRANT_FRAMES,
        .max_maptrack_frames = MAX_MAPTRACK,
        .grant_opts = XEN_DOMCTL_GRANT_version(GRANT_VERSION),
        .arch.emulation_flags = XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI,
    };

    int err = check_machine(h, f);
    if (err)
        return err;
    memcpy(config.handle, spec->uuid, sizeof(config.handle));
    *domid = 0; /* any that is free */
    if (xc_domain_create(h->xch, domid, &config)) {
        err = errno;
        if (err == ENOMEM)
            return fail_with(f, -err, "the hypervisor has no memory for another domain");
        return fail_with(f, -err, "the hypervisor refused a domain with %u vCPUs: %s",
                         spec->vcpus, strerror(err));
    }
    return 0;
}

static int set_limits(struct hypervisor *h, const struct domain_spec *spec,
                      uint32_t domid, struct failure *f)
{
    uint64_t total = spec->ram_bytes + spec->extra_bytes + LAYOUT_ROM_MAX + SLACK_BYTES;
    uint64_t pool = spec->vcpus * POOL_PER_VCPU + (total >> 20) * POOL_PER_MIB;

    if (xc_domain_max_vcpus(h->xch, domid, spec->vcpus))
        return fail_with(f, -errno, "cannot give the domain %u vCPUs: %s", spec->vcpus,
                         strerror(errno));
    if (xc_domain_setmaxmem(h->xch, domid, total >> 10))
        return fail_with(f, -errno, "cannot limit the domain's memory: %s",
                         strerror(errno));
    /* Where page tables come from the common pool there is nothing to set. */
    if (xc_set_paging_mempool_size(h->xch, domid, pool) && errno != EOPNOTSUPP &&
        errno != ENOSYS)
        return fail_with(
            f, -errno,
            "cannot set aside %llu KiB for the guest's page tables: %s (%llu MiB "
            "are free)",
            (unsigned long long)(pool >> 10), strerror(errno),
            (unsigned long long)free_mib(h));
    return 0;
}

/* Populate extents of one size; returns how many there now are, or a negative errno. */
static int populate_batch(struct hypervisor *h, uint32_t domid, uint64_t first,
                          unsigned order, unsigned extents)
{
    xen_pfn_t frame[BATCH];

    for (unsigned i = 0; i < extents; i++)
        frame[i] = first + ((uint64_t)i << order);
    int done = xc_domain_populate_physmap(h->xch, domid, extents, order, 0, frame);
    return done < 0 ? -errno : done;
}

static int populate(struct hypervisor *h, uint32_t domid, uint64_t first, uint64_t end,
                    struct failure *f)
{
    unsigned limit = ~0u; /* largest order that the hypervisor still has */

    while (first < end) {
        unsigned order;
        uint64_t extents = ram_run(first, end, &order);
        if (order > limit) {
            extents <<= order - limit;
            order = limit;
        }
        if (extents > BATCH)
            extents = BATCH;
        int done = populate_batch(h, domid, first, order, (unsigned)extents);
        if (done < 0 && done != -ENOMEM)
            return fail_with(f, done, "the hypervisor refused memory at %#llx: %s",
                             (unsigned long long)first << PAGE_SHIFT, strerror(-done));
        if (done > 0) {
            first += (uint64_t)done << order;
            continue;
        }
        if (order == 0)
            return fail_with(
                f, -ENOMEM,
                "not enough memory: the hypervisor has %llu MiB left and the "
                "guest still lacks %llu MiB",
                (unsigned long long)free_mib(h),
                (unsigned long long)((end - first) >> (20 - PAGE_SHIFT)));
        limit = order > 9 ? 9 : 0; /* no run of that size is free any more */
    }
    return 0;
}

static int build_ram(struct hypervisor *h, const struct domain_spec *spec, uint32_t domid,
                     struct failure *f)
{
    struct ram_range range[RAM_RANGES];
    struct e820entry map[RAM_RANGES + 1];
    unsigned n = ram_layout(spec->ram_bytes, range);
    uint64_t need = (spec->ram_bytes >> 20) + 1, have = free_mib(h);

    if (have && have < need)
        return fail_with(
            f, -ENOMEM,
            "not enough memory: the guest asks for %llu MiB, the hypervisor has "
            "%llu MiB free",
            (unsigned long long)(need - 1), (unsigned long long)have);
    for (unsigned i = 0; i < n; i++) {
        int err = populate(h, domid, range[i].first, range[i].end, f);
        if (err)
            return err;
        map[i].addr = range[i].first << PAGE_SHIFT;
        map[i].size = (range[i].end - range[i].first) << PAGE_SHIFT;
        map[i].type = E820_RAM;
    }
    map[n].addr = LAYOUT_SPECIAL_BASE;
    map[n].size = LAYOUT_SPECIAL_PAGES * PAGE_BYTES;
    map[n].type = E820_RESERVED;
    if (xc_domain_set_memory_map(h->xch, domid, map, n + 1))
        return fail_with(f, -errno, "cannot set the guest's memory map: %s",
                         strerror(errno));
    return 0;
}

/* Copy into guest memory that the caller knows to be there. */
static int copy_to_guest(struct hypervisor *h, uint32_t domid, uint64_t gpa,
                         const void *data, size_t bytes, struct failure *f)
{
    size_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    xen_pfn_t *frame = calloc(pages, sizeof(*frame));

    if (!frame)
        return fail_with(f, -ENOMEM, "out of memory");
    for (size_t i = 0; i < pages; i++)
        frame[i] = (gpa >> PAGE_SHIFT) + i;
    void *at =
        xenforeignmemory_map(h->fmem, domid, PROT_READ | PROT_WRITE, pages, frame, NULL);
    free(frame);
    if (!at)
        return fail_with(f, -errno, "cannot map the guest's memory at %#llx: %s",
                         (unsigned long long)gpa, strerror(errno));
    memcpy(at, data, bytes);
    xenforeignmemory_unmap(h->fmem, at, pages);
    return 0;
}

static int build_firmware(struct hypervisor *h, const struct domain_spec *spec,
                          uint32_t domid, struct failure *f)
{
    struct firmware rom;
    int err = firmware_load(spec->firmware, &rom, f);

    if (err)
        return err;
    uint64_t base = LAYOUT_ROM_END - rom.bytes;
    uint64_t shadow = rom.bytes < LAYOUT_SHADOW_MAX ? rom.bytes : LAYOUT_SHADOW_MAX;
    err = populate(h, domid, base >> PAGE_SHIFT, LAYOUT_ROM_END >> PAGE_SHIFT, f);
    if (!err)
        err = copy_to_guest(h, domid, base, rom.data, rom.bytes, f);
    if (!err)
        err = copy_to_guest(h, domid, LAYOUT_SHADOW_END - shadow,
                            rom.data + rom.bytes - shadow, shadow, f);
    firmware_free(&rom);
    return err;
}

/*
 * A page directory that maps 4 GiB onto itself.  An Intel CPU without unrestricted guest
 * runs guests' real mode in virtual-8086 mode on it; Corbel and AMD never look at it.
 */
static int build_ident_pt(struct hypervisor *h, uint32_t domid, struct failure *f)
{
    uint32_t entry[PAGE_BYTES / sizeof(uint32_t)];

    for (uint32_t i = 0; i < PAGE_BYTES / sizeof(uint32_t); i++)
        entry[i] = i << 22 | PSE_DIRECTORY_BITS;
    int err = populate(h, domid, LAYOUT_IDENT_PT >> PAGE_SHIFT,
                       (LAYOUT_IDENT_PT >> PAGE_SHIFT) + 1, f);
    if (!err)
        err = copy_to_guest(h, domid, LAYOUT_IDENT_PT, entry, sizeof(entry), f);
    if (!err && xc_hvm_param_set(h->xch, domid, HVM_PARAM_IDENT_PT, LAYOUT_IDENT_PT))
        err = fail_with(f, -errno, "HVM_PARAM_IDENT_PT: %s", strerror(errno));
    return err;
}

static int set_board(struct hypervisor *h, const struct domain_spec *spec, uint32_t domid,
                     struct failure *f)
{
    uint64_t board = spec->xen_leaves ? LAYOUT_BOARD_NATIVE_XEN : LAYOUT_BOARD_NATIVE;

    if (!xc_hvm_param_set(h->xch, domid, HVM_PARAM_ACPI_IOPORTS_LOCATION, board))
        return 0;
    if (errno != EINVAL)
        return fail_with(f, -errno, "HVM_PARAM_ACPI_IOPORTS_LOCATION: %s",
                         strerror(errno));
    /* Stock Xen: the native board is Corbel's; the nearest is its newer port layout. */
    if (xc_hvm_param_set(h->xch, domid, HVM_PARAM_ACPI_IOPORTS_LOCATION,
                         LAYOUT_BOARD_XEN))
        return fail_with(f, -errno, "HVM_PARAM_ACPI_IOPORTS_LOCATION: %s",
                         strerror(errno));
    return build_ident_pt(h, domid, f);
}

static int set_params(struct hypervisor *h, const struct domain_spec *spec,
                      uint32_t domid, struct failure *f)
{
    const uint64_t viridian = HVMPV_base_freq | HVMPV_time_ref_count |
                              HVMPV_reference_tsc | HVMPV_apic_assist | HVMPV_crash_ctl |
                              HVMPV_hcall_remote_tlb_flush | HVMPV_hcall_ipi |
                              HVMPV_synic | HVMPV_stimer;
    const struct {
        const char *name;
        uint32_t param;
        uint64_t value;
        bool wanted;
    } params[] = {
        {"HVM_PARAM_HPET_ENABLED", HVM_PARAM_HPET_ENABLED, spec->hpet, true},
        {"HVM_PARAM_TIMER_MODE", HVM_PARAM_TIMER_MODE, HVMPTM_no_delay_for_missed_ticks,
         true},
        {"HVM_PARAM_VPT_ALIGN", HVM_PARAM_VPT_ALIGN, 1, true},
        {"HVM_PARAM_VIRIDIAN", HVM_PARAM_VIRIDIAN, viridian, spec->viridian},
    };

    for (unsigned i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        if (params[i].wanted &&
            xc_hvm_param_set(h->xch, domid, params[i].param, params[i].value))
            return fail_with(f, -errno, "%s: %s", params[i].name, strerror(errno));
    }
    return set_board(h, spec, domid, f);
}

static int set_share(struct hypervisor *h, const struct domain_spec *spec, uint32_t domid,
                     struct failure *f)
{
    struct xen_domctl_sched_credit2 share = {.weight = spec->weight, .cap = spec->cap};

    if (!spec->weight && !spec->cap)
        return 0;
    if (xc_sched_credit2_domain_set(h->xch, (int)domid, &share))
        return fail_with(f, -errno, "cannot set 'cpu_weight' and 'cap': %s",
                         strerror(errno));
    return 0;
}

static int set_affinity(struct hypervisor *h, const struct domain_spec *spec,
                        uint32_t domid, struct failure *f)
{
    if (spec->any_cpu)
        return 0;
    int bytes = xc_get_cpumap_size(h->xch);
    if (bytes <= 0)
        return fail_with(f, -EIO, "cannot learn how many CPUs there are: %s",
                         strerror(errno));
    uint8_t *map = calloc(1, (size_t)bytes + sizeof(spec->cpus));
    if (!map)
        return fail_with(f, -ENOMEM, "out of memory");
    memcpy(map, spec->cpus,
           (size_t)bytes < sizeof(spec->cpus) ? (size_t)bytes : sizeof(spec->cpus));
    int err = 0;
    for (unsigned v = 0; v < spec->vcpus && !err; v++) {
        /* The call writes back what it could use, hence a copy for each. */
        uint8_t *hard = map + bytes;
        memcpy(hard, map,
               (size_t)bytes < sizeof(spec->cpus) ? (size_t)bytes : sizeof(spec->cpus));
        if (xc_vcpu_setaffinity(h->xch, domid, (int)v, hard, NULL, XEN_VCPUAFFINITY_HARD))
            err =
                fail_with(f, -errno, "none of the CPUs that 'cpus' names can be used: %s",
                          strerror(errno));
    }
    free(map);
    return err;
}

static int set_policy(struct hypervisor *h, const struct domain_spec *spec,
                      uint32_t domid, struct failure *f)
{
    int rc = xc_cpuid_apply_policy(h->xch, domid, false, NULL, 0, true, spec->native_tsc,
                                   false, NULL, NULL);
    int err = rc == -1 ? -errno : rc; /* the library does both */

    if (err && err != -EOPNOTSUPP && err != -ENOSYS)
        return fail_with(f, err, "cannot set the guest's CPU features: %s",
                         strerror(-err));
    if (spec->native_tsc &&
        xc_domain_set_tsc_info(h->xch, domid, TSC_MODE_NATIVE, 0, 0, 0) &&
        errno != EOPNOTSUPP && errno != ENOSYS)
        return fail_with(f, -errno, "cannot choose the native TSC: %s", strerror(errno));
    if (spec->tsc_khz &&
        xc_domain_set_tsc_info(h->xch, domid, TSC_MODE_DEFAULT, 0, spec->tsc_khz, 0))
        return fail_with(f, -errno, "cannot give the TSC %u kHz: %s", spec->tsc_khz,
                         strerror(errno));
    return 0;
}

static int reset_first_vcpu(struct hypervisor *h, uint32_t domid, struct failure *f)
{
    struct hvm_save_header header = {.magic = HVM_FILE_MAGIC,
                                     .version = HVM_FILE_VERSION};
    uint8_t stream[4096];

    unsigned eax = 0, ebx, ecx, edx;

    /* The header's CPU signature only serves warnings about guests from other machines.
     */
    __get_cpuid(1, &eax, &ebx, &ecx, &edx);
    header.cpuid = eax;
    int bytes = cpustate_reset(&header, stream, sizeof(stream));
    if (bytes < 0)
        return fail_with(f, bytes, "the CPU state does not fit into its buffer");
    if (xc_domain_hvm_setcontext(h->xch, domid, stream, (uint32_t)bytes))
        return fail_with(f, -errno, "cannot put the first vCPU at its reset vector: %s",
                         strerror(errno));
    return 0;
}

int domain_build(struct hypervisor *h, const struct domain_spec *spec, uint32_t domid,
                 struct failure *f)
{
    int err = set_limits(h, spec, domid, f);

    if (!err)
        err = set_affinity(h, spec, domid, f);
    if (!err)
        err = set_share(h, spec, domid, f);
    if (!err)
        err = build_ram(h, spec, domid, f);
    if (!err)
        err = build_firmware(h, spec, domid, f);
    if (!err)
        err = set_params(h, spec, domid, f);
    if (!err)
        err = set_policy(h, spec, domid, f);
    if (!err)
        err = reset_first_vcpu(h, domid, f);
    return err;
}

int domain_destroy(struct hypervisor *h, uint32_t domid, struct failure *f)
{
    /* Long work comes back as -ERESTART or EAGAIN; libxenctrl repeats the call. */
    if (xc_domain_destroy(h->xch, domid) && errno != ESRCH)
        return fail_with(f, -errno, "cannot destroy domain %u: %s", domid,
                         strerror(errno));
    return 0;
}
