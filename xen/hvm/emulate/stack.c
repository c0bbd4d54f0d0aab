/* PUSH, POP and their relatives, ENTER and LEAVE.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hvm/emulate/internal.h"

static int push_one(struct emul_ctxt *c, uint64_t val)
{
    uint64_t sp = c->regs->rsp;
    int rc = stack_push(c, &sp, c->i.opsize, val);

    if (rc == EMUL_OKAY)
        sp_commit(c, sp);
    return rc;
}

/* 50-57 */
int op_push_reg(struct emul_ctxt *c)
{
    return push_one(c, *gpr(c, (c->i.opcode & 7) | (c->i.rex & 1) << 3));
}

/* 58-5F: POP RSP keeps the popped value */
int op_pop_reg(struct emul_ctxt *c)
{
    uint64_t sp = c->regs->rsp, v;
    int rc = stack_pop(c, &sp, c->i.opsize, &v);

    if (rc != EMUL_OKAY)
        return rc;
    sp_commit(c, sp);
    reg_set(c, (c->i.opcode & 7) | (c->i.rex & 1) << 3, c->i.opsize, v);
    return EMUL_OKAY;
}

/* 68, 6A */
int op_push_imm(struct emul_ctxt *c)
{
    return push_one(c, c->i.imm);
}

/* FF /6 */
int push_rm(struct emul_ctxt *c)
{
    uint64_t v;
    int rc = rm_read(c, c->i.opsize, &v);

    return rc == EMUL_OKAY ? push_one(c, v) : rc;
}

/* Segment register of 06, 0E, 16, 1E, 0F A0, 0F A8 and of the POPs beside them */
static unsigned int seg_of_opcode(const struct emul_ctxt *c)
{
    return c->i.opcode >> 3 & 7;
}

int op_push_seg(struct emul_ctxt *c)
{
    return push_one(c, seg_get(c, seg_of_opcode(c))->sel);
}

int op_pop_seg(struct emul_ctxt *c)
{
    unsigned int n = seg_of_opcode(c);
    uint64_t sp = c->regs->rsp, v;
    struct emul_seg s;
    int rc;

    rc = stack_pop(c, &sp, c->i.opsize, &v);
    if (rc == EMUL_OKAY)
        rc = seg_load(c, n, v, &s);
    if (rc != EMUL_OKAY)
        return rc;
    seg_set(c, n, &s);
    sp_commit(c, sp);
    c->retire.mov_ss = n == EMUL_SS;
    return EMUL_OKAY;
}

/* 8F: an address relative to RSP uses its value after the pop */
int op_pop_rm(struct emul_ctxt *c)
{
    uint64_t sp = c->regs->rsp, v;
    int rc;

    if (c->i.reg & 7)
        return ud(c);
    rc = stack_pop(c, &sp, c->i.opsize, &v);
    if (rc != EMUL_OKAY)
        return rc;
    if (!c->i.mem) {
        sp_commit(c, sp);
        reg_set(c, c->i.rm, c->i.opsize, v);
        return EMUL_OKAY;
    }
    rc = ea_write(c, c->i.sp_base ? c->i.opsize : 0, c->i.opsize, v);
    if (rc == EMUL_OKAY)
        sp_commit(c, sp);
    return rc;
}

/* 60 */
int op_pusha(struct emul_ctxt *c)
{
    uint64_t sp = c->regs->rsp;

    for (unsigned int k = 0; k < 8; k++) {
        int rc = stack_push(c, &sp, c->i.opsize, *gpr(c, k));

        if (rc != EMUL_OKAY)
            return rc;
    }
    sp_commit(c, sp);
    return EMUL_OKAY;
}

/* 61 */
int op_popa(struct emul_ctxt *c)
{
    uint64_t sp = c->regs->rsp, v[8];

    for (unsigned int k = 8; k-- > 0;) {
        int rc = stack_pop(c, &sp, c->i.opsize, &v[k]);

        if (rc != EMUL_OKAY)
            return rc;
    }
    for (unsigned int k = 0; k < 8; k++)
        if (k != R_RSP)
            reg_set(c, k, c->i.opsize, v[k]);
    sp_commit(c, sp);
    return EMUL_OKAY;
}

/* 9C */
int op_pushf(struct emul_ctxt *c)
{
    uint64_t f = c->regs->rflags & ~(uint64_t)(RFLAGS_RF | RFLAGS_VM);

    if ((c->regs->rflags & RFLAGS_VM) && iopl(c) < 3) {
        if (!(c->cr4 & CR4_VME) || c->i.opsize != 2)
            return gp0(c);
        /* VME (SDM vol 3 sec 20.3): IF shows VIF, IOPL shows 3 */
        f = (f & ~(uint64_t)RFLAGS_IF) | RFLAGS_IOPL | (f & RFLAGS_VIF ? RFLAGS_IF : 0);
    }
    return push_one(c, f | RFLAGS_MBS);
}

/* 9D */
int op_popf(struct emul_ctxt *c)
{
    uint64_t sp = c->regs->rsp, v, mask = RFLAGS_LOADABLE;
    bool v86 = c->regs->rflags & RFLAGS_VM, vme = false;
    int rc;

    if (v86 && iopl(c) < 3) {
        vme = (c->cr4 & CR4_VME) && c->i.opsize == 2;
        if (!vme)
            return gp0(c);
    }
    rc = stack_pop(c, &sp, c->i.opsize, &v);
    if (rc != EMUL_OKAY)
        return rc;
    if (vme) {
        if ((v & RFLAGS_TF) || ((v & RFLAGS_IF) && (c->regs->rflags & RFLAGS_VIP)))
            return gp0(c);
        set_flags(c, RFLAGS_VIF, v & RFLAGS_IF ? RFLAGS_VIF : 0);
        mask &= ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL);
    } else {
        if (v86 || (!c->i.real && c->cpl > 0))
            mask &= ~(uint64_t)RFLAGS_IOPL;
        if (!c->i.real && c->cpl > iopl(c))
            mask &= ~(uint64_t)RFLAGS_IF;
    }
    if (c->i.opsize == 2)
        mask &= 0xffff;
    sp_commit(c, sp);
    set_flags(c, mask, v);
    return EMUL_OKAY;
}

/* C8: copies `level` frame pointers.  The last check is that the new frame can be
 * written. */
int op_enter(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize, level = c->i.imm2 & 31;
    unsigned int sn = stack_adsize(c);
    uint64_t sp = c->regs->rsp, bp = c->regs->rbp, frame, v, lin;
    int rc = stack_push(c, &sp, n, bp);

    if (rc != EMUL_OKAY)
        return rc;
    frame = sp;
    for (unsigned int k = 1; k < level; k++) {
        bp = sp_add(c, bp, -(uint64_t)n);
        rc = emul_linear(c, EMUL_SS, bp, n, EMUL_ACC_READ, sn, &lin);
        if (rc == EMUL_OKAY)
            rc = mem_read(c, lin, n, EMUL_ACC_READ, &v);
        if (rc == EMUL_OKAY)
            rc = stack_push(c, &sp, n, v);
        if (rc != EMUL_OKAY)
            return rc;
    }
    if (level) {
        rc = stack_push(c, &sp, n, frame);
        if (rc != EMUL_OKAY)
            return rc;
    }
    sp = sp_add(c, sp, -c->i.imm);
    rc = emul_linear(c, EMUL_SS, sp, n, EMUL_ACC_RMW, sn, &lin);
    if (rc == EMUL_OKAY)
        rc = mem_read(c, lin, n, EMUL_ACC_RMW, &v);
    if (rc != EMUL_OKAY)
        return rc;
    sp_commit(c, sp);
    reg_set(c, R_RBP, n, frame);
    return EMUL_OKAY;
}

/* C9 */
int op_leave(struct emul_ctxt *c)
{
    unsigned int sn = stack_adsize(c);
    uint64_t sp = (c->regs->rsp & ~size_mask(sn)) | (c->regs->rbp & size_mask(sn)), v;
    int rc = stack_pop(c, &sp, c->i.opsize, &v);

    if (rc != EMUL_OKAY)
        return rc;
    sp_commit(c, sp);
    reg_set(c, R_RBP, c->i.opsize, v);
    return EMUL_OKAY;
}
