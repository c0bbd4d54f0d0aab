/*
 * Control and debug registers: what sticks, what faults, what has effects at once. The
 * values that must be refused come only with the option `strict`: where the hypervisor
 * lets the processor check, QEMU ends the guest instead (VMEXIT_INVALID).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

const char test_title[] = "control";

#define DR6_INIT     0xffff0ff0ul
#define DR7_INIT     0x400ul
#define DR7_GD       (1ul << 13)
#define DR7_L0       1ul
#define DR7_LEN0_8   (2ul << 18)
#define DR7_RW0_W    (1ul << 16)
#define CR4_RESERVED (1ul << 30)
#define CR4_VMXE     (1ul << 13)

static bool strict;

static void set_cr0(void *v)
{
    write_cr0((uintptr_t)v);
}
static void set_cr3(void *v)
{
    write_cr3((uintptr_t)v);
}
static void set_cr4(void *v)
{
    write_cr4((uintptr_t)v);
}
static void set_cr8(void *v)
{
    write_cr8((uintptr_t)v);
}
static void set_dr6(void *v)
{
    write_dr6((uintptr_t)v);
}
static void set_dr7(void *v)
{
    write_dr7((uintptr_t)v);
}
static void get_dr4(void *v)
{
    uint64_t x;

    asm volatile("movq %%db4, %0" : "=r"(x));
}
static void smsw_lmsw(void *v)
{
    uint16_t word;

    asm volatile("smsw %0" : "=r"(word));
    asm volatile("lmsw %0" ::"r"((uint16_t)(word | CR0_TS)));
}

static void refused(const char *name, void (*fn)(void *), uint64_t value)
{
    struct fault f;

    if (!strict) {
        skip("only with the option strict", "%s = %lx", name, value);
        return;
    }
    f = catch_call(fn, (void *)value);
    check(f.vector == VEC_GP && f.error == 0, "%s = %lx is #GP(0) (vector %u)", name,
          value, f.vector);
}

static void cr0(void)
{
    uint64_t old = read_cr0();

    check(old & CR0_PE && old & CR0_PG, "CR0 says protected mode and paging");
    write_cr0(old ^ CR0_WP);
    check_eq(read_cr0(), old ^ CR0_WP, "CR0.WP can be toggled");
    write_cr0(old | CR0_CD);
    check_eq(read_cr0(), old | CR0_CD, "CR0.CD can be set");
    write_cr0(old | CR0_TS);
    check_eq(read_cr0(), old | CR0_TS, "CR0.TS can be set");
    asm volatile("clts");
    check_eq(read_cr0(), old & ~CR0_TS, "CLTS clears it");
    check_eq(catch_call(smsw_lmsw, NULL).vector, VEC_NONE, "SMSW and LMSW work");
    check_eq(read_cr0(), old | CR0_TS, "LMSW sets TS");
    write_cr0(old);
    check_eq(read_cr0(), old, "CR0 restored");
    refused("CR0", set_cr0, old & ~CR0_PE);
    refused("CR0", set_cr0, (old | CR0_NW) & ~CR0_CD);
    refused("CR0", set_cr0, old | 1ul << 40);
    refused("CR0", set_cr0, old & ~CR0_PG);
}

static void cr3(void)
{
    uint64_t old = read_cr3();

    write_cr3(old | 8 | 16);
    check_eq(read_cr3(), old | 8 | 16, "CR3's cache bits stick");
    write_cr3(old);
    check_eq(read_cr3(), old, "CR3 restored");
}

static void cr4(void)
{
    uint64_t old = read_cr4();

    write_cr4(old | CR4_PGE);
    check_eq(read_cr4(), old | CR4_PGE, "CR4.PGE can be set");
    write_cr4(old | CR4_DE);
    check_eq(read_cr4(), old | CR4_DE, "CR4.DE can be set");
    check_eq(catch_call(get_dr4, NULL).vector, VEC_UD, "DR4 is #UD with CR4.DE");
    write_cr4(old);
    check_eq(catch_call(get_dr4, NULL).vector, VEC_NONE, "DR4 is DR6 without");
    refused("CR4", set_cr4, old | CR4_RESERVED);
    refused("CR4", set_cr4, old | CR4_VMXE);
    refused("CR4", set_cr4, old | 1ul << 63);
    refused("CR4", set_cr4, old & ~CR4_PAE);
    check_eq(read_cr4(), old, "CR4 restored");
}

static uint64_t user_rdtsc(uint64_t arg)
{
    return rdtsc();
}

static void tsd(void)
{
    struct fault f;

    write_cr4(read_cr4() | CR4_TSD);
    user_call(user_rdtsc, 0, &f);
    check_eq(f.vector, VEC_GP, "RDTSC in ring 3 is #GP with CR4.TSD");
    check(rdtsc() != 0, "but works in ring 0");
    write_cr4(read_cr4() & ~CR4_TSD);
    user_call(user_rdtsc, 0, &f);
    check_eq(f.vector, VEC_NONE, "RDTSC in ring 3 works without");
}

static void cr8(void)
{
    for (uint64_t i = 0; i < 16; i++) {
        write_cr8(i);
        if (read_cr8() != i) {
            check_eq(read_cr8(), i, "CR8 holds its value");
            return;
        }
    }
    write_cr8(0);
    check(true, "CR8 holds 0 to 15");
    if (strict)
        refused("CR8", set_cr8, 16);
    (void)set_cr3;
}

static volatile uint32_t debug_traps;
static volatile uint64_t debug_dr6;

static void on_debug(struct regs *regs)
{
    debug_traps++;
    debug_dr6 = read_dr6();
    write_dr7(DR7_INIT);
    write_dr6(DR6_INIT);
    regs->rflags |= RFLAGS_RF;
}

static void debug_registers(void)
{
    static volatile uint64_t watched;

    write_dr0(0x123456789abcul);
    write_dr3(0xffff800000000000ul);
    check(read_dr0() == 0x123456789abcul && read_dr3() == 0xffff800000000000ul,
          "DR0 and DR3 hold their values");
    write_dr7(DR7_INIT);
    check_eq(read_dr7(), DR7_INIT, "DR7 reads back");
    write_dr7(DR7_INIT | 0x55);
    check_eq(read_dr7(), DR7_INIT | 0x55, "DR7 holds enables");
    write_dr7(DR7_INIT);
    write_dr6(DR6_INIT);
    check_eq(read_dr6() & DR6_INIT, DR6_INIT, "DR6's fixed bits");
    refused("DR7", set_dr7, 1ul << 32);
    refused("DR6", set_dr6, 1ul << 32);

    set_handler(VEC_DB, on_debug);
    write_dr0((uintptr_t)&watched);
    write_dr7(DR7_INIT | DR7_L0 | DR7_RW0_W | DR7_LEN0_8);
    watched = 1;
    watched = 2;
    write_dr7(DR7_INIT);
    if (!debug_traps)
        /* QEMU before 10.0 does not arm a nested guest's breakpoints. */
        skip("the processor did not trap", "data breakpoint");
    else
        check((debug_dr6 & 1) && debug_traps == 1, "data breakpoint: DR6 is %lx",
              debug_dr6);
    set_handler(VEC_DB, NULL);
}

void test_main(void)
{
    strict = option_present("strict");
    cr0();
    cr3();
    cr4();
    tsd();
    cr8();
    debug_registers();
}
