/* The 8254 interval timer and the speaker port. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_HVM_VPIT_H
#define CORBEL_HVM_VPIT_H

#include "hvm/platform_device.h"

#define PIT_HZ       1193182
#define PIT_CHANNELS 3

struct vpit_channel {
    uint8_t mode;    /* 0 .. 5 */
    uint8_t rw_mode; /* 1 low byte, 2 high byte, 3 low then high */
    bool bcd, gate;
    bool counting;       /* a count was loaded (modes 1, 5: and triggered) */
    bool null_count;     /* one was written, not loaded yet */
    uint32_t count;      /* in use, 1 .. 65536 */
    uint32_t next_count; /* written; modes 2 and 3 load it when a period ends */
    bool reload;
    ns_t start;                 /* counting since */
    uint64_t frozen_ticks;      /* gate low in modes 0 and 4: ticks so far */
    bool write_high, read_high; /* the high byte is next */
    uint8_t write_low;
    uint8_t latched; /* bytes of `latch` to read still: 0, 1, 2 */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
};

struct vpit {
    struct spinlock lock; /* guards all */
    struct domain *domain;
    struct vpit_channel channel[PIT_CHANNELS];
    bool speaker_data;
    struct timer timer; /* of channel 0: rising edges of OUT */
    ns_t next, period;  /* period 0: once; next 0: none */
    uint32_t owed;
};

int vpit_init(struct domain *d);
void vpit_destroy(struct domain *d);
/* Disarm for good, and wait until no callback runs. */
void vpit_stop(struct domain *d);
void vpit_reset(struct domain *d);
/* Channels were loaded; all counts start now. Lock not held. */
void vpit_restart(struct domain *d);

#endif
