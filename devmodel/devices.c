/*
 * Which device types exist (a linker set), and making one from its options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

/* Bounds of the linker set that REGISTER_DEVICE fills; weak: a test may link no device.
 */
extern const struct device_ops *const __start_corbel_devices[] __attribute__((weak));
extern const struct device_ops *const __stop_corbel_devices[] __attribute__((weak));

const struct device_ops *device_find(const char *name)
{
    for (const struct device_ops *const *at = __start_corbel_devices;
         at != __stop_corbel_devices; at++) {
        if (strcmp((*at)->name, name) == 0 ||
            ((*at)->alias && !strcmp((*at)->alias, name)))
            return *at;
    }
    return NULL;
}

void device_list(void (*each)(const struct device_ops *ops, void *opaque), void *opaque)
{
    for (const struct device_ops *const *at = __start_corbel_devices;
         at != __stop_corbel_devices; at++)
        each(*at, opaque);
}

struct device *device_by_id(struct machine *m, const char *id)
{
    for (struct device *dev = m->devices; dev; dev = dev->next) {
        if (strcmp(dev->id, id) == 0)
            return dev;
    }
    return NULL;
}

static int choose_id(struct machine *m, struct device *dev, const char *id,
                     struct error *error)
{
    if (id) {
        if (strlen(id) >= sizeof(dev->id))
            return error_set(error, -ENAMETOOLONG, "id '%s' is too long", id);
        if (device_by_id(m, id))
            return error_set(error, -EEXIST, "two devices with id '%s'", id);
        strcpy(dev->id, id);
        return 0;
    }
    for (unsigned n = 0;; n++) {
        char name[sizeof(dev->id)];
        if (n)
            snprintf(name, sizeof(name), "%.20s.%u", dev->ops->name, n);
        else
            snprintf(name, sizeof(name), "%.31s", dev->ops->name);
        if (!device_by_id(m, name)) {
            strcpy(dev->id, name);
            return 0;
        }
    }
}

/* addr=SLOT[.FUNCTION], both hexadecimal as in QEMU; without it the first free slot
 * from 2. */
static int choose_address(struct machine *m, struct pci_device *pci, struct options *o,
                          struct error *error)
{
    const char *addr = options_take(o, "addr");
    const char *bus = options_take(o, "bus");
    unsigned slot, function = 0;
    int end = 0;

    options_take(o, "multifunction"); /* functions find each other by address */
    if (bus && strcmp(bus, "pci.0") != 0 && strcmp(bus, "pci") != 0)
        return error_set(error, -ENODEV, "'%s': there is no PCI bus '%s'", o->text, bus);
    if (addr) {
        if (sscanf(addr, "%x%n.%x%n", &slot, &end, &function, &end) < 1 || addr[end] ||
            slot > 31 || function > 7)
            return error_set(error, -EINVAL, "'%s': addr=%s is not SLOT or SLOT.FUNCTION",
                             o->text, addr);
        pci->devfn = (uint8_t)PCI_DEVFN(slot, function);
        return 0;
    }
    for (slot = 2; slot < 32; slot++) {
        bool free_slot = true;
        for (function = 0; function < 8; function++)
            free_slot &= !m->pci[PCI_DEVFN(slot, function)];
        if (free_slot) {
            pci->devfn = (uint8_t)PCI_DEVFN(slot, 0);
            return 0;
        }
    }
    return error_set(error, -ENOSPC, "'%s': the PCI bus is full", o->text);
}

/* bus=ide.N,unit=N of a drive. */
static int choose_unit(struct machine *m, struct device *dev, struct options *o,
                       struct error *error)
{
    const char *bus = options_take(o, "bus"), *unit_text = options_take(o, "unit");
    uint64_t unit = 0;
    bool taken[4] = {false};

    for (struct device *d = m->devices; d; d = d->next) {
        if (d->ops->bus == BUS_IDE)
            taken[d->unit & 3] = true;
        if (!dev->parent && strstr(d->ops->name, "-ide"))
            dev->parent = d;
    }
    if (!dev->parent)
        return error_set(error, -ENODEV, "'%s': the machine has no IDE controller",
                         o->text);
    if (unit_text && (parse_u64(unit_text, &unit) || unit > 1))
        return error_set(error, -EINVAL, "'%s': unit=%s is not 0 or 1", o->text,
                         unit_text);
    if (!bus) {
        unsigned n = 0;
        while (n < 4 && (taken[n] || (unit_text && n % 2 != unit)))
            n++;
        if (n == 4)
            return error_set(error, -ENOSPC, "'%s': all IDE places are taken", o->text);
        dev->unit = (int)n;
        return 0;
    }
    if (strcmp(bus, "ide.0") != 0 && strcmp(bus, "ide.1") != 0)
        return error_set(error, -ENODEV, "'%s': there is no bus '%s'", o->text, bus);
    unsigned channel = (unsigned)(bus[4] - '0');
    if (!unit_text && taken[channel * 2])
        unit = 1;
    dev->unit = (int)(channel * 2 + unit);
    if (taken[dev->unit])
        return error_set(error, -EBUSY, "'%s': IDE unit %u of %s is in use", o->text,
                         (unsigned)unit, bus);
    return 0;
}

static int place(struct machine *m, struct device *dev, struct options *o,
                 struct error *error)
{
    switch (dev->ops->bus) {
    case BUS_PCI:
        dev->pci = to_pci(dev);
        return choose_address(m, dev->pci, o, error);
    case BUS_IDE:
        return choose_unit(m, dev, o, error);
    case BUS_SYSTEM:
        break;
    }
    return 0;
}

void device_set_global(struct machine *m, const struct device_global *global)
{
    m->globals = must_realloc(m->globals, (m->global_count + 1) * sizeof(*m->globals));
    m->globals[m->global_count++] = *global;
}

/* Give the device what -global says and its own options do not. */
static void add_globals(const struct machine *m, const struct device_ops *ops,
                        struct options *o)
{
    for (unsigned i = 0; i < m->global_count; i++) {
        const struct device_global *g = &m->globals[i];
        if (strcmp(g->driver, ops->name) != 0 || options_peek(o, g->name))
            continue;
        o->list = must_realloc(o->list, (o->count + 1) * sizeof(*o->list));
        o->list[o->count++] =
            (struct option){must_strdup(g->name), must_strdup(g->value), false};
    }
}

static int create(struct machine *m, struct device *dev, struct options *o,
                  struct error *error)
{
    const char *bootindex = options_take(o, "bootindex");
    uint64_t index = 0;
    int err = choose_id(m, dev, options_take(o, "id"), error);

    dev->bootindex = -1;
    if (!err && bootindex && (parse_u64(bootindex, &index) || index > 0xffff))
        err = error_set(error, -EINVAL, "'%s': bootindex=%s is not a number", o->text,
                        bootindex);
    if (!err && bootindex)
        dev->bootindex = (int)index;
    if (!err)
        err = place(m, dev, o, error);
    if (!err)
        err = options_apply(o, dev->ops->options, dev, m, error);
    if (!err)
        err = options_check_used(o, dev->ops->name, error);
    if (!err && dev->pci)
        err = pci_plug(dev->pci, error);
    if (err)
        return err;
    error->text[0] = 0;
    err = dev->ops->create(dev, error);
    if (err) {
        if (!error->text[0])
            error_set(error, err, "cannot create device %s: %s", dev->id, strerror(-err));
        if (dev->pci) {
            pci_unplug(dev->pci);
            pci_free(dev->pci);
        }
    }
    return err;
}

int device_add(struct machine *m, struct options *o, struct error *error,
               struct device **made)
{
    const char *name = options_take(o, "driver");

    if (!name)
        return error_set(error, -EINVAL, "'%s': which device?", o->text);
    const struct device_ops *ops = device_find(name);
    if (!ops)
        return error_set(error, -ENODEV, "there is no device '%s' in this device model",
                         name);
    struct device *dev = must_alloc(ops->size);
    dev->ops = ops;
    dev->machine = m;
    add_globals(m, ops, o);
    int err = create(m, dev, o, error);
    if (err) {
        free(dev);
        return err;
    }
    dev->next = m->devices;
    m->devices = dev;
    if (ops->reset)
        ops->reset(dev);
    if (made)
        *made = dev;
    return 0;
}

int device_add_text(struct machine *m, struct error *error, const char *format, ...)
{
    char text[1024];
    struct options o;
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof(text))
        return error_set(error, -ENAMETOOLONG, "'%.60s...' is too long", text);
    int err = options_parse(&o, text, "driver", error);
    if (err)
        return err;
    err = device_add(m, &o, error, NULL);
    options_free(&o);
    return err;
}

void machine_unplug(struct device *asker, bool disks, bool nics)
{
    struct machine *m = asker->machine;

    block_drain_all(m);
    for (struct device *dev = m->devices; dev; dev = dev->next) {
        if (nics && dev->pci && !dev->pci->gone && pci_is_network(dev->pci))
            pci_leave(dev->pci);
        else if (disks && dev->ops->unplug)
            dev->ops->unplug(dev);
    }
}

void device_remove(struct device *dev)
{
    struct device **at = &dev->machine->devices;

    while (*at != dev)
        at = &(*at)->next;
    *at = dev->next;
    if (dev->ops->destroy)
        dev->ops->destroy(dev);
    if (dev->pci) {
        pci_unplug(dev->pci);
        pci_free(dev->pci);
    }
    free(dev);
}

void device_remove_all(struct machine *m)
{
    while (m->devices)
        device_remove(m->devices);
}
