/*
 * PCI hotplug as QEMU's PIIX4 has it, for bus 0 (QEMU's docs/specs/acpi_pci_hotplug):
 * which slots were filled, which shall be emptied, which can be; and a register by which
 * the tables' _EJ0 gives a slot free.  The event itself is a general purpose one of the
 * chip.
 *
 * Left out: selecting another bus than 0 (port 0xae10 is there and does nothing), and the
 * index of a device.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pci_hotplug.h"

enum {
    PORT_BASE = 0xae00,
    PORT_BYTES = 0x14,

    SLOTS_UP = 0x00, /* one bit each */
    SLOTS_DOWN = 0x04,
    SLOTS_EJECT = 0x08, /* reading: features, none */
    SLOTS_REMOVABLE = 0x0c,
};

static uint64_t hotplug_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct pci_hotplug *h = opaque;
    struct pci_slots *slots = machine_pci_slots(h->dev);
    uint32_t value = 0;

    switch (offset) {
    case SLOTS_UP:
        value = slots->came;
        if (!h->keeps)
            slots->came = 0;
        break;
    case SLOTS_DOWN:
        value = slots->leaving;
        break;
    case SLOTS_REMOVABLE:
        value = machine_pci_removable(h->dev);
        break;
    default:
        break;
    }
    return value;
}

static void hotplug_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    const struct pci_hotplug *h = opaque;

    if (offset == SLOTS_EJECT && size == 4)
        machine_pci_eject(h->dev, (uint32_t)value);
}

static const struct io_ops hotplug_ops = {
    .read = hotplug_read,
    .write = hotplug_write,
    .max_size = 4,
    .min_size = 4,
};

int pci_hotplug_init(struct pci_hotplug *h, struct device *dev, bool keeps)
{
    h->dev = dev;
    h->keeps = keeps;
    io_region_init(&h->region, dev, "pci-hotplug", IO_PORT, PORT_BYTES, &hotplug_ops, h);
    return io_region_map(&h->region, PORT_BASE);
}

void pci_hotplug_state(struct pci_hotplug *h, struct state *state)
{
    struct pci_slots *slots = machine_pci_slots(h->dev);

    state_u32(state, "slots-came", &slots->came);
    state_u32(state, "slots-leaving", &slots->leaving);
}

void pci_hotplug_fini(struct pci_hotplug *h)
{
    io_region_unmap(&h->region);
}
