/*
 * Realtek RTL8139C+ (10ec:8139, revision 20h), the card that Xen's tools give to a guest
 * that names none: the PCI function, its registers and interrupts; see rtl8139.h for the
 * datasheet and the other files.  Revision 20h makes drivers choose C+ mode; those that
 * only know the older chips (8139too, iPXE, old Windows) use the same card as before.
 * Left out: wake-up, flash, early interrupts, receive checksums, the high priority ring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rtl8139.h"

#include <errno.h>
#include <string.h>

#define TIMER_HZ 33000000 /* of TCTR: the PCI clock */
#define NS       1000000000ll

enum {
    MODE_LOCK = 3 << 6, /* EEM1 and EEM0 of 9346CR: what it takes to write CONFIGn */
    MODE_AUTOLOAD = 1 << 6,
    MODE_PROGRAM = 2 << 6,
    PINS = 0x0e,
    PIN_OUT = 1 << 0,

    BMCR_RESET = 1 << 15,
    BMCR_RESTART = 1 << 9,
    BMCR_DEFAULT = 0x3100, /* negotiate, 100 Mbit/s, full duplex */
    BMSR_DEFAULT = 0x7829, /* all four kinds, negotiation done and able */
    BMSR_LINK = 1 << 2,
    ANAR_DEFAULT = 0x01e1,
    ANLPAR_PARTNER = 0x41e1, /* with its acknowledge */
    ANER_PARTNER = 1 << 0,
    MSR_NO_LINK = 1 << 2,
    MSR_FLOW = 1 << 7,
    CONFIG1_DEFAULT = 0x0c, /* decodes ports and memory */

    TPPOLL_NORMAL = 1 << 6,
    TPPOLL_SOFTWARE = 1 << 0,
    DTCCR_DUMP = 1 << 3,
    COUNTERS_BYTES = 64,
};

/* HWVERID of the C+ (TCR, bits 30..26 and 23..22). */
#define TCR_VERSION 0x74800000u

/* ---- interrupts, timer --------------------------------------------------------------
 */

static void update_irq(struct rtl8139 *s)
{
    pci_intx(&s->pci, rtl8139_get16(s, ISR) & rtl8139_get16(s, IMR));
}

void rtl8139_interrupt(struct rtl8139 *s, uint16_t causes)
{
    store_le16(s->reg + ISR, rtl8139_get16(s, ISR) | causes);
    update_irq(s);
}

static uint32_t timer_count(const struct rtl8139 *s)
{
    int64_t ns = clock_now(&s->pci.dev) - s->timer_base;

    return (uint32_t)((__int128)ns * TIMER_HZ / NS);
}

/* TimerInt of 0 is never reached. */
static void arm_timer(struct rtl8139 *s)
{
    uint32_t at = rtl8139_get(s, TIMERINT), now = timer_count(s);

    vtimer_cancel(&s->timer);
    if (!at)
        return;
    uint64_t left = at > now ? at - now : (1ull << 32) - now + at;
    vtimer_set(&s->timer,
               clock_now(&s->pci.dev) + (int64_t)((__int128)left * NS / TIMER_HZ + 1));
}

static void timer_expired(void *opaque)
{
    struct rtl8139 *s = opaque;

    rtl8139_interrupt(s, INT_TIMEOUT);
    arm_timer(s);
}

/* ---- reading ------------------------------------------------------------------------
 */

static bool link_up(const struct rtl8139 *s)
{
    return s->net && net_link_up(s->net);
}

/* TSAD: OWN, TABT, TUN and TOK of the four buffers, four bits each. */
static uint16_t all_buffers(const struct rtl8139 *s)
{
    uint16_t value = 0;

    for (unsigned n = 0; n < RTL8139_TX_BUFFERS; n++) {
        uint32_t tsd = rtl8139_get(s, TSD + 4 * n);
        value |= (uint16_t)((tsd & TSD_OWN ? 1u : 0) << n |
                            (tsd & TSD_TABT ? 1u : 0) << (4 + n) |
                            (tsd & TSD_TUN ? 1u : 0) << (8 + n) |
                            (tsd & TSD_TOK ? 1u : 0) << (12 + n));
    }
    return value;
}

/* Registers that follow from something else are brought up to date before a read. */
static void refresh(struct rtl8139 *s, unsigned offset)
{
    switch (offset & ~3u) {
    case CR & ~3:
        s->reg[CR] &= (uint8_t)~CR_BUFE;
        s->reg[CR] |= rtl8139_ring_empty(s) ? CR_BUFE : 0;
        break;
    case TCTR:
        store_le32(s->reg + TCTR, timer_count(s));
        break;
    case CR9346:
        s->reg[CR9346] &= (uint8_t)~PIN_OUT;
        s->reg[CR9346] |= s->eeprom_level ? PIN_OUT : 0;
        break;
    case MSR:
        s->reg[MSR] &= (uint8_t)~MSR_NO_LINK;
        s->reg[MSR] |= link_up(s) ? 0 : MSR_NO_LINK;
        break;
    case TSAD_ALL:
        store_le16(s->reg + TSAD_ALL, all_buffers(s));
        break;
    case BMSR:
        store_le16(s->reg + BMSR,
                   (uint16_t)(BMSR_DEFAULT | (link_up(s) ? BMSR_LINK : 0)));
        break;
    default:
        break;
    }
}

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
    struct rtl8139 *s = opaque;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        if (!i || (offset + i) % 4 == 0)
            refresh(s, (unsigned)offset + i);
        value |= (uint64_t)s->reg[offset + i] << 8 * i;
    }
    return value;
}

/* ---- writing ------------------------------------------------------------------------
 */

/* Bits that a write stores; what is not here is read-only or handled by its effect. */
static uint8_t writable(const struct rtl8139 *s, unsigned offset)
{
    static const struct {
        uint8_t first, last, mask;
        bool locked;
    } table[] = {
        {IDR, IDR + 5, 0xff, false},
        {MAR, MAR + 7, 0xff, false},
        {TSD, TSD + 15, 0xff, false},
        {TSAD, TSAD + 15, 0xff, false},
        {RBSTART, RBSTART + 3, 0xff, false},
        {CR, CR, CR_TE | CR_RE, false},
        {CAPR, CAPR + 1, 0xff, false},
        {IMR, IMR + 1, 0xff, false},
        {TCR, TCR, 0xf0, false},
        {TCR + 1, TCR + 2, 0x07, false},
        {TCR + 3, TCR + 3, 0x03, false},
        {RCR, RCR + 3, 0xff, false},
        {CR9346, CR9346, MODE_LOCK | PINS, false},
        {CONFIG1, CONFIG1, 0xf3, true},
        {TIMERINT, TIMERINT + 3, 0xff, false},
        {MSR, MSR, 0xc0, true},
        {CONFIG3, CONFIG4, 0xff, true},
        {MULINT, MULINT + 1, 0xff, false},
        {BMCR, BMCR + 1, 0xff, true},
        {ANAR, ANAR + 1, 0xff, false},
        {CSCR, CSCR + 1, 0xff, false},
        {CONFIG5, CONFIG5, 0x7f, true},
        {CPCR, CPCR, 0xff, false},
        {CPCR + 1, CPCR + 1, 0x03, false},
        {RDSAR, RDSAR + 7, 0xff, false},
        {ETTHR, ETTHR, 0x3f, false},
    };

    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (offset >= table[i].first && offset <= table[i].last)
            return table[i].locked && (s->reg[CR9346] & MODE_LOCK) != MODE_LOCK
                       ? 0
                       : table[i].mask;
    }
    return 0;
}

static void load_address(struct rtl8139 *s)
{
    memcpy(s->reg + IDR, s->mac, ETH_ADDRESS);
}

/* What RST of the command register does; IDR and MAR stay (RTL8139C datasheet, 5.6). */
static void soft_reset(struct rtl8139 *s)
{
    uint8_t address[16];

    memcpy(address, s->reg, sizeof(address));
    memset(s->reg, 0, sizeof(s->reg));
    memcpy(s->reg, address, sizeof(address));
    for (unsigned n = 0; n < RTL8139_TX_BUFFERS; n++)
        store_le32(s->reg + TSD + 4 * n, TSD_OWN);
    store_le16(s->reg + CAPR, 0xfff0);
    store_le32(s->reg + TCR, TCR_VERSION);
    s->reg[CONFIG1] = CONFIG1_DEFAULT;
    s->reg[MSR] = MSR_FLOW;
    store_le16(s->reg + BMCR, BMCR_DEFAULT);
    store_le16(s->reg + ANAR, ANAR_DEFAULT);
    store_le16(s->reg + ANLPAR, ANLPAR_PARTNER);
    store_le16(s->reg + ANER, ANER_PARTNER);
    rtl8139_eeprom_reset(s);
    s->rx_index = s->tx_index = 0;
    s->frame_bytes = 0;
    s->frame_too_long = false;
    s->timer_base = clock_now(&s->pci.dev);
    vtimer_cancel(&s->timer);
    deferred_cancel(&s->more_tx);
    update_irq(s);
}

static void accept_input(struct rtl8139 *s)
{
    if (s->net)
        net_accept_input(s->net);
}

static void write_command(struct rtl8139 *s, uint8_t old, uint8_t written)
{
    if (written & CR_RST) {
        soft_reset(s);
        return;
    }
    if (s->reg[CR] & ~old & CR_RE) { /* an empty ring from its beginning */
        store_le16(s->reg + CBR, 0);
        store_le16(s->reg + CAPR, 0xfff0);
        s->rx_index = 0;
    }
    if (s->reg[CR] & ~old & CR_TE)
        s->tx_index = 0;
    accept_input(s);
}

static void write_9346(struct rtl8139 *s, uint8_t old)
{
    uint8_t value = s->reg[CR9346];

    if ((value & MODE_LOCK) == MODE_PROGRAM) {
        rtl8139_eeprom_pins(s, old, value);
    } else if ((value & MODE_LOCK) == MODE_AUTOLOAD) {
        load_address(s);
        s->reg[CONFIG1] = CONFIG1_DEFAULT;
        s->reg[CR9346] = 0;
    }
}

/* The layout of the dump is that of the C+ datasheet, 6.3 (tally counters). */
static void dump_counters(struct rtl8139 *s)
{
    const struct rtl8139_counters *c = &s->counters;
    uint8_t raw[COUNTERS_BYTES] = {0};
    uint64_t where = rtl8139_get64(s, DTCCR) & ~(uint64_t)(COUNTERS_BYTES - 1);

    store_le64(raw, c->tx_ok);
    store_le64(raw + 8, c->rx_ok);
    store_le64(raw + 16, c->tx_errors);
    store_le32(raw + 24, c->rx_errors);
    store_le16(raw + 28, c->missed);
    store_le64(raw + 40, c->rx_physical);
    store_le64(raw + 48, c->rx_broadcast);
    store_le32(raw + 56, c->rx_multicast);
    dma_write(&s->pci.dev, where, raw, sizeof(raw));
    s->reg[DTCCR] &= (uint8_t)~DTCCR_DUMP;
}

/* TSDn, or in C+ mode the command in the lower half of DTCCR. */
static void write_status(struct rtl8139 *s, unsigned offset)
{
    unsigned n = (offset - TSD) / 4;

    if (rtl8139_get16(s, CPCR) & CPCR_TX) {
        if (!n && s->reg[DTCCR] & DTCCR_DUMP)
            dump_counters(s);
    } else if (!(rtl8139_get(s, TSD + 4 * n) & TSD_OWN)) {
        rtl8139_send_buffer(s, n);
    }
}

static void write_phy(struct rtl8139 *s)
{
    uint16_t bmcr = rtl8139_get16(s, BMCR);

    if (bmcr & BMCR_RESET)
        bmcr = BMCR_DEFAULT;
    store_le16(s->reg + BMCR, bmcr & (uint16_t)~BMCR_RESTART);
}

/* One byte was written: `old` is what the register held. */
static void byte_effect(struct rtl8139 *s, unsigned offset, uint8_t old, uint8_t written)
{
    switch (offset) {
    case TSD + 3:
    case TSD + 7:
    case TSD + 11:
    case TSD + 15:
        write_status(s, offset);
        break;
    case CR:
        write_command(s, old, written);
        break;
    case ISR:
    case ISR + 1:
        s->reg[offset] &= (uint8_t)~written;
        update_irq(s);
        break;
    case IMR:
    case IMR + 1:
        update_irq(s);
        break;
    case CAPR + 1:
    case RCR + 3:
        accept_input(s);
        break;
    case TCTR:
        s->timer_base = clock_now(&s->pci.dev);
        arm_timer(s);
        break;
    case TIMERINT + 3:
        arm_timer(s);
        break;
    case MPC:
        store_le32(s->reg + MPC, 0);
        break;
    case CR9346:
        write_9346(s, old);
        break;
    case BMCR + 1:
        write_phy(s);
        break;
    case TPPOLL:
        if (written & TPPOLL_SOFTWARE)
            rtl8139_interrupt(s, INT_SW);
        if (written & TPPOLL_NORMAL)
            rtl8139_transmit(s);
        break;
    default:
        break;
    }
}

/*
 * A register's effect comes with its last byte, so that drivers may write it as one
 * value or in pieces; TCR keeps the chip's version.
 */
static void reg_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct rtl8139 *s = opaque;

    for (unsigned i = 0; i < size; i++) {
        unsigned at = (unsigned)offset + i;
        uint8_t mask = writable(s, at), old = s->reg[at],
                written = (uint8_t)(value >> 8 * i);
        s->reg[at] = (uint8_t)((old & ~mask) | (written & mask));
        byte_effect(s, at, old, written);
    }
}

static const struct io_ops reg_ops = {
    .read = reg_read,
    .write = reg_write,
    .max_size = 4,
};

/* ---- life cycle ---------------------------------------------------------------------
 */

static struct rtl8139 *to_rtl8139(struct device *dev)
{
    return container_of(to_pci(dev), struct rtl8139, pci);
}

static void rtl8139_reset(struct device *dev)
{
    struct rtl8139 *s = to_rtl8139(dev);

    memset(s->reg, 0, sizeof(s->reg));
    load_address(s);
    memset(&s->counters, 0, sizeof(s->counters));
    soft_reset(s);
}

static void more_tx(void *opaque)
{
    rtl8139_transmit(opaque);
}

static int rtl8139_create(struct device *dev, struct error *error)
{
    static const struct pci_ids ids = {
        .vendor = 0x10ec,
        .device = 0x8139,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0x020000,
        .revision = 0x20,
        .interrupt_pin = 1,
    };
    struct rtl8139 *s = to_rtl8139(dev);
    int err = 0;

    if (mac_is_zero(s->mac))
        default_mac(dev, s->mac);
    if (s->mac[0] & 1)
        return error_set(error, -EINVAL, "%s: the MAC address is a multicast address",
                         dev->id);
    pci_setup(&s->pci, &ids);
    io_region_init(&s->ports, dev, "rtl8139-ports", IO_PORT, RTL8139_REG_BYTES, &reg_ops,
                   s);
    io_region_init(&s->mmio, dev, "rtl8139", IO_MEM, RTL8139_REG_BYTES, &reg_ops, s);
    pci_bar_region(&s->pci, 0, &s->ports, 0);
    pci_bar_region(&s->pci, 1, &s->mmio, 0);
    vtimer_init(&s->timer, dev, timer_expired, s);
    deferred_init(&s->more_tx, dev, more_tx, s);
    if (*s->rom_file)
        err = pci_rom_file(&s->pci, s->rom_file, error);
    if (!err && s->net && (err = net_attach(s->net, &rtl8139_front, s)))
        error_set(error, err, "%s: that netdev belongs to another device", dev->id);
    rtl8139_eeprom_init(s);
    return err;
}

static void rtl8139_destroy(struct device *dev)
{
    struct rtl8139 *s = to_rtl8139(dev);

    if (s->net)
        net_detach(s->net);
    vtimer_cancel(&s->timer);
    deferred_cancel(&s->more_tx);
}

static void rtl8139_start(struct device *dev)
{
    struct rtl8139 *s = to_rtl8139(dev);

    rtl8139_transmit(s);
    accept_input(s);
}

static void counters_state(struct rtl8139_counters *c, struct state *state)
{
    state_u64(state, "tx-ok", &c->tx_ok);
    state_u64(state, "rx-ok", &c->rx_ok);
    state_u64(state, "tx-errors", &c->tx_errors);
    state_u32(state, "rx-errors", &c->rx_errors);
    state_u64(state, "rx-physical", &c->rx_physical);
    state_u64(state, "rx-broadcast", &c->rx_broadcast);
    state_u32(state, "rx-multicast", &c->rx_multicast);
    state_u16(state, "missed", &c->missed);
}

static int rtl8139_state(struct device *dev, struct state *state)
{
    struct rtl8139 *s = to_rtl8139(dev);
    uint32_t frame_bytes = s->frame_bytes, out_bits = s->eeprom_out_bits;

    pci_state(&s->pci, state);
    state_bytes(state, "registers", s->reg, sizeof(s->reg));
    state_i64(state, "timer-base", &s->timer_base);
    state_vtimer(state, "timer", &s->timer);
    counters_state(&s->counters, state);
    state_u16(state, "eeprom-in", &s->eeprom_in);
    state_u8(state, "eeprom-in-bits", &s->eeprom_in_bits);
    state_bool(state, "eeprom-reading", &s->eeprom_reading);
    state_u16(state, "eeprom-out", &s->eeprom_out);
    state_range(state, "eeprom-out-bits", &out_bits, 0, 16);
    s->eeprom_out_bits = (uint8_t)(out_bits <= 16 ? out_bits : 0);
    state_u8(state, "eeprom-address", &s->eeprom_address);
    state_bool(state, "eeprom-level", &s->eeprom_level);
    state_range(state, "rx-index", &s->rx_index, 0, RTL8139_DESCRIPTORS - 1);
    state_range(state, "tx-index", &s->tx_index, 0, RTL8139_DESCRIPTORS - 1);
    state_range(state, "frame-bytes", &frame_bytes, 0, sizeof(s->frame));
    s->frame_bytes = frame_bytes <= sizeof(s->frame) ? frame_bytes : 0;
    state_bytes(state, "frame", s->frame, s->frame_bytes);
    return state_bool(state, "frame-too-long", &s->frame_too_long);
}

static int rtl8139_load(struct device *dev, struct state *state, uint32_t version)
{
    int err = rtl8139_state(dev, state);

    if (!err)
        update_irq(to_rtl8139(dev));
    return err;
}

static const struct option_desc rtl8139_options[] = {
    OPTION("netdev", NET, struct rtl8139, net, NULL, "back end; none: the link is down"),
    OPTION("mac", MAC, struct rtl8139, mac, NULL,
           "address; none: from the machine's UUID"),
    OPTION("romfile", STRING, struct rtl8139, rom_file, "efi-rtl8139.rom",
           "network boot"),
    {0},
};

static const struct device_ops rtl8139_ops = {
    .name = "rtl8139",
    .bus = BUS_PCI,
    .hotplug = true,
    .size = sizeof(struct rtl8139),
    .version = 1,
    .options = rtl8139_options,
    .create = rtl8139_create,
    .reset = rtl8139_reset,
    .start = rtl8139_start,
    .save = rtl8139_state,
    .load = rtl8139_load,
    .destroy = rtl8139_destroy,
};

REGISTER_DEVICE(rtl8139_ops);
