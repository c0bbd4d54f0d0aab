/* Random inputs for the comparison with the real CPU: registers, segments, pointers,
 * frames. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "oracle.h"

#include <string.h>

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

uint64_t selector_base(uint16_t sel)
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
bool stack_in_sandbox(const struct trial *t)
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

void random_trial(struct trial *t, unsigned int bits)
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
