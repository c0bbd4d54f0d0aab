/*
 * The processor's instructions and registers as inline functions. Names as in the
 * manuals. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_X86_H
#define GUEST_X86_H

#include <stdint.h>

#define MSR_TSC            0x10
#define MSR_APIC_BASE      0x1b
#define MSR_MTRRCAP        0xfe
#define MSR_SYSENTER_CS    0x174
#define MSR_SYSENTER_ESP   0x175
#define MSR_SYSENTER_EIP   0x176
#define MSR_MISC_ENABLE    0x1a0
#define MSR_MTRR_PHYSBASE0 0x200
#define MSR_MTRR_PHYSMASK0 0x201
#define MSR_MTRR_FIX64K    0x250
#define MSR_PAT            0x277
#define MSR_MTRR_DEF_TYPE  0x2ff
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC         0x800
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define MSR_PLATFORM_INFO  0xceu
#define MSR_MISC_FEATURES  0x140u

#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)

#define CR0_PE     (1ul << 0)
#define CR0_MP     (1ul << 1)
#define CR0_EM     (1ul << 2)
#define CR0_TS     (1ul << 3)
#define CR0_NE     (1ul << 5)
#define CR0_WP     (1ul << 16)
#define CR0_AM     (1ul << 18)
#define CR0_NW     (1ul << 29)
#define CR0_CD     (1ul << 30)
#define CR0_PG     (1ul << 31)
#define CR4_TSD    (1ul << 2)
#define CR4_DE     (1ul << 3)
#define CR4_PAE    (1ul << 5)
#define CR4_PGE    (1ul << 7)
#define CR4_OSFXSR (1ul << 9)
#define CR4_SMEP   (1ul << 20)
#define CR4_SMAP   (1ul << 21)

#define RFLAGS_TF (1ul << 8)
#define RFLAGS_IF (1ul << 9)
#define RFLAGS_RF (1ul << 16)
#define RFLAGS_AC (1ul << 18)

#define PTE_P   (1ul << 0)
#define PTE_W   (1ul << 1)
#define PTE_U   (1ul << 2)
#define PTE_PWT (1ul << 3)
#define PTE_PCD (1ul << 4)
#define PTE_A   (1ul << 5)
#define PTE_D   (1ul << 6)
#define PTE_PS  (1ul << 7)
#define PTE_NX  (1ul << 63)

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    asm volatile("cpuid"
                 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                 : "a"(leaf), "c"(subleaf)
                 : "memory");
    return r;
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    asm volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                 : "memory");
}

#define ACCESSOR_CR(n)                                                                   \
    static inline uint64_t read_cr##n(void)                                              \
    {                                                                                    \
        uint64_t v;                                                                      \
                                                                                         \
        asm volatile("movq %%cr" #n ", %0" : "=r"(v)::"memory");                         \
        return v;                                                                        \
    }                                                                                    \
    static inline void write_cr##n(uint64_t v)                                           \
    {                                                                                    \
        asm volatile("movq %0, %%cr" #n ::"r"(v) : "memory");                            \
    }
ACCESSOR_CR(0)
ACCESSOR_CR(2)
ACCESSOR_CR(3)
ACCESSOR_CR(4)
ACCESSOR_CR(8)

#define ACCESSOR_DR(n)                                                                   \
    static inline uint64_t read_dr##n(void)                                              \
    {                                                                                    \
        uint64_t v;                                                                      \
                                                                                         \
        asm volatile("movq %%dr" #n ", %0" : "=r"(v)::"memory");                         \
        return v;                                                                        \
    }                                                                                    \
    static inline void write_dr##n(uint64_t v)                                           \
    {                                                                                    \
        asm volatile("movq %0, %%dr" #n ::"r"(v) : "memory");                            \
    }
ACCESSOR_DR(0)
ACCESSOR_DR(1)
ACCESSOR_DR(2)
ACCESSOR_DR(3)
ACCESSOR_DR(6)
ACCESSOR_DR(7)

static inline void outb(uint16_t port, uint8_t v)
{
    asm volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void outw(uint16_t port, uint16_t v)
{
    asm volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void outl(uint16_t port, uint32_t v)
{
    asm volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;

    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline uint16_t inw(uint16_t port)
{
    uint16_t v;

    asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline uint32_t inl(uint16_t port)
{
    uint32_t v;

    asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static inline void irq_enable(void)
{
    asm volatile("sti" ::: "memory");
}
static inline void irq_disable(void)
{
    asm volatile("cli" ::: "memory");
}
/* Interrupts on and halt with no window between the two; off again afterwards. */
static inline void halt_once(void)
{
    asm volatile("sti; hlt; cli" ::: "memory");
}
static inline void cpu_relax(void)
{
    asm volatile("pause" ::: "memory");
}
static inline uint64_t read_flags(void)
{
    uint64_t v;

    asm volatile("pushfq; popq %0" : "=r"(v)::"memory");
    return v;
}
static inline void invlpg(const void *p)
{
    asm volatile("invlpg (%0)" ::"r"(p) : "memory");
}

/* Instructions that may fault: what they did is returned as FAULT_VECTOR | FAULT_ERROR
 * << 16. */
uint32_t rdmsr_catch(uint32_t msr, uint64_t *value);
uint32_t wrmsr_catch(uint32_t msr, uint64_t value);

#endif
