/*
 * Video memory as the guest sees it at 0xa0000 to 0xbffff.
 *
 * Video memory holds the four planes interleaved: byte 4 * n + p is byte n of plane p.
 * So chained planes (mode 13h) and linear modes are the memory itself, and a text cell is
 * one 32-bit word: character, attribute, font, nothing.
 *
 * An access that comes here costs an exit from the guest and a wake-up of this process.
 * In the two arrangements that software uses in bulk, the memory is therefore lent to the
 * guest as RAM after the first few accesses: text cells, and 64 KiB of linear pixels.
 * That happens with the next access to one of our ports, never during an access to the
 * memory itself: a hypervisor that is in the middle of emulating that instruction must
 * find the same kind of memory when it goes on.
 * The window then has the layout the guest sees.  What the guest wrote there is found by
 * comparison with a shadow and brought into video memory before each picture, before each
 * trapped access and when registers change so that the window no longer fits.  A guest
 * that reads the same bytes through the linear frame buffer meanwhile sees them late; in
 * these arrangements nobody does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vga.h"

#define LEND_AFTER    16u /* trapped accesses */
#define COMPARE_BYTES 64u

/* ---- which arrangement --------------------------------------------------------------
 */

static bool plain_writes(const struct vga *v)
{
    return !(v->gr[GR_MODE] & (3 | GR_MODE_READ_COMPARE)) && !v->gr[GR_ROTATE] &&
           !v->gr[GR_SET_RESET_ENABLE] && v->gr[GR_BIT_MASK] == 0xff;
}

static unsigned memory_map(const struct vga *v)
{
    return v->gr[GR_MISC] >> 2 & 3;
}

static bool odd_even(const struct vga *v)
{
    return !(v->sr[SR_MEMORY] & SR_MEMORY_SEQUENTIAL) &&
           v->gr[GR_MODE] & GR_MODE_ODD_EVEN;
}

static bool chained(const struct vga *v)
{
    return v->sr[SR_MEMORY] & SR_MEMORY_CHAIN4;
}

static enum vga_view fitting_view(const struct vga *v, uint32_t *base, uint64_t *gpa)
{
    unsigned map = memory_map(v);

    *base = 0;
    *gpa = VGA_LOW_BASE;
    if (vbe_enabled(v)) {
        /* With the linear frame buffer in use, nobody uses the bank in earnest. */
        if (v->vbe[VBE_BPP] == 4 || v->vbe[VBE_ENABLE] & VBE_LFB)
            return VIEW_TRAP;
        *base = v->vbe[VBE_BANK] * VGA_BANK_BYTES;
        return *base + VGA_BANK_BYTES <= vga_memory_bytes(v) ? VIEW_LINEAR : VIEW_TRAP;
    }
    if (!plain_writes(v))
        return VIEW_TRAP;
    if (chained(v))
        return map == 1 && v->sr[SR_MAP_MASK] == 0xf ? VIEW_LINEAR : VIEW_TRAP;
    if (!odd_even(v) || map < 2 || v->sr[SR_MAP_MASK] != 3 || v->gr[GR_READ_MAP] & 2)
        return VIEW_TRAP;
    *gpa = map == 2 ? 0xb0000 : 0xb8000;
    return VIEW_TEXT;
}

static void lend_text(struct vga *v)
{
    uint8_t *out = v->low_text.host;
    const uint8_t *in = v->memory.host;

    for (unsigned cell = 0; cell < VGA_TEXT_BYTES / 2; cell++) {
        out[cell * 2] = in[cell * 4];
        out[cell * 2 + 1] = in[cell * 4 + 1];
    }
    memcpy(v->view_shadow, out, VGA_TEXT_BYTES);
    if (ram_window_map(&v->low_text, v->wanted_gpa) == 0)
        v->view = VIEW_TEXT;
}

static void lend_linear(struct vga *v)
{
    memcpy(v->low_bank.host, v->memory.host + v->wanted_base, VGA_BANK_BYTES);
    memcpy(v->view_shadow, v->low_bank.host, VGA_BANK_BYTES);
    if (ram_window_map(&v->low_bank, v->wanted_gpa) == 0)
        v->view = VIEW_LINEAR;
}

/* A trapped access happened where RAM would do. */
static void count_trap(struct vga *v)
{
    if (v->view == VIEW_TRAP && v->wanted != VIEW_TRAP && v->view_traps < LEND_AFTER)
        v->view_traps++;
}

void vga_view_lend(struct vga *v)
{
    if (v->view != VIEW_TRAP || v->wanted == VIEW_TRAP || v->view_traps < LEND_AFTER)
        return;
    v->view_traps = 0;
    v->view_base = v->wanted_base;
    v->view_gpa = v->wanted_gpa;
    if (v->wanted == VIEW_TEXT)
        lend_text(v);
    else
        lend_linear(v);
}

static void take_back(struct vga *v, unsigned at)
{
    const uint8_t *in = v->view == VIEW_TEXT ? v->low_text.host : v->low_bank.host;
    uint8_t *out = v->memory.host;

    memcpy(v->view_shadow + at, in + at, COMPARE_BYTES);
    if (v->view == VIEW_LINEAR) {
        memcpy(out + v->view_base + at, v->view_shadow + at, COMPARE_BYTES);
        vga_mark_dirty(v, v->view_base + at);
        return;
    }
    for (unsigned i = at; i < at + COMPARE_BYTES; i++)
        out[i / 2 * 4 + i % 2] = v->view_shadow[i];
    vga_mark_dirty(v, at * 2);
}

void vga_view_sync(struct vga *v)
{
    const uint8_t *in = v->view == VIEW_TEXT ? v->low_text.host : v->low_bank.host;
    unsigned bytes = v->view == VIEW_TEXT ? VGA_TEXT_BYTES : VGA_BANK_BYTES;

    if (v->view == VIEW_TRAP)
        return;
    for (unsigned at = 0; at < bytes; at += COMPARE_BYTES) {
        if (memcmp(in + at, v->view_shadow + at, COMPARE_BYTES) != 0)
            take_back(v, at);
    }
}

void vga_view_leave(struct vga *v)
{
    if (v->view == VIEW_TRAP)
        return;
    /* Other processors of the guest may still write: unmap first, then look. */
    ram_window_unmap(v->view == VIEW_TEXT ? &v->low_text : &v->low_bank);
    vga_view_sync(v);
    v->view = VIEW_TRAP;
}

/* Bank switching stays cheap: the window stays where it is and gets new contents. */
static void switch_bank(struct vga *v)
{
    vga_view_sync(v);
    v->view_base = v->wanted_base;
    memcpy(v->low_bank.host, v->memory.host + v->view_base, VGA_BANK_BYTES);
    memcpy(v->view_shadow, v->low_bank.host, VGA_BANK_BYTES);
}

void vga_view_update(struct vga *v)
{
    enum vga_view wanted = fitting_view(v, &v->wanted_base, &v->wanted_gpa);

    if (wanted != v->wanted)
        v->view_traps = 0;
    v->wanted = wanted;
    if (v->view == VIEW_TRAP)
        return;
    if (wanted != v->view || v->wanted_gpa != v->view_gpa)
        vga_view_leave(v);
    else if (v->wanted_base != v->view_base)
        switch_bank(v);
}

/* ---- trapped accesses ---------------------------------------------------------------
 */

/* Offset from 0xa0000 to offset in the map that misc graphics selects; false: not ours.
 */
static bool map_offset(const struct vga *v, uint32_t *offset)
{
    static const struct {
        uint32_t base, bytes;
    } maps[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};
    unsigned map = memory_map(v);

    if (*offset < maps[map].base || *offset - maps[map].base >= maps[map].bytes)
        return false;
    *offset -= maps[map].base;
    return true;
}

static void store(struct vga *v, uint32_t at, uint8_t value)
{
    v->memory.host[at] = value;
    vga_mark_dirty(v, at);
    if (at % 4 == 2)
        v->font_changed = true;
}

/* All planes at one address, as the latches hold them. */
static uint8_t *plane_word(struct vga *v, uint32_t offset)
{
    uint32_t base = 0;

    if (vbe_enabled(v))
        base = v->vbe[VBE_BANK] * VGA_LEGACY_BYTES;
    if (base + VGA_LEGACY_BYTES > vga_memory_bytes(v))
        base = 0;
    return v->memory.host + base + (offset & (VGA_PLANE_BYTES - 1)) * 4;
}

static uint8_t read_planes(struct vga *v, uint32_t offset)
{
    memcpy(v->latch, plane_word(v, offset), 4);
    if (!(v->gr[GR_MODE] & GR_MODE_READ_COMPARE))
        return v->latch[v->gr[GR_READ_MAP]];
    uint8_t differs = 0;
    for (unsigned p = 0; p < 4; p++) {
        uint8_t compare = v->gr[GR_COLOR_COMPARE] >> p & 1 ? 0xff : 0;
        if (v->gr[GR_COLOR_CARE] >> p & 1)
            differs |= v->latch[p] ^ compare;
    }
    return (uint8_t)~differs;
}

static uint8_t rotated(const struct vga *v, uint8_t value)
{
    unsigned by = v->gr[GR_ROTATE] & 7;

    return (uint8_t)(value >> by | value << (8 - by));
}

static uint8_t combine(const struct vga *v, uint8_t value, uint8_t latch)
{
    switch (v->gr[GR_ROTATE] >> 3) {
    case 1:
        return value & latch;
    case 2:
        return value | latch;
    case 3:
        return value ^ latch;
    default:
        return value;
    }
}

/* One plane's new byte (write modes 0 to 3). */
static uint8_t plane_value(const struct vga *v, unsigned p, uint8_t value)
{
    uint8_t set = v->gr[GR_SET_RESET] >> p & 1 ? 0xff : 0;
    uint8_t mask = v->gr[GR_BIT_MASK];
    uint8_t latch = v->latch[p];

    switch (v->gr[GR_MODE] & 3) {
    case 0:
        value = rotated(v, value);
        if (v->gr[GR_SET_RESET_ENABLE] >> p & 1)
            value = set;
        break;
    case 1:
        return latch;
    case 2:
        value = value >> p & 1 ? 0xff : 0;
        break;
    default:
        mask &= rotated(v, value);
        value = set;
        break;
    }
    value = combine(v, value, latch);
    return (uint8_t)((value & mask) | (latch & ~mask));
}

static void write_planes(struct vga *v, uint32_t offset, uint8_t planes, uint8_t value)
{
    uint8_t *word = plane_word(v, offset);

    for (unsigned p = 0; p < 4; p++) {
        if (planes >> p & 1)
            store(v, (uint32_t)(word - v->memory.host) + p, plane_value(v, p, value));
    }
}

static uint8_t read_byte(struct vga *v, uint32_t offset)
{
    if (vbe_enabled(v) && v->vbe[VBE_BPP] != 4) {
        uint64_t at = (uint64_t)v->vbe[VBE_BANK] * VGA_BANK_BYTES + offset;
        return offset < VGA_BANK_BYTES && at < v->memory.size ? v->memory.host[at] : 0xff;
    }
    if (!map_offset(v, &offset))
        return 0xff;
    if (chained(v))
        return v->memory.host[offset & (VGA_LEGACY_BYTES - 1)];
    if (odd_even(v)) {
        /* Address bit 0 chooses the plane within the pair that read map selects. */
        memcpy(v->latch, plane_word(v, offset / 2), 4);
        if (!(v->gr[GR_MODE] & GR_MODE_READ_COMPARE))
            return v->latch[(v->gr[GR_READ_MAP] & 2) | (offset & 1)];
        return read_planes(v, offset / 2);
    }
    return read_planes(v, offset);
}

static void write_byte(struct vga *v, uint32_t offset, uint8_t value)
{
    if (vbe_enabled(v) && v->vbe[VBE_BPP] != 4) {
        uint64_t at = (uint64_t)v->vbe[VBE_BANK] * VGA_BANK_BYTES + offset;
        if (offset < VGA_BANK_BYTES && at < v->memory.size)
            store(v, (uint32_t)at, value);
        return;
    }
    if (!map_offset(v, &offset))
        return;
    uint8_t planes = v->sr[SR_MAP_MASK];
    if (chained(v)) {
        if (planes >> (offset & 3) & 1)
            store(v, offset & (VGA_LEGACY_BYTES - 1), value);
    } else if (odd_even(v)) {
        write_planes(v, offset / 2, planes & (offset & 1 ? 0xa : 0x5), value);
    } else {
        write_planes(v, offset, planes, value);
    }
}

static uint64_t low_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *v = opaque;
    uint64_t value = 0;

    vga_view_sync(v);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(v, (uint32_t)offset + i) << (8 * i);
    count_trap(v);
    return value;
}

static void low_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *v = opaque;

    vga_view_sync(v);
    for (unsigned i = 0; i < size; i++)
        write_byte(v, (uint32_t)offset + i, (uint8_t)(value >> (8 * i)));
    count_trap(v);
}

const struct io_ops vga_low_io = {.read = low_read, .write = low_write, .max_size = 8};
