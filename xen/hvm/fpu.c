/* FPU, SSE and AVX state of vCPUs: kept in the registers while a vCPU runs, saved when
 * another one comes. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The hypervisor itself never uses these registers (-mgeneral-regs-only).
 */
#include "hvm/hvm.h"
#include "cpu/percpu.h"
#include "cpu/x86.h"
#include "lib/printk.h"
#include "lib/string.h"

#define XCR0_X87_SSE 3ull

static uint64_t host_xcr0; /* all state components of the machine; 0: no XSAVE */
static size_t area_size = 512 + 64;

/* Of this CPU; the first one decides. */
void hvm_fpu_init(void)
{
    uint32_t a, b, c, d;
    uint64_t cr0 = read_cr0() & ~(CR0_TS | CR0_EM);

    write_cr0(cr0 | CR0_MP | CR0_NE);
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    cpuid_count(1, 0, &a, &b, &c, &d);
    if (!(c & BIT(26)))
        return;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    cpuid_count(0xd, 0, &a, &b, &c, &d);
    host_xcr0 = (uint64_t)d << 32 | a;
    xsetbv(0, host_xcr0);
    cpuid_count(0xd, 0, &a, &b, &c, &d);
    area_size = b;
}

size_t hvm_fpu_area_size(void)
{
    return area_size;
}

uint64_t hvm_fpu_host_xcr0(void)
{
    return host_xcr0;
}

void hvm_fpu_load_xcr0(struct vcpu *v)
{
    if (host_xcr0)
        xsetbv(0, v->hvm->xcr0);
}

void hvm_fpu_save(struct vcpu *v)
{
    if (!host_xcr0) {
        __asm__ volatile("fxsave64 (%0)" ::"r"(v->hvm->xsave) : "memory");
        return;
    }
    if (v->hvm->xcr0 != host_xcr0)
        xsetbv(0, host_xcr0);
    __asm__ volatile("xsave64 (%0)" ::"r"(v->hvm->xsave), "a"(~0u), "d"(~0u) : "memory");
    if (v->hvm->xcr0 != host_xcr0)
        xsetbv(0, v->hvm->xcr0);
}

void hvm_fpu_restore(struct vcpu *v)
{
    if (!host_xcr0) {
        __asm__ volatile("fxrstor64 (%0)" ::"r"(v->hvm->xsave));
        return;
    }
    xsetbv(0, host_xcr0);
    __asm__ volatile("xrstor64 (%0)" ::"r"(v->hvm->xsave), "a"(~0u), "d"(~0u));
    xsetbv(0, v->hvm->xcr0);
}

/* State after INIT of the x87 and SSE units: FCW 037f, MXCSR 1f80, nothing else. */
void hvm_fpu_reset(struct vcpu *v)
{
    uint8_t *area = v->hvm->xsave;

    memset(area, 0, area_size);
    *(uint16_t *)area = 0x37f;
    *(uint32_t *)(area + 24) = 0x1f80;
    *(uint32_t *)(area + 28) = 0xffff;
    if (host_xcr0)
        *(uint64_t *)(area + 512) = XCR0_X87_SSE;
    v->hvm->xcr0 = 1;
    v->hvm->fpu_cpu = ~0u;
    if (v == current)
        hvm_fpu_restore(v);
}
