/* Suspend to RAM: ACPI's S3, of which only memory comes out as it went in (ACPI 6.4,
 * 16.1.3). SPDX-License-Identifier: GPL-2.0-or-later
 *
 *             HVM_PARAM_ACPI_S_STATE = 3             = 0
 *      awake ---------------------------> asleep ----------> awake
 *              vCPUs stop, all is reset            vCPU 0 begins at the reset vector
 *
 * The device model asks for both: it sees the guest write SLP_EN, and knows what wakes
 * it. A domain that sleeps is one whose vCPUs are paused once more, so it can be
 * destroyed, saved or shut down like any paused one. The firmware finds in the CMOS
 * memory, which is the device model's, that this is no cold start, and jumps to the
 * waking vector.
 */
#include "hvm/hvm.h"
#include "hvm/platform.h"
#include "hvm/tsc.h"
#include "cpu/x86.h"
#include "domain/sched.h"

void hvm_sleep(struct domain *d)
{
    const struct vcpu *first = domain_vcpu(d, 0);
    bool falls_asleep;

    domain_pause(d); /* until hvm_wake() */
    spin_lock(&d->hvm->sleep_lock);
    falls_asleep = !d->hvm->asleep && !domain_is_dying(d) && first && first->initialised;
    if (falls_asleep) {
        for_each_vcpu(d, v) hvm_vcpu_reset(v);
        platform_domain_reset(d);
        WRITE_ONCE(d->hvm->asleep, true);
    }
    spin_unlock(&d->hvm->sleep_lock);
    if (!falls_asleep)
        domain_unpause(d);
}

/* All TSCs begin at the same time, at 0. */
static void restart_tsc(struct vcpu *v, uint64_t now)
{
    v->hvm->tsc_adjust = 0;
    v->hvm->tsc_offset = 0;
    v->hvm->tsc_offset = -hvm_guest_tsc_at(v, now);
    hvm_ops->update_tsc(v);
}

void hvm_wake(struct domain *d)
{
    spin_lock(&d->hvm->sleep_lock);
    if (d->hvm->asleep && !domain_is_dying(d)) {
        uint64_t now = rdtsc();

        for_each_vcpu(d, v) restart_tsc(v, now);
        WRITE_ONCE(d->hvm->asleep, false);
        domain_unpause(d);
    }
    spin_unlock(&d->hvm->sleep_lock);
}
