/* Instructions and registers of the processor. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_CPU_X86_H
#define CORBEL_CPU_X86_H

#include "lib/types.h"
#include "cpu/regs.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME        BIT(0)
#define CR4_PVI        BIT(1)
#define CR4_TSD        BIT(2)
#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_PCE        BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE        BIT(22)
#define CR4_CET        BIT(23)

#define EFER_SCE    BIT(0)
#define EFER_LME    BIT(8)
#define EFER_LMA    BIT(10)
#define EFER_NXE    BIT(11)
#define EFER_SVME   BIT(12)
#define EFER_LMSLE  BIT(13)
#define EFER_FFXSR  BIT(14)
#define EFER_AIBRSE BIT(21) /* automatic IBRS */

#define MSR_TSC            0x10
#define MSR_APIC_BASE      0x1b
#define MSR_TSC_ADJUST     0x3b
#define MSR_PAT            0x277
#define MSR_MTRR_CAP       0xfe
#define MSR_MTRR_PHYSBASE0 0x200
#define MSR_MTRR_DEF_TYPE  0x2ff
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC_BASE    0x800
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103
#define MSR_MISC_FEATURES  0x140 /* bit 0: CPUID faulting */

/* Exceptions. */
#define X86_DE  0
#define X86_DB  1
#define X86_NMI 2
#define X86_BP  3
#define X86_OF  4
#define X86_BR  5
#define X86_UD  6
#define X86_NM  7
#define X86_DF  8
#define X86_TS  10
#define X86_NP  11
#define X86_SS  12
#define X86_GP  13
#define X86_PF  14
#define X86_MF  16
#define X86_AC  17
#define X86_MC  18
#define X86_XM  19

/* Selectors of the hypervisor's GDT (cpu/desc.c). */
#define SEL_CODE64 0x08
#define SEL_DATA   0x10
#define SEL_CODE32 0x18
#define SEL_TSS    0x20

/* If the instruction at label `from` faults, go on at label `to` (cpu/traps.c). */
#define EXTABLE(from, to)                                                                \
    ".pushsection .extable, \"a\"\n\t.balign 4\n\t.long " #from " - ., " #to             \
    " - .\n\t.popsection\n\t"

static inline uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint16_t inw(uint16_t port)
{
    uint16_t v;

    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline uint32_t inl(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t val)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)val), "d"(val >> 32) : "memory");
}
/* The same for MSRs that may not be there: 0, or -1 if the access raised #GP. */
static inline int rdmsr_safe(uint32_t msr, uint64_t *val)
{
    uint32_t lo = 0, hi = 0;
    int err = 0;

    __asm__ volatile("1: rdmsr\n"
                     "2:\n\t"
                     ".pushsection .text.fixup, \"ax\"\n"
                     "3: movl $-1, %0\n\tjmp 2b\n\t.popsection\n\t" EXTABLE(1b, 3b)
                     : "+r"(err), "+a"(lo), "+d"(hi)
                     : "c"(msr));
    *val = (uint64_t)hi << 32 | lo;
    return err;
}
static inline int wrmsr_safe(uint32_t msr, uint64_t val)
{
    int err = 0;

    __asm__ volatile("1: wrmsr\n"
                     "2:\n\t"
                     ".pushsection .text.fixup, \"ax\"\n"
                     "3: movl $-1, %0\n\tjmp 2b\n\t.popsection\n\t" EXTABLE(1b, 3b)
                     : "+r"(err)
                     : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
                     : "memory");
    return err;
}

static inline void cpuid_count(uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b,
                               uint32_t *c, uint32_t *d)
{
    __asm__ volatile("cpuid"
                     : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d)
                     : "a"(leaf), "c"(subleaf));
}
static inline void cpuid(uint32_t leaf, uint32_t *a, uint32_t *b, uint32_t *c,
                         uint32_t *d)
{
    cpuid_count(leaf, 0, a, b, c, d);
}
/* One register of a leaf; 0 if the processor does not have the leaf. */
enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };
static inline uint32_t cpuid_get(uint32_t leaf, enum cpuid_reg reg)
{
    uint32_t r[4];

    cpuid(leaf & 0x80000000, &r[0], &r[1], &r[2], &r[3]);
    if (r[0] < leaf || (r[0] ^ leaf) >> 31)
        return 0;
    cpuid(leaf, &r[0], &r[1], &r[2], &r[3]);
    return r[reg];
}

#define CR_ACCESS(n)                                                                     \
    static inline uint64_t read_cr##n(void)                                              \
    {                                                                                    \
        uint64_t v;                                                                      \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                \
        return v;                                                                        \
    }                                                                                    \
    static inline void write_cr##n(uint64_t v)                                           \
    {                                                                                    \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                       \
    }
CR_ACCESS(0)
CR_ACCESS(2)
CR_ACCESS(3)
CR_ACCESS(4)
CR_ACCESS(8)
#undef CR_ACCESS

static inline uint64_t xgetbv(uint32_t reg)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(reg));
    return (uint64_t)hi << 32 | lo;
}
static inline void xsetbv(uint32_t reg, uint64_t val)
{
    __asm__ volatile("xsetbv"
                     :
                     : "c"(reg), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)));
}
static inline void clts(void)
{
    __asm__ volatile("clts");
}
static inline void wbinvd(void)
{
    __asm__ volatile("wbinvd" : : : "memory");
}
static inline void invlpg(const void *p)
{
    __asm__ volatile("invlpg (%0)" : : "r"(p) : "memory");
}
static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}
static inline void irq_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}
static inline void irq_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}
static inline bool irqs_enabled(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags & RFLAGS_IF;
}
/* Wait for an interrupt with interrupts on; off again on return. */
static inline void irq_enable_and_halt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
static inline void mb(void)
{
    __asm__ volatile("lock; addl $0, -4(%%rsp)" : : : "memory", "cc");
}

/* Copy that survives a fault on either side: bytes not copied. Defined in cpu/traps.c. */
size_t copy_safe(void *dst, const void *src, size_t bytes);

#endif
