/*
 * The VGA adapter: its state, and what its files ask of each other.
 *
 *   vga_registers.c  ports 0x3b0 to 0x3df: sequencer, CRT controller, graphics and
 *                    attribute controllers, palette
 *   vga_memory.c     0xa0000 to 0xbffff: planes, write modes, and the RAM windows
 *   vga_vbe.c        the Bochs display interface: linear modes
 *   vga_picture.c    what is displayed, from which memory; vga_text.c and
 *                    vga_graphics.c draw it
 *   vga_device.c     the PCI function, life cycle
 *   edid.c           what the monitor says of itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_DISPLAY_VGA_H
#define IOEMU_DISPLAY_VGA_H

#include "../../devmodel/device.h"

#define VGA_PLANE_BYTES  0x10000u
#define VGA_LEGACY_BYTES (4 * VGA_PLANE_BYTES) /* of video memory, planes interleaved */
#define VGA_LOW_BASE     0xa0000u
#define VGA_LOW_BYTES    0x20000u
#define VGA_BANK_BYTES   0x10000u
#define VGA_TEXT_BYTES   0x8000u
#define VGA_PAGE         4096u
#define VGA_MEMORY_MOST  (256u << 20)

/* Register numbers and bits are those of IBM's VGA Technical Reference. */
enum {
    SR_CLOCKING = 1,
    SR_CLOCKING_8_DOTS = 0x01,
    SR_CLOCKING_HALF = 0x08,
    SR_CLOCKING_OFF = 0x20,
    SR_MAP_MASK = 2,
    SR_FONT = 3,
    SR_MEMORY = 4,
    SR_MEMORY_SEQUENTIAL = 0x04,
    SR_MEMORY_CHAIN4 = 0x08,
    SR_COUNT = 8,

    GR_SET_RESET = 0,
    GR_SET_RESET_ENABLE = 1,
    GR_COLOR_COMPARE = 2,
    GR_ROTATE = 3,
    GR_READ_MAP = 4,
    GR_MODE = 5,
    GR_MODE_READ_COMPARE = 0x08,
    GR_MODE_ODD_EVEN = 0x10,
    GR_MODE_SHIFT_CGA = 0x20,
    GR_MODE_SHIFT_256 = 0x40,
    GR_MISC = 6,
    GR_MISC_GRAPHICS = 0x01,
    GR_COLOR_CARE = 7,
    GR_BIT_MASK = 8,
    GR_COUNT = 16,

    AR_MODE = 0x10,
    AR_MODE_LINE_GRAPHICS = 0x04,
    AR_MODE_BLINK = 0x08,
    AR_MODE_MONO = 0x02,
    AR_MODE_PAN_TOP_ONLY = 0x20,
    AR_MODE_PALETTE_SPLIT = 0x80,
    AR_OVERSCAN = 0x11,
    AR_PLANES = 0x12,
    AR_PAN = 0x13,
    AR_COLOR = 0x14,
    AR_COUNT = 0x15,

    CR_H_DISPLAY_END = 0x01,
    CR_OVERFLOW = 0x07,
    CR_PRESET_ROW = 0x08,
    CR_MAX_ROW = 0x09,
    CR_MAX_ROW_DOUBLE = 0x80,
    CR_CURSOR_START = 0x0a,
    CR_CURSOR_OFF = 0x20,
    CR_CURSOR_END = 0x0b,
    CR_START_HIGH = 0x0c,
    CR_START_LOW = 0x0d,
    CR_CURSOR_HIGH = 0x0e,
    CR_CURSOR_LOW = 0x0f,
    CR_V_RETRACE_END = 0x11,
    CR_PROTECT = 0x80,
    CR_V_DISPLAY_END = 0x12,
    CR_OFFSET = 0x13,
    CR_UNDERLINE = 0x14,
    CR_MODE = 0x17,
    CR_MODE_MAP13 = 0x01,
    CR_MODE_MAP14 = 0x02,
    CR_MODE_BYTES = 0x40,
    CR_LINE_COMPARE = 0x18,
    CR_COUNT = 0x19,

    /* Bit 1, which switches the memory off, counts for nothing: GRUB's firmware for
     * emulated machines leaves it clear. */
    MISC_COLOR_PORTS = 0x01,
};

/* Registers of the Bochs display interface. */
enum {
    VBE_ID,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRT_WIDTH,
    VBE_VIRT_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_MEMORY_64K,
    VBE_COUNT,

    VBE_ENABLED = 0x01,
    VBE_GET_CAPS = 0x02,
    VBE_DAC_8BIT = 0x20,
    VBE_LFB = 0x40,
    VBE_NO_CLEAR = 0x80,
    VBE_ID_0 = 0xb0c0,
    VBE_ID_5 = 0xb0c5,
};

/* How the guest reaches the low addresses just now. */
enum vga_view {
    VIEW_TRAP,   /* every access comes to us */
    VIEW_TEXT,   /* characters and attributes at 0xb0000 or 0xb8000 are RAM */
    VIEW_LINEAR, /* 64 KiB at 0xa0000 are RAM: chained planes, or a bank */
};

/* What the picture is made of; compared with the last one to notice a new mode. */
struct vga_frame {
    enum {
        FRAME_BLANK,
        FRAME_TEXT,
        FRAME_PLANAR,
        FRAME_CGA,
        FRAME_256,
        FRAME_DIRECT
    } kind;
    unsigned width, height; /* of the surface */
    unsigned x_repeat, y_repeat;
    unsigned bpp;   /* FRAME_DIRECT: 15, 16, 24, 32 */
    uint32_t start; /* byte in video memory */
    uint32_t line_bytes;
    uint32_t wrap; /* video memory that is displayed, a mask */
    unsigned rows; /* scan lines of a character; graphics repeats a line so often */
    unsigned line_compare; /* the last line (of the surface) of the upper screen */
    unsigned pan;          /* pixels to the left */
    bool pan_top_only;
    uint8_t crtc_mode;            /* CR_MODE, for the banks of CGA */
    unsigned columns, char_width; /* text */
};

#define VGA_CELL_STALE UINT32_MAX

struct vga {
    struct pci_device pci;                        /* must be first */
    uint32_t memory_mib, edid_width, edid_height; /* options */
    bool edid_on;
    const char *rom_file;

    struct ram_window memory;             /* BAR 0; bytes of planes 0 to 3 in turn */
    struct ram_window low_text, low_bank; /* guest-visible layout, see vga_memory.c */
    struct io_region low, mmio;
    struct io_region mono_crtc, mono_status, ports, color_crtc, color_status, vbe_ports;

    uint8_t sr[SR_COUNT], gr[GR_COUNT], ar[32], cr[256];
    uint8_t sr_index, gr_index, ar_index, cr_index;
    bool ar_data; /* the flip-flop: the next write to 0x3c0 is data */
    uint8_t misc, feature, latch[4];
    uint8_t dac[256 * 3], dac_mask, dac_read, dac_write, dac_part, dac_state;
    uint8_t dac_new[3];
    uint16_t vbe_index, vbe[VBE_COUNT];

    enum vga_view view, wanted;
    uint32_t view_base; /* VIEW_LINEAR: where in video memory */
    uint64_t view_gpa;  /* VIEW_TEXT: where */
    uint32_t wanted_base;
    uint64_t wanted_gpa;
    unsigned view_traps;  /* accesses that RAM would have saved */
    uint8_t *view_shadow; /* the window's contents at the last comparison */

    struct display *display;
    struct vga_frame frame;
    bool redraw;     /* everything */
    uint64_t *dirty; /* one bit per page of video memory: written by us */
    uint64_t *dirty_now;
    uint32_t palette[256]; /* as displayed */
    uint32_t *cells;       /* as displayed: code, attribute; VGA_CELL_STALE */
    uint32_t cursor_drawn; /* cell; VGA_CELL_STALE: none */
    bool font_changed;     /* plane 2 was written */
    uint8_t edid[128];
};

static inline uint32_t vga_memory_bytes(const struct vga *v)
{
    return (uint32_t)v->memory.size;
}

static inline bool vbe_enabled(const struct vga *v)
{
    return v->vbe[VBE_ENABLE] & VBE_ENABLED;
}

static inline void vga_mark_dirty(struct vga *v, uint32_t byte)
{
    v->dirty[byte / VGA_PAGE / 64] |= 1ULL << (byte / VGA_PAGE % 64);
}

/* vga_registers.c */
extern const struct io_ops vga_port_io; /* opaque: vga; offset from 0x3c0 */
extern const struct io_ops vga_mono_crtc_io, vga_mono_status_io;
extern const struct io_ops vga_color_crtc_io, vga_color_status_io;
void vga_registers_reset(struct vga *v);
uint8_t vga_port_read(struct vga *v, unsigned port);
void vga_port_write(struct vga *v, unsigned port, uint8_t value);

/* vga_memory.c */
extern const struct io_ops vga_low_io; /* offset from 0xa0000 */
/* Registers changed: which view fits now?  Leaves a view that no longer does. */
void vga_view_update(struct vga *v);
/* If memory was accessed often enough: make it RAM now.  Only from accesses elsewhere. */
void vga_view_lend(struct vga *v);
/* Bring video memory up to date with what the guest wrote through a RAM window. */
void vga_view_sync(struct vga *v);
void vga_view_leave(struct vga *v);

/* vga_vbe.c */
extern const struct io_ops vga_vbe_io; /* ports 0x1ce to 0x1d0 */
uint16_t vbe_read(struct vga *v, unsigned index);
void vbe_write(struct vga *v, unsigned index, uint16_t value);
void vbe_reset(struct vga *v);
/* After load: -EINVAL when the registers contradict each other. */
int vbe_check(const struct vga *v);
uint32_t vbe_line_bytes(const struct vga *v);

/* vga_picture.c */
extern const struct display_source_ops vga_display_ops;

/* vga_text.c, vga_graphics.c: draw what changed into the surface, and report it */
void vga_draw_text(struct vga *v, struct display_surface *s);
void vga_draw_graphics(struct vga *v, struct display_surface *s);

/* edid.c */
void edid_make(uint8_t edid[128], unsigned width, unsigned height);

#endif
