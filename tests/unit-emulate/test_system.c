/* Directed tests of the emulator: privileged and system instructions, FPU availability.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "check.h"

/* --- system instructions
 * ----------------------------------------------------------------------------- */

static void test_privileged(void **state)
{
    static const struct {
        uint8_t bytes[4], len;
    } insn[] = {
        {{0xf4}, 1},             /* hlt */
        {{0x0f, 0x06}, 2},       /* clts */
        {{0x0f, 0x08}, 2},       /* invd */
        {{0x0f, 0x09}, 2},       /* wbinvd */
        {{0x0f, 0x30}, 2},       /* wrmsr */
        {{0x0f, 0x32}, 2},       /* rdmsr */
        {{0x0f, 0x20, 0xc0}, 3}, /* mov rax, cr0 */
        {{0x0f, 0x22, 0xd8}, 3}, /* mov cr3, rax */
        {{0x0f, 0x21, 0xf8}, 3}, /* mov rax, dr7 */
        {{0x0f, 0x23, 0xf8}, 3}, /* mov dr7, rax */
        {{0x0f, 0x00, 0xd0}, 3}, /* lldt ax */
        {{0x0f, 0x00, 0xd8}, 3}, /* ltr ax */
        {{0x0f, 0x01, 0x16}, 3}, /* lgdt [rsi] */
        {{0x0f, 0x01, 0x1e}, 3}, /* lidt [rsi] */
        {{0x0f, 0x01, 0xf0}, 3}, /* lmsw ax */
        {{0x0f, 0x01, 0x3e}, 3}, /* invlpg [rsi] */
        {{0x0f, 0x01, 0xd1}, 3}, /* xsetbv */
        {{0x0f, 0x01, 0xf8}, 3}, /* swapgs */
        {{0x0f, 0x07}, 2},       /* sysret */
        {{0xfa}, 1},             /* cli */
        {{0xfb}, 1},             /* sti */
        {{0xec}, 1},             /* in al, dx */
        {{0x6e}, 1},             /* outsb */
    };
    struct machine *m = check_machine(64);

    m->c.cpl = 3;
    m->tss[0x66] = 0xff; /* no I/O bitmap */
    m->regs.rsi = 0x12000;
    for (unsigned int k = 0; k < sizeof(insn) / sizeof(insn[0]); k++)
        check_fault(m, insn[k].bytes, insn[k].len, GP, 0);
    m->cr[4] |= 0x800 | 0x4; /* UMIP, TSD */
    FAULT(m, GP, 0, 0x0f, 0x01, 0x06);
    FAULT(m, GP, 0, 0x0f, 0x01, 0x0e);
    FAULT(m, GP, 0, 0x0f, 0x01, 0xe0);
    FAULT(m, GP, 0, 0x0f, 0x00, 0xc0);
    FAULT(m, GP, 0, 0x0f, 0x00, 0xc8);
    FAULT(m, GP, 0, 0x0f, 0x31);
    FAULT(m, GP, 0, 0x0f, 0x01, 0xf9);
    FAULT(m, GP, 0, 0x0f, 0x33);
    FAULT(m, UD, -1, 0x0f, 0x01, 0xca); /* clac */
}

static void test_control_registers(void **state)
{
    struct machine *m = check_machine(64);

    m->regs.rax = 0x8005003b;
    OKAY(m, 0x0f, 0x22, 0xc0);
    assert_int_equal(m->cr[0], 0x8005003b);
    OKAY(m, 0x0f, 0x06);
    assert_int_equal(m->cr[0], 0x80050033);
    m->regs.rbx = 7;
    OKAY(m, 0x44, 0x0f, 0x22, 0xc3); /* mov cr8, rbx */
    assert_int_equal(m->cr[8], 7);
    OKAY(m, 0xf0, 0x0f, 0x20, 0xc1); /* lock mov rcx, cr0: CR8 */
    assert_int_equal(m->regs.rcx, 7);
    m->c.features &= ~EMUL_F_CR8_LOCK;
    FAULT(m, UD, -1, 0xf0, 0x0f, 0x20, 0xc1);
    FAULT(m, UD, -1, 0x0f, 0x20, 0xc9); /* cr1 */
    FAULT(m, UD, -1, 0x44, 0x0f, 0x20, 0xd1);
    m->regs.rax = 0x80000000; /* PG without PE: the callback refuses */
    FAULT(m, GP, 0, 0x0f, 0x22, 0xc0);
    m->regs.rax = 0;
    OKAY(m, 0x0f, 0x01, 0xf0); /* lmsw cannot clear PE */
    assert_int_equal(m->cr[0] & 0xf, 1);
    /* with mod 0 the operand is a register all the same */
    m->cr[4] = 0x620;
    OKAY(m, 0x0f, 0x20, 0x20);
    assert_int_equal(m->regs.rax, 0x620);
    m->regs.rcx = 0x55;
    OKAY(m, 0x0f, 0x23, 0xe1); /* dr4 is dr6 */
    assert_int_equal(m->dr[6], 0x55);
    m->cr[4] |= 8; /* DE */
    FAULT(m, UD, -1, 0x0f, 0x23, 0xe1);
}

static void test_msrs(void **state)
{
    struct machine *m = check_machine(64);

    m->msr[0] = 0x10a;
    m->msr_value[0] = 0x1122334455667788;
    m->msr[1] = 0xc0000102;
    m->msr_value[1] = 0xffff800000001000;
    m->msr[2] = 0xc0000103;
    m->msr_value[2] = 0x99;
    m->regs.rcx = 0xffffffff0000010a;
    OKAY(m, 0x0f, 0x32);
    assert_int_equal(m->regs.rax, 0x55667788);
    assert_int_equal(m->regs.rdx, 0x11223344);
    m->regs.rax = 0xabcdef;
    OKAY(m, 0x0f, 0x30);
    assert_int_equal(m->msr_value[0], 0x1122334400abcdef);
    m->regs.rcx = 0x123;
    FAULT(m, GP, 0, 0x0f, 0x32);
    m->seg[EMUL_GS].base = 0x7000;
    OKAY(m, 0x0f, 0x01, 0xf8);
    assert_int_equal(m->seg[EMUL_GS].base, 0xffff800000001000);
    assert_int_equal(m->msr_value[1], 0x7000);
    m->tsc = 0x500000003;
    OKAY(m, 0x0f, 0x01, 0xf9);
    assert_int_equal(m->regs.rax, 3);
    assert_int_equal(m->regs.rdx, 5);
    assert_int_equal(m->regs.rcx, 0x99);
    m->regs.rax = 7;
    m->regs.rcx = 8;
    OKAY(m, 0x0f, 0xa2);
    assert_int_equal(m->regs.rax, 8);
    assert_int_equal(m->regs.rbx, 10);
}

static void test_tables(void **state)
{
    struct machine *m = check_machine(64);

    m->regs.rsi = 0x12000;
    OKAY(m, 0x0f, 0x01, 0x06);
    assert_int_equal(peek(m, 0x2000, 2), 0xff);
    assert_int_equal(peek(m, 0x2002, 8), MACHINE_GDT);
    poke(m, 0x2000, 2, 0x123);
    poke(m, 0x2002, 8, 0xffff880000000000);
    OKAY(m, 0x0f, 0x01, 0x1e);
    assert_int_equal(m->seg[EMUL_IDTR].base, 0xffff880000000000);
    assert_int_equal(m->seg[EMUL_IDTR].limit, 0x123);
    poke(m, 0x2002, 8, 0x8880000000000000);
    FAULT(m, GP, 0, 0x0f, 0x01, 0x1e);
    OKAY(m, 0x0f, 0x01, 0x3e);
    assert_int_equal(m->invlpg, 0x12000);
    m->regs.rsi = 0x8880000000000000; /* not canonical: nothing happens */
    OKAY(m, 0x0f, 0x01, 0x3e);
    assert_int_equal(m->invlpgs, 1);

    m = check_machine(16);
    m->regs.rsi = 0x2000;
    m->seg[EMUL_DS].base = 0x10000;
    poke(m, 0x2000, 2, 0x3ff);
    poke(m, 0x2002, 4, 0x12345678);
    OKAY(m, 0x0f, 0x01, 0x14); /* 24 bits of base */
    assert_int_equal(m->seg[EMUL_GDTR].base, 0x345678);
    OKAY(m, 0x66, 0x0f, 0x01, 0x14);
    assert_int_equal(m->seg[EMUL_GDTR].base, 0x12345678);
}

static void test_lldt_ltr(void **state)
{
    struct machine *m = check_machine(64);

    m->gdt[4] = machine_desc(0x1000, 0xff, 0x082);
    m->gdt[5] = 0xffff8800;
    m->gdt[6] = machine_desc(0x2000, 0x67, 0x089);
    m->gdt[7] = 0xffff8800;
    m->gdt[8] = machine_desc(0x3000, 0x67, 0x009); /* not present */
    m->regs.rax = 0x20;
    OKAY(m, 0x0f, 0x00, 0xd0);
    assert_int_equal(m->seg[EMUL_LDTR].base, 0xffff880000001000);
    assert_int_equal(m->seg[EMUL_LDTR].attr, 0x82);
    m->regs.rax = 0x30;
    FAULT(m, GP, 0x30, 0x0f, 0x00, 0xd0); /* not an LDT */
    OKAY(m, 0x0f, 0x00, 0xd8);
    assert_int_equal(m->seg[EMUL_TR].base, 0xffff880000002000);
    assert_int_equal(m->seg[EMUL_TR].attr, 0x8b);
    assert_int_equal(m->gdt[6] >> 40 & 0xff, 0x8b); /* busy in memory */
    FAULT(m, GP, 0x30, 0x0f, 0x00, 0xd8);
    m->regs.rax = 0x40;
    FAULT(m, NP, 0x40, 0x0f, 0x00, 0xd8);
    m->regs.rax = 0;
    FAULT(m, GP, 0, 0x0f, 0x00, 0xd8);
    OKAY(m, 0x0f, 0x00, 0xd0);
    assert_int_equal(m->seg[EMUL_LDTR].attr, 0);
    m->regs.rbx = 0x1234567890;
    OKAY(m, 0x0f, 0x00, 0xcb); /* str ebx */
    assert_int_equal(m->regs.rbx, 0x30);
}

static void test_syscall(void **state)
{
    struct machine *m = check_machine(64);

    m->msr[0] = 0xc0000081;
    m->msr_value[0] = 0x0023001000000000;
    m->msr[1] = 0xc0000082;
    m->msr_value[1] = 0xffffffff81000000;
    m->msr[2] = 0xc0000084;
    m->msr_value[2] = 0x700;
    m->c.cpl = 3;
    m->regs.rflags = 0x702 | 0x10000;
    OKAY(m, 0x0f, 0x05);
    assert_int_equal(m->regs.rip, 0xffffffff81000000);
    assert_int_equal(m->regs.rcx, m->base + 2);
    assert_int_equal(m->regs.r11, 0x702);
    assert_int_equal(m->regs.rflags, 2);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x10);
    assert_int_equal(m->seg[EMUL_CS].attr, 0xa9b);
    assert_int_equal(m->seg[EMUL_SS].sel, 0x18);
    assert_false(m->c.retire.singlestep); /* TF was masked */

    m = check_machine(64);
    m->msr[0] = 0xc0000081;
    m->msr_value[0] = 0x0023001000000000;
    m->regs.rcx = 0x400123;
    m->regs.r11 = 0x3202;
    OKAY(m, 0x48, 0x0f, 0x07);
    assert_int_equal(m->regs.rip, 0x400123);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x33);
    assert_int_equal(m->seg[EMUL_CS].attr, 0xafb);
    assert_int_equal(m->seg[EMUL_SS].sel, 0x2b);
    assert_int_equal(m->regs.rflags, 0x3202);

    m = check_machine(64);
    m->msr[0] = 0xc0000081;
    m->msr_value[0] = 0x0023001000000000;
    m->regs.rcx = 0xffffffff00400123;
    OKAY(m, 0x0f, 0x07); /* to compatibility mode */
    assert_int_equal(m->regs.rip, 0x400123);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x23);
    assert_int_equal(m->seg[EMUL_CS].attr, 0xcfb);

    m = check_machine(64);
    m->c.efer &= ~1ull; /* SCE */
    FAULT(m, UD, -1, 0x0f, 0x05);
    m = check_machine(64);
    m->c.features &= ~EMUL_F_AMD;
    m->msr[0] = 0xc0000081;
    m->regs.rcx = 0x8000000000000000;
    FAULT(m, GP, 0, 0x48, 0x0f, 0x07);
}

static void test_sysenter(void **state)
{
    struct machine *m = check_machine(32);

    m->msr[0] = 0x174;
    m->msr_value[0] = 0x10;
    m->msr[1] = 0x175;
    m->msr_value[1] = 0x18000;
    m->msr[2] = 0x176;
    m->msr_value[2] = 0x12345;
    m->c.cpl = 3;
    m->regs.rflags |= 0x200;
    OKAY(m, 0x0f, 0x34);
    assert_int_equal(m->regs.rip, 0x12345);
    assert_int_equal(m->regs.rsp, 0x18000);
    assert_int_equal(m->regs.rflags, 2);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x10);
    assert_int_equal(m->seg[EMUL_CS].attr, 0xc9b);
    assert_int_equal(m->seg[EMUL_SS].sel, 0x18);
    m->c.cpl = 0;
    m->regs.rip = m->base;
    m->regs.rcx = 0x1000;
    m->regs.rdx = 0x2000;
    OKAY(m, 0x0f, 0x35);
    assert_int_equal(m->regs.rip, 0x2000);
    assert_int_equal(m->regs.rsp, 0x1000);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x23);
    m->c.cpl = 3;
    m->regs.rip = m->base;
    m->msr_value[0] = 3;
    FAULT(m, GP, 0, 0x0f, 0x34);
    m = check_machine(64); /* AMD: not in long mode */
    FAULT(m, UD, -1, 0x0f, 0x34);
}

static void test_fpu_exceptions(void **state)
{
    static const struct {
        uint8_t bytes[5], len;
        bool x87, mmx;
    } insn[] = {
        {{0xd9, 0xd0}, 2, true, false},        /* fnop */
        {{0x0f, 0x6f, 0xc1}, 3, false, true},  /* movq mm0, mm1 */
        {{0x0f, 0x10, 0xc1}, 3, false, false}, /* movups xmm0, xmm1 */
        {{0x0f, 0x57, 0xc1}, 3, false, false}, /* xorps xmm0, xmm1 */
        {{0xc5, 0xf8, 0x10, 0xc1}, 4, false, false},
    };

    for (unsigned int k = 0; k < 5; k++) {
        struct machine *m = check_machine(64);
        bool avx = insn[k].bytes[0] == 0xc5;

        assert_int_equal(check_run(m, insn[k].bytes, insn[k].len), EMUL_OKAY);
        m->regs.rip = m->base;
        m->cr[0] |= 8; /* TS */
        check_fault(m, insn[k].bytes, insn[k].len, NM, -1);
        m->cr[0] |= 4; /* EM */
        check_fault(m, insn[k].bytes, insn[k].len, insn[k].x87 || avx ? NM : UD, -1);
        m->cr[0] &= ~12ull;
        m->fpu_pending = true;
        if (insn[k].x87 || insn[k].mmx)
            check_fault(m, insn[k].bytes, insn[k].len, 16, -1);
        m->fpu_pending = false;
        m->cr[4] &= ~0x200ull; /* OSFXSR */
        if (!insn[k].x87 && !insn[k].mmx && !avx)
            check_fault(m, insn[k].bytes, insn[k].len, UD, -1);
        m->xcr0 = 3;
        if (avx)
            check_fault(m, insn[k].bytes, insn[k].len, UD, -1);
        m->xcr0 = 7;
        m->cr[4] &= ~0x40000ull; /* OSXSAVE */
        if (avx)
            check_fault(m, insn[k].bytes, insn[k].len, UD, -1);
    }
}

static void test_fwait(void **state)
{
    struct machine *m = check_machine(64);

    m->cr[0] = (m->cr[0] & ~2ull) | 8; /* TS without MP */
    OKAY(m, 0x9b);
    m->regs.rip = m->base;
    m->cr[0] |= 2;
    FAULT(m, NM, -1, 0x9b);
    m->cr[0] &= ~8ull;
    m->fpu_pending = true;
    FAULT(m, 16, -1, 0x9b);
    OKAY(m, 0xdb, 0xe2); /* fnclex */
    OKAY(m, 0x9b);
    m->fcw = 0x27f;
    m->regs.rsi = 0x12000;
    OKAY(m, 0xd9, 0x3e);
    assert_int_equal(peek(m, 0x2000, 2), 0x27f);
    OKAY(m, 0xdb, 0xe3);
    assert_int_equal(m->fcw, 0x37f);
    m->fsw = 0x3800;
    OKAY(m, 0xdf, 0xe0);
    assert_int_equal(m->regs.rax & 0xffff, 0x3800);
}

static void test_unhandled(void **state)
{
    struct machine *m = check_machine(64);
    struct cpu_regs before = m->regs;

    m->regs.rsi = before.rsi = 0x12000;
    assert_int_equal(RUN(m, 0x0f, 0x58, 0xc1), EMUL_UNHANDLEABLE); /* addps */
    assert_int_equal(RUN(m, 0xd8, 0x06), EMUL_UNHANDLEABLE);       /* fadd */
    assert_int_equal(RUN(m, 0x62, 0xf1, 0x7c, 0x48, 0x10, 0x06), EMUL_UNHANDLEABLE);
    assert_int_equal(RUN(m, 0x0f, 0xae, 0x06), EMUL_UNHANDLEABLE); /* fxsave */
    assert_memory_equal(&m->regs, &before, sizeof(before));
    FAULT(m, UD, -1, 0x0f, 0x0b);
    FAULT(m, UD, -1, 0x0f, 0x04);
    FAULT(m, UD, -1, 0x06);
    FAULT(m, UD, -1, 0xf0, 0x8b, 0x06);
    FAULT(m, UD, -1, 0xf0, 0x01, 0xc0);
    OKAY(m, 0x0f, 0x01, 0xd9);
    assert_int_equal(m->hypercalls, 1);
}

const struct CMUnitTest system_tests[] = {
    cmocka_unit_test(test_privileged), cmocka_unit_test(test_control_registers),
    cmocka_unit_test(test_msrs),       cmocka_unit_test(test_tables),
    cmocka_unit_test(test_lldt_ltr),   cmocka_unit_test(test_syscall),
    cmocka_unit_test(test_sysenter),   cmocka_unit_test(test_fpu_exceptions),
    cmocka_unit_test(test_fwait),      cmocka_unit_test(test_unhandled),
};
const size_t system_count = sizeof(system_tests) / sizeof(system_tests[0]);
