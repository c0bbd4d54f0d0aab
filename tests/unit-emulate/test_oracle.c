/* The emulator against the real CPU: random instructions, emulated and run natively, must
 * leave the same registers, flags, memory, vector state and faults.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * EMUL_SEED and EMUL_SECONDS in the environment change the defaults; a failure prints the
 * bytes, the inputs and both outcomes.  Code is 64-bit, 32-bit and 16-bit (the latter two
 * in compatibility mode with segments from an LDT), at CPL 3.
 */
#include "oracle.h"
#include "runner.h"

#include <cpuid.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <cmocka.h>

struct native native;
struct machine machine;
uint8_t emulated_mem[SANDBOX_BYTES];
struct rng rng;
static unsigned int failures;
static volatile unsigned long trials;
static unsigned long compared[ZYDIS_MNEMONIC_MAX_VALUE + 1];
static unsigned long unhandled[ZYDIS_MNEMONIC_MAX_VALUE + 1];
static unsigned long faults[32];

static void random_vectors(void)
{
    for (unsigned int k = 0; k < 16; k++)
        for (unsigned int b = 0; b < 32; b++)
            machine.ymm[k][b] = rng_next(&rng) >> 20;
    for (unsigned int k = 0; k < 8; k++) {
        bool number = rng_chance(&rng, 60);

        machine.mm[k] = rng_next(&rng) | (number ? 1ull << 63 : 0);
        machine.mm_exponent[k] =
            number ? 0x3fe0 + rng_below(&rng, 0x40) + 0x8000 * rng_below(&rng, 2)
                   : 0xffff;
    }
    if (rng_chance(&rng, 50)) /* numbers, not noise */
        for (unsigned int k = 0; k < 16; k++)
            for (unsigned int b = 3; b < 32; b += 4)
                machine.ymm[k][b] = 0x3e + rng_below(&rng, 4);
    machine.mxcsr = 0x1f80 | (rng_next(&rng) & 0x603f);
    if (rng_chance(&rng, 20))
        machine.mxcsr &= ~(rng_next(&rng) & 0x1f80);
    machine.fcw =
        0x7f | rng_below(&rng, 4) << 10 | (rng_chance(&rng, 80) ? 0x300 : 0x200);
    machine.fsw = 0;
    machine.ftw = rng_chance(&rng, 50) ? 0 : 0xff;
}

/* --- both machines' state
 * ------------------------------------------------------------------- */

/* Descriptor tables as a Linux process sees them (arch/x86/include/asm/segment.h). */
static void make_tables(void)
{
    uint32_t per_cpu;

    __asm__("lsl %1, %0" : "=r"(per_cpu) : "r"(0x7b));
    memset(machine.gdt, 0, sizeof(machine.gdt));
    machine.gdt[1] = machine_desc(0, 0xffffffff, 0xc9b);
    machine.gdt[2] = machine_desc(0, 0xffffffff, 0xa9b);
    machine.gdt[3] = machine_desc(0, 0xffffffff, 0xc93);
    machine.gdt[4] = machine_desc(0, 0xffffffff, 0xcfb);
    machine.gdt[5] = machine_desc(0, 0xffffffff, 0xcf3);
    machine.gdt[6] = machine_desc(0, 0xffffffff, 0xafb);
    machine.gdt[15] = machine_desc(0, per_cpu, 0x4f5); /* its limit is the CPU's number */
    memcpy(machine.ldt, sandbox_ldt, sizeof(sandbox_ldt));
    machine.seg[EMUL_GDTR] = (struct emul_seg){.base = MACHINE_GDT, .limit = 127};
    machine.seg[EMUL_LDTR] = (struct emul_seg){
        .sel = 0x50, .attr = 0x82, .base = MACHINE_LDT, .limit = 8 * 15 - 1};
    machine.seg[EMUL_IDTR] = (struct emul_seg){.base = MACHINE_IDT, .limit = 0xfff};
    for (unsigned int k = 0; k < 256; k++) /* DPL 0 but for #BP and #OF */
        machine.idt[2 * k] = (k == 3 || k == 4 ? 0xeeull : 0x8eull) << 40;
    machine.seg[EMUL_TR] =
        (struct emul_seg){.sel = 0x40, .attr = 0x8b, .base = MACHINE_TSS, .limit = 0x67};
    memset(machine.tss, 0xff, sizeof(machine.tss)); /* the bitmap is beyond the limit */
}

void load_machine(const struct trial *t)
{
    machine.c.cpl = 3;
    machine.c.efer = 0xd01;
    machine.cr[0] = 0x80050033;
    machine.cr[4] = 0x50620;
    machine.xcr0 = 7;
    machine.regs = t->in;
    for (unsigned int k = 0; k <= EMUL_GS; k++)
        machine_load_selector(&machine, k, t->sel[k]);
    if (t->bits == 64) {
        machine.seg[EMUL_FS].base = t->fs_base;
        machine.seg[EMUL_GS].base = t->gs_base;
    }
}

static void load_native(struct trial *t, struct user_regs_struct *u)
{
    native_get_regs(&native, u);
    t->in.rflags |= u->eflags & ID; /* a tracer cannot set it */
    machine.regs.rflags = t->in.rflags;
#define COPY(r) u->r = t->in.r
    COPY(r15);
    COPY(r14);
    COPY(r13);
    COPY(r12);
    COPY(r11);
    COPY(r10);
    COPY(r9);
    COPY(r8);
    COPY(rax);
    COPY(rcx);
    COPY(rdx);
    COPY(rsi);
    COPY(rdi);
    COPY(rip);
    COPY(rsp);
    COPY(rbp);
    COPY(rbx);
#undef COPY
    u->eflags = t->in.rflags & ~(uint64_t)TF;
    u->cs = t->sel[EMUL_CS];
    u->ss = t->sel[EMUL_SS];
    u->ds = t->sel[EMUL_DS];
    u->es = t->sel[EMUL_ES];
    u->fs = t->sel[EMUL_FS];
    u->gs = t->sel[EMUL_GS];
    u->fs_base = t->bits == 64 ? t->fs_base : selector_base(t->sel[EMUL_FS]);
    u->gs_base = t->bits == 64 ? t->gs_base : selector_base(t->sel[EMUL_GS]);
}

/* --- comparison
 * --------------------------------------------------------------------------------- */

static char why[400];

static bool differs(const char *what, uint64_t emulated, uint64_t real)
{
    if (emulated == real)
        return false;
    if (!why[0])
        snprintf(why, sizeof(why), "%s: emulated %#lx, real %#lx", what,
                 (unsigned long)emulated, (unsigned long)real);
    return true;
}

static bool compare_registers(const struct trial *t, const struct user_regs_struct *u,
                              uint64_t flag_mask)
{
    const struct cpu_regs *r = &machine.regs;
    uint64_t mask = t->bits == 64 ? ~0ull : 0xffffffff;
    bool bad = false;

#define SAME(x) bad |= differs(#x, r->x & mask, u->x & mask)
    SAME(rax);
    SAME(rcx);
    SAME(rdx);
    SAME(rbx);
    /* the kernel keeps half of RSP for compatibility mode */
    bad |= differs("rsp", r->rsp & (u->cs == 0x33 ? mask : 0xffffffff),
                   u->rsp & (u->cs == 0x33 ? mask : 0xffffffff));
    SAME(rbp);
    SAME(rsi);
    SAME(rdi);
    if (t->bits == 64) {
        SAME(r8);
        SAME(r9);
        SAME(r10);
        SAME(r11);
        SAME(r12);
        SAME(r13);
        SAME(r14);
        SAME(r15);
    }
#undef SAME
    bad |= differs("flags", r->rflags & flag_mask, u->eflags & flag_mask);
    bad |= differs("cs", machine.seg[EMUL_CS].sel, u->cs);
    bad |= differs("ss", machine.seg[EMUL_SS].sel, u->ss);
    bad |= differs("ds", machine.seg[EMUL_DS].sel, u->ds);
    bad |= differs("es", machine.seg[EMUL_ES].sel, u->es);
    bad |= differs("fs", machine.seg[EMUL_FS].sel, u->fs);
    bad |= differs("gs", machine.seg[EMUL_GS].sel, u->gs);
    if (t->bits == 64) {
        bad |= differs("fs base", machine.seg[EMUL_FS].base, u->fs_base);
        bad |= differs("gs base", machine.seg[EMUL_GS].base, u->gs_base);
    }
    return bad;
}

static bool compare_vectors(const uint8_t *x, bool fault)
{
    bool bad = false;
    char name[16];

    for (unsigned int k = 0; k < 16; k++) {
        snprintf(name, sizeof(name), "ymm%u", k);
        bad |= differs(
            name, 0,
            (unsigned int)!!memcmp(machine.ymm[k], x + 160 + 16 * k, 16) +
                2 * !!memcmp(machine.ymm[k] + 16, x + xstate_ymm_offset + 16 * k, 16));
    }
    for (unsigned int k = 0; k < 8; k++) {
        snprintf(name, sizeof(name), "mm%u", k);
        bad |= differs(name, machine.mm[k], *(const uint64_t *)(x + 32 + 16 * k));
        bad |= differs("an exponent", machine.mm_exponent[k],
                       *(const uint16_t *)(x + 40 + 16 * k));
    }
    bad |= differs("mxcsr", machine.mxcsr, *(const uint32_t *)(x + 24));
    bad |= differs("fcw", machine.fcw, *(const uint16_t *)x);
    if (!fault) /* the tags change only when the instruction completes */
        bad |= differs("ftw", machine.ftw, x[4]) |
               differs("fsw", machine.fsw, *(const uint16_t *)(x + 2));
    return bad;
}

static bool compare_memory(void)
{
    bool bad = false;

    if (!memcmp(native.mem, emulated_mem, SANDBOX_BYTES))
        return false;
    for (unsigned int k = 0; k < SANDBOX_BYTES && !bad; k += 8) {
        char name[32];

        snprintf(name, sizeof(name), "memory %#x", k);
        bad |=
            differs(name, *(uint64_t *)(emulated_mem + k), *(uint64_t *)(native.mem + k));
    }
    memcpy(emulated_mem, native.mem, SANDBOX_BYTES);
    return true;
}

/* Vectors that push an error code. */
static bool has_error(unsigned int vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

static void describe_faults(int rc, const struct native_result *real)
{
    const struct emul_event *e = &machine.c.event;

    snprintf(
        why, sizeof(why),
        "emulated result %d (vector %u error %#x cr2 %#lx), real %s (vector %u error %#x "
        "cr2 %#lx)",
        rc, e->vector, e->error, (unsigned long)e->cr2, real->fault ? "fault" : "done",
        real->vector, real->error, (unsigned long)real->cr2);
}

/* Which comes first the manuals leave open: of an invalid instruction that reaches into a
 * hole, or whose operands would end beyond the 15th byte (#GP then, and the emulator has
 * refused the opcode before it counted them); of CMPS's two operands, which generations
 * of processors read in different order; and where the microcode begins in an image of
 * the x87 state, which may cross the segment's end. */
static bool either_order(const struct trial *t, const struct emul_event *e,
                         const struct native_result *real)
{
    switch (t->cand.valid ? t->cand.insn.mnemonic : ZYDIS_MNEMONIC_INVALID) {
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSD:
    case ZYDIS_MNEMONIC_CMPSQ:
        return real->vector == 14 || real->vector == 13 || real->vector == 12;
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FRSTOR:
        return e->vector >= 12 && e->vector <= 14 && real->vector == 14;
    default:
        break;
    }
    if (!t->cand.valid && t->cand.len == EMUL_INSN_MAX && e->vector == 6 &&
        real->vector == 13 && !real->error)
        return true;
    return (e->vector == 6 && real->vector == 14 && (real->error & 16)) ||
           (real->vector == 6 && e->vector == 14 && (e->error & 16));
}

static bool compare_fault(const struct trial *t, const struct native_result *real,
                          const struct user_regs_struct *u)
{
    const struct emul_event *e = &machine.c.event;
    bool soft = e->type != EMUL_EVENT_HW_EXCEPTION;
    uint64_t rip = t->in.rip + (soft ? e->insn_len : 0);
    bool bad = false;

    if (either_order(t, e, real))
        return false;
    bad |= e->vector != (real->breakpoint ? 3 : real->vector);
    if (real->breakpoint)
        return bad | differs("rip", rip, u->rip);
    bad |= e->has_error != has_error(real->vector);
    bad |= e->has_error && e->error != real->error;
    bad |= e->vector == 14 && e->cr2 != real->cr2;
    if (bad)
        describe_faults(EMUL_EXCEPTION, real);
    bad |= differs("rip", rip, u->rip);
    faults[e->vector & 31]++;
    return bad;
}

static unsigned long load64(const uint8_t *p)
{
    unsigned long v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static void show_failure(const struct trial *t)
{
    ZydisFormatter f;
    char text[128] = "(invalid)";
    const uint64_t *r = (const uint64_t *)&t->in;

    if (t->cand.valid) {
        ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
        ZydisFormatterFormatInstruction(&f, &t->cand.insn, t->cand.ops,
                                        t->cand.insn.operand_count_visible, text,
                                        sizeof(text), ZYDIS_RUNTIME_ADDRESS_NONE, NULL);
    }
    printf("# %u-bit %s:", t->bits, text);
    for (unsigned int k = 0; k < t->cand.len; k++)
        printf(" %02x", t->cand.bytes[k]);
    printf("\n#   %s\n#   in: r15..r8, rax, rcx, rdx, rsi, rdi, rip, flags, rsp:", why);
    for (unsigned int k = 0; k < 18; k++)
        printf(" %lx", (unsigned long)r[k]);
    printf("\n#   [rsp]:");
    for (unsigned int k = 0; k < 6; k++) {
        uint64_t at = t->in.rsp + (t->bits == 64 ? 0 : selector_base(t->sel[EMUL_SS])) -
                      SANDBOX_BASE + 8 * k;

        if (at < SANDBOX_BYTES - 8)
            printf(" %lx", load64(emulated_mem + at));
    }
    printf("\n#   cs %x ss %x ds %x es %x fs %x gs %x base %lx %lx %s\n", t->sel[EMUL_CS],
           t->sel[EMUL_SS], t->sel[EMUL_DS], t->sel[EMUL_ES], t->sel[EMUL_FS],
           t->sel[EMUL_GS], (unsigned long)t->fs_base, (unsigned long)t->gs_base,
           t->step ? "step" : "run");
}

/* --- one trial
 * --------------------------------------------------------------------------------------
 */

/* Where the CPU goes on after its single step: MOV SS and POP SS hold the trap off for
 * one more instruction, a NOP here. */
static uint64_t expected_rip(const struct trial *t)
{
    return machine.regs.rip + (t->step && machine.c.retire.mov_ss ? 1 : 0);
}

static int emulate(const struct trial *t)
{
    int rc;

    do {
        rc = machine_run(&machine);
    } while (rc == EMUL_OKAY && machine.c.retire.partial && !t->step);
    if (rc == EMUL_OKAY && machine.c.retire.partial)
        machine.c.retire.singlestep = true;
    return rc;
}

static void try_one(struct trial *t)
{
    static uint8_t x[XSTATE_MAX];
    struct user_regs_struct u;
    struct native_result real;
    size_t len = xstate_len;
    uint64_t flag_mask = FLAGS_COMPARED;
    bool bad = false;
    int rc;

    for (unsigned int k = 0; k < t->cand.len + 4 && t->offset + k < CODE_BYTES; k++)
        emulated_mem[t->offset + k] = k < t->cand.len ? t->cand.bytes[k]
                                      : t->step       ? 0x90
                                                      : 0xcc;
    memcpy(native.mem, emulated_mem, CODE_BYTES);
    load_machine(t);
    t->vector = t->cand.valid && candidate_vector(&t->cand);
    if (t->vector) {
        random_vectors();
        xstate_load(&machine, x);
    }
    why[0] = 0;
    load_native(t, &u);
    rc = emulate(t);
    if (!t->step &&
        memcmp(native.mem + t->offset, emulated_mem + t->offset, t->cand.len + 1))
        goto skip; /* it overwrote itself or the INT3 */
    if (rc == EMUL_UNHANDLEABLE) {
        unhandled[t->cand.valid ? t->cand.insn.mnemonic : 0]++;
        if (t->cand.valid && candidate_required(&t->cand)) {
            snprintf(why, sizeof(why), "not handled");
            bad = true;
            goto out;
        }
        goto skip;
    }
    if (t->step && machine.c.retire.mov_ss && t->offset + t->cand.len >= CODE_BYTES)
        goto skip; /* no room for the NOP */
    if (rc == EMUL_EXCEPTION && machine.c.event.vector == 14 && t->bits != 64 &&
        t->cand.insn.mnemonic == ZYDIS_MNEMONIC_CALL && !stack_in_sandbox(t))
        goto skip;
    trials++;
    if (native_run(&native, &u, t->step, t->vector ? x : NULL, &len, &real))
        goto dead;
    if (t->cand.valid && !real.fault)
        flag_mask &= ~candidate_undefined(&t->cand, t->in.rcx);
    if (rc == EMUL_EXCEPTION && (real.fault || (t->step && real.breakpoint))) {
        bad |= compare_fault(t, &real, &u);
    } else if (rc == EMUL_EXCEPTION && !t->step && real.breakpoint &&
               machine.c.event.vector == 3) {
        bad |= differs("rip", t->in.rip + machine.c.event.insn_len, u.rip);
    } else if (rc != EMUL_OKAY || real.fault) {
        describe_faults(rc, &real);
        bad = true;
    } else {
        bad |= differs("rip", expected_rip(t) + (t->step ? 0 : 1), u.rip);
        if (t->step)
            bad |= differs("single-step trap",
                           machine.c.retire.singlestep || machine.c.retire.mov_ss, 1);
    }
    if (!real.fault || t->cand.insn.mnemonic < ZYDIS_MNEMONIC_POPA ||
        t->cand.insn.mnemonic > ZYDIS_MNEMONIC_POPAD) /* has loaded some already */
        bad |= compare_registers(t, &u, flag_mask);
    if (t->vector)
        bad |= compare_vectors(x, real.fault);
out:
    bad |= compare_memory();
    if (bad && failures++ < FAILURES_SHOWN)
        show_failure(t);
    if (t->cand.valid)
        compared[t->cand.insn.mnemonic]++;
    return;
skip:
    memcpy(emulated_mem, native.mem, SANDBOX_BYTES);
    return;
dead:
    snprintf(why, sizeof(why), "the native process does not answer");
    show_failure(t);
    fail();
}

/* --- the tests
 * ----------------------------------------------------------------------------------------
 */

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static unsigned long env_number(const char *name, unsigned long or)
{
    const char *s = getenv(name);

    return s ? strtoul(s, NULL, 0) : or ;
}

static void run_random(unsigned int bits, unsigned int percent)
{
    uint64_t seed = env_number("EMUL_SEED", 20240917);
    double end = now() + env_number("EMUL_SECONDS", 18) * percent / 100.0;
    unsigned long count = 0, handled = 0, mnemonics = 0;
    struct trial t;

    if (native.pid <= 0)
        skip();
    rng.s = seed * 2 + 1 + ((uint64_t)bits << 56);
    failures = 0;
    memset(compared, 0, sizeof(compared));
    memset(unhandled, 0, sizeof(unhandled));
    for (unsigned int k = 0; k < SANDBOX_BYTES; k++)
        emulated_mem[k] = rng_next(&rng) >> 24;
    memcpy(native.mem, emulated_mem, SANDBOX_BYTES);
    for (; now() < end; count++) {
        random_trial(&t, bits);
        try_one(&t);
    }
    for (unsigned int k = 1; k <= ZYDIS_MNEMONIC_MAX_VALUE; k++) {
        handled += compared[k];
        mnemonics += compared[k] != 0;
        if (unhandled[k] && getenv("EMUL_VERBOSE"))
            printf("# left out: %s %lu\n", ZydisMnemonicGetString(k), unhandled[k]);
    }
    printf(
        "# %u bits, EMUL_SEED %lu: %lu tried, %lu compared, %lu mnemonics, %u differ\n",
        bits, (unsigned long)seed, count, handled, mnemonics, failures);
    assert_int_equal(failures, 0);
    /* a generator that finds nothing must not pass */
    assert_true(mnemonics > 150);
}

static void test_64(void **state)
{
    run_random(64, 50);
}

static void test_32(void **state)
{
    run_random(32, 30);
}

static void test_16(void **state)
{
    run_random(16, 20);
}

/* A child that loops is stopped, which native_run() then gives up on in the end. */
static void on_alarm(int sig)
{
    static unsigned long last;

    if (native.pid > 0 && last == trials)
        kill(native.pid, SIGSTOP);
    last = trials;
}

/* What this machine's CPU has of the features that change the meaning of opcodes. */
static uint32_t cpu_features(void)
{
    uint32_t f = EMUL_F_AMD | EMUL_F_SSE | EMUL_F_SYSCALL | EMUL_F_SEP | EMUL_F_RDTSCP |
                 EMUL_F_CX16 | EMUL_F_MONITOR | EMUL_F_CR8_LOCK | EMUL_F_MMX |
                 EMUL_F_RDPID;
    unsigned int a, b, c, d;

    __cpuid(1, a, b, c, d);
    f |= c & bit_SSE4_1 ? EMUL_F_SSE41 : 0;
    f |= c & bit_AVX ? EMUL_F_AVX : 0;
    f |= c & bit_MOVBE ? EMUL_F_MOVBE : 0;
    f |= c & bit_POPCNT ? EMUL_F_POPCNT : 0;
    f |= c & bit_SSSE3 ? EMUL_F_SSSE3 : 0;
    f |= c & bit_SSE4_2 ? EMUL_F_SSE42 : 0;
    f |= c & bit_AES ? EMUL_F_AES : 0;
    f |= c & bit_PCLMUL ? EMUL_F_PCLMUL : 0;
    f |= c & bit_FMA ? EMUL_F_FMA : 0;
    f |= c & bit_F16C ? EMUL_F_F16C : 0;
    __cpuid_count(7, 0, a, b, c, d);
    f |= b & bit_AVX2 ? EMUL_F_AVX2 : 0;
    f |= b & bit_BMI ? EMUL_F_BMI1 : 0;
    f |= b & bit_BMI2 ? EMUL_F_BMI2 : 0;
    f |= b & bit_ADX ? EMUL_F_ADX : 0;
    f |= b & (1u << 20) ? EMUL_F_SMAP : 0;
    f |= b & bit_CLFLUSHOPT ? EMUL_F_CLFLUSHOPT : 0;
    f |= b & bit_CLWB ? EMUL_F_CLWB : 0;
    f |= b & bit_SHA ? EMUL_F_SHA : 0;
    __cpuid(0x80000001, a, b, c, d);
    f |= c & bit_LZCNT ? EMUL_F_LZCNT : 0;
    __cpuid(0x80000008, a, b, c, d);
    f |= b & 1 ? EMUL_F_CLZERO : 0;
    return f;
}

/* The order of faults, and what is undefined, differs between vendors; the rules that the
 * emulator and this test follow were taken from AMD's processors. */
static bool is_amd(void)
{
    unsigned int a, b, c, d;

    __cpuid(0, a, b, c, d);
    return b == signature_AMD_ebx;
}

static int setup(void **state)
{
    const struct itimerval tick = {{1, 0}, {1, 0}};
    cpu_set_t cpus;

    native.pid = -1;
    if (!is_amd()) {
        printf("# not an AMD processor, tests are skipped\n");
        return 0;
    }
    CPU_ZERO(&cpus);
    CPU_SET(sched_getcpu(), &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
    if (native_start(&native) || runner_start()) {
        perror("# no native process, tests are skipped");
        native.pid = -1;
        return 0;
    }
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &tick, NULL);
    machine.mem = emulated_mem;
    machine.base = SANDBOX_BASE;
    machine.pages = SANDBOX_PAGES;
    machine.prot = sandbox_prot;
    machine_reset(&machine, 64);
    machine.c.features = cpu_features();
    machine.c.ops = &runner_ops;
    make_tables();
    return 0;
}

static int teardown(void **state)
{
    if (native.pid > 0)
        native_stop(&native);
    runner_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_64),
        cmocka_unit_test(test_32),
        cmocka_unit_test(test_16),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name("emulator against CPU", tests, setup, teardown);
}
