/* Events for a vCPU's next entry. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HVM_INTR_H
#define CORBEL_HVM_INTR_H

#include "hvm/hvm.h"
#include "hvm/platform_device.h"
#include "hvm/vlapic.h"
#include "domain/domain.h"
#include <xen/xen.h>

/* Decide what to inject; the last step before an entry. */
void hvm_intr_assist(struct vcpu *v);
/* Is there anything for hvm_intr_assist() to decide? What it would look at, seen from
 * afar: true may turn out to be nothing. */
static inline bool hvm_intr_work(const struct vcpu *v)
{
    const struct hvm_domain *hd = v->domain->hvm;

    if (v->hvm->events || READ_ONCE(hd->platform->pic_output) ||
        vlapic_any_requested(v->hvm->vlapic))
        return true;
    return hd->callback_via == CALLBACK_VECTOR && v->info &&
           READ_ONCE(v->info->evtchn_upcall_pending);
}
/* Would this end a HLT? */
bool hvm_wake_event_pending(struct vcpu *v);
bool hvm_can_take_interrupt(struct vcpu *v);
/* Callback line of event channels in line with vCPU 0's upcall flag. */
void hvm_callback_update(struct domain *d);
/* HVM_PARAM_CALLBACK_IRQ: how vCPU 0 (or with a vector, each) hears of events. `value`: a
 * vector, a GSI, or device << 2 | INTx. */
void hvm_set_callback(struct domain *d, enum callback_via_type via, uint32_t value);
/* HVMOP_set_evtchn_upcall_vector: v hears of events by its local APIC. */
void hvm_set_upcall_vector(struct vcpu *v, uint8_t vector);
/* A third fault while two are delivered: the guest shuts down, as
 * HVM_PARAM_TRIPLE_FAULT_REASON says (reboot by default). */
void hvm_triple_fault(struct vcpu *v);

#endif
