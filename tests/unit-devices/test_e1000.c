/*
 * The 82540EM: EEPROM, PHY, rings, filters, checksums, segmentation, throttling.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include "ioemu/net/e1000.h"

#include <string.h>

#define SLOT    4
#define BAR     0xe0000000u
#define PORTS   0xc000u
#define TX_RING 0x100000u
#define RX_RING 0x110000u
#define TX_DATA 0x200000u
#define RX_DATA 0x400000u
#define ENTRIES 16u

static const uint8_t our_mac[6] = {0x52, 0x54, 0x00, 0xab, 0xcd, 0xef};
static const uint8_t other_mac[6] = {0x52, 0x54, 0x00, 0x11, 0x22, 0x33};

struct card {
    struct bench *b;
    unsigned tx_tail, rx_head;
};

static uint32_t reg(struct card *c, unsigned offset)
{
    return (uint32_t)cpu_read(c->b, BAR + offset, 4);
}

static void set(struct card *c, unsigned offset, uint32_t value)
{
    cpu_write(c->b, BAR + offset, 4, value);
}

static void rings(struct card *c, uint32_t rctl)
{
    static const uint8_t zero[4096];

    mem_write(c->b, TX_RING, zero, sizeof(zero));
    mem_write(c->b, RX_RING, zero, sizeof(zero));
    for (unsigned i = 0; i < ENTRIES; i++)
        cpu_write(c->b, RX_RING + i * 16, 8, RX_DATA + i * 0x4000);
    set(c, TDBAL, TX_RING);
    set(c, TDLEN, ENTRIES * 16);
    set(c, RDBAL, RX_RING);
    set(c, RDLEN, ENTRIES * 16);
    set(c, RDT, ENTRIES - 1);
    set(c, TCTL, TCTL_ENABLE | TCTL_PAD);
    set(c, RCTL, RCTL_ENABLE | rctl);
    c->tx_tail = c->rx_head = 0;
}

static int setup(void **state)
{
    static struct card c;

    memset(&c, 0, sizeof(c));
    c.b = bench_start("-netdev", "test,id=n", "-device",
                      "e1000,netdev=n,mac=52:54:00:ab:cd:ef,addr=4,romfile=");
    config_write(c.b, SLOT, 0x10, 4, BAR);
    config_write(c.b, SLOT, 0x14, 4, PORTS);
    config_enable(c.b, SLOT);
    rings(&c, RCTL_STRIP_FCS | RCTL_BROADCAST);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    bench_stop(((struct card *)*state)->b);
    return 0;
}

static struct test_net *net(struct card *c)
{
    return test_net(c->b, "n");
}

/* The card's INTA, as the status register shows it. */
static bool irq(struct card *c)
{
    return config_read(c->b, SLOT, 6, 2) & 8;
}

static void put_desc(struct card *c, uint64_t low, uint64_t high)
{
    mem_write(c->b, TX_RING + c->tx_tail * 16, &low, 8);
    mem_write(c->b, TX_RING + c->tx_tail * 16 + 8, &high, 8);
    c->tx_tail = (c->tx_tail + 1) % ENTRIES;
}

/* A legacy descriptor with RS. */
static void send_frame(struct card *c, const uint8_t *frame, size_t bytes,
                       uint8_t command)
{
    mem_write(c->b, TX_DATA, frame, bytes);
    put_desc(c, TX_DATA, bytes | (uint64_t)(command | 8) << 24);
    set(c, TDT, c->tx_tail);
}

static void make_frame(uint8_t *frame, const uint8_t *to, size_t bytes)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, other_mac, 6);
    store_be16(frame + 12, 0x0800);
    for (size_t i = 14; i < bytes; i++)
        frame[i] = (uint8_t)(i * 7);
}

/* Bytes of the next received frame's descriptor; -1: none. */
static int received(struct card *c, uint8_t *frame, uint8_t *status, uint16_t *special)
{
    uint8_t desc[16];

    mem_read(c->b, RX_RING + c->rx_head * 16, desc, 16);
    if (!(desc[12] & 1))
        return -1;
    unsigned bytes = load_le16(desc + 8);
    if (frame)
        mem_read(c->b, load_le64(desc), frame, bytes);
    if (status)
        *status = desc[12];
    if (special)
        *special = load_le16(desc + 14);
    desc[12] = 0;
    mem_write(c->b, RX_RING + c->rx_head * 16, desc, 16);
    set(c, RDT, c->rx_head);
    c->rx_head = (c->rx_head + 1) % ENTRIES;
    return (int)bytes;
}

static bool arrives(struct card *c, const uint8_t *frame, size_t bytes)
{
    assert_true(test_net_input(c->b, "n", frame, bytes));
    return received(c, NULL, NULL, NULL) >= 0;
}

/* ---- tests --------------------------------------------------------------------------
 */

static void test_identity(void **state)
{
    struct card *c = *state;

    assert_int_equal(config_read(c->b, SLOT, 0, 4), 0x100e8086);
    assert_int_equal(config_read(c->b, SLOT, 8, 4), 0x02000003);
    assert_int_equal(reg(c, STATUS) & 0x83, 0x83);
    assert_int_equal(reg(c, RA), 0xab005452);
    assert_int_equal(reg(c, RA + 4), 0x8000efcd);
    /* The same registers through two ports. */
    out32(c->b, PORTS, RA);
    assert_int_equal(in32(c->b, PORTS + 4), 0xab005452);
    out32(c->b, PORTS, CTRL);
    out32(c->b, PORTS + 4, CTRL_RESET);
    assert_int_equal(reg(c, TDLEN), 0);
    assert_int_equal(reg(c, RA), 0xab005452);
}

static uint16_t bang_eeprom(struct card *c, unsigned word)
{
    uint16_t value = 0;
    unsigned command = 6 << 6 | word;

    set(c, EECD, 1 << 6);
    assert_int_equal(reg(c, EECD) & 0x80, 0x80);
    set(c, EECD, 0x42);
    for (int bit = 8; bit >= 0; bit--) {
        uint32_t in = command >> bit & 1 ? 4 : 0;
        set(c, EECD, 0x42 | in);
        set(c, EECD, 0x43 | in);
        set(c, EECD, 0x42 | in);
    }
    for (int bit = 0; bit < 16; bit++) {
        set(c, EECD, 0x43);
        value = (uint16_t)(value << 1 | (reg(c, EECD) >> 3 & 1));
        set(c, EECD, 0x42);
    }
    set(c, EECD, 0);
    return value;
}

static void test_eeprom(void **state)
{
    struct card *c = *state;
    uint16_t sum = 0;

    for (unsigned word = 0; word < 64; word++) {
        set(c, EERD, 1 | word << 8);
        uint32_t value = reg(c, EERD);
        assert_int_equal(value & 0x10, 0x10);
        assert_int_equal(bang_eeprom(c, word), value >> 16);
        sum = (uint16_t)(sum + (value >> 16));
    }
    assert_int_equal(sum, 0xbaba);
    assert_int_equal(bang_eeprom(c, 0), 0x5452);
    assert_int_equal(bang_eeprom(c, 2), 0xefcd);
}

static void test_phy(void **state)
{
    struct card *c = *state;

    set(c, MDIC, 2u << 26 | 1 << 21 | 2 << 16);
    assert_int_equal(reg(c, MDIC) & 0x1000ffff, 0x10000141);
    set(c, MDIC, 2u << 26 | 1 << 21 | 1 << 16);
    assert_int_equal(reg(c, MDIC) & 0x24, 0x24);
    set(c, MDIC, 2u << 26 | 5 << 21 | 1 << 16);
    assert_int_equal(reg(c, MDIC) & 1 << 30, 1 << 30);
    set(c, MDIC, 1u << 26 | 1 << 21 | 4 << 16 | 0x1e1);
    set(c, MDIC, 2u << 26 | 1 << 21 | 4 << 16);
    assert_int_equal(reg(c, MDIC) & 0xffff, 0x1e1);
}

static void test_send(void **state)
{
    struct card *c = *state;
    uint8_t frame[1514], status;

    make_frame(frame, other_mac, sizeof(frame));
    send_frame(c, frame, sizeof(frame), 1);
    assert_int_equal(net(c)->frames, 1);
    assert_int_equal(net(c)->bytes[0], 1514);
    assert_memory_equal(net(c)->frame[0], frame, 1514);
    mem_read(c->b, TX_RING + 12, &status, 1);
    assert_int_equal(status, 1);
    assert_int_equal(reg(c, ICR), 3);
    assert_int_equal(reg(c, ICR), 0);
    /* In pieces, and padded. */
    mem_write(c->b, TX_DATA, frame, 30);
    put_desc(c, TX_DATA, 20);
    put_desc(c, TX_DATA + 20, 10 | 9ull << 24);
    set(c, TDT, c->tx_tail);
    assert_int_equal(net(c)->bytes[1], 60);
    assert_memory_equal(net(c)->frame[1], frame, 30);
    assert_int_equal(net(c)->frame[1][59], 0);
    assert_int_equal(reg(c, TPT), 2);
    assert_int_equal(reg(c, TPT), 0);
    assert_int_equal(reg(c, TOTL), 1514 + 60 + 8);
}

static void test_receive(void **state)
{
    struct card *c = *state;
    uint8_t frame[1514], got[2048], status;

    make_frame(frame, our_mac, sizeof(frame));
    assert_true(test_net_input(c->b, "n", frame, sizeof(frame)));
    assert_int_equal(reg(c, ICR), INT_RXT0);
    assert_int_equal(received(c, got, &status, NULL), 1514);
    assert_memory_equal(got, frame, 1514);
    assert_int_equal(status, 7);
    /* Short ones are padded; with the FCS they are four bytes longer. */
    rings(c, RCTL_BROADCAST);
    set(c, RDH, 0);
    assert_true(test_net_input(c->b, "n", frame, 20));
    assert_int_equal(received(c, got, NULL, NULL), 64);
    assert_int_equal(ethernet_fcs(got, 60), load_le32(got + 60));
    /* The frame with its FCS leaves the well-known remainder. */
    assert_int_equal(ethernet_fcs(got, 64), 0x2144df1c);
    assert_int_equal(reg(c, GPRC), 2);
}

static void test_large_frames(void **state)
{
    struct card *c = *state;
    static uint8_t frame[9000];
    uint8_t got[2048];

    make_frame(frame, our_mac, sizeof(frame));
    assert_false(arrives(c, frame, 1515));
    assert_int_equal(reg(c, ROC), 1);
    rings(c, RCTL_LONG | RCTL_STRIP_FCS);
    set(c, RDH, 0);
    assert_true(test_net_input(c->b, "n", frame, sizeof(frame)));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(received(c, got, NULL, NULL), 2048);
        assert_memory_equal(got, frame + 2048 * i, 2048);
    }
    assert_int_equal(received(c, got, NULL, NULL), 9000 - 8192);
}

static void test_ring_full(void **state)
{
    struct card *c = *state;
    uint8_t frame[100], got[2048];

    make_frame(frame, our_mac, sizeof(frame));
    set(c, IMS, INT_RXDMT0);
    for (unsigned i = 0; i < ENTRIES - 1; i++) {
        frame[50] = (uint8_t)i;
        assert_true(test_net_input(c->b, "n", frame, sizeof(frame)));
        assert_int_equal(irq(c), i >= 6); /* half of the ring is gone */
    }
    assert_false(test_net_input(c->b, "n", frame, sizeof(frame)));
    for (unsigned i = 0; i < ENTRIES - 1; i++) {
        assert_int_equal(received(c, got, NULL, NULL), 100);
        assert_int_equal(got[50], i);
    }
    assert_true(arrives(c, frame, sizeof(frame)));
}

static void test_filters(void **state)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03};
    struct card *c = *state;
    uint8_t frame[64];
    uint32_t base = RCTL_ENABLE | RCTL_STRIP_FCS;

    set(c, RCTL, base);
    make_frame(frame, our_mac, sizeof(frame));
    assert_true(arrives(c, frame, sizeof(frame)));
    make_frame(frame, other_mac, sizeof(frame));
    assert_false(arrives(c, frame, sizeof(frame)));
    set(c, RCTL, base | RCTL_UNICAST_ALL);
    assert_true(arrives(c, frame, sizeof(frame)));
    make_frame(frame, all, sizeof(frame));
    assert_false(arrives(c, frame, sizeof(frame)));
    set(c, RCTL, base | RCTL_BROADCAST);
    assert_true(arrives(c, frame, sizeof(frame)));
    make_frame(frame, group, sizeof(frame));
    assert_false(arrives(c, frame, sizeof(frame)));
    set(c, RCTL, base | RCTL_MULTICAST_ALL);
    assert_true(arrives(c, frame, sizeof(frame)));
    /* The hash: bits 47 to 36 of the address. */
    set(c, RCTL, base);
    unsigned hash = (unsigned)(0x0302 >> 4) & 0xfff;
    set(c, MTA + hash / 32 * 4, 1u << (hash % 32));
    assert_true(arrives(c, frame, sizeof(frame)));
    frame[5] ^= 0x10;
    assert_false(arrives(c, frame, sizeof(frame)));
    /* A second address. */
    make_frame(frame, other_mac, sizeof(frame));
    set(c, RA + 8, load_le32(other_mac));
    set(c, RA + 12, load_le16(other_mac + 4) | 1u << 31);
    assert_true(arrives(c, frame, sizeof(frame)));
}

static void test_vlan(void **state)
{
    struct card *c = *state;
    uint8_t frame[68], got[2048], status;
    uint16_t special;

    make_frame(frame, our_mac, sizeof(frame));
    store_be16(frame + 12, 0x8100);
    store_be16(frame + 14, 0x6005);
    set(c, CTRL, reg(c, CTRL) | CTRL_VLAN_MODE);
    assert_true(test_net_input(c->b, "n", frame, sizeof(frame)));
    assert_int_equal(received(c, got, &status, &special), 64);
    assert_int_equal(special, 0x6005);
    assert_int_equal(status, 0xf);
    assert_memory_equal(got, frame, 12);
    assert_memory_equal(got + 12, frame + 16, 52);
    set(c, RCTL, reg(c, RCTL) | RCTL_VLAN_FILTER);
    assert_false(arrives(c, frame, sizeof(frame)));
    set(c, VFTA, 1 << 5);
    assert_true(arrives(c, frame, sizeof(frame)));
    /* And out: the card inserts the tag. */
    mem_write(c->b, TX_DATA, got, 64);
    put_desc(c, TX_DATA, 64 | 0x49ull << 24 | 0x6005ull << 48);
    set(c, TDT, c->tx_tail);
    assert_int_equal(net(c)->bytes[0], 68);
    assert_memory_equal(net(c)->frame[0], frame, 68);
}

/* ---- checksums and segmentation -----------------------------------------------------
 */

#define HEADERS 54 /* Ethernet, IPv4, TCP */

static void make_tcp(uint8_t *frame, size_t bytes)
{
    static const uint8_t ip[20] = {0x45, 0, 0,  0, 0x12, 0x34, 0x40, 0, 64, 6,
                                   0,    0, 10, 0, 2,    15,   10,   0, 2,  2};
    static const uint8_t tcp[20] = {0x04, 0xd2, 0, 80, 0x10, 0,    0,    0,
                                    0,    0,    0, 1,  0x50, 0x19, 0x20, 0};

    make_frame(frame, other_mac, bytes);
    memcpy(frame + 14, ip, sizeof(ip));
    store_be16(frame + 16, (uint16_t)(bytes - 14));
    memcpy(frame + 34, tcp, sizeof(tcp));
}

static bool sums_are_right(const uint8_t *frame, size_t bytes)
{
    size_t tcp = load_be16(frame + 16) - 20u;
    uint32_t sum = checksum_add(6 + (uint32_t)tcp, frame + 26, 8);

    assert_int_equal(tcp + 34, bytes);
    return checksum_fold(checksum_add(0, frame + 14, 20)) == 0 &&
           checksum_fold(checksum_add(sum, frame + 34, tcp)) == 0;
}

static void context(struct card *c, uint8_t command, uint16_t mss, uint32_t payload)
{
    put_desc(c, 14 | 24ull << 8 | 33ull << 16 | 34ull << 32 | 50ull << 40,
             payload | (uint64_t)(command | 0x20) << 24 | (uint64_t)HEADERS << 40 |
                 (uint64_t)mss << 48);
}

static void test_checksums(void **state)
{
    struct card *c = *state;
    uint8_t frame[301];

    make_tcp(frame, sizeof(frame));
    /* The driver leaves the pseudo-header's sum in the field. */
    uint32_t pseudo = checksum_add(6 + sizeof(frame) - 34, frame + 26, 8);
    store_be16(frame + 50, (uint16_t)~checksum_fold(pseudo));
    mem_write(c->b, TX_DATA, frame, sizeof(frame));
    context(c, 3, 0, 0);
    put_desc(c, TX_DATA, 100 | 1ull << 20 | 0x20ull << 24 | 3ull << 40);
    put_desc(c, TX_DATA + 100, 201 | 1ull << 20 | 0x29ull << 24);
    set(c, TDT, c->tx_tail);
    assert_int_equal(net(c)->frames, 1);
    assert_int_equal(net(c)->bytes[0], sizeof(frame));
    assert_true(sums_are_right(net(c)->frame[0], net(c)->bytes[0]));
    assert_memory_equal(net(c)->frame[0] + HEADERS, frame + HEADERS,
                        sizeof(frame) - HEADERS);
}

static void test_segmentation(void **state)
{
    struct card *c = *state;
    static uint8_t frame[20000];
    size_t at = HEADERS;

    make_tcp(frame, sizeof(frame));
    mem_write(c->b, TX_DATA, frame, sizeof(frame));
    context(c, 7, 1460, sizeof(frame) - HEADERS);
    put_desc(c, TX_DATA, HEADERS | 1ull << 20 | 0x24ull << 24 | 3ull << 40);
    put_desc(c, TX_DATA + HEADERS,
             (sizeof(frame) - HEADERS) | 1ull << 20 | 0x2dull << 24);
    set(c, TDT, c->tx_tail);
    assert_int_equal(net(c)->frames, 14);
    for (unsigned i = 0; i < 14; i++) {
        const uint8_t *f = net(c)->frame[i];
        size_t bytes = net(c)->bytes[i];
        assert_true(bytes <= HEADERS + 1460);
        assert_true(sums_are_right(f, bytes));
        assert_int_equal(load_be16(f + 18), 0x1234 + i);
        assert_int_equal(load_be32(f + 38), 0x10000000 + at - HEADERS);
        assert_int_equal(f[47], i == 13 ? 0x19 : 0x10); /* FIN and PSH: last one only */
        assert_memory_equal(f + HEADERS, frame + at, bytes - HEADERS);
        at += bytes - HEADERS;
    }
    assert_int_equal(at, sizeof(frame));
    assert_int_equal(reg(c, TSCTC), 1);
}

/* ---- interrupts, link, reset --------------------------------------------------------
 */

static void test_interrupts(void **state)
{
    struct card *c = *state;

    set(c, ICS, INT_LSC);
    assert_false(irq(c));
    set(c, IMS, INT_LSC | INT_TXDW);
    assert_true(irq(c));
    assert_int_equal(reg(c, ICR), INT_LSC);
    assert_false(irq(c));
    set(c, ICS, INT_TXDW);
    assert_true(irq(c));
    set(c, IMC, INT_TXDW);
    assert_false(irq(c));
    assert_int_equal(reg(c, IMS), INT_LSC);
}

static void test_throttle(void **state)
{
    struct card *c = *state;

    set(c, IMS, INT_TXDW);
    set(c, ITR, 1000); /* 256 us */
    set(c, ICS, INT_TXDW);
    assert_true(irq(c));
    reg(c, ICR);
    set(c, ICS, INT_TXDW);
    assert_false(irq(c));
    step_clock(c->b, 200000);
    assert_false(irq(c));
    step_clock(c->b, 60000);
    assert_true(irq(c));
    reg(c, ICR);
    step_clock(c->b, 1000000);
    set(c, ICS, INT_TXDW);
    assert_true(irq(c));
}

static void test_loopback(void **state)
{
    struct card *c = *state;
    uint8_t frame[200], got[2048];

    make_frame(frame, our_mac, sizeof(frame));
    set(c, RCTL, reg(c, RCTL) | 1 << 6);
    send_frame(c, frame, sizeof(frame), 1);
    assert_int_equal(net(c)->frames, 0);
    assert_int_equal(received(c, got, NULL, NULL), 200);
    assert_memory_equal(got, frame, 200);
}

static void test_state(void **state)
{
    struct card *c = *state;
    uint8_t frame[100];

    make_frame(frame, other_mac, sizeof(frame));
    mem_write(c->b, TX_DATA, frame, sizeof(frame));
    put_desc(c, TX_DATA, 60); /* half a frame */
    set(c, TDT, c->tx_tail);
    set(c, IMS, INT_LSC);
    set(c, ICS, INT_LSC);
    save_and_load(c->b);
    assert_true(irq(c));
    put_desc(c, TX_DATA + 60, 40 | 9ull << 24);
    set(c, TDT, c->tx_tail);
    assert_int_equal(net(c)->frames, 1);
    assert_memory_equal(net(c)->frame[0], frame, sizeof(frame));
    load_damaged(c->b, "e1000");
}

static void test_nonsense(void **state)
{
    static const uint16_t favourites[] = {TDT,   TDH,   TDLEN, TDBAL, RDT,  RDH,
                                          RDLEN, RDBAL, RCTL,  TCTL,  CTRL, MDIC,
                                          EECD,  EERD,  ITR,   ICS};
    struct card *c = *state;
    uint8_t frame[2000];
    uint32_t seed = 3;

    make_frame(frame, our_mac, sizeof(frame));
    for (unsigned i = 0; i < 60000; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned offset = seed & 1 ? favourites[seed >> 8 & 15] : seed >> 8 & 0x7ffc;
        uint32_t value = seed * 2654435761u;
        if (offset == CTRL && seed & 0x600)
            value &= ~(uint32_t)CTRL_RESET;
        set(c, offset, seed & 2 ? value & 0xff : value);
        reg(c, seed >> 10 & 0x1fffc);
        cpu_write(c->b, TX_RING + (seed >> 12 & 0xff8), 8, value * 0x100000001ull);
        if (seed % 64 == 0)
            rings(c, value & 0x040387f8);
        if (seed % 16 == 0)
            test_net_input(c->b, "n", frame, 14 + (seed >> 8) % 1900);
    }
    turn(c->b);
    set(c, CTRL, CTRL_RESET);
    rings(c, RCTL_STRIP_FCS);
    net(c)->frames = 0;
    send_frame(c, frame, 100, 1);
    assert_int_equal(net(c)->frames, 1);
}

static void test_options(void **state)
{
    bench_refused("not an address", "-device", "e1000,mac=01:00:00:00:00:00");
    bench_refused("option ROM", "-device", "e1000,romfile=no-such-file.rom");
    bench_refused("another device", "-netdev", "test,id=n", "-device", "e1000,netdev=n",
                  "-device", "e1000,netdev=n");
    /* Without a network the link is down; two cards have two addresses. */
    struct bench *b = bench_start("-device", "e1000,addr=4", "-device", "e1000,addr=5");
    config_write(b, 4, 0x10, 4, BAR);
    config_enable(b, 4);
    config_write(b, 5, 0x10, 4, BAR + 0x20000);
    config_enable(b, 5);
    assert_int_equal(cpu_read(b, BAR + STATUS, 4) & 2, 0);
    assert_true(cpu_read(b, BAR + RA + 4, 4) != cpu_read(b, BAR + 0x20000 + RA + 4, 4));
    /* The network boot ROM is for this card. */
    config_write(b, 4, 0x30, 4, 0xe2000001);
    assert_int_equal(cpu_read(b, 0xe2000000, 2), 0xaa55);
    bench_stop(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_eeprom, setup, teardown),
        cmocka_unit_test_setup_teardown(test_phy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vlan, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checksums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_segmentation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_throttle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests_name("e1000", tests, NULL, NULL);
}
