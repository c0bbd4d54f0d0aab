/* Descriptors: reading them, and the checks of loading a segment register.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AMD APM vol 2 sec 4.5-4.12, Intel SDM vol 3 ch 3 and 5, and the pages of MOV, LAR, LSL,
 * VERR, LLDT and LTR.
 */
#include "hvm/emulate/internal.h"

/* Address of a selector's descriptor; false if it is outside of its table. */
static bool desc_linear(struct emul_ctxt *c, uint16_t sel, unsigned int bytes,
                        uint64_t *lin)
{
    const struct emul_seg *table = seg_get(c, sel & 4 ? EMUL_LDTR : EMUL_GDTR);
    unsigned int off = sel & ~7u;

    if ((sel & 4) && (!(table->attr & EMUL_ATTR_P) || !(table->sel & ~3)))
        return false;
    if (off + bytes - 1 > table->limit)
        return false;
    *lin = system_linear(c, table->base + off);
    return true;
}

/* Take a descriptor apart (SDM vol 3 figure 3-8). */
static void desc_parse(struct desc *d, uint16_t sel, uint64_t low)
{
    uint32_t hi = low >> 32;

    d->low = low;
    d->null = false;
    d->seg.sel = sel;
    d->seg.attr = (hi >> 8 & 0xff) | (hi >> 12 & 0xf00);
    d->seg.base = (low >> 16 & 0xffffff) | (hi & 0xff000000);
    d->seg.limit = (low & 0xffff) | (hi & 0xf0000);
    if (d->seg.attr & EMUL_ATTR_G)
        d->seg.limit = d->seg.limit << 12 | 0xfff;
    d->system = !(d->seg.attr & EMUL_ATTR_S);
}

int desc_read(struct emul_ctxt *c, uint16_t sel, uint8_t vec, struct desc *d)
{
    uint64_t low;
    int rc;

    if (!desc_linear(c, sel, 8, &d->lin))
        return emul_raise_error(c, vec, sel & ~3u);
    rc = mem_read(c, d->lin, 8, EMUL_ACC_SYSTEM, &low);
    if (rc == EMUL_OKAY)
        desc_parse(d, sel, low);
    return rc;
}

/* Atomically set bits in the descriptor's type field. */
static int desc_set_type(struct emul_ctxt *c, struct desc *d, uint64_t type_bits)
{
    uint64_t new = d->low | type_bits << 40;
    int rc = EMUL_OKAY;

    if (new == d->low)
        return rc;
    if (c->ops->cmpxchg)
        rc = c->ops->cmpxchg(c, d->lin, &d->low, &new, 8,
                             EMUL_ACC_WRITE | EMUL_ACC_SYSTEM | EMUL_ACC_LOCK);
    else
        rc = mem_write(c, d->lin, 8, EMUL_ACC_WRITE | EMUL_ACC_SYSTEM, new);
    if (rc == EMUL_OKAY) {
        d->low = new;
        d->seg.attr |= type_bits;
    }
    return rc;
}

int desc_mark_accessed(struct emul_ctxt *c, struct desc *d)
{
    return d->null ? EMUL_OKAY : desc_set_type(c, d, 1);
}

void seg_load_real(struct emul_ctxt *c, unsigned int n, uint16_t sel, struct emul_seg *s)
{
    *s = *seg_get(c, n);
    s->sel = sel;
    s->base = (uint32_t)sel << 4;
    if (c->regs->rflags & RFLAGS_VM) {
        s->limit = 0xffff;
        s->attr = 0xf3;
    } else if (!(s->attr & EMUL_ATTR_P)) { /* left over from protected mode */
        s->limit = 0xffff;
        s->attr = 0x93;
    }
}

static int null_selector(struct emul_ctxt *c, unsigned int n, uint16_t sel,
                         unsigned int cpl, struct desc *d)
{
    *d = (struct desc){.null = true, .seg.sel = sel};
    if (n != EMUL_SS)
        return EMUL_OKAY;
    /* 64-bit code outside of ring 3 may have a null stack segment. */
    if (!mode64(c) || cpl == 3 || (sel & 3) != cpl)
        return gp0(c);
    d->seg.attr = cpl << 5; /* SS.DPL is the CPL */
    return EMUL_OKAY;
}

int seg_load_check(struct emul_ctxt *c, unsigned int n, uint16_t sel, unsigned int cpl,
                   uint8_t vec, struct desc *d)
{
    unsigned int rpl = sel & 3, dpl;
    bool code, conforming, bad;
    uint16_t attr;
    int rc;

    if (!(sel & ~3u))
        return null_selector(c, n, sel, cpl, d);
    rc = desc_read(c, sel, vec, d);
    if (rc != EMUL_OKAY)
        return rc;
    attr = d->seg.attr;
    dpl = attr_dpl(attr);
    code = attr & 8;
    conforming = code && (attr & 4);
    if (n == EMUL_SS)
        bad = d->system || code || !(attr & 2) || rpl != cpl || dpl != cpl;
    else
        bad = d->system || (code && !(attr & 2)) ||
              (!conforming && (rpl > dpl || cpl > dpl));
    if (bad)
        return emul_raise_error(c, vec, sel & ~3u);
    if (!(attr & EMUL_ATTR_P))
        return emul_raise_error(c, n == EMUL_SS ? X_SS : X_NP, sel & ~3u);
    return EMUL_OKAY;
}

int seg_load(struct emul_ctxt *c, unsigned int n, uint16_t sel, struct emul_seg *s)
{
    struct desc d;
    int rc;

    if (c->i.real) {
        seg_load_real(c, n, sel, s);
        return EMUL_OKAY;
    }
    rc = seg_load_check(c, n, sel, c->cpl, X_GP, &d);
    if (rc == EMUL_OKAY)
        rc = desc_mark_accessed(c, &d);
    *s = d.seg;
    return rc;
}

/* --- LLDT, LTR
 * ----------------------------------------------------------------------------- */

/* Bits 63-32 of the base, in the second half of a long-mode system descriptor. */
static int desc_read_high(struct emul_ctxt *c, struct desc *d)
{
    uint64_t high, lin;
    int rc;

    if (!(c->efer & EFER_LMA))
        return EMUL_OKAY;
    if (!desc_linear(c, d->seg.sel, 16, &lin))
        return emul_raise_error(c, X_GP, d->seg.sel & ~3u);
    rc = mem_read(c, lin + 8, 8, EMUL_ACC_SYSTEM, &high);
    if (rc != EMUL_OKAY)
        return rc;
    d->seg.base |= high << 32;
    if ((high >> 40 & 0x1f) || !is_canonical(d->seg.base))
        return emul_raise_error(c, X_GP, d->seg.sel & ~3u);
    return EMUL_OKAY;
}

int do_lldt_ltr(struct emul_ctxt *c, bool tr)
{
    unsigned int n = tr ? EMUL_TR : EMUL_LDTR, type;
    struct desc d;
    uint64_t sel;
    bool good;
    int rc;

    if (c->cpl != 0)
        return gp0(c);
    rc = rm_read(c, 2, &sel);
    if (rc != EMUL_OKAY)
        return rc;
    if (!(sel & ~3u)) {
        if (tr)
            return gp0(c);
        seg_set(c, n, &(struct emul_seg){.sel = sel});
        return EMUL_OKAY;
    }
    if (sel & 4)
        return emul_raise_error(c, X_GP, sel & ~3u);
    rc = desc_read(c, sel, X_GP, &d);
    if (rc != EMUL_OKAY)
        return rc;
    type = d.seg.attr & 0x1f; /* with S */
    good = tr ? type == 9 || (type == 1 && !(c->efer & EFER_LMA)) : type == 2;
    if (!good)
        return emul_raise_error(c, X_GP, sel & ~3u);
    if (!(d.seg.attr & EMUL_ATTR_P))
        return emul_raise_error(c, X_NP, sel & ~3u);
    rc = desc_read_high(c, &d);
    if (rc == EMUL_OKAY && tr)
        rc = desc_set_type(c, &d, 2); /* busy */
    if (rc == EMUL_OKAY)
        seg_set(c, n, &d.seg);
    return rc;
}

/* --- LAR, LSL, VERR, VERW
 * -------------------------------------------------------------------- */

/* Look at a descriptor for an instruction that reports by ZF; *ok says whether it can be
 * seen at all and, unless it is conforming code, by this CPL and RPL. */
static int desc_probe(struct emul_ctxt *c, uint16_t sel, struct desc *d, bool *ok)
{
    unsigned int dpl;
    uint64_t low;
    int rc;

    *ok = false;
    if (!(sel & ~3u) || !desc_linear(c, sel, 8, &d->lin))
        return EMUL_OKAY;
    rc = mem_read(c, d->lin, 8, EMUL_ACC_SYSTEM, &low);
    if (rc != EMUL_OKAY)
        return rc;
    desc_parse(d, sel, low);
    dpl = attr_dpl(d->seg.attr);
    *ok = (!d->system && (d->seg.attr & 0xc) == 0xc) ||
          (dpl >= c->cpl && dpl >= (sel & 3u));
    return EMUL_OKAY;
}

int do_verr_verw(struct emul_ctxt *c, bool write)
{
    struct desc d;
    uint64_t sel;
    bool ok;
    int rc = rm_read(c, 2, &sel);

    if (rc == EMUL_OKAY)
        rc = desc_probe(c, sel, &d, &ok);
    if (rc != EMUL_OKAY)
        return rc;
    if (ok && d.system) /* whether it is present does not matter */
        ok = false;
    if (ok && write)
        ok = (d.seg.attr & 0xa) == 0x2;
    else if (ok)
        ok = (d.seg.attr & 0xa) != 0x8;
    set_flags(c, RFLAGS_ZF, ok ? RFLAGS_ZF : 0);
    return EMUL_OKAY;
}

/* Which system descriptors LAR and LSL accept: bit per type. */
static unsigned int visible_types(const struct emul_ctxt *c, bool lsl)
{
    unsigned int types = 1u << 2 | 1u << 9 | 1u << 11; /* LDT, TSS */

    if (!lsl)
        types |= 1u << 12; /* call gate */
    if (!(c->efer & EFER_LMA)) {
        types |= 1u << 1 | 1u << 3; /* 286 TSS */
        if (!lsl)
            types |= 1u << 4 | 1u << 5; /* 286 call gate, task gate */
    }
    return types;
}

static int lar_lsl(struct emul_ctxt *c, bool lsl)
{
    struct desc d;
    uint64_t sel;
    bool ok;
    int rc = rm_read(c, 2, &sel);

    if (rc == EMUL_OKAY)
        rc = desc_probe(c, sel, &d, &ok);
    if (rc != EMUL_OKAY)
        return rc;
    if (ok && d.system && !(visible_types(c, lsl) >> (d.seg.attr & 15) & 1))
        ok = false;
    if (ok)
        reg_set(c, c->i.reg, c->i.opsize, lsl ? d.seg.limit : d.low >> 32 & 0x00ffff00);
    set_flags(c, RFLAGS_ZF, ok ? RFLAGS_ZF : 0);
    return EMUL_OKAY;
}

/* 0F 02 */
int op_lar(struct emul_ctxt *c)
{
    return lar_lsl(c, false);
}

/* 0F 03 */
int op_lsl(struct emul_ctxt *c)
{
    return lar_lsl(c, true);
}
