/* Bits: shifts and rotates, double shifts, bit tests and scans, CRC32, BMI, MOVBE.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hvm/emulate/internal.h"

static uint64_t rotate_left(uint64_t v, unsigned int k, unsigned int bits)
{
    return k ? v << k | v >> (bits - k) : v;
}

/* ROL, ROR: only CF and OF change. */
static uint64_t do_rotate(uint64_t v, unsigned int k, unsigned int n, bool right,
                          uint64_t *f)
{
    unsigned int bits = 8 * n;
    uint64_t r, cf, of;

    k %= bits;
    r = rotate_left(v, right ? (bits - k) % bits : k, bits) & size_mask(n);
    cf = right ? r >> (bits - 1) & 1 : r & 1;
    of = right ? (r >> (bits - 1) ^ r >> (bits - 2)) & 1 : (r >> (bits - 1) & 1) ^ cf;
    *f = (*f & ~(uint64_t)(RFLAGS_CF | RFLAGS_OF)) | (cf ? RFLAGS_CF : 0) |
         (of ? RFLAGS_OF : 0);
    return r;
}

/* RCL, RCR: rotation of bits + 1 positions, one by one. */
static uint64_t do_rotate_carry(uint64_t v, unsigned int k, unsigned int n, bool right,
                                uint64_t *f)
{
    unsigned int top = 8 * n - 1;
    uint64_t cf = *f & RFLAGS_CF ? 1 : 0, of;

    for (k %= top + 2; k; k--) {
        uint64_t out = right ? v & 1 : v >> top & 1;

        v = right ? v >> 1 | cf << top : v << 1 | cf;
        cf = out;
    }
    v &= size_mask(n);
    of = right ? (v >> top ^ v >> (top - 1)) & 1 : (v >> top) ^ cf;
    *f = (*f & ~(uint64_t)(RFLAGS_CF | RFLAGS_OF)) | (cf ? RFLAGS_CF : 0) |
         (of ? RFLAGS_OF : 0);
    return v;
}

/* SHL (SAL), SHR, SAR; k is 1 to 63 and may exceed the operand's width. */
static uint64_t do_shift(unsigned int op, uint64_t v, unsigned int k, unsigned int n,
                         uint64_t *f)
{
    unsigned int bits = 8 * n;
    uint64_t r, cf, of;

    if (op == 4 || op == 6) {
        cf = k <= bits ? v >> (bits - k) & 1 : 0;
        r = k < bits ? v << k : 0;
        r &= size_mask(n);
        of = (r >> (bits - 1)) ^ cf;
    } else if (op == 5) {
        cf = k <= bits ? v >> (k - 1) & 1 : 0;
        r = k < bits ? v >> k : 0;
        of = v >> (bits - 1);
    } else {
        int64_t s = (int64_t)sign_extend(v, n);

        cf = s >> (k - 1 > 63 ? 63 : k - 1) & 1;
        r = (uint64_t)(s >> k) & size_mask(n);
        of = 0;
    }
    *f = (*f & ~(uint64_t)RFLAGS_STATUS) | flags_szp(r, n) | (cf ? RFLAGS_CF : 0) |
         (of ? RFLAGS_OF : 0) | (*f & RFLAGS_AF);
    return r;
}

static int shift_rm(struct emul_ctxt *c, unsigned int count)
{
    unsigned int n = c->i.opsize, op = c->i.reg & 7;
    unsigned int k = count & (n == 8 ? 63 : 31);
    uint64_t v, r, lin, f = c->regs->rflags;
    int rc = rmw_begin(c, n, &lin, &v);

    if (rc != EMUL_OKAY)
        return rc;
    if (k == 0)
        r = v; /* no flag changes, memory is written all the same */
    else if (op < 2)
        r = do_rotate(v, k, n, op & 1, &f);
    else if (op < 4)
        r = do_rotate_carry(v, k, n, op & 1, &f);
    else
        r = do_shift(op, v, k, n, &f);
    rc = rmw_end(c, n, lin, v, r);
    if (rc == EMUL_OKAY)
        set_flags(c, RFLAGS_STATUS, f);
    return rc;
}

/* C0, C1 */
int op_shift_imm(struct emul_ctxt *c)
{
    return shift_rm(c, c->i.imm);
}

/* D0, D1 */
int op_shift_1(struct emul_ctxt *c)
{
    return shift_rm(c, 1);
}

/* D2, D3 */
int op_shift_cl(struct emul_ctxt *c)
{
    return shift_rm(c, c->regs->rcx & 0xff);
}

/* 0F A4, A5, AC, AD: with a 16-bit operand and a count above 16 the result is undefined;
 * as with AMD's processors the source follows once more. */
int op_shld(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize, bits = 8 * n;
    bool right = c->i.opcode & 8;
    unsigned int k = (c->i.opcode & 1 ? c->regs->rcx : c->i.imm) & (n == 8 ? 63 : 31);
    uint64_t v, r, lin, cf, src = reg_get(c, c->i.reg, n), f;
    int rc = rmw_begin(c, n, &lin, &v);

    if (rc != EMUL_OKAY)
        return rc;
    if (k == 0)
        return rmw_end(c, n, lin, v, v);
    if (n == 2 && right) {
        uint64_t w = src << 32 | src << 16 | v;

        cf = w >> (k - 1) & 1;
        r = w >> k;
    } else if (n == 2) {
        uint64_t w = v << 32 | src << 16 | src;

        cf = w >> (48 - k) & 1;
        r = w << k >> 32;
    } else if (right) {
        cf = v >> (k - 1) & 1;
        r = v >> k | src << (bits - k);
    } else {
        cf = v >> (bits - k) & 1;
        r = v << k | src >> (bits - k);
    }
    r &= size_mask(n);
    rc = rmw_end(c, n, lin, v, r);
    if (rc != EMUL_OKAY)
        return rc;
    f = flags_szp(r, n) | (cf ? RFLAGS_CF : 0);
    if ((v ^ r) >> (bits - 1) & 1)
        f |= RFLAGS_OF;
    set_flags(c, RFLAGS_STATUS & ~RFLAGS_AF, f);
    return EMUL_OKAY;
}

/* BT, BTS, BTR, BTC of bit number `bit` within the ModRM operand; op is 0 to 3. */
static int bit_op(struct emul_ctxt *c, unsigned int op, unsigned int bit)
{
    unsigned int n = c->i.opsize;
    uint64_t v, r, lin, m = 1ull << bit;
    int rc;

    if (op == 0) {
        if (c->i.lock)
            return ud(c);
        rc = rm_read(c, n, &v);
    } else {
        rc = rmw_begin(c, n, &lin, &v);
        if (rc == EMUL_OKAY) {
            r = op == 1 ? v | m : op == 2 ? v & ~m : v ^ m;
            rc = rmw_end(c, n, lin, v, r);
        }
    }
    if (rc == EMUL_OKAY)
        set_flags(c, RFLAGS_CF, v & m ? RFLAGS_CF : 0);
    return rc;
}

/* 0F A3, AB, B3, BB: the register addresses a bit string of any length in memory. */
int op_bt_reg(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t src = reg_get(c, c->i.reg, n);
    uint64_t ea = c->i.ea;
    int rc;

    if (c->i.mem) {
        int64_t unit = (int64_t)sign_extend(src, n) >> (n == 8 ? 6 : n == 4 ? 5 : 4);

        c->i.ea = (ea + (uint64_t)unit * n) & size_mask(c->i.adsize);
    }
    rc = bit_op(c, c->i.opcode >> 3 & 3, src & (8 * n - 1));
    c->i.ea = ea; /* a lost LOCK race runs this again */
    return rc;
}

/* 0F BA */
int op_bt_imm(struct emul_ctxt *c)
{
    if ((c->i.reg & 7) < 4)
        return ud(c);
    return bit_op(c, c->i.reg & 3, c->i.imm & (8 * c->i.opsize - 1));
}

static int bit_scan(struct emul_ctxt *c, bool reverse, bool count)
{
    unsigned int n = c->i.opsize, bits = 8 * n, r;
    uint64_t v;
    int rc = rm_read(c, n, &v);

    if (rc != EMUL_OKAY)
        return rc;
    if (count) { /* LZCNT, TZCNT */
        if (v == 0)
            r = bits;
        else
            r = reverse ? (unsigned int)__builtin_clzll(v) - (64 - bits)
                        : (unsigned int)__builtin_ctzll(v);
        reg_set(c, c->i.reg, n, r);
        set_flags(c, RFLAGS_CF | RFLAGS_ZF,
                  (v == 0 ? RFLAGS_CF : 0) | (r == 0 ? RFLAGS_ZF : 0));
        return EMUL_OKAY;
    }
    set_flags(c, RFLAGS_ZF, v == 0 ? RFLAGS_ZF : 0);
    if (v) { /* else the destination keeps its value */
        r = reverse ? 63 - __builtin_clzll(v) : __builtin_ctzll(v);
        reg_set(c, c->i.reg, n, r);
    }
    return EMUL_OKAY;
}

/* 0F BC */
int op_bsf(struct emul_ctxt *c)
{
    return bit_scan(c, false, c->i.rep == 0xf3 && (c->features & EMUL_F_BMI1));
}

/* 0F BD */
int op_bsr(struct emul_ctxt *c)
{
    return bit_scan(c, true, c->i.rep == 0xf3 && (c->features & EMUL_F_LZCNT));
}

/* Without libgcc's helper. */
static unsigned int popcount(uint64_t v)
{
    v -= v >> 1 & 0x5555555555555555ull;
    v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return v * 0x0101010101010101ull >> 56;
}

/* 0F B8 */
int op_popcnt(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if (c->i.rep != 0xf3 || !(c->features & EMUL_F_POPCNT))
        return ud(c);
    rc = rm_read(c, c->i.opsize, &v);
    if (rc != EMUL_OKAY)
        return rc;
    reg_set(c, c->i.reg, c->i.opsize, popcount(v));
    set_flags(c, RFLAGS_STATUS, v ? 0 : RFLAGS_ZF);
    return EMUL_OKAY;
}

static uint64_t byte_swap(uint64_t v, unsigned int n)
{
    return __builtin_bswap64(v) >> (64 - 8 * n);
}

/* CRC-32C, polynomial 11EDC6F41, bit by bit. */
static int do_crc32(struct emul_ctxt *c, unsigned int n)
{
    uint64_t v;
    uint32_t crc;
    int rc = rm_read(c, n, &v);

    if (rc != EMUL_OKAY)
        return rc;
    crc = *gpr(c, c->i.reg);
    for (unsigned int k = 0; k < 8 * n; k++, v >>= 1) {
        uint32_t bit = (crc ^ v) & 1;

        crc = crc >> 1 ^ (bit ? 0x82f63b78u : 0);
    }
    reg_set(c, c->i.reg, 4, crc); /* clears the upper half, also with REX.W */
    return EMUL_OKAY;
}

/* 0F 38 F0: MOVBE load, CRC32 of a byte */
int op_map2_f0(struct emul_ctxt *c)
{
    uint64_t v;
    int rc;

    if (c->i.rep == 0xf2)
        return c->features & EMUL_F_SSE41 ? do_crc32(c, 1) : ud(c);
    if (!c->i.mem || c->i.rep || !(c->features & EMUL_F_MOVBE))
        return ud(c);
    rc = rm_read(c, c->i.opsize, &v);
    if (rc == EMUL_OKAY)
        reg_set(c, c->i.reg, c->i.opsize, byte_swap(v, c->i.opsize));
    return rc;
}

/* 0F 38 F1: MOVBE store, CRC32 */
int op_map2_f1(struct emul_ctxt *c)
{
    if (c->i.rep == 0xf2)
        return c->features & EMUL_F_SSE41 ? do_crc32(c, c->i.opsize) : ud(c);
    if (!c->i.mem || c->i.rep || !(c->features & EMUL_F_MOVBE))
        return ud(c);
    return rm_write(c, c->i.opsize,
                    byte_swap(reg_get(c, c->i.reg, c->i.opsize), c->i.opsize));
}

/* --- BMI1, BMI2, ADX -------------------------------------------------------------------
 */

/* VEX.W selects the size, in 64-bit mode only; VEX.L must be 0. */
static int bmi_begin(struct emul_ctxt *c, uint32_t feature)
{
    if (!(c->features & feature) || c->i.vex_l)
        return ud(c);
    c->i.opsize = mode64(c) && (c->i.rex & 8) ? 8 : 4;
    return EMUL_OKAY;
}

/* VEX 0F 38 F2 */
int op_andn(struct emul_ctxt *c)
{
    unsigned int n;
    uint64_t v, r;
    int rc = c->i.pp ? ud(c) : bmi_begin(c, EMUL_F_BMI1);

    if (rc != EMUL_OKAY)
        return rc;
    n = c->i.opsize;
    rc = rm_read(c, n, &v);
    if (rc != EMUL_OKAY)
        return rc;
    r = ~reg_get(c, vex_reg(c), n) & v;
    reg_set(c, c->i.reg, n, r);
    set_flags(c, RFLAGS_CF | RFLAGS_OF | RFLAGS_ZF | RFLAGS_SF, flags_szp(r, n));
    return EMUL_OKAY;
}

/* VEX 0F 38 F3: BLSR, BLSMSK, BLSI; the destination is VEX.vvvv */
int op_bmi_grp17(struct emul_ctxt *c)
{
    unsigned int n, sub = c->i.reg & 7;
    uint64_t v, r;
    bool cf;
    int rc = c->i.pp || sub < 1 || sub > 3 ? ud(c) : bmi_begin(c, EMUL_F_BMI1);

    if (rc != EMUL_OKAY)
        return rc;
    n = c->i.opsize;
    rc = rm_read(c, n, &v);
    if (rc != EMUL_OKAY)
        return rc;
    r = sub == 1 ? v & (v - 1) : sub == 2 ? v ^ (v - 1) : v & -v;
    cf = sub == 3 ? v != 0 : v == 0;
    reg_set(c, vex_reg(c), n, r);
    set_flags(c, RFLAGS_CF | RFLAGS_OF | RFLAGS_ZF | RFLAGS_SF,
              flags_szp(r, n) | (cf ? RFLAGS_CF : 0));
    return EMUL_OKAY;
}

static uint64_t bits_deposit(uint64_t src, uint64_t mask)
{
    uint64_t r = 0;

    for (; mask; mask &= mask - 1, src >>= 1)
        if (src & 1)
            r |= mask & -mask;
    return r;
}

static uint64_t bits_extract(uint64_t src, uint64_t mask)
{
    uint64_t r = 0;

    for (unsigned int k = 0; mask; mask &= mask - 1, k++)
        if (src & mask & -mask)
            r |= 1ull << k;
    return r;
}

/* VEX 0F 38 F5: BZHI, PEXT (F3), PDEP (F2) */
int op_bmi_f5(struct emul_ctxt *c)
{
    unsigned int n, k;
    uint64_t v, s, r;
    int rc = c->i.pp == 1 ? ud(c) : bmi_begin(c, EMUL_F_BMI2);

    if (rc != EMUL_OKAY)
        return rc;
    n = c->i.opsize;
    rc = rm_read(c, n, &v);
    if (rc != EMUL_OKAY)
        return rc;
    s = reg_get(c, vex_reg(c), n);
    if (c->i.pp) {
        r = c->i.pp == 2 ? bits_extract(s, v) : bits_deposit(s, v);
    } else {
        k = s & 0xff;
        r = k < 8 * n ? v & ((1ull << k) - 1) : v;
        set_flags(c, RFLAGS_CF | RFLAGS_OF | RFLAGS_ZF | RFLAGS_SF,
                  flags_szp(r, n) | (k > 8 * n - 1 ? RFLAGS_CF : 0));
    }
    reg_set(c, c->i.reg, n, r);
    return EMUL_OKAY;
}

/* ADCX (66), ADOX (F3): an addition with CF or OF as the only flag. */
static int do_adx(struct emul_ctxt *c)
{
    unsigned int n = c->i.rex & 8 ? 8 : 4;
    uint64_t flag = c->i.pp == 1 ? RFLAGS_CF : RFLAGS_OF, v, f;
    int rc;

    if (!(c->features & EMUL_F_ADX) || (c->i.pp != 1 && c->i.pp != 2))
        return ud(c);
    rc = rm_read(c, n, &v);
    if (rc != EMUL_OKAY)
        return rc;
    f = c->regs->rflags & flag ? RFLAGS_CF : 0;
    v = alu_compute(ALU_ADC, reg_get(c, c->i.reg, n), v, n, &f);
    reg_set(c, c->i.reg, n, v);
    set_flags(c, flag, f & RFLAGS_CF ? flag : 0);
    return EMUL_OKAY;
}

/* 0F 38 F6: ADCX, ADOX; VEX F2: MULX */
int op_bmi_f6(struct emul_ctxt *c)
{
    unsigned __int128 p;
    unsigned int n;
    uint64_t v;
    int rc;

    if (!c->i.vex)
        return do_adx(c);
    rc = c->i.pp != 3 ? ud(c) : bmi_begin(c, EMUL_F_BMI2);
    if (rc != EMUL_OKAY)
        return rc;
    n = c->i.opsize;
    rc = rm_read(c, n, &v);
    if (rc != EMUL_OKAY)
        return rc;
    p = (unsigned __int128)reg_get(c, R_RDX, n) * v;
    reg_set(c, vex_reg(c), n, p); /* the high half wins if both are the same */
    reg_set(c, c->i.reg, n, p >> (8 * n));
    return EMUL_OKAY;
}

/* VEX 0F 38 F7: BEXTR, SHLX (66), SARX (F3), SHRX (F2) */
int op_bmi_f7(struct emul_ctxt *c)
{
    unsigned int n, k, len;
    uint64_t v, s, r;
    int rc = bmi_begin(c, c->i.pp ? EMUL_F_BMI2 : EMUL_F_BMI1);

    if (rc != EMUL_OKAY)
        return rc;
    n = c->i.opsize;
    rc = rm_read(c, n, &v);
    if (rc != EMUL_OKAY)
        return rc;
    s = reg_get(c, vex_reg(c), n);
    k = s & (8 * n - 1);
    switch (c->i.pp) {
    case 0:
        k = s & 0xff;
        len = s >> 8 & 0xff;
        r = k < 64 ? v >> k : 0;
        if (len < 64)
            r &= (1ull << len) - 1;
        set_flags(c, RFLAGS_CF | RFLAGS_OF | RFLAGS_ZF, flags_szp(r, n));
        break;
    case 1:
        r = v << k;
        break;
    case 2:
        r = (uint64_t)((int64_t)sign_extend(v, n) >> k);
        break;
    default:
        r = v >> k;
        break;
    }
    reg_set(c, c->i.reg, n, r);
    return EMUL_OKAY;
}

/* VEX F2 0F 3A F0 */
int op_rorx(struct emul_ctxt *c)
{
    unsigned int n, k;
    uint64_t v;
    int rc = c->i.pp != 3 || c->i.vvvv ? ud(c) : bmi_begin(c, EMUL_F_BMI2);

    if (rc != EMUL_OKAY)
        return rc;
    n = c->i.opsize;
    rc = rm_read(c, n, &v);
    if (rc != EMUL_OKAY)
        return rc;
    k = c->i.imm & (8 * n - 1);
    reg_set(c, c->i.reg, n, rotate_left(v, (8 * n - k) % (8 * n), 8 * n));
    return EMUL_OKAY;
}
