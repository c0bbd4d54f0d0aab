/*
 * What CPUID promises is there, and hangs together: basic and extended leaves, topology,
 * the hypervisor's leaves (Xen: arch-x86/cpuid.h). SPDX-License-Identifier:
 * GPL-2.0-or-later
 */
#include "xen.h"

#include <xen/arch-x86/cpuid.h>

const char test_title[] = "cpuid";

#define ECX_SSE3        (1u << 0)
#define ECX_MONITOR     (1u << 3)
#define ECX_VMX         (1u << 5)
#define ECX_SSSE3       (1u << 9)
#define ECX_X2APIC      (1u << 21)
#define ECX_XSAVE       (1u << 26)
#define ECX_OSXSAVE     (1u << 27)
#define ECX_AVX         (1u << 28)
#define ECX_HYPERVISOR  (1u << 31)
#define EDX_FPU         (1u << 0)
#define EDX_TSC         (1u << 4)
#define EDX_MSR         (1u << 5)
#define EDX_PAE         (1u << 6)
#define EDX_CX8         (1u << 8)
#define EDX_APIC        (1u << 9)
#define EDX_MTRR        (1u << 12)
#define EDX_PGE         (1u << 13)
#define EDX_PAT         (1u << 16)
#define EDX_FXSR        (1u << 24)
#define EDX_SSE         (1u << 25)
#define EDX_SSE2        (1u << 26)
#define EXT_EDX_SYSCALL (1u << 11)
#define EXT_EDX_NX      (1u << 20)
#define EXT_EDX_RDTSCP  (1u << 27)
#define EXT_EDX_LM      (1u << 29)
#define EXT_ECX_SVM     (1u << 2)
#define CR4_OSXSAVE     (1ul << 18)
#define XCR0_X87        1u
#define XCR0_SSE        2u
#define XCR0_AVX        4u

static void basic(void)
{
    struct cpuid leaf0 = cpuid(0, 0), leaf1 = cpuid(1, 0);
    uint32_t needed = EDX_FPU | EDX_TSC | EDX_MSR | EDX_PAE | EDX_CX8 | EDX_APIC |
                      EDX_MTRR | EDX_PGE | EDX_PAT | EDX_FXSR | EDX_SSE | EDX_SSE2;

    check(leaf0.eax >= 0xd && leaf0.eax < 0x100, "highest basic leaf is %x", leaf0.eax);
    check_eq(leaf1.edx & needed, needed, "what x86-64 takes for granted is there");
    check(leaf1.ecx & ECX_SSE3, "SSE3");
    check(!env.xen || leaf1.ecx & ECX_HYPERVISOR, "the hypervisor bit is set under Xen");
    check(!env.xen || leaf1.ecx & ECX_X2APIC, "x2APIC is offered under Xen");
    check(!env.xen || !(leaf1.ecx & (ECX_VMX | ECX_MONITOR)), "no VMX, no MONITOR");
    check(!env.xen || !(cpuid(0x80000001, 0).ecx & EXT_ECX_SVM), "no SVM");
    check(!(leaf1.ecx & ECX_AVX) || leaf1.ecx & ECX_XSAVE, "AVX implies XSAVE");
    check_eq(leaf1.ebx >> 8 & 0xff, 8, "CLFLUSH line size (8 bytes each)");
    check_eq(leaf1.ebx >> 24, rdmsr(MSR_APIC_BASE) & 1ul << 8 ? 0 : leaf1.ebx >> 24,
             "the boot CPU's APIC id is 0");
}

static void extended(void)
{
    struct cpuid leaf0 = cpuid(0x80000000, 0), leaf1 = cpuid(0x80000001, 0);
    struct cpuid address = cpuid(0x80000008, 0);
    uint32_t bits = address.eax & 0xff;

    check(leaf0.eax >= 0x80000008 && leaf0.eax < 0x80000100,
          "highest extended leaf is %x", leaf0.eax);
    check(leaf1.edx & EXT_EDX_LM && leaf1.edx & EXT_EDX_SYSCALL && leaf1.edx & EXT_EDX_NX,
          "long mode, SYSCALL, NX");
    check(bits >= 36 && bits <= 52, "%u physical address bits", bits);
    check((address.eax >> 8 & 0xff) == 48 || (address.eax >> 8 & 0xff) == 57,
          "linear address bits");
    check_eq(cpuid(leaf0.eax, 0).eax, cpuid(leaf0.eax, 0).eax, "the last leaf is stable");
}

static void osxsave(void)
{
    uint64_t cr4 = read_cr4();
    struct cpuid before, on, off;

    if (!(cpuid(1, 0).ecx & ECX_XSAVE)) {
        skip("no XSAVE", "OSXSAVE follows CR4");
        return;
    }
    before = cpuid(0xd, 0);
    write_cr4(cr4 | CR4_OSXSAVE);
    on = cpuid(1, 0);
    asm volatile("xsetbv" ::"c"(0), "a"(XCR0_X87), "d"(0));
    check_eq(cpuid(0xd, 0).ebx, 576, "leaf D: 576 bytes for x87 alone");
    check(cpuid(0xd, 0).ecx >= 576 && cpuid(0xd, 0).ecx == before.ecx,
          "leaf D: the largest size does not depend on XCR0");
    if (on.ecx & ECX_AVX) {
        asm volatile("xsetbv" ::"c"(0), "a"(XCR0_X87 | XCR0_SSE | XCR0_AVX), "d"(0));
        check(cpuid(0xd, 0).ebx >= 832, "leaf D: with AVX the size is %u",
              cpuid(0xd, 0).ebx);
        asm volatile("xsetbv" ::"c"(0), "a"(XCR0_X87), "d"(0));
    } else {
        skip("no AVX", "leaf D: with AVX");
    }
    write_cr4(cr4);
    off = cpuid(1, 0);
    check((on.ecx & ECX_OSXSAVE) && !(off.ecx & ECX_OSXSAVE), "OSXSAVE follows CR4");
}

static void apic_bit(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (!env.xen) {
        skip("QEMU's own APIC does not come back", "APIC bit");
        return;
    }
    check(cpuid(1, 0).edx & EDX_APIC, "the APIC bit is set while the APIC is enabled");
    wrmsr(MSR_APIC_BASE, base & ~(3ul << 10));
    check(!(cpuid(1, 0).edx & EDX_APIC), "and clear while it is disabled");
    wrmsr(MSR_APIC_BASE, (base & ~(3ul << 10)) | 1ul << 11);
    if (base & 1ul << 10)
        wrmsr(MSR_APIC_BASE, base);
    check(cpuid(1, 0).edx & EDX_APIC, "and set again");
}

static void xen_leaves(void)
{
    struct cpuid first = cpuid(env.xen_base, 0), second, third, fifth, sixth;

    check(first.eax >= env.xen_base + 2 && first.eax <= env.xen_base + 0xff,
          "highest Xen leaf is %x", first.eax);
    check_eq(env.xen_version >> 16, 4, "major version");
    second = cpuid(env.xen_base + 2, 0);
    check_eq(second.eax, 1, "one hypercall page");
    check((second.ebx & 0xffff0000u) == 0x40000000u, "hypercall MSR is %x", second.ebx);
    if (first.eax >= env.xen_base + 3) {
        third = cpuid(env.xen_base + 3, 0);
        check(third.ecx > 1000, "TSC frequency is %u kHz", third.ecx);
        check(third.eax == 0 || third.ebx <= 3, "TSC mode is %u", third.ebx);
    }
    if (first.eax >= env.xen_base + 4) {
        fifth = cpuid(env.xen_base + 4, 0);
        check(fifth.eax & XEN_HVM_CPUID_VCPU_ID_PRESENT && fifth.ebx == 0,
              "vCPU id is given, and 0");
        check(!(fifth.eax & XEN_HVM_CPUID_DOMID_PRESENT) ||
                  fifth.ecx < DOMID_FIRST_RESERVED,
              "domain id is %u", fifth.ecx);
        check(!(env.dom0 && fifth.eax & XEN_HVM_CPUID_DOMID_PRESENT) || fifth.ecx == 0,
              "Dom0's id is 0");
    }
    sixth = cpuid(env.xen_base + 5, 0);
    check(first.eax < env.xen_base + 5 || (sixth.ebx & 0xff) <= 64,
          "machine address width");
    check(cpuid(env.xen_base + 0xff, 0).eax == 0, "a leaf beyond the last is empty");
}

static void beyond(void)
{
    struct cpuid leaf = cpuid(0x1000, 0);

    /* Intel returns the last basic leaf, AMD zeroes; neither invents features. */
    check((leaf.eax | leaf.ebx | leaf.ecx | leaf.edx) == 0 ||
              leaf.eax == cpuid(cpuid(0, 0).eax, 0).eax,
          "a basic leaf beyond the last is zero or the last");
    leaf = cpuid(0x80000fff, 0);
    check((leaf.eax | leaf.ebx | leaf.ecx | leaf.edx) == 0 ||
              leaf.eax == cpuid(cpuid(0, 0).eax, 0).eax,
          "an extended leaf beyond the last, too");
}

static void read_aux(void *aux)
{
    uint32_t low, high;

    asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*(uint32_t *)aux));
}

static void promises(void)
{
    uint64_t value;

    if (cpuid(0x80000001, 0).edx & EXT_EDX_RDTSCP) {
        uint32_t aux = 0;

        wrmsr(MSR_TSC_AUX, 0x1234);
        catch_call(read_aux, &aux);
        check_eq(aux, 0x1234, "RDTSCP gives TSC_AUX");
    } else {
        skip("not offered", "RDTSCP gives TSC_AUX");
    }
    check_eq(FAULT_VECTOR(rdmsr_catch(MSR_PAT, &value)), VEC_NONE, "PAT is there");
    check_eq(FAULT_VECTOR(rdmsr_catch(MSR_MTRRCAP, &value)), VEC_NONE, "MTRRs are there");
}

void test_main(void)
{
    basic();
    extended();
    beyond();
    osxsave();
    apic_bit();
    promises();
    if (env.xen)
        xen_leaves();
    else
        skip("no Xen here", "Xen's leaves");
}
