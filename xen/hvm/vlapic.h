/* A vCPU's local APIC: its state, and what the parts of its model share.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intel SDM vol 3, chapter 11 (xAPIC and x2APIC); AMD APM vol 2, chapter 16.
 * vlapic.c: registers, vector bookkeeping. vlapic_timer.c: the timer. vlapic_msg.c:
 * interrupt messages, their destinations, ICR. vlapic_page.c: what of it the processor
 * does itself. vlapic_save.c: HVM context records.
 */
#ifndef CORBEL_HVM_VLAPIC_H
#define CORBEL_HVM_VLAPIC_H

#include "hvm/platform.h"

#define APIC_DEFAULT_BASE 0xfee00000ull

#define MSR_IA32_APIC_BASE   0x1b
#define MSR_IA32_TSC_DEADLNE 0x6e0
#define APIC_BASE_BSP        0x100u
#define APIC_BASE_EXTD       0x400u
#define APIC_BASE_ENABLE     0x800u

/* Registers, as offset / 16: the index in the page and, plus 0x800, the x2APIC MSR. */
enum apic_reg {
    APIC_ID = 0x02,
    APIC_VERSION = 0x03,
    APIC_TPR = 0x08,
    APIC_APR = 0x09,
    APIC_PPR = 0x0a,
    APIC_EOI = 0x0b,
    APIC_RRD = 0x0c,
    APIC_LDR = 0x0d,
    APIC_DFR = 0x0e,
    APIC_SVR = 0x0f,
    APIC_ISR = 0x10,
    APIC_TMR = 0x18,
    APIC_IRR = 0x20,
    APIC_ESR = 0x28,
    APIC_CMCI = 0x2f,
    APIC_ICR = 0x30,
    APIC_ICR2 = 0x31,
    APIC_LVT_TIMER = 0x32,
    APIC_LVT_THERMAL = 0x33,
    APIC_LVT_PERF = 0x34,
    APIC_LVT_LINT0 = 0x35,
    APIC_LVT_LINT1 = 0x36,
    APIC_LVT_ERROR = 0x37,
    APIC_TMICT = 0x38,
    APIC_TMCCT = 0x39,
    APIC_TDCR = 0x3e,
    APIC_SELF_IPI = 0x3f,
    APIC_NR_REGS = 0x40,
};
#define APIC_NR_LVTS 6
/* Writable bits of the entries, from APIC_LVT_TIMER on. */
extern const uint32_t vlapic_lvt_writable[APIC_NR_LVTS];

#define APIC_SVR_ENABLE   0x100u
#define APIC_LVT_MASKED   0x10000u
#define APIC_LVT_LEVEL    0x8000u
#define APIC_LVT_REMOTE   0x4000u
#define APIC_LVT_PENDING  0x1000u
#define APIC_LVT_MODE     0x700u
#define APIC_TIMER_MODE   0x60000u
#define APIC_TIMER_PERIOD 0x20000u
#define APIC_TIMER_TSC    0x40000u

#define APIC_ICR_WRITABLE                                                                \
    0xccfffu /* of the low half: no delivery status, none reserved */

#define APIC_ESR_SEND_VECTOR 0x20u
#define APIC_ESR_RECV_VECTOR 0x40u
#define APIC_ESR_REGISTER    0x80u

/* Delivery modes of messages, LVTs and redirection entries. */
enum apic_mode {
    APIC_FIXED,
    APIC_LOWEST,
    APIC_SMI,
    APIC_REMOTE_READ,
    APIC_NMI,
    APIC_INIT,
    APIC_SIPI,
    APIC_EXTINT,
};

/* Length of a timer tick before the divider: a bus of 100 MHz. */
#define APIC_BUS_NS 10

struct vlapic {
    struct vcpu *vcpu;
    uint64_t irr[4];      /* set by any CPU (atomic or), taken by the vCPU itself */
    uint64_t isr[4];      /* the vCPU's own */
    uint64_t tmr[4];      /* written with IRR: atomic */
    uint64_t auto_eoi[4]; /* vectors that are done when they are taken (hvm/synic.c) */
    int isrv;             /* highest vector in service, -1: none */
    uint8_t tpr, ppr;
    bool hw_enabled, sw_enabled, x2apic;
    bool accepts_pic; /* LINT0 is an ExtINT input, or the APIC is off */
    /* Where a processor plays the local APIC (vlapic_page.c): its page of registers, or
     * NULL. `live`: ISR, PPR and what was taken of IRR are there and not here. */
    bool live;
    uint32_t *page;
    uint64_t *posted; /* more of IRR, 4 words that the processor empties; or NULL */

    uint32_t id; /* 32 bits; xAPIC mode shows the low 8 */
    uint32_t initial_id;
    uint32_t ldr, dfr, svr;
    uint32_t esr, esr_pending; /* as read; as collected since the last write */
    uint32_t icr_lo, icr_hi;
    uint32_t lvt[APIC_NR_LVTS]; /* from APIC_LVT_TIMER on */
    uint64_t base_msr;
    struct mmio_handler mmio; /* at the page where base_msr has put it */

    struct spinlock timer_lock; /* guards what follows; taken with no lock but the
                                   caller's device lock, none is taken under it */
    struct timer timer;
    uint32_t tmict, tdcr;
    uint32_t timer_mult;   /* ns per count: APIC_BUS_NS * divider */
    ns_t timer_start;      /* when the count was (notionally) last TMICT */
    ns_t timer_next;       /* when the next tick is due; 0: none */
    uint32_t ticks_owed;   /* periodic: not delivered yet */
    uint64_t tsc_deadline; /* guest TSC; 0: not armed */
};

/* Reset value of the timer, and its registers' effects. timer_lock is taken inside. */
void vlapic_timer_reset(struct vlapic *s);
void vlapic_timer_write_tmict(struct vlapic *s, uint32_t val);
void vlapic_timer_write_tdcr(struct vlapic *s, uint32_t val);
void vlapic_timer_write_lvt(struct vlapic *s, uint32_t val);
void vlapic_timer_write_deadline(struct vlapic *s, uint64_t val);
uint32_t vlapic_timer_count(struct vlapic *s);
void vlapic_timer_expired(void *opaque);
/* After a load: timer_start and timer_next from the count that was left. */
void vlapic_timer_restart(struct vlapic *s, uint32_t count, uint64_t deadline);
uint32_t vlapic_timer_divider(uint32_t tdcr); /* 1 .. 128 */

/* CR8. On the path of every exit. */
static inline uint8_t vlapic_get_tpr(const struct vcpu *v)
{
    const struct vlapic *s = v->hvm->vlapic;

    return s->tpr >> 4;
}

/* Is any bit of IRR set? */
static inline bool vlapic_any_requested(const struct vlapic *s)
{
    return READ_ONCE(s->irr[0]) | READ_ONCE(s->irr[1]) | READ_ONCE(s->irr[2]) |
           READ_ONCE(s->irr[3]);
}

/* hvm/vlapic_page.c. For the back end: on the way into the guest, if vlapic_page_stale():
 * what was accepted since the last time goes into the page, all of ISR and IRR if they
 * are not there. *requested, *in_service: highest vectors of IRR and ISR, 0 if none;
 * *in_service only if *whole. */
struct vlapic_entry {
    bool whole; /* the page was filled anew */
    uint8_t requested, in_service;
};
static inline bool vlapic_page_stale(const struct vlapic *s)
{
    return !s->live || vlapic_any_requested(s);
}
void vlapic_page_enter(struct vlapic *s, struct vlapic_entry *e);
/* After an exit: the guest's TPR. */
static inline void vlapic_page_exit(struct vlapic *s)
{
    s->tpr = s->page[APIC_TPR * 4];
}
/* Back from the page: ISR, PPR, IRR, ICR are in *s again. The vCPU itself, or it does not
 * run. */
void vlapic_page_pull(struct vlapic *s);
static inline void vlapic_pull(struct vlapic *s)
{
    if (unlikely(s->live))
        vlapic_page_pull(s);
}
/* What was posted and has not been taken, back to IRR. v itself, or it does not run. */
void vlapic_page_collect(struct vlapic *s);
/* The other way: vectors of IRR that the processor may deliver without us. True if
 * nothing is left there. Any CPU. */
bool vlapic_page_post(struct vlapic *s);
/* Registers that change by writes only, as they read now; all of them after a change of
 * the mode, a reset, a load. */
void vlapic_page_mirror(struct vlapic *s, unsigned int reg);
void vlapic_page_mirror_all(struct vlapic *s);
/* The guest wrote into the page at this offset, which the processor leaves to us. */
void vlapic_page_written(struct vcpu *v, unsigned int offset);
/* The processor did the EOI of a vector whose EOI matters elsewhere. */
void vlapic_page_eoi(struct vcpu *v, uint8_t vector);

int vlapic_reg_read(struct vlapic *s, unsigned int reg, uint32_t *val);
int vlapic_reg_write(struct vlapic *s, unsigned int reg, uint32_t val);

/* Take a vector into IRR. True: it was not there yet, so the vCPU needs a look. */
bool vlapic_accept(struct vlapic *s, uint8_t vector, bool level);
void vlapic_esr_raise(struct vlapic *s, uint32_t bit);
void vlapic_eoi(struct vlapic *s);
void vlapic_set_tpr_byte(struct vlapic *s, uint8_t tpr);
void vlapic_update_derived(struct vlapic *s);
/* Registers or the mode changed other than by a write of the guest to one register. */
void vlapic_changed(struct vlapic *s);
bool vlapic_vector_pending(const struct vlapic *s, uint8_t vector);

/* An interrupt message: MSI, I/O APIC, ICR. */
struct apic_msg {
    uint32_t dest;
    uint8_t vector;
    uint8_t mode; /* enum apic_mode */
    bool logical, level;
    bool wide;              /* dest has 32 bits (x2APIC ICR); else 8 or 15 */
    struct vlapic *not_for; /* ICR's all but self */
};
enum apic_sent {
    APIC_SENT_NOWHERE,   /* nobody accepts it */
    APIC_SENT_COALESCED, /* it was pending already everywhere */
    APIC_SENT,
};
enum apic_sent vlapic_send(struct domain *d, const struct apic_msg *msg);
/* ICR written; x2APIC: dest has 32 bits. */
void vlapic_icr_write(struct vlapic *s, uint32_t lo, uint32_t dest);
void vlapic_self_ipi(struct vlapic *s, uint8_t vector);
bool vlapic_matches(const struct vlapic *s, const struct apic_msg *msg);

int vlapic_init(struct vcpu *v);
void vlapic_destroy(struct vcpu *v);

#endif
