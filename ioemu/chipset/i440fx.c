/*
 * 82441FX PCI and memory controller (PMC), Intel datasheet 290549: configuration
 * mechanism #1 (3.1), the host bridge's own registers (3.2), PAM shadowing.  The DRAM
 * timing and error registers hold what is written and do nothing.
 *
 * The reset control register (0xCF9) belongs to the PIIX3 on real boards
 * (82371SB, 2.5.4); it is here because it lies inside the dword of CONFIG_ADDRESS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "../../devmodel/device.h"
#include "../../devmodel/pci_host.h"

enum {
    PORT_CONFIG = 0xcf8,
    ADDRESS = 0, /* offsets in the region */
    RESET_CONTROL = 1,
    DATA = 4,

    RESET_SYSTEM = 1 << 1, /* hard rather than soft */
    RESET_CPU = 1 << 2,    /* 0 to 1: do it */

    PMCCFG = 0x50,
    PAM0 = 0x59,
    PAM_REGISTERS = 7,
    SMRAM = 0x72,
    SMRAM_LOCK = 1 << 4,
    PAM_READ = 1,
    PAM_WRITE = 2,
};

struct i440fx {
    struct pci_device pci;
    struct io_region ports;
    uint32_t address;
    uint8_t reset_control;
};

/*
 * Register for an access to CONFIG_DATA.  The chip ignores the low two bits of
 * CONFIG_ADDRESS; software that leaves them in and reads at the data port's start expects
 * them to count.
 */
static unsigned config_offset(const struct i440fx *s, uint64_t offset)
{
    return (s->address & 0xff) | (unsigned)(offset - DATA);
}

static uint64_t config_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i440fx *s = opaque;

    if (offset >= DATA) {
        if (!(s->address >> 31))
            return UINT32_MAX;
        return pci_host_read(&s->pci.dev, s->address >> 8 & 0xffff,
                             config_offset(s, offset), size);
    }
    if (offset == RESET_CONTROL && size == 1)
        return s->reset_control;
    return s->address >> (offset * 8);
}

static void write_reset_control(struct i440fx *s, uint8_t value)
{
    bool rises = value & RESET_CPU && !(s->reset_control & RESET_CPU);

    s->reset_control = value & (RESET_SYSTEM | RESET_CPU);
    if (rises)
        machine_reset_request(&s->pci.dev, "port 0xcf9");
}

static void config_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i440fx *s = opaque;

    if (offset >= DATA) {
        if (s->address >> 31)
            pci_host_write(&s->pci.dev, s->address >> 8 & 0xffff,
                           config_offset(s, offset), size, (uint32_t)value);
    } else if (offset == ADDRESS && size == 4) {
        s->address = (uint32_t)value & 0x80ffffff;
    } else if (offset == RESET_CONTROL && size == 1) {
        write_reset_control(s, (uint8_t)value);
    }
}

static const struct io_ops config_ops = {
    .read = config_read,
    .write = config_write,
};

/* Tell the machine who answers in each area (3.2.18, table 5). */
static void update_pam(struct i440fx *s)
{
    for (unsigned n = 0; n < PAM_REGISTERS; n++) {
        uint8_t pam = s->pci.config[PAM0 + n];
        uint8_t low = pam & 0xf, high = pam >> 4;
        if (n == 0) {
            machine_set_pam(&s->pci.dev, 0xf0000, 0x10000, high & PAM_READ,
                            high & PAM_WRITE);
            continue;
        }
        uint32_t base = 0xc0000 + (n - 1) * 0x8000;
        machine_set_pam(&s->pci.dev, base, 0x4000, low & PAM_READ, low & PAM_WRITE);
        machine_set_pam(&s->pci.dev, base + 0x4000, 0x4000, high & PAM_READ,
                        high & PAM_WRITE);
    }
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct i440fx *s = (struct i440fx *)pci;

    if (offset < PAM0 + PAM_REGISTERS && offset + size > PAM0)
        update_pam(s);
    /* D_LCK cannot be taken back and makes the rest read-only. */
    if (pci->config[SMRAM] & SMRAM_LOCK)
        pci->writable[SMRAM] = 0;
}

static void i440fx_reset(struct device *dev)
{
    struct i440fx *s = (struct i440fx *)dev;
    uint8_t *config = s->pci.config;

    s->address = 0;
    s->reset_control = 0;
    pci_set16(&s->pci, 0x04, 0x0006); /* memory and bus mastering are always on */
    pci_set16(&s->pci, 0x06, 0x0280);
    memset(&config[0x50], 0, 0x44);
    if (machine_board(dev)->cpus > 1)
        config[PMCCFG + 1] = 0x80; /* WSC protocol for several CPUs */
    config[0x53] = 0x80;
    config[0x57] = 0x01;
    config[0x58] = 0x10;
    memset(&config[0x60], 0x01, 8);
    config[0x71] = 0x10;
    config[SMRAM] = 0x02;
    s->pci.writable[SMRAM] = 0x78;
    update_pam(s);
}

static int i440fx_create(struct device *dev, struct error *error)
{
    struct i440fx *s = (struct i440fx *)dev;

    pci_setup(&s->pci, &(struct pci_ids){
                           .vendor = 0x8086,
                           .device = 0x1237,
                           .subsystem_vendor = 0x1af4, /* by this SeaBIOS finds fw_cfg */
                           .subsystem = 0x1100,
                           .class_code = 0x060000,
                           .revision = 2,
                       });
    s->pci.writable[0x04] = 0;
    s->pci.writable[0x05] = 1;
    s->pci.writable[0x0c] = 0;
    s->pci.writable[0x0d] = 0xf8;
    s->pci.writable[0x3c] = 0;
    memset(&s->pci.writable[0x50], 0xff, 0x1a);
    memset(&s->pci.writable[0x60], 0xff, 0x12);
    memset(&s->pci.writable[0x90], 0xff, 4);
    /* The reserved half of PAM0. */
    for (unsigned n = 0; n < PAM_REGISTERS; n++)
        s->pci.writable[PAM0 + n] = n ? 0x33 : 0x30;
    s->pci.config_written = config_written;
    io_region_init(&s->ports, dev, "pci-config", IO_PORT, 8, &config_ops, s);
    return io_region_map(&s->ports, PORT_CONFIG);
}

static int i440fx_state(struct device *dev, struct state *state)
{
    struct i440fx *s = (struct i440fx *)dev;

    pci_state(&s->pci, state);
    state_u32(state, "address", &s->address);
    int err = state_u8(state, "reset-control", &s->reset_control);
    if (!err && state_loading(state))
        config_written(&s->pci, PAM0, 0x20);
    return err;
}

static int i440fx_load(struct device *dev, struct state *state, uint32_t version)
{
    return i440fx_state(dev, state);
}

static void i440fx_destroy(struct device *dev)
{
    io_region_unmap(&((struct i440fx *)dev)->ports);
}

static const struct device_ops i440fx_ops = {
    .name = "i440fx",
    .bus = BUS_PCI,
    .size = sizeof(struct i440fx),
    .version = 1,
    .create = i440fx_create,
    .reset = i440fx_reset,
    .save = i440fx_state,
    .load = i440fx_load,
    .destroy = i440fx_destroy,
};
REGISTER_DEVICE(i440fx_ops);
