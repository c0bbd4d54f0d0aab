/*
 * A virtio driver for tests: either interface, split queues, everything by hand so that
 * a test can also do it wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_DEVICES_DRIVER_H
#define TESTS_UNIT_DEVICES_DRIVER_H

#include "harness.h"

#define DRIVER_MODERN 0xe0000000u /* where BAR 4 is put */
#define DRIVER_MSIX   0xe0010000u /* BAR 1 */
#define DRIVER_LEGACY 0xc000u     /* BAR 0 */
#define DRIVER_VECTOR 0xfee00000u /* address of messages; data is 0x40 + vector */

struct driver_queue {
    unsigned index, size;
    uint64_t desc, avail, used; /* guest-physical */
    uint16_t avail_index, used_seen;
};

struct driver {
    struct bench *b;
    unsigned slot;
    bool legacy, msix;
    unsigned config; /* offset of the device's configuration */
    uint64_t features;
    struct driver_queue q[4];
};

/* Map the BARs, reset, negotiate `features` (of those offered). */
void driver_start(struct driver *d, struct bench *b, unsigned slot, bool legacy,
                  bool msix, uint64_t features);
/* Rings at a fixed place of their own in guest memory. */
void driver_queue(struct driver *d, unsigned index);
void driver_ok(struct driver *d);
uint8_t driver_status(struct driver *d);
void driver_set_status(struct driver *d, uint8_t status);
uint64_t driver_offered(struct driver *d);
uint64_t driver_config(struct driver *d, unsigned offset, unsigned size);

#define D_NEXT     1
#define D_WRITE    2
#define D_INDIRECT 4
void driver_desc(struct driver *d, unsigned q, unsigned n, uint64_t gpa, uint32_t bytes,
                 uint16_t flags, uint16_t next);
/* Offer the chain and notify. */
void driver_offer(struct driver *d, unsigned q, uint16_t head);
void driver_notify(struct driver *d, unsigned q);
/* A used entry that was not seen yet; -1: none. */
int driver_used(struct driver *d, unsigned q, uint32_t *written);
/* Wait for one. */
int driver_wait(struct driver *d, unsigned q, uint32_t *written);

#endif
