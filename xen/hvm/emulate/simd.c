/* SSE and AVX moves, bitwise operations, state instructions.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Data movement: what compilers and drivers use on device memory, and what test kernels
 * use to probe #NM and #UD.  Arithmetic is in vector.c.
 */
#include "hvm/emulate/internal.h"

#define XCR0_SSE_AVX 6u

typedef union {
    uint8_t b[32];
    uint32_t d[8];
    uint64_t q[4];
} vec_t;

/* SDM vol 3 sec 13.1 and table 2-18 (AVX exception classes). */
int vec_check(struct emul_ctxt *c, enum emul_vec_kind kind)
{
    uint64_t xcr0;
    int rc;

    if (c->i.vex) {
        if (!(c->features & EMUL_F_AVX) || !(c->cr4 & CR4_OSXSAVE))
            return ud(c);
        rc = c->ops->xcr_read(c, 0, &xcr0);
        if (rc != EMUL_OKAY)
            return rc;
        if ((xcr0 & XCR0_SSE_AVX) != XCR0_SSE_AVX)
            return ud(c);
    } else if (kind == EMUL_VEC_MMX) {
        if (!(c->features & EMUL_F_MMX) || (c->cr0 & CR0_EM))
            return ud(c);
    } else if (!(c->features & EMUL_F_SSE) || (c->cr0 & CR0_EM) ||
               !(c->cr4 & CR4_OSFXSR)) {
        return ud(c);
    }
    if (c->cr0 & CR0_TS)
        return emul_raise(c, X_NM);
    return kind == EMUL_VEC_MMX ? c->ops->fpu(c, EMUL_FPU_ENTER, NULL) : EMUL_OKAY;
}

/* VEX.vvvv must be 1111b where it names no operand. */
static bool no_vvvv(const struct emul_ctxt *c)
{
    return c->i.vvvv == 0; /* as decoded */
}

int mem_vec(struct emul_ctxt *c, bool write, void *buf, unsigned int n, bool aligned)
{
    unsigned int access = write ? EMUL_ACC_WRITE : EMUL_ACC_READ;
    uint64_t lin = c->i.ea;
    int rc;

    if (aligned) { /* checked before the segment's limit */
        if (!mode64(c) || c->i.ea_seg >= EMUL_FS)
            lin += seg_get(c, c->i.ea_seg)->base;
        if (lin & (n - 1))
            return gp0(c);
    }
    rc = ea_linear(c, n, access, &lin);
    if (rc != EMUL_OKAY)
        return rc;
    return write ? c->ops->write(c, lin, buf, n, access)
                 : c->ops->read(c, lin, buf, n, access);
}

static int xmm_read(struct emul_ctxt *c, unsigned int reg, vec_t *v, unsigned int n)
{
    return c->ops->vec_read(c, EMUL_VEC_XMM, reg, v, n);
}

static int xmm_write(struct emul_ctxt *c, unsigned int reg, const vec_t *v,
                     unsigned int n)
{
    return c->ops->vec_write(c, EMUL_VEC_XMM, reg, v, n, c->i.vex);
}

static unsigned int full_size(const struct emul_ctxt *c)
{
    return c->i.vex_l ? 32 : 16;
}

/* Whole-register move between i.reg and the ModRM operand. */
static int move_full(struct emul_ctxt *c, bool store, bool aligned)
{
    unsigned int n = full_size(c);
    vec_t v;
    int rc = no_vvvv(c) ? vec_check(c, EMUL_VEC_XMM) : ud(c);

    if (rc != EMUL_OKAY)
        return rc;
    if (store) {
        rc = xmm_read(c, c->i.reg, &v, n);
        if (rc != EMUL_OKAY)
            return rc;
        return c->i.mem ? mem_vec(c, true, &v, n, aligned) : xmm_write(c, c->i.rm, &v, n);
    }
    rc = c->i.mem ? mem_vec(c, false, &v, n, aligned) : xmm_read(c, c->i.rm, &v, n);
    return rc == EMUL_OKAY ? xmm_write(c, c->i.reg, &v, n) : rc;
}

/* MOVSS, MOVSD: n is 4 or 8.  A load clears the rest; between registers the rest of the
 * low 16 bytes comes from the destination (or from VEX.vvvv). */
static int move_scalar(struct emul_ctxt *c, bool store, unsigned int n)
{
    unsigned int dst = store ? c->i.rm : c->i.reg, src = store ? c->i.reg : c->i.rm;
    vec_t v = {.q = {0}}, s;
    int rc = c->i.mem && !no_vvvv(c) ? ud(c) : vec_check(c, EMUL_VEC_XMM);

    if (rc != EMUL_OKAY)
        return rc;
    if (c->i.mem && store) {
        rc = xmm_read(c, c->i.reg, &v, 16);
        return rc == EMUL_OKAY ? mem_vec(c, true, &v, n, false) : rc;
    }
    if (c->i.mem) {
        rc = mem_vec(c, false, &v, n, false);
        return rc == EMUL_OKAY ? xmm_write(c, c->i.reg, &v, 16) : rc;
    }
    rc = xmm_read(c, c->i.vex ? vex_reg(c) : dst, &v, 16);
    if (rc == EMUL_OKAY)
        rc = xmm_read(c, src, &s, 16);
    if (rc != EMUL_OKAY)
        return rc;
    __builtin_memcpy(&v, &s, n);
    return xmm_write(c, dst, &v, 16);
}

/* 0F 10: MOVUPS, MOVUPD, MOVSS, MOVSD */
int op_vec_10(struct emul_ctxt *c)
{
    if (c->i.pp >= 2)
        return move_scalar(c, false, c->i.pp == 2 ? 4 : 8);
    return move_full(c, false, false);
}

int op_vec_11(struct emul_ctxt *c)
{
    if (c->i.pp >= 2)
        return move_scalar(c, true, c->i.pp == 2 ? 4 : 8);
    return move_full(c, true, false);
}

/* MOVLPS, MOVHPS, MOVHLPS, MOVLHPS: eight bytes into half `high` of the destination. */
static int load_half(struct emul_ctxt *c, unsigned int high)
{
    vec_t v, s;
    int rc = c->i.vex_l ? ud(c) : vec_check(c, EMUL_VEC_XMM);

    if (rc == EMUL_OKAY)
        rc = xmm_read(c, c->i.vex ? vex_reg(c) : c->i.reg, &v, 16);
    if (rc != EMUL_OKAY)
        return rc;
    if (c->i.mem) {
        rc = mem_vec(c, false, &v.q[high], 8, false);
    } else {
        rc = xmm_read(c, c->i.rm, &s, 16);
        v.q[high] = s.q[!high];
    }
    return rc == EMUL_OKAY ? xmm_write(c, c->i.reg, &v, 16) : rc;
}

static int store_half(struct emul_ctxt *c, unsigned int high)
{
    vec_t v;
    int rc =
        c->i.vex_l || c->i.pp > 1 || !no_vvvv(c) ? ud(c) : vec_check(c, EMUL_VEC_XMM);

    if (rc == EMUL_OKAY)
        rc = xmm_read(c, c->i.reg, &v, 16);
    return rc == EMUL_OKAY ? mem_vec(c, true, &v.q[high], 8, false) : rc;
}

/* MOVDDUP, MOVSLDUP, MOVSHDUP */
static int move_dup(struct emul_ctxt *c)
{
    unsigned int n = full_size(c);
    unsigned int k, from = c->i.opcode == 0x16;
    vec_t v;
    int rc = no_vvvv(c) ? vec_check(c, EMUL_VEC_XMM) : ud(c);

    if (rc != EMUL_OKAY)
        return rc;
    if (!c->i.mem)
        rc = xmm_read(c, c->i.rm, &v, n);
    else if (c->i.pp == 3 && n == 16)
        rc = mem_vec(c, false, &v, 8, false);
    else
        rc = mem_vec(c, false, &v, n, !c->i.vex);
    if (rc != EMUL_OKAY)
        return rc;
    if (c->i.pp == 3) {
        v.q[1] = v.q[0];
        v.q[3] = v.q[2];
    } else {
        for (k = 0; k < 8; k++)
            v.d[k] = v.d[(k & ~1u) + from];
    }
    return xmm_write(c, c->i.reg, &v, n);
}

/* 0F 12 */
int op_vec_12(struct emul_ctxt *c)
{
    if (c->i.pp >= 2)
        return move_dup(c);
    if (c->i.pp == 1 && !c->i.mem)
        return ud(c);
    return load_half(c, 0);
}

int op_vec_13(struct emul_ctxt *c)
{
    return store_half(c, 0);
}

/* 0F 16 */
int op_vec_16(struct emul_ctxt *c)
{
    if (c->i.pp == 3 || (c->i.pp == 1 && !c->i.mem))
        return ud(c);
    return c->i.pp == 2 ? move_dup(c) : load_half(c, 1);
}

int op_vec_17(struct emul_ctxt *c)
{
    return store_half(c, 1);
}

/* 0F 28: MOVAPS, MOVAPD */
int op_vec_28(struct emul_ctxt *c)
{
    return c->i.pp > 1 ? ud(c) : move_full(c, false, true);
}

int op_vec_29(struct emul_ctxt *c)
{
    return c->i.pp > 1 ? ud(c) : move_full(c, true, true);
}

/* 0F 2B: MOVNTPS, MOVNTPD (MOVNTSS, MOVNTSD of SSE4A are left out) */
int op_vec_2b(struct emul_ctxt *c)
{
    return c->i.pp > 1 ? EMUL_UNHANDLEABLE : move_full(c, true, true);
}

/* 66 0F 38 2A: MOVNTDQA */
int op_vec_2a(struct emul_ctxt *c)
{
    uint32_t feature = c->i.vex_l ? EMUL_F_AVX2 : EMUL_F_SSE41;

    return c->i.pp != 1 || !(c->features & feature) ? ud(c) : move_full(c, false, true);
}

/* F2 0F F0: LDDQU */
int op_vec_f0(struct emul_ctxt *c)
{
    if (c->i.pp != 3)
        return ud(c);
    return move_full(c, false, false);
}

static int mmx_access(struct emul_ctxt *c, unsigned int reg, vec_t *v, bool write)
{
    if (write)
        return c->ops->vec_write(c, EMUL_VEC_MMX, reg & 7, v, 8, false);
    return c->ops->vec_read(c, EMUL_VEC_MMX, reg & 7, v, 8);
}

/* MOVQ between MMX registers and memory. */
static int move_mmx(struct emul_ctxt *c, bool store)
{
    vec_t v;
    int rc = c->i.vex ? ud(c) : vec_check(c, EMUL_VEC_MMX);

    if (rc != EMUL_OKAY)
        return rc;
    if (store) {
        rc = mmx_access(c, c->i.reg, &v, false);
        if (rc != EMUL_OKAY)
            return rc;
        return c->i.mem ? mem_vec(c, true, &v, 8, false)
                        : mmx_access(c, c->i.rm, &v, true);
    }
    rc = c->i.mem ? mem_vec(c, false, &v, 8, false) : mmx_access(c, c->i.rm, &v, false);
    return rc == EMUL_OKAY ? mmx_access(c, c->i.reg, &v, true) : rc;
}

/* 0F 6F, 0F 7F: MOVQ, MOVDQA, MOVDQU */
int op_vec_6f(struct emul_ctxt *c)
{
    if (c->i.pp == 3)
        return ud(c);
    return c->i.pp == 0 ? move_mmx(c, false) : move_full(c, false, c->i.pp == 1);
}

int op_vec_7f(struct emul_ctxt *c)
{
    if (c->i.pp == 3)
        return ud(c);
    return c->i.pp == 0 ? move_mmx(c, true) : move_full(c, true, c->i.pp == 1);
}

/* MOVD, MOVQ between a vector register and a general register or memory. */
static int move_gpr(struct emul_ctxt *c, bool store)
{
    enum emul_vec_kind kind = c->i.pp ? EMUL_VEC_XMM : EMUL_VEC_MMX;
    unsigned int n = (c->i.rex & 8) && mode64(c) ? 8 : 4;
    unsigned int reg = c->i.pp ? c->i.reg : c->i.reg & 7;
    vec_t v = {.q = {0}};
    uint64_t g = 0;
    int rc =
        c->i.vex_l || !no_vvvv(c) || (c->i.vex && !c->i.pp) ? ud(c) : vec_check(c, kind);

    if (rc != EMUL_OKAY)
        return rc;
    if (store) {
        rc = c->ops->vec_read(c, kind, reg, &v, c->i.pp ? 16 : 8);
        return rc == EMUL_OKAY ? rm_write(c, n, v.q[0]) : rc;
    }
    rc = rm_read(c, n, &g);
    v.q[0] = g;
    if (rc != EMUL_OKAY)
        return rc;
    return c->ops->vec_write(c, kind, reg, &v, c->i.pp ? 16 : 8, c->i.vex);
}

/* MOVQ xmm, xmm/m64: the upper half becomes 0. */
static int move_low(struct emul_ctxt *c, bool store)
{
    vec_t v;
    int rc = c->i.vex_l || !no_vvvv(c) ? ud(c) : vec_check(c, EMUL_VEC_XMM);

    if (rc != EMUL_OKAY)
        return rc;
    if (!store && c->i.mem)
        rc = mem_vec(c, false, &v, 8, false);
    else
        rc = xmm_read(c, store ? c->i.reg : c->i.rm, &v, 16);
    if (rc != EMUL_OKAY)
        return rc;
    if (store && c->i.mem)
        return mem_vec(c, true, &v, 8, false);
    v.q[1] = 0;
    return xmm_write(c, store ? c->i.rm : c->i.reg, &v, 16);
}

/* 0F 6E */
int op_vec_6e(struct emul_ctxt *c)
{
    return c->i.pp > 1 ? ud(c) : move_gpr(c, false);
}

/* 0F 7E */
int op_vec_7e(struct emul_ctxt *c)
{
    if (c->i.pp == 3)
        return ud(c);
    return c->i.pp == 2 ? move_low(c, false) : move_gpr(c, true);
}

/* 0F D6: MOVQ (66), MOVQ2DQ (F3), MOVDQ2Q (F2) */
int op_vec_d6(struct emul_ctxt *c)
{
    vec_t v = {.q = {0}};
    int rc;

    if (c->i.pp == 1)
        return move_low(c, true);
    if (c->i.pp == 0 || c->i.mem || c->i.vex)
        return ud(c);
    rc = vec_check(c, EMUL_VEC_XMM);
    if (rc == EMUL_OKAY)
        rc = vec_check(c, EMUL_VEC_MMX);
    if (rc == EMUL_OKAY)
        rc = c->i.pp == 2 ? mmx_access(c, c->i.rm, &v, false)
                          : xmm_read(c, c->i.rm, &v, 16);
    if (rc != EMUL_OKAY)
        return rc;
    return c->i.pp == 2 ? xmm_write(c, c->i.reg, &v, 16)
                        : mmx_access(c, c->i.reg, &v, true);
}

/* 0F E7: MOVNTQ, MOVNTDQ */
int op_vec_e7(struct emul_ctxt *c)
{
    if (!c->i.mem)
        return ud(c);
    if (c->i.pp == 1)
        return move_full(c, true, true);
    return c->i.pp == 0 ? move_mmx(c, true) : c->i.pp == 3 ? ud(c) : EMUL_UNHANDLEABLE;
}

/* 0F 54-57 ANDPS ANDNPS ORPS XORPS, 0F DB DF EB EF PAND PANDN POR PXOR: test kernels and
 * compilers clear registers with them. */
int op_vec_logic(struct emul_ctxt *c)
{
    bool integer = c->i.opcode >= 0x80, mmx = integer && c->i.pp == 0;
    unsigned int n = mmx ? 8 : full_size(c), op, k;
    vec_t a, b;
    int rc;

    if (c->i.pp > 1 || (mmx && c->i.vex))
        return ud(c);
    if (integer && c->i.vex_l && !(c->features & EMUL_F_AVX2))
        return ud(c);
    rc = vec_check(c, mmx ? EMUL_VEC_MMX : EMUL_VEC_XMM);
    if (rc == EMUL_OKAY)
        rc = mmx ? mmx_access(c, c->i.reg, &a, false)
                 : xmm_read(c, c->i.vex ? vex_reg(c) : c->i.reg, &a, n);
    if (rc != EMUL_OKAY)
        return rc;
    if (c->i.mem)
        rc = mem_vec(c, false, &b, n, !mmx && !c->i.vex);
    else
        rc = mmx ? mmx_access(c, c->i.rm, &b, false) : xmm_read(c, c->i.rm, &b, n);
    if (rc != EMUL_OKAY)
        return rc;
    op = c->i.opcode & 3;
    if (integer) /* DB and, DF andn, EB or, EF xor */
        op = (c->i.opcode >= 0xe0 ? 2 : 0) + (c->i.opcode >> 2 & 1);
    for (k = 0; k < n / 8; k++) {
        uint64_t x = a.q[k], y = b.q[k];

        a.q[k] = op == 0 ? x & y : op == 1 ? ~x & y : op == 2 ? x | y : x ^ y;
    }
    return mmx ? mmx_access(c, c->i.reg, &a, true) : xmm_write(c, c->i.reg, &a, n);
}

/* 0F 50 MOVMSKPS, MOVMSKPD; 0F D7 PMOVMSKB */
int op_movmsk(struct emul_ctxt *c)
{
    bool bytes = c->i.opcode == 0xd7, mmx = bytes && c->i.pp == 0;
    unsigned int n = mmx ? 8 : full_size(c), step = bytes ? 1 : c->i.pp ? 8 : 4, k;
    uint64_t r = 0;
    vec_t v;
    int rc;

    if (c->i.pp > 1 || c->i.mem || !no_vvvv(c) || (mmx && c->i.vex) ||
        (bytes && c->i.vex_l && !(c->features & EMUL_F_AVX2)))
        return ud(c);
    rc = vec_check(c, mmx ? EMUL_VEC_MMX : EMUL_VEC_XMM);
    if (rc == EMUL_OKAY)
        rc = mmx ? mmx_access(c, c->i.rm, &v, false) : xmm_read(c, c->i.rm, &v, n);
    if (rc != EMUL_OKAY)
        return rc;
    for (k = 0; k < n / step; k++)
        r |= (uint64_t)(v.b[(k + 1) * step - 1] >> 7) << k;
    reg_set(c, c->i.reg, 4, r);
    return EMUL_OKAY;
}

/* 0F 77: EMMS, VZEROUPPER, VZEROALL */
int op_emms(struct emul_ctxt *c)
{
    vec_t v = {.q = {0}};
    int rc;

    if (!c->i.vex) {
        rc = c->i.pp ? ud(c) : vec_check(c, EMUL_VEC_MMX);
        return rc == EMUL_OKAY ? c->ops->fpu(c, EMUL_FPU_EMMS, NULL) : rc;
    }
    if (c->i.pp || !no_vvvv(c))
        return ud(c);
    rc = vec_check(c, EMUL_VEC_XMM);
    for (unsigned int k = 0; k < (mode64(c) ? 16 : 8) && rc == EMUL_OKAY; k++) {
        if (!c->i.vex_l)
            rc = xmm_read(c, k, &v, 16);
        if (rc == EMUL_OKAY)
            rc = xmm_write(c, k, &v, 16);
    }
    return rc;
}

/* --- group 15: 0F AE
 * --------------------------------------------------------------------------- */

static int do_mxcsr(struct emul_ctxt *c, bool store)
{
    uint32_t mxcsr;
    uint64_t v;
    int rc = c->i.vex_l || !no_vvvv(c) || c->i.pp ? ud(c) : vec_check(c, EMUL_VEC_XMM);

    if (rc != EMUL_OKAY)
        return rc;
    if (store) {
        rc = c->ops->fpu(c, EMUL_FPU_GET_MXCSR, &mxcsr);
        return rc == EMUL_OKAY ? ea_write(c, 0, 4, mxcsr) : rc;
    }
    rc = ea_read(c, 0, 4, &v);
    if (rc != EMUL_OKAY)
        return rc;
    mxcsr = v;
    if (mxcsr & ~0xffffu)
        return gp0(c);
    return c->ops->fpu(c, EMUL_FPU_SET_MXCSR, &mxcsr);
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE */
static int do_fsgsbase(struct emul_ctxt *c)
{
    unsigned int n = EMUL_FS + (c->i.reg & 1), bytes = c->i.opsize == 8 ? 8 : 4;
    struct emul_seg s;
    uint64_t v;

    if (!mode64(c) || !(c->cr4 & CR4_FSGSBASE))
        return ud(c);
    s = *seg_get(c, n);
    if (!(c->i.reg & 2)) {
        reg_set(c, c->i.rm, bytes, s.base);
        return EMUL_OKAY;
    }
    v = reg_get(c, c->i.rm, bytes);
    if (!is_canonical(v))
        return gp0(c);
    s.base = v;
    seg_set(c, n, &s);
    return EMUL_OKAY;
}

static int do_clflush(struct emul_ctxt *c)
{
    uint64_t lin;
    int rc = ea_linear(c, 1, EMUL_ACC_READ, &lin);

    return rc == EMUL_OKAY ? c->ops->cache(c, EMUL_CACHE_FLUSH, lin) : rc;
}

int op_grp15(struct emul_ctxt *c)
{
    unsigned int sub = c->i.reg & 7;

    if (c->i.vex && (!c->i.mem || (sub != 2 && sub != 3)))
        return ud(c);
    if (!c->i.mem) {
        if (c->i.pp == 2 && sub < 4)
            return do_fsgsbase(c);
        if (c->i.pp == 0 && sub >= 5) /* LFENCE, MFENCE, SFENCE */
            return c->features & EMUL_F_SSE ? EMUL_OKAY : ud(c);
        return c->i.pp && sub >= 5 ? EMUL_UNHANDLEABLE : ud(c);
    }
    if (sub == 2 || sub == 3)
        return do_mxcsr(c, sub == 3);
    if (sub == 7 && c->i.pp < 2) {
        if (c->i.pp && !(c->features & EMUL_F_CLFLUSHOPT))
            return ud(c);
        return do_clflush(c);
    }
    if (sub == 6 && c->i.pp == 1)
        return c->features & EMUL_F_CLWB ? do_clflush(c) : ud(c);
    return EMUL_UNHANDLEABLE; /* FXSAVE, FXRSTOR, XSAVE ... */
}
