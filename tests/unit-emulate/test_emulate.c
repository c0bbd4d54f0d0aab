/* Directed tests of the emulator: restart, repetition, ports, events.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static uint8_t memory[16 * 4096];
static struct machine machine;

struct machine *check_machine(unsigned int bits)
{
    static uint8_t prot[16];

    memset(prot, PROT_READ | PROT_WRITE | PROT_EXEC, sizeof(prot));
    prot[12] = 0;
    prot[13] = PROT_READ;
    for (unsigned int k = 0; k < sizeof(memory); k++)
        memory[k] = k * 7 + (k >> 8);
    machine.mem = memory;
    machine.base = bits ? 0x10000 : 0;
    machine.pages = 16;
    machine.prot = prot;
    machine_reset(&machine, bits);
    machine.regs.rsp = machine.base + 0x8000;
    return &machine;
}

int check_run(struct machine *m, const uint8_t *bytes, unsigned int n)
{
    uint64_t at = m->seg[EMUL_CS].base + m->regs.rip - m->base;

    memcpy(m->mem + at, bytes, n);
    return machine_run(m);
}

void check_fault(struct machine *m, const uint8_t *bytes, unsigned int n,
                 unsigned int vector, int error)
{
    struct cpu_regs before = m->regs;

    assert_int_equal(check_run(m, bytes, n), EMUL_EXCEPTION);
    assert_int_equal(m->c.event.vector, vector);
    assert_int_equal(m->c.event.type, EMUL_EVENT_HW_EXCEPTION);
    assert_int_equal(m->c.event.has_error, error >= 0);
    if (error >= 0)
        assert_int_equal(m->c.event.error, error);
    assert_memory_equal(&m->regs, &before, sizeof(before));
}

/* --- restart
 * ----------------------------------------------------------------------------- */

/* Instructions with one to many accesses: a retry at any of them changes no register, and
 * running again gives what one undisturbed run gives. */
static void test_retry(void **state)
{
    static const struct {
        uint8_t bytes[8], len;
    } insn[] = {
        {{0x8b, 0x06}, 2},             /* mov eax, [rsi] */
        {{0x89, 0x06}, 2},             /* mov [rsi], eax */
        {{0x01, 0x06}, 2},             /* add [rsi], eax */
        {{0xf0, 0x0f, 0xc1, 0x06}, 4}, /* lock xadd [rsi], eax */
        {{0x87, 0x06}, 2},             /* xchg [rsi], eax */
        {{0xf0, 0x0f, 0xc7, 0x0e}, 4}, /* lock cmpxchg8b [rsi] */
        {{0xff, 0x36}, 2},             /* push [rsi] */
        {{0x8f, 0x06}, 2},             /* pop [rsi] */
        {{0xff, 0x16}, 2},             /* call [rsi] */
        {{0xa5}, 1},                   /* movsd */
        {{0xa7}, 1},                   /* cmpsd */
        {{0x6d}, 1},                   /* insd */
        {{0x6f}, 1},                   /* outsd */
        {{0xc8, 0x10, 0x00, 0x03}, 4}, /* enter 16, 3 */
        {{0xc9}, 1},                   /* leave */
        {{0x0f, 0xa4, 0x06, 0x05}, 4}, /* shld [rsi], eax, 5 */
        {{0x0f, 0xbb, 0x06}, 3},       /* btc [rsi], eax */
        {{0x8e, 0x06}, 2},             /* mov es, [rsi] */
        {{0xff, 0x2e}, 2},             /* jmp far [rsi] */
        {{0x48, 0xcf}, 2},             /* iretq */
        {{0x0f, 0x10, 0x06}, 3},       /* movups xmm0, [rsi] */
        {{0x0f, 0x11, 0x06}, 3},       /* movups [rsi], xmm0 */
        {{0xed}, 1},                   /* in eax, dx */
    };

    for (unsigned int k = 0; k < sizeof(insn) / sizeof(insn[0]); k++) {
        struct machine *m, want;
        static uint8_t want_mem[sizeof(memory)];
        unsigned int total = 1;

        for (unsigned int at = 0; at <= total; at++) {
            struct cpu_regs before;

            m = check_machine(64);
            m->regs.rsi = 0x12000;
            m->regs.rdi = 0x13000;
            m->regs.rbp = 0x18100;
            m->regs.rax = 0x1234;
            m->regs.rdx = 0x20;
            poke(m, 0x2000, 8, 0x11000);
            if (insn[k].bytes[0] == 0x8e)
                poke(m, 0x2000, 8, 16);
            poke(m, 0x2004, 2, insn[k].bytes[1] == 0x2e ? 8 : 0);
            poke(m, 0x8000, 8, 0x11000);
            poke(m, 0x8008, 8, 8);
            poke(m, 0x8010, 8, 0x202);
            poke(m, 0x8018, 8, 0x18200);
            poke(m, 0x8020, 8, 16);
            m->retry_at = at;
            before = m->regs;
            if (at) {
                assert_int_equal(check_run(m, insn[k].bytes, insn[k].len), EMUL_RETRY);
                assert_memory_equal(&m->regs, &before, sizeof(before));
                m->retry_at = 0;
                m->io_value = 0;
            }
            assert_int_equal(check_run(m, insn[k].bytes, insn[k].len), EMUL_OKAY);
            if (at == 0) {
                want = *m;
                memcpy(want_mem, memory, sizeof(memory));
                total = m->accesses;
                assert_true(total > 0);
            }
            assert_memory_equal(&m->regs, &want.regs, sizeof(want.regs));
            assert_memory_equal(m->seg, want.seg, sizeof(want.seg));
            assert_memory_equal(memory, want_mem, sizeof(memory));
        }
    }
}

static void test_unhandleable_callback(void **state)
{
    struct machine *m = check_machine(64);
    struct cpu_regs before = m->regs;

    m->regs.rsi = before.rsi = 0x12000;
    m->fail_at = 1;
    assert_int_equal(RUN(m, 0x8b, 0x06), EMUL_UNHANDLEABLE);
    assert_memory_equal(&m->regs, &before, sizeof(before));
}

static void test_lock_contention(void **state)
{
    struct machine *m = check_machine(64);

    poke(m, 0x2000, 8, 100);
    m->regs.rsi = 0x12000;
    m->regs.rax = 5;
    m->lose = 3; /* each adds one to the lowest byte */
    OKAY(m, 0xf0, 0x48, 0x0f, 0xc1, 0x06);
    assert_int_equal(peek(m, 0x2000, 8), 108);
    assert_int_equal(m->regs.rax, 103);
    m->lose = 1000000;
    m->regs.rip = m->base;
    assert_int_equal(RUN(m, 0xf0, 0x48, 0x0f, 0xc1, 0x06), EMUL_RETRY);
    assert_int_equal(m->regs.rax, 103);
    assert_int_equal(m->regs.rip, m->base);
}

static void test_write_intent(void **state)
{
    struct machine *m = check_machine(64);

    /* read-only page: the read of a read-modify-write faults as a write */
    m->regs.rsi = 0x1d000;
    FAULT(m, PF, 3, 0x01, 0x06);
    assert_int_equal(m->c.event.cr2, 0x1d000);
    FAULT(m, PF, 3, 0xf0, 0x0f, 0xb1, 0x0e); /* cmpxchg, whatever the outcome */
    FAULT(m, PF, 3, 0x0f, 0xba, 0x2e, 0x01); /* bts */
    OKAY(m, 0x0f, 0xba, 0x26, 0x01);         /* bt only reads */
    m->regs.rip = m->base;
    OKAY(m, 0x39, 0x06); /* so does cmp */
}

/* --- string instructions
 * --------------------------------------------------------------------- */

static void test_rep_retry(void **state)
{
    struct machine *m = check_machine(64);

    m->regs.rsi = 0x12000;
    m->regs.rdi = 0x13000;
    m->regs.rcx = 10;
    m->retry_at = 8; /* second access of the fourth iteration */
    assert_int_equal(RUN(m, 0xf3, 0x48, 0xa5), EMUL_RETRY);
    assert_int_equal(m->regs.rcx, 7);
    assert_int_equal(m->regs.rsi, 0x12018);
    assert_int_equal(m->regs.rdi, 0x13018);
    assert_int_equal(m->regs.rip, m->base);
    m->retry_at = 0;
    OKAY(m, 0xf3, 0x48, 0xa5);
    assert_int_equal(m->regs.rcx, 0);
    assert_int_equal(m->regs.rip, m->base + 3);
    assert_memory_equal(m->mem + 0x2000, m->mem + 0x3000, 80);
}

static void test_rep_fault(void **state)
{
    struct machine *m = check_machine(64);

    for (int bulk = 0; bulk < 2; bulk++) {
        m = check_machine(64);
        m->c.ops = bulk ? &machine_ops_bulk : &machine_ops;
        m->regs.rdi = 0x1bff0; /* 16 bytes before the hole */
        m->regs.rcx = 100;
        m->regs.rax = 0x5a;
        assert_int_equal(RUN(m, 0xf3, 0xaa), EMUL_EXCEPTION);
        assert_int_equal(m->c.event.vector, PF);
        assert_int_equal(m->c.event.cr2, 0x1c000);
        assert_int_equal(m->c.event.error, 2);
        assert_int_equal(m->regs.rcx, 84);
        assert_int_equal(m->regs.rdi, 0x1c000);
        assert_int_equal(m->regs.rip, m->base);
        assert_int_equal(peek(m, 0xbfff, 1), 0x5a);
    }
}

/* Bulk callbacks, however little they do at once, give what single steps give. */
static void test_rep_bulk(void **state)
{
    static const uint8_t op[] = {0xa4, 0xa5, 0xaa, 0xab, 0x6c, 0x6d, 0x6e, 0x6f};
    static uint8_t want_mem[sizeof(memory)];

    srand(1);
    for (unsigned int k = 0; k < 2000; k++) {
        struct machine *m;
        struct cpu_regs want, in = {0};
        bool bits32 = k & 1;
        unsigned int rep_max = rand() % 5, rounds;

        in.rsi = 0x14000 + rand() % 2000;
        in.rdi = 0x14000 + rand() % 2000;
        in.rcx = rand() % 300;
        in.rax = 0x1122334455667788;
        in.rdx = 0x3f8;
        in.rip = 0x10000;
        in.rflags = 2 | (rand() % 2 ? 0x400 : 0);
        if (bits32)
            in.rax = 0x55667788;
        for (int bulk = 0; bulk < 2; bulk++) {
            m = check_machine(bits32 ? 32 : 64);
            m->c.ops = bulk ? &machine_ops_bulk : &machine_ops;
            m->rep_max = rep_max;
            m->rep_refuse = rand() % 10 == 0;
            m->regs = in;
            rounds = 0;
            do {
                int rc = RUN(m, 0xf3, op[k / 2 % 8]);

                assert_int_equal(rc, EMUL_OKAY);
                assert_true(++rounds < 1000);
            } while (m->c.retire.partial);
            if (!bulk) {
                want = m->regs;
                memcpy(want_mem, memory, sizeof(memory));
            }
        }
        assert_memory_equal(&m->regs, &want, sizeof(want));
        assert_memory_equal(memory, want_mem, sizeof(memory));
    }
}

static void test_rep_limits(void **state)
{
    struct machine *m = check_machine(64);
    unsigned int rounds = 0;

    /* long repetitions let interrupts in */
    m->regs.rsi = 0x10000;
    m->regs.rcx = 0x3000;
    do {
        OKAY(m, 0xf3, 0xac);
        rounds++;
        assert_int_equal(m->regs.rip, m->base + (m->c.retire.partial ? 0 : 2));
    } while (m->c.retire.partial);
    assert_true(rounds > 1);
    assert_int_equal(m->regs.rcx, 0);

    /* with TF one iteration and a trap */
    m = check_machine(64);
    m->regs.rflags |= 0x100;
    m->regs.rsi = 0x12000;
    m->regs.rcx = 3;
    OKAY(m, 0xf3, 0xac);
    assert_int_equal(m->regs.rcx, 2);
    assert_true(m->c.retire.singlestep);
    assert_true(m->c.retire.partial);

    /* 16-bit addresses wrap inside the repetition */
    m = check_machine(0);
    m->c.ops = &machine_ops_bulk;
    m->regs.rdi = 0xfffe;
    m->regs.rcx = 4;
    m->regs.rax = 0x77;
    OKAY(m, 0xf3, 0xaa);
    while (m->c.retire.partial)
        OKAY(m, 0xf3, 0xaa);
    assert_int_equal(m->regs.rdi, 2);
    assert_int_equal(peek(m, 0xffff, 1), 0x77);
    assert_int_equal(peek(m, 1, 1), 0x77);
}

static void test_repe(void **state)
{
    struct machine *m = check_machine(64);

    memcpy(m->mem + 0x2000, "abcdefgh", 8);
    memcpy(m->mem + 0x3000, "abcdXfgh", 8);
    m->regs.rsi = 0x12000;
    m->regs.rdi = 0x13000;
    m->regs.rcx = 8;
    OKAY(m, 0xf3, 0xa6);
    assert_int_equal(m->regs.rcx, 3);
    assert_int_equal(m->regs.rsi, 0x12005);
    assert_false(m->regs.rflags & 0x40);
    m->regs.rip = m->base;
    m->regs.rdi = 0x13000;
    m->regs.rcx = 8;
    m->regs.rax = 'X';
    OKAY(m, 0xf2, 0xae);
    assert_int_equal(m->regs.rcx, 3);
    assert_true(m->regs.rflags & 0x40);
}

/* --- ports
 * ----------------------------------------------------------------------------------------
 */

static void test_ports(void **state)
{
    struct machine *m = check_machine(64);

    m->io_value = 0xa1b2c3d4;
    m->regs.rax = ~0ull;
    OKAY(m, 0xe4, 0x60);
    assert_int_equal(m->regs.rax, 0xffffffffffffffd4);
    assert_int_equal(m->log[0].where, 0x60);
    assert_int_equal(m->log[0].bytes, 1);
    m->regs.rdx = 0x12345cf8;
    OKAY(m, 0xed);
    assert_int_equal(m->regs.rax, 0xa1b2c3d5);
    assert_int_equal(m->log[0].where, 0x5cf8);
    OKAY(m, 0x66, 0xef);
    assert_int_equal(m->log[0].event, EV_IO_WRITE);
    assert_int_equal(m->log[0].value, 0xc3d5);
    assert_int_equal(m->log[0].bytes, 2);
}

/* The TSS's bitmap: its offset is at 0x66, one byte of ones ends it. */
static void test_io_bitmap(void **state)
{
    struct machine *m = check_machine(64);

    m->c.cpl = 3;
    m->seg[EMUL_TR].limit = 0x68 + 16 - 1;
    m->tss[0x66] = 0x68;
    m->tss[0x68 + 8] = 0xf7; /* port 0x43 is free */
    FAULT(m, GP, 0, 0xe4, 0x42);
    OKAY(m, 0xe4, 0x43);
    m->regs.rip = m->base;
    FAULT(m, GP, 0, 0xe5, 0x43); /* four bytes reach 0x46 */
    m->regs.rdx = 0x78;          /* in the last byte: two are read, one is beyond */
    FAULT(m, GP, 0, 0xec);
    m->regs.rflags |= 0x3000; /* IOPL 3 */
    OKAY(m, 0xec);
}

/* --- events
 * ------------------------------------------------------------------------------------------
 */

static void check_event(struct machine *m, int rc, unsigned int vector, unsigned int type,
                        unsigned int len)
{
    assert_int_equal(rc, EMUL_EXCEPTION);
    assert_int_equal(m->c.event.vector, vector);
    assert_int_equal(m->c.event.type, type);
    assert_int_equal(m->c.event.insn_len, len);
    assert_false(m->c.event.has_error);
    assert_int_equal(m->regs.rip, m->base);
}

static void test_software_events(void **state)
{
    struct machine *m = check_machine(64);

    m->idt[2 * 3] = 0xeeull << 40;
    m->idt[2 * 0x21] = 0x8eull << 40;
    m->idt[2 * 0x22] = 0x0eull << 40; /* not present */
    m->idt[2 * 0x23] = 0xe5ull << 40; /* task gate: not in long mode */
    check_event(m, RUN(m, 0xcc), 3, EMUL_EVENT_SW_EXCEPTION, 1);
    check_event(m, RUN(m, 0xcd, 0x21), 0x21, EMUL_EVENT_SW_INTERRUPT, 2);
    m->idt[2 * 1] = 0x0eull << 40;
    FAULT(m, NP, 1 * 8 + 3, 0xf1); /* ICEBP's faults say EXT, and no DPL counts */
    m->idt[2 * 1] = 0x8eull << 40;
    check_event(m, RUN(m, 0xf1), 1, EMUL_EVENT_PRIV_SW_EXCEPTION, 1);
    FAULT(m, NP, 0x22 * 8 + 2, 0xcd, 0x22);
    FAULT(m, GP, 0x23 * 8 + 2, 0xcd, 0x23);
    FAULT(m, GP, 0x24 * 8 + 2, 0xcd, 0x24);
    m->c.cpl = 3;
    FAULT(m, GP, 0x21 * 8 + 2, 0xcd, 0x21);
    FAULT(m, GP, 0x22 * 8 + 2, 0xcd, 0x22); /* DPL comes before P */
    check_event(m, RUN(m, 0xcc), 3, EMUL_EVENT_SW_EXCEPTION, 1);
    m->seg[EMUL_IDTR].limit = 0x2f;
    FAULT(m, GP, 3 * 8 + 2, 0xcc);

    m = check_machine(32);
    m->idt[4] = 0xeeull << 40;
    OKAY(m, 0xce); /* INTO without overflow */
    m->regs.rip = m->base;
    m->regs.rflags |= 0x800;
    check_event(m, RUN(m, 0xce), 4, EMUL_EVENT_SW_EXCEPTION, 1);
}

static void test_shadows(void **state)
{
    struct machine *m = check_machine(64);

    m->regs.rflags |= 0x100;
    OKAY(m, 0xfb);
    assert_true(m->c.retire.sti);
    assert_true(m->c.retire.singlestep);
    OKAY(m, 0xfb); /* IF is on already */
    assert_false(m->c.retire.sti);
    m->regs.rax = 16;
    OKAY(m, 0x8e, 0xd0);
    assert_true(m->c.retire.mov_ss);
    assert_false(m->c.retire.singlestep);
    OKAY(m, 0x8e, 0xd8); /* DS */
    assert_false(m->c.retire.mov_ss);
    OKAY(m, 0xf4);
    assert_true(m->c.retire.hlt);
    m->regs.rflags |= 0x10000; /* RF */
    OKAY(m, 0x90);
    assert_false(m->regs.rflags & 0x10000);
    assert_false(m->c.retire.hlt);
}

static void test_length_limit(void **state)
{
    struct machine *m = check_machine(64);
    uint8_t b[16];

    memset(b, 0x66, sizeof(b));
    b[14] = 0x90;
    assert_int_equal(check_run(m, b, 15), EMUL_OKAY);
    assert_int_equal(m->regs.rip, m->base + 15);
    b[14] = 0x66;
    b[15] = 0x90;
    m->regs.rip = m->base;
    check_fault(m, b, 16, GP, 0);
}

/* Bytes that the caller has already are not fetched again; the rest are. */
static void test_prefetched(void **state)
{
    struct machine *m = check_machine(64);

    m->regs.rip = 0x10ffe;
    poke(m, 0xffe, 4, 0x78563412);
    m->c.regs = &m->regs;
    m->c.opaque = m;
    m->c.cr0 = m->cr[0];
    m->c.seg_valid = 0;
    m->c.fetched = 2;
    m->c.insn[0] = 0x66; /* not what memory says */
    m->c.insn[1] = 0xb8;
    poke(m, 0x1000, 2, 0xbeef);
    assert_int_equal(emul_run(&m->c), EMUL_OKAY);
    assert_int_equal(m->regs.rax, 0xbeef);
    assert_int_equal(m->regs.rip, 0x11002);
    /* and a fault in the second page names that page */
    m->regs.rip = 0x1bffe;
    FAULT(m, PF, 16, 0xb8, 0x01);
    assert_int_equal(m->c.event.cr2, 0x1c000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_unhandleable_callback),
        cmocka_unit_test(test_lock_contention),
        cmocka_unit_test(test_write_intent),
        cmocka_unit_test(test_rep_retry),
        cmocka_unit_test(test_rep_fault),
        cmocka_unit_test(test_rep_bulk),
        cmocka_unit_test(test_rep_limits),
        cmocka_unit_test(test_repe),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_io_bitmap),
        cmocka_unit_test(test_software_events),
        cmocka_unit_test(test_shadows),
        cmocka_unit_test(test_length_limit),
        cmocka_unit_test(test_prefetched),
    };
    int rc = cmocka_run_group_tests_name("emulator", tests, NULL, NULL);

    rc |= _cmocka_run_group_tests("emulator, system instructions", system_tests,
                                  system_count, NULL, NULL);
    rc |= _cmocka_run_group_tests("emulator modes", modes_tests, modes_count, NULL, NULL);
    rc |= _cmocka_run_group_tests("instruction lengths", insn_len_tests, insn_len_count,
                                  NULL, NULL);
    return rc;
}
