/* Far control transfers: JMP, CALL and RET far, IRET.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel SDM vol 2, the operation sections of JMP, CALL, RET and IRET.  Call gates are
 * left out (EMUL_UNHANDLEABLE); task switches are in task.c.
 */
#include "hvm/emulate/internal.h"

static int sel_fault(struct emul_ctxt *c, uint8_t vector, uint16_t sel)
{
    return emul_raise_error(c, vector, sel & ~3u);
}

/* The code segment's own limit, or canonical for a 64-bit one. */
static int target_check(struct emul_ctxt *c, const struct emul_seg *cs, uint64_t *off)
{
    if ((c->efer & EFER_LMA) && (cs->attr & EMUL_ATTR_L))
        return is_canonical(*off) ? EMUL_OKAY : gp0(c);
    return *off <= cs->limit ? EMUL_OKAY : gp0(c);
}

static bool is_code(const struct desc *d)
{
    return !d->system && (d->seg.attr & 8);
}

/* D and L together are reserved in long mode. */
static bool bad_long_code(const struct emul_ctxt *c, const struct desc *d)
{
    return (c->efer & EFER_LMA) && (d->seg.attr & EMUL_ATTR_L) &&
           (d->seg.attr & EMUL_ATTR_DB);
}

/* A far transfer whose target is a system descriptor. */
static int system_target(struct emul_ctxt *c, const struct desc *d, bool call)
{
    uint16_t sel = d->seg.sel;
    unsigned int type = d->seg.attr & 15, dpl = attr_dpl(d->seg.attr);
    bool tss = type == 1 || type == 9, gate = type == 4 || type == 12;

    if (c->efer & EFER_LMA) {
        if (type != 12)
            return sel_fault(c, X_GP, sel);
        return EMUL_UNHANDLEABLE;
    }
    if ((!tss && !gate && type != 5) || dpl < c->cpl || dpl < (sel & 3u))
        return sel_fault(c, X_GP, sel);
    if (!(d->seg.attr & EMUL_ATTR_P))
        return sel_fault(c, X_NP, sel);
    if (gate)
        return EMUL_UNHANDLEABLE;
    return emul_task_switch(c, tss ? sel : d->low >> 16 & 0xffff,
                            call ? EMUL_TASK_CALL : EMUL_TASK_JMP, NULL);
}

/* Checks of a direct far JMP or CALL; d->seg is the new CS. */
static int code_check(struct emul_ctxt *c, uint16_t sel, bool call, struct desc *d,
                      bool *done)
{
    unsigned int dpl;
    bool conforming;
    int rc;

    *done = false;
    if (!(sel & ~3u))
        return gp0(c);
    rc = desc_read(c, sel, X_GP, d);
    if (rc != EMUL_OKAY)
        return rc;
    if (d->system) {
        *done = true;
        return system_target(c, d, call);
    }
    dpl = attr_dpl(d->seg.attr);
    conforming = d->seg.attr & 4;
    if (!is_code(d) ||
        (conforming ? dpl > c->cpl : dpl != c->cpl || (sel & 3u) > c->cpl) ||
        bad_long_code(c, d))
        return sel_fault(c, X_GP, sel);
    if (!(d->seg.attr & EMUL_ATTR_P))
        return sel_fault(c, X_NP, sel);
    d->seg.sel = (sel & ~3u) | c->cpl;
    return EMUL_OKAY;
}

/* The stack is already that of the target's mode when a far CALL pushes and when a far
 * return moves RSP.  Returns the mode to be put back. */
static uint8_t enter_stack_mode(struct emul_ctxt *c, const struct emul_seg *cs)
{
    uint8_t mode = c->i.mode;

    if ((c->efer & EFER_LMA) && !c->i.real)
        c->i.mode = cs->attr & EMUL_ATTR_L ? 8 : 4;
    return mode;
}

/* Push CS:RIP of a far CALL. */
static int push_return(struct emul_ctxt *c, const struct emul_seg *cs, uint64_t *sp)
{
    uint8_t mode = enter_stack_mode(c, cs);
    int rc;

    rc = stack_push(c, sp, c->i.opsize, seg_get(c, EMUL_CS)->sel);
    if (rc == EMUL_OKAY)
        rc = stack_push(c, sp, c->i.opsize, c->regs->rip);
    c->i.mode = mode;
    return rc;
}

int far_transfer(struct emul_ctxt *c, uint16_t sel, uint64_t off, bool call)
{
    uint64_t sp = c->regs->rsp;
    struct desc d = {.null = true};
    bool done;
    int rc;

    if (c->i.real) {
        seg_load_real(c, EMUL_CS, sel, &d.seg);
    } else {
        rc = code_check(c, sel, call, &d, &done);
        if (rc != EMUL_OKAY || done)
            return rc;
    }
    if (call) {
        rc = push_return(c, &d.seg, &sp);
        if (rc != EMUL_OKAY)
            return rc;
    }
    rc = target_check(c, &d.seg, &off);
    if (rc == EMUL_OKAY)
        rc = desc_mark_accessed(c, &d);
    if (rc != EMUL_OKAY)
        return rc;
    seg_set(c, EMUL_CS, &d.seg);
    sp_commit(c, sp);
    c->regs->rip = off;
    return EMUL_OKAY;
}

/* EA */
int op_jmp_far(struct emul_ctxt *c)
{
    return far_transfer(c, c->i.imm2, c->i.imm & size_mask(c->i.opsize), false);
}

/* 9A */
int op_call_far(struct emul_ctxt *c)
{
    return far_transfer(c, c->i.imm2, c->i.imm & size_mask(c->i.opsize), true);
}

/* --- returns
 * ----------------------------------------------------------------------------------- */

/* What RETF and IRET collect before they commit anything. */
struct far_return {
    uint64_t ip, flags, sp;
    uint16_t cs, ss;
    bool outer; /* SS:RSP is popped as well */
    struct desc new_cs, new_ss;
};

static int return_cs_check(struct emul_ctxt *c, struct far_return *r)
{
    unsigned int rpl = r->cs & 3, dpl;
    int rc;

    if (!(r->cs & ~3u))
        return gp0(c);
    rc = desc_read(c, r->cs, X_GP, &r->new_cs);
    if (rc != EMUL_OKAY)
        return rc;
    dpl = attr_dpl(r->new_cs.seg.attr);
    if (!is_code(&r->new_cs) || rpl < c->cpl || bad_long_code(c, &r->new_cs) ||
        (r->new_cs.seg.attr & 4 ? dpl > rpl : dpl != rpl))
        return sel_fault(c, X_GP, r->cs);
    if (!(r->new_cs.seg.attr & EMUL_ATTR_P))
        return sel_fault(c, X_NP, r->cs);
    return EMUL_OKAY;
}

static int return_ss_check(struct emul_ctxt *c, struct far_return *r)
{
    unsigned int rpl = r->cs & 3;
    bool to64 = (c->efer & EFER_LMA) && (r->new_cs.seg.attr & EMUL_ATTR_L);

    if (!(r->ss & ~3u)) {
        if (!to64 || rpl == 3 || (r->ss & 3u) != rpl)
            return gp0(c);
        r->new_ss = (struct desc){.null = true, .seg.sel = r->ss, .seg.attr = rpl << 5};
        return EMUL_OKAY;
    }
    return seg_load_check(c, EMUL_SS, r->ss, rpl, X_GP, &r->new_ss);
}

/* After a return to an outer ring, segments it must not see become null. */
static void drop_inner_segments(struct emul_ctxt *c, unsigned int cpl)
{
    static const uint8_t data[] = {EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS};

    for (unsigned int k = 0; k < sizeof(data); k++) {
        const struct emul_seg *s = seg_get(c, data[k]);
        bool conforming = (s->attr & 0xc) == 0xc;

        if ((s->attr & EMUL_ATTR_P) && !conforming && attr_dpl(s->attr) < cpl)
            seg_set(c, data[k], &(struct emul_seg){.base = 0});
    }
}

/* New CS (and SS:RSP), all checks and accessed bits, then the commit. */
static int return_finish(struct emul_ctxt *c, struct far_return *r)
{
    unsigned int rpl = r->cs & 3;
    bool outer = rpl > c->cpl;
    int rc = target_check(c, &r->new_cs.seg, &r->ip);

    if (rc == EMUL_OKAY)
        rc = desc_mark_accessed(c, &r->new_cs);
    if (rc == EMUL_OKAY && r->outer)
        rc = desc_mark_accessed(c, &r->new_ss);
    if (rc != EMUL_OKAY)
        return rc;
    seg_set(c, EMUL_CS, &r->new_cs.seg);
    if (r->outer)
        seg_set(c, EMUL_SS, &r->new_ss.seg);
    if (outer)
        drop_inner_segments(c, rpl);
    c->regs->rip = r->ip;
    return EMUL_OKAY;
}

/* RSP after a return without a change of ring. */
static uint64_t sp_after(struct emul_ctxt *c, const struct emul_seg *cs, uint64_t delta)
{
    uint8_t mode = enter_stack_mode(c, cs);
    uint64_t sp = sp_add(c, c->regs->rsp, delta);

    c->i.mode = mode;
    return sp;
}

/* Read the stack slot `at` bytes above the top. */
static int stack_peek(struct emul_ctxt *c, uint64_t at, uint64_t *val)
{
    uint64_t sp = sp_add(c, c->regs->rsp, at);

    return stack_pop(c, &sp, c->i.opsize, val);
}

/* CA, CB.  The order of the stack accesses is that of AMD's processors. */
int op_ret_far(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t sp, sel, ss = 0;
    struct far_return r = {0};
    int rc = stack_peek(c, n, &sel);

    if (rc == EMUL_OKAY)
        rc = stack_peek(c, 0, &r.ip);
    if (rc == EMUL_OKAY && !c->i.real && (sel & 3) != c->cpl) {
        rc = stack_peek(c, 3 * n + c->i.imm, &ss);
        if (rc == EMUL_OKAY)
            rc = stack_peek(c, 2 * n + c->i.imm, &r.sp);
    }
    if (rc != EMUL_OKAY)
        return rc;
    r.cs = sel;
    r.ss = ss;
    sp = sp_add(c, c->regs->rsp, 2 * n + c->i.imm);
    if (c->i.real) {
        r.new_cs.null = true;
        seg_load_real(c, EMUL_CS, r.cs, &r.new_cs.seg);
        rc = return_finish(c, &(struct far_return){.ip = r.ip, .new_cs = r.new_cs});
        if (rc == EMUL_OKAY)
            sp_commit(c, sp);
        return rc;
    }
    rc = return_cs_check(c, &r);
    if (rc != EMUL_OKAY)
        return rc;
    sp = sp_after(c, &r.new_cs.seg, 2 * n + c->i.imm);
    r.outer = (r.cs & 3) > c->cpl;
    if (r.outer) {
        rc = target_check(c, &r.new_cs.seg, &r.ip);
        if (rc == EMUL_OKAY)
            rc = return_ss_check(c, &r);
        if (rc != EMUL_OKAY)
            return rc;
        /* the parameters are on the outer stack as well */
        sp = r.new_ss.seg.attr & EMUL_ATTR_DB || n == 8
                 ? r.sp + c->i.imm
                 : (c->regs->rsp & ~0xffffull) | ((r.sp + c->i.imm) & 0xffff);
        if (n < 8)
            sp = (uint32_t)sp;
    }
    rc = return_finish(c, &r);
    if (rc == EMUL_OKAY)
        sp_commit(c, sp);
    return rc;
}

/* Flags that IRET may load. */
static uint64_t iret_mask(struct emul_ctxt *c)
{
    uint64_t mask = RFLAGS_LOADABLE | RFLAGS_RF;

    if (c->i.real) {
        if (c->regs->rflags & RFLAGS_VM)
            mask &= ~(uint64_t)RFLAGS_IOPL;
    } else {
        if (c->cpl > 0)
            mask &= ~(uint64_t)RFLAGS_IOPL;
        else
            mask |= RFLAGS_VIF | RFLAGS_VIP;
        if (c->cpl > iopl(c))
            mask &= ~(uint64_t)RFLAGS_IF;
    }
    return c->i.opsize == 2 ? mask & 0xffff : mask;
}

static int iret_real(struct emul_ctxt *c, struct far_return *r, uint64_t sp)
{
    uint64_t mask = iret_mask(c), flags = r->flags;
    int rc;

    if ((c->regs->rflags & RFLAGS_VM) && iopl(c) < 3) {
        /* VME: IF goes to VIF (SDM vol 2, IRET) */
        if (!(c->cr4 & CR4_VME) || c->i.opsize != 2 || (flags & RFLAGS_TF) ||
            ((flags & RFLAGS_IF) && (c->regs->rflags & RFLAGS_VIP)))
            return gp0(c);
        mask = (mask & ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL)) | RFLAGS_VIF;
        flags = (flags & ~(uint64_t)RFLAGS_VIF) | (flags & RFLAGS_IF ? RFLAGS_VIF : 0);
    }
    r->new_cs.null = true;
    seg_load_real(c, EMUL_CS, r->cs, &r->new_cs.seg);
    rc = target_check(c, &r->new_cs.seg, &r->ip);
    if (rc != EMUL_OKAY)
        return rc;
    seg_set(c, EMUL_CS, &r->new_cs.seg);
    c->regs->rip = r->ip;
    sp_commit(c, sp);
    set_flags(c, mask, flags);
    return EMUL_OKAY;
}

/* Ring 0 returns to virtual-8086 mode: six more words on the stack. */
static int iret_to_v86(struct emul_ctxt *c, const struct far_return *r, uint64_t sp)
{
    static const uint8_t order[] = {EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS};
    uint64_t new_sp, sel[5];
    int rc = stack_pop(c, &sp, 4, &new_sp);

    for (unsigned int k = 0; k < 5 && rc == EMUL_OKAY; k++)
        rc = stack_pop(c, &sp, 4, &sel[k]);
    if (rc != EMUL_OKAY)
        return rc;
    if ((uint32_t)r->ip > 0xffff)
        return gp0(c);
    set_flags(c, iret_mask(c) | RFLAGS_VM, r->flags);
    for (unsigned int k = 0; k < 6; k++) {
        uint16_t s = k < 5 ? sel[k] : r->cs;

        seg_set(c, k < 5 ? order[k] : EMUL_CS,
                &(struct emul_seg){
                    .sel = s, .base = (uint32_t)s << 4, .limit = 0xffff, .attr = 0xf3});
    }
    c->regs->rip = (uint16_t)r->ip;
    sp_commit(c, (uint32_t)new_sp);
    return EMUL_OKAY;
}

/* RSP after SS:RSP was popped: a 16-bit stack segment leaves the upper bits alone. */
static uint64_t outer_sp(const struct emul_ctxt *c, const struct far_return *r, bool to64)
{
    if (to64 || (r->new_ss.seg.attr & EMUL_ATTR_DB))
        return c->i.opsize == 8   ? r->sp
               : c->i.opsize == 4 ? (uint32_t)r->sp
                                  : (uint16_t)r->sp;
    if (c->i.opsize == 8)
        return r->sp;
    return (c->regs->rsp & 0xffff0000u) | (r->sp & 0xffff);
}

static int iret_protected(struct emul_ctxt *c, struct far_return *r)
{
    unsigned int n = c->i.opsize;
    uint64_t mask = iret_mask(c), ss = 0, sp;
    int rc = EMUL_OKAY;

    /* AMD's processors read SS:RSP before they look at CS. */
    if (mode64(c) || (r->cs & 3) != c->cpl) {
        rc = stack_peek(c, 4 * n, &ss);
        if (rc == EMUL_OKAY)
            rc = stack_peek(c, 3 * n, &r->sp);
    }
    if (rc == EMUL_OKAY)
        rc = return_cs_check(c, r);
    if (rc != EMUL_OKAY)
        return rc;
    sp = sp_after(c, &r->new_cs.seg, 3 * n);
    r->outer = mode64(c) || (r->cs & 3) > c->cpl;
    if (r->outer) {
        r->ss = ss;
        rc = target_check(c, &r->new_cs.seg, &r->ip);
        if (rc == EMUL_OKAY)
            rc = return_ss_check(c, r);
        if (rc != EMUL_OKAY)
            return rc;
        sp = outer_sp(c, r, (c->efer & EFER_LMA) && (r->new_cs.seg.attr & EMUL_ATTR_L));
    }
    rc = return_finish(c, r);
    if (rc != EMUL_OKAY)
        return rc;
    sp_commit(c, sp);
    set_flags(c, mask, r->flags);
    return EMUL_OKAY;
}

/* Return to the task that the current TSS links back to. */
static int iret_task(struct emul_ctxt *c)
{
    uint64_t link;
    int rc;

    if (c->efer & EFER_LMA)
        return gp0(c);
    rc = mem_read(c, (uint32_t)seg_get(c, EMUL_TR)->base, 2, EMUL_ACC_SYSTEM, &link);
    return rc == EMUL_OKAY ? emul_task_switch(c, link, EMUL_TASK_IRET, NULL) : rc;
}

/* CF */
int op_iret(struct emul_ctxt *c)
{
    unsigned int n = c->i.opsize;
    uint64_t sp = c->regs->rsp, sel;
    struct far_return r = {0};
    int rc;

    if ((c->regs->rflags & RFLAGS_VM) && iopl(c) < 3 && (!(c->cr4 & CR4_VME) || n != 2))
        return gp0(c);
    if (!c->i.real && (c->regs->rflags & RFLAGS_NT))
        return iret_task(c);
    rc = stack_peek(c, 2 * n, &r.flags);
    if (rc == EMUL_OKAY)
        rc = stack_peek(c, n, &sel);
    if (rc == EMUL_OKAY)
        rc = stack_peek(c, 0, &r.ip);
    if (rc != EMUL_OKAY)
        return rc;
    sp = sp_add(c, sp, 3 * n);
    r.cs = sel;
    if (c->i.real)
        rc = iret_real(c, &r, sp);
    else if ((r.flags & RFLAGS_VM) && n == 4 && c->cpl == 0 && !(c->efer & EFER_LMA))
        rc = iret_to_v86(c, &r, sp);
    else
        rc = iret_protected(c, &r);
    c->retire.unblock_nmi = rc == EMUL_OKAY;
    return rc;
}
