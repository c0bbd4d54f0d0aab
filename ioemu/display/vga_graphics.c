/*
 * Graphics modes: planes of 16 colors, CGA's pairs of bits, bytes with a palette, and
 * direct colors.  A line is drawn when one of the pages it comes from was written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vga.h"

#define DIRTY_WORD_BYTES (64 * VGA_PAGE)

/* ---- one line -----------------------------------------------------------------------
 */

static inline uint8_t memory_byte(const struct vga *v, uint32_t at)
{
    return v->memory.host[at & v->frame.wrap];
}

static void put(uint32_t *out, unsigned x, unsigned repeat, uint32_t color)
{
    for (unsigned i = 0; i < repeat; i++)
        out[x * repeat + i] = color;
}

static void planar_line(const struct vga *v, uint32_t at, unsigned pan, uint32_t *out)
{
    unsigned pixels = v->frame.width / v->frame.x_repeat;

    for (unsigned x = 0; x < pixels; x++) {
        uint32_t word = at + (x + pan) / 8 * 4;
        unsigned bit = 7 - (x + pan) % 8, index = 0;
        for (unsigned p = 0; p < 4; p++)
            index |= (memory_byte(v, word + p) >> bit & 1u) << p;
        put(out, x, v->frame.x_repeat, v->palette[index]);
    }
}

/* Two bits a pixel; even bytes in planes 0 (and 2), odd ones in planes 1 (and 3). */
static void cga_line(const struct vga *v, uint32_t at, unsigned pan, uint32_t *out)
{
    unsigned pixels = v->frame.width / v->frame.x_repeat;

    for (unsigned x = 0; x < pixels; x++) {
        unsigned byte = (x + pan) / 4, shift = 6 - (x + pan) % 4 * 2;
        uint32_t word = at + byte / 2 * 4 + byte % 2;
        unsigned index = (memory_byte(v, word) >> shift & 3u) |
                         (memory_byte(v, word + 2) >> shift & 3u) << 2;
        put(out, x, v->frame.x_repeat, v->palette[index]);
    }
}

static void palette_line(const struct vga *v, uint32_t at, unsigned pan, uint32_t *out)
{
    unsigned pixels = v->frame.width / v->frame.x_repeat;

    for (unsigned x = 0; x < pixels; x++)
        put(out, x, v->frame.x_repeat, v->palette[memory_byte(v, at + x + pan)]);
}

static uint32_t wide(unsigned value, unsigned bits)
{
    value <<= 8 - bits;
    return value | value >> bits;
}

static void direct_line(const struct vga *v, uint32_t at, unsigned pan, uint32_t *out)
{
    const uint8_t *in = v->memory.host + at; /* vbe registers keep it inside */

    for (unsigned x = 0; x < v->frame.width; x++) {
        uint32_t pixel;
        switch (v->frame.bpp) {
        case 15:
            pixel = load_le16(in + x * 2);
            out[x] = wide(pixel >> 10 & 31, 5) << 16 | wide(pixel >> 5 & 31, 5) << 8 |
                     wide(pixel & 31, 5);
            break;
        case 16:
            pixel = load_le16(in + x * 2);
            out[x] = wide(pixel >> 11 & 31, 5) << 16 | wide(pixel >> 5 & 63, 6) << 8 |
                     wide(pixel & 31, 5);
            break;
        case 24:
            out[x] = in[x * 3] | in[x * 3 + 1] << 8 | (uint32_t)in[x * 3 + 2] << 16;
            break;
        default:
            out[x] = load_le32(in + x * 4) & 0xffffff;
            break;
        }
    }
}

/* Bytes of video memory that one line is made of. */
static uint32_t line_span(const struct vga_frame *f)
{
    unsigned pixels = f->width / f->x_repeat;

    switch (f->kind) {
    case FRAME_DIRECT:
        return pixels * ((f->bpp + 7) / 8);
    case FRAME_256:
        return pixels + f->pan;
    default:
        return (pixels + f->pan + 7) / 8 * 4;
    }
}

/* ---- which lines --------------------------------------------------------------------
 */

/* Where the line of the surface comes from; CGA keeps odd lines in another bank. */
static uint32_t line_address(const struct vga_frame *f, unsigned y, unsigned *pan)
{
    uint32_t at = f->start;

    *pan = f->pan;
    if (y > f->line_compare) {
        y -= f->line_compare + 1;
        at = 0;
        if (f->pan_top_only)
            *pan = 0;
    }
    unsigned scan = y / f->y_repeat, row = scan % f->rows;
    at += scan / f->rows * f->line_bytes;
    /* In plane bytes, bits 13 and 14 of the address; in word mode one less, as the
     * planes are chained in pairs. */
    unsigned shift = f->crtc_mode & CR_MODE_BYTES ? 15 : 14;
    if (!(f->crtc_mode & CR_MODE_MAP13))
        at = (at & ~(1u << shift)) | (row & 1) << shift;
    if (!(f->crtc_mode & CR_MODE_MAP14))
        at = (at & ~(2u << shift)) | (row >> 1 & 1) << (shift + 1);
    return at & f->wrap;
}

static bool page_dirty(const struct vga *v, uint32_t page)
{
    return v->dirty_now[page / 64] >> (page % 64) & 1;
}

static bool span_dirty(const struct vga *v, uint32_t at, uint32_t bytes)
{
    for (uint32_t page = at / VGA_PAGE; page <= (at + bytes - 1) / VGA_PAGE; page++) {
        if (page_dirty(v, page & (v->frame.wrap / VGA_PAGE)))
            return true;
    }
    return false;
}

/* Move what was written by anybody since the last picture to dirty_now. */
static void collect_dirty(struct vga *v)
{
    const struct vga_frame *f = &v->frame;
    size_t words = v->memory.size / VGA_PAGE / 64;
    uint64_t first = 0, last = VGA_LEGACY_BYTES;

    /* Finding out costs by the page: ask for what is displayed only. */
    if (f->wrap >= VGA_LEGACY_BYTES) {
        first = f->start & ~(uint64_t)(DIRTY_WORD_BYTES - 1);
        last = f->start + (uint64_t)f->height * f->line_bytes + DIRTY_WORD_BYTES - 1;
        last &= ~(uint64_t)(DIRTY_WORD_BYTES - 1);
        last = last < v->memory.size ? last : v->memory.size;
    }
    if (!v->memory.track)
        ram_window_track(&v->memory, true);
    memset(v->dirty_now, 0, words * sizeof(uint64_t));
    if (ram_window_dirty(&v->memory, first, last - first,
                         v->dirty_now + first / DIRTY_WORD_BYTES))
        memset(v->dirty_now, 0xff, words * sizeof(uint64_t));
    for (size_t i = 0; i < words; i++) {
        v->dirty_now[i] |= v->dirty[i];
        v->dirty[i] = 0;
    }
}

static void draw_line(const struct vga *v, uint32_t at, unsigned pan, uint32_t *out)
{
    switch (v->frame.kind) {
    case FRAME_PLANAR:
        planar_line(v, at, pan, out);
        break;
    case FRAME_CGA:
        cga_line(v, at, pan, out);
        break;
    case FRAME_256:
        palette_line(v, at, pan, out);
        break;
    default:
        direct_line(v, at, pan, out);
        break;
    }
}

void vga_draw_graphics(struct vga *v, struct display_surface *s)
{
    const struct vga_frame *f = &v->frame;
    uint32_t span = line_span(f), drawn_from = UINT32_MAX;
    unsigned first = s->height; /* of the run of lines drawn, not reported yet */
    const uint32_t *above = NULL;

    collect_dirty(v);
    for (unsigned y = 0; y < s->height; y++) {
        unsigned pan;
        uint32_t at = line_address(f, y, &pan);
        uint32_t *out = (uint32_t *)((uint8_t *)s->pixels + (size_t)y * s->stride);
        if (!v->redraw && !span_dirty(v, at, span)) {
            if (first < y)
                display_dirty(v->display, 0, first, s->width, y - first);
            first = s->height;
            drawn_from = UINT32_MAX;
            continue;
        }
        if (at == drawn_from && above)
            memcpy(out, above, s->width * sizeof(*out));
        else
            draw_line(v, at, pan, out);
        drawn_from = at;
        above = out;
        first = first < y ? first : y;
    }
    if (first < s->height)
        display_dirty(v->display, 0, first, s->width, s->height - first);
}
