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
static uint32_t ymm_offset; /* of the upper halves of YMM in the area; 0: no AVX */

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
    if (host_xcr0 & 4) {
        cpuid_count(0xd, 2, &a, &b, &c, &d);
        ymm_offset = b;
    }
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

/* Not every processor (emulated ones) lets XSETBV be intercepted: what the guest has set
 * is in the register. */
void hvm_fpu_sync_xcr0(struct vcpu *v)
{
    if (host_xcr0)
        v->hvm->xcr0 = xgetbv(0);
}

void hvm_fpu_save(struct vcpu *v)
{
    hvm_fpu_sync_xcr0(v);
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

/* Pointers to the last x87 instruction, which otherwise would be those of the
 * hypervisor's own code. */
void hvm_fpu_set_pointers(struct vcpu *v, uint16_t fop, uint64_t fip, uint64_t fdp)
{
    uint8_t *area = v->hvm->xsave;

    hvm_fpu_save(v);
    *(uint16_t *)(area + 6) = fop;
    *(uint64_t *)(area + 8) = fip;
    *(uint64_t *)(area + 16) = fdp;
    hvm_fpu_restore(v);
}

/* The registers are live while the vCPU runs in the hypervisor. Going through the save
 * area costs two instructions and no table of register moves; MMIO with vector registers
 * is rare. */
int hvm_fpu_vec_read(struct vcpu *v, bool mmx, unsigned int reg, void *buf,
                     unsigned int bytes)
{
    uint8_t *area = v->hvm->xsave;

    hvm_fpu_save(v);
    if (mmx) {
        memcpy(buf, area + 32 + 16 * reg, min(bytes, 8u));
        return 0;
    }
    memcpy(buf, area + 160 + 16 * reg, min(bytes, 16u));
    if (bytes > 16) {
        if (!ymm_offset)
            return -1;
        /* A component in its initial state is not written by XSAVE. */
        if (*(uint64_t *)(area + 512) & 4)
            memcpy((uint8_t *)buf + 16, area + ymm_offset + 16 * reg, 16);
        else
            memset((uint8_t *)buf + 16, 0, 16);
    }
    return 0;
}

int hvm_fpu_vec_write(struct vcpu *v, bool mmx, unsigned int reg, const void *buf,
                      unsigned int bytes, bool zero_upper)
{
    uint8_t *area = v->hvm->xsave;

    hvm_fpu_save(v);
    if (mmx) {
        memcpy(area + 32 + 16 * reg, buf, min(bytes, 8u));
        memset(area + 32 + 16 * reg + 8, 0xff, 2);
        area[4] = 0xff;                     /* all tags valid */
        *(uint16_t *)(area + 2) &= ~0x3800; /* TOP = 0 */
        if (host_xcr0)
            *(uint64_t *)(area + 512) |= 1;
        hvm_fpu_restore(v);
        return 0;
    }
    memcpy(area + 160 + 16 * reg, buf, min(bytes, 16u));
    if (bytes < 16 && zero_upper)
        memset(area + 160 + 16 * reg + bytes, 0, 16 - bytes);
    if (host_xcr0)
        *(uint64_t *)(area + 512) |= 2;
    if (ymm_offset && (bytes > 16 || zero_upper)) {
        uint8_t *upper = area + ymm_offset;

        if (!(*(uint64_t *)(area + 512) & 4))
            memset(upper, 0, 256);
        *(uint64_t *)(area + 512) |= 4;
        if (bytes > 16)
            memcpy(upper + 16 * reg, (const uint8_t *)buf + 16, 16);
        else
            memset(upper + 16 * reg, 0, 16);
    }
    hvm_fpu_restore(v);
    return 0;
}
