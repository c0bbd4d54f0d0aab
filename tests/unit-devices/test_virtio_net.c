/*
 * virtio-net: both headers, mergeable buffers, offloads, filters.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "driver.h"

#include "ioemu/net/ethernet.h"

#include <stdlib.h>
#include <string.h>

#define SLOT    4
#define RX_DATA 0x300000u
#define TX_DATA 0x400000u
#define CONTROL 0x500000u

#define CSUM          (1ull << 0)
#define GUEST_CSUM    (1ull << 1)
#define GUEST_TSO6    (1ull << 8)
#define TSO           (3ull << 11)
#define MERGE         (1ull << 15)
#define CONTROL_QUEUE (1ull << 17)
#define CONTROL_ALL   (CONTROL_QUEUE | 0x9cull << 16)
#define EVENT         (1ull << 29)

static const uint8_t our_mac[6] = {0x52, 0x54, 0x00, 0xab, 0xcd, 0xef};
static const uint8_t other_mac[6] = {0x52, 0x54, 0x00, 0x11, 0x22, 0x33};

static int setup(void **state)
{
    *state = bench_start("-netdev", "test,id=n", "-device",
                         "virtio-net-pci,netdev=n,mac=52:54:00:ab:cd:ef,addr=4,romfile=");
    return 0;
}

static int teardown(void **state)
{
    bench_stop(*state);
    return 0;
}

static void start(struct driver *d, struct bench *b, bool legacy, uint64_t features)
{
    driver_start(d, b, SLOT, legacy, true, features);
    driver_queue(d, 0);
    driver_queue(d, 1);
    if (d->features & CONTROL_QUEUE)
        driver_queue(d, 2);
    driver_ok(d);
}

static size_t header_bytes(const struct driver *d)
{
    return d->legacy && !(d->features & MERGE) ? 10 : 12;
}

/* Receive buffers of that many bytes. */
static void give_more(struct driver *d, unsigned first, unsigned count, uint32_t bytes)
{
    for (unsigned i = first; i < first + count; i++) {
        driver_desc(d, 0, i, RX_DATA + i * 0x1000, bytes, D_WRITE, 0);
        driver_offer(d, 0, (uint16_t)i);
    }
}

static void give_buffers(struct driver *d, unsigned count, uint32_t bytes)
{
    give_more(d, 0, count, bytes);
}

static void make_frame(uint8_t *frame, const uint8_t *to, size_t bytes)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, other_mac, 6);
    store_be16(frame + 12, 0x0800);
    for (size_t i = 14; i < bytes; i++)
        frame[i] = (uint8_t)(i * 7);
}

static void transmit(struct driver *d, const uint8_t *header, const uint8_t *frame,
                     size_t bytes)
{
    mem_write(d->b, TX_DATA, header, header_bytes(d));
    mem_write(d->b, TX_DATA + 0x1000, frame, bytes);
    driver_desc(d, 1, 0, TX_DATA, (uint32_t)header_bytes(d), D_NEXT, 1);
    driver_desc(d, 1, 1, TX_DATA + 0x1000, (uint32_t)bytes, 0, 0);
    driver_offer(d, 1, 0);
    assert_int_equal(driver_wait(d, 1, NULL), 0);
}

static void test_config(void **state)
{
    struct bench *b = *state;
    struct driver d;

    assert_int_equal(config_read(b, SLOT, 0, 4), 0x10001af4);
    assert_int_equal(config_read(b, SLOT, 0x2c, 4), 0x00011af4);
    assert_int_equal(config_read(b, SLOT, 8, 4), 0x02000000);
    start(&d, b, false, 0);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(driver_config(&d, i, 1), our_mac[i]);
    assert_int_equal(driver_config(&d, 6, 2), 1);
}

static void both_ways(struct bench *b, bool legacy, uint64_t features)
{
    static const uint8_t no_offload[12];
    struct driver d;
    uint8_t frame[1514], got[1600];
    uint32_t written;

    test_net(b, "n")->frames = 0;
    start(&d, b, legacy, features);
    make_frame(frame, our_mac, sizeof(frame));
    transmit(&d, no_offload, frame, sizeof(frame));
    assert_int_equal(test_net(b, "n")->frames, 1);
    assert_int_equal(test_net(b, "n")->bytes[0], sizeof(frame));
    assert_memory_equal(test_net(b, "n")->frame[0], frame, sizeof(frame));
    /* No buffers: the frame has to wait. */
    assert_false(test_net_input(b, "n", frame, sizeof(frame)));
    give_buffers(&d, 4, 1600);
    unsigned before = b->msis;
    assert_true(test_net_input(b, "n", frame, sizeof(frame)));
    assert_int_equal(driver_used(&d, 0, &written), 0);
    assert_int_equal(written, sizeof(frame) + header_bytes(&d));
    mem_read(b, RX_DATA, got, written);
    assert_memory_equal(got + header_bytes(&d), frame, sizeof(frame));
    assert_int_equal(b->msis, before + 1);
    assert_int_equal(b->msi_data[before % MSI_LOG], 0x41);
    if (header_bytes(&d) == 12)
        assert_int_equal(load_le16(got + 10), 1);
    /* Short frames come as they are: there is no wire that would pad them. */
    assert_true(test_net_input(b, "n", frame, 20));
    assert_int_equal(driver_used(&d, 0, &written), 1);
    assert_int_equal(written, 20 + header_bytes(&d));
}

static void test_both_ways(void **state)
{
    both_ways(*state, false, 0);
    both_ways(*state, false, MERGE);
    both_ways(*state, true, 0);
    both_ways(*state, true, MERGE);
}

static void test_merged_buffers(void **state)
{
    struct bench *b = *state;
    struct driver d;
    uint8_t frame[1514], got[512];
    uint32_t written;
    size_t at = 0;

    start(&d, b, false, MERGE);
    give_buffers(&d, 8, 500);
    make_frame(frame, our_mac, sizeof(frame));
    assert_true(test_net_input(b, "n", frame, 1400));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(driver_used(&d, 0, &written), i);
        mem_read(b, RX_DATA + i * 0x1000, got, written);
        size_t skip = i ? 0 : 12;
        if (!i)
            assert_int_equal(load_le16(got + 10), 3);
        assert_memory_equal(got + skip, frame + at, written - skip);
        at += written - skip;
    }
    assert_int_equal(at, 1400);
    /* Two more fit; of what does not fit, nothing is taken. */
    assert_true(test_net_input(b, "n", frame, 900));
    assert_int_equal(driver_used(&d, 0, NULL), 3);
    assert_int_equal(driver_used(&d, 0, NULL), 4);
    assert_true(test_net_input(b, "n", frame, 1510));
    assert_int_equal(driver_used(&d, 0, NULL), -1);
    assert_true(test_net_input(b, "n", frame, 1400));
    assert_int_equal(driver_used(&d, 0, NULL), 5);
}

static void make_tcp6(uint8_t *frame, size_t bytes)
{
    make_frame(frame, other_mac, bytes);
    store_be16(frame + 12, 0x86dd);
    memset(frame + 14, 0, 60);
    frame[14] = 0x60;
    store_be16(frame + 18, (uint16_t)(bytes - 54));
    frame[20] = 6;
    for (unsigned i = 22; i < 54; i++)
        frame[i] = (uint8_t)i;
    store_be32(frame + 58, 0xfffff000);
    frame[66] = 0x50;
    frame[67] = 0x18;
}

static bool sum_is_right(const uint8_t *frame, size_t bytes)
{
    uint32_t sum = checksum_add(6 + (uint32_t)bytes - 54, frame + 22, 32);

    return checksum_fold(checksum_add(sum, frame + 54, bytes - 54)) == 0;
}

static void test_offloads(void **state)
{
    struct bench *b = *state;
    struct test_net *net = test_net(b, "n");
    struct driver d;
    static uint8_t frame[40000];
    uint8_t header[12] = {1, 0, 0, 0, 0, 0, 54, 0, 16, 0};
    size_t at = 74;

    start(&d, b, false, CSUM | TSO);
    make_tcp6(frame, 500);
    uint32_t pseudo = checksum_add(6 + 500 - 54, frame + 22, 32);
    store_be16(frame + 70, (uint16_t)~checksum_fold(pseudo));
    transmit(&d, header, frame, 500);
    assert_int_equal(net->frames, 1);
    assert_true(sum_is_right(net->frame[0], 500));
    /* 40000 bytes in segments of 1440. */
    make_tcp6(frame, sizeof(frame));
    header[1] = 4;
    store_le16(header + 2, 74);
    store_le16(header + 4, 1440);
    transmit(&d, header, frame, sizeof(frame));
    assert_int_equal(net->frames, 1 + 28);
    for (unsigned i = 1; i < 29; i++) {
        size_t bytes = net->bytes[i];
        assert_true(sum_is_right(net->frame[i], bytes));
        assert_int_equal(load_be16(net->frame[i] + 18), bytes - 54);
        assert_int_equal(load_be32(net->frame[i] + 58), (uint32_t)(0xfffff000 + at - 74));
        assert_memory_equal(net->frame[i] + 74, frame + at, bytes - 74);
        at += bytes - 74;
    }
    assert_int_equal(at, sizeof(frame));
    /* Headers that lie are not sent. */
    for (unsigned i = 0; i < 12; i++) {
        uint8_t old = header[i];
        header[i] = 0xff;
        transmit(&d, header, frame, 200);
        header[i] = old;
    }
}

/* A TCP frame of 20000 bytes for the guest, to be cut at 1440, its checksum not made. */
static struct net_offload make_uncut(uint8_t *frame, size_t bytes)
{
    make_tcp6(frame, bytes);
    memcpy(frame, our_mac, 6);
    uint32_t pseudo = checksum_add(6 + (uint32_t)bytes - 54, frame + 22, 32);
    store_be16(frame + 70, (uint16_t)~checksum_fold(pseudo));
    return (struct net_offload){.sum = true,
                                .gso = NET_GSO_TCP6,
                                .sum_start = 54,
                                .sum_offset = 16,
                                .header_bytes = 74,
                                .mss = 1440};
}

/* What arrived in buffer `i`, with its header. */
static size_t arrived(struct driver *d, unsigned i, uint8_t *got)
{
    uint32_t written = 0;

    assert_int_equal(driver_used(d, 0, &written), i);
    mem_read(d->b, RX_DATA + i * 0x1000, got, written);
    return written;
}

static void test_receive_uncut(void **state)
{
    struct bench *b = *state;
    struct driver d;
    static uint8_t frame[20000], got[0x1000];
    size_t at = 0;

    start(&d, b, false, GUEST_CSUM | GUEST_TSO6 | MERGE);
    give_buffers(&d, 4, 1500);
    struct net_offload o = make_uncut(frame, sizeof(frame));
    /* Four buffers are too few, and the driver may give more. */
    assert_false(test_net_input_offload(b, "n", frame, sizeof(frame), &o));
    assert_int_equal(driver_used(&d, 0, NULL), -1);
    give_more(&d, 4, 10, 1500);
    assert_true(test_net_input_offload(b, "n", frame, sizeof(frame), &o));
    for (unsigned i = 0; i < 14; i++) {
        size_t bytes = arrived(&d, i, got), skip = i ? 0 : 12;
        if (!i) {
            static const uint8_t header[12] = {1, 4, 74, 0, 0xa0, 5, 54, 0, 16, 0, 14, 0};
            assert_memory_equal(got, header, sizeof(header));
        }
        assert_memory_equal(got + skip, frame + at, bytes - skip);
        at += bytes - skip;
    }
    assert_int_equal(at, sizeof(frame));
}

/* A driver that takes none of it gets segments, and when its buffers end in the middle
 * the rest comes later. */
static void test_receive_cut(void **state)
{
    struct bench *b = *state;
    struct driver d;
    static uint8_t frame[20000], whole[20000], got[0x1000];
    size_t at = 74;

    start(&d, b, false, 0);
    give_buffers(&d, 10, 1600);
    struct net_offload o = make_uncut(frame, sizeof(frame));
    memcpy(whole, frame, sizeof(frame));
    assert_false(test_net_input_offload(b, "n", frame, sizeof(frame), &o));
    for (unsigned i = 0; i < 14; i++) {
        if (i == 10) {
            give_buffers(&d, 6, 1600);
            assert_true(test_net_input_offload(b, "n", frame, sizeof(frame), &o));
        }
        size_t bytes = arrived(&d, i % 10, got) - 12;
        const uint8_t *segment = got + 12;
        assert_true(sum_is_right(segment, bytes));
        assert_int_equal(load_be16(segment + 18), bytes - 54);
        assert_int_equal(load_be32(segment + 58), (uint32_t)(0xfffff000 + at - 74));
        assert_memory_equal(segment + 74, whole + at, bytes - 74);
        at += bytes - 74;
    }
    assert_int_equal(at, sizeof(whole));
    /* One whose checksum alone is missing. */
    o = make_uncut(frame, 500);
    o.gso = NET_GSO_NONE;
    assert_true(test_net_input_offload(b, "n", frame, 500, &o));
    assert_int_equal(arrived(&d, 4, got), 512);
    assert_true(sum_is_right(got + 12, 500));
}

static uint8_t control(struct driver *d, uint8_t class, uint8_t command, const void *data,
                       uint32_t bytes)
{
    const uint8_t head[2] = {class, command};

    mem_write(d->b, CONTROL, head, 2);
    mem_write(d->b, CONTROL + 16, data, bytes);
    cpu_write(d->b, CONTROL + 0x1000, 1, 0xee);
    driver_desc(d, 2, 0, CONTROL, 2, D_NEXT, 1);
    driver_desc(d, 2, 1, CONTROL + 16, bytes, D_NEXT, 2);
    driver_desc(d, 2, 2, CONTROL + 0x1000, 1, D_WRITE, 0);
    driver_offer(d, 2, 0);
    driver_wait(d, 2, NULL);
    return (uint8_t)cpu_read(d->b, CONTROL + 0x1000, 1);
}

static bool arrives(struct driver *d, const uint8_t *to)
{
    uint8_t frame[100];

    make_frame(frame, to, sizeof(frame));
    assert_true(test_net_input(d->b, "n", frame, sizeof(frame)));
    return driver_used(d, 0, NULL) >= 0;
}

static void test_control(void **state)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};
    static const uint8_t off, on = 1;
    struct bench *b = *state;
    struct driver d;
    uint8_t table[20] = {0};

    start(&d, b, false, CONTROL_ALL);
    give_buffers(&d, 100, 1600);
    assert_true(arrives(&d, other_mac)); /* promiscuous until told otherwise */
    assert_int_equal(control(&d, 0, 0, &off, 1), 0);
    assert_false(arrives(&d, other_mac));
    assert_true(arrives(&d, our_mac));
    assert_true(arrives(&d, all));
    assert_false(arrives(&d, group));
    assert_int_equal(control(&d, 0, 1, &on, 1), 0);
    assert_true(arrives(&d, group));
    assert_int_equal(control(&d, 0, 1, &off, 1), 0);
    table[0] = 1;
    memcpy(table + 4, other_mac, 6);
    table[10] = 1;
    memcpy(table + 14, group, 6);
    assert_int_equal(control(&d, 1, 0, table, sizeof(table)), 0);
    assert_true(arrives(&d, other_mac));
    assert_true(arrives(&d, group));
    assert_int_equal(control(&d, 0, 5, &on, 1), 0);
    assert_false(arrives(&d, all));
    assert_int_equal(control(&d, 1, 1, group, 6), 0);
    assert_false(arrives(&d, our_mac));
    store_le32(table, 0xffffffff);
    assert_int_equal(control(&d, 1, 0, table, sizeof(table)), 1);
    assert_int_equal(control(&d, 9, 0, table, 4), 1);
    store_le16(table, 4096);
    assert_int_equal(control(&d, 2, 0, table, 2), 1);
    /* VLAN 5 only */
    uint8_t frame[100];
    make_frame(frame, group, sizeof(frame));
    memcpy(frame, group, 6);
    store_be32(frame + 12, 0x81000005);
    assert_int_equal(control(&d, 0, 1, &on, 1), 0);
    assert_true(test_net_input(b, "n", frame, sizeof(frame)));
    assert_int_equal(driver_used(&d, 0, NULL), -1);
    store_le16(table, 5);
    assert_int_equal(control(&d, 2, 0, table, 2), 0);
    assert_true(test_net_input(b, "n", frame, sizeof(frame)));
    assert_true(driver_used(&d, 0, NULL) >= 0);
}

static void test_state(void **state)
{
    static const uint8_t off, no_offload[12];
    struct bench *b = *state;
    struct driver d;
    uint8_t frame[60];

    start(&d, b, false, CONTROL_ALL | EVENT | MERGE);
    give_buffers(&d, 10, 1600);
    assert_int_equal(control(&d, 0, 0, &off, 1), 0);
    assert_true(arrives(&d, our_mac));
    save_and_load(b);
    assert_true(arrives(&d, our_mac));
    assert_false(arrives(&d, other_mac));
    make_frame(frame, other_mac, sizeof(frame));
    transmit(&d, no_offload, frame, sizeof(frame));
    assert_int_equal(test_net(b, "n")->frames, 1);
    load_damaged(b, "virtio-net-pci");
}

static void test_nonsense(void **state)
{
    struct bench *b = *state;
    struct driver d;
    uint8_t frame[1514];
    uint32_t seed = 9;

    make_frame(frame, our_mac, sizeof(frame));
    for (unsigned round = 0; round < 300; round++) {
        start(&d, b, round % 2, UINT32_MAX);
        for (unsigned i = 0; i < 3 * 256; i++) {
            seed = seed * 1664525 + 1013904223;
            uint64_t gpa =
                seed % 8 ? TX_DATA + (seed >> 8 & 0xfffff) : (uint64_t)seed << 20;
            driver_desc(&d, i / 256, i % 256, gpa, seed >> 28 ? seed >> 12 & 0xfff : seed,
                        (uint16_t)(seed >> 5 & 7), (uint16_t)(seed >> 9 & 0x1ff));
            cpu_write(b, TX_DATA + (seed >> 8 & 0xfffff), 8,
                      seed * 0x9e3779b97f4a7c15ull);
        }
        for (unsigned i = 0; i < 8; i++) {
            driver_offer(&d, i % 3, (uint16_t)(seed >> i & 0xff));
            test_net_input(b, "n", frame, sizeof(frame));
        }
        turn(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(test_merged_buffers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receive_uncut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receive_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_offloads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
    };
    return cmocka_run_group_tests_name("virtio-net", tests, NULL, NULL);
}
