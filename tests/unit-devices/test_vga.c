/*
 * VGA: registers, planes, windows lent as RAM, and pictures of all kinds of modes.
 * With VGA_PICTURES=DIR each picture is also written there, for a human to look at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vga_bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_identity(void **state)
{
    struct screen *s = *state;

    assert_int_equal(config_read(s->b, SLOT, 0, 4), 0x11111234);
    assert_int_equal(config_read(s->b, SLOT, 8, 4), 0x03000002);
    assert_int_equal(config_read(s->b, SLOT, 0x2c, 4), 0x11001af4);
    config_write(s->b, SLOT, 0x10, 4, UINT32_MAX);
    assert_int_equal(config_read(s->b, SLOT, 0x10, 4), 0xff000008);
    /* The ROM is there and names us. */
    config_write(s->b, SLOT, 0x30, 4, 0xe2000001);
    assert_int_equal(cpu_read(s->b, 0xe2000000, 2), 0xaa55);
}

static void test_registers(void **state)
{
    struct bench *b = ((struct screen *)*state)->b;

    set_mode(b, &mode3);
    assert_int_equal(in8(b, 0x3cc), 0x67);
    for (unsigned i = 0; i < 25; i++) {
        out8(b, 0x3d4, (uint8_t)i);
        assert_int_equal(in8(b, 0x3d5), mode3.cr[i]);
    }
    cr(b, 0, 0x11); /* protected */
    out8(b, 0x3d4, 0);
    assert_int_equal(in8(b, 0x3d5), 0x5f);
    cr(b, 7, 0x00); /* but for one bit of this one */
    out8(b, 0x3d4, 7);
    assert_int_equal(in8(b, 0x3d5), 0x0f);
    in8(b, 0x3da);
    out8(b, 0x3c0, 0x06);
    assert_int_equal(in8(b, 0x3c1), 0x14);
    out8(b, 0x3c7, 1);
    assert_int_equal(in8(b, 0x3c9), 0);
    assert_int_equal(in8(b, 0x3c9), 0);
    assert_int_equal(in8(b, 0x3c9), 0x2a);
    assert_int_equal(in8(b, 0x3c8), 0);
    /* Color ports only, now. */
    assert_int_equal(in8(b, 0x3b5), 0xff);
    out8(b, 0x3c2, 0x66);
    assert_int_equal(in8(b, 0x3d5), 0xff);
    out8(b, 0x3b4, 0x0a);
    assert_int_equal(in8(b, 0x3b5), 0x0d);
}

static void test_retrace(void **state)
{
    struct bench *b = ((struct screen *)*state)->b;
    unsigned seen[2] = {0}, changes = 0, last = 0;

    set_mode(b, &mode3);
    for (unsigned i = 0; i < 1000; i++) {
        unsigned now = in8(b, 0x3da) >> 3 & 1;
        seen[now]++;
        changes += now != last;
        last = now;
        step_clock(b, 20000);
    }
    assert_true(seen[0] > 900 && seen[1] > 0);
    assert_true(changes >= 2); /* within 20 ms there was one */
}

static void test_planes(void **state)
{
    struct bench *b = ((struct screen *)*state)->b;

    set_mode(b, &mode12);
    /* Write mode 0: all planes, one plane, set/reset, rotate, bit mask. */
    cpu_write(b, LOW, 1, 0xa5);
    for (unsigned p = 0; p < 4; p++) {
        gr(b, 4, (uint8_t)p);
        assert_int_equal(cpu_read(b, LOW, 1), 0xa5);
    }
    sr(b, 2, 2);
    cpu_write(b, LOW, 1, 0x0f);
    gr(b, 4, 1);
    assert_int_equal(cpu_read(b, LOW, 1), 0x0f);
    gr(b, 4, 0);
    assert_int_equal(cpu_read(b, LOW, 1), 0xa5);
    sr(b, 2, 0xf);
    gr(b, 0, 0x5);
    gr(b, 1, 0xf);
    gr(b, 8, 0x80);
    cpu_read(b, LOW, 1);
    cpu_write(b, LOW, 1, 0x00);
    gr(b, 4, 0);
    assert_int_equal(cpu_read(b, LOW, 1), 0xa5);
    gr(b, 4, 3);
    assert_int_equal(cpu_read(b, LOW, 1), 0x25);
    /* Read mode 1: where is color 5 (planes 0 and 2)? */
    gr(b, 1, 0);
    gr(b, 8, 0xff);
    gr(b, 5, 8);
    gr(b, 2, 5);
    gr(b, 7, 0xf);
    assert_int_equal(cpu_read(b, LOW, 1), 0xa5 & ~0x0f & ~0x25 & 0xff);
    gr(b, 7, 0);
    assert_int_equal(cpu_read(b, LOW, 1), 0xff);
    /* Write mode 1 copies latches. */
    gr(b, 5, 1);
    cpu_read(b, LOW, 1);
    cpu_write(b, LOW + 100, 1, 0);
    gr(b, 5, 0);
    gr(b, 4, 3);
    assert_int_equal(cpu_read(b, LOW + 100, 1), 0x25);
    /* Write mode 2: a color; mode 3: the data is a mask for set/reset. */
    gr(b, 5, 2);
    cpu_write(b, LOW + 1, 1, 0x0a);
    gr(b, 5, 3);
    gr(b, 0, 0x4);
    cpu_read(b, LOW + 1, 1);
    cpu_write(b, LOW + 1, 1, 0xf0);
    gr(b, 5, 0);
    static const uint8_t want[4] = {0x00, 0x0f, 0xf0, 0x0f};
    for (unsigned p = 0; p < 4; p++) {
        gr(b, 4, (uint8_t)p);
        assert_int_equal(cpu_read(b, LOW + 1, 1), want[p]);
    }
    /* XOR and rotate. */
    gr(b, 3, 0x18 | 4);
    gr(b, 4, 1);
    cpu_read(b, LOW + 1, 1);
    cpu_write(b, LOW + 1, 1, 0x12);
    gr(b, 3, 0);
    assert_int_equal(cpu_read(b, LOW + 1, 1), 0x0f ^ 0x21);
    /* The other memory maps are not decoded. */
    assert_int_equal(cpu_read(b, TEXT, 1), 0xff);
    /* Switched off by bit 1 of misc output, memory is there all the same. */
    out8(b, 0x3c2, 0xe1);
    cpu_write(b, LOW + 2, 1, 0x5a);
    assert_int_equal(cpu_read(b, LOW + 2, 1), 0x5a);
}

/* As little as GRUB's firmware for emulated machines programs. */
static void test_bare_text(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;
    static const uint8_t crtc[][2] = {{9, 15},      {1, 79}, {0x13, 40},
                                      {0x12, 0x90}, {7, 2},  {10, 32}};
    unsigned lit = 0;

    out8(b, 0x3c2, 1);
    gr(b, 5, 0);
    gr(b, 6, 4);
    gr(b, 8, 0xff);
    sr(b, 4, 4);
    sr(b, 2, 4);
    for (unsigned i = 0; i < 16; i++)
        cpu_write(b, LOW + 'x' * 32 + i, 1, 0xf0);
    gr(b, 6, 0xc);
    gr(b, 5, 0x10);
    sr(b, 4, 0);
    sr(b, 2, 3);
    for (unsigned i = 0; i < sizeof(crtc) / sizeof(crtc[0]); i++)
        cr(b, crtc[i][0], crtc[i][1]);
    for (unsigned i = 0; i < 16; i++) {
        in8(b, 0x3da);
        out8(b, 0x3c0, (uint8_t)i);
        out8(b, 0x3c0, (uint8_t)i);
    }
    out8(b, 0x3c8, 7);
    for (unsigned i = 0; i < 3; i++)
        out8(b, 0x3c9, 0x2a);
    sr(b, 1, 1);
    in8(b, 0x3da);
    out8(b, 0x3c0, 0x20);
    cpu_write(b, TEXT, 2, 0x0700 | 'x');
    cpu_write(b, TEXT + (24 * 80 + 79) * 2, 2, 0x0700 | 'x');
    update(s);
    size_is(s, 640, 400);
    for (unsigned i = 0; i < 640 * 400; i++)
        lit += pixel(s, i % 640, i / 640) == 0xaaaaaa;
    assert_int_equal(lit, 2 * 4 * 16);
}

static void test_text(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;

    text_mode(b);
    put_text(b, 0, 0, 0x1f, "Corbel 80x25");
    put_text(b, 3, 2, 0x4e, "yellow on red");
    put_text(b, 0, 24, 0x07, "last line");
    put_text(b, 20, 5, 0x0a, "\xc9\xcd\xcd\xcd\xbb");
    put_text(b, 20, 6, 0x0a, "\xba   \xba");
    put_text(b, 20, 7, 0x0a, "\xc8\xcd\xcd\xcd\xbc");
    for (unsigned i = 0; i < 256; i++)
        cpu_write(b, TEXT + ((10 + i / 64) * 80 + i % 64) * 2, 2, 0x0700 | i);
    for (unsigned i = 0; i < 128; i++)
        cpu_write(b, TEXT + ((16 + i / 64) * 80 + i % 64) * 2, 2, (uint64_t)i << 8 | 'x');
    cr(b, 0x0e, (24 * 80 + 10) >> 8);
    cr(b, 0x0f, (24 * 80 + 10) & 0xff);
    update(s);
    size_is(s, 720, 400);
    picture(s, "text");
    assert_int_equal(pixel(s, 0, 0), 0x0000aa);
    assert_int_equal(pixel(s, 3 * 9, 2 * 16), 0xaa0000);
    /* 'C' has dots in its third row; they are white. */
    unsigned white = 0;
    for (unsigned x = 0; x < 9; x++)
        white += pixel(s, x, 2) == 0xffffff;
    assert_int_equal(white, 4);
    /* Line graphics go through the ninth dot, letters do not. */
    assert_int_equal(pixel(s, 21 * 9 + 8, 5 * 16 + 5), 0x55ff55);
    /* The cursor: rows 13 and 14. */
    assert_int_equal(pixel(s, 10 * 9, 24 * 16 + 13), 0xaaaaaa);
    assert_int_equal(pixel(s, 10 * 9, 24 * 16 + 15), 0x000000);
    step_clock(b, 267000000);
    update(s);
    assert_int_equal(pixel(s, 10 * 9, 24 * 16 + 13), 0x000000);
    assert_int_equal(s->x0, 90);
    assert_int_equal(s->x1, 99);
    /* One letter: one cell is reported. */
    update(s);
    assert_int_equal(s->changes, 0);
    put_text(b, 7, 9, 0x07, "Z");
    update(s);
    assert_int_equal(s->changes, 1);
    assert_int_equal(s->x0, 63);
    assert_int_equal(s->x1, 72);
    assert_int_equal(s->y0, 144);
    assert_int_equal(s->y1, 160);
}

static void test_blink(void **state)
{
    struct screen *s = *state;

    text_mode(s->b);
    put_text(s->b, 0, 0, 0x87, "\xdb");
    update(s);
    assert_int_equal(pixel(s, 4, 4), 0xaaaaaa);
    step_clock(s->b, 533000000);
    update(s);
    assert_int_equal(pixel(s, 4, 4), 0x000000);
    /* Without blinking the bit is a bright background. */
    in8(s->b, 0x3da);
    out8(s->b, 0x3c0, 0x10);
    out8(s->b, 0x3c0, 0x04);
    out8(s->b, 0x3c0, 0x20);
    put_text(s->b, 1, 0, 0x97, " ");
    update(s);
    assert_int_equal(pixel(s, 12, 4), 0x5555ff);
}

/* After a few accesses text memory is RAM: no more calls, the same contents and picture.
 */
static void test_text_is_lent(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;
    uint8_t cells[4];

    text_mode(b);
    struct io_region *low = io_find(b->m, IO_MEM, TEXT);
    uint64_t before = low->accesses;
    put_text(b, 0, 0, 0x07, "direct");
    assert_int_equal(low->accesses, before);
    mem_read(b, TEXT, cells, 4); /* memory even for DMA */
    assert_memory_equal(cells, "d\007i\007", 4);
    assert_int_equal(cpu_read(b, TEXT + 2, 1), 'i');
    update(s);
    assert_int_equal(pixel(s, 5, 3), 0xaaaaaa); /* the stem of 'd' */
    /* Loading a font takes it back; nothing is lost. */
    load_font(b);
    assert_int_equal(qtest_ram_read(b->m, TEXT, cells, 4), -EFAULT);
    assert_int_equal(cpu_read(b, TEXT, 1), 'd');
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(cpu_read(b, TEXT + i % 12, 1), i % 2 ? 7 : "direct"[i % 12 / 2]);
    in8(b, 0x3da);
    mem_read(b, TEXT, cells, 4);
    /* And a mode change too. */
    set_mode(b, &mode12);
    assert_int_equal(qtest_ram_read(b->m, TEXT, cells, 4), -EFAULT);
}

static void test_linear_256(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;

    set_mode(b, &mode13);
    for (unsigned y = 0; y < 200; y++) {
        in8(b, 0x3da);
        for (unsigned x = 0; x < 320; x += 4)
            cpu_write(b, LOW + y * 320 + x, 4,
                      0x01010101u * (uint8_t)(x / 20 + y / 25 * 16));
    }
    struct io_region *low = io_find(b->m, IO_MEM, LOW);
    assert_true(low->accesses < 100);
    update(s);
    size_is(s, 640, 400);
    picture(s, "mode13");
    assert_int_equal(pixel(s, 40, 0), 0x0000aa);
    assert_int_equal(pixel(s, 79, 49), 0x0000aa);
    cpu_write(b, LOW + 320 * 100 + 5, 1, 63);
    update(s);
    assert_int_equal(pixel(s, 10, 200), 0xffffff);
    assert_int_equal(pixel(s, 11, 201), 0xffffff);
    assert_true(s->y0 >= 170 && s->y1 <= 220);
    /* Unchained (mode X): the same picture, now by planes. */
    sr(b, 4, 6);
    cr(b, 0x14, 0);
    cr(b, 0x17, 0xe3);
    sr(b, 2, 2);
    cpu_write(b, LOW + 80 * 10, 1, 63);
    update(s);
    assert_int_equal(pixel(s, 2, 20), 0xffffff);
    assert_int_equal(pixel(s, 10, 200), 0xffffff);
    /* Panning by start address. */
    cr(b, 0x0c, 0);
    cr(b, 0x0d, 80);
    update(s);
    assert_int_equal(pixel(s, 2, 18), 0xffffff);
    /* Split screen: below line 99 the picture starts over at address 0. */
    cr(b, 0x11, 0x0e);
    cr(b, 0x18, 99);
    cr(b, 0x07, 0x0f);
    cr(b, 0x09, 0x01);
    update(s);
    assert_int_equal(pixel(s, 2, 120), 0xffffff);
    picture(s, "modex-split");
}

static void test_planar_16(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;

    set_mode(b, &mode12);
    gr(b, 5, 2);
    for (unsigned y = 0; y < 480; y++) {
        for (unsigned x = 0; x < 80; x++)
            cpu_write(b, LOW + y * 80 + x, 1, (x / 5 + y / 30) & 15);
    }
    update(s);
    size_is(s, 640, 480);
    picture(s, "mode12");
    assert_int_equal(pixel(s, 0, 0), 0x000000);
    assert_int_equal(pixel(s, 40, 0), 0x0000aa);
    assert_int_equal(pixel(s, 6 * 40, 0), 0xaa5500); /* brown, through the attributes */
    assert_int_equal(pixel(s, 639, 29), 0xffffff);
    gr(b, 8, 0x80);
    cpu_read(b, LOW, 1);
    cpu_write(b, LOW, 1, 4);
    update(s);
    assert_int_equal(pixel(s, 0, 0), 0xaa0000);
    assert_int_equal(pixel(s, 1, 0), 0x000000);
}

static void test_cga(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;

    set_mode(b, &mode4);
    /* Even lines at 0, odd ones 8 KiB up; 80 bytes a line; 0x1b is colors 0 to 3. */
    for (unsigned y = 0; y < 200; y++) {
        for (unsigned x = 0; x < 80; x++)
            cpu_write(b, TEXT + (y & 1) * 0x2000 + y / 2 * 80 + x, 1,
                      y < 100 ? 0x1b : 0xff);
    }
    cpu_write(b, TEXT + 0x2000, 1, 0xaa); /* line 1, first four pixels: color 2 */
    update(s);
    size_is(s, 640, 400);
    picture(s, "mode4");
    assert_int_equal(pixel(s, 0, 0), 0x000000);
    assert_int_equal(pixel(s, 2, 0), 0x00ffaa);
    assert_int_equal(pixel(s, 4, 0), 0xaa55aa);
    assert_int_equal(pixel(s, 6, 1), 0xaaffaa);
    assert_int_equal(pixel(s, 0, 2), 0xaa55aa);
    assert_int_equal(pixel(s, 10, 4), 0x00ffaa);
    assert_int_equal(pixel(s, 639, 399), 0xaaffaa);
}

static void vbe(struct bench *b, unsigned index, uint16_t value)
{
    out16(b, 0x1ce, (uint16_t)index);
    out16(b, 0x1cf, value);
}

static uint16_t get_vbe(struct bench *b, unsigned index)
{
    out16(b, 0x1ce, (uint16_t)index);
    return in16(b, 0x1cf);
}

static void vbe_mode(struct bench *b, unsigned width, unsigned height, unsigned bpp)
{
    vbe(b, 4, 0);
    vbe(b, 1, (uint16_t)width);
    vbe(b, 2, (uint16_t)height);
    vbe(b, 3, (uint16_t)bpp);
    vbe(b, 4, 0x41);
    in8(b, 0x3da);
    out8(b, 0x3c0, 0x20);
}

static void test_vbe_depths(void **state)
{
    static const struct {
        unsigned bpp, bytes;
        uint32_t value, color;
    } depths[] = {
        {15, 2, 0x7c1f, 0xff00ff},     {16, 2, 0x07e0, 0x00ff00},
        {16, 2, 0x8410, 0x848284},     {24, 3, 0x123456, 0x123456},
        {32, 4, 0xff654321, 0x654321},
    };
    struct screen *s = *state;
    struct bench *b = s->b;

    assert_int_equal(get_vbe(b, 0), 0xb0c5);
    assert_int_equal(get_vbe(b, 10), 256);
    for (unsigned i = 0; i < ARRAY_LEN(depths); i++) {
        vbe_mode(b, 800, 600, depths[i].bpp);
        update(s);
        size_is(s, 800, 600);
        uint32_t at = (100 * 800 + 33) * depths[i].bytes;
        for (unsigned n = 0; n < depths[i].bytes; n++)
            cpu_write(b, FB + at + n, 1, depths[i].value >> (8 * n));
        update(s);
        assert_int_equal(pixel(s, 33, 100), depths[i].color);
        assert_int_equal(pixel(s, 34, 100), 0);
        /* Only the lines of that page (and its neighbours) were reported. */
        assert_true(s->y1 - s->y0 <= 8 && s->y0 <= 100 && s->y1 > 100);
        update(s);
        assert_int_equal(s->changes, 0);
    }
    vbe_mode(b, 1024, 768, 32);
    for (unsigned y = 0; y < 768; y++) {
        for (unsigned x = 0; x < 1024; x += 2)
            cpu_write(b, FB + (y * 1024 + x) * 4, 8,
                      (uint64_t)(x / 4 << 16 | y / 3 << 8) * 0x100000001ull);
    }
    update(s);
    picture(s, "vbe32");
    assert_int_equal(pixel(s, 1023, 767), 0xffff00);
}

static void test_vbe_put_right(void **state)
{
    struct bench *b = ((struct screen *)*state)->b;

    vbe(b, 4, 2);
    assert_true(get_vbe(b, 1) >= 2560 && get_vbe(b, 3) == 32);
    vbe_mode(b, 60000, 60000, 32);
    assert_true(get_vbe(b, 1) * get_vbe(b, 2) * 4 <= 16 << 20);
    vbe_mode(b, 1366, 768, 33);
    assert_int_equal(get_vbe(b, 1), 1360);
    assert_int_equal(get_vbe(b, 3), 8);
    /* A virtual screen, and a view into it that would end behind the memory. */
    vbe_mode(b, 640, 480, 32);
    vbe(b, 6, 1024);
    assert_int_equal(get_vbe(b, 6), 1024);
    assert_int_equal(get_vbe(b, 7), 4096);
    vbe(b, 9, 5000);
    assert_int_equal(get_vbe(b, 9), 0);
    vbe(b, 9, 1000);
    assert_int_equal(get_vbe(b, 9), 1000);
    vbe(b, 0, 0x1234);
    assert_int_equal(get_vbe(b, 0), 0xb0c5);
}

static void test_vbe_pan_and_bank(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;

    set_mode(b, &mode13); /* for the palette */
    vbe_mode(b, 640, 480, 8);
    vbe(b, 4, 0x01); /* no linear frame buffer: the bank is used */
    vbe(b, 5, 3);
    for (unsigned i = 0; i < 100; i++)
        cpu_write(b, LOW + i, 1, 63);
    in8(b, 0x3da);
    struct io_region *low = io_find(b->m, IO_MEM, LOW);
    uint64_t before = low->accesses;
    cpu_write(b, LOW + 100, 1, 63);
    assert_int_equal(low->accesses, before); /* lent */
    update(s);
    unsigned at = 3 * 65536;
    assert_int_equal(pixel(s, at % 640 + 50, at / 640), 0xffffff);
    vbe(b, 5, 0);
    assert_int_equal(cpu_read(b, LOW, 1), 0);
    cpu_write(b, LOW + 5, 1, 63);
    vbe(b, 5, 3);
    assert_int_equal(cpu_read(b, LOW + 100, 1), 63);
    update(s);
    assert_int_equal(pixel(s, 5, 0), 0xffffff);
    vbe(b, 8, 5);
    update(s);
    assert_int_equal(pixel(s, 0, 0), 0xffffff);
    /* 8-bit DAC */
    vbe(b, 4, 0x21);
    out8(b, 0x3c8, 63);
    out8(b, 0x3c9, 0x81);
    out8(b, 0x3c9, 0x82);
    out8(b, 0x3c9, 0x83);
    update(s);
    assert_int_equal(pixel(s, 0, 0), 0x818283);
}

static void test_mmio(void **state)
{
    struct bench *b = ((struct screen *)*state)->b;
    uint8_t sum = 0;

    assert_int_equal(cpu_read(b, MMIO + 0x500, 2), 0xb0c5);
    cpu_write(b, MMIO + 0x502, 2, 1280);
    assert_int_equal(get_vbe(b, 1), 1280);
    cpu_write(b, MMIO + 0x41a - 0x1a + 0x02, 1, 0x67);
    assert_int_equal(in8(b, 0x3cc), 0x67);
    assert_int_equal(cpu_read(b, MMIO + 0x604, 4), 0x1e1e1e1e);
    assert_int_equal(cpu_read(b, MMIO, 8), 0x00ffffffffffff00);
    for (unsigned i = 0; i < 128; i++)
        sum = (uint8_t)(sum + cpu_read(b, MMIO + i, 1));
    assert_int_equal(sum, 0);
    assert_int_equal(cpu_read(b, MMIO + 0x300, 4), 0);
}

static void test_state(void **state)
{
    struct screen *s = *state;
    struct bench *b = s->b;

    text_mode(b);
    put_text(b, 0, 0, 0x1f, "saved");
    update(s);
    struct display_surface *d = display_surface(machine_display(b->m));
    size_t bytes = (size_t)d->stride * d->height;
    uint32_t *before = malloc(bytes);
    memcpy(before, d->pixels, bytes);
    save_and_load(b);
    assert_int_equal(cpu_read(b, TEXT, 2), 0x1f00 | 's');
    update(s);
    d = display_surface(machine_display(b->m));
    assert_memory_equal(d->pixels, before, bytes);
    free(before);
}

/* Registers of any value, and pictures from them. */
static void test_nonsense(void **state)
{
    static const uint16_t ports[] = {0x3c0, 0x3c2, 0x3c4, 0x3c5, 0x3ce, 0x3cf, 0x3d4,
                                     0x3d5, 0x3b4, 0x3b5, 0x1ce, 0x1cf, 0x3c8, 0x3c9};
    struct screen *s = *state;
    struct bench *b = s->b;
    uint32_t seed = 7;

    for (unsigned i = 0; i < 60000; i++) {
        seed = seed * 1664525 + 1013904223;
        uint16_t port = ports[(seed >> 8) % ARRAY_LEN(ports)];
        unsigned value = seed >> 16;
        if (port == 0x1ce)
            value %= 12;
        if (port < 0x200)
            out16(b, port, (uint16_t)(value % 2000));
        else
            out16(b, port, (uint16_t)value);
        cpu_write(b, LOW + seed % 0x20000, 1, value);
        cpu_read(b, LOW + (seed >> 3) % 0x20000, 1);
        if (i % 600 == 0) {
            out8(b, 0x3c2, 0x67);
            in8(b, 0x3da);
            out8(b, 0x3c0, 0x20);
            update(s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_identity, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_registers, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_retrace, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_planes, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_bare_text, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_text, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_blink, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_text_is_lent, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_linear_256, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_planar_16, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_cga, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_vbe_depths, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_vbe_put_right, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_vbe_pan_and_bank, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_mmio, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_state, vga_setup, vga_teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, vga_setup, vga_teardown),
    };
    return cmocka_run_group_tests_name("vga", tests, NULL, NULL);
}
