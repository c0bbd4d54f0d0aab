/*
 * virtio input device (Virtual I/O Device 1.2, section 5.8) that is a tablet: the pointer
 * goes where the viewer's is.  Modern interface only.  Linux has the driver; a guest
 * without one keeps the PS/2 mouse, as the tablet is not ready then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/input-event-codes.h>
#include <string.h>

#include "../virtio/virtio.h"

#define EVENT_BYTES 8
#define BATCH_MOST  12 /* events of one movement */
#define QUEUE_SIZE  64
#define PENDING     64 /* batches that wait for the guest */

enum {
    QUEUE_EVENTS = 0,
    QUEUE_STATUS = 1,
    QUEUES = 2,

    CONFIG_SELECT = 0,
    CONFIG_SUBSELECT = 1,
    CONFIG_SIZE = 2,
    CONFIG_DATA = 8,
    CONFIG_DATA_BYTES = 128,

    SELECT_NAME = 0x01,
    SELECT_SERIAL = 0x02,
    SELECT_IDS = 0x03,
    SELECT_PROPERTIES = 0x10,
    SELECT_EVENT_BITS = 0x11,
    SELECT_ABSOLUTE = 0x12,

    BUS_VIRTUAL_ID = 0x06,
};

struct position {
    unsigned x, y, buttons;
    int wheel;
};

struct tablet {
    struct virtio virtio; /* must be first */
    struct position now;  /* what the guest knows */
    struct position pending[PENDING];
    unsigned first, count;
};

static const struct {
    unsigned button;
    uint16_t code;
} buttons[] = {
    {POINTER_LEFT, BTN_LEFT}, {POINTER_RIGHT, BTN_RIGHT}, {POINTER_MIDDLE, BTN_MIDDLE},
    {POINTER_SIDE, BTN_SIDE}, {POINTER_EXTRA, BTN_EXTRA},
};

static struct tablet *to_tablet(struct virtio *v)
{
    return container_of(v, struct tablet, virtio);
}

/* ---- events -------------------------------------------------------------------------
 */

static void add_event(uint8_t batch[][EVENT_BYTES], unsigned *n, uint16_t type,
                      uint16_t code, uint32_t value)
{
    store_le16(batch[*n], type);
    store_le16(batch[*n] + 2, code);
    store_le32(batch[*n] + 4, value);
    (*n)++;
}

/* What changed between two positions, ending with a report. */
static unsigned make_batch(const struct position *old, const struct position *now,
                           uint8_t batch[BATCH_MOST][EVENT_BYTES])
{
    unsigned n = 0;

    if (now->x != old->x)
        add_event(batch, &n, EV_ABS, ABS_X, now->x);
    if (now->y != old->y)
        add_event(batch, &n, EV_ABS, ABS_Y, now->y);
    for (unsigned i = 0; i < ARRAY_LEN(buttons); i++) {
        if ((now->buttons ^ old->buttons) & buttons[i].button)
            add_event(batch, &n, EV_KEY, buttons[i].code,
                      now->buttons & buttons[i].button ? 1 : 0);
    }
    if (now->wheel)
        add_event(batch, &n, EV_REL, REL_WHEEL, (uint32_t)now->wheel);
    if (n)
        add_event(batch, &n, EV_SYN, SYN_REPORT, 0);
    return n;
}

/* All events of a batch, or none when the guest gave too few buffers. */
static bool deliver(struct tablet *t, const struct position *p)
{
    struct virtqueue *q = &t->virtio.queue[QUEUE_EVENTS];
    uint8_t batch[BATCH_MOST][EVENT_BYTES];
    unsigned wanted = make_batch(&t->now, p, batch), done = 0;
    struct vq_chain chain;

    while (done < wanted && virtqueue_take(q, &chain) > 0) {
        vq_write(q, &chain, 0, batch[done], EVENT_BYTES);
        virtqueue_put_at(q, done, chain.head, EVENT_BYTES);
        done++;
    }
    if (done < wanted) {
        while (done--)
            virtqueue_untake(q);
        virtqueue_enable_notify(q);
        return false;
    }
    if (wanted) {
        virtqueue_publish(q, wanted);
        virtqueue_signal(q);
    }
    t->now = *p;
    t->now.wheel = 0;
    return true;
}

static void deliver_pending(struct tablet *t)
{
    while (t->count && deliver(t, &t->pending[t->first])) {
        t->first = (t->first + 1) % PENDING;
        t->count--;
    }
}

static void pointer_event(void *opaque, unsigned x, unsigned y, unsigned mask, int wheel)
{
    struct tablet *t = opaque;
    struct position p = {x, y, mask, wheel};
    struct position *last =
        t->count ? &t->pending[(t->first + t->count - 1) % PENDING] : NULL;

    /* Of movements that wait only the last counts; clicks and the wheel are kept. */
    if (last && last->buttons == mask && !last->wheel)
        *last = p;
    else if (t->count < PENDING)
        t->pending[(t->first + t->count++) % PENDING] = p;
    deliver_pending(t);
}

static bool ready(void *opaque)
{
    const struct tablet *t = opaque;

    return virtio_running(&t->virtio) && t->virtio.queue[QUEUE_EVENTS].ready;
}

static const struct input_ops input = {
    .name = "tablet",
    .pointer_absolute = pointer_event,
    .ready = ready,
};

/* ---- configuration: what is selected appears below ----------------------------------
 */

static void set_bit(uint8_t *bits, unsigned bit, uint8_t *size)
{
    bits[bit / 8] |= (uint8_t)(1 << bit % 8);
    if (*size < bit / 8 + 1)
        *size = (uint8_t)(bit / 8 + 1);
}

static void event_bits(uint8_t type, uint8_t *data, uint8_t *size)
{
    if (type == EV_KEY) {
        for (unsigned i = 0; i < ARRAY_LEN(buttons); i++)
            set_bit(data, buttons[i].code, size);
    } else if (type == EV_ABS) {
        set_bit(data, ABS_X, size);
        set_bit(data, ABS_Y, size);
    } else if (type == EV_REL) {
        set_bit(data, REL_WHEEL, size);
    }
}

static void show_selected(struct virtio *v)
{
    static const char name[] = "Corbel Virtio Tablet";
    uint8_t *data = v->config + CONFIG_DATA, *size = v->config + CONFIG_SIZE;
    uint8_t subselect = v->config[CONFIG_SUBSELECT];

    memset(data, 0, CONFIG_DATA_BYTES);
    *size = 0;
    switch (v->config[CONFIG_SELECT]) {
    case SELECT_NAME:
        memcpy(data, name, sizeof(name) - 1);
        *size = sizeof(name) - 1;
        break;
    case SELECT_IDS:
        store_le16(data, BUS_VIRTUAL_ID);
        store_le16(data + 2, 0x0627);
        store_le16(data + 4, 0x0003);
        store_le16(data + 6, 0x0001);
        *size = 8;
        break;
    case SELECT_EVENT_BITS:
        event_bits(subselect, data, size);
        break;
    case SELECT_ABSOLUTE:
        if (subselect == ABS_X || subselect == ABS_Y) {
            store_le32(data + 4, POINTER_MAX);
            *size = 20;
        }
        break;
    default:
        break;
    }
}

static void config_written(struct virtio *v, unsigned offset, unsigned size)
{
    show_selected(v);
}

/* ---- life cycle ---------------------------------------------------------------------
 */

static void tablet_notify(struct virtio *v, struct virtqueue *q)
{
    struct vq_chain chain;

    if (q->index == QUEUE_EVENTS) {
        deliver_pending(to_tablet(v));
        return;
    }
    /* Lights and the like: a tablet has none. */
    while (virtqueue_take(q, &chain) > 0)
        virtqueue_put(q, chain.head, 0);
    virtqueue_enable_notify(q);
    virtqueue_signal(q);
}

static void tablet_reset_queues(struct virtio *v)
{
    struct tablet *t = to_tablet(v);

    memset(&t->now, 0, sizeof(t->now));
    t->first = t->count = 0;
    memset(v->config, 0, sizeof(v->config));
}

static const struct virtio_ops tablet_virtio_ops = {
    .type = VIRTIO_INPUT,
    .class_code = 0x098000,
    .config_bytes = CONFIG_DATA + CONFIG_DATA_BYTES,
    .notify = tablet_notify,
    .reset = tablet_reset_queues,
    .config_written = config_written,
};

static struct tablet *of_device(struct device *dev)
{
    return container_of(to_pci(dev), struct tablet, virtio.pci);
}

static int tablet_create(struct device *dev, struct error *error)
{
    struct tablet *t = of_device(dev);

    t->virtio.no_legacy = true;
    memset(t->virtio.config_writable, 0xff, 2);
    int err = virtio_create(&t->virtio, &tablet_virtio_ops, QUEUES, QUEUE_SIZE, error);
    if (err)
        return err;
    err = input_register(dev, &input, t);
    if (err)
        virtio_destroy(&t->virtio);
    return err;
}

static void tablet_destroy(struct device *dev)
{
    input_unregister(dev);
    virtio_destroy(&of_device(dev)->virtio);
}

static void tablet_reset(struct device *dev)
{
    virtio_reset(&of_device(dev)->virtio);
}

static int tablet_state(struct tablet *t, struct state *state)
{
    uint32_t x = t->now.x, y = t->now.y, mask = t->now.buttons;

    virtio_state(&t->virtio, state);
    state_range(state, "x", &x, 0, POINTER_MAX);
    state_range(state, "y", &y, 0, POINTER_MAX);
    int err = state_u32(state, "buttons", &mask);
    if (!err)
        t->now = (struct position){x, y, mask, 0};
    return err;
}

static int tablet_save(struct device *dev, struct state *state)
{
    return tablet_state(of_device(dev), state);
}

static int tablet_load(struct device *dev, struct state *state, uint32_t version)
{
    return tablet_state(of_device(dev), state);
}

static const struct device_ops tablet_ops = {
    .name = "virtio-tablet-pci",
    .alias = "virtio-tablet",
    .bus = BUS_PCI,
    .hotplug = true,
    .size = sizeof(struct tablet),
    .version = 1,
    .create = tablet_create,
    .reset = tablet_reset,
    .save = tablet_save,
    .load = tablet_load,
    .destroy = tablet_destroy,
};

REGISTER_DEVICE(tablet_ops);
