/*
 * virtio over PCI: register layouts, capabilities, interrupts; see virtio.h.
 *
 *   BAR 0  legacy registers (ports)      BAR 1  MSI-X
 *   BAR 4  modern registers: 0x0000 common, 0x1000 ISR, 0x2000 device, 0x3000 notify
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "virtio.h"

enum {
    VENDOR_ID = 0x1af4,
    TRANSITIONAL_ID = 0x1000 - 1, /* + type */
    MODERN_ID = 0x1040,           /* + type */

    LEGACY_BAR = 0,
    MSIX_BAR = 1,
    MODERN_BAR = 4,

    PART_BYTES = 0x1000,
    PART_COMMON = 0,
    PART_ISR = 1,
    PART_DEVICE = 2,
    PART_NOTIFY = 3,
    PARTS = 4,
    NOTIFY_STRIDE = 4, /* bytes from queue to queue */

    CAP_VENDOR = 0x09,
    CAP_COMMON = 1,
    CAP_NOTIFY = 2,
    CAP_ISR = 3,
    CAP_DEVICE = 4,
    CAP_PCI_ACCESS = 5,
    CAP_TYPE = 3, /* offsets within the capability */
    CAP_BAR = 4,
    CAP_OFFSET = 8,
    CAP_LENGTH = 12,
    CAP_EXTRA = 16,
    CAP_BYTES = 16,

    COMMON_OFFERED_SELECT = 0x00,
    COMMON_OFFERED = 0x04,
    COMMON_ACCEPTED_SELECT = 0x08,
    COMMON_ACCEPTED = 0x0c,
    COMMON_CONFIG_VECTOR = 0x10,
    COMMON_QUEUES = 0x12,
    COMMON_STATUS = 0x14,
    COMMON_GENERATION = 0x15,
    COMMON_QUEUE_SELECT = 0x16,
    COMMON_QUEUE_SIZE = 0x18,
    COMMON_QUEUE_VECTOR = 0x1a,
    COMMON_QUEUE_ENABLE = 0x1c,
    COMMON_QUEUE_NOTIFY = 0x1e,
    COMMON_QUEUE_DESCRIPTORS = 0x20,
    COMMON_QUEUE_AVAILABLE = 0x28,
    COMMON_QUEUE_USED = 0x30,
    COMMON_BYTES = 0x38,

    LEGACY_OFFERED = 0x00,
    LEGACY_ACCEPTED = 0x04,
    LEGACY_QUEUE_PAGE = 0x08,
    LEGACY_QUEUE_SIZE = 0x0c,
    LEGACY_QUEUE_SELECT = 0x0e,
    LEGACY_NOTIFY = 0x10,
    LEGACY_STATUS = 0x12,
    LEGACY_ISR = 0x13,
    LEGACY_CONFIG_VECTOR = 0x14, /* the vectors are there with MSI-X only */
    LEGACY_QUEUE_VECTOR = 0x16,
    LEGACY_PAGE = 4096,

    ISR_QUEUE = 1,
    ISR_CONFIG = 2,
};

static struct virtio *to_virtio(struct pci_device *pci)
{
    return container_of(pci, struct virtio, pci);
}

/* ---- interrupts, failure ------------------------------------------------------------
 */

static void update_intx(struct virtio *v)
{
    pci_intx(&v->pci, v->isr && !pci_msix_enabled(&v->pci));
}

static void raise(struct virtio *v, uint16_t vector, uint8_t isr)
{
    if (pci_msix_enabled(&v->pci)) {
        if (vector != VIRTIO_NO_VECTOR)
            pci_msix_notify(&v->pci, vector);
        return;
    }
    v->isr |= isr;
    update_intx(v);
}

void virtio_interrupt(struct virtio *v, uint16_t vector)
{
    raise(v, vector, ISR_QUEUE);
}

void virtio_config_changed(struct virtio *v)
{
    v->generation++;
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        raise(v, v->config_vector, ISR_QUEUE | ISR_CONFIG);
}

void virtio_break(struct virtio *v, const char *why)
{
    if (v->broken)
        return;
    guest_error(&v->pci.dev, "%s; stopped until the driver resets it", why);
    v->broken = true;
    if (!v->legacy) {
        v->status |= VIRTIO_STATUS_NEEDS_RESET;
        virtio_config_changed(v);
    }
}

/* ---- status, features, queues -------------------------------------------------------
 */

static struct virtqueue *selected(struct virtio *v)
{
    return v->queue_select < v->queues ? &v->queue[v->queue_select] : NULL;
}

static void notify(struct virtio *v, unsigned n)
{
    if (n >= v->queues || v->broken || !v->queue[n].ready)
        return;
    /* Old legacy drivers use their queues before they say so. */
    if (!virtio_running(v) && !v->legacy)
        return;
    v->ops->notify(v, &v->queue[n]);
}

void virtio_kick_all(struct virtio *v)
{
    for (unsigned n = 0; n < v->queues && virtio_running(v); n++)
        notify(v, n);
}

void virtio_reset(struct virtio *v)
{
    v->ops->reset(v);
    v->status = v->isr = 0;
    v->accepted = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    v->queue_select = 0;
    v->offered_select = v->accepted_select = 0;
    v->broken = false;
    v->legacy = false;
    for (unsigned n = 0; n < v->queues; n++)
        virtqueue_reset(&v->queue[n]);
    update_intx(v);
}

static void write_status(struct virtio *v, uint8_t value)
{
    uint8_t old = v->status;

    if (!value) {
        virtio_reset(v);
        return;
    }
    /* Features that we did not offer are refused here (3.1.1, step 5). */
    bool bad =
        v->accepted & ~v->offered || (!v->legacy && !virtio_has(v, VIRTIO_VERSION_1));
    if (value & VIRTIO_STATUS_FEATURES_OK && !(old & VIRTIO_STATUS_FEATURES_OK) && bad)
        value &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
    /* Bits are only taken back by reset. */
    v->status = value | (old & VIRTIO_STATUS_NEEDS_RESET);
    if (!(v->status & ~old & VIRTIO_STATUS_DRIVER_OK))
        return;
    if (v->ops->started)
        v->ops->started(v);
    virtio_kick_all(v);
}

static void write_accepted(struct virtio *v, unsigned half, uint32_t value)
{
    if (half > 1 || v->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    uint64_t mask = 0xffffffffull << (32 * half);
    v->accepted = (v->accepted & ~mask) | (uint64_t)value << (32 * half);
}

static uint16_t accept_vector(struct virtio *v, uint64_t value)
{
    return value < v->pci.msix.vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static void set_queue_size(struct virtqueue *q, uint64_t size)
{
    if (!q->ready && size && size <= q->size_most && !(size & (size - 1)))
        q->size = (uint16_t)size;
}

static uint8_t read_isr(struct virtio *v)
{
    uint8_t isr = v->isr;

    v->isr = 0;
    update_intx(v);
    return isr;
}

/* ---- device configuration -----------------------------------------------------------
 */

static uint64_t read_config(const struct virtio *v, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        if (offset + i < v->ops->config_bytes)
            value |= (uint64_t)v->config[offset + i] << (8 * i);
    }
    return value;
}

static void write_config(struct virtio *v, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset + size > v->ops->config_bytes)
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = v->config_writable[offset + i];
        uint8_t byte = (uint8_t)(value >> (8 * i));
        v->config[offset + i] =
            (uint8_t)((v->config[offset + i] & ~mask) | (byte & mask));
    }
    if (v->ops->config_written)
        v->ops->config_written(v, (unsigned)offset, size);
}

/* ---- modern registers ---------------------------------------------------------------
 */

/* A 64-bit register in two halves or in one. */
static bool address_register(struct virtio *v, uint64_t offset, uint64_t **at,
                             unsigned *shift)
{
    struct virtqueue *q = selected(v);

    if (!q || offset < COMMON_QUEUE_DESCRIPTORS || offset >= COMMON_BYTES || offset % 4)
        return false;
    *at = offset < COMMON_QUEUE_AVAILABLE ? &q->descriptors
          : offset < COMMON_QUEUE_USED    ? &q->available
                                          : &q->used;
    *shift = offset % 8 * 8;
    return true;
}

static uint64_t read_queue(struct virtio *v, uint64_t offset)
{
    struct virtqueue *q = selected(v);
    uint64_t *address;
    unsigned shift;

    if (!q)
        return 0;
    switch (offset) {
    case COMMON_QUEUE_SIZE:
        return q->size;
    case COMMON_QUEUE_VECTOR:
        return q->vector;
    case COMMON_QUEUE_ENABLE:
        return q->ready;
    case COMMON_QUEUE_NOTIFY:
        return q->index;
    default:
        return address_register(v, offset, &address, &shift) ? *address >> shift : 0;
    }
}

static uint64_t read_common(struct virtio *v, uint64_t offset)
{
    switch (offset) {
    case COMMON_OFFERED_SELECT:
        return v->offered_select;
    case COMMON_OFFERED:
        return v->offered_select < 2 ? (uint32_t)(v->offered >> (32 * v->offered_select))
                                     : 0;
    case COMMON_ACCEPTED_SELECT:
        return v->accepted_select;
    case COMMON_ACCEPTED:
        return v->accepted_select < 2
                   ? (uint32_t)(v->accepted >> (32 * v->accepted_select))
                   : 0;
    case COMMON_CONFIG_VECTOR:
        return v->config_vector;
    case COMMON_QUEUES:
        return v->queues;
    case COMMON_STATUS:
        return v->status;
    case COMMON_GENERATION:
        return v->generation;
    case COMMON_QUEUE_SELECT:
        return v->queue_select;
    default:
        return read_queue(v, offset);
    }
}

static void write_queue(struct virtio *v, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtqueue *q = selected(v);
    uint64_t *address;
    unsigned shift;

    if (!q)
        return;
    switch (offset) {
    case COMMON_QUEUE_SIZE:
        set_queue_size(q, value);
        return;
    case COMMON_QUEUE_VECTOR:
        q->vector = accept_vector(v, value);
        return;
    case COMMON_QUEUE_ENABLE:
        if (value == 1)
            q->ready = true;
        return;
    default:
        break;
    }
    if (q->ready || !address_register(v, offset, &address, &shift))
        return;
    if (size == 8)
        *address = value;
    else if (size == 4)
        *address =
            (*address & ~(0xffffffffull << shift)) | (uint32_t)value * (1ull << shift);
}

static void write_common(struct virtio *v, uint64_t offset, unsigned size, uint64_t value)
{
    switch (offset) {
    case COMMON_OFFERED_SELECT:
        v->offered_select = (uint32_t)value;
        break;
    case COMMON_ACCEPTED_SELECT:
        v->accepted_select = (uint32_t)value;
        break;
    case COMMON_ACCEPTED:
        write_accepted(v, v->accepted_select, (uint32_t)value);
        break;
    case COMMON_CONFIG_VECTOR:
        v->config_vector = accept_vector(v, value);
        break;
    case COMMON_STATUS:
        v->legacy = false;
        write_status(v, (uint8_t)value);
        break;
    case COMMON_QUEUE_SELECT:
        v->queue_select = (uint16_t)value;
        break;
    default:
        write_queue(v, offset, size, value);
        break;
    }
}

static uint64_t modern_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio *v = opaque;

    switch (offset / PART_BYTES) {
    case PART_COMMON:
        return read_common(v, offset);
    case PART_ISR:
        return offset % PART_BYTES == 0 ? read_isr(v) : 0;
    case PART_DEVICE:
        return read_config(v, offset % PART_BYTES, size);
    default:
        return 0;
    }
}

static void modern_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio *v = opaque;

    switch (offset / PART_BYTES) {
    case PART_COMMON:
        write_common(v, offset, size, value);
        break;
    case PART_DEVICE:
        write_config(v, offset % PART_BYTES, size, value);
        break;
    case PART_NOTIFY:
        notify(v, (unsigned)(offset % PART_BYTES / NOTIFY_STRIDE));
        break;
    default:
        break;
    }
}

static const struct io_ops modern_ops = {.read = modern_read, .write = modern_write};

/* ---- legacy registers ---------------------------------------------------------------
 */

static unsigned legacy_config(const struct virtio *v)
{
    return pci_msix_enabled(&v->pci) ? LEGACY_QUEUE_VECTOR + 2 : LEGACY_CONFIG_VECTOR;
}

/* Where the rings are follows from one page number (2.7.2). */
static void write_queue_page(struct virtio *v, uint32_t page)
{
    struct virtqueue *q = selected(v);

    if (!q)
        return;
    q->size = q->size_most;
    q->descriptors = (uint64_t)page * LEGACY_PAGE;
    q->available = q->descriptors + 16ull * q->size;
    q->used = (q->available + 6 + 2ull * q->size + LEGACY_PAGE - 1) &
              ~(uint64_t)(LEGACY_PAGE - 1);
    q->ready = page;
    if (!page) {
        q->next_available = q->next_used = q->signalled = 0;
        q->signalled_valid = false;
    }
}

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio *v = opaque;
    struct virtqueue *q = selected(v);

    if (offset >= legacy_config(v))
        return read_config(v, offset - legacy_config(v), size);
    switch (offset) {
    case LEGACY_OFFERED:
        return (uint32_t)v->offered;
    case LEGACY_ACCEPTED:
        return (uint32_t)v->accepted;
    case LEGACY_QUEUE_PAGE:
        return q && q->ready ? q->descriptors / LEGACY_PAGE : 0;
    case LEGACY_QUEUE_SIZE:
        return q ? q->size_most : 0;
    case LEGACY_QUEUE_SELECT:
        return v->queue_select;
    case LEGACY_STATUS:
        return v->status;
    case LEGACY_ISR:
        return read_isr(v);
    case LEGACY_CONFIG_VECTOR:
        return v->config_vector;
    case LEGACY_QUEUE_VECTOR:
        return q ? q->vector : VIRTIO_NO_VECTOR;
    default:
        return 0;
    }
}

static void legacy_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio *v = opaque;
    struct virtqueue *q = selected(v);

    if (offset >= legacy_config(v)) {
        write_config(v, offset - legacy_config(v), size, value);
        return;
    }
    switch (offset) {
    case LEGACY_ACCEPTED:
        write_accepted(v, 0, (uint32_t)value & (uint32_t)v->offered);
        break;
    case LEGACY_QUEUE_PAGE:
        v->legacy = true;
        write_queue_page(v, (uint32_t)value);
        break;
    case LEGACY_QUEUE_SELECT:
        v->queue_select = (uint16_t)value;
        break;
    case LEGACY_NOTIFY:
        notify(v, (uint16_t)value);
        break;
    case LEGACY_STATUS:
        v->legacy = true;
        write_status(v, (uint8_t)value);
        break;
    case LEGACY_CONFIG_VECTOR:
        v->config_vector = accept_vector(v, value);
        break;
    case LEGACY_QUEUE_VECTOR:
        if (q)
            q->vector = accept_vector(v, value);
        break;
    default:
        break;
    }
}

static const struct io_ops legacy_ops = {.read = legacy_read, .write = legacy_write};

/* ---- capabilities -------------------------------------------------------------------
 */

static int add_capability(struct virtio *v, uint8_t type, unsigned part, uint32_t length,
                          uint32_t extra)
{
    bool longer = type == CAP_NOTIFY || type == CAP_PCI_ACCESS;
    uint8_t bytes = CAP_BYTES + (longer ? 4 : 0);
    int at = pci_capability(&v->pci, CAP_VENDOR, bytes);

    if (at < 0)
        return at;
    uint8_t *c = &v->pci.config[at];
    c[2] = bytes;
    c[CAP_TYPE] = type;
    if (type != CAP_PCI_ACCESS) {
        c[CAP_BAR] = MODERN_BAR;
        store_le32(c + CAP_OFFSET, part * PART_BYTES);
        store_le32(c + CAP_LENGTH, length);
    } else {
        uint8_t *w = &v->pci.writable[at];
        w[CAP_BAR] = 0xff;
        memset(w + CAP_OFFSET, 0xff, 12);
        v->access_cap = (uint8_t)at;
    }
    if (type == CAP_NOTIFY)
        store_le32(c + CAP_EXTRA, extra);
    return 0;
}

static int add_capabilities(struct virtio *v)
{
    int err = add_capability(v, CAP_PCI_ACCESS, 0, 0, 0);

    if (!err)
        err = add_capability(v, CAP_NOTIFY, PART_NOTIFY, PART_BYTES, NOTIFY_STRIDE);
    if (!err && v->ops->config_bytes)
        err = add_capability(v, CAP_DEVICE, PART_DEVICE, PART_BYTES, 0);
    if (!err)
        err = add_capability(v, CAP_ISR, PART_ISR, PART_BYTES, 0);
    if (!err)
        err = add_capability(v, CAP_COMMON, PART_COMMON, PART_BYTES, 0);
    return err;
}

/* The window into BAR 4 through config space (4.1.4.9); false: it points nowhere. */
static bool access_window(const struct virtio *v, uint32_t *offset, uint32_t *length)
{
    const uint8_t *c = &v->pci.config[v->access_cap];

    *offset = load_le32(c + CAP_OFFSET);
    *length = load_le32(c + CAP_LENGTH);
    return c[CAP_BAR] == MODERN_BAR && (*length == 1 || *length == 2 || *length == 4) &&
           *offset % *length == 0 && *offset < PARTS * PART_BYTES;
}

static uint32_t config_read(struct pci_device *pci, unsigned offset, unsigned size,
                            uint32_t value)
{
    struct virtio *v = to_virtio(pci);
    uint32_t at, length;

    if (!v->access_cap || offset != v->access_cap + (unsigned)CAP_EXTRA ||
        !access_window(v, &at, &length))
        return value;
    return (uint32_t)modern_read(v, at, length);
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct virtio *v = to_virtio(pci);
    uint32_t at, length;

    /* Interrupts may have changed between INTx and MSI-X. */
    update_intx(v);
    if (v->access_cap && offset == v->access_cap + (unsigned)CAP_EXTRA &&
        access_window(v, &at, &length) && size >= length)
        modern_write(v, at, length, load_le32(&pci->config[offset]));
}

/* ---- life cycle ---------------------------------------------------------------------
 */

static void make_queues(struct virtio *v, unsigned queue_size)
{
    for (unsigned n = 0; n < v->queues; n++) {
        v->queue[n].owner = v;
        v->queue[n].index = (uint16_t)n;
        v->queue[n].size_most = (uint16_t)queue_size;
        virtqueue_reset(&v->queue[n]);
    }
}

int virtio_create(struct virtio *v, const struct virtio_ops *ops, unsigned queues,
                  unsigned queue_size, struct error *error)
{
    struct pci_ids ids = {
        .vendor = VENDOR_ID,
        .device = (uint16_t)(v->no_legacy ? MODERN_ID + ops->type
                                          : TRANSITIONAL_ID + ops->type),
        .subsystem_vendor = VENDOR_ID,
        .subsystem = (uint16_t)(v->no_legacy ? 0x1100 : ops->type),
        .class_code = ops->class_code,
        .revision = v->no_legacy ? 1 : 0,
        .interrupt_pin = 1,
    };
    struct device *dev = &v->pci.dev;

    if (v->no_legacy && v->no_modern)
        return error_set(error, -EINVAL, "%s: neither legacy nor modern", dev->id);
    if (queue_size < 4 || queue_size > VQ_SIZE_MOST || queue_size & (queue_size - 1))
        return error_set(error, -EINVAL, "%s: a queue of %u is not a power of 2 up to %u",
                         dev->id, queue_size, VQ_SIZE_MOST);
    v->ops = ops;
    v->queues = queues;
    v->queue = calloc(queues, sizeof(*v->queue));
    if (!v->queue)
        return -ENOMEM;
    make_queues(v, queue_size);
    v->offered |= 1ull << VIRTIO_RING_INDIRECT | 1ull << VIRTIO_RING_EVENT_IDX |
                  1ull << VIRTIO_ANY_LAYOUT;
    if (!v->no_modern)
        v->offered |= 1ull << VIRTIO_VERSION_1;
    pci_setup(&v->pci, &ids);
    int err = pci_msix_init(&v->pci, MSIX_BAR, queues + 1);
    if (!err && !v->no_modern) {
        io_region_init(&v->modern_region, dev, "virtio", IO_MEM, PARTS * PART_BYTES,
                       &modern_ops, v);
        pci_bar_region(&v->pci, MODERN_BAR, &v->modern_region,
                       PCI_BAR_64 | PCI_BAR_PREFETCH);
        err = add_capabilities(v);
    }
    if (err) {
        free(v->queue);
        return err;
    }
    if (!v->no_legacy) {
        io_region_init(&v->legacy_region, dev, "virtio-legacy", IO_PORT,
                       LEGACY_QUEUE_VECTOR + 2 + VIRTIO_CONFIG_BYTES, &legacy_ops, v);
        pci_bar_region(&v->pci, LEGACY_BAR, &v->legacy_region, 0);
    }
    v->pci.config_read = config_read;
    v->pci.config_written = config_written;
    return 0;
}

void virtio_destroy(struct virtio *v)
{
    free(v->queue);
    v->queue = NULL;
}

int virtio_state(struct virtio *v, struct state *state)
{
    uint32_t queues = v->queues;
    uint64_t offered = v->offered;

    pci_state(&v->pci, state);
    state_u64(state, "offered", &offered);
    state_u64(state, "accepted", &v->accepted);
    state_bytes(state, "config", v->config, sizeof(v->config));
    state_u8(state, "status", &v->status);
    state_u8(state, "generation", &v->generation);
    state_u8(state, "isr", &v->isr);
    state_u16(state, "config-vector", &v->config_vector);
    state_u16(state, "queue-select", &v->queue_select);
    state_u32(state, "offered-select", &v->offered_select);
    state_u32(state, "accepted-select", &v->accepted_select);
    state_bool(state, "legacy", &v->legacy);
    state_bool(state, "broken", &v->broken);
    state_range(state, "queues", &queues, v->queues, v->queues);
    for (unsigned n = 0; n < v->queues; n++)
        virtqueue_state(&v->queue[n], state);
    if (state_error(state) || !state_loading(state))
        return state_error(state);
    if (v->status & VIRTIO_STATUS_FEATURES_OK && v->accepted & ~v->offered)
        return state_fail(state, "the guest uses features that are missing here: %#llx",
                          (unsigned long long)(v->accepted & ~v->offered));
    update_intx(v);
    return 0;
}
