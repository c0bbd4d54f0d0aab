/*
 * The 82540EM's EEPROM (a 93C46 with Microwire lines, chapter 5 of the manual) and its
 * PHY (Marvell 88E1011 behind MDIO; the registers of IEEE 802.3 clause 22 and a few
 * more).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "e1000.h"

enum {
    EECD_CLOCK = 1 << 0,
    EECD_SELECT = 1 << 1,
    EECD_IN = 1 << 2,
    EECD_OUT = 1 << 3,
    EECD_FLASH = 3 << 4,
    EECD_REQUEST = 1 << 6,
    EECD_GRANT = 1 << 7,
    EECD_PRESENT = 1 << 8,
    EECD_WRITABLE = EECD_CLOCK | EECD_SELECT | EECD_IN | EECD_FLASH | EECD_REQUEST,
    COMMAND_BITS = 9, /* start, two of opcode, six of address */
    COMMAND_READ = 6, /* with the start bit */

    EERD_START = 1 << 0,
    EERD_DONE = 1 << 4,

    EEPROM_CHECKSUM_WORD = 63,
    EEPROM_CHECKSUM = 0xbaba,

    MDIC_WRITE = 1 << 26,
    MDIC_READ = 2 << 26,
    MDIC_OP = 3 << 26,
    MDIC_READY = 1 << 28,
    MDIC_INTERRUPT = 1 << 29,
    MDIC_ERROR = 1 << 30,
    PHY_ADDRESS = 1,

    PHY_CONTROL = 0,
    PHY_CONTROL_RESET = 1 << 15,
    PHY_CONTROL_LOOPBACK = 1 << 14,
    PHY_CONTROL_RESTART = 1 << 9,
    PHY_STATUS = 1,
    PHY_STATUS_LINK = 1 << 2,
    PHY_STATUS_NEGOTIATED = 1 << 5,
    PHY_ID1 = 2,
    PHY_ID2 = 3,
    PHY_ADVERTISE = 4,
    PHY_PARTNER = 5,
    PHY_1000_CONTROL = 9,
    PHY_1000_STATUS = 10,
    PHY_EXTENDED_STATUS = 15,
    PHY_M88_CONTROL = 16,
    PHY_M88_STATUS = 17,
    PHY_M88_LINK = 1 << 10,
    PHY_M88_EXTENDED_CONTROL = 20,
};

/* ---- EEPROM -------------------------------------------------------------------------
 */

void e1000_eeprom_init(struct e1000 *e)
{
    uint16_t *w = e->eeprom, sum = 0;

    /* Table 5-2: addresses and identity; what is not listed is left erased. */
    memset(w, 0xff, sizeof(e->eeprom));
    for (unsigned i = 0; i < 3; i++)
        w[i] = (uint16_t)(e->mac[2 * i] | e->mac[2 * i + 1] << 8);
    w[0x03] = 0;      /* compatibility */
    w[0x08] = 0x3000; /* board number */
    w[0x09] = 0x1000;
    w[0x0a] = 0x640b; /* initialization control 1: load the ids */
    w[0x0b] = 0x1100; /* subsystem */
    w[0x0c] = 0x1af4;
    w[0x0d] = 0x100e; /* device */
    w[0x0e] = 0x8086;
    w[0x0f] = 0x3040; /* initialization control 2 */
    w[0x24] = 0;      /* initialization control 3: no wake-up */
    for (unsigned i = 0; i < EEPROM_CHECKSUM_WORD; i++)
        sum = (uint16_t)(sum + w[i]);
    w[EEPROM_CHECKSUM_WORD] = (uint16_t)(EEPROM_CHECKSUM - sum);
}

/* One rising edge of the clock while the command comes in. */
static void clock_command(struct e1000 *e, bool bit)
{
    if (e->eeprom_reading || (!e->eeprom_in_bits && !bit))
        return; /* zeros before the start bit */
    e->eeprom_in = (uint16_t)(e->eeprom_in << 1 | bit);
    if (++e->eeprom_in_bits < COMMAND_BITS)
        return;
    if (e->eeprom_in >> 6 == COMMAND_READ) {
        e->eeprom_reading = true;
        /* A zero comes first, until the clock falls. */
        e->eeprom_out = (uint16_t)((e->eeprom_in & 63) * 16);
    }
    e->eeprom_in_bits = 0;
    e->eeprom_in = 0;
}

void e1000_eecd_write(struct e1000 *e, uint32_t value)
{
    uint32_t old = e->eecd;

    e->eecd = value & EECD_WRITABLE;
    if (!(value & EECD_SELECT)) {
        e->eeprom_reading = false;
        e->eeprom_in_bits = 0;
        e->eeprom_in = 0;
        return;
    }
    if (value & ~old & EECD_CLOCK)
        clock_command(e, value & EECD_IN);
    else if (old & ~value & EECD_CLOCK && e->eeprom_reading)
        e->eeprom_out++;
}

uint32_t e1000_eecd_read(const struct e1000 *e)
{
    uint32_t value = e->eecd | EECD_PRESENT;
    unsigned bit = (unsigned)(e->eeprom_out - 1) % (E1000_EEPROM_WORDS * 16);

    if (value & EECD_REQUEST)
        value |= EECD_GRANT;
    /* Idle is high: "ready" after a write. */
    if (!e->eeprom_reading || e->eeprom[bit / 16] >> (15 - bit % 16) & 1)
        value |= EECD_OUT;
    return value;
}

uint32_t e1000_eerd_write(struct e1000 *e, uint32_t value)
{
    unsigned word = value >> 8 & 0xff;

    if (!(value & EERD_START))
        return value & 0xffff;
    uint32_t data = word < E1000_EEPROM_WORDS ? e->eeprom[word] : 0;
    return (value & 0xff00) | EERD_DONE | data << 16;
}

/* ---- PHY ----------------------------------------------------------------------------
 */

void e1000_phy_link(struct e1000 *e, bool up)
{
    uint16_t *p = e->phy;

    if (up) {
        p[PHY_STATUS] |= PHY_STATUS_LINK | PHY_STATUS_NEGOTIATED;
        p[PHY_M88_STATUS] |= PHY_M88_LINK;
    } else {
        p[PHY_STATUS] &= (uint16_t) ~(PHY_STATUS_LINK | PHY_STATUS_NEGOTIATED);
        p[PHY_M88_STATUS] &= (uint16_t)~PHY_M88_LINK;
    }
}

void e1000_phy_reset(struct e1000 *e)
{
    uint16_t *p = e->phy;

    memset(p, 0, sizeof(e->phy));
    p[PHY_CONTROL] = 0x1140; /* 1000 Mbit/s, full duplex, negotiation */
    p[PHY_STATUS] = 0x7949;  /* all speeds, extended capabilities */
    p[PHY_ID1] = 0x0141;
    p[PHY_ID2] = 0x0c20;
    p[PHY_ADVERTISE] = 0x0de1;
    p[PHY_PARTNER] = 0x41e1;
    p[PHY_1000_CONTROL] = 0x0e00;
    p[PHY_1000_STATUS] = 0x3c00;
    p[PHY_EXTENDED_STATUS] = 0x3000;
    p[PHY_M88_CONTROL] = 0x0360;
    p[PHY_M88_STATUS] = 0xa800; /* 1000 Mbit/s, full duplex, resolved */
    p[PHY_M88_EXTENDED_CONTROL] = 0x0d60;
    e1000_phy_link(e, e->net && net_link_up(e->net));
}

bool e1000_phy_loopback(const struct e1000 *e)
{
    return e->phy[PHY_CONTROL] & PHY_CONTROL_LOOPBACK;
}

static void phy_write(struct e1000 *e, unsigned reg, uint16_t value)
{
    switch (reg) {
    case PHY_CONTROL:
        if (value & PHY_CONTROL_RESET) {
            e1000_phy_reset(e);
            return;
        }
        e->phy[reg] = value & (uint16_t)~PHY_CONTROL_RESTART & 0xffc0;
        /* There is no partner to wait for: negotiation is done at once. */
        if (value & PHY_CONTROL_RESTART)
            e1000_interrupt(e, INT_LSC);
        break;
    case PHY_STATUS:
    case PHY_ID1:
    case PHY_ID2:
    case PHY_PARTNER:
    case PHY_1000_STATUS:
    case PHY_EXTENDED_STATUS:
    case PHY_M88_STATUS:
        break;
    default:
        e->phy[reg] = value;
        break;
    }
}

uint32_t e1000_mdic_write(struct e1000 *e, uint32_t value)
{
    unsigned reg = value >> 16 & 31, address = value >> 21 & 31;

    value &= ~(uint32_t)(MDIC_READY | MDIC_ERROR);
    if (address != PHY_ADDRESS)
        value |= MDIC_ERROR;
    else if ((value & MDIC_OP) == MDIC_READ)
        value = (value & 0xffff0000) | e->phy[reg];
    else if ((value & MDIC_OP) == MDIC_WRITE)
        phy_write(e, reg, (uint16_t)value);
    if (value & MDIC_INTERRUPT)
        e1000_interrupt(e, INT_MDAC);
    return value | MDIC_READY;
}
