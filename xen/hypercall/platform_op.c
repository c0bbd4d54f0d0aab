/* platform_op: Dom0 and the machine (public/platform.h). SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Power management tables that Dom0's ACPI driver uploads are accepted and not used: the
 * CPUs idle in HLT. Left out: sleeping, CPU and memory hotplug, UEFI run-time calls, the
 * machine's MTRRs, microcode. Of a 32-bit Dom0 those ops work whose argument holds no
 * handle.
 */
#include "hypercall/abi.h"
#include "hypercall/pvclock.h"
#include "boot/boot.h"
#include "cpu/percpu.h"
#include "lib/string.h"
#include <xen/platform.h>

#define MSR_TSC          0x10
#define RESOURCE_ENTRIES 3 /* at most, of resource_op */

static long settime(uint64_t secs, uint32_t nsecs, uint64_t system_time)
{
    if (nsecs >= NS_PER_S)
        return -EINVAL;
    wallclock_set(secs, nsecs, system_time);
    return 0;
}

static long firmware_info(struct xenpf_firmware_info *info)
{
    switch (info->type) {
    case XEN_FW_DISK_INFO: /* we did not ask the BIOS while it was there */
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return -ESRCH;
    case XEN_FW_EFI_INFO:
        return -ENOSYS;
    case XEN_FW_KBD_SHIFT_FLAGS:
        if (info->index)
            return -ESRCH;
        info->u.kbd_shift_flags = 0;
        return 0;
    }
    return -EINVAL;
}

static long enter_acpi_sleep(const struct xenpf_enter_acpi_sleep *arg)
{
    if (arg->flags & ~XENPF_ACPI_SLEEP_EXTENDED || arg->sleep_state != 5)
        return -EINVAL;
    machine_poweroff();
}

static long getidletime(struct xenpf_getidletime *arg)
{
    uint64_t wanted = 0, have = 0;
    unsigned int bits = min(arg->cpumap_nr_cpus, 64u);

    if (copy_from_guest(&wanted, HANDLE(arg->cpumap_bitmap), DIV_ROUND_UP(bits, 8)))
        return -EFAULT;
    for (unsigned int cpu = 0; cpu < min(bits, nr_cpus); cpu++) {
        uint64_t idle = READ_ONCE(cpus[cpu]->idle_time);

        if (!(wanted >> cpu & 1))
            continue;
        have |= BIT(cpu);
        if (copy_to_guest(HANDLE(arg->idletime) + cpu * 8ull, &idle, sizeof(idle)))
            return -EFAULT;
    }
    arg->now = now_ns();
    return copy_to_guest(HANDLE(arg->cpumap_bitmap), &have, DIV_ROUND_UP(bits, 8));
}

static long cpu_info(struct xenpf_pcpuinfo *info)
{
    info->max_present = nr_cpus - 1;
    if (info->xen_cpuid >= nr_cpus) {
        info->flags = XEN_PCPU_FLAGS_INVALID;
        return 0;
    }
    info->flags = XEN_PCPU_FLAGS_ONLINE;
    info->apic_id = cpus[info->xen_cpuid]->apic_id;
    info->acpi_id = cpus[info->xen_cpuid]->acpi_id;
    return 0;
}

static void cpuid(uint32_t leaf, uint32_t r[4])
{
    __asm__("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "0"(leaf), "2"(0));
}

/* All CPUs are alike. Family and model as AMD's CPUID specification and Intel's SDM, vol
 * 2, CPUID leaf 1 add them up. */
static long cpu_version(struct xenpf_pcpu_version *info)
{
    uint32_t r[4], family, model;

    info->max_present = nr_cpus - 1;
    memset(info->vendor_id, 0, sizeof(info->vendor_id));
    info->family = info->model = info->stepping = 0;
    if (info->xen_cpuid >= nr_cpus)
        return 0;
    cpuid(0, r);
    memcpy(info->vendor_id, &r[1], 4);
    memcpy(info->vendor_id + 4, &r[3], 4);
    memcpy(info->vendor_id + 8, &r[2], 4);
    cpuid(1, r);
    family = r[0] >> 8 & 15;
    model = r[0] >> 4 & 15;
    if (family == 6 || family == 15)
        model |= r[0] >> 12 & 0xf0;
    if (family == 15)
        family += r[0] >> 20 & 0xff;
    info->family = family;
    info->model = model;
    info->stepping = r[0] & 15;
    return 0;
}

/* MSRs of a CPU for Dom0's tools: only the TSC may be read. Entries before the first that
 * fails are done; that one has the error, and how many were done is the result. */
static long resource_op(const struct xenpf_resource_op *arg)
{
    if (arg->nr_entries > RESOURCE_ENTRIES)
        return -E2BIG;
    for (uint32_t i = 0; i < arg->nr_entries; i++) {
        uint64_t at = HANDLE(arg->entries) + i * sizeof(struct xenpf_resource_entry);
        struct xenpf_resource_entry e;
        int32_t ret = 0;

        if (copy_from_guest(&e, at, sizeof(e)))
            return -EFAULT;
        if (e.rsvd)
            ret = -EINVAL;
        else if (e.u.cmd > XEN_RESOURCE_OP_MSR_WRITE)
            ret = -EOPNOTSUPP;
        else if (e.idx >> 32)
            ret = -EINVAL;
        else if (e.u.cmd != XEN_RESOURCE_OP_MSR_READ || e.idx != MSR_TSC)
            ret = -EPERM;
        else if (arg->cpu >= nr_cpus)
            return -ENODEV;
        else
            e.val = rdtsc(); /* the same on all CPUs */
        e.u.ret = ret;
        if (copy_to_guest(at, &e, sizeof(e)))
            return -EFAULT;
        if (ret)
            return i;
    }
    return arg->nr_entries;
}

static bool has_handles(uint32_t cmd)
{
    return cmd == XENPF_getidletime || cmd == XENPF_resource_op;
}

static long run(struct hcall *c, struct xen_platform_op *op)
{
    if (c->compat && has_handles(op->cmd))
        return -EOPNOTSUPP;
    switch (op->cmd) {
    case XENPF_settime32:
        return settime(op->u.settime32.secs, op->u.settime32.nsecs,
                       op->u.settime32.system_time);
    case XENPF_settime64:
        if (op->u.settime64.mbz)
            return -EINVAL;
        return settime(op->u.settime64.secs, op->u.settime64.nsecs,
                       op->u.settime64.system_time);
    case XENPF_firmware_info:
        return firmware_info(&op->u.firmware_info);
    case XENPF_enter_acpi_sleep:
        return enter_acpi_sleep(&op->u.enter_acpi_sleep);
    case XENPF_getidletime:
        return getidletime(&op->u.getidletime);
    case XENPF_set_processor_pminfo:
        return 0;
    case XENPF_get_cpuinfo:
        return cpu_info(&op->u.pcpu_info);
    case XENPF_get_cpu_version:
        return cpu_version(&op->u.pcpu_version);
    case XENPF_resource_op:
        return resource_op(&op->u.resource_op);
    case XENPF_platform_quirk:
        return -EINVAL;
    case XENPF_efi_runtime_call:
        return -ENOSYS;
    }
    return -EOPNOTSUPP; /* the rest of what the table knows */
}

long do_platform_op(struct hcall *c)
{
    struct xen_platform_op op;
    long rc;

    /* The union is as wide for 32-bit callers, but not as far: 8-byte fields that follow
     * an odd number of 4-byte ones have no handles before them. */
    if (copy_from_guest(&op, c->arg[0], sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return -EACCES;
    rc = hcall_check(c, op.cmd);
    if (rc)
        return rc;
    rc = run(c, &op);
    if (rc >= 0 && copy_to_guest(c->arg[0], &op, sizeof(op)))
        rc = -EFAULT;
    return rc;
}
