/*
 * Split virtqueues, device side (Virtual I/O Device 1.2, section 2.7).
 *
 * The rings lie in memory of a guest that may change them at any time and fill them with
 * anything.  Each descriptor is copied once into a vq_chain and checked there; devices
 * only ever look at the copy.  A ring that breaks the rules stops the whole device
 * (virtio_break()) until the driver resets it; bad data in a good ring is the device's
 * own business.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_VIRTIO_VIRTQUEUE_H
#define IOEMU_VIRTIO_VIRTQUEUE_H

#include "../../devmodel/device.h"

#define VQ_SIZE_MOST 256u
#define VQ_SEGMENTS  256u /* of one chain; no longer than the queue (2.7.5.3.1) */

struct virtio;

struct virtqueue {
    struct virtio *owner;
    uint16_t index;
    uint16_t size, size_most; /* entries, a power of two */
    bool ready;
    uint64_t descriptors, available, used; /* guest-physical */
    uint16_t next_available;               /* the next entry we take */
    uint16_t next_used;                    /* the next entry we give back */
    uint16_t signalled; /* next_used when we last considered an interrupt */
    bool signalled_valid;
    uint16_t vector;
};

struct vq_segment {
    uint64_t gpa;
    uint32_t bytes;
};

/* A request: first what the device reads, then what it writes. */
struct vq_chain {
    uint16_t head;
    unsigned out_segments, in_segments;
    uint64_t out_bytes, in_bytes;
    struct vq_segment segment[VQ_SEGMENTS];
};

/* Take the next request.  1: there was one, 0: none, negative: the device is broken. */
int virtqueue_take(struct virtqueue *q, struct vq_chain *chain);
/* Undo the last take (no room for its data now). */
void virtqueue_untake(struct virtqueue *q);
/* Is there a request to take?  How many (negative: the device is broken)? */
bool virtqueue_pending(struct virtqueue *q);
int virtqueue_waiting(struct virtqueue *q);
/* Ask to be notified of new requests, or not.  After enabling look once more. */
void virtqueue_enable_notify(struct virtqueue *q);
/*
 * Give a request back; `written` bytes of its writable part are filled.  put_at() fills
 * the used entry `ahead` places on and publish() makes `count` of them visible, for
 * packets that span several buffers.
 */
void virtqueue_put(struct virtqueue *q, uint16_t head, uint32_t written);
void virtqueue_put_at(struct virtqueue *q, unsigned ahead, uint16_t head,
                      uint32_t written);
void virtqueue_publish(struct virtqueue *q, unsigned count);
/* Interrupt the driver if it wants to know of what was put since the last call. */
void virtqueue_signal(struct virtqueue *q);

/* Copy out of the readable part or into the writable part, from `offset`.  Returns the
 * bytes copied, less than asked for at the end of the chain; -EFAULT for bad addresses.
 */
ssize_t vq_read(struct virtqueue *q, const struct vq_chain *chain, uint64_t offset,
                void *buffer, size_t bytes);
ssize_t vq_write(struct virtqueue *q, const struct vq_chain *chain, uint64_t offset,
                 const void *buffer, size_t bytes);

void virtqueue_reset(struct virtqueue *q);
int virtqueue_state(struct virtqueue *q, struct state *state);

#endif
