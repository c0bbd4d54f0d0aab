/* String instructions, IN and OUT.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * With REP, finished iterations are committed one by one, so that a fault or a retry in
 * the middle leaves a state from which the same instruction goes on (SDM vol 2, REP).
 * Where the caller offers bulk callbacks many iterations are done at once.  At most
 * ITERATIONS_MAX are done in one call, so that interrupts get in.
 */
#include "hvm/emulate/internal.h"

enum { ITERATIONS_MAX = 1024, BULK_MAX = 1u << 16 };

/* One iteration of a string instruction; *stop ends the repetition (CMPS, SCAS). */
typedef int string_step(struct emul_ctxt *c, uint64_t *stop);

/* Many iterations; *reps in and out as in emul_ops. */
typedef int string_bulk(struct emul_ctxt *c, unsigned long *reps);

static void advance(struct emul_ctxt *c, unsigned int reg, unsigned long reps)
{
    uint64_t by = (uint64_t)reps * c->i.opsize;

    if (c->regs->rflags & RFLAGS_DF)
        by = -by;
    reg_set(c, reg, c->i.adsize, *gpr(c, reg) + by);
}

/* How many iterations from the address register's value on stay in the address size and,
 * outside of 64-bit mode, in one page, which keeps the segment checks to both its ends.
 */
static unsigned long bulk_room(struct emul_ctxt *c, unsigned int seg, unsigned int reg,
                               unsigned int access, unsigned long reps, uint64_t *lin)
{
    unsigned int n = c->i.opsize;
    uint64_t first = *gpr(c, reg) & size_mask(c->i.adsize), span, a;
    bool down = c->regs->rflags & RFLAGS_DF;
    uint64_t room = down ? first / n : (size_mask(c->i.adsize) - first) / n;

    if (reps > room)
        reps = room; /* the one that wraps is done alone */
    if (reps > BULK_MAX / n)
        reps = BULK_MAX / n;
    if (reps < 2)
        return 0;
    span = (uint64_t)(reps - 1) * n;
    a = down ? first - span : first + span;
    /* A fault here is only found, not delivered: the single step does that. */
    if (emul_linear(c, seg, a, n, access, c->i.adsize, lin) != EMUL_OKAY ||
        emul_linear(c, seg, first, n, access, c->i.adsize, lin) != EMUL_OKAY)
        return 0;
    if (!mode64(c)) { /* no wrap at 4 GiB either */
        if (down ? *lin < span : *lin + span + n > 1ull << 32)
            return 0;
    } else if (!is_canonical(down ? *lin - span : *lin + span + n - 1)) {
        return 0;
    }
    return reps;
}

static int run_bulk(struct emul_ctxt *c, string_bulk *bulk, uint64_t count, bool *done)
{
    unsigned long reps = count < BULK_MAX ? count : BULK_MAX;
    int rc = bulk(c, &reps);

    *done = false;
    if (rc == EMUL_UNHANDLEABLE && reps == 0)
        return EMUL_OKAY;
    if (reps)
        reg_set(c, R_RCX, c->i.adsize, count - reps);
    *done = rc != EMUL_OKAY || reps != 0;
    return rc;
}

/* Run the instruction: once, or RCX times with a REP prefix. */
static int repeat(struct emul_ctxt *c, string_step *step, string_bulk *bulk)
{
    uint64_t count, stop = 0;
    int rc = EMUL_OKAY;
    bool done;

    if (!c->i.rep)
        return step(c, &stop);
    count = reg_get(c, R_RCX, c->i.adsize);
    if (count == 0) {
        /* The address-size rules for register writes do not apply: nothing is written. */
        return EMUL_OKAY;
    }
    if (bulk && count > 1 && !(c->regs->rflags & RFLAGS_TF)) {
        rc = run_bulk(c, bulk, count, &done);
        if (done) {
            if (rc == EMUL_OKAY)
                c->retire.partial = reg_get(c, R_RCX, c->i.adsize) != 0;
            return rc;
        }
    }
    for (unsigned int k = 0; k < ITERATIONS_MAX; k++) {
        rc = step(c, &stop);
        if (rc != EMUL_OKAY)
            return rc;
        reg_set(c, R_RCX, c->i.adsize, --count);
        if (count == 0 || stop)
            return EMUL_OKAY;
        if (c->regs->rflags & RFLAGS_TF)
            break;
    }
    c->retire.partial = true;
    return EMUL_OKAY;
}

static int src_linear(struct emul_ctxt *c, uint64_t *lin)
{
    return emul_linear(c, c->i.ea_seg, c->regs->rsi, c->i.opsize, EMUL_ACC_READ,
                       c->i.adsize, lin);
}

static int dst_linear(struct emul_ctxt *c, unsigned int access, uint64_t *lin)
{
    return emul_linear(c, EMUL_ES, c->regs->rdi, c->i.opsize, access, c->i.adsize, lin);
}

static int read_src(struct emul_ctxt *c, uint64_t *v)
{
    uint64_t lin;
    int rc = src_linear(c, &lin);

    return rc == EMUL_OKAY ? mem_read(c, lin, c->i.opsize, EMUL_ACC_READ, v) : rc;
}

static int read_dst(struct emul_ctxt *c, uint64_t *v)
{
    uint64_t lin;
    int rc = dst_linear(c, EMUL_ACC_READ, &lin);

    return rc == EMUL_OKAY ? mem_read(c, lin, c->i.opsize, EMUL_ACC_READ, v) : rc;
}

static int write_dst(struct emul_ctxt *c, uint64_t v)
{
    uint64_t lin;
    int rc = dst_linear(c, EMUL_ACC_WRITE, &lin);

    return rc == EMUL_OKAY ? mem_write(c, lin, c->i.opsize, EMUL_ACC_WRITE, v) : rc;
}

/* --- MOVS, STOS, LODS, CMPS, SCAS
 * --------------------------------------------------------- */

static int movs_step(struct emul_ctxt *c, uint64_t *stop)
{
    uint64_t v;
    int rc = read_src(c, &v);

    if (rc == EMUL_OKAY)
        rc = write_dst(c, v);
    if (rc != EMUL_OKAY)
        return rc;
    advance(c, R_RSI, 1);
    advance(c, R_RDI, 1);
    return EMUL_OKAY;
}

static int movs_bulk(struct emul_ctxt *c, unsigned long *reps)
{
    bool down = c->regs->rflags & RFLAGS_DF;
    uint64_t src, dst;
    int rc;

    *reps = bulk_room(c, c->i.ea_seg, R_RSI, EMUL_ACC_READ, *reps, &src);
    if (*reps)
        *reps = bulk_room(c, EMUL_ES, R_RDI, EMUL_ACC_WRITE, *reps, &dst);
    if (*reps == 0)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->rep_movs(c, src, dst, c->i.opsize, reps, down);
    advance(c, R_RSI, *reps);
    advance(c, R_RDI, *reps);
    return rc;
}

/* A4, A5 */
int op_movs(struct emul_ctxt *c)
{
    return repeat(c, movs_step, c->ops->rep_movs ? movs_bulk : NULL);
}

static int stos_step(struct emul_ctxt *c, uint64_t *stop)
{
    int rc = write_dst(c, c->regs->rax);

    if (rc == EMUL_OKAY)
        advance(c, R_RDI, 1);
    return rc;
}

static int stos_bulk(struct emul_ctxt *c, unsigned long *reps)
{
    bool down = c->regs->rflags & RFLAGS_DF;
    uint64_t dst;
    int rc;

    *reps = bulk_room(c, EMUL_ES, R_RDI, EMUL_ACC_WRITE, *reps, &dst);
    if (*reps == 0)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->rep_stos(c, c->regs->rax, dst, c->i.opsize, reps, down);
    advance(c, R_RDI, *reps);
    return rc;
}

/* AA, AB */
int op_stos(struct emul_ctxt *c)
{
    return repeat(c, stos_step, c->ops->rep_stos ? stos_bulk : NULL);
}

static int lods_step(struct emul_ctxt *c, uint64_t *stop)
{
    uint64_t v;
    int rc = read_src(c, &v);

    if (rc != EMUL_OKAY)
        return rc;
    reg_set(c, R_RAX, c->i.opsize, v);
    advance(c, R_RSI, 1);
    return EMUL_OKAY;
}

/* AC, AD */
int op_lods(struct emul_ctxt *c)
{
    return repeat(c, lods_step, NULL);
}

/* Compare a with b; with REPE (F3) or REPNE (F2) say whether the repetition ends. */
static void compare(struct emul_ctxt *c, uint64_t a, uint64_t b, uint64_t *stop)
{
    uint64_t f = 0;

    alu_compute(ALU_CMP, a, b, c->i.opsize, &f);
    set_flags(c, RFLAGS_STATUS, f);
    *stop = c->i.rep == 0xf3 ? a != b : a == b;
}

static int cmps_step(struct emul_ctxt *c, uint64_t *stop)
{
    uint64_t a, b;
    int rc = read_src(c, &a);

    if (rc == EMUL_OKAY)
        rc = read_dst(c, &b);
    if (rc != EMUL_OKAY)
        return rc;
    compare(c, a, b, stop);
    advance(c, R_RSI, 1);
    advance(c, R_RDI, 1);
    return EMUL_OKAY;
}

/* A6, A7 */
int op_cmps(struct emul_ctxt *c)
{
    return repeat(c, cmps_step, NULL);
}

static int scas_step(struct emul_ctxt *c, uint64_t *stop)
{
    uint64_t b;
    int rc = read_dst(c, &b);

    if (rc != EMUL_OKAY)
        return rc;
    compare(c, reg_get(c, R_RAX, c->i.opsize), b, stop);
    advance(c, R_RDI, 1);
    return EMUL_OKAY;
}

/* AE, AF */
int op_scas(struct emul_ctxt *c)
{
    return repeat(c, scas_step, NULL);
}

/* --- ports
 * ----------------------------------------------------------------------------------- */

/* CPL against IOPL, then the TSS's I/O permission bitmap (APM vol 2 sec 12.2.4). */
int io_check(struct emul_ctxt *c, uint16_t port, unsigned int bytes)
{
    const struct emul_seg *tr;
    uint64_t base, bits, lin;
    int rc;

    if (!(c->cr0 & CR0_PE))
        return EMUL_OKAY;
    if (!(c->regs->rflags & RFLAGS_VM) && c->cpl <= iopl(c))
        return EMUL_OKAY;
    tr = seg_get(c, EMUL_TR);
    /* 386 and 64-bit TSS, available or busy, with room for the bitmap's offset */
    if (!(tr->attr & EMUL_ATTR_P) || (tr->attr & 0xd) != 0x9 || tr->limit < 0x67)
        return gp0(c);
    lin = tr->base + 0x66;
    rc = mem_read(c, system_linear(c, lin), 2, EMUL_ACC_SYSTEM, &base);
    if (rc != EMUL_OKAY)
        return rc;
    base += port / 8;
    /* two bytes are read even where one would do */
    if (base + 1 > tr->limit)
        return gp0(c);
    lin = tr->base + base;
    rc = mem_read(c, system_linear(c, lin), 2, EMUL_ACC_SYSTEM, &bits);
    if (rc != EMUL_OKAY)
        return rc;
    if (bits >> (port & 7) & ((1u << bytes) - 1))
        return gp0(c);
    return EMUL_OKAY;
}

static unsigned int port_size(const struct emul_ctxt *c)
{
    return c->i.opsize == 8 ? 4 : c->i.opsize;
}

static int do_in(struct emul_ctxt *c, uint16_t port)
{
    unsigned int n = port_size(c);
    uint32_t v = 0;
    int rc = io_check(c, port, n);

    if (rc == EMUL_OKAY)
        rc = c->ops->io_read(c, port, n, &v);
    if (rc == EMUL_OKAY)
        reg_set(c, R_RAX, n, v);
    return rc;
}

static int do_out(struct emul_ctxt *c, uint16_t port)
{
    unsigned int n = port_size(c);
    int rc = io_check(c, port, n);

    return rc == EMUL_OKAY ? c->ops->io_write(c, port, n, reg_get(c, R_RAX, n)) : rc;
}

/* E4, E5 */
int op_in_imm(struct emul_ctxt *c)
{
    return do_in(c, c->i.imm);
}

/* EC, ED */
int op_in_dx(struct emul_ctxt *c)
{
    return do_in(c, c->regs->rdx);
}

/* E6, E7 */
int op_out_imm(struct emul_ctxt *c)
{
    return do_out(c, c->i.imm);
}

/* EE, EF */
int op_out_dx(struct emul_ctxt *c)
{
    return do_out(c, c->regs->rdx);
}

/* The destination is checked before the port is read: a read can have side effects. */
static int ins_step(struct emul_ctxt *c, uint64_t *stop)
{
    uint64_t lin, old;
    uint32_t v = 0;
    int rc = dst_linear(c, EMUL_ACC_WRITE, &lin);

    if (rc == EMUL_OKAY)
        rc = mem_read(c, lin, c->i.opsize, EMUL_ACC_RMW, &old);
    if (rc == EMUL_OKAY)
        rc = c->ops->io_read(c, c->regs->rdx, c->i.opsize, &v);
    if (rc == EMUL_OKAY)
        rc = mem_write(c, lin, c->i.opsize, EMUL_ACC_WRITE, v);
    if (rc == EMUL_OKAY)
        advance(c, R_RDI, 1);
    return rc;
}

static int ins_bulk(struct emul_ctxt *c, unsigned long *reps)
{
    bool down = c->regs->rflags & RFLAGS_DF;
    uint64_t dst;
    int rc;

    *reps = bulk_room(c, EMUL_ES, R_RDI, EMUL_ACC_WRITE, *reps, &dst);
    if (*reps == 0)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->rep_ins(c, c->regs->rdx, dst, c->i.opsize, reps, down);
    advance(c, R_RDI, *reps);
    return rc;
}

/* 6C, 6D */
int op_ins(struct emul_ctxt *c)
{
    int rc;

    c->i.opsize = port_size(c);
    rc = io_check(c, c->regs->rdx, c->i.opsize);
    return rc == EMUL_OKAY ? repeat(c, ins_step, c->ops->rep_ins ? ins_bulk : NULL) : rc;
}

static int outs_step(struct emul_ctxt *c, uint64_t *stop)
{
    uint64_t v;
    int rc = read_src(c, &v);

    if (rc == EMUL_OKAY)
        rc = c->ops->io_write(c, c->regs->rdx, c->i.opsize, v);
    if (rc == EMUL_OKAY)
        advance(c, R_RSI, 1);
    return rc;
}

static int outs_bulk(struct emul_ctxt *c, unsigned long *reps)
{
    bool down = c->regs->rflags & RFLAGS_DF;
    uint64_t src;
    int rc;

    *reps = bulk_room(c, c->i.ea_seg, R_RSI, EMUL_ACC_READ, *reps, &src);
    if (*reps == 0)
        return EMUL_UNHANDLEABLE;
    rc = c->ops->rep_outs(c, c->regs->rdx, src, c->i.opsize, reps, down);
    advance(c, R_RSI, *reps);
    return rc;
}

/* 6E, 6F */
int op_outs(struct emul_ctxt *c)
{
    int rc;

    c->i.opsize = port_size(c);
    rc = io_check(c, c->regs->rdx, c->i.opsize);
    return rc == EMUL_OKAY ? repeat(c, outs_step, c->ops->rep_outs ? outs_bulk : NULL)
                           : rc;
}
