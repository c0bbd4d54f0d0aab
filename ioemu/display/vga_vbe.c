/*
 * The Bochs display interface ("VBE DISPI"; Bochs' vbe_display_api.txt, ID 0xb0c5):
 * linear modes of 4 to 32 bits per pixel with a virtual screen larger than the displayed
 * one, and a bank of 64 KiB at 0xa0000.  Values that cannot be are put right as soon as
 * the mode is enabled, and then read back as what is really used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "vga.h"

#define MOST_X   16000u
#define MOST_Y   12000u
#define MOST_BPP 32u

static unsigned bits(const struct vga *v)
{
    return v->vbe[VBE_BPP] == 15 ? 16 : v->vbe[VBE_BPP];
}

uint32_t vbe_line_bytes(const struct vga *v)
{
    return v->vbe[VBE_VIRT_WIDTH] * bits(v) / 8;
}

static uint64_t picture_end(const struct vga *v)
{
    uint64_t start = (uint64_t)v->vbe[VBE_Y_OFFSET] * vbe_line_bytes(v) +
                     v->vbe[VBE_X_OFFSET] * bits(v) / 8;

    return start + (uint64_t)v->vbe[VBE_YRES] * vbe_line_bytes(v);
}

static uint16_t within(unsigned value, unsigned low, unsigned high)
{
    return (uint16_t)(value < low ? low : value > high ? high : value);
}

/* Make all registers agree with each other and with the memory there is. */
static void put_right(struct vga *v)
{
    uint16_t *r = v->vbe;

    switch (r[VBE_BPP]) {
    case 4:
    case 8:
    case 15:
    case 16:
    case 24:
    case 32:
        break;
    default:
        r[VBE_BPP] = 8;
        break;
    }
    r[VBE_XRES] = within(r[VBE_XRES] & ~7u, 8, MOST_X);
    r[VBE_VIRT_WIDTH] = within(r[VBE_VIRT_WIDTH] & ~7u, r[VBE_XRES], MOST_X);
    unsigned lines = vga_memory_bytes(v) / vbe_line_bytes(v);
    r[VBE_YRES] = within(r[VBE_YRES], 1, lines < MOST_Y ? lines : MOST_Y);
    r[VBE_VIRT_HEIGHT] = within(lines, 1, UINT16_MAX);
    if (picture_end(v) > v->memory.size)
        r[VBE_Y_OFFSET] = 0;
    if (picture_end(v) > v->memory.size)
        r[VBE_X_OFFSET] = 0;
}

static void enable(struct vga *v, uint16_t value)
{
    bool was = vbe_enabled(v);

    if (value & VBE_ENABLED && !was) {
        v->vbe[VBE_VIRT_WIDTH] = v->vbe[VBE_X_OFFSET] = v->vbe[VBE_Y_OFFSET] = 0;
        v->vbe[VBE_BANK] = 0;
        vga_view_leave(v);
        put_right(v);
        if (!(value & VBE_NO_CLEAR))
            memset(v->memory.host, 0, v->vbe[VBE_YRES] * vbe_line_bytes(v));
    }
    if (!(value & VBE_ENABLED))
        v->vbe[VBE_BANK] = 0;
    v->vbe[VBE_ENABLE] =
        value & (VBE_ENABLED | VBE_GET_CAPS | VBE_DAC_8BIT | VBE_LFB | VBE_NO_CLEAR);
    v->redraw = true;
}

uint16_t vbe_read(struct vga *v, unsigned index)
{
    if (index >= VBE_COUNT)
        return 0;
    if (v->vbe[VBE_ENABLE] & VBE_GET_CAPS) {
        if (index == VBE_XRES)
            return MOST_X;
        if (index == VBE_YRES)
            return MOST_Y;
        if (index == VBE_BPP)
            return MOST_BPP;
    }
    if (index == VBE_MEMORY_64K)
        return (uint16_t)(v->memory.size / VGA_BANK_BYTES);
    return v->vbe[index];
}

void vbe_write(struct vga *v, unsigned index, uint16_t value)
{
    switch (index) {
    case VBE_ID:
        if (value >= VBE_ID_0 && value <= VBE_ID_5)
            v->vbe[VBE_ID] = value;
        return;
    case VBE_BANK:
        v->vbe[VBE_BANK] = value % (vga_memory_bytes(v) / VGA_BANK_BYTES);
        break;
    case VBE_ENABLE:
        enable(v, value);
        break;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BPP:
    case VBE_VIRT_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        v->vbe[index] = value;
        if (vbe_enabled(v))
            put_right(v);
        break;
    default:
        return; /* the height follows from the width */
    }
    vga_view_update(v);
}

void vbe_reset(struct vga *v)
{
    memset(v->vbe, 0, sizeof(v->vbe));
    v->vbe[VBE_ID] = VBE_ID_5;
    v->vbe_index = 0;
}

int vbe_check(const struct vga *v)
{
    const uint16_t *r = v->vbe;
    uint16_t bpp = r[VBE_BPP];

    if (!vbe_enabled(v))
        return 0;
    if ((bpp != 4 && bpp != 8 && bpp != 15 && bpp != 16 && bpp != 24 && bpp != 32) ||
        !r[VBE_XRES] || r[VBE_XRES] > MOST_X || !r[VBE_YRES] || r[VBE_YRES] > MOST_Y ||
        r[VBE_VIRT_WIDTH] < r[VBE_XRES] || picture_end(v) > v->memory.size ||
        r[VBE_BANK] >= vga_memory_bytes(v) / VGA_BANK_BYTES)
        return -EINVAL;
    return 0;
}

/* ---- ports: index at 0x1ce, data at 0x1cf (Bochs) or 0x1d0 (aligned)
 * ------------------- */

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *v = opaque;

    vga_view_lend(v);
    return offset == 0 ? v->vbe_index : vbe_read(v, v->vbe_index);
}

static void ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *v = opaque;

    vga_view_lend(v);
    if (offset == 0)
        v->vbe_index = (uint16_t)value;
    else
        vbe_write(v, v->vbe_index, (uint16_t)value);
}

const struct io_ops vga_vbe_io = {
    .read = ports_read, .write = ports_write, .max_size = 2};
