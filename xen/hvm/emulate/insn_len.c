/* Length of the instruction behind an exit, for processors that do not tell it.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Only the instructions that exits are taken for.  The bytes were fetched by software and
 * another vCPU may have changed them meanwhile: a mismatch is reported, never guessed.
 */
#include "hvm/emulate/emulate.h"

enum shape {
    SHAPE_1,      /* one opcode byte */
    SHAPE_1_IMM8, /* and a byte */
    SHAPE_0F,     /* 0F and a byte */
    SHAPE_0F01,   /* 0F 01 and a byte */
    SHAPE_MOV,    /* 0F, a byte, ModRM that always names two registers */
    SHAPE_MODRM,  /* 0F 01 with ModRM.reg = ext, register or memory */
    SHAPE_PORT,   /* one-byte opcode: with bit 3 clear an immediate port follows */
};

/* `byte` is the last opcode byte; bits in `ignore` may differ. */
static const struct known {
    uint8_t shape, byte, ignore, ext;
} known[EMUL_INSN_KNOWN_COUNT] = {
    [EMUL_INSN_CPUID] = {SHAPE_0F, 0xa2, 0, 0},
    [EMUL_INSN_RDMSR] = {SHAPE_0F, 0x32, 0, 0},
    [EMUL_INSN_WRMSR] = {SHAPE_0F, 0x30, 0, 0},
    [EMUL_INSN_VMMCALL] = {SHAPE_0F01, 0xd9, 0, 0},
    [EMUL_INSN_VMCALL] = {SHAPE_0F01, 0xc1, 0, 0},
    [EMUL_INSN_HLT] = {SHAPE_1, 0xf4, 0, 0},
    [EMUL_INSN_RDTSC] = {SHAPE_0F, 0x31, 0, 0},
    [EMUL_INSN_RDTSCP] = {SHAPE_0F01, 0xf9, 0, 0},
    [EMUL_INSN_RDPMC] = {SHAPE_0F, 0x33, 0, 0},
    [EMUL_INSN_INVD] = {SHAPE_0F, 0x08, 0, 0},
    [EMUL_INSN_WBINVD] = {SHAPE_0F, 0x09, 0, 0},
    [EMUL_INSN_PAUSE] = {SHAPE_1, 0x90, 0, 0},
    [EMUL_INSN_XSETBV] = {SHAPE_0F01, 0xd1, 0, 0},
    [EMUL_INSN_CLTS] = {SHAPE_0F, 0x06, 0, 0},
    [EMUL_INSN_MONITOR] = {SHAPE_0F01, 0xc8, 0, 0},
    [EMUL_INSN_MWAIT] = {SHAPE_0F01, 0xc9, 0, 0},
    [EMUL_INSN_INT3] = {SHAPE_1, 0xcc, 0, 0},
    [EMUL_INSN_ICEBP] = {SHAPE_1, 0xf1, 0, 0},
    [EMUL_INSN_IRET] = {SHAPE_1, 0xcf, 0, 0},
    [EMUL_INSN_INTN] = {SHAPE_1_IMM8, 0xcd, 0, 0},
    [EMUL_INSN_RSM] = {SHAPE_0F, 0xaa, 0, 0},
    [EMUL_INSN_VMRUN] = {SHAPE_0F01, 0xd8, 0, 0},
    [EMUL_INSN_VMLOAD] = {SHAPE_0F01, 0xda, 0, 0},
    [EMUL_INSN_VMSAVE] = {SHAPE_0F01, 0xdb, 0, 0},
    [EMUL_INSN_STGI] = {SHAPE_0F01, 0xdc, 0, 0},
    [EMUL_INSN_CLGI] = {SHAPE_0F01, 0xdd, 0, 0},
    [EMUL_INSN_SKINIT] = {SHAPE_0F01, 0xde, 0, 0},
    [EMUL_INSN_INVLPGA] = {SHAPE_0F01, 0xdf, 0, 0},
    [EMUL_INSN_INVLPG] = {SHAPE_MODRM, 0x01, 0, 7},
    [EMUL_INSN_LMSW] = {SHAPE_MODRM, 0x01, 0, 6},
    [EMUL_INSN_MOV_FROM_CR] = {SHAPE_MOV, 0x20, 0, 0},
    [EMUL_INSN_MOV_TO_CR] = {SHAPE_MOV, 0x22, 0, 0},
    [EMUL_INSN_MOV_FROM_DR] = {SHAPE_MOV, 0x21, 0, 0},
    [EMUL_INSN_MOV_TO_DR] = {SHAPE_MOV, 0x23, 0, 0},
    [EMUL_INSN_IN] = {SHAPE_PORT, 0xe4, 0x09, 0},
    [EMUL_INSN_OUT] = {SHAPE_PORT, 0xe6, 0x09, 0},
    [EMUL_INSN_INS] = {SHAPE_1, 0x6c, 0x01, 0},
    [EMUL_INSN_OUTS] = {SHAPE_1, 0x6e, 0x01, 0},
};

static bool is_prefix(uint8_t b)
{
    switch (b) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64 ... 0x67:
    case 0xf0:
    case 0xf2:
    case 0xf3:
        return true;
    default:
        return false;
    }
}

/* Bytes of SIB and displacement behind a ModRM byte; ~0 if they are cut off. */
static unsigned int modrm_tail(const uint8_t *p, unsigned int n, unsigned int adsize)
{
    unsigned int mod = p[0] >> 6, rm = p[0] & 7;

    if (mod == 3)
        return 0;
    if (adsize == 2)
        return mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
    if (rm == 4) {
        if (n < 2)
            return ~0u;
        return 1 + (mod == 1 ? 1 : mod == 2 || (p[1] & 7) == 5 ? 4 : 0);
    }
    return mod == 1 ? 1 : mod == 2 || rm == 5 ? 4 : 0;
}

unsigned int emul_insn_len(const uint8_t *p, unsigned int n, unsigned int bits,
                           enum emul_known_insn which, struct emul_insn_regs *regs)
{
    const struct known *k;
    unsigned int at = 0, adsize = bits / 8, tail;
    uint8_t rex = 0, modrm;

    if ((unsigned int)which >= EMUL_INSN_KNOWN_COUNT)
        return 0;
    k = &known[which];
    if (n > EMUL_INSN_MAX)
        n = EMUL_INSN_MAX;
    for (; at < n; at++) {
        if (bits == 64 && (p[at] & 0xf0) == 0x40) {
            rex = p[at];
            continue;
        }
        if (!is_prefix(p[at]))
            break;
        if (p[at] == 0x67)
            adsize = bits == 32 ? 2 : 4;
        rex = 0;
    }
    /* every shape but the first ones needs 0F; p[at] is then the byte behind it */
    if (k->shape != SHAPE_1 && k->shape != SHAPE_1_IMM8 && k->shape != SHAPE_PORT) {
        if (at >= n || p[at++] != 0x0f)
            return 0;
        if (k->shape == SHAPE_0F01 && (at >= n || p[at++] != 0x01))
            return 0;
    }
    if (at >= n || ((p[at] ^ k->byte) & ~k->ignore))
        return 0;
    at++;
    if (k->shape == SHAPE_1_IMM8 || (k->shape == SHAPE_PORT && !(p[at - 1] & 8)))
        return at < n ? at + 1 : 0;
    if (k->shape != SHAPE_MOV && k->shape != SHAPE_MODRM)
        return at;
    if (at >= n)
        return 0;
    modrm = p[at];
    tail = k->shape == SHAPE_MOV ? 0 : modrm_tail(p + at, n - at, adsize);
    if (k->shape == SHAPE_MODRM && (modrm >> 3 & 7) != k->ext)
        return 0;
    if (k->shape == SHAPE_MODRM && which == EMUL_INSN_INVLPG && modrm >= 0xc0)
        return 0;
    if (tail > n - at - 1)
        return 0;
    if (regs)
        *regs = (struct emul_insn_regs){
            .gpr = (modrm & 7) | (rex & 1) << 3,
            .creg = (modrm >> 3 & 7) | (rex & 4) << 1,
            .memory = k->shape == SHAPE_MODRM && modrm < 0xc0,
        };
    return at + 1 + tail;
}
