/*
 * System control port A (0x92): fast reset and the A20 bit.  A20 is never masked: no
 * guest of this century needs the wrap at 1 MiB, and hypervisors cannot mask it cheaply.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "../../devmodel/device.h"

enum { FAST_RESET = 1 << 0, A20 = 1 << 1, PORT = 0x92 };

struct port92 {
    struct device dev;
    struct io_region port;
    uint8_t value;
};

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((struct port92 *)opaque)->value;
}

static void port92_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct port92 *s = opaque;
    bool rises = value & FAST_RESET && !(s->value & FAST_RESET);

    s->value = (uint8_t)value;
    if (rises)
        machine_reset_request(&s->dev, "port 0x92");
}

static const struct io_ops port92_io = {
    .read = port92_read,
    .write = port92_write,
    .max_size = 1,
};

static void port92_reset(struct device *dev)
{
    ((struct port92 *)dev)->value = A20;
}

static int port92_create(struct device *dev, struct error *error)
{
    struct port92 *s = (struct port92 *)dev;

    io_region_init(&s->port, dev, "port92", IO_PORT, 1, &port92_io, s);
    return io_region_map(&s->port, PORT);
}

static int port92_state(struct device *dev, struct state *state)
{
    return state_u8(state, "value", &((struct port92 *)dev)->value);
}

static int port92_load(struct device *dev, struct state *state, uint32_t version)
{
    return port92_state(dev, state);
}

static void port92_destroy(struct device *dev)
{
    io_region_unmap(&((struct port92 *)dev)->port);
}

static const struct device_ops port92_ops = {
    .name = "port92",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct port92),
    .version = 1,
    .create = port92_create,
    .reset = port92_reset,
    .save = port92_state,
    .load = port92_load,
    .destroy = port92_destroy,
};
REGISTER_DEVICE(port92_ops);
