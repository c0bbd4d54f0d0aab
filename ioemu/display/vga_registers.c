/*
 * VGA ports (IBM PS/2 Hardware Interface Technical Reference, Video Subsystem; FreeVGA
 * has the bits of all registers).  Left out: the light pen, the interrupt of vertical
 * retrace, and timing from the CRT controller's horizontal registers: input status 1
 * shows a picture of 70 Hz and 31.5 kHz whatever is programmed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "vga.h"

enum {
    PORT_AR_WRITE = 0x3c0,
    PORT_AR_READ = 0x3c1,
    PORT_MISC_WRITE = 0x3c2, /* read: input status 0 */
    PORT_SR_INDEX = 0x3c4,
    PORT_SR_DATA = 0x3c5,
    PORT_DAC_MASK = 0x3c6,
    PORT_DAC_READ = 0x3c7, /* read: DAC state */
    PORT_DAC_WRITE = 0x3c8,
    PORT_DAC_DATA = 0x3c9,
    PORT_FEATURE_READ = 0x3ca,
    PORT_MISC_READ = 0x3cc,
    PORT_GR_INDEX = 0x3ce,
    PORT_GR_DATA = 0x3cf,
    PORT_CR_INDEX = 0x3d4,
    PORT_CR_DATA = 0x3d5,
    PORT_STATUS_1 = 0x3da, /* write: feature control */

    AR_INDEX = 0x1f,
    AR_SCREEN_ON = 0x20,
    DAC_READING = 0,
    DAC_WRITING = 3,

    STATUS_NOT_DISPLAYING = 0x01,
    STATUS_RETRACE = 0x08,
    FRAME_NS = 14285714, /* 70 Hz */
    LINE_NS = 31778,
    DISPLAYED_LINES = 400,
    RETRACE_FIRST_LINE = 412,
    RETRACE_LINES = 2,
};

/* Which bits a register keeps. */
static const uint8_t sr_mask[SR_COUNT] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0x00, 0x00, 0xff};
static const uint8_t gr_mask[GR_COUNT] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                          0x7b, 0x0f, 0x0f, 0xff};

static uint8_t status_1(const struct vga *v)
{
    int64_t in_frame = clock_now(&v->pci.dev) % FRAME_NS;
    int64_t line = in_frame / LINE_NS, in_line = in_frame % LINE_NS;
    uint8_t status = 0;

    if (line >= DISPLAYED_LINES || in_line > LINE_NS * 4 / 5)
        status |= STATUS_NOT_DISPLAYING;
    if (line >= RETRACE_FIRST_LINE && line < RETRACE_FIRST_LINE + RETRACE_LINES)
        status |= STATUS_RETRACE;
    return status;
}

static void write_ar(struct vga *v, uint8_t value)
{
    if (!v->ar_data) {
        if ((v->ar_index ^ value) & AR_SCREEN_ON)
            v->redraw = true;
        v->ar_index = value & (AR_INDEX | AR_SCREEN_ON);
    } else {
        unsigned index = v->ar_index & AR_INDEX;
        if (index < 0x10)
            v->ar[index] = value & 0x3f;
        else if (index < AR_COUNT)
            v->ar[index] = value;
        v->redraw = true;
    }
    v->ar_data = !v->ar_data;
}

static void write_cr(struct vga *v, uint8_t value)
{
    unsigned index = v->cr_index;

    if (index < 8 && v->cr[CR_V_RETRACE_END] & CR_PROTECT) {
        /* Of the protected ones only line compare's bit 8 can change. */
        if (index != CR_OVERFLOW)
            return;
        value = (uint8_t)((v->cr[index] & ~0x10) | (value & 0x10));
    }
    v->cr[index] = value;
}

static uint8_t read_dac(struct vga *v)
{
    uint8_t value = v->dac[v->dac_read * 3 + v->dac_part];

    if (++v->dac_part == 3) {
        v->dac_part = 0;
        v->dac_read++;
    }
    return value;
}

static void write_dac(struct vga *v, uint8_t value)
{
    /* An entry changes when its third part arrives. */
    v->dac_new[v->dac_part] = v->vbe[VBE_ENABLE] & VBE_DAC_8BIT ? value : value & 0x3f;
    if (++v->dac_part < 3)
        return;
    v->dac_part = 0;
    memcpy(&v->dac[v->dac_write * 3], v->dac_new, 3);
    v->dac_write++;
}

void vga_port_write(struct vga *v, unsigned port, uint8_t value)
{
    vga_view_lend(v);
    switch (port) {
    case PORT_AR_WRITE:
        write_ar(v, value);
        break;
    case PORT_MISC_WRITE:
        v->misc = value & 0xef;
        vga_view_update(v);
        break;
    case PORT_SR_INDEX:
        v->sr_index = value & (SR_COUNT - 1);
        break;
    case PORT_SR_DATA:
        v->sr[v->sr_index] = value & sr_mask[v->sr_index];
        vga_view_update(v);
        break;
    case PORT_DAC_MASK:
        v->dac_mask = value;
        break;
    case PORT_DAC_READ:
        v->dac_read = value;
        v->dac_part = 0;
        v->dac_state =
            DAC_WRITING; /* IBM's names are the wrong way round: 3 is reading */
        break;
    case PORT_DAC_WRITE:
        v->dac_write = value;
        v->dac_part = 0;
        v->dac_state = DAC_READING;
        break;
    case PORT_DAC_DATA:
        write_dac(v, value);
        break;
    case PORT_GR_INDEX:
        v->gr_index = value & (GR_COUNT - 1);
        break;
    case PORT_GR_DATA:
        v->gr[v->gr_index] = value & gr_mask[v->gr_index];
        vga_view_update(v);
        break;
    case PORT_CR_INDEX:
        v->cr_index = value;
        break;
    case PORT_CR_DATA:
        write_cr(v, value);
        break;
    case PORT_STATUS_1:
        v->feature = value & 0x10;
        break;
    default:
        break;
    }
}

uint8_t vga_port_read(struct vga *v, unsigned port)
{
    vga_view_lend(v);
    switch (port) {
    case PORT_AR_WRITE:
        return v->ar_data ? v->ar[v->ar_index & AR_INDEX] : v->ar_index;
    case PORT_AR_READ:
        return (v->ar_index & AR_INDEX) < AR_COUNT ? v->ar[v->ar_index & AR_INDEX] : 0;
    case PORT_MISC_WRITE:
        return 0; /* input status 0: no interrupt, no switch */
    case PORT_SR_INDEX:
        return v->sr_index;
    case PORT_SR_DATA:
        return v->sr[v->sr_index];
    case PORT_DAC_MASK:
        return v->dac_mask;
    case PORT_DAC_READ:
        return v->dac_state;
    case PORT_DAC_WRITE:
        return v->dac_write;
    case PORT_DAC_DATA:
        return read_dac(v);
    case PORT_FEATURE_READ:
        return v->feature;
    case PORT_MISC_READ:
        return v->misc;
    case PORT_GR_INDEX:
        return v->gr_index;
    case PORT_GR_DATA:
        return v->gr[v->gr_index];
    case PORT_CR_INDEX:
        return v->cr_index;
    case PORT_CR_DATA:
        return v->cr[v->cr_index];
    case PORT_STATUS_1:
        v->ar_data = false;
        return status_1(v);
    default:
        return 0xff;
    }
}

/* ---- the ports on the bus; CRTC and status move with misc's color bit -----------------
 */

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    return vga_port_read(opaque, (unsigned)(PORT_AR_WRITE + offset));
}

static void ports_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    vga_port_write(opaque, (unsigned)(PORT_AR_WRITE + offset), (uint8_t)value);
}

const struct io_ops vga_port_io = {
    .read = ports_read, .write = ports_write, .max_size = 1};

static bool color(const struct vga *v)
{
    return v->misc & MISC_COLOR_PORTS;
}

static uint64_t color_crtc_read(void *opaque, uint64_t offset, unsigned size)
{
    return color(opaque) ? vga_port_read(opaque, (unsigned)(PORT_CR_INDEX + offset))
                         : 0xff;
}

static void color_crtc_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (color(opaque))
        vga_port_write(opaque, (unsigned)(PORT_CR_INDEX + offset), (uint8_t)value);
}

static uint64_t color_status_read(void *opaque, uint64_t offset, unsigned size)
{
    return color(opaque) ? vga_port_read(opaque, PORT_STATUS_1) : 0xff;
}

static void color_status_write(void *opaque, uint64_t offset, unsigned size,
                               uint64_t value)
{
    if (color(opaque))
        vga_port_write(opaque, PORT_STATUS_1, (uint8_t)value);
}

static uint64_t mono_crtc_read(void *opaque, uint64_t offset, unsigned size)
{
    return color(opaque) ? 0xff
                         : vga_port_read(opaque, (unsigned)(PORT_CR_INDEX + offset));
}

static void mono_crtc_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (!color(opaque))
        vga_port_write(opaque, (unsigned)(PORT_CR_INDEX + offset), (uint8_t)value);
}

static uint64_t mono_status_read(void *opaque, uint64_t offset, unsigned size)
{
    return color(opaque) ? 0xff : vga_port_read(opaque, PORT_STATUS_1);
}

static void mono_status_write(void *opaque, uint64_t offset, unsigned size,
                              uint64_t value)
{
    if (!color(opaque))
        vga_port_write(opaque, PORT_STATUS_1, (uint8_t)value);
}

const struct io_ops vga_color_crtc_io = {
    .read = color_crtc_read, .write = color_crtc_write, .max_size = 1};
const struct io_ops vga_color_status_io = {
    .read = color_status_read, .write = color_status_write, .max_size = 1};
const struct io_ops vga_mono_crtc_io = {
    .read = mono_crtc_read, .write = mono_crtc_write, .max_size = 1};
const struct io_ops vga_mono_status_io = {
    .read = mono_status_read, .write = mono_status_write, .max_size = 1};

void vga_registers_reset(struct vga *v)
{
    memset(v->sr, 0, sizeof(v->sr));
    memset(v->gr, 0, sizeof(v->gr));
    memset(v->ar, 0, sizeof(v->ar));
    v->ar[AR_PLANES] = 0xf; /* for firmware that writes only what it wants changed */
    memset(v->cr, 0, sizeof(v->cr));
    memset(v->dac, 0, sizeof(v->dac));
    memset(v->latch, 0, sizeof(v->latch));
    v->sr_index = v->gr_index = v->ar_index = v->cr_index = 0;
    v->misc = v->feature = 0;
    v->ar_data = false;
    v->dac_mask = 0xff;
    v->dac_read = v->dac_write = v->dac_part = v->dac_state = 0;
}
