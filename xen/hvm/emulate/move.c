/* Data movement between registers and memory, flag instructions, conversions.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hvm/emulate/internal.h"

/* 88, 89 */
int op_mov_rm_r(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;

    return rm_write(c, n, reg_get(c, c->i.reg, n));
}

/* 8A, 8B */
int op_mov_r_rm(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t v;
    int rc = rm_read(c, n, &v);

    if (likely(rc == EMUL_OKAY))
        reg_set(c, c->i.reg, n, v);
    return rc;
}

/* C6, C7 */
int op_mov_rm_imm(struct emul_ctxt *c)
{
    if (c->i.reg & 7)
        return c->i.modrm == 0xf8 ? EMUL_UNHANDLEABLE : ud(c); /* XABORT, XBEGIN */
    return rm_write(c, c->i.opsize, c->i.imm);
}

/* B0-BF */
int op_mov_r_imm(struct emul_ctxt *c)
{
    reg_set(c, (c->i.opcode & 7) | (c->i.rex & 1) << 3, c->i.opsize, c->i.imm);
    return EMUL_OKAY;
}

/* A0, A1 */
int op_mov_moffs_load(struct emul_ctxt *c)
{
    uint64_t v;
    int rc = ea_read(c, 0, c->i.opsize, &v);

    if (rc == EMUL_OKAY)
        reg_set(c, R_RAX, c->i.opsize, v);
    return rc;
}

/* A2, A3 */
int op_mov_moffs_store(struct emul_ctxt *c)
{
    return ea_write(c, 0, c->i.opsize, reg_get(c, R_RAX, c->i.opsize));
}

/* 8C: a register gets the selector zero-extended, memory always 16 bits */
int op_mov_rm_seg(struct emul_ctxt *c)
{
    unsigned int n = c->i.reg & 7;

    if (n > EMUL_GS)
        return ud(c);
    return rm_write(c, c->i.mem ? 2 : c->i.opsize, seg_get(c, n)->sel);
}

/* 8E */
int op_mov_seg_rm(struct emul_ctxt *c)
{
    unsigned int n = c->i.reg & 7;
    struct emul_seg s;
    uint64_t sel;
    int rc;

    if (n > EMUL_GS || n == EMUL_CS)
        return ud(c);
    rc = rm_read(c, 2, &sel);
    if (rc == EMUL_OKAY)
        rc = seg_load(c, n, sel, &s);
    if (rc != EMUL_OKAY)
        return rc;
    seg_set(c, n, &s);
    c->retire.mov_ss = n == EMUL_SS;
    return EMUL_OKAY;
}

/* 0F B6, B7: the source is a byte or a word */
int op_movzx(struct emul_ctxt *c)
{
    uint64_t v;
    int rc = rm_read(c, 1 + (c->i.opcode & 1), &v);

    if (rc == EMUL_OKAY)
        reg_set(c, c->i.reg, c->i.opsize, v);
    return rc;
}

/* 0F BE, BF */
int op_movsx(struct emul_ctxt *c)
{
    unsigned int n = 1 + (c->i.opcode & 1);
    uint64_t v;
    int rc = rm_read(c, n, &v);

    if (rc == EMUL_OKAY)
        reg_set(c, c->i.reg, c->i.opsize, sign_extend(v, n));
    return rc;
}

/* 63: MOVSXD in 64-bit mode, else ARPL */
int op_movsxd(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if (!mode64(c))
        return c->i.real ? ud(c) : op_arpl(c);
    rc = rm_read(c, 4, &v); /* whatever the operand size */
    if (rc == EMUL_OKAY)
        reg_set(c, c->i.reg, c->i.opsize, sign_extend(v, 4));
    return rc;
}

int op_arpl(struct emul_ctxt *c)
{
    uint64_t v, src = reg_get(c, c->i.reg, 2);
    int rc = rm_read(c, 2, &v);
    bool less = (v & 3) < (src & 3);

    if (rc == EMUL_OKAY && less) /* memory is only written if it changes */
        rc = rm_write(c, 2, (v & ~3ull) | (src & 3));
    if (rc == EMUL_OKAY)
        set_flags(c, RFLAGS_ZF, less ? RFLAGS_ZF : 0);
    return rc;
}

/* 8D */
int op_lea(struct emul_ctxt *c)
{
    reg_set(c, c->i.reg, c->i.opsize, c->i.ea);
    return EMUL_OKAY;
}

/* 86, 87: with memory always locked */
int op_xchg(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t v, lin;
    int rc;

    c->i.lock = c->i.mem;
    rc = rmw_begin(c, n, &lin, &v);
    if (rc == EMUL_OKAY)
        rc = rmw_end(c, n, lin, v, reg_get(c, c->i.reg, n));
    if (rc == EMUL_OKAY)
        reg_set(c, c->i.reg, n, v);
    return rc;
}

/* 90-97; 90 without REX.B is NOP and PAUSE */
int op_xchg_acc(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize, reg = (c->i.opcode & 7) | (c->i.rex & 1) << 3;
    uint64_t v = reg_get(c, reg, n);

    if (reg == R_RAX)
        return EMUL_OKAY;
    reg_set(c, reg, n, reg_get(c, R_RAX, n));
    reg_set(c, R_RAX, n, v);
    return EMUL_OKAY;
}

bool condition(const struct emul_ctxt *c, unsigned int cc)
{
    uint64_t f = c->regs->rflags;
    bool less = !!(f & RFLAGS_SF) != !!(f & RFLAGS_OF), r;

    switch (cc >> 1) {
    case 0:
        r = f & RFLAGS_OF;
        break;
    case 1:
        r = f & RFLAGS_CF;
        break;
    case 2:
        r = f & RFLAGS_ZF;
        break;
    case 3:
        r = f & (RFLAGS_CF | RFLAGS_ZF);
        break;
    case 4:
        r = f & RFLAGS_SF;
        break;
    case 5:
        r = f & RFLAGS_PF;
        break;
    case 6:
        r = less;
        break;
    default:
        r = less || (f & RFLAGS_ZF);
        break;
    }
    return r != (cc & 1);
}

/* 0F 40-4F: memory is read, and a 32-bit register's upper half cleared, in any case */
int op_cmov(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t v;
    int rc = rm_read(c, n, &v);

    if (rc == EMUL_OKAY)
        reg_set(c, c->i.reg, n,
                condition(c, c->i.opcode & 15) ? v : reg_get(c, c->i.reg, n));
    return rc;
}

/* 0F 90-9F */
int op_setcc(struct emul_ctxt *c)
{
    return rm_write(c, 1, condition(c, c->i.opcode & 15));
}

/* 0F C8-CF: with a 16-bit operand the result is undefined; processors give 0 */
int op_bswap(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize, reg = (c->i.opcode & 7) | (c->i.rex & 1) << 3;
    uint64_t v = reg_get(c, reg, n);

    v = n == 2 ? 0 : __builtin_bswap64(v) >> (64 - 8 * n);
    reg_set(c, reg, n, v);
    return EMUL_OKAY;
}

/* 0F C3: 4 or 8 bytes in every mode */
int op_movnti(struct emul_ctxt *c)
{
    if (!(c->features & EMUL_F_SSE) || c->i.pp)
        return ud(c);
    c->i.opsize = c->i.opsize == 8 ? 8 : 4;
    return op_mov_rm_r(c);
}

/* D7 */
int op_xlat(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    c->i.ea = c->regs->rbx + (c->regs->rax & 0xff);
    rc = ea_read(c, 0, 1, &v);
    if (rc == EMUL_OKAY)
        reg_set(c, R_RAX, 1, v);
    return rc;
}

/* 9F */
int op_lahf(struct emul_ctxt *c)
{
    uint64_t f = (c->regs->rflags & (RFLAGS_STATUS & ~RFLAGS_OF)) | RFLAGS_MBS;

    c->regs->rax = (c->regs->rax & ~0xff00ull) | f << 8;
    return EMUL_OKAY;
}

/* 9E */
int op_sahf(struct emul_ctxt *c)
{
    set_flags(c, RFLAGS_STATUS & ~RFLAGS_OF, c->regs->rax >> 8);
    return EMUL_OKAY;
}

/* F5 CMC, F8 CLC, F9 STC, FC CLD, FD STD */
int op_flag(struct emul_ctxt *c)
{
    switch (c->i.opcode) {
    case 0xf5:
        c->regs->rflags ^= RFLAGS_CF;
        break;
    case 0xf8:
    case 0xf9:
        set_flags(c, RFLAGS_CF, c->i.opcode & 1 ? RFLAGS_CF : 0);
        break;
    default:
        set_flags(c, RFLAGS_DF, c->i.opcode & 1 ? RFLAGS_DF : 0);
        break;
    }
    return EMUL_OKAY;
}

/* 98: CBW, CWDE, CDQE */
int op_cbw(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;

    reg_set(c, R_RAX, n, sign_extend(reg_get(c, R_RAX, 8), n / 2));
    return EMUL_OKAY;
}

/* 99: CWD, CDQ, CQO */
int op_cwd(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;

    reg_set(c, R_RDX, n, reg_get(c, R_RAX, n) >> (8 * n - 1) ? ~0ull : 0);
    return EMUL_OKAY;
}

/* Fences, CLDEMOTE and the like */
int op_nop(struct emul_ctxt *c)
{
    return EMUL_OKAY;
}

/* 0F 0D, 0F 18-1F: hints, ENDBR; the operand is not accessed */
int op_nop_rm(struct emul_ctxt *c)
{
    if (c->i.opcode == 0x0d && !c->i.mem && (c->features & EMUL_F_AMD))
        return ud(c); /* PREFETCHW of a register */
    return EMUL_OKAY;
}

/* D6 */
int op_salc(struct emul_ctxt *c)
{
    reg_set(c, R_RAX, 1, c->regs->rflags & RFLAGS_CF ? 0xff : 0);
    return EMUL_OKAY;
}

/* 62 outside of 64-bit mode */
int op_bound(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t low, high;
    int64_t v = (int64_t)sign_extend(reg_get(c, c->i.reg, n), n);
    int rc = ea_read(c, 0, n, &low);

    if (rc == EMUL_OKAY)
        rc = ea_read(c, n, n, &high);
    if (rc != EMUL_OKAY)
        return rc;
    if (v < (int64_t)sign_extend(low, n) || v > (int64_t)sign_extend(high, n))
        return emul_raise(c, X_BR);
    return EMUL_OKAY;
}

static int load_far_pointer(struct emul_ctxt *c, unsigned int seg)
{
    unsigned int n = c->i.opsize;
    uint64_t off, sel;
    struct emul_seg s;
    int rc = ea_read(c, 0, n, &off);

    if (rc == EMUL_OKAY)
        rc = ea_read(c, n, 2, &sel);
    if (rc == EMUL_OKAY)
        rc = seg_load(c, seg, sel, &s);
    if (rc != EMUL_OKAY)
        return rc;
    seg_set(c, seg, &s);
    reg_set(c, c->i.reg, n, off);
    return EMUL_OKAY;
}

/* C4 LES, C5 LDS */
int op_lds(struct emul_ctxt *c)
{
    return load_far_pointer(c, c->i.opcode & 1 ? EMUL_DS : EMUL_ES);
}

/* 0F B2 LSS, B4 LFS, B5 LGS.  AMD ignores REX.W here (APM vol 3, LxS). */
int op_lss(struct emul_ctxt *c)
{
    unsigned int seg = c->i.opcode & 7;

    if (c->i.opsize == 8 && (c->features & EMUL_F_AMD))
        c->i.opsize = 4;
    /* no interrupt shadow: LSS loads SS:ESP in one go */
    return load_far_pointer(c, seg);
}
