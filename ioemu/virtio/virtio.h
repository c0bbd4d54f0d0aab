/*
 * What all virtio devices have in common, over PCI: features, status, queues, interrupts
 * (Virtual I/O Device 1.2, sections 2.1 to 2.3 and 4.1).  Transitional: the legacy
 * interface of section 4.1.4.8 is in BAR 0 beside the modern one in BAR 4.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_VIRTIO_VIRTIO_H
#define IOEMU_VIRTIO_VIRTIO_H

#include "virtqueue.h"

#define VIRTIO_NO_VECTOR    0xffff
#define VIRTIO_CONFIG_BYTES 136

/* Feature bits that belong to rings and transport. */
enum {
    VIRTIO_ANY_LAYOUT = 27,
    VIRTIO_RING_INDIRECT = 28,
    VIRTIO_RING_EVENT_IDX = 29,
    VIRTIO_VERSION_1 = 32,
};

enum {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 0x40,
    VIRTIO_STATUS_FAILED = 0x80,
};

enum virtio_type { VIRTIO_NET = 1, VIRTIO_BLOCK = 2, VIRTIO_INPUT = 18 };

struct virtio_ops {
    enum virtio_type type;
    uint32_t class_code;
    size_t config_bytes;
    /* Requests may wait in this queue.  Only called while the driver is at work. */
    void (*notify)(struct virtio *v, struct virtqueue *q);
    /* The driver has set features, and status DRIVER_OK. */
    void (*started)(struct virtio *v);
    /* Forget all requests. */
    void (*reset)(struct virtio *v);
    /* The driver wrote v->config (already stored are only bytes in v->config_writable).
     */
    void (*config_written)(struct virtio *v, unsigned offset, unsigned size);
};

/* The common start of a virtio device's struct. */
struct virtio {
    struct pci_device pci;     /* must be first */
    bool no_legacy, no_modern; /* options */

    const struct virtio_ops *ops;
    uint64_t offered, accepted; /* features */
    uint8_t config[VIRTIO_CONFIG_BYTES], config_writable[VIRTIO_CONFIG_BYTES];

    struct virtqueue *queue;
    unsigned queues;
    uint8_t status, generation, isr;
    uint16_t config_vector, queue_select;
    uint32_t offered_select, accepted_select;
    bool legacy; /* the driver uses the legacy interface */
    bool broken;
    struct io_region modern_region, legacy_region;
    uint8_t access_cap; /* the capability that reaches BAR 4 through config space */
};

#define VIRTIO_OPTIONS(type)                                                             \
    OPTION("disable-legacy", BOOL, type, virtio.no_legacy, "off",                        \
           "modern interface only"),                                                     \
        OPTION("disable-modern", BOOL, type, virtio.no_modern, "off",                    \
               "legacy interface only"),                                                 \
        OPTION("bootindex", IGNORE, type, virtio, NULL, "-boot decides"),                \
        OPTION("ioeventfd", IGNORE, type, virtio, NULL, "there is one way only")

/* For create(): `offered` and `config` must be set before. */
int virtio_create(struct virtio *v, const struct virtio_ops *ops, unsigned queues,
                  unsigned queue_size, struct error *error);
void virtio_destroy(struct virtio *v);
void virtio_reset(struct virtio *v);
int virtio_state(struct virtio *v, struct state *state);
/* After load or start: look at all queues, as notifications may have been lost. */
void virtio_kick_all(struct virtio *v);

static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
    return v->accepted >> feature & 1;
}

static inline bool virtio_running(const struct virtio *v)
{
    return v->status & VIRTIO_STATUS_DRIVER_OK && !v->broken;
}

/* The driver broke the rules of a ring: nothing works until it resets the device. */
void virtio_break(struct virtio *v, const char *why);
/* For virtqueue.c. */
void virtio_interrupt(struct virtio *v, uint16_t vector);
/* v->config changed by itself. */
void virtio_config_changed(struct virtio *v);

#endif
