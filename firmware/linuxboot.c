/*
 * A kernel without a boot loader: the bzImage, its initrd and command line as fw_cfg
 * items, which the option ROM linuxboot_dma.bin of QEMU's packages copies into the guest
 * and starts.  SeaBIOS tries that ROM first.
 *
 * Source: Documentation/arch/x86/boot.rst of Linux; fw_cfg keys of QEMU's docs/specs.
 * Left out: zImage and protocols before 2.02, which ended with Linux 2.4.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "firmware.h"

#define MIB         ((uint64_t)1 << 20)
#define KERNEL_MOST (256u << 20)
#define INITRD_MOST (1u << 30)
#define ROM_FILE    "linuxboot_dma.bin"
#define ROM_MOST    65536u

/* Fields of the setup header. */
enum {
    HDR_SETUP_SECTS = 0x1f1,
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_LOADER = 0x210,
    HDR_LOADFLAGS = 0x211,
    HDR_RAMDISK = 0x218,
    HDR_RAMDISK_SIZE = 0x21c,
    HDR_HEAP_END = 0x224,
    HDR_CMDLINE = 0x228,
    HDR_INITRD_MAX = 0x22c,
    HDR_CMDLINE_SIZE = 0x238,
    HDR_PREFERRED = 0x258, /* where it unpacks itself */
    HDR_INIT_SIZE = 0x260, /* what it needs there until it knows the memory map */
    HDR_BYTES = 0x264,

    LOADER_QEMU = 0xb0, /* whose option ROM it is */
    LOADED_HIGH = 1 << 0,
    CAN_USE_HEAP = 1 << 7,
    VERSION_CMDLINE = 0x202,
    VERSION_INITRD_MAX = 0x203,
    VERSION_CMDLINE_SIZE = 0x206,
    VERSION_INIT_SIZE = 0x20a,
    SECTOR = 512,
    SETUP_SECTS_DEFAULT = 4,
    CMDLINE_MOST_OLD = 255,
    CMDLINE_MOST = 0xffff,
    INITRD_MAX_OLD = 0x37ffffff,
};

/* Where things go in the guest. */
enum {
    SETUP_AT = 0x10000,
    CMDLINE_AT = 0x20000,
    KERNEL_AT = 0x100000,
    RAM_KEPT = 0x40000, /* of the firmware, below the end of low RAM */
};

enum {
    KEY_KERNEL_ADDR = 0x07,
    KEY_KERNEL_SIZE = 0x08,
    KEY_INITRD_ADDR = 0x0a,
    KEY_INITRD_SIZE = 0x0b,
    KEY_KERNEL_ENTRY = 0x10,
    KEY_KERNEL_DATA = 0x11,
    KEY_INITRD_DATA = 0x12,
    KEY_CMDLINE_ADDR = 0x13,
    KEY_CMDLINE_SIZE = 0x14,
    KEY_CMDLINE_DATA = 0x15,
    KEY_SETUP_ADDR = 0x16,
    KEY_SETUP_SIZE = 0x17,
    KEY_SETUP_DATA = 0x18,
};

struct boot_image {
    uint8_t *kernel, *initrd, *rom;
    size_t kernel_bytes, initrd_bytes, rom_bytes, setup_bytes;
    unsigned version;
};

static void set_u32(struct machine *m, unsigned key, uint32_t value)
{
    uint8_t b[4];

    store_le32(b, value);
    fwcfg_set_key(m, key, b, sizeof(b));
}

static int read_image(const char *file, size_t most, uint8_t **data, size_t *bytes,
                      struct error *error)
{
    int err = firmware_read_file(file, most, data, bytes);

    return err ? error_set(error, err, "cannot read '%s': %s", file, strerror(-err)) : 0;
}

/* Is it a bzImage that says where its command line is? */
static int check_kernel(struct boot_image *i, const char *file, struct error *error)
{
    const uint8_t *k = i->kernel;

    if (i->kernel_bytes < HDR_BYTES || memcmp(k + HDR_MAGIC, "HdrS", 4) != 0)
        return error_set(error, -ENOEXEC, "-kernel '%s' is not a Linux bzImage", file);
    i->version = load_le16(k + HDR_VERSION);
    if (i->version < VERSION_CMDLINE || !(k[HDR_LOADFLAGS] & LOADED_HIGH))
        return error_set(error, -ENOEXEC,
                         "-kernel '%s': boot protocol %u.%02u, 2.02 is needed", file,
                         i->version >> 8, i->version & 0xff);
    unsigned sectors = k[HDR_SETUP_SECTS] ? k[HDR_SETUP_SECTS] : SETUP_SECTS_DEFAULT;
    i->setup_bytes = (size_t)(sectors + 1) * SECTOR;
    if (i->setup_bytes >= i->kernel_bytes || i->setup_bytes > CMDLINE_AT - SETUP_AT)
        return error_set(error, -ENOEXEC, "-kernel '%s' is cut off", file);
    return 0;
}

static int check_cmdline(const struct boot_image *i, const char *cmdline,
                         struct error *error)
{
    size_t most = CMDLINE_MOST_OLD;

    if (i->version >= VERSION_CMDLINE_SIZE)
        most = load_le32(i->kernel + HDR_CMDLINE_SIZE);
    if (most > CMDLINE_MOST)
        most = CMDLINE_MOST;
    return strlen(cmdline) > most
               ? error_set(error, -E2BIG, "-append: the kernel takes %zu characters",
                           most)
               : 0;
}

/* The end of what the kernel occupies at first. */
static uint64_t kernel_end(const struct boot_image *i)
{
    uint64_t end = KERNEL_AT + i->kernel_bytes - i->setup_bytes, at, unpacked;

    if (i->version < VERSION_INIT_SIZE)
        return end;
    at = load_le64(i->kernel + HDR_PREFERRED);
    if (at < KERNEL_AT || at > UINT32_MAX)
        at = KERNEL_AT;
    unpacked = at + load_le32(i->kernel + HDR_INIT_SIZE);
    return end > unpacked ? end : unpacked;
}

static int check_memory(const struct machine *m, const struct boot_image *i,
                        const char *file, struct error *error)
{
    uint64_t ram = m->board.ram_below_4g - RAM_KEPT, end = kernel_end(i);

    return end > ram ? error_set(error, -ENOSPC,
                                 "-kernel '%s' needs at least %" PRIu64
                                 " MiB of memory to start, and the guest has %" PRIu64,
                                 file, (end + RAM_KEPT + MIB - 1) / MIB,
                                 m->board.ram_below_4g / MIB)
                     : 0;
}

/* As high as the kernel can reach, below what the firmware keeps; 0: there is no room. */
static uint32_t initrd_address(const struct machine *m, const struct boot_image *i)
{
    uint64_t end = INITRD_MAX_OLD + 1ull, ram = m->board.ram_below_4g - RAM_KEPT;

    if (i->version >= VERSION_INITRD_MAX)
        end = load_le32(i->kernel + HDR_INITRD_MAX) + 1ull;
    if (end > ram)
        end = ram;
    uint64_t least = kernel_end(i);
    return end > least && end - least > i->initrd_bytes
               ? (uint32_t)((end - i->initrd_bytes) & ~4095ull)
               : 0;
}

static void fill_header(struct boot_image *i, uint32_t initrd)
{
    uint8_t *k = i->kernel;

    k[HDR_LOADER] = LOADER_QEMU;
    k[HDR_LOADFLAGS] |= CAN_USE_HEAP;
    store_le16(k + HDR_HEAP_END, CMDLINE_AT - SETUP_AT - 0x200);
    store_le32(k + HDR_CMDLINE, CMDLINE_AT);
    store_le32(k + HDR_RAMDISK, initrd);
    store_le32(k + HDR_RAMDISK_SIZE, (uint32_t)i->initrd_bytes);
}

static void show(struct machine *m, const struct boot_image *i, const char *cmdline,
                 uint32_t initrd)
{
    size_t bytes = i->kernel_bytes - i->setup_bytes;

    set_u32(m, KEY_SETUP_ADDR, SETUP_AT);
    set_u32(m, KEY_SETUP_SIZE, (uint32_t)i->setup_bytes);
    fwcfg_set_key(m, KEY_SETUP_DATA, i->kernel, i->setup_bytes);
    set_u32(m, KEY_KERNEL_ADDR, KERNEL_AT);
    set_u32(m, KEY_KERNEL_ENTRY, KERNEL_AT);
    set_u32(m, KEY_KERNEL_SIZE, (uint32_t)bytes);
    fwcfg_set_key(m, KEY_KERNEL_DATA, i->kernel + i->setup_bytes, bytes);
    set_u32(m, KEY_CMDLINE_ADDR, CMDLINE_AT);
    set_u32(m, KEY_CMDLINE_SIZE, (uint32_t)strlen(cmdline) + 1);
    fwcfg_set_key(m, KEY_CMDLINE_DATA, cmdline, strlen(cmdline) + 1);
    set_u32(m, KEY_INITRD_ADDR, initrd);
    set_u32(m, KEY_INITRD_SIZE, (uint32_t)i->initrd_bytes);
    if (i->initrd_bytes)
        fwcfg_set_key(m, KEY_INITRD_DATA, i->initrd, i->initrd_bytes);
}

int firmware_add_kernel(struct machine *m, const char *kernel, const char *initrd,
                        const char *cmdline, struct error *error)
{
    struct boot_image i = {0};
    uint32_t at = 0;
    int err = read_image(kernel, KERNEL_MOST, &i.kernel, &i.kernel_bytes, error);

    if (!err)
        err = check_kernel(&i, kernel, error);
    if (!err)
        err = check_memory(m, &i, kernel, error);
    if (!err)
        err = check_cmdline(&i, cmdline, error);
    if (!err && initrd)
        err = read_image(initrd, INITRD_MOST, &i.initrd, &i.initrd_bytes, error);
    if (!err && i.initrd_bytes && !(at = initrd_address(m, &i)))
        err = error_set(error, -ENOSPC,
                        "-initrd '%s' and the kernel do not fit into the guest", initrd);
    if (!err)
        err = read_image(ROM_FILE, ROM_MOST, &i.rom, &i.rom_bytes, error);
    if (!err) {
        fill_header(&i, at);
        show(m, &i, cmdline, at);
        err = fwcfg_add_file(m, "genroms/" ROM_FILE, i.rom, i.rom_bytes);
        m->board.boot_rom = ROM_FILE;
    }
    free(i.kernel);
    free(i.initrd);
    free(i.rom);
    return err;
}
