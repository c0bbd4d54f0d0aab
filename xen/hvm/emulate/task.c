/* Hardware task switches. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel SDM vol 3 ch 8 (task management), AMD APM vol 2 ch 12. By far JMP, CALL and IRET
 * here, and for the exits of processors that leave the switch to us; never in long mode.
 *
 * Up to the commit everything that fails does so in the old task, with nothing changed
 * but accessed bits. Behind it the new task's registers are in place and an exception is
 * the new task's: RIP stays where it is (emul_ctxt.task_switched).
 */
#include "hvm/emulate/internal.h"

#define TSS_BUSY     2u /* in the descriptor's type */
#define TSS_32       8u
#define TSS16_BYTES  44u
#define TSS32_BYTES  104u
#define DR7_LOCAL    0x155ull /* L0 to L3, LE */
#define EFLAGS_FIXED 2u

/* The parts of a TSS that a switch reads and writes, of both formats. */
struct task {
    uint32_t cr3; /* 32-bit TSS only; never saved */
    uint32_t ip, flags, gpr[8];
    uint16_t seg[6], ldt; /* ES CS SS DS FS GS; FS and GS of the 32-bit TSS only */
    bool trap;            /* T flag: #DB when the task starts */
};

/* Where the dynamic fields begin (IP, FLAGS, registers, segments) and how wide they are.
 */
struct layout {
    uint8_t dynamic, bytes, segs, ldt;
};

static struct layout layout_of(uint16_t type)
{
    return type & TSS_32 ? (struct layout){0x20, 4, 6, 0x60}
                         : (struct layout){0x0e, 2, 4, 0x2a};
}

static int sel_error(struct emul_ctxt *c, uint8_t vector, uint16_t sel)
{
    return emul_raise_error(c, vector, sel & ~3u);
}

static int tss_read(struct emul_ctxt *c, const struct emul_seg *tss, unsigned int at,
                    unsigned int bytes, uint64_t *val)
{
    return mem_read(c, system_linear(c, tss->base + at), bytes, EMUL_ACC_SYSTEM, val);
}

static int tss_write(struct emul_ctxt *c, const struct emul_seg *tss, unsigned int at,
                     unsigned int bytes, uint64_t val)
{
    return mem_write(c, system_linear(c, tss->base + at), bytes,
                     EMUL_ACC_WRITE | EMUL_ACC_SYSTEM, val);
}

/* --- the old task --- */

static int save_old(struct emul_ctxt *c, const struct emul_seg *tss, bool iret)
{
    struct layout l = layout_of(tss->attr);
    uint64_t flags = c->regs->rflags & ~(iret ? (uint64_t)RFLAGS_NT : 0);
    unsigned int at = l.dynamic;
    int rc = tss_write(c, tss, at, l.bytes, c->regs->rip & size_mask(l.bytes));

    if (rc == EMUL_OKAY)
        rc = tss_write(c, tss, at + l.bytes, l.bytes, flags & size_mask(l.bytes));
    at += 2 * l.bytes;
    for (unsigned int i = 0; i < 8 && rc == EMUL_OKAY; i++, at += l.bytes)
        rc = tss_write(c, tss, at, l.bytes, reg_get(c, i, l.bytes));
    for (unsigned int i = 0; i < l.segs && rc == EMUL_OKAY; i++, at += l.bytes)
        rc = tss_write(c, tss, at, 2, seg_get(c, EMUL_ES + i)->sel);
    return rc;
}

/* --- the new task --- */

static int read_new(struct emul_ctxt *c, const struct emul_seg *tss, struct task *t)
{
    struct layout l = layout_of(tss->attr);
    uint64_t v = 0;
    unsigned int at = l.dynamic;
    int rc = EMUL_OKAY;

    *t = (struct task){0};
    if (tss->attr & TSS_32) {
        rc = tss_read(c, tss, 0x1c, 4, &v);
        t->cr3 = v;
    }
    for (unsigned int i = 0; i < 10 && rc == EMUL_OKAY; i++, at += l.bytes) {
        rc = tss_read(c, tss, at, l.bytes, &v);
        *(i == 0 ? &t->ip : i == 1 ? &t->flags : &t->gpr[i - 2]) = v;
    }
    for (unsigned int i = 0; i < l.segs && rc == EMUL_OKAY; i++, at += l.bytes) {
        rc = tss_read(c, tss, at, 2, &v);
        t->seg[i] = v;
    }
    if (rc == EMUL_OKAY)
        rc = tss_read(c, tss, l.ldt, 2, &v);
    t->ldt = v;
    if (rc == EMUL_OKAY && (tss->attr & TSS_32)) {
        rc = tss_read(c, tss, 0x64, 2, &v);
        t->trap = v & 1;
    }
    return rc;
}

/* The new TSS's descriptor, checked (SDM vol 3, 8.3, table 8-1). */
static int check_new(struct emul_ctxt *c, uint16_t sel, bool iret, struct desc *d)
{
    uint8_t vector = iret ? X_TS : X_GP;
    unsigned int type;
    int rc;

    if ((sel & 4) || !(sel & ~3u))
        return sel_error(c, vector, sel);
    rc = desc_read(c, sel, vector, d);
    if (rc != EMUL_OKAY)
        return rc;
    type = d->seg.attr & 0x1f; /* with S */
    if ((type & ~(TSS_32 | TSS_BUSY)) != 1 || !!(type & TSS_BUSY) != iret)
        return sel_error(c, vector, sel);
    if (!(d->seg.attr & EMUL_ATTR_P))
        return sel_error(c, X_NP, sel);
    if (d->seg.limit < (type & TSS_32 ? TSS32_BYTES : TSS16_BYTES) - 1)
        return sel_error(c, X_TS, sel);
    return EMUL_OKAY;
}

static int set_busy(struct emul_ctxt *c, uint16_t sel, bool busy)
{
    struct desc d;
    uint64_t low;
    int rc = desc_read(c, sel, X_TS, &d);

    if (rc != EMUL_OKAY)
        return rc;
    low = busy ? d.low | (uint64_t)TSS_BUSY << 40 : d.low & ~((uint64_t)TSS_BUSY << 40);
    return mem_write(c, d.lin, 8, EMUL_ACC_WRITE | EMUL_ACC_SYSTEM, low);
}

/* --- its segments: from here on faults are the new task's --- */

static int load_ldt(struct emul_ctxt *c, uint16_t sel)
{
    struct desc d;
    int rc;

    seg_set(c, EMUL_LDTR, &(struct emul_seg){.sel = sel});
    if (!(sel & ~3u))
        return EMUL_OKAY;
    if (sel & 4)
        return sel_error(c, X_TS, sel);
    rc = desc_read(c, sel, X_TS, &d);
    if (rc != EMUL_OKAY)
        return rc;
    if ((d.seg.attr & 0x1f) != 2 || !(d.seg.attr & EMUL_ATTR_P))
        return sel_error(c, X_TS, sel);
    seg_set(c, EMUL_LDTR, &d.seg);
    return EMUL_OKAY;
}

static int load_cs(struct emul_ctxt *c, uint16_t sel)
{
    unsigned int dpl;
    struct desc d;
    int rc;

    if (!(sel & ~3u))
        return sel_error(c, X_TS, sel);
    rc = desc_read(c, sel, X_TS, &d);
    if (rc != EMUL_OKAY)
        return rc;
    dpl = attr_dpl(d.seg.attr);
    if (d.system || !(d.seg.attr & 8) ||
        (d.seg.attr & 4 ? dpl > (sel & 3u) : dpl != (sel & 3u)))
        return sel_error(c, X_TS, sel);
    if (!(d.seg.attr & EMUL_ATTR_P))
        return sel_error(c, X_NP, sel);
    rc = desc_mark_accessed(c, &d);
    if (rc == EMUL_OKAY)
        seg_set(c, EMUL_CS, &d.seg);
    return rc;
}

static int load_data(struct emul_ctxt *c, unsigned int n, uint16_t sel)
{
    struct desc d;
    int rc;

    if (n == EMUL_SS && !(sel & ~3u))
        return sel_error(c, X_TS, sel);
    rc = seg_load_check(c, n, sel, c->cpl, X_TS, &d);
    if (rc == EMUL_OKAY)
        rc = desc_mark_accessed(c, &d);
    if (rc == EMUL_OKAY)
        seg_set(c, n, &d.seg);
    return rc;
}

static int load_segments(struct emul_ctxt *c, const struct task *t)
{
    static const uint8_t order[] = {EMUL_SS, EMUL_ES, EMUL_DS, EMUL_FS, EMUL_GS};
    int rc;

    if (t->flags & RFLAGS_VM) {
        for (unsigned int n = EMUL_ES; n <= EMUL_GS; n++)
            seg_set(c, n,
                    &(struct emul_seg){.sel = t->seg[n],
                                       .base = (uint32_t)t->seg[n] << 4,
                                       .limit = 0xffff,
                                       .attr = 0xf3});
        return load_ldt(c, t->ldt);
    }
    /* Until they are loaded: selectors of the new task with nothing behind them. The CPL
     * is that of CS, and of SS's DPL. */
    for (unsigned int n = EMUL_ES; n <= EMUL_GS; n++) {
        if (n != EMUL_CS)
            seg_set(c, n, &(struct emul_seg){.sel = t->seg[n], .attr = c->cpl << 5});
    }
    rc = load_ldt(c, t->ldt);
    if (rc == EMUL_OKAY)
        rc = load_cs(c, t->seg[EMUL_CS]);
    for (unsigned int i = 0; i < sizeof(order) && rc == EMUL_OKAY; i++)
        rc = load_data(c, order[i], t->seg[order[i]]);
    return rc;
}

/* What cannot fail: control registers, general registers, TR. */
static int commit(struct emul_ctxt *c, const struct desc *tss, const struct task *t,
                  enum emul_task_reason why)
{
    struct emul_seg tr = tss->seg;
    bool wide = tr.attr & TSS_32;
    uint64_t dr7 = 0;
    int rc;

    tr.attr |= TSS_BUSY;
    if (wide && (c->cr0 & CR0_PG)) {
        rc = c->ops->cr_write(c, 3, t->cr3);
        if (rc != EMUL_OKAY)
            return sel_error(c, X_TS, tr.sel);
    }
    rc = c->ops->cr_write(c, 0, c->cr0 | CR0_TS);
    if (rc == EMUL_OKAY)
        rc = c->ops->dr_read(c, 7, &dr7);
    if (rc == EMUL_OKAY && (dr7 & DR7_LOCAL))
        rc = c->ops->dr_write(c, 7, dr7 & ~DR7_LOCAL);
    if (rc != EMUL_OKAY)
        return rc;
    c->task_switched = true;
    c->retire.unblock_nmi = why == EMUL_TASK_IRET;
    c->cr0 |= CR0_TS;
    seg_set(c, EMUL_TR, &tr);
    for (unsigned int i = 0; i < 8; i++)
        *gpr(c, i) = wide ? t->gpr[i] : 0xffff0000u | t->gpr[i];
    c->regs->rip = t->ip;
    c->regs->rflags =
        (t->flags & (RFLAGS_LOADABLE | RFLAGS_RF | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)) |
        EFLAGS_FIXED;
    c->cpl = t->flags & RFLAGS_VM ? 3 : t->seg[EMUL_CS] & 3;
    c->i.real = t->flags & RFLAGS_VM;
    return EMUL_OKAY;
}

/* The error code of the exception that came through a task gate, on the new stack. */
static int push_error(struct emul_ctxt *c, bool wide, uint32_t error)
{
    uint64_t sp = c->regs->rsp;
    int rc = stack_push(c, &sp, wide ? 4 : 2, error);

    if (rc == EMUL_OKAY)
        sp_commit(c, sp);
    return rc;
}

int emul_task_switch(struct emul_ctxt *c, uint16_t sel, enum emul_task_reason why,
                     const uint32_t *error)
{
    struct emul_seg old = *seg_get(c, EMUL_TR);
    bool iret = why == EMUL_TASK_IRET, nested = why == EMUL_TASK_CALL;
    const struct emul_seg *cs;
    struct task t;
    struct desc d;
    int rc = check_new(c, sel, iret, &d);

    if (rc == EMUL_OKAY &&
        old.limit < (old.attr & TSS_32 ? TSS32_BYTES : TSS16_BYTES) - 1)
        rc = sel_error(c, X_TS, old.sel);
    if (rc == EMUL_OKAY)
        rc = read_new(c, &d.seg, &t);
    if (rc == EMUL_OKAY)
        rc = save_old(c, &old, iret);
    if (rc == EMUL_OKAY && nested)
        rc = tss_write(c, &d.seg, 0, 2, old.sel);
    else if (rc == EMUL_OKAY)
        rc = set_busy(c, old.sel, false);
    if (rc == EMUL_OKAY && !iret)
        rc = set_busy(c, sel, true);
    if (rc != EMUL_OKAY)
        return rc;
    if (nested)
        t.flags |= RFLAGS_NT;
    rc = commit(c, &d, &t, why);
    if (rc != EMUL_OKAY)
        return rc;
    rc = load_segments(c, &t);
    if (rc != EMUL_OKAY)
        return rc;
    cs = seg_get(c, EMUL_CS);
    c->i.mode = cs->attr & EMUL_ATTR_DB && !c->i.real ? 4 : 2;
    if (error)
        rc = push_error(c, d.seg.attr & TSS_32, *error);
    if (rc == EMUL_OKAY && t.ip > cs->limit)
        rc = gp0(c);
    if (rc == EMUL_OKAY && t.trap)
        c->retire.task_trap = true;
    return rc;
}

int emul_task_switch_event(struct emul_ctxt *c, uint16_t sel, const uint32_t *error)
{
    c->i = (struct emul_insn){.mode = 4, .opsize = 4, .adsize = 4};
    c->retire = (struct emul_retire){0};
    c->task_switched = false;
    return emul_task_switch(c, sel, EMUL_TASK_CALL, error);
}
