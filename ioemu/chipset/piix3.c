/*
 * PIIX3 ISA bridge, function 0 (Intel 82371SB datasheet 290550, 2.2): PIRQ routing.  The
 * other registers keep what is written.  The interrupt controllers and timers of the chip
 * are in the hypervisor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "../../devmodel/device.h"

enum {
    PIRQRCA = 0x60,
    PIRQS = 4,
    PIRQ_OFF = 1 << 7,
    PIRQ_IRQ = 0xf,
};

struct piix3 {
    struct pci_device pci;
};

static void route(struct piix3 *s)
{
    for (unsigned n = 0; n < PIRQS; n++) {
        uint8_t value = s->pci.config[PIRQRCA + n];
        machine_route_pirq(&s->pci.dev, n, value & PIRQ_OFF ? 0 : value & PIRQ_IRQ);
    }
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    if (offset < PIRQRCA + PIRQS && offset + size > PIRQRCA)
        route((struct piix3 *)pci);
}

static void piix3_reset(struct device *dev)
{
    static const struct {
        uint8_t offset, value;
    } defaults[] = {
        {0x04, 0x07}, {0x07, 0x02}, /* always decodes; medium DEVSEL */
        {0x4c, 0x4d}, {0x4e, 0x03}, {0x60, 0x80}, {0x61, 0x80}, {0x62, 0x80},
        {0x63, 0x80}, {0x69, 0x02}, {0x70, 0x80}, {0x76, 0x0c}, {0x77, 0x0c},
        {0x78, 0x02}, {0xa0, 0x08}, {0xa8, 0x0f},
    };
    struct piix3 *s = (struct piix3 *)dev;

    /* After S3 the firmware of Xen's platform does not route the links again. */
    if (machine_asleep(dev) && machine_board(dev)->xenfv)
        return;
    memset(&s->pci.config[0x40], 0, 0xc0);
    for (unsigned i = 0; i < ARRAY_LEN(defaults); i++)
        s->pci.config[defaults[i].offset] = defaults[i].value;
    route(s);
}

static int piix3_create(struct device *dev, struct error *error)
{
    struct piix3 *s = (struct piix3 *)dev;

    pci_setup(&s->pci, &(struct pci_ids){
                           .vendor = 0x8086,
                           .device = 0x7000,
                           .subsystem_vendor = 0x1af4,
                           .subsystem = 0x1100,
                           .class_code = 0x060100,
                       });
    s->pci.config[0x0e] = 0x80; /* more functions */
    s->pci.writable[0x04] = 0x08;
    s->pci.writable[0x0c] = 0;
    s->pci.writable[0x3c] = 0;
    memset(&s->pci.writable[0x40], 0xff, 0xc0);
    for (unsigned n = 0; n < PIRQS; n++)
        s->pci.writable[PIRQRCA + n] = PIRQ_OFF | PIRQ_IRQ;
    s->pci.config_written = config_written;
    return 0;
}

static int piix3_state(struct device *dev, struct state *state)
{
    struct piix3 *s = (struct piix3 *)dev;
    int err = pci_state(&s->pci, state);

    if (!err && state_loading(state))
        route(s);
    return err;
}

static int piix3_load(struct device *dev, struct state *state, uint32_t version)
{
    return piix3_state(dev, state);
}

static const struct device_ops piix3_ops = {
    .name = "piix3-isa",
    .bus = BUS_PCI,
    .size = sizeof(struct piix3),
    .version = 1,
    .create = piix3_create,
    .reset = piix3_reset,
    .save = piix3_state,
    .load = piix3_load,
};
REGISTER_DEVICE(piix3_ops);
