/* ACPI power management timer. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HVM_VPMTIMER_H
#define CORBEL_HVM_VPMTIMER_H

#include "hvm/platform_device.h"

#define PM_TIMER_HZ 3579545

struct vpmtimer {
    uint16_t port;
    uint16_t pm1_port; /* of the event block; 0: the device model has it */
    uint16_t pm1_status, pm1_enable;
    struct spinlock lock; /* guards changes of the two; its order is before irq_lock */
    ns_t base;            /* system time at count 0; before the boot if it was loaded */
};

int vpmtimer_init(struct domain *d);
void vpmtimer_destroy(struct domain *d);
void vpmtimer_reset(struct domain *d);
/* HVM_PARAM_ACPI_IOPORTS_LOCATION. -EINVAL. */
int vpmtimer_set_location(struct domain *d, uint64_t location);
/* The power or sleep button. -EOPNOTSUPP: this platform's are the device model's. */
long vpmtimer_press(struct domain *d, bool sleep);
/* The SCI's line follows the event block; the lock is held, or the domain paused. */
void vpmtimer_update_sci(struct domain *d);
uint32_t vpmtimer_count(const struct domain *d);

#endif
