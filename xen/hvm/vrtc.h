/* MC146818 real-time clock. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HVM_VRTC_H
#define CORBEL_HVM_VRTC_H

#include "hvm/platform_device.h"

#define RTC_REGISTERS 14

struct vrtc {
    struct spinlock lock; /* guards all but index */
    struct domain *domain;
    uint8_t reg[RTC_REGISTERS]; /* time registers: valid while the clock is stopped */
    uint8_t index;              /* latched from port 0x70 */
    int64_t offset_ns;          /* guest's clock minus the machine's */
    ns_t flags_since;           /* system time up to which reg C is right */
    struct timer periodic, second;
    ns_t next_periodic, period; /* 0: none */
    uint32_t owed;
};

int vrtc_init(struct domain *d);
void vrtc_destroy(struct domain *d);
/* Disarm for good, and wait until no callback runs. */
void vrtc_stop(struct domain *d);
void vrtc_reset(struct domain *d);
/* Time registers as they would be read now. Lock not held. */
void vrtc_snapshot(struct domain *d, uint8_t reg[RTC_REGISTERS]);
/* Registers and offset were loaded. Lock not held. */
void vrtc_restart(struct domain *d);

#endif
