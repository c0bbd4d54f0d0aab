/* The emulator against the real CPU: random instructions, emulated and run natively, must
 * leave the same registers, flags, memory, vector state and faults.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * EMUL_SEED and EMUL_SECONDS in the environment change the defaults; a failure prints the
 * bytes, the inputs and both outcomes.  Code is 64-bit, 32-bit and 16-bit (the latter two
 * in compatibility mode with segments from an LDT), at CPL 3.
 */
#include "generate.h"
#include "machine.h"
#include "native.h"

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

enum {
    STATUS = 0x8d5,
    FLAGS_COMPARED = STATUS | 0x400 | 0x4000 | 0x40000 | 0x200000, /* DF NT AC ID */
    TF = 0x100,
    ID = 0x200000,
    FAILURES_SHOWN = 8,
    CODE_BYTES = 0x2000, /* the sandbox's pages with code */
};

static struct native native;
static struct machine machine;
static uint8_t emulated_mem[SANDBOX_BYTES];
static uint8_t xstate_template[XSTATE_MAX];
static size_t xstate_len;
static struct rng rng;
static unsigned int failures;
static volatile unsigned long trials;
static unsigned long compared[ZYDIS_MNEMONIC_MAX_VALUE + 1];
static unsigned long unhandled[ZYDIS_MNEMONIC_MAX_VALUE + 1];
static unsigned long faults[32];

/* One comparison's inputs. */
struct trial {
    unsigned int bits;
    bool step; /* one step with TF, else until the INT3 behind it */
    struct candidate cand;
    uint64_t offset; /* of the instruction in the sandbox */
    struct cpu_regs in;
    uint16_t sel[EMUL_GS + 1];
    uint64_t fs_base, gs_base;
    bool vector;
};

/* --- inputs
 * ------------------------------------------------------------------------------- */

static uint64_t random_pointer(unsigned int bits)
{
    static const uint8_t data_pages[] = {4, 5, 6, 7, 9, 10, 13};
    uint64_t off = data_pages[rng_below(&rng, 7)] * 4096 + rng_below(&rng, 4096);

    if (rng_chance(&rng, 20)) /* near a page's end */
        off = (off & ~0xfffull) + 4096 - rng_below(&rng, 40);
    else if (rng_chance(&rng, 40))
        off &= ~0x1full;
    if (rng_chance(&rng, 5))
        off = rng_below(&rng, SANDBOX_BYTES);
    return bits == 16 ? off : SANDBOX_BASE + off;
}

static uint64_t random_value(unsigned int bits)
{
    static const uint64_t odd[] = {
        0,          1,      ~0ull,      0x80,           0x7f,
        0x8000,     0x7fff, 0x80000000, 0x7fffffff,     1ull << 63,
        ~0ull >> 1, 0xffff, 0xffffffff, 0x800000000000, 0x7fffffffffff,
        2,
    };
    unsigned int k = rng_below(&rng, 100);

    if (k < 40)
        return random_pointer(bits);
    if (k < 60)
        return odd[rng_below(&rng, 16)];
    if (k < 80)
        return rng_below(&rng, 200);
    return rng_next(&rng);
}

static const uint16_t data_sel[] = {0x2b, 0x17, 0x1f, 0x27, 0x2f,
                                    0x37, 0x5f, 0x6f, 0x77, 0x2b};
static const uint16_t any_sel[] = {
    0,    3,    0x23, 0x2b, 0x33, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47,
    0x4f, 0x57, 0x5f, 0x67, 0x6f, 0x77, 0x10, 0x18, 0x08, 0x28, 0x2a, 0x16, 0x87, 0xfff7,
};

/* Selectors are what registers and memory are loaded from at times. */
static uint16_t random_selector(void)
{
    return any_sel[rng_below(&rng, sizeof(any_sel) / sizeof(any_sel[0]))];
}

static void random_segments(struct trial *t)
{
    static const uint16_t code64[] = {0x33}, code32[] = {0x23, 0x07}, code16[] = {0x0f};
    const uint16_t stack[] = {0x2b, 0x17, 0x1f, 0x5f, 0x27, 0x2f, 0x77};

    for (unsigned int k = 0; k <= EMUL_GS; k++)
        t->sel[k] = data_sel[rng_below(&rng, 10)];
    t->fs_base = t->gs_base = 0;
    if (t->bits == 64) {
        t->sel[EMUL_CS] = code64[0];
        t->sel[EMUL_SS] = 0x2b;
        t->sel[EMUL_DS] = t->sel[EMUL_ES] = rng_chance(&rng, 50) ? 0 : 0x2b;
        t->sel[EMUL_FS] = t->sel[EMUL_GS] = 0;
        t->fs_base = rng_chance(&rng, 80) ? rng_below(&rng, 0x3000) : SANDBOX_BASE;
        t->gs_base = rng_chance(&rng, 80) ? rng_below(&rng, 0x3000) : 0x7ffffff00000;
        return;
    }
    if (rng_chance(&rng, 70)) /* mostly segments that fit */
        for (unsigned int k = 0; k <= EMUL_GS; k++)
            t->sel[k] = t->bits == 32 ? 0x2b : 0x17;
    else
        t->sel[EMUL_SS] = stack[rng_below(&rng, 7)];
    if (rng_chance(&rng, 10))
        t->sel[EMUL_FS + rng_below(&rng, 2)] = 0;
    if (rng_chance(&rng, 5))
        t->sel[EMUL_DS] = 0;
    if (rng_chance(&rng, 10))
        t->sel[EMUL_ES] = 0x47; /* readable code */
    t->sel[EMUL_CS] = t->bits == 32 ? code32[rng_below(&rng, 2)] : code16[0];
}

static uint64_t selector_base(uint16_t sel)
{
    uint64_t d = !(sel & 4) ? 0 : machine.ldt[sel >> 3];

    return (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
}

/* An offset in SS at which the stack works. */
static uint64_t random_stack(struct trial *t)
{
    uint64_t lin = SANDBOX_BASE + 0x5000 + 8 * (uint64_t)rng_below(&rng, 128);

    if (rng_chance(&rng, 5))
        lin = SANDBOX_BASE + 0x4000 + rng_below(&rng, 64); /* near a hole */
    if (rng_chance(&rng, 5))
        lin += rng_below(&rng, 16);
    return t->bits == 64 ? lin : (uint32_t)(lin - selector_base(t->sel[EMUL_SS]));
}

static void random_registers(struct trial *t)
{
    uint64_t *r = (uint64_t *)&t->in;

    for (unsigned int k = 0; k < 15; k++)
        r[k] = random_value(t->bits);
    if (rng_chance(&rng, 4)) /* selectors are usually in eax, ecx ... */
        for (unsigned int k = 0; k < 15; k++)
            r[k] = random_selector();
    t->in.rsp = rng_chance(&rng, 93) ? random_stack(t) : random_value(t->bits);
    if (rng_chance(&rng, 30))
        t->in.rbp = random_stack(t);
    if (t->bits != 64) {
        for (unsigned int k = 0; k < 15; k++)
            r[k] = (uint32_t)r[k];
        t->in.rsp = (uint32_t)t->in.rsp;
    }
    t->in.rflags =
        2 | 0x200 | (rng_next(&rng) & (STATUS | (rng_chance(&rng, 20) ? 0x400 : 0)));
    if (rng_chance(&rng, 3))
        t->in.rflags |= 0x4000;
    if (t->step)
        t->in.rflags |= TF;
    t->in.rip = t->offset + (t->bits == 16 ? 0 : SANDBOX_BASE);
}

static void random_vectors(void)
{
    for (unsigned int k = 0; k < 16; k++)
        for (unsigned int b = 0; b < 32; b++)
            machine.ymm[k][b] = rng_next(&rng) >> 20;
    for (unsigned int k = 0; k < 8; k++)
        machine.mm[k] = rng_next(&rng);
    machine.mxcsr = 0x1f80 | (rng_next(&rng) & 0x603f);
    machine.fcw = 0x37f;
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

static void load_machine(const struct trial *t)
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

static void load_xstate(uint8_t *x)
{
    uint64_t bv = 7;

    memcpy(x, xstate_template, xstate_len);
    memcpy(x, &machine.fcw, 2);
    memcpy(x + 2, &machine.fsw, 2);
    x[4] = machine.ftw;
    memcpy(x + 24, &machine.mxcsr, 4);
    for (unsigned int k = 0; k < 8; k++) {
        memcpy(x + 32 + 16 * k, &machine.mm[k], 8);
        memset(x + 40 + 16 * k, 0xff, 2);
    }
    for (unsigned int k = 0; k < 16; k++) {
        memcpy(x + 160 + 16 * k, machine.ymm[k], 16);
        memcpy(x + native.ymm_offset + 16 * k, machine.ymm[k] + 16, 16);
    }
    memcpy(x + 512, &bv, 8);
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
                2 * !!memcmp(machine.ymm[k] + 16, x + native.ymm_offset + 16 * k, 16));
    }
    for (unsigned int k = 0; k < 8; k++) {
        snprintf(name, sizeof(name), "mm%u", k);
        bad |= differs(name, machine.mm[k], *(const uint64_t *)(x + 32 + 16 * k));
    }
    bad |= differs("mxcsr", machine.mxcsr, *(const uint32_t *)(x + 24));
    bad |= differs("fcw", machine.fcw, *(const uint16_t *)x);
    if (!fault) /* the tags change only when the instruction completes */
        bad |= differs("ftw", machine.ftw, x[4]);
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

/* Of an invalid instruction that reaches into a hole, the manuals leave open which comes
 * first. */
static bool either_order(const struct emul_event *e, const struct native_result *real)
{
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

    if (either_order(e, real))
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

static void plant(uint64_t lin, unsigned int bytes, uint64_t v)
{
    uint64_t off = lin - SANDBOX_BASE;

    if (off > SANDBOX_BYTES - 8 || off < CODE_BYTES)
        return;
    memcpy(emulated_mem + off, &v, bytes);
    memcpy(native.mem + off, &v, bytes);
}

/* Whether RSP is good in 64-bit mode too: a far CALL to 64-bit code whose push faults
 * there and only there never ends on the CPU of the development machines. */
static bool stack_in_sandbox(const struct trial *t)
{
    return !selector_base(t->sel[EMUL_SS]) && t->in.rsp >= SANDBOX_BASE + 0x4100 &&
           t->in.rsp < SANDBOX_BASE + 0x7000;
}

/* A selector that may work where an instruction takes one, behind an offset or alone. */
static void plant_far_pointer(const struct trial *t, uint64_t lin)
{
    unsigned int n = t->cand.insn.operand_width / 8;

    switch (t->cand.insn.mnemonic) {
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
        plant(lin, n,
              rng_chance(&rng, 70) ? rng_below(&rng, CODE_BYTES) : rng_next(&rng));
        if (t->bits == 64 || stack_in_sandbox(t))
            plant(lin + (n == 8 ? 4 : n), 2, random_selector());
        break;
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
        if (rng_chance(&rng, 50))
            plant(lin, 2, random_selector());
        break;
    default:
        break;
    }
}

/* What far returns and POPs of segments find on the stack: IP, CS, flags, SP, SS. */
static void plant_frame(const struct trial *t)
{
    unsigned int n = t->cand.insn.operand_width / 8, k = 0;
    uint64_t lin = t->in.rsp + (t->bits == 64 ? 0 : selector_base(t->sel[EMUL_SS]));
    bool iret = false;

    switch (t->cand.insn.mnemonic) {
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        iret = true;
        break;
    case ZYDIS_MNEMONIC_POP:
        if (rng_chance(&rng, 50))
            plant(lin, n, random_selector());
        return;
    case ZYDIS_MNEMONIC_RET:
        break;
    default:
        return;
    }
    plant(lin + n * k++, n,
          rng_chance(&rng, 80) ? SANDBOX_BASE + rng_below(&rng, CODE_BYTES)
                               : rng_next(&rng));
    plant(lin + n * k++, n, random_selector());
    if (iret)
        plant(lin + n * k++, n, rng_next(&rng) & ~0x44000ull & ~(uint64_t)TF);
    plant(lin + n * k++, n, SANDBOX_BASE + 0x5000);
    plant(lin + n * k++, n, random_selector());
}

/* Put the memory operand where something is, most of the time, by way of its base
 * register or its displacement. */
static void aim(struct trial *t)
{
    const ZydisDecodedOperand *mem = NULL;
    int64_t delta;
    uint64_t want;

    for (unsigned int k = 0; k < t->cand.insn.operand_count && !mem; k++)
        if (t->cand.ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            t->cand.ops[k].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
            mem = &t->cand.ops[k];
    if (!mem || rng_chance(&rng, 10))
        return;
    load_machine(t);
    machine.c.regs = &machine.regs;
    machine.c.opaque = &machine;
    machine.c.cr0 = machine.cr[0];
    machine.c.cr4 = machine.cr[4];
    machine.c.seg_valid = 0;
    machine.c.fetched = 15;
    memcpy(machine.c.insn, t->cand.bytes, 15);
    emul_decode(&machine.c);
    want = random_pointer(64);
    plant_far_pointer(t, want);
    if (t->bits != 64)
        want = (uint32_t)(want - selector_base(t->sel[machine.c.i.ea_seg]));
    else if (machine.c.i.ea_seg >= EMUL_FS)
        want -= machine.c.i.ea_seg == EMUL_FS ? t->fs_base : t->gs_base;
    delta = want - machine.c.i.ea;
    if (mem->mem.base != ZYDIS_REGISTER_NONE && mem->mem.base != ZYDIS_REGISTER_RIP &&
        mem->mem.base != ZYDIS_REGISTER_EIP) {
        int id = ZydisRegisterGetId(mem->mem.base);
        static const uint8_t order[] = {10, 11, 12, 5, 17, 4, 13, 14,
                                        9,  8,  7,  6, 3,  2, 1,  0};
        uint64_t *r = (uint64_t *)&t->in + order[id & 15];

        if (mem->mem.index != mem->mem.base)
            *r += delta;
        if (t->bits != 64)
            *r = (uint32_t)*r;
    } else if (t->cand.insn.raw.disp.size >= 16) {
        unsigned int n = t->cand.insn.raw.disp.size / 8;
        uint64_t disp = 0;
        uint8_t *at = t->cand.bytes + t->cand.insn.raw.disp.offset;

        memcpy(&disp, at, n);
        disp += delta;
        memcpy(at, &disp, n);
        candidate_decode(t->bits, &t->cand);
    }
}

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
        load_xstate(x);
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

/* An instruction that goes on natively behind itself: only that can be run to an INT3. */
static bool falls_through(const struct candidate *c)
{
    switch (c->insn.meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSRET:
        return false;
    default:
        return c->valid;
    }
}

static void random_trial(struct trial *t, unsigned int bits)
{
    bool rep;

    memset(t, 0, sizeof(*t));
    t->bits = bits;
    do {
        candidate_make(&rng, bits, &t->cand);
    } while (!candidate_runs(&t->cand) || (!t->cand.valid && !rng_chance(&rng, 10)));
    rep = t->cand.valid &&
          (t->cand.insn.attributes &
           (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE));
    t->step = !falls_through(&t->cand) || !rng_chance(&rng, rep ? 70 : 5);
    t->offset = rng_below(&rng, CODE_BYTES - 0x40);
    if (rng_chance(&rng, 5))
        t->offset = 0xff0 + rng_below(&rng, 16); /* across two pages */
    if (t->step && rng_chance(&rng, 2))
        t->offset = CODE_BYTES - 1 - rng_below(&rng, 14); /* into a hole */
    random_segments(t);
    if (bits == 64 && t->cand.valid &&
        t->cand.insn.meta.category == ZYDIS_CATEGORY_BITBYTE)
        t->fs_base = t->gs_base =
            0x800; /* AMD wants base + bit offset canonical alone too */
    random_registers(t);
    if (rep && !t->step)
        t->in.rcx = rng_below(&rng, 3000);
    if (!t->cand.valid)
        return;
    if (t->cand.insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
        (t->cand.insn.opcode == 0x9a || t->cand.insn.opcode == 0xea)) {
        uint16_t sel = random_selector();

        if (sel == 0x33 && !stack_in_sandbox(t))
            sel = 0x23;
        memcpy(t->cand.bytes + t->cand.len - 2, &sel, 2);
        if (rng_chance(&rng, 70)) /* an offset that most code segments reach */
            memset(t->cand.bytes + t->cand.len - 4, 0, t->cand.insn.operand_width / 16);
        candidate_decode(t->bits, &t->cand);
    }
    aim(t);
    plant_frame(t);
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
    __cpuid_count(7, 0, a, b, c, d);
    f |= b & bit_AVX2 ? EMUL_F_AVX2 : 0;
    f |= b & bit_BMI ? EMUL_F_BMI1 : 0;
    f |= b & bit_BMI2 ? EMUL_F_BMI2 : 0;
    f |= b & bit_ADX ? EMUL_F_ADX : 0;
    f |= b & (1u << 20) ? EMUL_F_SMAP : 0;
    f |= b & bit_CLFLUSHOPT ? EMUL_F_CLFLUSHOPT : 0;
    f |= b & bit_CLWB ? EMUL_F_CLWB : 0;
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
    if (native_start(&native)) {
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
    make_tables();
    return native_get_xstate(&native, xstate_template, &xstate_len);
}

static int teardown(void **state)
{
    if (native.pid > 0)
        native_stop(&native);
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
