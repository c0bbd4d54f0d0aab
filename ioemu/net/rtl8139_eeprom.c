/*
 * The 93C46 that the RTL8139 has its address in (Microchip 93C46 datasheet; contents:
 * 9346 contents of the RTL8139C datasheet).  Reading only: writes are refused, as with
 * the chip's write protection on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "rtl8139.h"

enum {
    PIN_OUT = 1 << 0, /* EEDO */
    PIN_IN = 1 << 1,  /* EEDI */
    PIN_CLOCK = 1 << 2,
    PIN_SELECT = 1 << 3,

    COMMAND_BITS = 9, /* start, two of the operation, six of the address */
    COMMAND_READ = 6, /* with the start bit */
    ADDRESS_MASK = RTL8139_EEPROM_WORDS - 1,
    WORD_BITS = 16,
};

void rtl8139_eeprom_init(struct rtl8139 *s)
{
    static const uint16_t contents[] = {
        0x8129,         /* mark of a good EEPROM */
        0x10ec, 0x8139, /* ids */
        0x1100, 0x1af4, /* of the subsystem */
        0x4020,         /* MNGNT, MXLAT */
        0xe112,         /* MSR, CONFIG3 */
    };
    enum { MAC_WORD = 7 };

    for (unsigned i = 0; i < ARRAY_LEN(contents); i++)
        s->eeprom[i] = contents[i];
    for (unsigned i = 0; i < ETH_ADDRESS / 2; i++)
        s->eeprom[MAC_WORD + i] = load_le16(s->mac + 2 * i);
}

void rtl8139_eeprom_reset(struct rtl8139 *s)
{
    s->eeprom_in = 0;
    s->eeprom_in_bits = 0;
    s->eeprom_reading = false;
    s->eeprom_level = true; /* pulled up */
}

static void load_word(struct rtl8139 *s)
{
    s->eeprom_out = s->eeprom[s->eeprom_address & ADDRESS_MASK];
    s->eeprom_out_bits = WORD_BITS;
}

static void clock_in(struct rtl8139 *s, bool bit)
{
    if (!s->eeprom_in_bits && !bit)
        return; /* before the start bit */
    if (s->eeprom_in_bits < COMMAND_BITS) {
        s->eeprom_in = (uint16_t)(s->eeprom_in << 1 | bit);
        s->eeprom_in_bits++;
    }
    if (s->eeprom_in_bits == COMMAND_BITS && s->eeprom_in >> 6 == COMMAND_READ) {
        s->eeprom_reading = true;
        s->eeprom_address = s->eeprom_in & ADDRESS_MASK;
        s->eeprom_level = false; /* a zero goes out before the word */
        load_word(s);
    }
}

/* Words follow each other for as long as the chip is selected. */
static void clock_out(struct rtl8139 *s)
{
    if (!s->eeprom_out_bits) {
        s->eeprom_address++;
        load_word(s);
    }
    s->eeprom_level = s->eeprom_out >> --s->eeprom_out_bits & 1;
}

void rtl8139_eeprom_pins(struct rtl8139 *s, uint8_t old, uint8_t value)
{
    if (!(value & PIN_SELECT))
        rtl8139_eeprom_reset(s);
    else if (value & ~old & PIN_CLOCK && s->eeprom_reading)
        clock_out(s);
    else if (value & ~old & PIN_CLOCK)
        clock_in(s, value & PIN_IN);
}
