/*
 * Model-specific registers: those that every operating system uses hold what is written,
 * reserved bits fault, unknown ones fault (on the emulated bare processor they do not:
 * TCG knows no bad MSR). SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "msr";

#define NONCANONICAL       0x8000000000000000ul
#define CANONICAL          0xffff800000001000ul
#define MSR_NONE           0x12345u
#define MSR_NONE_EXT       0xc0012345u
#define APIC_BASE_RESERVED (1ul << 9)

static const bool *strict;

static uint32_t read_vector(uint32_t msr)
{
    uint64_t value;

    return FAULT_VECTOR(rdmsr_catch(msr, &value));
}

static uint32_t write_vector(uint32_t msr, uint64_t value)
{
    return FAULT_VECTOR(wrmsr_catch(msr, value));
}

/* Write two values, read each back, restore. */
static void holds(const char *name, uint32_t msr, uint64_t a, uint64_t b)
{
    uint64_t old, got_a = 0, got_b = 0;

    if (!check_eq(FAULT_VECTOR(rdmsr_catch(msr, &old)), VEC_NONE, "%s can be read", name))
        return;
    check_eq(write_vector(msr, a), VEC_NONE, "%s can be written", name);
    rdmsr_catch(msr, &got_a);
    write_vector(msr, b);
    rdmsr_catch(msr, &got_b);
    write_vector(msr, old);
    check_eq(got_a, a, "%s holds one value", name);
    check_eq(got_b, b, "%s holds another", name);
}

static void faults_on(const char *name, uint32_t msr, uint64_t value)
{
    uint64_t before = 0, after = 0;

    if (!*strict) {
        skip("the bare emulated processor is lenient", "%s: %lx is refused", name, value);
        return;
    }
    rdmsr_catch(msr, &before);
    check_eq(wrmsr_catch(msr, value), VEC_GP, "%s: %lx is refused with #GP(0)", name,
             value);
    rdmsr_catch(msr, &after);
    check_eq(after, before, "%s is unchanged after #GP", name);
}

static void system_calls(void)
{
    holds("STAR", MSR_STAR, 0x0023001000000000ul, 0x001b000800000000ul);
    holds("LSTAR", MSR_LSTAR, CANONICAL, 0x1000);
    holds("CSTAR", MSR_CSTAR, CANONICAL, 0x2000);
    holds("SFMASK", MSR_SFMASK, 0x47700, 0x200);
    holds("SYSENTER_CS", MSR_SYSENTER_CS, 0x10, 0);
    holds("SYSENTER_ESP", MSR_SYSENTER_ESP, CANONICAL, 0x3000);
    holds("SYSENTER_EIP", MSR_SYSENTER_EIP, CANONICAL, 0x4000);
    holds("FS_BASE", MSR_FS_BASE, CANONICAL, 0x5000);
    holds("KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, CANONICAL, 0x6000);
    /* Nobody intercepts these: it is the processor that checks, and QEMU's does not. */
    if (write_vector(MSR_LSTAR, NONCANONICAL) == VEC_NONE) {
        wrmsr(MSR_LSTAR, 0);
        skip("the processor does not check", "non-canonical addresses are refused");
        return;
    }
    faults_on("LSTAR", MSR_LSTAR, NONCANONICAL);
    faults_on("FS_BASE", MSR_FS_BASE, NONCANONICAL);
    faults_on("KERNEL_GS_BASE", MSR_KERNEL_GS_BASE, NONCANONICAL);
}

static uint64_t do_cpuid(uint64_t leaf)
{
    uint32_t b, c = 0, d, a = (uint32_t)leaf;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return a;
}

/* MISC_FEATURES_ENABLES: CPUID faults outside of ring 0 (SDM vol 3 table 2-2). */
static void cpuid_faulting(void)
{
    uint64_t info = 0;
    struct fault f;

    if (rdmsr_catch(MSR_PLATFORM_INFO, &info) != VEC_NONE || !(info >> 31 & 1)) {
        skip("no CPUID faulting", "CPUID in ring 3");
        return;
    }
    user_call(do_cpuid, 0, &f);
    check_eq(f.vector, VEC_NONE, "CPUID faulting: off, ring 3 may");
    faults_on("MISC_FEATURES_ENABLES", MSR_MISC_FEATURES, 2);
    wrmsr(MSR_MISC_FEATURES, 1);
    check_eq(rdmsr(MSR_MISC_FEATURES), 1, "CPUID faulting: on");
    user_call(do_cpuid, 0, &f);
    check(f.vector == VEC_GP && f.error == 0, "CPUID faulting: #GP(0) in ring 3");
    check(do_cpuid(0) > 0, "CPUID faulting: not in ring 0");
    wrmsr(MSR_MISC_FEATURES, 0);
    user_call(do_cpuid, 0, &f);
    check_eq(f.vector, VEC_NONE, "CPUID faulting: off again");
}

static uint64_t do_syscall(uint64_t arg)
{
    uint64_t result = arg;

    asm volatile("syscall" : "+a"(result)::"rcx", "r11", "memory");
    return result;
}

/* SYSCALL's entry: back by the gate that user_call() waits for. */
static __attribute__((naked)) void syscall_entry(void)
{
    asm volatile("addq $1, %rax\n"
                 "sysretq\n");
}

static void syscall_works(void)
{
    uint64_t star = rdmsr(MSR_STAR), lstar = rdmsr(MSR_LSTAR), mask = rdmsr(MSR_SFMASK);
    struct fault f;

    user_call(do_syscall, 1, &f);
    check_eq(f.vector, VEC_UD, "SYSCALL without EFER.SCE is #UD");
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
    /* SYSRET takes SS at +8 and the 64-bit CS at +16 from this selector. */
    wrmsr(MSR_STAR, (uint64_t)(SEL_USER_DATA - 8) << 48 | (uint64_t)SEL_CODE64 << 32);
    wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
    wrmsr(MSR_SFMASK, RFLAGS_IF);
    check_eq(user_call(do_syscall, 41, &f), 42, "SYSCALL and SYSRET work (vector %u)",
             f.vector);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_SCE);
    wrmsr(MSR_STAR, star);
    wrmsr(MSR_LSTAR, lstar);
    wrmsr(MSR_SFMASK, mask);
}

static void efer(void)
{
    uint64_t value = rdmsr(MSR_EFER);

    check(value & EFER_LMA && value & EFER_LME, "EFER says long mode");
    check(!(value & 1ul << 12), "EFER.SVME is clear");
    check_eq(write_vector(MSR_EFER, value | EFER_NXE), VEC_NONE, "EFER.NXE can be set");
    check_eq(rdmsr(MSR_EFER), value | EFER_NXE, "EFER reads back");
    faults_on("EFER", MSR_EFER, value | 1ul << 63);
    faults_on("EFER", MSR_EFER, value | 1ul << 2);
    /* With paging on, LME cannot be cleared. */
    faults_on("EFER", MSR_EFER, rdmsr(MSR_EFER) & ~(uint64_t)EFER_LME);
    wrmsr(MSR_EFER, value);
}

static void pat_and_mtrr(void)
{
    uint64_t cap = rdmsr(MSR_MTRRCAP), old;

    holds("PAT", MSR_PAT, 0x0007010600070106ul, 0x0007040600070406ul);
    faults_on("PAT", MSR_PAT, 0x0007040600070402ul); /* type 2 is reserved */
    faults_on("PAT", MSR_PAT, 0xff07040600070406ul);
    check((cap & 0xff) >= 4 && (cap & 0xff) <= 16, "%lu variable MTRRs", cap & 0xff);
    holds("MTRR_PHYSBASE0", MSR_MTRR_PHYSBASE0, 0xc0000000ul | 1, 0);
    holds("MTRR_PHYSMASK0", MSR_MTRR_PHYSMASK0, 0xff00000000ul | 1ul << 11, 0);
    old = rdmsr(MSR_MTRR_DEF_TYPE);
    check_eq(write_vector(MSR_MTRR_DEF_TYPE, 0xc06), VEC_NONE,
             "MTRR_DEF_TYPE can be written");
    check_eq(rdmsr(MSR_MTRR_DEF_TYPE), 0xc06, "MTRR_DEF_TYPE reads back");
    wrmsr(MSR_MTRR_DEF_TYPE, old);
    if (cap & 1u << 8)
        holds("MTRR_FIX64K", MSR_MTRR_FIX64K, 0x0606060606060606ul, 0);
    else
        skip("no fixed MTRRs", "MTRR_FIX64K");
    faults_on("MTRR_PHYSBASE0", MSR_MTRR_PHYSBASE0, 0xc0000000ul | 2);
    faults_on("MTRR_DEF_TYPE", MSR_MTRR_DEF_TYPE, 0xc03);
    if (*strict)
        check_eq(write_vector(MSR_MTRRCAP, cap), VEC_GP, "MTRRCAP is read-only");
}

static void apic_base(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    check_eq(base & ~0xffful, 0xfee00000ul, "the APIC is at its place");
    check(base & 1ul << 11, "the APIC is enabled");
    check(base & 1ul << 8, "this is the boot CPU");
    faults_on("APIC_BASE", MSR_APIC_BASE, base | APIC_BASE_RESERVED);
    faults_on("APIC_BASE", MSR_APIC_BASE, base | 1ul << 62);
    /* x2APIC without the enable bit is an invalid state. */
    faults_on("APIC_BASE", MSR_APIC_BASE, (base & ~(1ul << 11)) | 1ul << 10);
}

static void unknown(void)
{
    if (!*strict) {
        skip("the bare emulated processor knows no bad MSR", "unknown MSRs");
        return;
    }
    check_eq(read_vector(MSR_NONE), VEC_GP, "RDMSR of an unknown register");
    check_eq(write_vector(MSR_NONE, 0), VEC_GP, "WRMSR of an unknown register");
    check_eq(read_vector(MSR_NONE_EXT), VEC_GP, "RDMSR of an unknown AMD register");
    check_eq(read_vector(0xffffffff), VEC_GP, "RDMSR of ffffffff");
    check(read_vector(0x480) == VEC_GP, "no VMX capability MSRs");
}

static void tsc(void)
{
    uint64_t a = rdtsc(), b = rdtsc();
    uint64_t m = 0;

    check(b > a, "TSC moves");
    rdmsr_catch(MSR_TSC, &m);
    if (*strict)
        check(m > a && m < a + 10000000000ul, "MSR_TSC is the TSC");
}

static void many_reads(void)
{
    uint64_t value;
    uint32_t faults = 0, other = 0;

    for (uint32_t msr = 0; msr < 0x2000; msr++) {
        uint32_t v = FAULT_VECTOR(rdmsr_catch(msr, &value));

        faults += v == VEC_GP;
        other += v != VEC_GP && v != VEC_NONE;
    }
    for (uint32_t msr = 0xc0000000; msr < 0xc0002000; msr++) {
        uint32_t v = FAULT_VECTOR(rdmsr_catch(msr, &value));

        faults += v == VEC_GP;
        other += v != VEC_GP && v != VEC_NONE;
    }
    check_eq(other, 0, "reading 16384 MSRs gives values and #GPs only");
    check(!*strict || faults > 15000, "most of them fault (%u)", faults);
}

void test_main(void)
{
    static bool under_hypervisor;

    under_hypervisor = env.xen || option_present("strict");
    strict = &under_hypervisor;
    system_calls();
    syscall_works();
    cpuid_faulting();
    efer();
    pat_and_mtrr();
    apic_base();
    unknown();
    tsc();
    many_reads();
}
