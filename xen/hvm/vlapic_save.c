/* HVM context records of the local APIC. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LAPIC holds the modes, LAPIC_REGS the register page as xAPIC shows it; ids are not
 * taken from a record. The count that was left is in TMCCT's place; 0 there (from stock
 * Xen) starts a whole count.
 */
#include "hvm/vlapic.h"
#include "hvm/save.h"
#include "lib/errno.h"
#include "lib/string.h"

#define SW_DISABLED 2u
#define HW_DISABLED 1u

static int save_lapic(struct vcpu *v, struct hvm_context *c)
{
    const struct vlapic *s = v->hvm->vlapic;
    struct hvm_hw_lapic hw = {
        .apic_base_msr = s->base_msr,
        .disabled = (s->svr & APIC_SVR_ENABLE ? 0 : SW_DISABLED) |
                    (s->hw_enabled ? 0 : HW_DISABLED),
        .timer_divisor = vlapic_timer_divider(s->tdcr),
        .tdt_msr = s->tsc_deadline,
    };

    return hvm_save_put(c, HVM_SAVE_CODE(LAPIC), v->id, &hw, sizeof(hw));
}

static int load_lapic(struct vcpu *v, const struct hvm_record *r)
{
    struct vlapic *s = v->hvm->vlapic;
    struct hvm_hw_lapic hw;

    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    if ((hw.apic_base_msr &
         ~(0xffffffffff000ull | APIC_BASE_BSP | APIC_BASE_EXTD | APIC_BASE_ENABLE)) ||
        (hw.apic_base_msr & (APIC_BASE_EXTD | APIC_BASE_ENABLE)) == APIC_BASE_EXTD)
        return -EINVAL;
    vlapic_timer_reset(s);
    s->base_msr = hw.apic_base_msr;
    s->tsc_deadline = hw.tdt_msr; /* LAPIC_REGS, which follows, arms it */
    vlapic_changed(s);
    return 0;
}

static void put(struct hvm_hw_lapic_regs *hw, unsigned int reg, uint32_t val)
{
    memcpy(&hw->data[reg * 16], &val, sizeof(val));
}

static uint32_t get(const struct hvm_hw_lapic_regs *hw, unsigned int reg)
{
    uint32_t val;

    memcpy(&val, &hw->data[reg * 16], sizeof(val));
    return val;
}

static void put_bitmap(struct hvm_hw_lapic_regs *hw, unsigned int reg,
                       const uint64_t map[4])
{
    for (unsigned int i = 0; i < 8; i++)
        put(hw, reg + i, map[i / 2] >> (i & 1) * 32);
}

/* Vectors below 16 cannot be there. */
static void get_bitmap(const struct hvm_hw_lapic_regs *hw, unsigned int reg,
                       uint64_t map[4])
{
    for (unsigned int i = 0; i < 4; i++)
        map[i] = get(hw, reg + 2 * i) | (uint64_t)get(hw, reg + 2 * i + 1) << 32;
    map[0] &= ~0xffffull;
}

static int save_regs(struct vcpu *v, struct hvm_context *c)
{
    struct vlapic *s = v->hvm->vlapic;
    struct hvm_hw_lapic_regs hw = {0};
    uint8_t put_off = v->hvm->deferred_extint;
    uint64_t isr[4], irr[4];

    vlapic_page_collect(s);
    put(&hw, APIC_ID, s->x2apic ? s->id : s->id << 24);
    put(&hw, APIC_VERSION, 0x00050014);
    put(&hw, APIC_TPR, s->tpr);
    put(&hw, APIC_PPR, s->ppr);
    put(&hw, APIC_LDR, s->ldr);
    put(&hw, APIC_DFR, s->dfr);
    put(&hw, APIC_SVR, s->svr);
    put(&hw, APIC_ESR, s->esr);
    put(&hw, APIC_ICR, s->icr_lo);
    put(&hw, APIC_ICR2, s->icr_hi);
    put(&hw, APIC_TMICT, s->tmict);
    put(&hw, APIC_TMCCT, vlapic_timer_count(s));
    put(&hw, APIC_TDCR, s->tdcr);
    memcpy(isr, s->isr, sizeof(isr));
    memcpy(irr, s->irr, sizeof(irr));
    if (put_off && (isr[put_off / 64] >> put_off % 64 & 1)) {
        /* Acknowledged, not delivered yet: as if it had not been acknowledged. */
        isr[put_off / 64] &= ~BIT(put_off % 64);
        irr[put_off / 64] |= BIT(put_off % 64);
    }
    put_bitmap(&hw, APIC_ISR, isr);
    put_bitmap(&hw, APIC_TMR, s->tmr);
    put_bitmap(&hw, APIC_IRR, irr);
    for (unsigned int i = 0; i < APIC_NR_LVTS; i++)
        put(&hw, APIC_LVT_TIMER + i, s->lvt[i]);
    return hvm_save_put(c, HVM_SAVE_CODE(LAPIC_REGS), v->id, &hw, sizeof(hw));
}

static int load_regs(struct vcpu *v, const struct hvm_record *r)
{
    struct vlapic *s = v->hvm->vlapic;
    uint64_t deadline = s->tsc_deadline;
    struct hvm_hw_lapic_regs hw;
    uint32_t count;

    if (hvm_load_payload(r, &hw, sizeof(hw)))
        return -EINVAL;
    vlapic_timer_reset(s);
    vlapic_page_collect(s); /* before IRR is overwritten */
    s->tpr = get(&hw, APIC_TPR);
    s->ldr = s->x2apic ? (s->id >> 4) << 16 | 1u << (s->id & 15)
                       : get(&hw, APIC_LDR) & 0xff000000;
    s->dfr = get(&hw, APIC_DFR) | 0x0fffffff;
    s->svr = get(&hw, APIC_SVR) & 0x1ff;
    s->esr = get(&hw, APIC_ESR) & 0xff;
    s->esr_pending = 0;
    s->icr_lo = get(&hw, APIC_ICR) & APIC_ICR_WRITABLE;
    s->icr_hi = s->x2apic ? get(&hw, APIC_ICR2) : get(&hw, APIC_ICR2) & 0xff000000;
    get_bitmap(&hw, APIC_ISR, s->isr);
    get_bitmap(&hw, APIC_TMR, s->tmr);
    get_bitmap(&hw, APIC_IRR, s->irr);
    for (unsigned int i = 0; i < APIC_NR_LVTS; i++)
        s->lvt[i] = get(&hw, APIC_LVT_TIMER + i) & vlapic_lvt_writable[i];
    s->tmict = get(&hw, APIC_TMICT);
    s->tdcr = get(&hw, APIC_TDCR) & 0xb;
    count = get(&hw, APIC_TMCCT);
    vlapic_changed(s);
    vlapic_timer_restart(s, count ? count : s->tmict, deadline);
    return 0;
}

HVM_REGISTER_SAVE_RESTORE(LAPIC, save_lapic, load_lapic, true);
HVM_REGISTER_SAVE_RESTORE(LAPIC_REGS, save_regs, load_regs, true);
