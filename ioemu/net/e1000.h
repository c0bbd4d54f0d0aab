/*
 * Intel 82540EM: state and registers (Intel PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual, 317453).
 *
 *   e1000.c         PCI function, registers, interrupts, life cycle
 *   e1000_rx.c      filters, receive descriptors
 *   e1000_tx.c      transmit descriptors, checksums, segmentation
 *   e1000_serial.c  EEPROM and PHY
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_NET_E1000_H
#define IOEMU_NET_E1000_H

#include "ethernet.h"

#define E1000_REG_BYTES    0x6000u /* of BAR 0 that has registers */
#define E1000_EEPROM_WORDS 64
#define E1000_PHY_REGS     32
#define E1000_FRAME_MOST   (65536u + 256) /* of one segmentation */
#define E1000_DESC_BYTES   16u

/* Offsets of registers. */
enum {
    CTRL = 0x0000,
    CTRL_LINK_RESET = 1 << 3,
    CTRL_SET_LINK_UP = 1 << 6,
    CTRL_RESET = 1 << 26,
    CTRL_VLAN_MODE = 1 << 30,
    CTRL_PHY_RESET = 1u << 31,
    STATUS = 0x0008,
    STATUS_FULL_DUPLEX = 1 << 0,
    STATUS_LINK_UP = 1 << 1,
    STATUS_SPEED_1000 = 2 << 6,
    EECD = 0x0010,
    EERD = 0x0014,
    CTRL_EXT = 0x0018,
    MDIC = 0x0020,
    FCAL = 0x0028,
    FCAH = 0x002c,
    FCT = 0x0030,
    VET = 0x0038,
    ICR = 0x00c0,
    ITR = 0x00c4,
    ICS = 0x00c8,
    IMS = 0x00d0,
    IMC = 0x00d8,
    RCTL = 0x0100,
    FCTTV = 0x0170,
    TCTL = 0x0400,
    TIPG = 0x0410,
    AIFS = 0x0458,
    LEDCTL = 0x0e00,
    PBA = 0x1000,
    RDBAL = 0x2800,
    RDBAH = 0x2804,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    TDBAL = 0x3800,
    TDBAH = 0x3804,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    STATS_FIRST = 0x4000,
    STATS_END = 0x4100,
    RXCSUM = 0x5000,
    MTA = 0x5200, /* 128 words */
    RA = 0x5400,  /* 16 pairs */
    RA_END = 0x5480,
    VFTA = 0x5600, /* 128 words */
    VFTA_END = 0x5800,

    /* statistics, cleared when read */
    MPC = 0x4010,
    PRC64 = 0x405c, /* to 0x4070: by size */
    GPRC = 0x4074,
    BPRC = 0x4078,
    MPRC = 0x407c,
    GPTC = 0x4080,
    GORCL = 0x4088,
    GOTCL = 0x4090,
    ROC = 0x40ac,
    RUC = 0x40a4,
    TORL = 0x40c0,
    TOTL = 0x40c8,
    TPR = 0x40d0,
    TPT = 0x40d4,
    PTC64 = 0x40d8, /* to 0x40ec */
    MPTC = 0x40f0,
    BPTC = 0x40f4,
    TSCTC = 0x40f8,
};

enum {
    INT_TXDW = 1 << 0,   /* a transmit descriptor was written back */
    INT_TXQE = 1 << 1,   /* the transmit queue is empty */
    INT_LSC = 1 << 2,    /* link status changed */
    INT_RXDMT0 = 1 << 4, /* few receive descriptors are left */
    INT_RXO = 1 << 6,    /* receive overrun */
    INT_RXT0 = 1 << 7,   /* received */
    INT_MDAC = 1 << 9,   /* an MDIO access is done */

    RCTL_ENABLE = 1 << 1,
    RCTL_UNICAST_ALL = 1 << 3,
    RCTL_MULTICAST_ALL = 1 << 4,
    RCTL_LONG = 1 << 5,
    RCTL_LOOPBACK = 3 << 6,
    RCTL_BROADCAST = 1 << 15,
    RCTL_VLAN_FILTER = 1 << 18,
    RCTL_BIGGER = 1 << 25,
    RCTL_STRIP_FCS = 1 << 26,

    TCTL_ENABLE = 1 << 1,
    TCTL_PAD = 1 << 3,
};

/* What a context descriptor sets up for the data that follows (3.3.6). */
struct e1000_context {
    uint8_t ipcss, ipcso, tucss, tucso, command, header_bytes;
    uint16_t ipcse, tucse, mss;
    uint32_t payload_bytes;
};

struct e1000 {
    struct pci_device pci;   /* must be first */
    struct net_backend *net; /* options */
    uint8_t mac[ETH_ADDRESS];
    const char *rom_file;

    struct io_region mmio, ports;
    uint32_t reg[E1000_REG_BYTES / 4];
    uint32_t port_address;

    uint16_t eeprom[E1000_EEPROM_WORDS];
    uint16_t eeprom_in; /* bits of the command so far */
    uint8_t eeprom_in_bits;
    bool eeprom_reading;
    uint16_t eeprom_out; /* the bit after the one that is out */
    uint32_t eecd;       /* as last written */
    uint16_t phy[E1000_PHY_REGS];

    struct vtimer throttle; /* armed: no interrupt before it expires */
    bool wants_interrupt;
    struct deferred more_tx;

    /* the frame that is being put together */
    struct e1000_context context[2]; /* for checksums, for segmentation */
    uint8_t frame[E1000_FRAME_MOST];
    uint32_t frame_bytes;
    bool frame_too_long, frame_segment, frame_ip_sum, frame_tu_sum, frame_vlan;
    uint16_t frame_tag;
};

static inline uint32_t *e1000_reg(struct e1000 *e, unsigned offset)
{
    return &e->reg[offset / 4];
}

static inline uint32_t e1000_get(const struct e1000 *e, unsigned offset)
{
    return e->reg[offset / 4];
}

/* e1000.c */
void e1000_interrupt(struct e1000 *e, uint32_t causes);
void e1000_set_link(struct e1000 *e, bool up);
void e1000_count(struct e1000 *e, unsigned offset, uint32_t by);
void e1000_count64(struct e1000 *e, unsigned offset, uint64_t by);
/* Which of six counters a frame of that size belongs to, as a byte offset. */
unsigned e1000_size_class(size_t bytes);

/* e1000_rx.c */
extern const struct net_front_ops e1000_front;
bool e1000_can_receive(struct e1000 *e);
/* A frame of our own in loopback. */
void e1000_receive(struct e1000 *e, const uint8_t *frame, size_t bytes);

/* e1000_tx.c */
void e1000_transmit(struct e1000 *e);
void e1000_tx_reset(struct e1000 *e);

/* e1000_serial.c */
void e1000_eeprom_init(struct e1000 *e);
uint32_t e1000_eecd_read(const struct e1000 *e);
void e1000_eecd_write(struct e1000 *e, uint32_t value);
uint32_t e1000_eerd_write(struct e1000 *e, uint32_t value);
void e1000_phy_reset(struct e1000 *e);
void e1000_phy_link(struct e1000 *e, bool up);
uint32_t e1000_mdic_write(struct e1000 *e, uint32_t value);
bool e1000_phy_loopback(const struct e1000 *e);

#endif
