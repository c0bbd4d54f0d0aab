/* Local APIC: registers, and the way of a vector through IRR and ISR.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel SDM vol 3, chapter 11. Not modelled: the CMCI, thermal and performance counter
 * entries never fire; no EOI broadcast suppression; APR, RRD and the ID are read-only.
 *
 * IRR may be written by any CPU, with atomic operations; everything else belongs to the
 * vCPU, the timer's part excepted (vlapic_timer.c). Processors that play the local APIC
 * themselves: vlapic_page.c.
 */
#include "hvm/vlapic.h"
#include "hvm/synic.h"
#include "hvm/platform_device.h"
#include "hvm/cpuid.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "domain/sched.h"

#define APIC_VERSION_VALUE 0x00050014u /* integrated APIC, LVT entries 0 .. 5 */
#define LVT_INDEX(reg)     ((reg)-APIC_LVT_TIMER)

/* Writable bits of the entries, from APIC_LVT_TIMER on (SDM figure 11-8). */
const uint32_t vlapic_lvt_writable[APIC_NR_LVTS] = {
    0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff,
};

static inline int bitmap_highest(const uint64_t map[4])
{
    for (int i = 3; i >= 0; i--) {
        uint64_t w = READ_ONCE(map[i]);

        if (w)
            return i * 64 + 63 - __builtin_clzll(w);
    }
    return -1;
}

static inline bool test_and_set_vector(uint64_t map[4], uint8_t vector)
{
    uint64_t bit = BIT(vector & 63);

    return __atomic_fetch_or(&map[vector >> 6], bit, __ATOMIC_SEQ_CST) & bit;
}

static inline void clear_vector(uint64_t map[4], uint8_t vector)
{
    __atomic_fetch_and(&map[vector >> 6], ~BIT(vector & 63), __ATOMIC_SEQ_CST);
}

static inline bool test_vector(const uint64_t map[4], uint8_t vector)
{
    return READ_ONCE(map[vector >> 6]) >> (vector & 63) & 1;
}

/* PPR: the higher class of TPR and the vector in service (SDM 11.8.3.1). */
static inline void update_ppr(struct vlapic *s)
{
    uint8_t in_service = s->isrv < 0 ? 0 : s->isrv & 0xf0;

    s->ppr = (s->tpr & 0xf0) >= in_service ? s->tpr : in_service;
}

bool vlapic_vector_pending(const struct vlapic *s, uint8_t vector)
{
    return test_vector(s->irr, vector) ||
           (unlikely(s->live) &&
            (READ_ONCE(s->page[(APIC_IRR + vector / 32) * 4]) >> vector % 32 & 1)) ||
           (unlikely(s->posted != NULL) && test_vector(s->posted, vector));
}

/* Into IRR; the APIC may be disabled by software. */
static inline bool request(struct vlapic *s, uint8_t vector, bool level)
{
    if (unlikely(vector < 16)) {
        vlapic_esr_raise(s, APIC_ESR_RECV_VECTOR);
        return false;
    }
    /* TMR before IRR: whoever takes the vector sees how it was triggered. */
    if (unlikely(level != test_vector(s->tmr, vector))) {
        if (level)
            test_and_set_vector(s->tmr, vector);
        else
            clear_vector(s->tmr, vector);
    }
    return !test_and_set_vector(s->irr, vector);
}

bool vlapic_accept(struct vlapic *s, uint8_t vector, bool level)
{
    return likely(s->sw_enabled) && request(s, vector, level);
}

void vlapic_set_upcall(struct vcpu *v, uint8_t vector)
{
    struct vlapic *s = v->hvm->vlapic;

    if (s->hw_enabled && request(s, vector, false))
        vcpu_kick(v);
}

void vlapic_set_irq(struct vcpu *v, uint8_t vector, bool level)
{
    struct vlapic *s = v->hvm->vlapic;

    /* While a vector of the same or a higher class is in service, its EOI (an exit) lets
     * the vCPU see this one. The atomic operations on IRR here and on ISR there order
     * the two. */
    if (!vlapic_accept(s, vector, level) || (vector >> 4) <= (READ_ONCE(s->isrv) >> 4))
        return;
    if (unlikely(s->posted != NULL))
        hvm_ops->apic_notify(v);
    else
        vcpu_kick(v);
}

void vlapic_esr_raise(struct vlapic *s, uint32_t bit)
{
    uint32_t lvt = READ_ONCE(s->lvt[LVT_INDEX(APIC_LVT_ERROR)]);
    uint8_t vector = lvt;

    if (__atomic_fetch_or(&s->esr_pending, bit, __ATOMIC_RELAXED) & bit)
        return;
    if (lvt & APIC_LVT_MASKED)
        return;
    /* A vector below 16 here is the next error; that one raises no interrupt, for it
     * would have the same vector. */
    if (vector < 16)
        (void)__atomic_fetch_or(&s->esr_pending, APIC_ESR_RECV_VECTOR, __ATOMIC_RELAXED);
    else if (vlapic_accept(s, vector, false))
        vcpu_kick(s->vcpu);
}

/* What interrupt delivery looks at, derived from the registers that decide it. */
void vlapic_update_derived(struct vlapic *s)
{
    uint32_t lint0 = s->lvt[LVT_INDEX(APIC_LVT_LINT0)];

    s->hw_enabled = s->base_msr & APIC_BASE_ENABLE;
    s->x2apic = s->hw_enabled && (s->base_msr & APIC_BASE_EXTD);
    s->sw_enabled = s->hw_enabled && (s->svr & APIC_SVR_ENABLE);
    if (!s->live)
        s->isrv = bitmap_highest(s->isr);
    s->mmio.gpa = s->base_msr & 0xffffffffff000ull;
    update_ppr(s);
    WRITE_ONCE(s->accepts_pic,
               !s->hw_enabled ||
                   (lint0 & (APIC_LVT_MODE | APIC_LVT_MASKED)) == APIC_EXTINT << 8);
}

void vlapic_changed(struct vlapic *s)
{
    vlapic_update_derived(s);
    if (!s->page)
        return;
    vlapic_page_mirror_all(s);
    hvm_ops->apic_mode(s->vcpu);
}

/* With a page: the vector that vlapic_page_enter() left, for it must not get into
 * service; or -1. One that the TPR keeps out waits for the next exit. */
static int auto_eoi_pending(const struct vlapic *s)
{
    uint8_t ppr = s->live ? s->page[APIC_PPR * 4] : s->ppr;
    uint64_t left[4];
    int vector;

    for (unsigned int i = 0; i < ARRAY_SIZE(left); i++)
        left[i] = READ_ONCE(s->irr[i]) & READ_ONCE(s->auto_eoi[i]);
    vector = bitmap_highest(left);
    return (vector >> 4) > (ppr >> 4) ? vector : -1;
}

/* What the interrupt controllers have for it. */
static inline __attribute__((always_inline)) struct hvm_intack
controllers_pending(struct vcpu *v)
{
    struct vlapic *s = v->hvm->vlapic;
    int vector;

    if (platform_pic_pending(v))
        return (struct hvm_intack){INTACK_PIC, 0};
    if (likely(!vlapic_any_requested(s)))
        return (struct hvm_intack){INTACK_NONE, 0};
    if (unlikely(s->page)) {
        vector = auto_eoi_pending(s); /* the processor delivers the others */
    } else {
        vector = bitmap_highest(s->irr);
        vector = (vector >> 4) > (s->ppr >> 4) ? vector : -1;
    }
    return vector < 0 ? (struct hvm_intack){INTACK_NONE, 0}
                      : (struct hvm_intack){INTACK_LAPIC, vector};
}

struct hvm_intack hvm_intr_pending(struct vcpu *v)
{
    struct hvm_domain *hd = v->domain->hvm;

    if (hd->callback_via == CALLBACK_VECTOR && v->info &&
        READ_ONCE(v->info->evtchn_upcall_pending))
        return (struct hvm_intack){INTACK_VECTOR, hd->callback_value};
    return controllers_pending(v);
}

bool hvm_intr_more(struct vcpu *v, struct hvm_intack taken)
{
    struct hvm_intack next =
        taken.source == INTACK_VECTOR ? controllers_pending(v) : hvm_intr_pending(v);

    return next.source != INTACK_NONE;
}

bool hvm_interrupt_pending(struct vcpu *v)
{
    struct vlapic *s = v->hvm->vlapic;
    int vector;

    if (hvm_intr_pending(v).source != INTACK_NONE)
        return true;
    if (likely(!s->page))
        return false;
    vlapic_page_collect(s);
    vlapic_pull(s);
    vector = bitmap_highest(s->irr);
    return vector >= 0 && (vector >> 4) > (s->ppr >> 4);
}

bool vlapic_tpr_blocks(const struct vcpu *v)
{
    const struct vlapic *s = v->hvm->vlapic;
    int vector = bitmap_highest(s->irr);

    return vector >= 0 && (vector >> 4) <= (s->tpr >> 4) &&
           (vector >> 4) > (s->isrv >> 4) && !s->page;
}

int hvm_intr_ack(struct vcpu *v, struct hvm_intack intack)
{
    struct vlapic *s = v->hvm->vlapic;
    uint8_t vector = intack.vector;

    if (intack.source == INTACK_PIC)
        return platform_pic_ack(v);
    if (intack.source == INTACK_LAPIC && unlikely(test_vector(s->auto_eoi, vector))) {
        clear_vector(s->irr, vector);
    } else if (intack.source == INTACK_LAPIC) {
        s->isr[vector >> 6] |= BIT(vector & 63);
        clear_vector(s->irr, vector);
        WRITE_ONCE(s->isrv, vector);
        s->ppr = (s->tpr >> 4) >= (vector >> 4) ? s->tpr : vector & 0xf0;
    }
    return intack.source == INTACK_NONE ? -1 : vector;
}

void vlapic_eoi(struct vlapic *s)
{
    int vector = s->isrv;
    bool level;

    if (vector < 0) {
        if (!s->live)
            return;
        vlapic_pull(s); /* an EOI by Hyper-V's MSR, or by an emulated instruction */
        vector = s->isrv;
        if (vector < 0)
            return;
    }
    level = test_vector(s->tmr, vector);
    clear_vector(s->isr, vector); /* atomic: see vlapic_set_irq() */
    WRITE_ONCE(s->isrv, bitmap_highest(s->isr));
    update_ppr(s);
    if (unlikely(s->vcpu->hvm->synic))
        synic_rescan(s->vcpu);
    if (level)
        vioapic_eoi(s->vcpu->domain, vector);
}

void vlapic_set_tpr(struct vcpu *v, uint8_t cr8)
{
    struct vlapic *s = v->hvm->vlapic;

    vlapic_set_tpr_byte(s, cr8 << 4);
}

void vlapic_set_tpr_byte(struct vlapic *s, uint8_t tpr)
{
    s->tpr = tpr;
    if (s->page)
        s->page[APIC_TPR * 4] = tpr;
    update_ppr(s);
}

uint32_t vlapic_id(const struct vcpu *v)
{
    return v->hvm->vlapic->id;
}

void vlapic_set_initial_id(struct vcpu *v, uint32_t id)
{
    v->hvm->vlapic->initial_id = v->hvm->vlapic->id = id;
    vlapic_changed(v->hvm->vlapic);
    cpu_policy_update_topology(v->domain);
}

/* x2APIC's logical id is made of the APIC id (SDM 11.12.10.2). */
static uint32_t x2apic_ldr(uint32_t id)
{
    return (id >> 4) << 16 | 1u << (id & 15);
}

/*
 * Registers. Both return 0, or -EINVAL for one that is not there.
 */
int vlapic_reg_read(struct vlapic *s, unsigned int reg, uint32_t *val)
{
    switch (reg) {
    case APIC_ID:
        *val = s->x2apic ? s->id : s->id << 24;
        return 0;
    case APIC_VERSION:
        *val = APIC_VERSION_VALUE;
        return 0;
    case APIC_TPR:
        *val = s->tpr;
        return 0;
    case APIC_PPR:
        vlapic_pull(s);
        *val = s->ppr;
        return 0;
    case APIC_APR:
    case APIC_RRD:
    case APIC_EOI:
        *val = 0;
        return 0;
    case APIC_LDR:
        *val = s->ldr;
        return 0;
    case APIC_DFR:
        *val = s->dfr;
        return 0;
    case APIC_SVR:
        *val = s->svr;
        return 0;
    case APIC_ISR ... APIC_ISR + 7:
        vlapic_pull(s);
        *val = s->isr[(reg & 7) >> 1] >> (reg & 1) * 32;
        return 0;
    case APIC_TMR ... APIC_TMR + 7:
        *val = READ_ONCE(s->tmr[(reg & 7) >> 1]) >> (reg & 1) * 32;
        return 0;
    case APIC_IRR ... APIC_IRR + 7:
        vlapic_pull(s);
        vlapic_page_collect(s);
        *val = READ_ONCE(s->irr[(reg & 7) >> 1]) >> (reg & 1) * 32;
        return 0;
    case APIC_ESR:
        *val = s->esr;
        return 0;
    case APIC_ICR:
        vlapic_pull(s);
        *val = s->icr_lo;
        return 0;
    case APIC_ICR2:
        vlapic_pull(s);
        *val = s->icr_hi;
        return 0;
    case APIC_LVT_TIMER ... APIC_LVT_ERROR:
        *val = s->lvt[LVT_INDEX(reg)];
        return 0;
    case APIC_TMICT:
        *val = s->tmict;
        return 0;
    case APIC_TMCCT:
        *val = vlapic_timer_count(s);
        return 0;
    case APIC_TDCR:
        *val = s->tdcr;
        return 0;
    }
    return -EINVAL;
}

static void write_svr(struct vlapic *s, uint32_t val)
{
    s->svr = val & 0x1ff;
    if (!(val & APIC_SVR_ENABLE)) {
        /* Software disable masks all entries (SDM 11.4.7.2). */
        for (unsigned int i = 0; i < APIC_NR_LVTS; i++)
            s->lvt[i] |= APIC_LVT_MASKED;
    }
    vlapic_update_derived(s);
    for (unsigned int i = 0; s->page && i < APIC_NR_LVTS; i++)
        vlapic_page_mirror(s, APIC_LVT_TIMER + i);
}

static void write_lvt(struct vlapic *s, unsigned int reg, uint32_t val)
{
    unsigned int i = LVT_INDEX(reg);

    val &= vlapic_lvt_writable[i];
    if (!(s->svr & APIC_SVR_ENABLE))
        val |= APIC_LVT_MASKED;
    if (reg == APIC_LVT_TIMER) {
        vlapic_timer_write_lvt(s, val);
        return;
    }
    s->lvt[i] = val;
    if (reg == APIC_LVT_LINT0)
        vlapic_update_derived(s);
}

int vlapic_reg_write(struct vlapic *s, unsigned int reg, uint32_t val)
{
    switch (reg) {
    case APIC_TPR:
        vlapic_set_tpr_byte(s, val);
        return 0;
    case APIC_EOI:
        vlapic_eoi(s);
        return 0;
    case APIC_ID:
    case APIC_VERSION:
    case APIC_APR:
    case APIC_PPR:
    case APIC_RRD:
    case APIC_ISR ... APIC_IRR + 7:
    case APIC_TMCCT:
        return 0; /* read-only: ignored */
    case APIC_LDR:
        s->ldr = val & 0xff000000;
        break;
    case APIC_DFR:
        s->dfr = val | 0x0fffffff;
        break;
    case APIC_SVR:
        write_svr(s, val);
        break;
    case APIC_ESR:
        s->esr = __atomic_exchange_n(&s->esr_pending, 0, __ATOMIC_RELAXED);
        break;
    case APIC_ICR:
        if (unlikely(s->page))
            s->icr_hi = READ_ONCE(s->page[APIC_ICR2 * 4]) & 0xff000000;
        vlapic_icr_write(s, val, s->icr_hi >> 24);
        break;
    case APIC_ICR2:
        s->icr_hi = val & 0xff000000;
        break;
    case APIC_LVT_TIMER ... APIC_LVT_ERROR:
        write_lvt(s, reg, val);
        break;
    case APIC_TMICT:
        vlapic_timer_write_tmict(s, val);
        break;
    case APIC_TDCR:
        vlapic_timer_write_tdcr(s, val & 0xb);
        break;
    default:
        return -EINVAL;
    }
    if (unlikely(s->page))
        vlapic_page_mirror(s, reg);
    return 0;
}

/*
 * xAPIC: a page of 32-bit registers at 16-byte distance. Other accesses are undefined
 * (SDM 11.4.1.1); reads give the bytes asked for, writes replace them.
 */
static uint64_t mmio_read(struct vcpu *v, uint64_t offset, unsigned int bytes)
{
    struct vlapic *s = v->hvm->vlapic;
    uint32_t val = 0;

    if ((offset & 15) >= 4)
        return 0;
    if (vlapic_reg_read(s, offset >> 4, &val))
        vlapic_esr_raise(s, APIC_ESR_REGISTER);
    return val >> (offset & 3) * 8;
}

static void mmio_write(struct vcpu *v, uint64_t offset, unsigned int bytes, uint64_t val)
{
    struct vlapic *s = v->hvm->vlapic;
    unsigned int shift = (offset & 3) * 8;
    uint32_t old = 0, mask;

    if ((offset & 15) >= 4)
        return;
    if (unlikely(bytes < 4 || shift)) {
        mask = bytes < 4 ? (1u << bytes * 8) - 1 : ~0u;
        (void)vlapic_reg_read(s, offset >> 4, &old);
        val = (old & ~(mask << shift)) | ((uint32_t)val & mask) << shift;
    }
    if (vlapic_reg_write(s, offset >> 4, val))
        vlapic_esr_raise(s, APIC_ESR_REGISTER);
}

/* IA32_APIC_BASE: allowed transitions are those of SDM figure 11-27. */
static int write_base(struct vlapic *s, uint64_t val)
{
    const uint64_t mode_bits = APIC_BASE_ENABLE | APIC_BASE_EXTD;
    uint64_t old = s->base_msr & mode_bits, new = val &mode_bits;

    if (val & ~(0xffffffffff000ull | mode_bits | APIC_BASE_BSP))
        return -EINVAL;
    if (new == APIC_BASE_EXTD)
        return -EINVAL;
    if (old == mode_bits && new == APIC_BASE_ENABLE)
        return -EINVAL; /* x2APIC to xAPIC: through disabled only */
    if (!old && new == mode_bits)
        return -EINVAL;
    s->base_msr = val;
    if (!new &&old) {
        /* Disabled: all state is lost (SDM 11.4.3), the interrupts with it. */
        vlapic_reset(s->vcpu, true);
        s->base_msr = val;
    }
    if (new == mode_bits && old != mode_bits) {
        s->ldr = x2apic_ldr(s->id);
        s->icr_hi = 0;
    }
    vlapic_changed(s);
    return 0;
}

int vlapic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val)
{
    struct vlapic *s = v->hvm->vlapic;
    unsigned int reg = msr & 0xff;
    uint32_t lo;

    if (likely(msr - 0x800 < 0x100)) {
        if (unlikely(!s->x2apic || reg == APIC_DFR || reg == APIC_ICR2 ||
                     reg == APIC_EOI || reg == APIC_APR || reg == APIC_RRD ||
                     vlapic_reg_read(s, reg, &lo)))
            return -EINVAL;
        *val = reg == APIC_ICR ? (uint64_t)s->icr_hi << 32 | lo : lo;
        return 0;
    }
    if (msr == MSR_IA32_APIC_BASE)
        *val = s->base_msr;
    else if (msr == MSR_IA32_TSC_DEADLNE)
        *val = READ_ONCE(s->tsc_deadline);
    else
        return -EINVAL;
    return 0;
}

/* Bits that a write to an x2APIC register may set; others raise #GP. */
static int x2apic_write(struct vlapic *s, unsigned int reg, uint64_t val)
{
    uint64_t allowed = 0;

    switch (reg) {
    case APIC_EOI: /* must be 0 */
    case APIC_ESR:
        break;
    case APIC_TPR:
    case APIC_SELF_IPI:
        allowed = 0xff;
        break;
    case APIC_ICR:
        allowed = 0xffffffff000ccfffull; /* all but delivery status and reserved bits */
        break;
    case APIC_SVR:
        allowed = 0x1ff;
        break;
    case APIC_LVT_TIMER ... APIC_LVT_ERROR:
        allowed = vlapic_lvt_writable[LVT_INDEX(reg)] | APIC_LVT_PENDING;
        if (reg == APIC_LVT_LINT0 || reg == APIC_LVT_LINT1)
            allowed |= APIC_LVT_REMOTE;
        break;
    case APIC_TMICT:
        allowed = 0xffffffff;
        break;
    case APIC_TDCR:
        allowed = 0xb;
        break;
    default:
        return -EINVAL; /* read-only or not there */
    }
    if (val & ~allowed)
        return -EINVAL;
    if (reg == APIC_ICR) {
        s->icr_hi = val >> 32;
        vlapic_icr_write(s, val, val >> 32);
        return 0;
    }
    if (reg == APIC_SELF_IPI) {
        vlapic_self_ipi(s, val);
        return 0;
    }
    return vlapic_reg_write(s, reg, val);
}

int vlapic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val)
{
    struct vlapic *s = v->hvm->vlapic;

    if (likely(msr - 0x800 < 0x100)) {
        if (unlikely(!s->x2apic))
            return -EINVAL;
        if (msr == 0x800 + APIC_TPR && !(val & ~0xffull)) {
            vlapic_set_tpr_byte(s, val);
            return 0;
        }
        return x2apic_write(s, msr & 0xff, val);
    }
    if (msr == MSR_IA32_TSC_DEADLNE) {
        vlapic_timer_write_deadline(s, val);
        return 0;
    }
    return msr == MSR_IA32_APIC_BASE ? write_base(s, val) : -EINVAL;
}

void vlapic_reset(struct vcpu *v, bool init)
{
    struct vlapic *s = v->hvm->vlapic;

    vlapic_pull(s);
    vlapic_page_collect(s);
    vlapic_timer_reset(s);
    if (!init) {
        s->id = s->initial_id;
        s->base_msr = APIC_DEFAULT_BASE | APIC_BASE_ENABLE | (v->id ? 0 : APIC_BASE_BSP);
    }
    memset(s->irr, 0, sizeof(s->irr));
    memset(s->isr, 0, sizeof(s->isr));
    memset(s->tmr, 0, sizeof(s->tmr));
    s->tpr = 0;
    s->ldr = s->base_msr & APIC_BASE_EXTD ? x2apic_ldr(s->id) : 0;
    s->dfr = 0xffffffff;
    s->svr = 0xff;
    s->esr = s->esr_pending = 0;
    s->icr_lo = s->icr_hi = 0;
    for (unsigned int i = 0; i < APIC_NR_LVTS; i++)
        s->lvt[i] = APIC_LVT_MASKED;
    /* Firmware expects that the PICs reach the boot processor from the start. */
    if (!v->id)
        s->lvt[LVT_INDEX(APIC_LVT_LINT0)] = APIC_EXTINT << 8;
    vlapic_changed(s);
}

int vlapic_init(struct vcpu *v)
{
    struct vlapic *s = zalloc(sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->vcpu = v;
    s->initial_id = v->id * 2;
    s->mmio = (struct mmio_handler){.gpa = APIC_DEFAULT_BASE,
                                    .bytes = PAGE_SIZE,
                                    .read = mmio_read,
                                    .write = mmio_write};
    timer_init(&s->timer, vlapic_timer_expired, s);
    v->hvm->vlapic = s;
    s->page = hvm_ops->apic_page ? hvm_ops->apic_page(v) : NULL;
    vlapic_reset(v, false);
    return 0;
}

void vlapic_destroy(struct vcpu *v)
{
    struct vlapic *s = v->hvm->vlapic;

    if (!s)
        return;
    timer_kill(&s->timer);
    v->hvm->vlapic = NULL;
    zfree(s);
}
