/*
 * Finding Xen: CPUID leaves, hypercall page, shared info, HVM parameters, PV clock.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

#include <xen/arch-x86/cpuid.h>

#define XEN_LEAF_STEP 0x100u
#define XEN_LEAF_LAST 0x4000ff00u

void xen_init(void)
{
    for (uint32_t base = XEN_CPUID_FIRST_LEAF; base <= XEN_LEAF_LAST;
         base += XEN_LEAF_STEP) {
        struct cpuid r = cpuid(base, 0);

        if (r.ebx != XEN_CPUID_SIGNATURE_EBX || r.ecx != XEN_CPUID_SIGNATURE_ECX ||
            r.edx != XEN_CPUID_SIGNATURE_EDX || r.eax < base + 2)
            continue;
        env.xen = true;
        env.xen_base = base;
        env.xen_version = cpuid(base + 1, 0).eax;
        wrmsr(cpuid(base + 2, 0).ebx, PTR(hypercall_page));
        return;
    }
}

struct shared_info *xen_shared_info(void)
{
    static struct shared_info *mapped;
    struct xen_add_to_physmap map = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_shared_info,
    };
    long rc;

    if (mapped)
        return mapped;
    map.gpfn = unused_gfn(0);
    rc = memory_op(XENMEM_add_to_physmap, &map);
    if (rc)
        panic("shared_info could not be mapped: %ld", rc);
    mapped = (struct shared_info *)(map.gpfn << 12);
    return mapped;
}

uint64_t hvm_param_get(uint32_t index)
{
    struct xen_hvm_param param = {.domid = DOMID_SELF, .index = index};

    return hvm_op(HVMOP_get_param, &param) ? ~0ul : param.value;
}

long hvm_param_set(uint32_t index, uint64_t value)
{
    struct xen_hvm_param param = {.domid = DOMID_SELF, .index = index, .value = value};

    return hvm_op(HVMOP_set_param, &param);
}

uint64_t xen_system_time(const struct vcpu_time_info *time)
{
    uint32_t version;
    uint64_t ns;

    do {
        uint64_t delta;

        version = READ_ONCE(time->version);
        asm volatile("lfence" ::: "memory");
        delta = rdtsc() - READ_ONCE(time->tsc_timestamp);
        if (time->tsc_shift < 0)
            delta >>= -time->tsc_shift;
        else
            delta <<= time->tsc_shift;
        /* 32.32 fixed point: the product needs 96 bits. */
        ns = READ_ONCE(time->system_time) +
             (uint64_t)((unsigned __int128)delta * time->tsc_to_system_mul >> 32);
        asm volatile("lfence" ::: "memory");
    } while ((version & 1) || version != READ_ONCE(time->version));
    return ns;
}
