/* Directed tests of the emulator: real mode, virtual-8086 mode, protection, far
 * transfers. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "check.h"

/* --- real mode
 * ---------------------------------------------------------------------------- */

static void test_real_addresses(void **state)
{
    struct machine *m = check_machine(0);

    m->seg[EMUL_DS] = (struct emul_seg){0x200, 0x93, 0xffff, 0x2000};
    m->regs.rbx = 0xffff0010; /* the upper half does not count */
    poke(m, 0x2014, 2, 0xbeef);
    OKAY(m, 0x8b, 0x47, 0x04);
    assert_int_equal(m->regs.rax, 0xbeef);
    m->regs.rbx = 0xffff; /* wraps within the segment */
    poke(m, 0x2003, 2, 0x1234);
    OKAY(m, 0x8b, 0x47, 0x04);
    assert_int_equal(m->regs.rax, 0x1234);
    m->regs.rip = 0;
    FAULT(m, GP, -1, 0x8b, 0x07); /* the word itself does not */
    m->regs.rbp = 0xffff;
    FAULT(m, SS, -1, 0x8b, 0x46, 0x00);
    m->regs.rbx = 0x10000;
    FAULT(m, GP, -1, 0x67, 0x8b, 0x03); /* 32-bit address beyond the limit */
    m->seg[EMUL_DS].limit = 0xffffffff; /* unreal mode */
    m->seg[EMUL_DS].base = 0;
    m->regs.rbx = 0x8000;
    OKAY(m, 0x67, 0x66, 0x8b, 0x03);
    OKAY(m, 0x2e, 0xa3, 0x00, 0x20); /* code segments are writable */
    assert_int_equal(peek(m, 0x2000, 2), m->regs.rax & 0xffff);
}

static void test_real_segments(void **state)
{
    struct machine *m = check_machine(0);

    m->regs.rax = 0x1234;
    m->seg[EMUL_ES].limit = 0xfffff; /* kept by a load */
    OKAY(m, 0x8e, 0xc0);
    assert_int_equal(m->seg[EMUL_ES].sel, 0x1234);
    assert_int_equal(m->seg[EMUL_ES].base, 0x12340);
    assert_int_equal(m->seg[EMUL_ES].limit, 0xfffff);
    m->regs.rsp = 0x100;
    m->seg[EMUL_SS].base = 0x1000;
    OKAY(m, 0x0e); /* push cs */
    assert_int_equal(m->regs.rsp, 0xfe);
    OKAY(m, 0x06);
    assert_int_equal(peek(m, 0x10fc, 2), 0x1234);
    OKAY(m, 0x1f);
    assert_int_equal(m->seg[EMUL_DS].base, 0x12340);
    FAULT(m, UD, -1, 0x8e, 0xc8); /* mov cs, ax */
}

static void test_real_stack(void **state)
{
    struct machine *m = check_machine(0);

    m->regs.rsp = 0xabcd0000;
    m->regs.rax = 0x7777;
    OKAY(m, 0x50); /* SP wraps, the upper half stays */
    assert_int_equal(m->regs.rsp, 0xabcdfffe);
    assert_int_equal(peek(m, 0xfffe, 2), 0x7777);
    m->regs.rsp = 1;
    FAULT(m, SS, -1, 0x50); /* would lie across the end */
    m->regs.rsp = 0x8000;
    m->regs.rbx = 0x1111;
    OKAY(m, 0x60);
    assert_int_equal(m->regs.rsp, 0x7ff0);
    assert_int_equal(peek(m, 0x7ff6, 2), 0x8000); /* the old SP */
    m->regs.rax = m->regs.rbx = 0;
    OKAY(m, 0x61);
    assert_int_equal(m->regs.rax, 0x7777);
    assert_int_equal(m->regs.rbx, 0x1111);
    assert_int_equal(m->regs.rsp, 0x8000);
}

static void test_real_far(void **state)
{
    struct machine *m = check_machine(0);

    OKAY(m, 0xea, 0x34, 0x02, 0x00, 0x01);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x100);
    assert_int_equal(m->seg[EMUL_CS].base, 0x1000);
    assert_int_equal(m->regs.rip, 0x234);
    OKAY(m, 0x9a, 0x00, 0x03, 0x00, 0x02);
    assert_int_equal(peek(m, 0x7ffc, 2), 0x239);
    assert_int_equal(peek(m, 0x7ffe, 2), 0x100);
    assert_int_equal(m->seg[EMUL_CS].base, 0x2000);
    OKAY(m, 0xca, 0x08, 0x00);
    assert_int_equal(m->regs.rip, 0x239);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x100);
    assert_int_equal(m->regs.rsp, 0x8008);
    FAULT(m, GP, -1, 0x66, 0xea, 0x00, 0x00, 0x01, 0x00, 0x00, 0x01);
    poke(m, 0x8008, 2, 0x99);
    poke(m, 0x800a, 2, 0x300);
    poke(m, 0x800c, 2, 0x3ed7);
    OKAY(m, 0xcf);
    assert_int_equal(m->regs.rip, 0x99);
    assert_int_equal(m->seg[EMUL_CS].base, 0x3000);
    assert_int_equal(m->regs.rflags, 0x3ed7 & ~0x8000);
    assert_true(m->c.retire.unblock_nmi);
}

static void test_real_misc(void **state)
{
    struct machine *m = check_machine(0);

    FAULT(m, UD, -1, 0x0f, 0x00, 0xc0); /* sldt */
    FAULT(m, UD, -1, 0x63, 0xc0);       /* arpl */
    FAULT(m, UD, -1, 0xc5, 0xf8, 0x10, 0xc1);
    OKAY(m, 0xfb); /* IOPL does not matter */
    m->seg[EMUL_IDTR].limit = 0x3ff;
    m->regs.rip = 0;
    assert_int_equal(RUN(m, 0xcd, 0x10), EMUL_EXCEPTION);
    assert_int_equal(m->c.event.vector, 0x10);
    assert_int_equal(m->c.event.type, EMUL_EVENT_SW_INTERRUPT);
    m->seg[EMUL_IDTR].limit = 0x42;
    FAULT(m, GP, -1, 0xcd, 0x10);
    /* jumps stay in the segment */
    m->regs.rip = 0x10;
    OKAY(m, 0xeb, 0x80);
    assert_int_equal(m->regs.rip, 0xff92);
    m->regs.rip = 0x10;
    FAULT(m, GP, -1, 0x66, 0xe9, 0x00, 0x00, 0x01, 0x00);
    /* the fetch stops at the limit */
    m->regs.rip = 0xffff;
    FAULT(m, GP, -1, 0xb8);
    m->seg[EMUL_CS].limit = 0xffffffff;
    m->regs.rip = 0;
    m->regs.rax = 1;
    OKAY(m, 0x0f, 0x01, 0xf0); /* lmsw: protected mode on */
    assert_int_equal(m->cr[0] & 1, 1);
}

/* --- virtual-8086 mode
 * ------------------------------------------------------------------------- */

static struct machine *v86_machine(unsigned int iopl)
{
    struct machine *m = check_machine(32);

    m->c.cpl = 3;
    m->regs.rflags = 0x20002 | iopl << 12;
    m->regs.rip = 0;
    for (unsigned int k = 0; k <= EMUL_GS; k++)
        m->seg[k] = (struct emul_seg){0x1000, 0xf3, 0xffff, 0x10000};
    m->regs.rsp = 0x8000;
    return m;
}

static void test_v86(void **state)
{
    struct machine *m = v86_machine(0);

    FAULT(m, GP, 0, 0xcd, 0x21);
    FAULT(m, GP, 0, 0x9c);
    FAULT(m, GP, 0, 0x9d);
    FAULT(m, GP, 0, 0xcf);
    FAULT(m, GP, 0, 0xfa);
    FAULT(m, GP, 0, 0xf4);
    FAULT(m, UD, -1, 0x0f, 0x00, 0xc0);
    m->tss[0x66] = 0xff;
    FAULT(m, GP, 0, 0xec); /* by the bitmap, whatever IOPL */
    m->regs.rax = 0x2000;
    OKAY(m, 0x8e, 0xd8);
    assert_int_equal(m->seg[EMUL_DS].base, 0x20000);
    assert_int_equal(m->seg[EMUL_DS].attr, 0xf3);

    m = v86_machine(3);
    m->idt[0x21] = 0x8eull << 40; /* a 32-bit gate of DPL 0 */
    FAULT(m, GP, 0x21 * 8 + 2, 0xcd, 0x21);
    m->idt[0x21] = 0xeeull << 40;
    assert_int_equal(RUN(m, 0xcd, 0x21), EMUL_EXCEPTION);
    assert_int_equal(m->c.event.type, EMUL_EVENT_SW_INTERRUPT);
    OKAY(m, 0x9c);
    assert_int_equal(peek(m, 0x7ffe, 2), 0x3002);
    poke(m, 0x7ffe, 2, 0x4ad7);
    OKAY(m, 0x9d); /* not IOPL, not VM */
    assert_int_equal(m->regs.rflags, (0x4ad7 | 0x3000 | 0x20000) & ~0x8000);
    OKAY(m, 0xfa);
    /* VME: IF is VIF */
    m = v86_machine(0);
    m->cr[4] |= 1;
    OKAY(m, 0xfb);
    assert_int_equal(m->regs.rflags & 0x80200, 0x80000);
    OKAY(m, 0x9c);
    assert_int_equal(peek(m, 0x7ffe, 2) & 0x3200, 0x3200);
}

static void test_iret_to_v86(void **state)
{
    static const uint32_t frame[] = {0x123,  0x1000, 0x23202 | 0x200, 0x7000, 0x1100,
                                     0x1200, 0x1300, 0x1400,          0x1500};
    struct machine *m = check_machine(32);

    memcpy(m->mem + 0x8000, frame, sizeof(frame));
    OKAY(m, 0xcf);
    assert_int_equal(m->regs.rip, 0x123);
    assert_int_equal(m->regs.rsp, 0x7000);
    assert_int_equal(m->regs.rflags, 0x23202);
    assert_int_equal(m->seg[EMUL_CS].base, 0x10000);
    assert_int_equal(m->seg[EMUL_SS].base, 0x11000);
    assert_int_equal(m->seg[EMUL_ES].sel, 0x1200);
    assert_int_equal(m->seg[EMUL_DS].sel, 0x1300);
    assert_int_equal(m->seg[EMUL_GS].sel, 0x1500);
    assert_int_equal(m->seg[EMUL_GS].attr, 0xf3);
}

/* --- protection
 * ------------------------------------------------------------------------------------ */

static struct machine *ring_machine(void)
{
    struct machine *m = check_machine(32);

    m->gdt[3] = machine_desc(0, 0xffffffff, 0xcfb);  /* 0x18: code, DPL 3 */
    m->gdt[4] = machine_desc(0, 0xffffffff, 0xcf2);  /* 0x20: data, DPL 3, not accessed */
    m->gdt[5] = machine_desc(0, 0xffffffff, 0xc13);  /* 0x28: not present */
    m->gdt[6] = machine_desc(0, 0xffffffff, 0xc9f);  /* 0x30: conforming code */
    m->gdt[7] = machine_desc(0x10000, 0xfff, 0x491); /* 0x38: read-only, 4 KiB */
    m->gdt[8] = machine_desc(0, 0xffffffff, 0xc98);  /* 0x40: execute-only */
    m->gdt[9] = machine_desc(0x10000, 0x7fff, 0x497); /* 0x48: expand-down */
    m->gdt[10] = machine_desc(0, 0, 0x08c);           /* 0x50: call gate */
    return m;
}

static void test_segment_loads(void **state)
{
    struct machine *m = ring_machine();

    m->regs.rax = 0x20;
    OKAY(m, 0x8e, 0xc0);
    assert_int_equal(m->gdt[4] >> 40 & 1,
                     1); /* accessed, in memory and in the register */
    assert_int_equal(m->seg[EMUL_ES].attr, 0xcf3);
    FAULT(m, GP, 0x20, 0x8e, 0xd0); /* as SS: DPL is not CPL */
    m->regs.rax = 0x28;
    FAULT(m, NP, 0x28, 0x8e, 0xc0);
    FAULT(m, SS, 0x28, 0x8e, 0xd0);
    m->regs.rax = 0x40;
    FAULT(m, GP, 0x40, 0x8e, 0xc0);
    m->regs.rax = 0x50;
    FAULT(m, GP, 0x50, 0x8e, 0xc0);
    m->regs.rax = 0x13;
    FAULT(m, GP, 0x10, 0x8e, 0xc0); /* RPL 3, DPL 0 */
    m->regs.rax = 0x100;
    FAULT(m, GP, 0x100, 0x8e, 0xc0); /* beyond the table */
    m->regs.rax = 0;
    FAULT(m, GP, 0, 0x8e, 0xd0);
    OKAY(m, 0x8e, 0xd8);
    m->regs.rsi = 0x12000;
    FAULT(m, GP, 0, 0x8b, 0x06); /* through the null segment */
    m->regs.rax = 0x38;
    OKAY(m, 0x8e, 0xd8);
    m->regs.rsi = 0xffc;
    OKAY(m, 0x8b, 0x06);
    FAULT(m, GP, 0, 0x89, 0x06); /* read-only */
    m->regs.rsi = 0xffd;
    FAULT(m, GP, 0, 0x8b, 0x06); /* limit */
    m->regs.rax = 0x48;
    OKAY(m, 0x8e, 0xd8);
    FAULT(m, GP, 0, 0x8b, 0x06);
    m->regs.rsi = 0x7fff;
    FAULT(m, GP, 0, 0x8b, 0x06);
    m->regs.rsi = 0x8000;
    OKAY(m, 0x8b, 0x06);
    m->regs.rax = 0x30; /* conforming code as data */
    OKAY(m, 0x8e, 0xd8);
}

static void test_accessed_bit_race(void **state)
{
    struct machine *m = ring_machine();

    m->regs.rax = 0x20;
    m->retry_at = 2; /* reading the descriptor, then updating it */
    assert_int_equal(RUN(m, 0x8e, 0xc0), EMUL_RETRY);
    assert_int_equal(m->seg[EMUL_ES].sel, 16);
    m->retry_at = 0;
    OKAY(m, 0x8e, 0xc0);
    assert_int_equal(m->seg[EMUL_ES].sel, 0x20);
}

static void test_protected_far(void **state)
{
    struct machine *m = ring_machine();

    OKAY(m, 0xea, 0x10, 0x00, 0x01, 0x00, 0x30, 0x00); /* conforming, same ring */
    assert_int_equal(m->seg[EMUL_CS].sel, 0x30);
    assert_int_equal(m->regs.rip, 0x10010);
    OKAY(m, 0x9a, 0x20, 0x00, 0x01, 0x00, 0x08, 0x00);
    assert_int_equal(peek(m, 0x7ff8, 4), 0x10017);
    assert_int_equal(peek(m, 0x7ffc, 4), 0x30);
    assert_int_equal(m->seg[EMUL_CS].sel, 8);
    FAULT(m, GP, 0x18, 0xea, 0, 0, 0, 0, 0x18, 0x00); /* outer ring */
    FAULT(m, GP, 0x10, 0xea, 0, 0, 0, 0, 0x10, 0x00); /* data */
    FAULT(m, GP, 0, 0xea, 0, 0, 0, 0, 0, 0);
    FAULT(m, GP, 0x100, 0xea, 0, 0, 0, 0, 0x00, 0x01);
    assert_int_equal(RUN(m, 0xea, 0, 0, 0, 0, 0x50, 0),
                     EMUL_UNHANDLEABLE); /* call gate */
    OKAY(m, 0xcb);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x30);
    assert_int_equal(m->regs.rsp, 0x18000);
}

static void test_return_outer(void **state)
{
    struct machine *m = ring_machine();

    m->seg[EMUL_FS].attr = 0xc93; /* DPL 0: lost on the way out */
    machine_load_selector(m, EMUL_GS, 0x30);
    machine_load_selector(m, EMUL_DS, 0x20);
    m->seg[EMUL_DS].attr |= 1;
    poke(m, 0x8000, 4, 0x10500);
    poke(m, 0x8004, 4, 0x1b);
    poke(m, 0x8008, 4, 0x11111111); /* parameter */
    poke(m, 0x800c, 4, 0x17000);
    poke(m, 0x8010, 4, 0x23);
    OKAY(m, 0xca, 0x04, 0x00);
    assert_int_equal(m->seg[EMUL_CS].sel, 0x1b);
    assert_int_equal(m->seg[EMUL_SS].sel, 0x23);
    assert_int_equal(m->regs.rsp, 0x17004);
    assert_int_equal(m->regs.rip, 0x10500);
    assert_int_equal(m->seg[EMUL_FS].attr, 0);
    assert_int_equal(m->seg[EMUL_ES].attr, 0);
    assert_int_equal(m->seg[EMUL_GS].sel, 0x30);
    assert_int_equal(m->seg[EMUL_DS].sel, 0x20);

    m = ring_machine();
    poke(m, 0x8000, 4, 0x10500);
    poke(m, 0x8004, 4, 0x1b);
    poke(m, 0x8008, 4, 0x3257);
    poke(m, 0x800c, 4, 0x17000);
    poke(m, 0x8010, 4, 0x10); /* SS of the wrong ring */
    FAULT(m, GP, 0x10, 0xcf);
    poke(m, 0x8010, 4, 0x23);
    OKAY(m, 0xcf);
    assert_int_equal(m->regs.rflags, 0x3257);
    assert_int_equal(m->regs.rsp, 0x17000);
    assert_int_equal(m->seg[EMUL_SS].attr, 0xcf3);
    m->c.cpl = 3; /* back inside is refused */
    m->regs.rsp = 0x18000;
    m->regs.rip = m->base;
    poke(m, 0x8004, 4, 0x8);
    FAULT(m, GP, 0x8, 0xcf);
}

static void test_iret_64(void **state)
{
    struct machine *m = check_machine(64);

    m->gdt[3] = machine_desc(0, 0xffffffff, 0xafb);
    m->gdt[4] = machine_desc(0, 0xffffffff, 0xcf3);
    poke(m, 0x8000, 8, 0x7fff12345678);
    poke(m, 0x8008, 8, 0x1b);
    poke(m, 0x8010, 8, 0x10202);
    poke(m, 0x8018, 8, 0x7fffdeadbee0);
    poke(m, 0x8020, 8, 0x23);
    OKAY(m, 0x48, 0xcf);
    assert_int_equal(m->regs.rip, 0x7fff12345678);
    assert_int_equal(m->regs.rsp, 0x7fffdeadbee0);
    assert_int_equal(m->regs.rflags, 0x10202); /* RF is loaded */
    assert_int_equal(m->seg[EMUL_SS].sel, 0x23);
    m = check_machine(64);
    poke(m, 0x8000, 8, 0x8000000000000000);
    poke(m, 0x8008, 8, 8);
    poke(m, 0x8018, 8, 0x18000);
    poke(m, 0x8020, 8, 0);
    FAULT(m, GP, 0, 0x48, 0xcf);
    poke(m, 0x8000, 8, 0x11000); /* ring 0 may have a null SS */
    OKAY(m, 0x48, 0xcf);
    assert_int_equal(m->seg[EMUL_SS].sel, 0);
    m->regs.rflags |= 0x4000; /* NT */
    m->regs.rip = m->base;
    FAULT(m, GP, 0, 0x48, 0xcf);
}

static void test_canonical(void **state)
{
    struct machine *m = check_machine(64);

    m->regs.rax = m->regs.rbp = 0x800000000000;
    FAULT(m, GP, 0, 0x8a, 0x00);
    FAULT(m, SS, 0, 0x8a, 0x45, 0x00);
    m->regs.rax = 0x7fffffffffff;
    FAULT(m, GP, 0, 0x66, 0x8b, 0x00); /* one byte too far */
    m->seg[EMUL_FS].base = 0x700000000000;
    m->regs.rax = 0x200000000000;
    FAULT(m, GP, 0, 0x64, 0x8a, 0x00);
    m->regs.rsp = 0x8000000000000000;
    FAULT(m, SS, 0, 0x50);
    m->regs.rax = 0x8000000000000000;
    m->regs.rsp = 0x18000;
    FAULT(m, GP, 0, 0xff, 0xe0);
    m->regs.rax = 0xffff800000000000;
    OKAY(m, 0xff, 0xe0);
}

static void test_compat_wrap(void **state)
{
    struct machine *m = check_machine(32);

    /* linear addresses are 32 bits wide outside of 64-bit mode */
    m->seg[EMUL_DS].base = 0xffffff00;
    m->regs.rsi = 0x12100;
    poke(m, 0x2000, 4, 0xcafebabe);
    OKAY(m, 0x8b, 0x06);
    assert_int_equal(m->regs.rax, 0xcafebabe);
    assert_int_equal(m->log[0].where, 0x12000);
}

/* --- task switches
 * ---------------------------------------------------------------------------- */

enum { OLD_TASK = 8 << 3, NEW_TASK = 9 << 3, NEW_TSS = 0x3000, TASK_GATE = 12 << 3 };

static unsigned int desc_type(const struct machine *m, uint16_t sel)
{
    return m->gdt[sel >> 3] >> 40 & 15;
}

/* A 32-bit machine in task 0x40 with a second one, 0x48, that waits. */
static struct machine *task_machine(void)
{
    struct machine *m = check_machine(32);

    m->gdt[OLD_TASK >> 3] = machine_desc(m->seg[EMUL_TR].base, 0x67, 0x08b);
    m->gdt[NEW_TASK >> 3] = machine_desc(m->base + NEW_TSS, 0x67, 0x089);
    m->gdt[TASK_GATE >> 3] = (uint64_t)NEW_TASK << 16 | 0xe5ull << 40;
    memset(m->mem + NEW_TSS, 0, 0x68);
    poke(m, NEW_TSS + 0x1c, 4, 0x5000);
    poke(m, NEW_TSS + 0x20, 4, 0x1234);
    poke(m, NEW_TSS + 0x24, 4, 0x202);
    for (unsigned int i = 0; i < 8; i++)
        poke(m, NEW_TSS + 0x28 + 4 * i, 4, i == 4 ? m->base + 0x9000 : 0x100 + i);
    for (unsigned int i = 0; i < 6; i++)
        poke(m, NEW_TSS + 0x48 + 4 * i, 2, i == EMUL_CS ? 8 : i == EMUL_FS ? 0 : 16);
    m->regs.rax = 0xaaaa5555;
    m->dr[7] = 0x755;
    return m;
}

static void check_in_new_task(struct machine *m)
{
    assert_int_equal(m->regs.rip, 0x1234);
    assert_int_equal(m->regs.rax, 0x100);
    assert_int_equal(m->regs.rdi, 0x107);
    assert_int_equal(m->cr[3], 0x5000);
    assert_true(m->cr[0] & 8); /* TS */
    assert_int_equal(m->dr[7] & 0x3ff, 0x200);
    assert_int_equal(m->seg[EMUL_TR].sel, NEW_TASK);
    assert_int_equal(m->seg[EMUL_TR].attr & 15, 11);
    assert_int_equal(m->seg[EMUL_FS].sel, 0);
    assert_int_equal(m->seg[EMUL_ES].attr, 0xc93);
    assert_int_equal(desc_type(m, NEW_TASK), 11);
    assert_int_equal(*(uint32_t *)(m->tss + 0x28), 0xaaaa5555);
}

static void test_task_jmp(void **state)
{
    struct machine *m = task_machine();

    OKAY(m, 0xea, 0, 0, 0, 0, NEW_TASK, 0);
    check_in_new_task(m);
    assert_int_equal(m->regs.rflags, 0x202);
    assert_int_equal(desc_type(m, OLD_TASK), 9);
    assert_int_equal(*(uint32_t *)(m->tss + 0x20), m->base + 7);
    assert_int_equal(*(uint16_t *)(m->tss + 0x4c), 8);

    m = task_machine();
    OKAY(m, 0xea, 0, 0, 0, 0, TASK_GATE, 0); /* through a gate in the GDT */
    check_in_new_task(m);
}

static void test_task_call(void **state)
{
    struct machine *m = task_machine();
    uint64_t rip = m->regs.rip;

    OKAY(m, 0x9a, 0, 0, 0, 0, NEW_TASK, 0);
    check_in_new_task(m);
    assert_int_equal(m->regs.rflags, 0x4202); /* NT */
    assert_int_equal(peek(m, NEW_TSS, 2), OLD_TASK);
    assert_int_equal(desc_type(m, OLD_TASK), 11);

    *(uint32_t *)(m->tss + 0x1c) = 0x7000; /* CR3 is read, never saved */
    m->regs.rip = m->base + 0x100;
    m->regs.rbx = 0x77;
    OKAY(m, 0xcf);
    assert_int_equal(m->regs.rip, rip + 7);
    assert_int_equal(m->regs.rax, 0xaaaa5555);
    assert_int_equal(m->cr[3], 0x7000);
    assert_int_equal(desc_type(m, OLD_TASK), 11);
    assert_int_equal(desc_type(m, NEW_TASK), 9);
    assert_int_equal(peek(m, NEW_TSS + 0x24, 4), 0x202); /* without NT */
    assert_int_equal(peek(m, NEW_TSS + 0x20, 4), m->base + 0x101);
    assert_int_equal(peek(m, NEW_TSS + 0x34, 4), 0x77);
}

static void test_task_faults(void **state)
{
    struct machine *m = task_machine();
    uint64_t good = m->gdt[NEW_TASK >> 3];

    FAULT(m, GP, OLD_TASK, 0xea, 0, 0, 0, 0, OLD_TASK, 0); /* busy */
    m->gdt[NEW_TASK >> 3] = good & ~(0x80ull << 40);
    FAULT(m, NP, NEW_TASK, 0xea, 0, 0, 0, 0, NEW_TASK, 0);
    m->gdt[NEW_TASK >> 3] = good - 1; /* limit 0x66 */
    FAULT(m, TS, NEW_TASK, 0xea, 0, 0, 0, 0, NEW_TASK, 0);
    m->gdt[NEW_TASK >> 3] = good;
    m->regs.rflags |= 0x4000;
    *(uint16_t *)m->tss = NEW_TASK;
    FAULT(m, TS, NEW_TASK, 0xcf); /* back to one that is not busy */
    assert_int_equal(desc_type(m, NEW_TASK), 9);
    assert_int_equal(desc_type(m, OLD_TASK), 11);

    /* What is wrong with the new task's segments happens in the new task. */
    m = task_machine();
    poke(m, NEW_TSS + 0x50, 2, 8); /* SS: code */
    assert_int_equal(RUN(m, 0x9a, 0, 0, 0, 0, NEW_TASK, 0), EMUL_EXCEPTION);
    assert_true(m->c.task_switched);
    assert_int_equal(m->c.event.vector, TS);
    assert_int_equal(m->c.event.error, 8);
    assert_int_equal(m->regs.rip, 0x1234);
    assert_int_equal(m->seg[EMUL_TR].sel, NEW_TASK);
}

/* An exception through a task gate of the IDT: the error code is on the new stack. */
static void test_task_event(void **state)
{
    struct machine *m = task_machine();
    const uint32_t error = 0xabc;

    OKAY(m, 0x90); /* fills the context */
    poke(m, NEW_TSS + 0x64, 2, 1);
    m->c.seg_valid = 0;
    assert_int_equal(emul_task_switch_event(&m->c, NEW_TASK, &error), EMUL_OKAY);
    check_in_new_task(m);
    assert_true(m->c.retire.task_trap);
    assert_int_equal(m->regs.rsp, m->base + 0x9000 - 4);
    assert_int_equal(peek(m, 0x8ffc, 4), error);
    assert_int_equal(*(uint32_t *)(m->tss + 0x20), m->base + 1);
}

/* A 16-bit TSS: no CR3, FS, GS; upper halves of the registers are set. */
static void test_task_286(void **state)
{
    struct machine *m = task_machine();

    m->gdt[NEW_TASK >> 3] = machine_desc(m->base + NEW_TSS, 0x2b, 0x081);
    memset(m->mem + NEW_TSS, 0, 0x68);
    poke(m, NEW_TSS + 0x0e, 2, 0x4321);
    poke(m, NEW_TSS + 0x10, 2, 0x2);
    poke(m, NEW_TSS + 0x12, 2, 0x1111);
    for (unsigned int i = 0; i < 4; i++)
        poke(m, NEW_TSS + 0x22 + 2 * i, 2, i == EMUL_CS ? 8 : 16);
    m->cr[3] = 0x9000;
    OKAY(m, 0xea, 0, 0, 0, 0, NEW_TASK, 0);
    assert_int_equal(m->regs.rip, 0x4321);
    assert_int_equal(m->regs.rax, 0xffff1111);
    assert_int_equal(m->cr[3], 0x9000);
    assert_int_equal(m->seg[EMUL_GS].sel, 0);
    assert_int_equal(desc_type(m, NEW_TASK), 3);
}

const struct CMUnitTest modes_tests[] = {
    cmocka_unit_test(test_real_addresses),    cmocka_unit_test(test_real_segments),
    cmocka_unit_test(test_real_stack),        cmocka_unit_test(test_real_far),
    cmocka_unit_test(test_real_misc),         cmocka_unit_test(test_v86),
    cmocka_unit_test(test_iret_to_v86),       cmocka_unit_test(test_segment_loads),
    cmocka_unit_test(test_accessed_bit_race), cmocka_unit_test(test_protected_far),
    cmocka_unit_test(test_return_outer),      cmocka_unit_test(test_iret_64),
    cmocka_unit_test(test_canonical),         cmocka_unit_test(test_compat_wrap),
    cmocka_unit_test(test_task_jmp),          cmocka_unit_test(test_task_call),
    cmocka_unit_test(test_task_faults),       cmocka_unit_test(test_task_event),
    cmocka_unit_test(test_task_286),
};
const size_t modes_count = sizeof(modes_tests) / sizeof(modes_tests[0]);
