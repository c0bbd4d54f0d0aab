/* A local APIC that the processor plays itself while its vCPU runs: delivery by priority,
 * EOI, TPR, reads of registers, without an exit. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Intel SDM vol 3, chapter 30. The registers are in a page, in xAPIC's layout. Two
 * states, as of a floating point unit: `live`, and then IRR, ISR, PPR of the page count,
 * or not, and then those of struct vlapic do. An entry makes it live; who needs the
 * registers pulls, on the vCPU itself; a vCPU that does not run is never live. Interrupts
 * are always accepted into struct vlapic and go into the page at the next entry, so that
 * only the vCPU and its processor write there; or they are posted, and the processor
 * takes them into the page without an exit.
 *
 * Everything else is written here first and mirrored into the page, but for ICR in xAPIC
 * mode, which guests write there.
 */
#include "hvm/vlapic.h"
#include "hvm/platform_device.h"
#include "lib/string.h"

#define PAGE_BITMAP_WORDS 8

/* 64 vectors of a bitmap, which has 32 in each register. */
static uint64_t page_read64(const struct vlapic *s, unsigned int reg, unsigned int i)
{
    const uint32_t *p = s->page + (reg + 2 * i) * 4;

    return READ_ONCE(p[0]) | (uint64_t)READ_ONCE(p[4]) << 32;
}

static void page_write64(struct vlapic *s, unsigned int reg, unsigned int i, uint64_t val)
{
    uint32_t *p = s->page + (reg + 2 * i) * 4;

    WRITE_ONCE(p[0], (uint32_t)val);
    WRITE_ONCE(p[4], (uint32_t)(val >> 32));
}

static uint8_t page_highest(const struct vlapic *s, unsigned int reg)
{
    for (int i = PAGE_BITMAP_WORDS - 1; i >= 0; i--) {
        uint32_t w = READ_ONCE(s->page[(reg + i) * 4]);

        if (w)
            return i * 32 + 31 - __builtin_clz(w);
    }
    return 0;
}

/* Registers that the guest reads in the page and that no other CPU changes. */
static const uint8_t plain[] = {
    APIC_ID,          APIC_VERSION,  APIC_TPR,       APIC_LDR,       APIC_DFR,
    APIC_SVR,         APIC_ESR,      APIC_ICR,       APIC_ICR2,      APIC_LVT_TIMER,
    APIC_LVT_THERMAL, APIC_LVT_PERF, APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR,
    APIC_TMICT,       APIC_TDCR,
};

void vlapic_page_mirror(struct vlapic *s, unsigned int reg)
{
    uint32_t val = 0;

    if (reg == APIC_ICR)
        val = s->icr_lo; /* without a pull */
    else if (reg == APIC_ICR2)
        val = s->icr_hi;
    else
        (void)vlapic_reg_read(s, reg, &val);
    s->page[reg * 4] = val;
}

void vlapic_page_mirror_all(struct vlapic *s)
{
    vlapic_pull(s);
    for (unsigned int i = 0; i < ARRAY_SIZE(plain); i++)
        vlapic_page_mirror(s, plain[i]);
}

void vlapic_page_pull(struct vlapic *s)
{
    for (unsigned int i = 0; i < 4; i++) {
        uint64_t requested = page_read64(s, APIC_IRR, i);

        s->isr[i] = page_read64(s, APIC_ISR, i);
        page_write64(s, APIC_IRR, i, 0);
        if (requested)
            __atomic_fetch_or(&s->irr[i], requested, __ATOMIC_SEQ_CST);
    }
    if (!s->x2apic) {
        s->icr_lo = s->page[APIC_ICR * 4] & APIC_ICR_WRITABLE;
        s->icr_hi = s->page[APIC_ICR2 * 4] & 0xff000000;
    }
    s->live = false;
    vlapic_update_derived(s);
}

void vlapic_page_collect(struct vlapic *s)
{
    if (!s->posted)
        return;
    for (unsigned int i = 0; i < 4; i++)
        if (READ_ONCE(s->posted[i]))
            __atomic_fetch_or(&s->irr[i],
                              __atomic_exchange_n(&s->posted[i], 0, __ATOMIC_SEQ_CST),
                              __ATOMIC_SEQ_CST);
}

/* Level-triggered ones stay: before one is delivered, the back end must have asked for an
 * exit at its EOI. And those that must not get into service. */
bool vlapic_page_post(struct vlapic *s)
{
    bool left = false;

    for (unsigned int i = 0; i < 4; i++) {
        uint64_t stays = READ_ONCE(s->tmr[i]) | READ_ONCE(s->auto_eoi[i]);
        uint64_t goes = READ_ONCE(s->irr[i]) & ~stays;

        if (goes) {
            goes &= __atomic_fetch_and(&s->irr[i], ~goes, __ATOMIC_SEQ_CST);
            __atomic_fetch_or(&s->posted[i], goes, __ATOMIC_SEQ_CST);
        }
        left |= READ_ONCE(s->irr[i]) != 0;
    }
    return !left;
}

/* ISR, IRR and PPR are here: into the page. */
static void push(struct vlapic *s)
{
    s->page[APIC_PPR * 4] = s->ppr;
    for (unsigned int i = 0; i < 4; i++) {
        page_write64(s, APIC_ISR, i, s->isr[i]);
        page_write64(s, APIC_IRR, i, 0);
    }
    s->live = true;
    /* From here the page says what is in service, and no vector is below another: whoever
     * accepts one kicks (vlapic_set_irq). Before the look at IRR. */
    WRITE_ONCE(s->isrv, -1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void vlapic_page_enter(struct vlapic *s, struct vlapic_entry *e)
{
    e->whole = !s->live;
    if (e->whole) {
        e->in_service = s->isrv < 0 ? 0 : s->isrv;
        push(s);
    }
    for (unsigned int i = 0; i < 4; i++) {
        uint64_t accepted, stays = READ_ONCE(s->auto_eoi[i]);

        if (likely(!(READ_ONCE(s->irr[i]) & ~stays)))
            continue;
        accepted = __atomic_fetch_and(&s->irr[i], stays, __ATOMIC_SEQ_CST) & ~stays;
        page_write64(s, APIC_IRR, i, page_read64(s, APIC_IRR, i) | accepted);
        page_write64(s, APIC_TMR, i, READ_ONCE(s->tmr[i]));
    }
    e->requested = page_highest(s, APIC_IRR);
}

void vlapic_page_eoi(struct vcpu *v, uint8_t vector)
{
    vioapic_eoi(v->domain, vector);
}

/* The instruction is over. A value that is not allowed raises no #GP here: those
 * registers are written by MMIO, or are such that any value is. */
void vlapic_page_written(struct vcpu *v, unsigned int offset)
{
    struct vlapic *s = v->hvm->vlapic;
    unsigned int reg = offset >> 4;
    uint32_t val;

    if (reg >= APIC_NR_REGS)
        return;
    val = READ_ONCE(s->page[reg * 4]);
    if (reg == APIC_SELF_IPI) {
        vlapic_self_ipi(s, val);
        return;
    }
    if (vlapic_reg_write(s, reg, val))
        vlapic_esr_raise(s, APIC_ESR_REGISTER);
    if (reg == APIC_ID)
        vlapic_page_mirror(s, reg); /* read-only: as it was */
}
