/*
 * A machine with a VGA for the tests of it, and the modes that a VGA BIOS sets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vga_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void changed(void *opaque, unsigned x, unsigned y, unsigned width, unsigned height)
{
    struct screen *s = opaque;

    s->changes++;
    s->x0 = x < s->x0 ? x : s->x0;
    s->y0 = y < s->y0 ? y : s->y0;
    s->x1 = x + width > s->x1 ? x + width : s->x1;
    s->y1 = y + height > s->y1 ? y + height : s->y1;
}

void update(struct screen *s)
{
    s->changes = s->x1 = s->y1 = 0;
    s->x0 = s->y0 = UINT32_MAX;
    display_update(machine_display(s->b->m));
}

int vga_setup(void **state)
{
    struct screen *s = calloc(1, sizeof(*s));

    s->b = bench_start("-device", "VGA,addr=2");
    s->viewer.changed = changed;
    s->viewer.opaque = s;
    display_add_viewer(machine_display(s->b->m), &s->viewer);
    config_write(s->b, SLOT, 0x10, 4, FB);
    config_write(s->b, SLOT, 0x18, 4, MMIO);
    config_enable(s->b, SLOT);
    *state = s;
    return 0;
}

int vga_teardown(void **state)
{
    struct screen *s = *state;

    display_remove_viewer(machine_display(s->b->m), &s->viewer);
    bench_stop(s->b);
    free(s);
    return 0;
}

void picture(struct screen *s, const char *name)
{
    const char *dir = getenv("VGA_PICTURES");
    struct error error = {.text = ""};
    char file[512];

    if (!dir)
        return;
    snprintf(file, sizeof(file), "%s/%s.ppm", dir, name);
    assert_int_equal(display_write_ppm(machine_display(s->b->m), file, &error), 0);
}

uint32_t pixel(struct screen *s, unsigned x, unsigned y)
{
    struct display_surface *d = display_surface(machine_display(s->b->m));

    assert_true(x < d->width && y < d->height);
    return ((uint32_t *)((uint8_t *)d->pixels + (size_t)y * d->stride))[x];
}

void size_is(struct screen *s, unsigned width, unsigned height)
{
    struct display_surface *d = display_surface(machine_display(s->b->m));

    assert_int_equal(d->width, width);
    assert_int_equal(d->height, height);
}

#define CR_TEXT                                                                          \
    {                                                                                    \
        0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,    \
            0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff       \
    }

const struct vga_mode mode3 = {
    0x67,
    {0x03, 0x00, 0x03, 0x00, 0x02},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
     0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00},
    CR_TEXT,
};

const struct vga_mode mode4 = {
    0x63,
    {0x03, 0x09, 0x03, 0x00, 0x02},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x0f, 0xff},
    {0x00, 0x13, 0x15, 0x17, 0x02, 0x04, 0x06, 0x07, 0x10, 0x11, 0x12,
     0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00, 0x03, 0x00, 0x00},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff},
};

const struct vga_mode mode12 = {
    0xe3,
    {0x03, 0x01, 0x0f, 0x00, 0x06},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
     0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x01, 0x00, 0x0f, 0x00, 0x00},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
};

const struct vga_mode mode13 = {
    0x63,
    {0x03, 0x01, 0x0f, 0x00, 0x0e},
    {0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff},
    {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
     0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x41, 0x00, 0x0f, 0x00, 0x00},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
};

static void set_indexed(struct bench *b, uint16_t port, unsigned index, uint8_t value)
{
    out16(b, port, (uint16_t)(index | value << 8));
}

void sr(struct bench *b, unsigned index, uint8_t value)
{
    set_indexed(b, 0x3c4, index, value);
}

void gr(struct bench *b, unsigned index, uint8_t value)
{
    set_indexed(b, 0x3ce, index, value);
}

void cr(struct bench *b, unsigned index, uint8_t value)
{
    set_indexed(b, 0x3d4, index, value);
}

static void set_palette(struct bench *b)
{
    static const uint8_t level[4] = {0, 0x2a, 0x15, 0x3f};

    out8(b, 0x3c6, 0xff);
    out8(b, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {
        /* EGA's bits: rgbRGB, capitals are the two thirds */
        for (unsigned c = 0; c < 3; c++) {
            unsigned bits = (i >> (2 - c) & 1) | (i >> (5 - c) & 1) << 1;
            out8(b, 0x3c9, i < 64 ? level[bits] : (uint8_t)((i * (c + 1) * 3) & 0x3f));
        }
    }
}

void set_mode(struct bench *b, const struct vga_mode *m)
{
    out8(b, 0x3c2, m->misc);
    for (unsigned i = 0; i < 5; i++)
        sr(b, i, m->sr[i]);
    cr(b, 0x11, 0);
    for (unsigned i = 0; i < 25; i++)
        cr(b, i, m->cr[i]);
    for (unsigned i = 0; i < 9; i++)
        gr(b, i, m->gr[i]);
    in8(b, 0x3da);
    for (unsigned i = 0; i < 21; i++) {
        out8(b, 0x3c0, (uint8_t)i);
        out8(b, 0x3c0, m->ar[i]);
    }
    set_palette(b);
    out8(b, 0x3c0, 0x20);
}

/* The 8x16 font that SeaBIOS' VGA BIOS carries: found by the shape of its letter A. */
static const uint8_t *rom_font(void)
{
    static uint8_t rom[65536];
    static const uint8_t letter_a[16] = {0x00, 0x00, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe,
                                         0xc6, 0xc6, 0xc6, 0xc6, 0x00, 0x00, 0x00, 0x00};
    FILE *f = fopen("/usr/share/seabios/vgabios-stdvga.bin", "r");

    assert_non_null(f);
    size_t bytes = fread(rom, 1, sizeof(rom), f);
    fclose(f);
    const uint8_t *a = memmem(rom, bytes, letter_a, sizeof(letter_a));
    assert_non_null(a);
    return a - 'A' * 16;
}

void load_font(struct bench *b)
{
    const uint8_t *font = rom_font();

    sr(b, 2, 4);
    sr(b, 4, 7);
    gr(b, 4, 2);
    gr(b, 5, 0);
    gr(b, 6, 4);
    for (unsigned c = 0; c < 256; c++) {
        for (unsigned row = 0; row < 16; row++)
            cpu_write(b, LOW + c * 32 + row, 1, font[c * 16 + row]);
    }
    sr(b, 2, 3);
    sr(b, 4, 2);
    gr(b, 4, 0);
    gr(b, 5, 0x10);
    gr(b, 6, 0x0e);
}

void put_text(struct bench *b, unsigned column, unsigned line, uint8_t attribute,
              const char *text)
{
    for (; *text; text++, column++)
        cpu_write(b, TEXT + (line * 80 + column) * 2, 2,
                  (uint64_t)((uint8_t)*text | attribute << 8));
}

void text_mode(struct bench *b)
{
    set_mode(b, &mode3);
    load_font(b);
    for (unsigned i = 0; i < 2000; i++)
        cpu_write(b, TEXT + i * 2, 2, 0x0720);
    in8(b, 0x3da); /* memory accessed often is lent with the next access to a port */
}
