/*
 * Realtek RTL8139C+: state and registers (RTL8139C(L)+ datasheet; for the parts of the
 * older mode RTL8139C(L)).
 *
 *   rtl8139.c         PCI function, registers, interrupts, timer, life cycle
 *   rtl8139_rx.c      filters, the ring of the older mode, receive descriptors
 *   rtl8139_tx.c      the four buffers of the older mode, transmit descriptors
 *   rtl8139_eeprom.c  the 93C46 with the address
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_NET_RTL8139_H
#define IOEMU_NET_RTL8139_H

#include "ethernet.h"

#define RTL8139_REG_BYTES    0x100u
#define RTL8139_EEPROM_WORDS 64
#define RTL8139_TX_BUFFERS   4u
#define RTL8139_FRAME_MOST   (65535u + 64) /* of one large send */
#define RTL8139_DESC_BYTES   16u
#define RTL8139_DESCRIPTORS  64u /* in a ring, at most */

/* Offsets of registers. */
enum {
    IDR = 0x00,   /* the station's address */
    MAR = 0x08,   /* multicast filter, 64 bits */
    TSD = 0x10,   /* status of four buffers; DTCCR in C+ mode */
    DTCCR = 0x10, /* where to dump the counters, 64 bits */
    TSAD = 0x20,  /* addresses of four buffers */
    TNPDS = 0x20, /* normal transmit descriptors (C+), 64 bits */
    RBSTART = 0x30,
    CR = 0x37,
    CAPR = 0x38,
    CBR = 0x3a,
    IMR = 0x3c,
    ISR = 0x3e,
    TCR = 0x40,
    RCR = 0x44,
    TCTR = 0x48,
    MPC = 0x4c,
    CR9346 = 0x50,
    CONFIG0 = 0x51,
    CONFIG1 = 0x52,
    TIMERINT = 0x54,
    MSR = 0x58,
    CONFIG3 = 0x59,
    CONFIG4 = 0x5a,
    MULINT = 0x5c,
    RERID = 0x5e,
    TSAD_ALL = 0x60, /* status of all four */
    BMCR = 0x62,
    BMSR = 0x64,
    ANAR = 0x66,
    ANLPAR = 0x68,
    ANER = 0x6a,
    CSCR = 0x74,
    CONFIG5 = 0xd8,
    TPPOLL = 0xd9,
    CPCR = 0xe0,
    RDSAR = 0xe4, /* receive descriptors (C+), 64 bits */
    ETTHR = 0xec,
};

enum {
    CR_BUFE = 1 << 0,
    CR_TE = 1 << 2,
    CR_RE = 1 << 3,
    CR_RST = 1 << 4,

    INT_ROK = 1 << 0,
    INT_TOK = 1 << 2,
    INT_TER = 1 << 3,
    INT_RDU = 1 << 4, /* no receive buffer */
    INT_LINK = 1 << 5,
    INT_FOVW = 1 << 6,
    INT_TDU = 1 << 7, /* no transmit descriptor (C+) */
    INT_SW = 1 << 8,  /* asked for by the driver (C+) */
    INT_TIMEOUT = 1 << 14,

    TSD_SIZE = 0x1fff,
    TSD_OWN = 1 << 13, /* the card is done with it */
    TSD_TUN = 1 << 14,
    TSD_TOK = 1 << 15,
    TSD_TABT = 1 << 30,

    TCR_LOOPBACK = 3 << 17,
    RCR_AAP = 1 << 0,
    RCR_APM = 1 << 1,
    RCR_AM = 1 << 2,
    RCR_AB = 1 << 3,
    RCR_WRAP = 1 << 7,
    RCR_RBLEN_SHIFT = 11,

    CPCR_TX = 1 << 0,
    CPCR_RX = 1 << 1,
    CPCR_VLAN = 1 << 6,
};

/* Descriptors of C+ mode: opts1, opts2, address of the buffer. */
#define CPD_OWN (1u << 31)
#define CPD_EOR (1u << 30)
#define CPD_FS  (1u << 29)
#define CPD_LS  (1u << 28)

struct rtl8139_counters {
    uint64_t tx_ok, rx_ok, tx_errors;
    uint32_t rx_errors;
    uint64_t rx_physical, rx_broadcast;
    uint32_t rx_multicast;
    uint16_t missed;
};

struct rtl8139 {
    struct pci_device pci;   /* must be first */
    struct net_backend *net; /* options */
    uint8_t mac[ETH_ADDRESS];
    const char *rom_file;

    struct io_region ports, mmio;
    uint8_t reg[RTL8139_REG_BYTES]; /* as the driver wrote them */
    struct vtimer timer;            /* TimerInt */
    int64_t timer_base;             /* ns at which TCTR was 0 */
    struct rtl8139_counters counters;

    uint16_t eeprom[RTL8139_EEPROM_WORDS];
    uint16_t eeprom_in; /* bits of the command so far */
    uint8_t eeprom_in_bits;
    bool eeprom_reading;
    uint16_t eeprom_out; /* the word going out */
    uint8_t eeprom_out_bits;
    uint8_t eeprom_address;
    bool eeprom_level; /* EEDO */

    uint32_t rx_index, tx_index; /* of the next descriptor in C+ mode */
    struct deferred more_tx;
    uint8_t frame[RTL8139_FRAME_MOST]; /* being put together from fragments */
    uint32_t frame_bytes;
    bool frame_too_long;
};

static inline uint32_t rtl8139_get(const struct rtl8139 *s, unsigned offset)
{
    return load_le32(s->reg + offset);
}

static inline uint16_t rtl8139_get16(const struct rtl8139 *s, unsigned offset)
{
    return load_le16(s->reg + offset);
}

static inline uint64_t rtl8139_get64(const struct rtl8139 *s, unsigned offset)
{
    return load_le64(s->reg + offset);
}

/* rtl8139.c */
void rtl8139_interrupt(struct rtl8139 *s, uint16_t causes);

/* rtl8139_rx.c */
extern const struct net_front_ops rtl8139_front;
/* Bytes of the ring in the older mode. */
unsigned rtl8139_ring_bytes(const struct rtl8139 *s);
/* Nothing in it that the driver has not taken. */
bool rtl8139_ring_empty(const struct rtl8139 *s);
/* A frame from the wire, or of our own in loopback. */
void rtl8139_receive(struct rtl8139 *s, const uint8_t *frame, size_t bytes);

/* rtl8139_tx.c */
/* The older mode: buffer n was given to the card. */
void rtl8139_send_buffer(struct rtl8139 *s, unsigned n);
/* C+ mode: look for descriptors that the card owns. */
void rtl8139_transmit(struct rtl8139 *s);

/* rtl8139_eeprom.c */
void rtl8139_eeprom_init(struct rtl8139 *s);
void rtl8139_eeprom_reset(struct rtl8139 *s);
/* The pins EECS, EESK, EEDI of 9346CR went from `old` to `value`. */
void rtl8139_eeprom_pins(struct rtl8139 *s, uint8_t old, uint8_t value);

#endif
