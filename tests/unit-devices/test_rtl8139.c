/*
 * The RTL8139C+: EEPROM, PHY, the ring and the four buffers of the older mode,
 * descriptors, filters, checksums, segmentation, tags, counters, timer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include "ioemu/net/rtl8139.h"

#include <string.h>

#define SLOT    4
#define BAR     0xe0000000u
#define PORTS   0xc000u
#define TX_RING 0x100000u
#define RX_RING 0x110000u
#define TX_DATA 0x200000u
#define RX_DATA 0x400000u
#define DUMP    0x500040u
#define ENTRIES 8u

static const uint8_t our_mac[6] = {0x52, 0x54, 0x00, 0xab, 0xcd, 0xef};
static const uint8_t other_mac[6] = {0x52, 0x54, 0x00, 0x11, 0x22, 0x33};
static const uint8_t group[6] = {0x01, 0x00, 0x5e, 0x00, 0x00, 0x01};

struct card {
    struct bench *b;
    unsigned tx, rx; /* next descriptors */
};

static uint32_t reg(struct card *c, unsigned offset, unsigned size)
{
    return (uint32_t)cpu_read(c->b, BAR + offset, size);
}

static void set(struct card *c, unsigned offset, unsigned size, uint32_t value)
{
    cpu_write(c->b, BAR + offset, size, value);
}

static int setup(void **state)
{
    static struct card c;

    memset(&c, 0, sizeof(c));
    c.b = bench_start("-netdev", "test,id=n", "-device",
                      "rtl8139,netdev=n,mac=52:54:00:ab:cd:ef,addr=4,romfile=");
    config_write(c.b, SLOT, 0x10, 4, PORTS);
    config_write(c.b, SLOT, 0x14, 4, BAR);
    config_enable(c.b, SLOT);
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

static bool irq(struct card *c)
{
    return config_read(c->b, SLOT, 6, 2) & 8;
}

static void make_frame(uint8_t *frame, const uint8_t *to, size_t bytes)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, other_mac, 6);
    store_be16(frame + 12, 0x88b5);
    for (size_t i = 14; i < bytes; i++)
        frame[i] = (uint8_t)(i * 7);
}

/* The older mode, as 8139too sets it up. */
static void start_old(struct card *c, uint32_t rcr)
{
    set(c, CR, 1, CR_RST);
    set(c, RBSTART, 4, RX_DATA);
    set(c, CR, 1, CR_RE | CR_TE);
    set(c, RCR, 4, rcr);
    set(c, IMR, 2, INT_ROK | INT_TOK);
}

/* Descriptors, as 8139cp does. */
static void start_plus(struct card *c, uint16_t cpcr, uint32_t buffer)
{
    static const uint8_t zero[ENTRIES * 16];

    set(c, CR, 1, CR_RST);
    set(c, CPCR, 2, CPCR_TX | CPCR_RX | cpcr);
    set(c, CR, 1, CR_RE | CR_TE);
    mem_write(c->b, TX_RING, zero, sizeof(zero));
    mem_write(c->b, RX_RING, zero, sizeof(zero));
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint32_t end = i + 1 == ENTRIES ? CPD_EOR : 0;
        cpu_write(c->b, RX_RING + i * 16, 4, CPD_OWN | end | buffer);
        cpu_write(c->b, RX_RING + i * 16 + 8, 8, RX_DATA + i * 0x1000);
    }
    set(c, RDSAR + 4, 4, 0);
    set(c, RDSAR, 4, RX_RING);
    set(c, TNPDS + 4, 4, 0);
    set(c, TNPDS, 4, TX_RING);
    set(c, RCR, 4, RCR_APM | RCR_AB);
    set(c, IMR, 2, INT_ROK | INT_TOK);
    c->tx = c->rx = 0;
}

static void put_desc(struct card *c, uint32_t opts1, uint32_t opts2, uint64_t gpa)
{
    uint32_t end = c->tx + 1 == ENTRIES ? CPD_EOR : 0;

    cpu_write(c->b, TX_RING + c->tx * 16 + 4, 4, opts2);
    cpu_write(c->b, TX_RING + c->tx * 16 + 8, 8, gpa);
    cpu_write(c->b, TX_RING + c->tx * 16, 4, CPD_OWN | end | opts1);
    c->tx = (c->tx + 1) % ENTRIES;
}

static void poll_tx(struct card *c)
{
    set(c, TPPOLL, 1, 1 << 6);
}

/* ---- tests --------------------------------------------------------------------------
 */

static void test_identity(void **state)
{
    struct card *c = *state;

    assert_int_equal(config_read(c->b, SLOT, 0, 4), 0x813910ec);
    assert_int_equal(config_read(c->b, SLOT, 8, 4), 0x02000020);
    assert_int_equal(reg(c, TCR, 4) & 0x7cc00000, 0x74800000);
    assert_int_equal(reg(c, IDR, 4), 0xab005452);
    assert_int_equal(reg(c, IDR + 4, 2), 0xefcd);
    /* The same through ports, of any size. */
    assert_int_equal(in32(c->b, PORTS + IDR), 0xab005452);
    assert_int_equal(in8(c->b, PORTS + 5), 0xef);
    assert_int_equal(reg(c, CR, 1), CR_BUFE);
    /* The version cannot be written over. */
    set(c, TCR, 4, 0xffffffff);
    assert_int_equal(reg(c, TCR, 4) & 0x7cc00000, 0x74800000);
    set(c, CR, 1, CR_RST);
    assert_int_equal(reg(c, CR, 1) & CR_RST, 0);
    assert_int_equal(reg(c, TSD, 4), TSD_OWN);
}

static uint16_t eeprom_word(struct card *c, unsigned word)
{
    unsigned command = 6 << 6 | word;
    uint16_t value = 0;

    set(c, CR9346, 1, 0x80);
    set(c, CR9346, 1, 0x88);
    for (int bit = 8; bit >= 0; bit--) {
        uint8_t in = command >> bit & 1 ? 2 : 0;
        set(c, CR9346, 1, 0x88u | in);
        set(c, CR9346, 1, 0x8cu | in);
    }
    assert_int_equal(reg(c, CR9346, 1) & 1, 0);
    set(c, CR9346, 1, 0x88);
    for (int bit = 0; bit < 16; bit++) {
        set(c, CR9346, 1, 0x8c);
        value = (uint16_t)(value << 1 | (reg(c, CR9346, 1) & 1));
        set(c, CR9346, 1, 0x88);
    }
    set(c, CR9346, 1, 0);
    return value;
}

static void test_eeprom(void **state)
{
    struct card *c = *state;

    assert_int_equal(eeprom_word(c, 0), 0x8129);
    assert_int_equal(eeprom_word(c, 2), 0x8139);
    assert_int_equal(eeprom_word(c, 7), 0x5452);
    assert_int_equal(eeprom_word(c, 8), 0xab00);
    assert_int_equal(eeprom_word(c, 9), 0xefcd);
    /* Autoload brings the address back. */
    set(c, IDR, 4, 0);
    set(c, CR9346, 1, 0x40);
    assert_int_equal(reg(c, IDR, 4), 0xab005452);
    assert_int_equal(reg(c, CR9346, 1) & 0xc0, 0);
}

static void test_phy(void **state)
{
    struct card *c = *state;

    assert_int_equal(reg(c, BMSR, 2) & 0x24, 0x24);
    assert_int_equal(reg(c, MSR, 1) & 4, 0);
    set(c, BMCR, 2, 0x2100); /* locked */
    assert_int_equal(reg(c, BMCR, 2), 0x3100);
    set(c, CR9346, 1, 0xc0);
    set(c, BMCR, 2, 0x2100);
    assert_int_equal(reg(c, BMCR, 2), 0x2100);
    set(c, BMCR, 2, 0x9200);
    assert_int_equal(reg(c, BMCR, 2), 0x3100);
}

static void test_old_send(void **state)
{
    struct card *c = *state;
    uint8_t frame[1514];

    start_old(c, RCR_APM);
    for (unsigned n = 0; n < 6; n++) {
        make_frame(frame, other_mac, 100 + n);
        mem_write(c->b, TX_DATA + n % 4 * 0x1000, frame, sizeof(frame));
        set(c, TSAD + n % 4 * 4, 4, TX_DATA + n % 4 * 0x1000);
        set(c, TSD + n % 4 * 4, 4, 100 + n);
        assert_int_equal(net(c)->frames, n + 1);
        assert_int_equal(net(c)->bytes[n], 100 + n);
        assert_memory_equal(net(c)->frame[n], frame, 100 + n);
        assert_int_equal(reg(c, TSD + n % 4 * 4, 4) & (TSD_OWN | TSD_TOK),
                         TSD_OWN | TSD_TOK);
    }
    assert_true(irq(c));
    assert_int_equal(reg(c, ISR, 2), INT_TOK);
    set(c, ISR, 2, INT_TOK);
    assert_false(irq(c));
    assert_int_equal(reg(c, TSAD_ALL, 2), 0xf00f);
    /* Too large: aborted, and nothing goes out. */
    set(c, TSD, 4, 2000);
    assert_int_equal(net(c)->frames, 6);
    assert_int_equal(reg(c, ISR, 2), INT_TER);
    /* Switched off: it stays the card's. */
    set(c, CR, 1, CR_RE);
    set(c, TSD, 4, 100);
    assert_int_equal(reg(c, TSD, 4), 100);
    assert_int_equal(net(c)->frames, 6);
}

/* Take one frame out of the ring, as 8139too does; -1: none. */
static int take_old(struct card *c, uint8_t *frame, uint16_t *status)
{
    uint8_t header[4];
    unsigned ring = 8192, at = (reg(c, CAPR, 2) + 16) % ring;

    if (reg(c, CR, 1) & CR_BUFE)
        return -1;
    mem_read(c->b, RX_DATA + at, header, 4);
    *status = load_le16(header);
    unsigned bytes = load_le16(header + 2) - 4u;
    for (unsigned i = 0; i < bytes; i++) {
        unsigned where = at + 4 + i;
        if (!(reg(c, RCR, 4) & RCR_WRAP))
            where %= ring;
        mem_read(c->b, RX_DATA + where, frame + i, 1);
    }
    at = (at + 4 + bytes + 4 + 3) & ~3u;
    set(c, CAPR, 2, (at % ring - 16) & 0xffff);
    return (int)bytes;
}

static void run_old_ring(struct card *c, uint32_t wrap)
{
    uint8_t frame[1514], got[2048];
    uint16_t status;

    start_old(c, RCR_APM | RCR_AB | wrap);
    for (unsigned n = 0; n < 40; n++) {
        make_frame(frame, our_mac, 1000 + n * 7);
        assert_true(test_net_input(c->b, "n", frame, 1000 + n * 7));
        assert_int_equal(take_old(c, got, &status), 1000 + n * 7);
        assert_int_equal(status, 0x4001);
        assert_memory_equal(got, frame, 1000 + n * 7);
    }
    assert_int_equal(take_old(c, got, &status), -1);
    assert_true(irq(c));
    /* Full: frames wait until the driver has taken some. */
    make_frame(frame, our_mac, 1514);
    unsigned fit = 0;
    while (test_net_input(c->b, "n", frame, 1514))
        assert_true(++fit < 6);
    assert_true(fit >= 2);
    for (unsigned n = 0; n < fit; n++)
        assert_int_equal(take_old(c, got, &status), 1514);
    assert_true(test_net_input(c->b, "n", frame, 1514));
}

static void test_old_receive(void **state)
{
    run_old_ring(*state, 0);
    run_old_ring(*state, RCR_WRAP);
}

static void test_filters(void **state)
{
    struct card *c = *state;
    uint8_t frame[60], got[2048];
    uint16_t status;
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    start_old(c, RCR_APM);
    make_frame(frame, other_mac, sizeof(frame));
    test_net_input(c->b, "n", frame, sizeof(frame));
    make_frame(frame, all, sizeof(frame));
    test_net_input(c->b, "n", frame, sizeof(frame));
    make_frame(frame, group, sizeof(frame));
    test_net_input(c->b, "n", frame, sizeof(frame));
    assert_int_equal(take_old(c, got, &status), -1);
    set(c, RCR, 4, RCR_AB | RCR_AM);
    make_frame(frame, all, sizeof(frame));
    test_net_input(c->b, "n", frame, sizeof(frame));
    assert_int_equal(take_old(c, got, &status), 60);
    assert_int_equal(status, 0x2001);
    /* 01:00:5e:00:00:01 has bit 31 (ether_crc() >> 26 in Linux drivers). */
    make_frame(frame, group, sizeof(frame));
    test_net_input(c->b, "n", frame, sizeof(frame));
    assert_int_equal(take_old(c, got, &status), -1);
    set(c, MAR, 4, 1u << 31);
    test_net_input(c->b, "n", frame, sizeof(frame));
    assert_int_equal(take_old(c, got, &status), 60);
    assert_int_equal(status, 0x8001);
    set(c, RCR, 4, RCR_AAP);
    make_frame(frame, other_mac, 20); /* padded */
    test_net_input(c->b, "n", frame, 20);
    assert_int_equal(take_old(c, got, &status), 60);
    assert_int_equal(got[59], 0);
}

static void test_plus_send(void **state)
{
    struct card *c = *state;
    uint8_t frame[200];

    start_plus(c, 0, 1536);
    make_frame(frame, other_mac, sizeof(frame));
    mem_write(c->b, TX_DATA, frame, sizeof(frame));
    for (unsigned n = 0; n < 12; n++) { /* round the ring, in two parts each */
        put_desc(c, CPD_FS | 50, 0, TX_DATA);
        put_desc(c, CPD_LS | 150, 0, TX_DATA + 50);
        poll_tx(c);
        assert_int_equal(net(c)->frames, n + 1);
        assert_int_equal(net(c)->bytes[n], 200);
        assert_memory_equal(net(c)->frame[n], frame, 200);
    }
    uint32_t first = (uint32_t)cpu_read(c->b, TX_RING, 4);
    assert_int_equal(first & CPD_OWN, 0);
    assert_true(cpu_read(c->b, TX_RING + 7 * 16, 4) & CPD_EOR);
    assert_int_equal(reg(c, ISR, 2), INT_TOK | INT_TDU);
    assert_true(irq(c));
}

static bool arrives(struct card *c, const uint8_t *frame, size_t bytes)
{
    assert_true(test_net_input(c->b, "n", frame, bytes));
    return !(cpu_read(c->b, RX_RING + c->rx * 16, 4) & CPD_OWN);
}

static void test_plus_receive(void **state)
{
    struct card *c = *state;
    uint8_t frame[1514], got[1514];

    start_plus(c, 0, 1536);
    make_frame(frame, our_mac, sizeof(frame));
    for (unsigned n = 0; n < 3 * ENTRIES; n++) {
        uint32_t end = c->rx + 1 == ENTRIES ? CPD_EOR : 0;
        assert_true(arrives(c, frame, 1000 + n));
        uint32_t opts1 = (uint32_t)cpu_read(c->b, RX_RING + c->rx * 16, 4);
        assert_int_equal(opts1, (CPD_FS | CPD_LS | 1 << 25 | end) + 1004 + n);
        mem_read(c->b, RX_DATA + c->rx * 0x1000, got, 1000 + n);
        assert_memory_equal(got, frame, 1000 + n);
        cpu_write(c->b, RX_RING + c->rx * 16, 4, CPD_OWN | end | 1536);
        c->rx = (c->rx + 1) % ENTRIES;
    }
    assert_int_equal(reg(c, ISR, 2), INT_ROK);
    /* None left: counted, and the driver is told. */
    for (unsigned n = 0; n < ENTRIES; n++)
        test_net_input(c->b, "n", frame, 100);
    assert_int_equal(reg(c, MPC, 4), 0);
    test_net_input(c->b, "n", frame, 100);
    assert_int_equal(reg(c, MPC, 4), 1);
    assert_int_equal(reg(c, ISR, 2), INT_ROK | INT_RDU);
    /* One frame over several buffers. */
    start_plus(c, 0, 512);
    assert_true(arrives(c, frame, 1200));
    assert_int_equal(cpu_read(c->b, RX_RING, 4), CPD_FS | 1 << 25 | 512);
    assert_int_equal(cpu_read(c->b, RX_RING + 16, 4), 1 << 25 | 512);
    assert_int_equal(cpu_read(c->b, RX_RING + 32, 4), CPD_LS | 1 << 25 | 1204);
    mem_read(c->b, RX_DATA + 0x2000, got, 176);
    assert_memory_equal(got, frame + 1024, 176);
    /* A buffer of no bytes holds nothing, and does not stop the machine. */
    start_plus(c, 0, 0);
    assert_false(arrives(c, frame, 100));
}

static size_t make_tcp(uint8_t *frame, size_t data)
{
    size_t bytes = 14 + 20 + 20 + data;

    make_frame(frame, other_mac, bytes);
    store_be16(frame + 12, 0x0800);
    uint8_t *ip = frame + 14, *tcp = ip + 20;
    memset(ip, 0, 40);
    ip[0] = 0x45;
    store_be16(ip + 2, (uint16_t)(40 + data));
    ip[8] = 64;
    ip[9] = 6;
    store_be32(ip + 12, 0x0a000001);
    store_be32(ip + 16, 0x0a000002);
    tcp[12] = 5 << 4;
    store_be16(tcp + 16, 0x1234); /* what the driver leaves there does not matter */
    return bytes;
}

static bool sums_are_right(const uint8_t *frame)
{
    const uint8_t *ip = frame + 14;
    uint32_t length = load_be16(ip + 2) - 20u;
    uint32_t sum = checksum_add(0, ip + 12, 8) + length + 6;

    return !checksum_fold(checksum_add(0, ip, 20)) &&
           !checksum_fold(checksum_add(sum, ip + 20, length));
}

static void test_offload(void **state)
{
    struct card *c = *state;
    static uint8_t frame[9000];
    size_t bytes = make_tcp(frame, 101);

    start_plus(c, 0, 1536);
    mem_write(c->b, TX_DATA, frame, bytes);
    put_desc(c, CPD_FS | CPD_LS | 1 << 18 | 1 << 16 | (uint32_t)bytes, 0, TX_DATA);
    poll_tx(c);
    assert_int_equal(net(c)->bytes[0], bytes);
    assert_true(sums_are_right(net(c)->frame[0]));
    /* 5000 bytes in segments of 1400. */
    bytes = make_tcp(frame, 5000);
    mem_write(c->b, TX_DATA, frame, bytes);
    put_desc(c, CPD_FS | CPD_LS | 1u << 27 | 1400 << 16 | (uint32_t)bytes, 0, TX_DATA);
    poll_tx(c);
    assert_int_equal(net(c)->frames, 5);
    for (unsigned n = 1; n < 5; n++) {
        assert_int_equal(net(c)->bytes[n], 54 + (n < 4 ? 1400 : 800));
        assert_true(sums_are_right(net(c)->frame[n]));
        assert_int_equal(load_be32(net(c)->frame[n] + 38), (n - 1) * 1400);
    }
    /* Neither is anything else, and no segment size at all. */
    make_frame(frame, other_mac, 100);
    mem_write(c->b, TX_DATA, frame, 100);
    put_desc(c, CPD_FS | CPD_LS | 1u << 27 | 1400 << 16 | 100, 0, TX_DATA);
    make_tcp(frame, 5000);
    mem_write(c->b, TX_DATA + 0x8000, frame, 5054);
    put_desc(c, CPD_FS | CPD_LS | 1u << 27 | 5054, 0, TX_DATA + 0x8000);
    poll_tx(c);
    assert_int_equal(net(c)->frames, 5);
}

static void test_tags(void **state)
{
    struct card *c = *state;
    uint8_t frame[104];

    start_plus(c, CPCR_VLAN, 1536);
    make_frame(frame, other_mac, 100);
    mem_write(c->b, TX_DATA, frame, 100);
    put_desc(c, CPD_FS | CPD_LS | 100, 1 << 17 | 0x2301, TX_DATA); /* 0x123 */
    poll_tx(c);
    assert_int_equal(net(c)->bytes[0], 104);
    assert_int_equal(load_be32(net(c)->frame[0] + 12), 0x81000123);
    assert_memory_equal(net(c)->frame[0] + 16, frame + 12, 88);
    /* And back. */
    make_frame(frame, our_mac, 104);
    store_be32(frame + 12, 0x81000123);
    assert_true(arrives(c, frame, 104));
    assert_int_equal(cpu_read(c->b, RX_RING, 4) & 0x1fff, 104);
    assert_int_equal(cpu_read(c->b, RX_RING + 4, 4), 1 << 16 | 0x2301);
}

static void test_counters(void **state)
{
    struct card *c = *state;
    uint8_t frame[100];

    start_plus(c, 0, 1536);
    make_frame(frame, our_mac, sizeof(frame));
    mem_write(c->b, TX_DATA, frame, sizeof(frame));
    put_desc(c, CPD_FS | CPD_LS | 100, 0, TX_DATA);
    poll_tx(c);
    arrives(c, frame, sizeof(frame));
    arrives(c, frame, sizeof(frame));
    set(c, DTCCR + 4, 4, 0);
    set(c, DTCCR, 4, DUMP | 8);
    assert_int_equal(reg(c, DTCCR, 4) & 8, 0);
    assert_int_equal(cpu_read(c->b, DUMP, 8), 1);
    assert_int_equal(cpu_read(c->b, DUMP + 8, 8), 2);
    assert_int_equal(cpu_read(c->b, DUMP + 40, 8), 2);
    assert_int_equal(net(c)->frames, 1); /* DTCCR is no TSD */
}

static void test_timer(void **state)
{
    struct card *c = *state;

    set(c, IMR, 2, INT_TIMEOUT);
    set(c, TCTR, 4, 0);
    set(c, TIMERINT, 4, 33000);
    step_clock(c->b, 900000);
    assert_in_range(reg(c, TCTR, 4), 29000, 31000);
    assert_false(irq(c));
    step_clock(c->b, 200000);
    assert_true(irq(c));
    assert_int_equal(reg(c, ISR, 2), INT_TIMEOUT);
}

static void test_state(void **state)
{
    struct card *c = *state;
    uint8_t frame[100];

    start_plus(c, 0, 1536);
    make_frame(frame, other_mac, sizeof(frame));
    mem_write(c->b, TX_DATA, frame, sizeof(frame));
    put_desc(c, CPD_FS | CPD_LS | 100, 0, TX_DATA);
    put_desc(c, CPD_FS | 40, 0, TX_DATA);
    poll_tx(c);
    set(c, CR9346, 1, 0x88);
    save_and_load(c->b);
    put_desc(c, CPD_LS | 60, 0, TX_DATA + 40);
    poll_tx(c);
    assert_int_equal(net(c)->frames, 2);
    assert_memory_equal(net(c)->frame[1], frame, 100);
    load_damaged(c->b, "rtl8139");
}

/* Registers full of nonsense, rings that end in themselves or outside of memory. */
static void test_hostile(void **state)
{
    struct card *c = *state;
    uint8_t frame[1514];
    uint32_t random = 12345;

    make_frame(frame, our_mac, sizeof(frame));
    for (unsigned round = 0; round < 20000; round++) {
        random = random * 1664525 + 1013904223;
        unsigned offset = random >> 24, size = 1u << (random >> 22 & 3);
        if (size == 8 || offset + size > 256)
            size = 1;
        set(c, offset, size, random * 2654435761u);
        if (round % 64 == 0) {
            set(c, CR, 1, CR_RE | CR_TE);
            set(c, CPCR, 2, round % 128 ? 3 : 0);
            set(c, RCR, 4, RCR_AAP | (random & 0x1880));
            test_net_input(c->b, "n", frame, sizeof(frame));
            poll_tx(c);
        }
        reg(c, offset & ~3u, 4);
    }
    turn(c->b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_eeprom, setup, teardown),
        cmocka_unit_test_setup_teardown(test_phy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_receive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plus_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plus_receive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offload, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
    };
    return cmocka_run_group_tests_name("rtl8139", tests, NULL, NULL);
}
