/* ACPI power management timer. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HVM_VPMTIMER_H
#define CORBEL_HVM_VPMTIMER_H

#include "hvm/platform_device.h"

#define PM_TIMER_HZ 3579545

struct vpmtimer {
    uint16_t port;
    ns_t base; /* system time at count 0; before the boot if it was loaded */
};

int vpmtimer_init(struct domain *d);
void vpmtimer_destroy(struct domain *d);
void vpmtimer_reset(struct domain *d);
/* HVM_PARAM_ACPI_IOPORTS_LOCATION. -EINVAL. */
int vpmtimer_set_location(struct domain *d, uint64_t location);
uint32_t vpmtimer_count(const struct domain *d);

#endif
