/* Boot protocols as data structures, and what we do to them early.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Multiboot Specification 0.6.96 section 3.3, Multiboot 2 section 3.6. PVH's is in the
 * public headers (xen/arch-x86/hvm/start_info.h).
 */
#ifndef CORBEL_BOOT_MULTIBOOT_H
#define CORBEL_BOOT_MULTIBOOT_H

#include "boot/boot.h"

#define MB1_LOADER_MAGIC 0x2badb002u
#define MB2_LOADER_MAGIC 0x36d76289u

#define MB1_HAS_MEM     BIT(0)
#define MB1_HAS_CMDLINE BIT(2)
#define MB1_HAS_MODS    BIT(3)
#define MB1_HAS_MMAP    BIT(6)
#define MB1_HAS_LOADER  BIT(9)
#define MB1_HAS_FB      BIT(12)

struct mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table;
    uint32_t boot_loader_name, apm_table, vbe[4];
    uint64_t fb_addr;
    uint32_t fb_pitch, fb_width, fb_height;
    uint8_t fb_bpp, fb_type;
} __packed;

struct mb1_mod {
    uint32_t start, end, string, reserved;
};

struct mb1_mmap {
    uint32_t size; /* of the rest */
    uint64_t addr, len;
    uint32_t type;
} __packed;

enum mb2_tag_type {
    MB2_TAG_END = 0,
    MB2_TAG_CMDLINE = 1,
    MB2_TAG_LOADER = 2,
    MB2_TAG_MODULE = 3,
    MB2_TAG_MMAP = 6,
    MB2_TAG_FRAMEBUFFER = 8,
    MB2_TAG_EFI64 = 12,
    MB2_TAG_ACPI_OLD = 14,
    MB2_TAG_ACPI_NEW = 15,
    MB2_TAG_EFI_MMAP = 17,
};

struct mb2_tag {
    uint32_t type, size; /* with this header; the next one is 8-byte aligned */
};

/* What a loader left, made into boot_info: copies all that may lie in memory that is
 * used for something else soon. The RSDP copy of a Multiboot 2 tag goes to
 * boot_rsdp_copy. -EINVAL for an unknown magic. */
int boot_parse(uint32_t magic, uint64_t info);
extern uint8_t boot_rsdp_copy[36];
/* Of a whole Multiboot 2 structure in memory; for boot_parse() and tests. */
int mb2_parse(const void *info, struct boot_info *bi);

/* Sort, cut overlaps (the more restricted type wins), join neighbours; in place. Returns
 * the new number of entries. */
unsigned int e820_sanitize(struct e820_entry *map, unsigned int count,
                           unsigned int capacity);

/* Memory before the frame allocator (boot/early_mem.c): the highest fitting place below
 * 4 GiB. Panics if there is none. */
uint64_t early_alloc(uint64_t bytes, uint64_t align);
/* The same, 0 if there is none; and without the 4 GiB limit. */
uint64_t early_try_alloc(uint64_t bytes, uint64_t align, uint64_t limit);
void early_reserve(uint64_t start, uint64_t bytes);
void early_unreserve(uint64_t start, uint64_t bytes);
/* The reserved range that begins lowest at or above `from`; false if there is none. */
bool early_next_reserved(uint64_t from, uint64_t *start, uint64_t *end);

#endif
