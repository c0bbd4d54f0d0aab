/*
 * IDE disks and CD-ROMs through their registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit-devmodel/bench.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BSY = 0x80, DRDY = 0x40, DRQ = 0x08, ERR = 0x01, BM = 0xc000, PRD_AT = 0x10000 };

static char drive[160];

static void start_disk(struct bench *b, unsigned sectors)
{
    bench_image(b, sectors);
    snprintf(drive, sizeof(drive), "file=%s,if=ide,format=raw", b->image);
    bench_start(b, "-nodefaults", "-drive", drive, NULL);
    cfg_write(b, 1, 1, 0x20, 4, BM | 1);
    cfg_write(b, 1, 1, 4, 2, 5);
}

static void start_cd(struct bench *b, unsigned sectors)
{
    bench_image(b, sectors);
    snprintf(drive, sizeof(drive), "file=%s,if=ide,index=0,media=cdrom", b->image);
    bench_start(b, "-nodefaults", "-drive", drive, NULL);
    cfg_write(b, 1, 1, 0x20, 4, BM | 1);
    cfg_write(b, 1, 1, 4, 2, 5);
}

static void command28(struct bench *b, uint8_t command, uint32_t lba, uint8_t count)
{
    out8(b, 0x1f6, (uint8_t)(0xe0 | lba >> 24));
    out8(b, 0x1f2, count);
    out8(b, 0x1f3, (uint8_t)lba);
    out8(b, 0x1f4, (uint8_t)(lba >> 8));
    out8(b, 0x1f5, (uint8_t)(lba >> 16));
    out8(b, 0x1f7, command);
}

static void command48(struct bench *b, uint8_t command, uint64_t lba, uint16_t count)
{
    out8(b, 0x1f6, 0xe0);
    out8(b, 0x1f2, (uint8_t)(count >> 8));
    out8(b, 0x1f2, (uint8_t)count);
    for (int half = 1; half >= 0; half--) {
        out8(b, 0x1f3, (uint8_t)(lba >> (half * 24)));
        out8(b, 0x1f4, (uint8_t)(lba >> (half * 24 + 8)));
        out8(b, 0x1f5, (uint8_t)(lba >> (half * 24 + 16)));
    }
    out8(b, 0x1f7, command);
}

static void wait_idle(struct bench *b)
{
    WAIT_FOR(b, !(in8(b, 0x3f6) & BSY));
}

static void read_words(struct bench *b, void *data, unsigned bytes)
{
    uint8_t *at = data;

    for (unsigned i = 0; i < bytes; i += 2)
        store_le16(at + i, in16(b, 0x1f0));
}

static void test_pio(void **state)
{
    struct bench b = {.image = ""};
    uint8_t sector[512];

    start_disk(&b, 64);
    command28(&b, 0x20, 7, 2);
    for (unsigned n = 7; n < 9; n++) {
        wait_idle(&b);
        assert_true(irq_is_up(&b, 14));
        assert_int_equal(in8(&b, 0x1f7), 0x58);
        assert_false(irq_is_up(&b, 14));
        read_words(&b, sector, 512);
        assert_int_equal(load_le32(sector), n);
    }
    assert_int_equal(in8(&b, 0x1f7), 0x50);
    assert_int_equal(in8(&b, 0x1f3), 8);
    /* Multiple: two interrupts for 20 sectors in blocks of 16. */
    command28(&b, 0xc6, 0, 16);
    command28(&b, 0xc4, 0, 20);
    wait_idle(&b);
    for (unsigned n = 0; n < 16; n++) {
        read_words(&b, sector, 512);
        assert_int_equal(load_le32(sector), n);
    }
    wait_idle(&b);
    for (unsigned n = 16; n < 20; n++)
        read_words(&b, sector, 512);
    assert_int_equal(load_le32(sector), 19);
    assert_int_equal(in8(&b, 0x1f7), 0x50);
    /* Write, flush, and look into the file. */
    command28(&b, 0x30, 63, 1);
    assert_int_equal(in8(&b, 0x1f7), 0x58);
    for (unsigned i = 0; i < 256; i++)
        out16(&b, 0x1f0, 0xbeef);
    wait_idle(&b);
    assert_true(irq_is_up(&b, 14));
    command28(&b, 0xe7, 0, 0);
    wait_idle(&b);
    FILE *f = fopen(b.image, "r");
    assert_non_null(f);
    assert_int_equal(fseek(f, 63 * 512, SEEK_SET), 0);
    assert_int_equal(fread(sector, 1, 512, f), 512);
    fclose(f);
    assert_int_equal(sector[510], 0xef);
    /* Beyond the end. */
    command28(&b, 0x20, 63, 2);
    assert_int_equal(in8(&b, 0x1f7) & (ERR | DRQ | BSY), ERR);
    assert_int_equal(in8(&b, 0x1f1) & 0x14, 0x14);
    /* CHS: cylinder 0, head 1, sector 1 is number 63. */
    out8(&b, 0x1f6, 0xa1);
    out8(&b, 0x1f2, 1);
    out8(&b, 0x1f3, 1);
    out8(&b, 0x1f4, 0);
    out8(&b, 0x1f5, 0);
    out8(&b, 0x1f7, 0x20);
    wait_idle(&b);
    read_words(&b, sector, 512);
    assert_int_equal(sector[0], 0xef);
    bench_stop(&b);
}

static void put_prd(struct bench *b, unsigned n, uint32_t address, uint32_t bytes,
                    bool last)
{
    uint8_t prd[8];

    store_le32(prd, address);
    store_le32(prd + 4, (bytes & 0xffff) | (last ? 1u << 31 : 0));
    mem_put(b, PRD_AT + 8 * n, prd, sizeof(prd));
}

static uint8_t run_dma(struct bench *b, bool to_memory)
{
    out8(b, BM + 2, 0x06);
    out32(b, BM + 4, PRD_AT);
    out8(b, BM, to_memory ? 9 : 1);
    WAIT_FOR(b, (in8(b, BM + 2) & 5) != 1);
    uint8_t status = in8(b, BM + 2);
    in8(b, 0x1f7);
    out8(b, BM, 0);
    return status;
}

static void test_dma(void **state)
{
    struct bench b = {.image = ""};
    uint8_t data[1024];

    start_disk(&b, 1024);
    /* Two regions that cut a sector; 48-bit, 600 sectors: several steps. */
    put_prd(&b, 0, 0x20000, 0x1002, false);
    for (unsigned n = 1; n < 5; n++)
        put_prd(&b, n, 0x100000 + n * 0x10000, 0, false);
    put_prd(&b, 5, 0x400000, 600 * 512 - 0x1002 - 4 * 65536, true);
    command48(&b, 0x25, 400, 600);
    assert_int_equal(run_dma(&b, true) & 7, 4);
    mem_get(&b, 0x20000, data, 512);
    assert_int_equal(load_le32(data), 400);
    mem_get(&b, 0x21000, data, 2);
    mem_get(&b, 0x110000, data + 2, 2);
    assert_int_equal(load_le32(data), 408);
    mem_get(&b, 0x400000 + 600 * 512 - 0x1002 - 4 * 65536 - 512, data, 4);
    assert_int_equal(load_le32(data), 999);
    /* Write back elsewhere. */
    memset(data, 0x5a, sizeof(data));
    mem_put(&b, 0x20000, data, 1024);
    put_prd(&b, 0, 0x20000, 1024, true);
    command28(&b, 0xca, 10, 2);
    assert_int_equal(run_dma(&b, false) & 7, 4);
    memset(data, 0, sizeof(data));
    mem_put(&b, 0x20000, data, 1024);
    command28(&b, 0xc8, 11, 1);
    put_prd(&b, 0, 0x20000, 512, true);
    assert_int_equal(run_dma(&b, true) & 7, 4);
    mem_get(&b, 0x20000, data, 512);
    assert_int_equal(data[511], 0x5a);
    /* A table in nowhere: an error, and the controller lives on. */
    command28(&b, 0xc8, 0, 1);
    out32(&b, BM + 4, 0xf0000000);
    out8(&b, BM, 9);
    WAIT_FOR(&b, !(in8(&b, BM + 2) & 1));
    out8(&b, BM, 0);
    /* Memory in nowhere. */
    put_prd(&b, 0, 0xf0000000, 512, true);
    command28(&b, 0xc8, 0, 1);
    assert_int_equal(run_dma(&b, true) & 3, 2);
    /* A reset in the middle. */
    put_prd(&b, 0, 0x20000, 0, true);
    command28(&b, 0xc8, 0, 128);
    out32(&b, BM + 4, PRD_AT);
    out8(&b, BM, 9);
    out8(&b, 0x3f6, 4);
    out8(&b, 0x3f6, 0);
    assert_int_equal(in8(&b, 0x1f7), 0x50);
    assert_int_equal(in8(&b, 0x1f2), 1);
    command28(&b, 0x20, 5, 1);
    wait_idle(&b);
    read_words(&b, data, 512);
    assert_int_equal(load_le32(data), 5);
    bench_stop(&b);
}

static void test_identify(void **state)
{
    struct bench b = {.image = ""};
    uint8_t id[512];

    start_disk(&b, 2048);
    out8(&b, 0x1f6, 0xe0);
    out8(&b, 0x1f7, 0xec);
    read_words(&b, id, 512);
    assert_int_equal(load_le32(id + 2 * 60), 2048);
    assert_int_equal(load_le32(id + 2 * 100), 2048);
    assert_int_equal(load_le16(id + 2 * 88) >> 8, 1 << 5);
    assert_memory_equal(id + 2 * 27, "OCBRLEH RADDSI K", 16);
    /* Transfer mode chosen: only that one is marked. */
    out8(&b, 0x1f1, 3);
    out8(&b, 0x1f2, 0x22);
    out8(&b, 0x1f7, 0xef);
    out8(&b, 0x1f7, 0xec);
    read_words(&b, id, 512);
    assert_int_equal(load_le16(id + 2 * 63) >> 8, 1 << 2);
    assert_int_equal(load_le16(id + 2 * 88) >> 8, 0);
    out8(&b, 0x1f7, 0xff); /* no such command */
    assert_int_equal(in8(&b, 0x1f7) & ERR, ERR);
    assert_int_equal(in8(&b, 0x1f1), 4);
    /* No drive 1. */
    out8(&b, 0x1f6, 0xf0);
    assert_int_equal(in8(&b, 0x1f7), 0);
    bench_stop(&b);
}

static void packet(struct bench *b, const uint8_t cdb[12], unsigned limit, bool dma)
{
    out8(b, 0x1f6, 0xa0);
    out8(b, 0x1f1, dma);
    out8(b, 0x1f4, (uint8_t)limit);
    out8(b, 0x1f5, (uint8_t)(limit >> 8));
    out8(b, 0x1f7, 0xa0);
    assert_int_equal(in8(b, 0x3f6) & (BSY | DRQ), DRQ);
    assert_int_equal(in8(b, 0x1f2) & 3, 1);
    for (unsigned i = 0; i < 12; i += 2)
        out16(b, 0x1f0, load_le16(cdb + i));
}

/* Bytes of the answer; -1: check condition. */
static int answer(struct bench *b, uint8_t *data, unsigned room)
{
    unsigned n = 0;

    for (;;) {
        wait_idle(b);
        uint8_t status = in8(b, 0x1f7);
        if (status & ERR)
            return -1;
        if (!(status & DRQ)) {
            assert_int_equal(in8(b, 0x1f2) & 3, 3);
            return (int)n;
        }
        assert_int_equal(in8(b, 0x1f2) & 3, 2);
        unsigned burst = in8(b, 0x1f4) | (unsigned)in8(b, 0x1f5) << 8;
        assert_true(n + burst <= room);
        read_words(b, data + n, burst);
        n += burst;
    }
}

static void sense(struct bench *b, uint8_t key, uint8_t asc)
{
    uint8_t data[64];

    packet(b, (uint8_t[12]){3, 0, 0, 0, 18}, 0xfffe, false);
    assert_int_equal(answer(b, data, sizeof(data)), 18);
    assert_int_equal(data[2], key);
    assert_int_equal(data[12], asc);
}

static void test_cdrom(void **state)
{
    struct bench b = {.image = ""};
    static uint8_t data[65536];

    start_cd(&b, 400); /* 100 blocks */
    /* The signature says ATAPI, and IDENTIFY DEVICE is refused with it. */
    out8(&b, 0x1f6, 0xa0);
    out8(&b, 0x1f7, 0xec);
    assert_int_equal(in8(&b, 0x1f7) & ERR, ERR);
    assert_int_equal(in8(&b, 0x1f4), 0x14);
    assert_int_equal(in8(&b, 0x1f5), 0xeb);
    packet(&b, (uint8_t[12]){0x25}, 0xfffe, false);
    assert_int_equal(answer(&b, data, 64), 8);
    assert_int_equal(load_be32(data), 99);
    assert_int_equal(load_be32(data + 4), 2048);
    /* 20 blocks in bursts that do not fit blocks. */
    packet(&b, (uint8_t[12]){0x28, 0, 0, 0, 0, 3, 0, 0, 20}, 3000, false);
    assert_int_equal(answer(&b, data, sizeof(data)), 40960);
    for (unsigned n = 0; n < 80; n++)
        assert_int_equal(load_le32(data + 512 * n), 12 + n);
    /* By DMA. */
    put_prd(&b, 0, 0x20000, 4096, true);
    packet(&b, (uint8_t[12]){0xa8, 0, 0, 0, 0, 98, 0, 0, 0, 2}, 0, true);
    assert_int_equal(run_dma(&b, true) & 7, 4);
    mem_get(&b, 0x20000 + 3584, data, 4);
    assert_int_equal(load_le32(data), 399);
    /* Beyond the end; an unknown packet. */
    packet(&b, (uint8_t[12]){0x28, 0, 0, 0, 0, 99, 0, 0, 2}, 2048, false);
    assert_int_equal(answer(&b, data, 64), -1);
    sense(&b, 5, 0x21);
    packet(&b, (uint8_t[12]){0xff}, 2048, false);
    assert_int_equal(answer(&b, data, 64), -1);
    sense(&b, 5, 0x20);
    packet(&b, (uint8_t[12]){0x43, 2, 0, 0, 0, 0, 0, 0, 64}, 0xfffe, false);
    assert_int_equal(answer(&b, data, 64), 20);
    assert_int_equal(data[14], 0xaa);
    packet(&b, (uint8_t[12]){0x12, 0, 0, 0, 36}, 0xfffe, false);
    assert_int_equal(answer(&b, data, 64), 36);
    assert_int_equal(data[0], 5);
    bench_stop(&b);
}

static void test_medium_change(void **state)
{
    struct bench b = {.image = ""};
    uint8_t data[64];
    struct error error;

    start_cd(&b, 40);
    struct block_backend *blk = b.m->blocks;
    packet(&b, (uint8_t[12]){0}, 0, false);
    assert_int_equal(answer(&b, data, 64), 0);
    packet(&b, (uint8_t[12]){0x1e, 0, 0, 0, 1}, 0, false); /* lock */
    assert_int_equal(answer(&b, data, 64), 0);
    assert_int_not_equal(block_change_medium(blk, NULL, false, &error), 0);
    packet(&b, (uint8_t[12]){0x1b, 0, 0, 0, 2}, 0, false); /* eject */
    assert_int_equal(answer(&b, data, 64), -1);
    sense(&b, 5, 0x53);
    packet(&b, (uint8_t[12]){0x1e}, 0, false);
    assert_int_equal(answer(&b, data, 64), 0);
    assert_int_equal(block_change_medium(blk, NULL, false, &error), 0);
    packet(&b, (uint8_t[12]){0}, 0, false);
    assert_int_equal(answer(&b, data, 64), -1);
    sense(&b, 2, 0x3a);
    assert_int_equal(block_change_medium(blk, b.image, false, &error), 0);
    packet(&b, (uint8_t[12]){0}, 0, false);
    assert_int_equal(answer(&b, data, 64), -1);
    sense(&b, 6, 0x28);
    packet(&b, (uint8_t[12]){0}, 0, false);
    assert_int_equal(answer(&b, data, 64), 0);
    packet(&b, (uint8_t[12]){0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, 0xfffe, false);
    assert_int_equal(answer(&b, data, 64), 8);
    assert_int_equal(data[4], 2); /* new medium */
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pio),           cmocka_unit_test(test_dma),
        cmocka_unit_test(test_identify),      cmocka_unit_test(test_cdrom),
        cmocka_unit_test(test_medium_change),
    };

    return cmocka_run_group_tests_name("ide", tests, NULL, NULL);
}
