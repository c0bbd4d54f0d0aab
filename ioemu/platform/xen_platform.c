/*
 * The Xen platform device: a PCI function by whose presence, interrupt and memory range
 * guests' paravirtual drivers work, and ports 0x10 to 0x13 by which they ask that the
 * emulated disks and network cards go (docs/misc/hvm-emulated-unplug of Xen, protocol
 * version 1). What is written to the log port is not kept; the hypervisor has one too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "../../devmodel/device.h"

enum {
    FIXED_PORTS = 0x10,
    FIXED_BYTES = 4,
    BAR_IO_BYTES = 0x100,
    BAR_MEMORY_BYTES = 0x1000000, /* guests put their grant tables there */

    UNPLUG = 0,  /* word: read MAGIC, write what is to go */
    VERSION = 2, /* byte: protocol; word: number of the driver's product */
    MAGIC = 0x49d2,
    PROTOCOL = 1,
    UNPLUG_DISKS = 1 << 0,
    UNPLUG_NICS = 1 << 1,
    FLAG_ROM_LOCK = 1 << 0, /* hvmloader's option ROM area is read-only: ours is not */
};

struct xen_platform {
    struct pci_device pci;
    struct io_region fixed, ports, memory;
    uint8_t flags;
    uint16_t unplugged;
};

static uint64_t fixed_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct xen_platform *s = opaque;

    if (offset == UNPLUG)
        return size == 2 ? MAGIC : s->flags;
    if (offset == VERSION && size == 1)
        return PROTOCOL;
    return UINT32_MAX;
}

static void unplug(struct xen_platform *s)
{
    machine_unplug(&s->pci.dev, s->unplugged & UNPLUG_DISKS, s->unplugged & UNPLUG_NICS);
}

static void fixed_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct xen_platform *s = opaque;

    if (offset == UNPLUG && size == 2) {
        s->unplugged |= (uint16_t)value;
        unplug(s);
    } else if (offset == UNPLUG && size == 1) {
        s->flags = value & FLAG_ROM_LOCK;
    }
    /* Product and build numbers at the other places: nobody is refused. */
}

static const struct io_ops fixed_ops = {
    .read = fixed_read,
    .write = fixed_write,
};

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct xen_platform *s = opaque;

    return offset ? UINT32_MAX : s->flags;
}

static void ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct xen_platform *s = opaque;

    if (!offset && size == 1)
        s->flags = value & FLAG_ROM_LOCK;
}

static const struct io_ops ports_ops = {
    .read = ports_read,
    .write = ports_write,
    .max_size = 1,
};

/* Never reached while a guest has put its own pages there. */
static uint64_t memory_read(void *opaque, uint64_t offset, unsigned size)
{
    return UINT64_MAX;
}

static void memory_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
}

static const struct io_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
};

static int platform_create(struct device *dev, struct error *error)
{
    struct xen_platform *s = (struct xen_platform *)dev;

    pci_setup(&s->pci, &(struct pci_ids){
                           .vendor = 0x5853,
                           .device = 0x0001,
                           .subsystem_vendor = 0x5853,
                           .subsystem = 0x0001,
                           .class_code = 0xff8000,
                           .revision = 1,
                           .interrupt_pin = 1,
                       });
    io_region_init(&s->ports, dev, "xen-platform", IO_PORT, BAR_IO_BYTES, &ports_ops, s);
    pci_bar_region(&s->pci, 0, &s->ports, 0);
    io_region_init(&s->memory, dev, "xen-platform-memory", IO_MEM, BAR_MEMORY_BYTES,
                   &memory_ops, s);
    pci_bar_region(&s->pci, 1, &s->memory, PCI_BAR_PREFETCH);
    io_region_init(&s->fixed, dev, "xen-unplug", IO_PORT, FIXED_BYTES, &fixed_ops, s);
    return io_region_map(&s->fixed, FIXED_PORTS);
}

static int platform_state(struct device *dev, struct state *state)
{
    struct xen_platform *s = (struct xen_platform *)dev;

    pci_state(&s->pci, state);
    state_u8(state, "flags", &s->flags);
    int err = state_u16(state, "unplugged", &s->unplugged);
    if (!err && state_loading(state))
        unplug(s);
    return err;
}

static int platform_load(struct device *dev, struct state *state, uint32_t version)
{
    return platform_state(dev, state);
}

static void platform_destroy(struct device *dev)
{
    io_region_unmap(&((struct xen_platform *)dev)->fixed);
}

static const struct device_ops platform_ops = {
    .name = "xen-platform",
    .bus = BUS_PCI,
    .size = sizeof(struct xen_platform),
    .version = 1,
    .create = platform_create,
    .save = platform_state,
    .load = platform_load,
    .destroy = platform_destroy,
};
REGISTER_DEVICE(platform_ops);
