/*
 * A machine with a VGA, its picture, and the modes that a VGA BIOS sets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_DEVICES_VGA_BENCH_H
#define TESTS_UNIT_DEVICES_VGA_BENCH_H

#include "harness.h"

#define SLOT 2
#define TEXT 0xb8000u
#define LOW  0xa0000u
#define FB   0xe0000000u /* where the BARs are put */
#define MMIO 0xe1000000u

struct screen {
    struct bench *b;
    struct display_viewer viewer;
    unsigned changes;
    unsigned x0, y0, x1, y1; /* bounding box of what changed */
};

/* For cmocka: *state is a struct screen. */
int vga_setup(void **state);
int vga_teardown(void **state);

/* Draw what changed; the screen's `changes` and box are of this time alone. */
void update(struct screen *s);
/* With VGA_PICTURES=DIR: write DIR/NAME.ppm. */
void picture(struct screen *s, const char *name);
uint32_t pixel(struct screen *s, unsigned x, unsigned y);
void size_is(struct screen *s, unsigned width, unsigned height);

/* A value for each register of a mode (IBM VGA: miscellaneous output, sequencer, graphics
 * and attribute controllers, CRTC). */
struct vga_mode {
    uint8_t misc, sr[5], gr[9], ar[21], cr[25];
};
extern const struct vga_mode mode3, mode4, mode12, mode13;

/* One register of the sequencer, of the graphics controller, of the CRTC. */
void sr(struct bench *b, unsigned index, uint8_t value);
void gr(struct bench *b, unsigned index, uint8_t value);
void cr(struct bench *b, unsigned index, uint8_t value);

/* The mode's registers and EGA's palette. */
void set_mode(struct bench *b, const struct vga_mode *m);
/* The font of SeaBIOS's VGA BIOS into plane 2. */
void load_font(struct bench *b);
/* Mode 3, with that font and nothing but blanks. */
void text_mode(struct bench *b);
void put_text(struct bench *b, unsigned column, unsigned line, uint8_t attribute,
              const char *text);

#endif
