/* Hyper-V's synthetic interrupt controller and timers, for guests whose
 * HVM_PARAM_VIRIDIAN has HVMPV_synic and HVMPV_stimer. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * Hypervisor Top Level Functional Specification 6.0: SynIC (11), synthetic timers (12.1).
 * Messages come from the timers alone, so the event flags page (SIEFP) stays as it is.
 * Timers in direct mode are not offered.
 */
#ifndef CORBEL_HVM_SYNIC_H
#define CORBEL_HVM_SYNIC_H

#include "hvm/hvm.h"

#define HV_SCONTROL       0x40000080
#define HV_SVERSION       0x40000081
#define HV_SIEFP          0x40000082
#define HV_SIMP           0x40000083
#define HV_EOM            0x40000084
#define HV_SINT0          0x40000090
#define HV_STIMER0_CONFIG 0x400000b0 /* and every second; the counts are between them */

#define SYNIC_SINTS  16
#define SYNIC_TIMERS 4

struct synic {
    struct vcpu *vcpu;
    struct spinlock lock; /* guards what follows; under it: what vcpu_kick() takes */
    uint64_t control, siefp, simp;
    uint64_t sint[SYNIC_SINTS];
    struct stimer {
        struct synic *synic;
        struct timer timer;
        uint64_t config, count; /* as written; count in 100 ns */
        uint64_t expires;       /* reference time, 100 ns; counts while it is enabled */
        bool due;               /* it has expired: its message waits for the vCPU */
    } stimer[SYNIC_TIMERS];
};

/* MSRs 0x40000080 - 0x400000b7. -EINVAL for #GP. v is current. */
int synic_msr_read(struct vcpu *v, uint32_t msr, uint64_t *val);
int synic_msr_write(struct vcpu *v, uint32_t msr, uint64_t val);

/* v, on its way into the guest with hvm_vcpu.synic_work: put what is due into the message
 * page. Only then, so that the memory of a paused domain stays as it is. */
void synic_work(struct vcpu *v);

/* v, which is current, has ended an interrupt: slots may be free again. */
void synic_rescan(struct vcpu *v);

/* v's, allocated at the first use; NULL: no memory. v is current or does not run. */
struct synic *synic_get(struct vcpu *v);
/* Record: the fields of struct hvm_viridian_vcpu_context. load: v does not run; -EINVAL,
 * -ENOMEM. The record has no SCONTROL: a message page that is enabled means that it is.
 */
struct hvm_viridian_vcpu_context;
void synic_save(const struct vcpu *v, struct hvm_viridian_vcpu_context *hw);
int synic_load(struct vcpu *v, const struct hvm_viridian_vcpu_context *hw);
void synic_destroy(struct vcpu *v);

#endif
