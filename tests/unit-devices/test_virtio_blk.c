/*
 * virtio-blk through both interfaces, and the rings with everything a hostile driver
 * can put into them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOT       4
#define DISK_BYTES (8u << 20)
#define SECTOR     512u
#define HEADER     0x200000u
#define DATA       0x210000u
#define STATUS     0x20f000u
#define TABLE      0x208000u

#define INDIRECT  (1ull << 28)
#define EVENT_IDX (1ull << 29)
#define FLUSH     (1ull << 9)
#define DISCARD   (3ull << 13)

static char image[64];

static int make_image(void **state)
{
    snprintf(image, sizeof(image), "/tmp/corbel-test-blk.%d", getpid());
    return 0;
}

static int setup(void **state)
{
    char drive[128];
    FILE *f = fopen(image, "w");

    assert_non_null(f);
    for (unsigned sector = 0; sector < DISK_BYTES / SECTOR; sector++) {
        uint32_t words[SECTOR / 4];
        for (unsigned i = 0; i < SECTOR / 4; i++)
            words[i] = sector << 8 | i;
        assert_int_equal(fwrite(words, sizeof(words), 1, f), 1);
    }
    fclose(f);
    snprintf(drive, sizeof(drive), "file=%s,format=raw,if=none,id=d", image);
    *state = bench_start("-drive", drive, "-device",
                         "virtio-blk-pci,drive=d,addr=4,serial=corbel-1,num-queues=2");
    return 0;
}

static int teardown(void **state)
{
    bench_stop(*state);
    unlink(image);
    return 0;
}

static void header(struct bench *b, uint32_t type, uint64_t sector)
{
    uint8_t raw[16] = {0};

    store_le32(raw, type);
    store_le64(raw + 8, sector);
    mem_write(b, HEADER, raw, sizeof(raw));
    cpu_write(b, STATUS, 1, 0xee);
}

/* The usual three descriptors; returns the status byte. */
static uint8_t request(struct driver *d, uint32_t type, uint64_t sector, uint32_t bytes,
                       bool to_guest, uint32_t *written)
{
    header(d->b, type, sector);
    driver_desc(d, 0, 0, HEADER, 16, D_NEXT, bytes ? 1 : 2);
    driver_desc(d, 0, 1, DATA, bytes, D_NEXT | (to_guest ? D_WRITE : 0), 2);
    driver_desc(d, 0, 2, STATUS, 1, D_WRITE, 0);
    driver_offer(d, 0, 0);
    assert_int_equal(driver_wait(d, 0, written), 0);
    return (uint8_t)cpu_read(d->b, STATUS, 1);
}

static void start(struct driver *d, struct bench *b, bool legacy, bool msix,
                  uint64_t features)
{
    driver_start(d, b, SLOT, legacy, msix, features);
    driver_queue(d, 0);
    driver_ok(d);
}

static void test_identity(void **state)
{
    struct bench *b = *state;
    struct driver d;

    assert_int_equal(config_read(b, SLOT, 0, 4), 0x10011af4);
    assert_int_equal(config_read(b, SLOT, 8, 4), 0x01000000);
    assert_int_equal(config_read(b, SLOT, 0x2c, 4), 0x00021af4);
    start(&d, b, false, false, 0);
    assert_int_equal(driver_config(&d, 0, 8), DISK_BYTES / SECTOR);
    assert_int_equal(driver_config(&d, 20, 4), 512);
    assert_int_equal(cpu_read(b, DRIVER_MODERN + 0x12, 2), 2);
    assert_true(driver_offered(&d) >> 32 & 1);
    start(&d, b, true, false, 0);
    assert_int_equal(driver_config(&d, 0, 4), DISK_BYTES / SECTOR);
    start(&d, b, true, true, 0);
    assert_int_equal(driver_config(&d, 0, 4), DISK_BYTES / SECTOR);
}

static void read_and_write(struct bench *b, bool legacy, bool msix, uint64_t features)
{
    struct driver d;
    uint32_t words[3 * SECTOR / 4], written;

    start(&d, b, legacy, msix, features);
    assert_int_equal(request(&d, 0, 5, sizeof(words), true, &written), 0);
    assert_int_equal(written, sizeof(words) + 1);
    mem_read(b, DATA, words, sizeof(words));
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        assert_int_equal(words[i], (5 + i / 128) << 8 | i % 128);
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        words[i] = ~i;
    mem_write(b, DATA, words, sizeof(words));
    assert_int_equal(request(&d, 1, 100, sizeof(words), false, &written), 0);
    assert_int_equal(written, 1);
    mem_write(b, DATA, words, 16); /* something else there */
    memset(words, 0, sizeof(words));
    mem_write(b, DATA, words, sizeof(words));
    assert_int_equal(request(&d, 0, 100, sizeof(words), true, NULL), 0);
    mem_read(b, DATA, words, sizeof(words));
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        assert_int_equal(words[i], ~i);
    assert_int_equal(request(&d, 4, 0, 0, false, NULL), 0);
    assert_int_equal(request(&d, 8, 0, 20, true, &written), 0);
    char id[20];
    mem_read(b, DATA, id, sizeof(id));
    assert_string_equal(id, "corbel-1");
    assert_int_equal(request(&d, 77, 0, 0, false, NULL), 2);
}

static void test_modern(void **state)
{
    struct bench *b = *state;

    read_and_write(b, false, false, 0);
    read_and_write(b, false, true, INDIRECT | EVENT_IDX | FLUSH);
}

static void test_legacy(void **state)
{
    struct bench *b = *state;

    read_and_write(b, true, false, 0);
    read_and_write(b, true, true, INDIRECT | EVENT_IDX);
}

static void test_intx(void **state)
{
    struct bench *b = *state;
    struct driver d;

    start(&d, b, false, false, 0);
    request(&d, 0, 0, 512, true, NULL);
    assert_int_equal(config_read(b, SLOT, 6, 2) & 8, 8);
    assert_int_equal(cpu_read(b, DRIVER_MODERN + 0x1000, 1), 1);
    assert_int_equal(config_read(b, SLOT, 6, 2) & 8, 0);
    /* The driver does not want any. */
    cpu_write(b, d.q[0].avail, 2, 1);
    request(&d, 0, 0, 512, true, NULL);
    assert_int_equal(cpu_read(b, DRIVER_MODERN + 0x1000, 1), 0);
}

static void test_msix_and_event_index(void **state)
{
    struct bench *b = *state;
    struct driver d;

    start(&d, b, false, true, EVENT_IDX);
    unsigned before = b->msis;
    request(&d, 0, 0, 512, true, NULL);
    assert_int_equal(b->msis, before + 1);
    assert_int_equal(b->msi_data[before % MSI_LOG], 0x41);
    /* Tell me when entry 3 is used: not for 1 and 2. */
    cpu_write(b, d.q[0].avail + 4 + 2 * d.q[0].size, 2, 3);
    request(&d, 0, 0, 512, true, NULL);
    request(&d, 0, 0, 512, true, NULL);
    assert_int_equal(b->msis, before + 1);
    request(&d, 0, 0, 512, true, NULL);
    assert_int_equal(b->msis, before + 2);
    /* And it asks to be notified of the next one. */
    assert_int_equal(cpu_read(b, d.q[0].used + 4 + 8 * d.q[0].size, 2), 4);
}

static void test_indirect(void **state)
{
    struct bench *b = *state;
    struct driver d;
    uint8_t table[4][16];
    const uint64_t gpa[4] = {HEADER, DATA, DATA + 0x5000, STATUS};
    const uint32_t bytes[4] = {16, 500, 524, 1};
    uint32_t written;

    start(&d, b, false, false, INDIRECT);
    header(b, 0, 7);
    for (unsigned i = 0; i < 4; i++) {
        store_le64(table[i], gpa[i]);
        store_le32(table[i] + 8, bytes[i]);
        store_le16(table[i] + 12, (uint16_t)((i < 3 ? D_NEXT : 0) | (i ? D_WRITE : 0)));
        store_le16(table[i] + 14, (uint16_t)(i + 1));
    }
    mem_write(b, TABLE, table, sizeof(table));
    driver_desc(&d, 0, 9, TABLE, sizeof(table), D_INDIRECT, 0);
    driver_offer(&d, 0, 9);
    assert_int_equal(driver_wait(&d, 0, &written), 9);
    assert_int_equal(written, 1025);
    assert_int_equal(cpu_read(b, STATUS, 1), 0);
    assert_int_equal(cpu_read(b, DATA, 4), 7 << 8);
    assert_int_equal(cpu_read(b, DATA + 0x5000 + 512 - 500, 4), 8 << 8);
}

static void test_large_and_out_of_range(void **state)
{
    struct bench *b = *state;
    struct driver d;
    uint32_t written;

    start(&d, b, false, false, 0);
    /* 4 MiB: in pieces. */
    assert_int_equal(request(&d, 0, 0, 4 << 20, true, &written), 0);
    assert_int_equal(written, (4 << 20) + 1);
    for (unsigned sector = 0; sector < 8192; sector += 1000)
        assert_int_equal(cpu_read(b, DATA + sector * SECTOR, 4), sector << 8);
    const uint64_t end = DISK_BYTES / SECTOR;
    assert_int_equal(request(&d, 0, end - 1, 512, true, NULL), 0);
    assert_int_equal(request(&d, 0, end - 1, 1024, true, NULL), 1);
    assert_int_equal(request(&d, 0, end, 512, true, NULL), 1);
    assert_int_equal(request(&d, 1, UINT64_MAX, 512, false, NULL), 1);
    assert_int_equal(request(&d, 0, UINT64_MAX / 512, 512, true, NULL), 1);
    assert_int_equal(request(&d, 0, 0, 511, true, NULL), 1);
}

static void test_discard_and_zeroes(void **state)
{
    struct bench *b = *state;
    struct driver d;
    uint8_t extent[16] = {0};

    start(&d, b, false, false, DISCARD);
    store_le64(extent, 20);
    store_le32(extent + 8, 2);
    mem_write(b, DATA, extent, sizeof(extent));
    assert_int_equal(request(&d, 13, 0, 16, false, NULL), 0);
    assert_int_equal(request(&d, 0, 19, 2048, true, NULL), 0);
    assert_int_equal(cpu_read(b, DATA, 4), 19 << 8);
    assert_int_equal(cpu_read(b, DATA + 512 + 4, 4), 0);
    assert_int_equal(cpu_read(b, DATA + 1024 + 508, 4), 0);
    assert_int_equal(cpu_read(b, DATA + 1536, 4), 22 << 8);
    store_le64(extent, DISK_BYTES / SECTOR);
    mem_write(b, DATA, extent, sizeof(extent));
    assert_int_equal(request(&d, 11, 0, 16, false, NULL), 1);
    store_le32(extent + 12, 8);
    mem_write(b, DATA, extent, sizeof(extent));
    assert_int_equal(request(&d, 11, 0, 16, false, NULL), 2);
    assert_int_equal(request(&d, 11, 0, 8, false, NULL), 2);
}

/* Many at once: all are answered, once each. */
static void test_many(void **state)
{
    struct bench *b = *state;
    struct driver d;
    bool seen[256] = {false};

    start(&d, b, false, true, EVENT_IDX | INDIRECT);
    header(b, 0, 3);
    for (unsigned i = 0; i < 80; i++) {
        driver_desc(&d, 0, i * 3, HEADER, 16, D_NEXT, (uint16_t)(i * 3 + 1));
        driver_desc(&d, 0, i * 3 + 1, DATA + i * 0x1000, 1 << 20, D_NEXT | D_WRITE,
                    (uint16_t)(i * 3 + 2));
        driver_desc(&d, 0, i * 3 + 2, STATUS, 1, D_WRITE, 0);
        driver_offer(&d, 0, (uint16_t)(i * 3));
    }
    for (unsigned i = 0; i < 80; i++) {
        int head = driver_wait(&d, 0, NULL);
        assert_false(seen[head]);
        seen[head] = true;
    }
    assert_int_equal(driver_used(&d, 0, NULL), -1);
}

/* ---- what a hostile driver does -----------------------------------------------------
 */

static void expect_broken(struct driver *d)
{
    assert_int_equal(driver_status(d) & 0x40, 0x40);
    /* Nothing more happens until reset, and then everything works. */
    driver_notify(d, 0);
    assert_int_equal(driver_used(d, 0, NULL), -1);
    start(d, d->b, false, false, INDIRECT);
    assert_int_equal(request(d, 0, 0, 512, true, NULL), 0);
}

static void test_loop(void **state)
{
    struct driver d;

    start(&d, *state, false, false, 0);
    driver_desc(&d, 0, 0, HEADER, 16, D_NEXT, 1);
    driver_desc(&d, 0, 1, HEADER, 16, D_NEXT, 0);
    driver_offer(&d, 0, 0);
    expect_broken(&d);
}

static void test_bad_index(void **state)
{
    struct driver d;

    start(&d, *state, false, false, 0);
    driver_offer(&d, 0, 1000);
    expect_broken(&d);
    driver_desc(&d, 0, 0, HEADER, 16, D_NEXT, 700);
    driver_offer(&d, 0, 0);
    expect_broken(&d);
    d.q[0].avail_index = (uint16_t)(d.q[0].avail_index + 5000);
    driver_offer(&d, 0, 0);
    expect_broken(&d);
}

static void test_bad_shapes(void **state)
{
    struct driver d;

    start(&d, *state, false, false, INDIRECT);
    driver_desc(&d, 0, 0, STATUS, 1, D_WRITE | D_NEXT, 1);
    driver_desc(&d, 0, 1, HEADER, 16, 0, 0);
    driver_offer(&d, 0, 0);
    expect_broken(&d);
    driver_desc(&d, 0, 0, HEADER, 16, 0, 0); /* no status */
    driver_offer(&d, 0, 0);
    expect_broken(&d);
    driver_desc(&d, 0, 0, HEADER, 0, D_NEXT, 1); /* no bytes */
    driver_offer(&d, 0, 0);
    expect_broken(&d);
    driver_desc(&d, 0, 0, TABLE, 17, D_INDIRECT, 0);
    driver_offer(&d, 0, 0);
    expect_broken(&d);
    driver_desc(&d, 0, 0, TABLE, 0xfffffff0, D_INDIRECT, 0);
    driver_offer(&d, 0, 0);
    expect_broken(&d);
    /* A table in a table. */
    cpu_write(d.b, TABLE, 8, TABLE);
    cpu_write(d.b, TABLE + 8, 8, 16 | (uint64_t)D_INDIRECT << 32);
    driver_desc(&d, 0, 0, TABLE, 16, D_INDIRECT, 0);
    driver_offer(&d, 0, 0);
    expect_broken(&d);
}

static void test_rings_nowhere(void **state)
{
    struct bench *b = *state;
    struct driver d;

    driver_start(&d, b, SLOT, false, false, 0);
    cpu_write(b, DRIVER_MODERN + 0x16, 2, 0);
    cpu_write(b, DRIVER_MODERN + 0x20, 8, UINT64_MAX - 100);
    cpu_write(b, DRIVER_MODERN + 0x28, 8, UINT64_MAX - 100);
    cpu_write(b, DRIVER_MODERN + 0x30, 8, 0x123456789000);
    cpu_write(b, DRIVER_MODERN + 0x1c, 2, 1);
    driver_ok(&d);
    driver_notify(&d, 0);
    assert_int_equal(driver_status(&d) & 0x40, 0x40);
    start(&d, b, false, false, 0);
    /* Data nowhere is an error of that request only. */
    header(b, 0, 0);
    driver_desc(&d, 0, 0, HEADER, 16, D_NEXT, 1);
    driver_desc(&d, 0, 1, 0xd0000000, 512, D_NEXT | D_WRITE, 2);
    driver_desc(&d, 0, 2, STATUS, 1, D_WRITE, 0);
    driver_offer(&d, 0, 0);
    driver_wait(&d, 0, NULL);
    assert_int_equal(cpu_read(b, STATUS, 1), 1);
    assert_int_equal(request(&d, 0, 0, 512, true, NULL), 0);
}

static void test_features_refused(void **state)
{
    struct bench *b = *state;
    struct driver d;

    start(&d, b, false, false, 0);
    driver_set_status(&d, 0);
    driver_set_status(&d, 3);
    cpu_write(b, DRIVER_MODERN + 8, 4, 1);
    cpu_write(b, DRIVER_MODERN + 12, 4, 1 | 1u << 20); /* nobody offered bit 52 */
    driver_set_status(&d, 11);
    assert_int_equal(driver_status(&d), 3);
    driver_set_status(&d, 0);
    driver_set_status(&d, 11); /* without VERSION_1 */
    assert_int_equal(driver_status(&d), 3);
}

static void test_state(void **state)
{
    struct bench *b = *state;
    struct driver d;

    start(&d, b, false, true, EVENT_IDX | INDIRECT);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(request(&d, 0, i, 512, true, NULL), 0);
    header(b, 0, 9);
    driver_desc(&d, 0, 0, HEADER, 16, D_NEXT, 1);
    driver_desc(&d, 0, 1, DATA, 512, D_NEXT | D_WRITE, 2);
    driver_desc(&d, 0, 2, STATUS, 1, D_WRITE, 0);
    driver_offer(&d, 0, 0); /* in flight when the machine is paused */
    save_and_load(b);
    driver_wait(&d, 0, NULL);
    assert_int_equal(request(&d, 0, 11, 512, true, NULL), 0);
    assert_int_equal(cpu_read(b, DATA, 4), 11 << 8);
    load_damaged(b, "virtio-blk-pci");
    start(&d, b, false, false, 0);
    assert_int_equal(request(&d, 0, 11, 512, true, NULL), 0);
}

/* Reset while requests are in flight: afterwards the old ring is left alone. */
static void test_reset_in_flight(void **state)
{
    struct bench *b = *state;
    struct driver d;

    for (unsigned i = 0; i < 50; i++) {
        start(&d, b, false, false, 0);
        header(b, 0, 0);
        driver_desc(&d, 0, 0, HEADER, 16, D_NEXT, 1);
        driver_desc(&d, 0, 1, DATA, 2 << 20, D_NEXT | D_WRITE, 2);
        driver_desc(&d, 0, 2, STATUS, 1, D_WRITE, 0);
        driver_offer(&d, 0, 0);
        if (i % 2)
            turn(b);
        driver_set_status(&d, 0);
    }
}

static void test_config_access(void **state)
{
    struct bench *b = *state;
    struct driver d;
    unsigned cap;

    start(&d, b, false, false, 0);
    for (cap = config_read(b, SLOT, 0x34, 1); cap;
         cap = config_read(b, SLOT, cap + 1, 1)) {
        if (config_read(b, SLOT, cap, 1) == 9 && config_read(b, SLOT, cap + 3, 1) == 5)
            break;
    }
    assert_true(cap != 0);
    config_write(b, SLOT, cap + 4, 1, 4);
    config_write(b, SLOT, cap + 8, 4, 0x2000);
    config_write(b, SLOT, cap + 12, 4, 4);
    assert_int_equal(config_read(b, SLOT, cap + 16, 4), DISK_BYTES / SECTOR);
    config_write(b, SLOT, cap + 8, 4, 0x16);
    config_write(b, SLOT, cap + 12, 4, 2);
    config_write(b, SLOT, cap + 16, 4, 1);
    assert_int_equal(cpu_read(b, DRIVER_MODERN + 0x16, 2), 1);
    config_write(b, SLOT, cap + 8, 4, 0xfffffffe); /* nowhere: nothing happens */
    config_write(b, SLOT, cap + 16, 4, 1);
}

/* A ring full of random descriptors: anything but a crash. */
static void test_nonsense(void **state)
{
    struct bench *b = *state;
    struct driver d;
    uint32_t seed = 42;

    for (unsigned round = 0; round < 400; round++) {
        start(&d, b, false, round % 2, INDIRECT | EVENT_IDX);
        for (unsigned i = 0; i < d.q[0].size; i++) {
            seed = seed * 1664525 + 1013904223;
            uint64_t gpa =
                seed % 8 ? HEADER + (seed >> 8 & 0xfffff) : (uint64_t)seed << 20;
            driver_desc(&d, 0, i, gpa, seed >> 28 ? seed >> 12 & 0xfff : seed,
                        (uint16_t)(seed >> 5 & 7), (uint16_t)(seed >> 9 & 0x1ff));
        }
        for (unsigned i = 0; i < 8; i++) {
            header(b, seed >> i & 15, seed >> 16 & 0xff);
            driver_offer(&d, 0, (uint16_t)(seed >> i & 0xff));
        }
        turn(b);
    }
}

static void test_options(void **state)
{
    char drive[128];

    snprintf(drive, sizeof(drive), "file=%s,format=raw,if=none,id=d,readonly=on",
             "/bin/sh");
    bench_refused("drive=ID is needed", "-device", "virtio-blk-pci");
    bench_refused("another device", "-drive", drive, "-device", "virtio-blk-pci,drive=d",
                  "-device", "virtio-blk-pci,drive=d");
    bench_refused("power of 2", "-drive", drive, "-device",
                  "virtio-blk-pci,drive=d,queue-size=100");
    struct bench *b = bench_start("-drive", drive, "-device",
                                  "virtio-blk-pci,drive=d,addr=4,disable-legacy=on");
    struct driver d;
    assert_int_equal(config_read(b, SLOT, 0, 4), 0x10421af4);
    start(&d, b, false, false, UINT64_MAX);
    assert_true(d.features >> 5 & 1);
    assert_int_equal(request(&d, 1, 0, 512, false, NULL), 1);
    bench_stop(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modern, setup, teardown),
        cmocka_unit_test_setup_teardown(test_legacy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_intx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_msix_and_event_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_and_out_of_range, setup, teardown),
        cmocka_unit_test_setup_teardown(test_discard_and_zeroes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rings_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_features_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_access, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests_name("virtio-blk", tests, make_image, NULL);
}
