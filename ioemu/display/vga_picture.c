/*
 * What the registers say the screen shows: size, kind of pixels, where in video memory,
 * which colors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vga.h"

enum {
    AR_SCREEN_ON = 0x20,
    BLANK_WIDTH = 640,
    BLANK_HEIGHT = 400,
    LEAST_WIDTH = 32,
    LEAST_HEIGHT = 8,
};

static bool screen_off(const struct vga *v)
{
    if (!(v->ar_index & AR_SCREEN_ON))
        return true;
    return !vbe_enabled(v) && v->sr[SR_CLOCKING] & SR_CLOCKING_OFF;
}

static unsigned displayed_lines(const struct vga *v)
{
    uint8_t overflow = v->cr[CR_OVERFLOW];

    return 1 +
           (v->cr[CR_V_DISPLAY_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3);
}

static void vbe_frame(const struct vga *v, struct vga_frame *f)
{
    unsigned bpp = v->vbe[VBE_BPP];

    f->kind = bpp == 4 ? FRAME_PLANAR : bpp == 8 ? FRAME_256 : FRAME_DIRECT;
    f->bpp = bpp;
    f->width = v->vbe[VBE_XRES];
    f->height = v->vbe[VBE_YRES];
    f->line_bytes = vbe_line_bytes(v);
    f->wrap = vga_memory_bytes(v) - 1;
    f->line_compare = UINT32_MAX;
    f->crtc_mode = CR_MODE_MAP13 | CR_MODE_MAP14;
    f->x_repeat = f->y_repeat = f->rows = 1;
    uint32_t x = v->vbe[VBE_X_OFFSET], y = v->vbe[VBE_Y_OFFSET];
    f->start = y * f->line_bytes;
    if (bpp == 4) {
        f->start += x / 8 * 4;
        f->pan = x % 8;
    } else {
        f->start += x * ((bpp + 7) / 8);
    }
}

static void graphics_frame(const struct vga *v, struct vga_frame *f)
{
    unsigned half = v->sr[SR_CLOCKING] & SR_CLOCKING_HALF ? 2 : 1;
    unsigned dots = (v->cr[CR_H_DISPLAY_END] + 1u) * 8;

    f->rows = (v->cr[CR_MAX_ROW] & 0x1fu) + 1;
    f->pan = v->ar[AR_PAN] & 7;
    if (v->gr[GR_MODE] & GR_MODE_SHIFT_256) {
        f->kind = FRAME_256;
        f->x_repeat = 2; /* two dots shift out one byte */
        f->width = dots;
        f->pan /= 2;
    } else {
        f->kind = v->gr[GR_MODE] & GR_MODE_SHIFT_CGA ? FRAME_CGA : FRAME_PLANAR;
        f->x_repeat = half;
        f->width = dots * half;
    }
    f->height = displayed_lines(v);
    f->start += (v->cr[CR_PRESET_ROW] >> 5 & 3u) * 4;
}

static void text_frame(const struct vga *v, struct vga_frame *f)
{
    f->kind = FRAME_TEXT;
    f->columns = v->cr[CR_H_DISPLAY_END] + 1u;
    f->char_width = v->sr[SR_CLOCKING] & SR_CLOCKING_8_DOTS ? 8 : 9;
    f->x_repeat = v->sr[SR_CLOCKING] & SR_CLOCKING_HALF ? 2 : 1;
    f->rows = (v->cr[CR_MAX_ROW] & 0x1fu) + 1;
    f->width = f->columns * f->char_width * f->x_repeat;
    unsigned cell_lines = f->rows * f->y_repeat;
    f->height = displayed_lines(v) / cell_lines * cell_lines;
}

static void find_frame(const struct vga *v, struct vga_frame *f)
{
    uint8_t overflow = v->cr[CR_OVERFLOW];

    memset(f, 0, sizeof(*f));
    f->kind = FRAME_BLANK;
    if (screen_off(v))
        return;
    if (vbe_enabled(v)) {
        vbe_frame(v, f);
        return;
    }
    f->line_bytes = v->cr[CR_OFFSET] * 8u;
    f->start = (v->cr[CR_START_HIGH] << 8 | v->cr[CR_START_LOW]) * 4u;
    f->wrap = VGA_LEGACY_BYTES - 1;
    f->crtc_mode = v->cr[CR_MODE];
    f->y_repeat = v->cr[CR_MAX_ROW] & CR_MAX_ROW_DOUBLE ? 2 : 1;
    f->line_compare = v->cr[CR_LINE_COMPARE] | (overflow & 0x10u) << 4 |
                      (v->cr[CR_MAX_ROW] & 0x40u) << 3;
    f->pan_top_only = v->ar[AR_MODE] & AR_MODE_PAN_TOP_ONLY;
    if (v->gr[GR_MISC] & GR_MISC_GRAPHICS)
        graphics_frame(v, f);
    else
        text_frame(v, f);
    /* What is left while a driver programs the registers one by one. */
    if (f->width < LEAST_WIDTH || f->height < LEAST_HEIGHT) {
        memset(f, 0, sizeof(*f));
        f->kind = FRAME_BLANK;
    }
}

/* ---- colors -------------------------------------------------------------------------
 */

static uint32_t dac_color(const struct vga *v, uint8_t index)
{
    const uint8_t *rgb = &v->dac[(index & v->dac_mask) * 3];
    uint32_t color = 0;

    for (unsigned i = 0; i < 3; i++) {
        uint8_t c = rgb[i];
        if (!(v->vbe[VBE_ENABLE] & VBE_DAC_8BIT))
            c = (uint8_t)((c & 0x3f) << 2 | (c >> 4 & 3));
        color = color << 8 | c;
    }
    return color;
}

/* Through the attribute controller: 16 colors of 256 (IBM, Attribute Controller). */
static uint8_t attribute_index(const struct vga *v, unsigned i)
{
    uint8_t entry = v->ar[i & v->ar[AR_PLANES] & 0xf];

    if (v->ar[AR_MODE] & AR_MODE_PALETTE_SPLIT)
        return (uint8_t)((entry & 0x0f) | (v->ar[AR_COLOR] & 0x0f) << 4);
    return (uint8_t)((entry & 0x3f) | (v->ar[AR_COLOR] & 0x0c) << 4);
}

static bool update_palette(struct vga *v, const struct vga_frame *f)
{
    uint32_t palette[256] = {0};

    if (f->kind == FRAME_256) {
        for (unsigned i = 0; i < 256; i++)
            palette[i] = dac_color(v, (uint8_t)i);
    } else if (f->kind != FRAME_DIRECT && f->kind != FRAME_BLANK) {
        for (unsigned i = 0; i < 16; i++)
            palette[i] = dac_color(v, attribute_index(v, i));
    }
    if (memcmp(palette, v->palette, sizeof(palette)) == 0)
        return false;
    memcpy(v->palette, palette, sizeof(palette));
    return true;
}

/* ---- the display's calls ------------------------------------------------------------
 */

static void draw_blank(struct vga *v)
{
    struct display_surface *s = display_surface(v->display);

    if (!s)
        s = display_resize(v->display, BLANK_WIDTH, BLANK_HEIGHT);
    if (!s || !v->redraw)
        return;
    memset(s->pixels, 0, (size_t)s->stride * s->height);
    display_dirty(v->display, 0, 0, s->width, s->height);
}

static void update(void *opaque)
{
    struct vga *v = opaque;
    struct vga_frame frame;
    struct display_surface *s;

    vga_view_sync(v);
    find_frame(v, &frame);
    if (memcmp(&frame, &v->frame, sizeof(frame)) != 0) {
        memcpy(&v->frame, &frame, sizeof(frame)); /* with its padding, for memcmp */
        v->redraw = true;
    }
    if (update_palette(v, &frame))
        v->redraw = true;
    if (frame.kind == FRAME_BLANK) {
        draw_blank(v);
    } else {
        s = display_resize(v->display, frame.width, frame.height);
        if (!s)
            return; /* no memory: try again with the next picture */
        if (frame.kind == FRAME_TEXT)
            vga_draw_text(v, s);
        else
            vga_draw_graphics(v, s);
    }
    v->redraw = false;
}

static void invalidate(void *opaque)
{
    struct vga *v = opaque;

    v->redraw = true;
}

const struct display_source_ops vga_display_ops = {
    .update = update,
    .invalidate = invalidate,
};
