/*
 * VGA as a PCI function (1234:1111) with the Bochs display interface: BAR 0 is video
 * memory, BAR 2 has the registers again, so that a driver needs no legacy ports:
 *
 *   0x000  EDID        0x400  VGA ports 0x3c0 to 0x3df
 *   0x500  display interface, 16 bits a register
 *   0x600  bytes of this register block, byte order (little, fixed)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vga.h"

enum {
    MMIO_BYTES = 4096,
    MMIO_PORTS = 0x400,
    MMIO_VBE = 0x500,
    MMIO_EXTRA = 0x600,
    EXTRA_BYTES = 8,
    BYTE_ORDER_LITTLE = 0x1e1e1e1e,

    PORT_FIRST = 0x3c0,
    PORTS = 16,
    MMIO_PORT_COUNT = 0x20,
    PORT_VBE = 0x1ce,
};

/* ---- BAR 2 --------------------------------------------------------------------------
 */

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *v = opaque;
    uint64_t value = 0;

    if (offset < sizeof(v->edid)) {
        for (unsigned i = 0; v->edid_on && i < size && offset + i < sizeof(v->edid); i++)
            value |= (uint64_t)v->edid[offset + i] << (8 * i);
        return value;
    }
    if (offset >= MMIO_PORTS && offset < MMIO_PORTS + MMIO_PORT_COUNT) {
        for (unsigned i = 0; i < size && offset + i < MMIO_PORTS + MMIO_PORT_COUNT; i++)
            value |= (uint64_t)vga_port_read(
                         v, (unsigned)(PORT_FIRST + offset - MMIO_PORTS + i))
                     << (8 * i);
        return value;
    }
    if (offset >= MMIO_VBE && offset < MMIO_VBE + VBE_COUNT * 2)
        return (uint64_t)vbe_read(v, (unsigned)(offset - MMIO_VBE) / 2) >>
               (offset % 2 * 8);
    if (offset == MMIO_EXTRA)
        return EXTRA_BYTES;
    if (offset == MMIO_EXTRA + 4)
        return BYTE_ORDER_LITTLE;
    return 0;
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct vga *v = opaque;

    if (offset >= MMIO_PORTS && offset < MMIO_PORTS + MMIO_PORT_COUNT) {
        for (unsigned i = 0; i < size && offset + i < MMIO_PORTS + MMIO_PORT_COUNT; i++)
            vga_port_write(v, (unsigned)(PORT_FIRST + offset - MMIO_PORTS + i),
                           (uint8_t)(value >> (8 * i)));
    } else if (offset >= MMIO_VBE && offset < MMIO_VBE + VBE_COUNT * 2 &&
               offset % 2 == 0 && size >= 2) {
        vbe_write(v, (unsigned)(offset - MMIO_VBE) / 2, (uint16_t)value);
    }
}

static const struct io_ops mmio_ops = {
    .read = mmio_read, .write = mmio_write, .max_size = 4};

/* ---- creation -----------------------------------------------------------------------
 */

static void free_all(struct vga *v)
{
    struct io_region *const regions[] = {
        &v->low,        &v->mono_crtc,    &v->mono_status, &v->ports,
        &v->color_crtc, &v->color_status, &v->vbe_ports,
    };

    for (unsigned i = 0; i < ARRAY_LEN(regions); i++) {
        if (regions[i]->dev)
            io_region_unmap(regions[i]);
    }
    if (v->display)
        display_destroy(v->display);
    ram_window_fini(&v->low_text);
    ram_window_fini(&v->low_bank);
    v->pci.bar[0].window = NULL;
    ram_window_fini(&v->memory);
    free(v->view_shadow);
    free(v->dirty);
    free(v->dirty_now);
    free(v->cells);
}

static int map_legacy(struct vga *v)
{
    struct device *dev = &v->pci.dev;
    const struct {
        struct io_region *region;
        const char *name;
        enum io_space space;
        uint32_t base, size;
        const struct io_ops *ops;
    } list[] = {
        {&v->low, "vga-memory", IO_MEM, VGA_LOW_BASE, VGA_LOW_BYTES, &vga_low_io},
        {&v->mono_crtc, "vga-crtc-mono", IO_PORT, 0x3b4, 2, &vga_mono_crtc_io},
        {&v->mono_status, "vga-status-mono", IO_PORT, 0x3ba, 1, &vga_mono_status_io},
        {&v->ports, "vga", IO_PORT, PORT_FIRST, PORTS, &vga_port_io},
        {&v->color_crtc, "vga-crtc", IO_PORT, 0x3d4, 2, &vga_color_crtc_io},
        {&v->color_status, "vga-status", IO_PORT, 0x3da, 1, &vga_color_status_io},
        {&v->vbe_ports, "vga-vbe", IO_PORT, PORT_VBE, 3, &vga_vbe_io},
    };

    for (unsigned i = 0; i < ARRAY_LEN(list); i++) {
        io_region_init(list[i].region, dev, list[i].name, list[i].space, list[i].size,
                       list[i].ops, v);
        int err = io_region_map(list[i].region, list[i].base);
        if (err)
            return err;
    }
    return 0;
}

static int make_memory(struct vga *v)
{
    struct device *dev = &v->pci.dev;
    uint64_t bytes = (uint64_t)v->memory_mib << 20;
    size_t words = bytes / VGA_PAGE / 64;
    int err = ram_window_init(&v->memory, dev, "vga-memory", bytes);

    if (!err)
        err = ram_window_init(&v->low_text, dev, "vga-text", VGA_TEXT_BYTES);
    if (!err)
        err = ram_window_init(&v->low_bank, dev, "vga-bank", VGA_BANK_BYTES);
    if (err)
        return err;
    v->view_shadow = calloc(1, VGA_BANK_BYTES);
    v->dirty = calloc(words, sizeof(uint64_t));
    v->dirty_now = calloc(words, sizeof(uint64_t));
    return v->view_shadow && v->dirty && v->dirty_now ? 0 : -ENOMEM;
}

static int vga_create(struct device *dev, struct error *error)
{
    static const struct pci_ids ids = {
        .vendor = 0x1234,
        .device = 0x1111,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0x030000,
        .revision = 2,
    };
    struct vga *v = container_of(to_pci(dev), struct vga, pci);

    if (v->memory_mib < 1 || v->memory_mib > VGA_MEMORY_MOST >> 20 ||
        v->memory_mib & (v->memory_mib - 1))
        return error_set(error, -EINVAL, "%s: vgamem_mb=%u is not a power of 2 up to %u",
                         dev->id, v->memory_mib, VGA_MEMORY_MOST >> 20);
    if (v->edid_width < 640 || v->edid_width > 4095 || v->edid_height < 400 ||
        v->edid_height > 4095)
        return error_set(error, -EINVAL, "%s: no monitor has %u x %u pixels", dev->id,
                         v->edid_width, v->edid_height);
    pci_setup(&v->pci, &ids);
    int err = make_memory(v);
    if (!err)
        err = map_legacy(v);
    if (!err)
        v->display = display_create(dev, &vga_display_ops, v);
    if (!err && !v->display)
        err = -ENOMEM;
    if (err) {
        error_set(error, err, "%s: %s", dev->id, strerror(-err));
        goto fail;
    }
    io_region_init(&v->mmio, dev, "vga-mmio", IO_MEM, MMIO_BYTES, &mmio_ops, v);
    pci_bar_window(&v->pci, 0, &v->memory, PCI_BAR_PREFETCH);
    pci_bar_region(&v->pci, 2, &v->mmio, 0);
    if (*v->rom_file && (err = pci_rom_file(&v->pci, v->rom_file, error)))
        goto fail;
    edid_make(v->edid, v->edid_width, v->edid_height);
    return 0;
fail:
    free_all(v);
    return err;
}

static void vga_destroy(struct device *dev)
{
    struct vga *v = container_of(to_pci(dev), struct vga, pci);

    vga_view_leave(v);
    free_all(v);
}

static void vga_reset(struct device *dev)
{
    struct vga *v = container_of(to_pci(dev), struct vga, pci);

    vga_view_leave(v);
    if (machine_asleep(dev)) { /* a text console has no driver that sets the mode again */
        vga_view_update(v);
        return;
    }
    vga_registers_reset(v);
    vbe_reset(v);
    memset(v->memory.host, 0, VGA_LEGACY_BYTES);
    v->redraw = true;
    vga_view_update(v);
}

/* ---- state --------------------------------------------------------------------------
 */

static int vga_state(struct vga *v, struct state *state)
{
    uint8_t vbe[VBE_COUNT * 2];
    uint32_t bytes = vga_memory_bytes(v);

    pci_state(&v->pci, state);
    state_range(state, "memory-bytes", &bytes, vga_memory_bytes(v), vga_memory_bytes(v));
    state_bytes(state, "sr", v->sr, sizeof(v->sr));
    state_bytes(state, "gr", v->gr, sizeof(v->gr));
    state_bytes(state, "ar", v->ar, sizeof(v->ar));
    state_bytes(state, "cr", v->cr, sizeof(v->cr));
    state_bytes(state, "dac", v->dac, sizeof(v->dac));
    state_bytes(state, "latch", v->latch, sizeof(v->latch));
    state_bytes(state, "dac-new", v->dac_new, sizeof(v->dac_new));
    state_u8(state, "sr-index", &v->sr_index);
    state_u8(state, "gr-index", &v->gr_index);
    state_u8(state, "ar-index", &v->ar_index);
    state_u8(state, "cr-index", &v->cr_index);
    state_bool(state, "ar-data", &v->ar_data);
    state_u8(state, "misc", &v->misc);
    state_u8(state, "feature", &v->feature);
    state_u8(state, "dac-mask", &v->dac_mask);
    state_u8(state, "dac-read", &v->dac_read);
    state_u8(state, "dac-write", &v->dac_write);
    state_u8(state, "dac-part", &v->dac_part);
    state_u8(state, "dac-state", &v->dac_state);
    state_u16(state, "vbe-index", &v->vbe_index);
    for (unsigned i = 0; i < VBE_COUNT; i++)
        store_le16(vbe + i * 2, v->vbe[i]);
    state_bytes(state, "vbe", vbe, sizeof(vbe));
    for (unsigned i = 0; i < VBE_COUNT; i++)
        v->vbe[i] = load_le16(vbe + i * 2);
    return state_bytes(state, "memory", v->memory.host, v->memory.size);
}

static int vga_save(struct device *dev, struct state *state)
{
    struct vga *v = container_of(to_pci(dev), struct vga, pci);

    vga_view_sync(v);
    return vga_state(v, state);
}

static int vga_load(struct device *dev, struct state *state, uint32_t version)
{
    struct vga *v = container_of(to_pci(dev), struct vga, pci);

    vga_view_leave(v);
    int err = vga_state(v, state);
    v->sr_index &= SR_COUNT - 1;
    v->gr_index &= GR_COUNT - 1;
    v->gr[GR_READ_MAP] &= 3;
    if (!err && (v->dac_part > 2 || vbe_check(v)))
        err = state_fail(state, "registers that cannot be");
    if (err) {
        v->dac_part = 0;
        vbe_reset(v);
    }
    v->redraw = true;
    vga_view_update(v);
    return err;
}

static const struct option_desc vga_options[] = {
    OPTION("vgamem_mb", U32, struct vga, memory_mib, "16", "MiB of video memory"),
    OPTION("edid", BOOL, struct vga, edid_on, "on", "describe a monitor"),
    OPTION("xres", U32, struct vga, edid_width, "1280", "the monitor's preferred width"),
    OPTION("yres", U32, struct vga, edid_height, "800", "and height"),
    OPTION("romfile", STRING, struct vga, rom_file, "vgabios-stdvga.bin", "VGA BIOS"),
    {0},
};

static const struct device_ops vga_ops = {
    .name = "VGA",
    .alias = "std-vga",
    .bus = BUS_PCI,
    .size = sizeof(struct vga),
    .version = 1,
    .options = vga_options,
    .create = vga_create,
    .reset = vga_reset,
    .save = vga_save,
    .load = vga_load,
    .destroy = vga_destroy,
};

REGISTER_DEVICE(vga_ops);
