/*
 * PCI devices that come and go while the guest runs, slot by slot.  The guest hears of it
 * by ACPI: the chipset has the registers (ioemu/chipset/pci_hotplug.c), the tables the
 * methods.  A device that comes is there at once; one that shall go stays until the guest
 * gives its slot free, or the machine is reset.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

#define FUNCTIONS 8

struct pci_slots *machine_pci_slots(struct device *dev)
{
    return &dev->machine->slots;
}

static uint32_t slot_bit(const struct pci_device *pci)
{
    return 1u << (pci->devfn >> 3);
}

uint32_t pci_removable(const struct machine *m)
{
    uint32_t slots = UINT32_MAX;

    for (unsigned devfn = 0; devfn < ARRAY_LEN(m->pci); devfn++) {
        if (m->pci[devfn] && !m->pci[devfn]->dev.ops->hotplug)
            slots &= ~slot_bit(m->pci[devfn]);
    }
    return slots;
}

uint32_t machine_pci_removable(const struct device *dev)
{
    return pci_removable(dev->machine);
}

/* Whoever asked hears that it is gone. */
static void remove_device(struct device *dev)
{
    struct machine *m = dev->machine;
    char path[64] = "/machine/peripheral/";
    json_t *data;

    strncat(path, dev->id, sizeof(path) - strlen(path) - 1);
    data = json_pack("{s:s, s:s}", "device", dev->id, "path", path);
    device_remove(dev);
    control_event(m, "DEVICE_DELETED", data);
}

static void empty_slots(struct machine *m, uint32_t slots)
{
    slots &= pci_removable(m);
    for (unsigned devfn = 0; devfn < ARRAY_LEN(m->pci); devfn++) {
        if (m->pci[devfn] && slots & slot_bit(m->pci[devfn]))
            remove_device(&m->pci[devfn]->dev);
    }
    m->slots.came &= ~slots;
    m->slots.leaving &= ~slots;
}

void machine_pci_eject(struct device *dev, uint32_t slots)
{
    empty_slots(dev->machine, slots);
}

void hotplug_reset(struct machine *m)
{
    empty_slots(m, m->slots.leaving);
    m->slots.came = 0;
}

static int can_tell(const struct machine *m, struct error *error)
{
    if (m->power && m->power->slots_changed)
        return 0;
    return error_set(error, -ENOTSUP,
                     "this machine cannot tell its guest of devices: it has no ACPI");
}

static int check_type(const char *name, struct error *error)
{
    const struct device_ops *ops = name ? device_find(name) : NULL;

    if (!ops)
        return error_set(error, -ENODEV, "there is no device '%s' in this device model",
                         name ? name : "");
    if (ops->bus != BUS_PCI || !ops->hotplug)
        return error_set(error, -ENOTSUP,
                         "a %s cannot come while the machine exists: virtio-blk-pci, "
                         "virtio-net-pci, virtio-tablet-pci, e1000 and rtl8139 can",
                         ops->name);
    return 0;
}

/* A guest looks for function 0 of an empty slot. */
static int check_place(const struct device *dev, struct error *error)
{
    unsigned slot = dev->pci->devfn >> 3, others = 0;

    for (unsigned function = 1; function < FUNCTIONS; function++)
        others += dev->machine->pci[PCI_DEVFN(slot, function)] != NULL;
    if (dev->pci->devfn & 7 || others)
        return error_set(error, -EBUSY,
                         "%s: a device that comes later needs an empty slot, and its "
                         "function 0",
                         dev->id);
    return 0;
}

int machine_hot_add(struct machine *m, struct options *o, struct error *error)
{
    struct device *dev;
    int err = can_tell(m, error);

    if (!err)
        err = check_type(options_peek(o, "driver"), error);
    if (!err)
        err = device_add(m, o, error, &dev);
    if (err)
        return err;
    err = check_place(dev, error);
    if (err) {
        device_remove(dev);
        return err;
    }
    if (m->running && dev->ops->start)
        dev->ops->start(dev);
    m->slots.came |= slot_bit(dev->pci);
    m->power->slots_changed(m->power_opaque);
    return 0;
}

int machine_hot_remove(struct machine *m, const char *id, struct error *error)
{
    struct device *dev = device_by_id(m, id);
    int err = can_tell(m, error);

    if (err)
        return err;
    if (!dev)
        return error_set(error, -ENOENT, "there is no device '%s'", id);
    if (!dev->pci || !(pci_removable(m) & slot_bit(dev->pci)))
        return error_set(error, -ENOTSUP, "device '%s' cannot leave its machine", id);
    if (m->slots.leaving & slot_bit(dev->pci))
        return error_set(error, -EBUSY, "device '%s' was asked to leave already", id);
    m->slots.leaving |= slot_bit(dev->pci);
    m->power->slots_changed(m->power_opaque);
    return 0;
}
