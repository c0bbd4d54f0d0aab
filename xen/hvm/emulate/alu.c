/* Integer arithmetic: the eight ALU operations, INC/DEC, group 3, multiply and divide,
 * XADD, CMPXCHG, decimal adjustment.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Flags that the manuals call undefined are left as they were or get an arbitrary value.
 */
#include "hvm/emulate/internal.h"

uint64_t flags_szp(uint64_t val, unsigned int bytes)
{
    uint64_t f = 0;

    val &= size_mask(bytes);
    if (val == 0)
        f |= RFLAGS_ZF;
    if (val >> (8 * bytes - 1))
        f |= RFLAGS_SF;
    if (!__builtin_parity(val & 0xff))
        f |= RFLAGS_PF;
    return f;
}

/* CF, AF and OF from the carries out of each bit position, and from dst, src and result.
 */
static uint64_t flags_carry(uint64_t carries, uint64_t overflow, uint64_t aux,
                            unsigned int bytes)
{
    unsigned int top = 8 * bytes - 1;

    return (carries >> top & 1 ? RFLAGS_CF : 0) | (overflow >> top & 1 ? RFLAGS_OF : 0) |
           (aux & 0x10 ? RFLAGS_AF : 0);
}

uint64_t alu_compute(unsigned int op, uint64_t dst, uint64_t src, unsigned int bytes,
                     uint64_t *flags)
{
    uint64_t cf = *flags & RFLAGS_CF ? 1 : 0, r, f;

    switch (op) {
    case ALU_ADD:
        cf = 0; /* fall through */
    case ALU_ADC:
        r = dst + src + cf;
        f = flags_carry((dst & src) | ((dst | src) & ~r), (dst ^ r) & (src ^ r),
                        dst ^ src ^ r, bytes);
        break;
    case ALU_SUB:
    case ALU_CMP:
        cf = 0; /* fall through */
    case ALU_SBB:
        r = dst - src - cf;
        f = flags_carry((~dst & src) | ((~dst | src) & r), (dst ^ src) & (dst ^ r),
                        dst ^ src ^ r, bytes);
        break;
    case ALU_OR:
        r = dst | src;
        f = 0;
        break;
    case ALU_AND:
        r = dst & src;
        f = 0;
        break;
    default:
        r = dst ^ src;
        f = 0;
        break;
    }
    *flags = f | flags_szp(r, bytes);
    return r;
}

/* dst (ModRM operand) = dst op src, but for CMP. */
static int alu_to_rm(struct emul_ctxt *c, unsigned int op, uint64_t src)
{
    unsigned int n = c->i.opsize;
    uint64_t dst, r, lin, f = c->regs->rflags;
    int rc;

    if (op == ALU_CMP) {
        if (c->i.lock)
            return ud(c);
        rc = rm_read(c, n, &dst);
        if (rc != EMUL_OKAY)
            return rc;
        alu_compute(op, dst, src, n, &f);
    } else {
        rc = rmw_begin(c, n, &lin, &dst);
        if (rc != EMUL_OKAY)
            return rc;
        r = alu_compute(op, dst, src, n, &f);
        rc = rmw_end(c, n, lin, dst, r);
        if (rc != EMUL_OKAY)
            return rc;
    }
    set_flags(c, RFLAGS_STATUS, f);
    return EMUL_OKAY;
}

static int alu_to_reg(struct emul_ctxt *c, unsigned int op, unsigned int reg,
                      uint64_t src)
{
    unsigned int n = c->i.opsize;
    uint64_t f = c->regs->rflags;
    uint64_t r = alu_compute(op, reg_get(c, reg, n), src, n, &f);

    if (c->i.lock)
        return ud(c);
    if (op != ALU_CMP)
        reg_set(c, reg, n, r);
    set_flags(c, RFLAGS_STATUS, f);
    return EMUL_OKAY;
}

/* 00-3D: operation in bits 3-5, direction in bits 0-2. */
int op_alu(struct emul_ctxt *c)
{
    unsigned int op = c->i.opcode >> 3 & 7;
    uint64_t src;
    int rc;

    switch (c->i.opcode & 7) {
    case 0:
    case 1:
        return alu_to_rm(c, op, reg_get(c, c->i.reg, c->i.opsize));
    case 2:
    case 3:
        rc = rm_read(c, c->i.opsize, &src);
        if (rc != EMUL_OKAY)
            return rc;
        return alu_to_reg(c, op, c->i.reg, src);
    default:
        return alu_to_reg(c, op, R_RAX, c->i.imm);
    }
}

/* 80-83 */
int op_alu_imm(struct emul_ctxt *c)
{
    return alu_to_rm(c, c->i.reg & 7, c->i.imm);
}

static int test(struct emul_ctxt *c, uint64_t a, uint64_t b)
{
    uint64_t f = 0;

    alu_compute(ALU_AND, a, b, c->i.opsize, &f);
    set_flags(c, RFLAGS_STATUS, f);
    return EMUL_OKAY;
}

/* 84, 85 */
int op_test(struct emul_ctxt *c)
{
    uint64_t v;
    int rc = rm_read(c, c->i.opsize, &v);

    return rc == EMUL_OKAY ? test(c, v, reg_get(c, c->i.reg, c->i.opsize)) : rc;
}

/* A8, A9 */
int op_test_acc(struct emul_ctxt *c)
{
    return test(c, reg_get(c, R_RAX, c->i.opsize), c->i.imm);
}

int incdec_rm(struct emul_ctxt *c, bool dec)
{
    unsigned int n = c->i.opsize;
    uint64_t v, r, lin, f = 0;
    int rc = rmw_begin(c, n, &lin, &v);

    if (rc != EMUL_OKAY)
        return rc;
    r = alu_compute(dec ? ALU_SUB : ALU_ADD, v, 1, n, &f);
    rc = rmw_end(c, n, lin, v, r);
    if (rc == EMUL_OKAY)
        set_flags(c, RFLAGS_STATUS & ~RFLAGS_CF, f);
    return rc;
}

/* 40-4F outside of 64-bit mode */
int op_incdec_reg(struct emul_ctxt *c)
{
    c->i.rm = c->i.opcode & 7;
    return incdec_rm(c, c->i.opcode & 8);
}

/* FE */
int op_grp4(struct emul_ctxt *c)
{
    if ((c->i.reg & 7) > 1)
        return ud(c);
    return incdec_rm(c, c->i.reg & 1);
}

/* --- multiplication and division ------------------------------------------------------
 */

/* RDX:RAX, or AX, of an operand size. */
static void set_wide(struct emul_ctxt *c, uint64_t low, uint64_t high)
{
    unsigned int n = c->i.opsize;

    if (n == 1) {
        c->regs->rax = merge(c->regs->rax, (low & 0xff) | high << 8, 2);
        return;
    }
    reg_set(c, R_RAX, n, low);
    reg_set(c, R_RDX, n, high);
}

/* Signed product of n-byte operands; returns whether it does not fit into n bytes. */
static bool multiply(uint64_t a, uint64_t b, unsigned int n, bool is_signed,
                     uint64_t *low, uint64_t *high)
{
    if (is_signed) {
        __int128 p = (__int128)(int64_t)sign_extend(a, n) * (int64_t)sign_extend(b, n);

        *low = p;
        *high = p >> (8 * n);
        return p != (int64_t)sign_extend(p, n);
    } else {
        unsigned __int128 p = (unsigned __int128)a * b;

        *low = p;
        *high = p >> (8 * n);
        return *high != 0;
    }
}

static void set_mul_flags(struct emul_ctxt *c, bool overflow)
{
    set_flags(c, RFLAGS_CF | RFLAGS_OF, overflow ? RFLAGS_CF | RFLAGS_OF : 0);
}

static int do_mul(struct emul_ctxt *c, bool is_signed)
{
    uint64_t v, low, high;
    int rc = rm_read(c, c->i.opsize, &v);

    if (rc != EMUL_OKAY)
        return rc;
    set_mul_flags(c, multiply(reg_get(c, R_RAX, c->i.opsize), v, c->i.opsize, is_signed,
                              &low, &high));
    set_wide(c, low, high);
    return EMUL_OKAY;
}

/* high:low / d with 64-bit parts; the caller has checked high < d. */
static uint64_t divide_wide(uint64_t high, uint64_t low, uint64_t d, uint64_t *rem)
{
    uint64_t q;

    __asm__("divq %4" : "=a"(q), "=d"(*rem) : "0"(low), "1"(high), "rm"(d) : "cc");
    return q;
}

/* Unsigned division of a 2n-byte number; false if the quotient does not fit. */
static bool divide(uint64_t high, uint64_t low, uint64_t d, unsigned int n, uint64_t *q,
                   uint64_t *rem)
{
    if (high >= d)
        return false; /* also d == 0 */
    if (n == 8) {
        *q = divide_wide(high, low, d, rem);
    } else {
        uint64_t v = high << (8 * n) | low;

        *q = v / d;
        *rem = v % d;
    }
    return true;
}

static bool divide_signed(uint64_t high, uint64_t low, uint64_t d, unsigned int n,
                          uint64_t *q, uint64_t *rem)
{
    uint64_t mask = size_mask(n);
    bool neg = high >> (8 * n - 1) & 1, neg_d = d >> (8 * n - 1) & 1;

    if (neg) { /* two's complement of the double-width number */
        low = -low & mask;
        high = (~high + (low == 0)) & mask;
    }
    if (neg_d)
        d = -d & mask;
    if (!divide(high, low, d, n, q, rem))
        return false;
    /* The quotient's magnitude may be one more if it is negative. */
    if (*q > (mask >> 1) + (neg != neg_d))
        return false;
    if (neg != neg_d)
        *q = -*q;
    if (neg)
        *rem = -*rem;
    return true;
}

static int do_div(struct emul_ctxt *c, bool is_signed)
{
    unsigned int n = c->i.opsize;
    uint64_t low = reg_get(c, R_RAX, n), high, d, q, rem;
    int rc = rm_read(c, n, &d);
    bool fits;

    if (rc != EMUL_OKAY)
        return rc;
    high = n == 1 ? c->regs->rax >> 8 & 0xff : reg_get(c, R_RDX, n);
    fits = is_signed ? divide_signed(high, low, d, n, &q, &rem)
                     : divide(high, low, d, n, &q, &rem);
    if (!fits)
        return emul_raise(c, X_DE);
    set_wide(c, q, rem);
    return EMUL_OKAY;
}

static int do_neg_not(struct emul_ctxt *c, bool neg)
{
    unsigned int n = c->i.opsize;
    uint64_t v, r, lin, f = 0;
    int rc = rmw_begin(c, n, &lin, &v);

    if (rc != EMUL_OKAY)
        return rc;
    r = neg ? alu_compute(ALU_SUB, 0, v, n, &f) : ~v;
    rc = rmw_end(c, n, lin, v, r);
    if (rc == EMUL_OKAY && neg)
        set_flags(c, RFLAGS_STATUS, f);
    return rc;
}

/* F6, F7 */
int op_grp3(struct emul_ctxt *c)
{
    unsigned int sub = c->i.reg & 7;
    uint64_t v;
    int rc;

    if (c->i.lock && sub != 2 && sub != 3)
        return ud(c);
    switch (sub) {
    case 0:
    case 1:
        rc = rm_read(c, c->i.opsize, &v);
        return rc == EMUL_OKAY ? test(c, v, c->i.imm) : rc;
    case 2:
    case 3:
        return do_neg_not(c, sub == 3);
    case 4:
    case 5:
        return do_mul(c, sub == 5);
    default:
        return do_div(c, sub == 7);
    }
}

static int imul_to_reg(struct emul_ctxt *c, uint64_t a, uint64_t b)
{
    uint64_t low, high;

    set_mul_flags(c, multiply(a, b, c->i.opsize, true, &low, &high));
    reg_set(c, c->i.reg, c->i.opsize, low);
    return EMUL_OKAY;
}

/* 0F AF */
int op_imul2(struct emul_ctxt *c)
{
    uint64_t v;
    int rc = rm_read(c, c->i.opsize, &v);

    return rc == EMUL_OKAY ? imul_to_reg(c, reg_get(c, c->i.reg, c->i.opsize), v) : rc;
}

/* 69, 6B */
int op_imul3(struct emul_ctxt *c)
{
    uint64_t v;
    int rc = rm_read(c, c->i.opsize, &v);

    return rc == EMUL_OKAY ? imul_to_reg(c, v, c->i.imm) : rc;
}

/* --- exchange -------------------------------------------------------------------------
 */

/* 0F C0, 0F C1 */
int op_xadd(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t v, r, lin, f = 0;
    int rc = rmw_begin(c, n, &lin, &v);

    if (rc != EMUL_OKAY)
        return rc;
    r = alu_compute(ALU_ADD, v, reg_get(c, c->i.reg, n), n, &f);
    if (c->i.mem) {
        rc = rmw_end(c, n, lin, v, r);
        if (rc != EMUL_OKAY)
            return rc;
        reg_set(c, c->i.reg, n, v);
    } else { /* with both the same register the sum stays */
        reg_set(c, c->i.reg, n, v);
        reg_set(c, c->i.rm, n, r);
    }
    set_flags(c, RFLAGS_STATUS, f);
    return EMUL_OKAY;
}

/* 0F B0, 0F B1 */
int op_cmpxchg(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t v, lin, f = 0, acc = reg_get(c, R_RAX, n);
    bool equal;
    int rc = rmw_begin(c, n, &lin, &v);

    if (rc != EMUL_OKAY)
        return rc;
    equal = v == acc;
    alu_compute(ALU_CMP, acc, v, n, &f);
    /* Memory is written in any case; of a register only an equal one changes. */
    if (c->i.mem || equal) {
        rc = rmw_end(c, n, lin, v, equal ? reg_get(c, c->i.reg, n) : v);
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (!equal)
        reg_set(c, R_RAX, n, v);
    set_flags(c, RFLAGS_STATUS, f);
    return EMUL_OKAY;
}

/* CMPXCHG8B and CMPXCHG16B */
static int cmpxchg_wide(struct emul_ctxt *c)
{
    unsigned int n = c->i.rex & 8 ? 8 : 4;
    unsigned int acc = EMUL_ACC_RMW | (c->i.lock ? EMUL_ACC_LOCK : 0);
    unsigned char old[16], new[16];
    uint64_t lo = 0, hi = 0, b, d, lin;
    bool equal;
    int rc;

    if (n == 8 && !(c->features & EMUL_F_CX16))
        return ud(c);
    rc = ea_linear(c, 2 * n, EMUL_ACC_RMW, &lin);
    if (rc != EMUL_OKAY)
        return rc;
    if (n == 8 && (lin & 15))
        return gp0(c);
    rc = c->ops->read(c, lin, old, 2 * n, acc);
    if (rc != EMUL_OKAY)
        return rc;
    __builtin_memcpy(&lo, old, n);
    __builtin_memcpy(&hi, old + n, n);
    equal = lo == reg_get(c, R_RAX, n) && hi == reg_get(c, R_RDX, n);
    __builtin_memcpy(new, old, 2 * n);
    if (equal) {
        b = c->regs->rbx;
        d = c->regs->rcx;
        __builtin_memcpy(new, &b, n);
        __builtin_memcpy(new + n, &d, n);
    }
    if (c->i.lock && c->ops->cmpxchg)
        rc = c->ops->cmpxchg(c, lin, old, new, 2 * n, EMUL_ACC_WRITE | EMUL_ACC_LOCK);
    else
        rc = c->ops->write(c, lin, new, 2 * n, EMUL_ACC_WRITE);
    if (rc != EMUL_OKAY)
        return rc;
    if (!equal) {
        reg_set(c, R_RAX, n, lo);
        reg_set(c, R_RDX, n, hi);
    }
    set_flags(c, RFLAGS_ZF, equal ? RFLAGS_ZF : 0);
    return EMUL_OKAY;
}

/* RDPID (AMD APM vol 3): the operand is 64 bits wide in 64-bit mode whatever REX.W says.
 */
static int do_rdpid(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if (!(c->features & EMUL_F_RDPID))
        return ud(c);
    rc = c->ops->msr_read(c, MSR_TSC_AUX, &v);
    if (rc == EMUL_OKAY)
        reg_set(c, c->i.rm, mode64(c) ? 8 : 4, (uint32_t)v);
    return rc;
}

/* 0F C7 */
int op_grp9(struct emul_ctxt *c)
{
    unsigned int sub = c->i.reg & 7;

    if (sub == 1 && c->i.mem)
        return cmpxchg_wide(c);
    if (c->i.lock)
        return ud(c);
    if (sub == 7 && !c->i.mem && c->i.rep == 0xf3)
        return do_rdpid(c);
    if (sub == 0 || sub == 2 || (sub == 1 && !c->i.mem))
        return ud(c);
    return EMUL_UNHANDLEABLE; /* XSAVES and relatives, RDRAND, RDSEED, VMPTRLD ... */
}

/* --- decimal
 * ---------------------------------------------------------------------------- */

static void daa_das(struct emul_ctxt *c, bool sub)
{
    uint64_t f = c->regs->rflags;
    uint8_t al = c->regs->rax, old = al;
    bool cf = false, aux = (al & 15) > 9 || (f & RFLAGS_AF);

    if (aux) {
        cf = (f & RFLAGS_CF) || (sub ? al < 6 : al > 0xf9);
        al = sub ? al - 6 : al + 6;
    }
    if (old > 0x99 || (f & RFLAGS_CF)) {
        al = sub ? al - 0x60 : al + 0x60;
        cf = true;
    } else if (!sub) {
        cf = false;
    }
    reg_set(c, R_RAX, 1, al);
    set_flags(c, RFLAGS_STATUS & ~RFLAGS_OF,
              flags_szp(al, 1) | (cf ? RFLAGS_CF : 0) | (aux ? RFLAGS_AF : 0));
}

static void aaa_aas(struct emul_ctxt *c, bool sub)
{
    uint16_t ax = c->regs->rax;
    bool aux = (ax & 15) > 9 || (c->regs->rflags & RFLAGS_AF);

    if (aux && sub)
        ax = ax - 6 - 0x100;
    else if (aux)
        ax = ax + 6 + 0x100;
    reg_set(c, R_RAX, 2, ax & 0xff0f);
    set_flags(c, RFLAGS_CF | RFLAGS_AF, aux ? RFLAGS_CF | RFLAGS_AF : 0);
}

/* 27 DAA, 2F DAS, 37 AAA, 3F AAS */
int op_bcd_adjust(struct emul_ctxt *c)
{
    bool sub = c->i.opcode & 8;

    if (c->i.opcode < 0x30)
        daa_das(c, sub);
    else
        aaa_aas(c, sub);
    return EMUL_OKAY;
}

/* D4 */
int op_aam(struct emul_ctxt *c)
{
    uint8_t al = c->regs->rax, base = c->i.imm;

    if (base == 0)
        return emul_raise(c, X_DE);
    reg_set(c, R_RAX, 2, al % base | (uint32_t)(al / base) << 8);
    set_flags(c, RFLAGS_STATUS, flags_szp(al % base, 1));
    return EMUL_OKAY;
}

/* D5 */
int op_aad(struct emul_ctxt *c)
{
    uint8_t al = c->regs->rax, ah = c->regs->rax >> 8;

    al += ah * (uint8_t)c->i.imm;
    reg_set(c, R_RAX, 2, al);
    set_flags(c, RFLAGS_STATUS, flags_szp(al, 1));
    return EMUL_OKAY;
}
