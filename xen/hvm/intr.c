/* Which event a vCPU gets at its next entry. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Order: an event whose delivery was interrupted, or an exception of this exit; NMI; then
 * interrupts by priority. What cannot be delivered now asks the hardware for an exit as
 * soon as it can (AMD APM vol 2, 15.21; Intel SDM vol 3, 26.7.5).
 */
#include "hvm/hvm.h"
#include "hvm/intr.h"
#include "hvm/platform.h"
#include "hvm/vlapic.h"
#include "cpu/percpu.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include "lib/printk.h"

bool hvm_can_take_interrupt(struct vcpu *v)
{
    return (v->hvm->regs.rflags & RFLAGS_IF) &&
           !(v->hvm->shadow & (HVM_SHADOW_STI | HVM_SHADOW_MOVSS));
}

bool hvm_wake_event_pending(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;

    if (h->init_pending || h->sipi_pending || h->inject.valid)
        return true;
    if (h->nmi_pending && !(h->shadow & HVM_SHADOW_NMI))
        return true;
    return hvm_can_take_interrupt(v) && hvm_interrupt_pending(v);
}

void hvm_intr_assist(struct vcpu *v)
{
    struct hvm_vcpu *h = v->hvm;
    struct hvm_intack ack;
    int vector;

    if (h->nmi_pending && !h->inject.valid) {
        if (h->shadow & HVM_SHADOW_NMI) {
            hvm_ops->request_nmi_window(v);
        } else if (!(h->shadow & HVM_SHADOW_MOVSS)) {
            h->nmi_pending = false;
            h->inject =
                (struct hvm_event){.valid = true, .vector = 2, .type = HVM_EVENT_NMI};
        } else {
            /* The shadow ends with the next instruction, but no exit tells of it. */
            timer_set(&h->nmi_retry, now_ns() + 10 * NS_PER_US);
        }
    }
    if (h->deferred_extint && !h->inject.valid && hvm_can_take_interrupt(v)) {
        h->inject = (struct hvm_event){
            .valid = true, .vector = h->deferred_extint, .type = HVM_EVENT_EXTINT};
        h->deferred_extint = 0;
    }
    ack = hvm_intr_pending(v);
    if (ack.source == INTACK_NONE) {
        bool tpr_blocks = unlikely(vlapic_get_tpr(v)) && vlapic_tpr_blocks(v);

        if (unlikely(h->intr_window | h->deferred_extint | tpr_blocks)) {
            hvm_ops->request_intr_window(v, h->deferred_extint);
            hvm_ops->watch_tpr(v, tpr_blocks);
            h->intr_window = h->deferred_extint || tpr_blocks;
        }
        return;
    }
    h->intr_window = true;
    if (h->inject.valid || !hvm_can_take_interrupt(v)) {
        hvm_ops->request_intr_window(v, true);
        return;
    }
    vector = hvm_intr_ack(v, ack);
    if (vector < 0)
        return;
    h->inject =
        (struct hvm_event){.valid = true, .vector = vector, .type = HVM_EVENT_EXTINT};
    hvm_ops->request_intr_window(v, hvm_intr_more(v, ack));
}

/* An event channel wants v's attention: by the vCPU's own vector, or as the domain's
 * callback says (public/hvm/params.h, HVM_PARAM_CALLBACK_IRQ). */
void hvm_evtchn_upcall(struct vcpu *v)
{
    struct hvm_domain *hd = v->domain->hvm;

    if (v->hvm->evtchn_upcall_vector) {
        vlapic_set_upcall(v, v->hvm->evtchn_upcall_vector);
        return;
    }
    switch (hd->callback_via) {
    case CALLBACK_VECTOR:
        /* Not an APIC interrupt: hvm_intr_pending() looks at the upcall flag itself. */
        vcpu_kick(v);
        break;
    case CALLBACK_GSI:
    case CALLBACK_PCI_INTX:
        if (v->id == 0)
            hvm_callback_update(v->domain);
        break;
    case CALLBACK_NONE:
        vcpu_kick(v); /* it may poll or block */
        break;
    }
}

/* callback_lock is held. */
static void set_callback_line(struct domain *d, bool level)
{
    struct hvm_domain *hd = d->hvm;

    if (level == hd->callback_asserted)
        return;
    WRITE_ONCE(hd->callback_asserted, level);
    if (hd->callback_via == CALLBACK_GSI)
        hvm_callback_gsi_set(d, hd->callback_value, level);
    else
        hvm_callback_intx_set(d, hd->callback_value >> 2, hd->callback_value & 3, level);
}

/* The callback line is level: asserted while vCPU 0 has an upcall pending. Called also on
 * the way into the guest, for the guest clears the flag without telling. */
void hvm_callback_update(struct domain *d)
{
    struct hvm_domain *hd = d->hvm;

    if (evtchn_upcall_pending(d->vcpus[0]) == READ_ONCE(hd->callback_asserted))
        return;
    spin_lock(&hd->callback_lock);
    set_callback_line(d, hd->callback_line && evtchn_upcall_pending(d->vcpus[0]));
    spin_unlock(&hd->callback_lock);
}

/* callback_lock is held. A vCPU 0 with a vector of its own does not use the line. */
static void route_callback(struct domain *d, enum callback_via_type via, uint32_t value)
{
    struct hvm_domain *hd = d->hvm;
    struct vcpu *first = domain_vcpu(d, 0);

    set_callback_line(d, false); /* let the old line go */
    hd->callback_via = via;
    hd->callback_value = value;
    WRITE_ONCE(hd->callback_line, (via == CALLBACK_GSI || via == CALLBACK_PCI_INTX) &&
                                      first && !first->hvm->evtchn_upcall_vector);
}

void hvm_set_callback(struct domain *d, enum callback_via_type via, uint32_t value)
{
    struct hvm_domain *hd = d->hvm;
    struct vcpu *first = domain_vcpu(d, 0);

    spin_lock(&hd->callback_lock);
    route_callback(d, via, value);
    spin_unlock(&hd->callback_lock);
    if (first && evtchn_upcall_pending(first))
        hvm_evtchn_upcall(first);
}

void hvm_set_upcall_vector(struct vcpu *v, uint8_t vector)
{
    struct hvm_domain *hd = v->domain->hvm;

    spin_lock(&hd->callback_lock);
    WRITE_ONCE(v->hvm->evtchn_upcall_vector, vector);
    if (v->id == 0)
        route_callback(v->domain, hd->callback_via, hd->callback_value);
    spin_unlock(&hd->callback_lock);
    if (evtchn_upcall_pending(v))
        hvm_evtchn_upcall(v);
}

/* AMD APM vol 2, 8.2.9; Intel SDM vol 3, table 6-5. */
static bool contributory(unsigned int vector)
{
    return vector == 0 || (vector >= 10 && vector <= 13);
}

/* #DE, #BR, #UD, #NM, #TS to #PF, #MF, #AC, #XM: the instruction is to run again. */
#define FAULTS 0xb7ce1u

void hvm_inject_exception(struct vcpu *v, unsigned int vector, int error_code)
{
    struct hvm_event *e = &v->hvm->inject;

    if (e->valid && e->type == HVM_EVENT_EXCEPTION) {
        if (e->vector == 8) {
            hvm_triple_fault(v);
            return;
        }
        if ((contributory(e->vector) && contributory(vector)) ||
            (e->vector == 14 && (contributory(vector) || vector == 14))) {
            vector = 8;
            error_code = 0;
        }
    }
    if (e->valid && e->type == HVM_EVENT_EXTINT) {
        /* Taken from the APIC already: it must not be lost to the exception, which the
         * guest's handler sees first. */
        v->hvm->deferred_extint = e->vector;
    } else if (e->valid && e->type == HVM_EVENT_NMI) {
        v->hvm->nmi_pending = true;
    }
    /* What the processor does for a fault of its own: no code breakpoint twice (SDM vol 3
     * 18.3.1.1). */
    if (FAULTS >> vector & 1)
        v->hvm->regs.rflags |= RFLAGS_RF;
    *e = (struct hvm_event){
        .valid = true,
        .vector = vector,
        .type = HVM_EVENT_EXCEPTION,
        .has_error = error_code != HVM_NO_ERROR_CODE,
        .error = error_code == HVM_NO_ERROR_CODE ? 0 : error_code,
        .cr2 = v->hvm->cr2,
    };
}

void hvm_inject_page_fault(struct vcpu *v, uint32_t error, uint64_t cr2)
{
    hvm_inject_exception(v, 14, error);
    if (v->hvm->inject.vector == 14)
        v->hvm->inject.cr2 = cr2;
}

void hvm_triple_fault(struct vcpu *v)
{
    printk_guest("d%uv%u: triple fault at rip %#lx\n", v->domain->id, v->id,
                 v->hvm->regs.rip);
    domain_shutdown(v->domain, v->domain->hvm->triple_fault_code);
}
