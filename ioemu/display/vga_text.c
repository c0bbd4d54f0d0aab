/*
 * Text modes: cells of a character and an attribute, glyphs in plane 2, the cursor.
 * Cells are compared with what is on the screen, so only changes are drawn.
 * Left out: smooth scrolling (preset row, panning) and the split screen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "vga.h"

#define GLYPH_BYTES     32u
#define CURSOR_PHASE_NS 267000000LL /* 16 pictures at 60 Hz, and as long off */
#define BLINK_PHASE_NS  533000000LL

/* The two character sets that SR3 selects: plane offset (EGA's odd order of the bits). */
static unsigned font_offset(uint8_t select)
{
    return (select & 3u) * 0x4000 + (select >> 2 & 1u) * 0x2000;
}

struct fonts {
    unsigned set[2]; /* by bit 3 of the attribute */
};

static struct fonts find_fonts(const struct vga *v)
{
    uint8_t sr3 = v->sr[SR_FONT];

    return (struct fonts){{
        font_offset((uint8_t)((sr3 & 3) | (sr3 >> 2 & 4))),
        font_offset((uint8_t)((sr3 >> 2 & 3) | (sr3 >> 3 & 4))),
    }};
}

static uint8_t glyph_row(const struct vga *v, const struct fonts *fonts, uint32_t cell,
                         unsigned row)
{
    unsigned set = fonts->set[cell >> 11 & 1];
    unsigned offset = set + (cell & 0xff) * GLYPH_BYTES + (row & (GLYPH_BYTES - 1));

    return v->memory.host[(offset & (VGA_PLANE_BYTES - 1)) * 4 + 2];
}

/* What the cell looks like now: a blinking one in its dark phase has no foreground. */
static uint32_t shown(const struct vga *v, uint32_t cell, bool blink_on)
{
    if (!(v->ar[AR_MODE] & AR_MODE_BLINK))
        return cell;
    uint32_t plain = cell & ~0x8000u;
    if (!(cell & 0x8000) || blink_on)
        return plain;
    return (plain & ~0x0f00u) | (plain >> 4 & 0x0700);
}

static bool underlined(const struct vga *v, uint32_t cell, unsigned row)
{
    return v->ar[AR_MODE] & AR_MODE_MONO && (cell & 0x0700) == 0x0100 &&
           row == (v->cr[CR_UNDERLINE] & 0x1fu);
}

/* Bits of one scan line of a cell, leftmost dot in bit char_width - 1. */
static unsigned dots(const struct vga *v, const struct fonts *fonts, uint32_t cell,
                     unsigned row)
{
    unsigned bits = glyph_row(v, fonts, cell, row);

    if (underlined(v, cell, row))
        bits = 0xff;
    if (v->frame.char_width == 8)
        return bits;
    /* The ninth dot is blank, but line graphics go on (IBM, Attribute Mode Control). */
    bool goes_on = v->ar[AR_MODE] & AR_MODE_LINE_GRAPHICS && (cell & 0xe0) == 0xc0;
    return bits << 1 | (goes_on || underlined(v, cell, row) ? bits & 1 : 0);
}

static void draw_cell(const struct vga *v, struct display_surface *s,
                      const struct fonts *fonts, unsigned column, unsigned line,
                      uint32_t cell, const bool cursor_rows[32])
{
    const struct vga_frame *f = &v->frame;
    uint32_t fore = v->palette[cell >> 8 & 0xf], back = v->palette[cell >> 12 & 0xf];
    unsigned width = f->char_width * f->x_repeat;

    for (unsigned y = 0; y < f->rows * f->y_repeat; y++) {
        unsigned row = y / f->y_repeat;
        unsigned bits = dots(v, fonts, cell, row);
        if (cursor_rows && cursor_rows[row])
            bits = (1u << f->char_width) - 1;
        uint32_t *out =
            (uint32_t *)((uint8_t *)s->pixels +
                         (size_t)(line * f->rows * f->y_repeat + y) * s->stride) +
            column * width;
        for (unsigned x = 0; x < width; x++)
            out[x] = bits >> (f->char_width - 1 - x / f->x_repeat) & 1 ? fore : back;
    }
}

/* Which scan lines the cursor covers; false: none. */
static bool find_cursor(const struct vga *v, bool rows[32])
{
    unsigned first = v->cr[CR_CURSOR_START] & 0x1f, last = v->cr[CR_CURSOR_END] & 0x1f;
    bool any = false;

    if (v->cr[CR_CURSOR_START] & CR_CURSOR_OFF)
        return false;
    for (unsigned row = 0; row < 32; row++) {
        rows[row] = row >= first && row <= last && row < v->frame.rows;
        any |= rows[row];
    }
    return any;
}

static bool phase(const struct vga *v, int64_t ns)
{
    return clock_now(&v->pci.dev) / ns % 2 == 0;
}

/* The cell the cursor is on, as an index into v->cells. */
static uint32_t cursor_cell(const struct vga *v, unsigned lines)
{
    const struct vga_frame *f = &v->frame;
    uint32_t at = (uint32_t)(v->cr[CR_CURSOR_HIGH] << 8 | v->cr[CR_CURSOR_LOW]);
    uint32_t start = f->start / 4, pitch = f->line_bytes / 4;

    at = (at - start) & (VGA_PLANE_BYTES - 1);
    if (!pitch || at / pitch >= lines || at % pitch >= f->columns)
        return VGA_CELL_STALE;
    return at / pitch * f->columns + at % pitch;
}

static uint32_t memory_cell(const struct vga *v, unsigned line, unsigned column)
{
    const struct vga_frame *f = &v->frame;
    uint32_t at = (f->start + line * f->line_bytes + column * 4) & f->wrap;

    return load_le16(v->memory.host + at);
}

static bool start_over(struct vga *v, unsigned cells)
{
    uint32_t *new_cells = realloc(v->cells, cells * sizeof(*new_cells));

    if (!new_cells)
        return false;
    v->cells = new_cells;
    memset(new_cells, 0xff, cells * sizeof(*new_cells));
    v->cursor_drawn = VGA_CELL_STALE;
    v->font_changed = false;
    return true;
}

void vga_draw_text(struct vga *v, struct display_surface *s)
{
    const struct vga_frame *f = &v->frame;
    unsigned cell_lines = f->rows * f->y_repeat, lines = f->height / cell_lines;
    unsigned cell_width = f->char_width * f->x_repeat;
    struct fonts fonts = find_fonts(v);
    bool blink_on = phase(v, BLINK_PHASE_NS), rows[32];
    uint32_t cursor = VGA_CELL_STALE;

    if ((v->redraw || v->font_changed) && !start_over(v, f->columns * lines))
        return;
    if (find_cursor(v, rows) && phase(v, CURSOR_PHASE_NS))
        cursor = cursor_cell(v, lines);
    if (v->cursor_drawn != cursor && v->cursor_drawn != VGA_CELL_STALE)
        v->cells[v->cursor_drawn] = VGA_CELL_STALE;
    /* Drawn anew in each picture: its shape may have changed. */
    if (cursor != VGA_CELL_STALE)
        v->cells[cursor] = VGA_CELL_STALE;
    v->cursor_drawn = cursor;
    for (unsigned line = 0; line < lines; line++) {
        unsigned first = f->columns, last = 0;
        for (unsigned column = 0; column < f->columns; column++) {
            uint32_t n = line * f->columns + column;
            uint32_t cell = shown(v, memory_cell(v, line, column), blink_on);
            if (v->cells[n] == cell)
                continue;
            draw_cell(v, s, &fonts, column, line, cell, n == cursor ? rows : NULL);
            v->cells[n] = cell;
            first = column < first ? column : first;
            last = column;
        }
        if (first < f->columns)
            display_dirty(v->display, first * cell_width, line * cell_lines,
                          (last - first + 1) * cell_width, cell_lines);
    }
}
