/*
 * Intel 82540EM gigabit Ethernet (8086:100e): the PCI function, its registers and
 * interrupts; see e1000.h for the manual and the other files.
 * Left out: wake-up, flash, jumbo frames above 16 KiB, receive checksums, flow control
 * (the registers are there), and delays of single interrupts (RDTR, RADV, TIDV, TADV);
 * throttling of all interrupts (ITR) works.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "e1000.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MMIO_BYTES = 0x20000,
    PORT_BYTES = 64,
    PORT_ADDRESS = 0,
    PORT_DATA = 4,
    ITR_UNIT_NS = 256,
    RING_LOW_MASK = 0xfffffff0,
    RING_LENGTH_MASK = 0xfff80,
    INDEX_MASK = 0xffff,
    VET_DEFAULT = 0x8100,
    PBA_DEFAULT = 0x00100030,
    CTRL_DEFAULT =
        0x00140241, /* 1000 Mbit/s, full duplex, link up; pins as on the board */
    STATUS_FIXED = (int)0x80080700 | STATUS_FULL_DUPLEX | STATUS_SPEED_1000,
};

/* ---- interrupts ---------------------------------------------------------------------
 */

/* ITR is the least time between two interrupts (13.4.18). */
static void update_irq(struct e1000 *e)
{
    bool wanted = e1000_get(e, ICR) & e1000_get(e, IMS);

    if (!wanted) {
        pci_intx(&e->pci, false);
        return;
    }
    if (vtimer_armed(&e->throttle))
        return; /* it looks again when it expires */
    if (!e->pci.intx && e1000_get(e, ITR))
        vtimer_set(&e->throttle, clock_now(&e->pci.dev) +
                                     (int64_t)(e1000_get(e, ITR) & 0xffff) * ITR_UNIT_NS);
    pci_intx(&e->pci, true);
}

static void throttle_expired(void *opaque)
{
    update_irq(opaque);
}

void e1000_interrupt(struct e1000 *e, uint32_t causes)
{
    *e1000_reg(e, ICR) |= causes;
    update_irq(e);
}

static uint32_t read_icr(struct e1000 *e)
{
    uint32_t causes = e1000_get(e, ICR);

    *e1000_reg(e, ICR) = 0;
    update_irq(e);
    return causes;
}

/* ---- link, statistics ---------------------------------------------------------------
 */

void e1000_set_link(struct e1000 *e, bool up)
{
    uint32_t old = e1000_get(e, STATUS);

    *e1000_reg(e, STATUS) = (uint32_t)STATUS_FIXED | (up ? STATUS_LINK_UP : 0u);
    e1000_phy_link(e, up);
    if (old != e1000_get(e, STATUS))
        e1000_interrupt(e, INT_LSC);
}

/* Counters stay at their largest value (13.7). */
void e1000_count(struct e1000 *e, unsigned offset, uint32_t by)
{
    uint32_t *at = e1000_reg(e, offset);

    *at = UINT32_MAX - *at < by ? UINT32_MAX : *at + by;
}

void e1000_count64(struct e1000 *e, unsigned offset, uint64_t by)
{
    uint32_t *low = e1000_reg(e, offset), *high = e1000_reg(e, offset + 4);
    uint64_t value = ((uint64_t)*high << 32 | *low) + by;

    *low = (uint32_t)value;
    *high = (uint32_t)(value >> 32);
}

unsigned e1000_size_class(size_t bytes)
{
    static const uint16_t limits[] = {64, 127, 255, 511, 1023};
    unsigned n = 0;

    while (n < ARRAY_LEN(limits) && bytes > limits[n])
        n++;
    return n * 4;
}

static bool is_high_half(unsigned offset)
{
    return offset == GORCL + 4 || offset == GOTCL + 4 || offset == TORL + 4 ||
           offset == TOTL + 4;
}

static bool is_low_half(unsigned offset)
{
    return offset == GORCL || offset == GOTCL || offset == TORL || offset == TOTL;
}

static uint32_t read_statistic(struct e1000 *e, unsigned offset)
{
    uint32_t value = e1000_get(e, offset);

    /* Of 64-bit counters the upper half is read last and clears both. */
    if (!is_low_half(offset))
        *e1000_reg(e, offset) = 0;
    if (is_high_half(offset))
        *e1000_reg(e, offset - 4) = 0;
    return value;
}

/* ---- registers ----------------------------------------------------------------------
 */

static void load_address(struct e1000 *e)
{
    *e1000_reg(e, RA) = load_le32(e->mac);
    *e1000_reg(e, RA + 4) = load_le16(e->mac + 4) | 1u << 31;
}

static void reset_registers(struct e1000 *e)
{
    memset(e->reg, 0, sizeof(e->reg));
    *e1000_reg(e, CTRL) = CTRL_DEFAULT;
    *e1000_reg(e, STATUS) =
        (uint32_t)STATUS_FIXED | (e->net && net_link_up(e->net) ? STATUS_LINK_UP : 0u);
    *e1000_reg(e, VET) = VET_DEFAULT;
    *e1000_reg(e, PBA) = PBA_DEFAULT;
    *e1000_reg(e, LEDCTL) = 0x07061302;
    e->eecd = 0;
    e->eeprom_in = e->eeprom_in_bits = 0;
    e->eeprom_reading = false;
    e->eeprom_out = 0;
    e->port_address = 0;
    load_address(e);
    e1000_tx_reset(e);
    deferred_cancel(&e->more_tx);
    vtimer_cancel(&e->throttle);
    update_irq(e);
}

static void write_ctrl(struct e1000 *e, uint32_t value)
{
    if (value & CTRL_RESET) {
        reset_registers(e);
        return;
    }
    if (value & CTRL_PHY_RESET)
        e1000_phy_reset(e);
    *e1000_reg(e, CTRL) = value & ~(uint32_t)(CTRL_RESET | CTRL_PHY_RESET);
}

static void accept_input(struct e1000 *e)
{
    if (e->net)
        net_accept_input(e->net);
}

/* Registers that are only kept, as far as these bits exist. */
static void store(struct e1000 *e, unsigned offset, uint32_t value)
{
    switch (offset) {
    case STATUS:
    case EERD:
    case MDIC:
        return;
    case RDBAL:
    case TDBAL:
        value &= RING_LOW_MASK;
        break;
    case RDLEN:
    case TDLEN:
        value &= RING_LENGTH_MASK;
        break;
    case RDH:
    case RDT:
    case TDH:
    case TDT:
    case VET:
    case ITR:
        value &= INDEX_MASK;
        break;
    default:
        break;
    }
    *e1000_reg(e, offset) = value;
}

static void register_write(struct e1000 *e, unsigned offset, uint32_t value)
{
    switch (offset) {
    case CTRL:
    case CTRL + 4: /* the same register again */
        write_ctrl(e, value);
        break;
    case EECD:
        e1000_eecd_write(e, value);
        break;
    case EERD:
        *e1000_reg(e, EERD) = e1000_eerd_write(e, value);
        break;
    case MDIC:
        *e1000_reg(e, MDIC) = e1000_mdic_write(e, value);
        break;
    case ICR:
        *e1000_reg(e, ICR) &= ~value;
        update_irq(e);
        break;
    case ICS:
        e1000_interrupt(e, value & 0xffff);
        break;
    case IMS:
        *e1000_reg(e, IMS) |= value & 0xffff;
        update_irq(e);
        break;
    case IMC:
        *e1000_reg(e, IMS) &= ~value;
        update_irq(e);
        break;
    case RCTL:
    case RDT:
        store(e, offset, value);
        accept_input(e);
        break;
    case TCTL:
    case TDT:
        store(e, offset, value);
        e1000_transmit(e);
        break;
    default:
        if (offset < STATS_FIRST || offset >= STATS_END)
            store(e, offset, value);
        break;
    }
}

static uint32_t register_read(struct e1000 *e, unsigned offset)
{
    switch (offset) {
    case CTRL + 4:
        return e1000_get(e, CTRL);
    case EECD:
        return e1000_eecd_read(e);
    case ICR:
        return read_icr(e);
    case ICS:
        return e1000_get(e, ICR);
    case IMC:
        return 0;
    default:
        break;
    }
    if (offset >= STATS_FIRST && offset < STATS_END)
        return read_statistic(e, offset);
    return e1000_get(e, offset);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    return offset < E1000_REG_BYTES ? register_read(opaque, (unsigned)offset & ~3u) : 0;
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    /* Only whole registers can be written (4.1). */
    if (size == 4 && offset % 4 == 0 && offset < E1000_REG_BYTES)
        register_write(opaque, (unsigned)offset, (uint32_t)value);
}

static const struct io_ops mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .max_size = 4,
    .min_size = 4,
};

/* IOADDR and IODATA: the registers through two ports (4.1.2). */
static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct e1000 *e = opaque;

    if (offset == PORT_ADDRESS)
        return e->port_address;
    if (offset == PORT_DATA && size == 4 && e->port_address < E1000_REG_BYTES)
        return register_read(e, e->port_address & ~3u);
    return 0;
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct e1000 *e = opaque;

    if (size != 4)
        return;
    if (offset == PORT_ADDRESS)
        e->port_address = (uint32_t)value;
    else if (offset == PORT_DATA && e->port_address < E1000_REG_BYTES)
        register_write(e, e->port_address & ~3u, (uint32_t)value);
}

static const struct io_ops port_ops = {.read = port_read, .write = port_write};

/* ---- life cycle ---------------------------------------------------------------------
 */

static struct e1000 *to_e1000(struct device *dev)
{
    return container_of(to_pci(dev), struct e1000, pci);
}

static void e1000_reset(struct device *dev)
{
    struct e1000 *e = to_e1000(dev);

    e1000_phy_reset(e);
    reset_registers(e);
}

static void more_tx(void *opaque)
{
    e1000_transmit(opaque);
}

static int e1000_create(struct device *dev, struct error *error)
{
    static const struct pci_ids ids = {
        .vendor = 0x8086,
        .device = 0x100e,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0x020000,
        .revision = 3,
        .interrupt_pin = 1,
    };
    struct e1000 *e = to_e1000(dev);
    int err = 0;

    if (mac_is_zero(e->mac))
        default_mac(dev, e->mac);
    if (e->mac[0] & 1)
        return error_set(error, -EINVAL, "%s: the MAC address is a multicast address",
                         dev->id);
    pci_setup(&e->pci, &ids);
    io_region_init(&e->mmio, dev, "e1000", IO_MEM, MMIO_BYTES, &mmio_ops, e);
    io_region_init(&e->ports, dev, "e1000-ports", IO_PORT, PORT_BYTES, &port_ops, e);
    pci_bar_region(&e->pci, 0, &e->mmio, 0);
    pci_bar_region(&e->pci, 1, &e->ports, 0);
    vtimer_init(&e->throttle, dev, throttle_expired, e);
    deferred_init(&e->more_tx, dev, more_tx, e);
    if (*e->rom_file)
        err = pci_rom_file(&e->pci, e->rom_file, error);
    if (!err && e->net && (err = net_attach(e->net, &e1000_front, e)))
        error_set(error, err, "%s: that netdev belongs to another device", dev->id);
    e1000_eeprom_init(e);
    return err;
}

static void e1000_destroy(struct device *dev)
{
    struct e1000 *e = to_e1000(dev);

    if (e->net)
        net_detach(e->net);
    vtimer_cancel(&e->throttle);
    deferred_cancel(&e->more_tx);
}

static void e1000_start(struct device *dev)
{
    struct e1000 *e = to_e1000(dev);

    e1000_transmit(e);
    accept_input(e);
}

static int context_state(struct state *state, struct e1000_context *c)
{
    state_u8(state, "ipcss", &c->ipcss);
    state_u8(state, "ipcso", &c->ipcso);
    state_u16(state, "ipcse", &c->ipcse);
    state_u8(state, "tucss", &c->tucss);
    state_u8(state, "tucso", &c->tucso);
    state_u16(state, "tucse", &c->tucse);
    state_u8(state, "command", &c->command);
    state_u8(state, "header-bytes", &c->header_bytes);
    state_u16(state, "mss", &c->mss);
    return state_u32(state, "payload-bytes", &c->payload_bytes);
}

static int e1000_state(struct e1000 *e, struct state *state)
{
    uint32_t frame_bytes = e->frame_bytes;
    uint8_t raw[sizeof(e->reg)];

    pci_state(&e->pci, state);
    for (unsigned i = 0; i < ARRAY_LEN(e->reg); i++)
        store_le32(raw + i * 4, e->reg[i]);
    state_bytes(state, "registers", raw, sizeof(raw));
    for (unsigned i = 0; i < ARRAY_LEN(e->reg); i++)
        e->reg[i] = load_le32(raw + i * 4);
    state_u32(state, "port-address", &e->port_address);
    state_u32(state, "eecd", &e->eecd);
    state_u16(state, "eeprom-in", &e->eeprom_in);
    state_u8(state, "eeprom-in-bits", &e->eeprom_in_bits);
    state_bool(state, "eeprom-reading", &e->eeprom_reading);
    state_u16(state, "eeprom-out", &e->eeprom_out);
    for (unsigned i = 0; i < E1000_PHY_REGS; i++)
        state_u16(state, "phy", &e->phy[i]);
    state_vtimer(state, "throttle", &e->throttle);
    for (unsigned i = 0; i < ARRAY_LEN(e->context); i++)
        context_state(state, &e->context[i]);
    state_range(state, "frame-bytes", &frame_bytes, 0, sizeof(e->frame));
    e->frame_bytes = frame_bytes <= sizeof(e->frame) ? frame_bytes : 0;
    state_bytes(state, "frame", e->frame, e->frame_bytes);
    state_bool(state, "frame-too-long", &e->frame_too_long);
    state_bool(state, "frame-segment", &e->frame_segment);
    state_bool(state, "frame-ip-sum", &e->frame_ip_sum);
    state_bool(state, "frame-tu-sum", &e->frame_tu_sum);
    state_bool(state, "frame-vlan", &e->frame_vlan);
    return state_u16(state, "frame-tag", &e->frame_tag);
}

static int e1000_save(struct device *dev, struct state *state)
{
    return e1000_state(to_e1000(dev), state);
}

static int e1000_load(struct device *dev, struct state *state, uint32_t version)
{
    struct e1000 *e = to_e1000(dev);
    int err = e1000_state(e, state);

    if (!err)
        update_irq(e);
    return err;
}

static const struct option_desc e1000_options[] = {
    OPTION("netdev", NET, struct e1000, net, NULL, "back end; none: the link is down"),
    OPTION("mac", MAC, struct e1000, mac, NULL, "address; none: from the machine's UUID"),
    OPTION("romfile", STRING, struct e1000, rom_file, "efi-e1000.rom", "network boot"),
    OPTION("bootindex", IGNORE, struct e1000, mac, NULL, "-boot decides"),
    {0},
};

static const struct device_ops e1000_ops = {
    .name = "e1000",
    .alias = "e1000-82540em",
    .bus = BUS_PCI,
    .hotplug = true,
    .size = sizeof(struct e1000),
    .version = 1,
    .options = e1000_options,
    .create = e1000_create,
    .reset = e1000_reset,
    .start = e1000_start,
    .save = e1000_save,
    .load = e1000_load,
    .destroy = e1000_destroy,
};

REGISTER_DEVICE(e1000_ops);
