/* What the boot loader tells: Multiboot 1, Multiboot 2 or PVH, into boot_info.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loader is trusted, its mistakes are not: counts and lengths are limited to what we
 * can hold. Runs on the early page tables, where the first 4 GiB are in the direct map.
 */
#include "boot/multiboot.h"
#include "mm/frame.h"
#include "lib/string.h"
#include "lib/errno.h"
#include <xen/arch-x86/hvm/start_info.h>

struct boot_info boot_info;
uint8_t boot_rsdp_copy[36];

/* EFI memory types (UEFI 2.10, section 7.2) that are RAM once boot services are gone. */
enum {
    EFI_LOADER_CODE = 1,
    EFI_BOOT_SERVICES_DATA = 4,
    EFI_CONVENTIONAL = 7,
    EFI_UNUSABLE = 8,
    EFI_ACPI_RECLAIM = 9,
    EFI_ACPI_NVS = 10,
};

static const void *early_ptr(uint64_t maddr)
{
    return maddr_to_virt(maddr);
}

/* GRUB 1.97 and later pass arguments without the name of the file; others with it. */
static bool loader_passes_name(const char *loader)
{
    return strncmp(loader, "GRUB 2", 6) && strncmp(loader, "GRUB 1.9", 8);
}

static void copy_arguments(char *dst, size_t size, const char *src, bool has_name)
{
    /* GRUB's scripts put a word where other loaders have the name of the file. */
    if (has_name || !strncmp(src, "placeholder ", 12)) {
        while (*src && *src != ' ')
            src++;
    }
    while (*src == ' ')
        src++;
    strlcpy(dst, src, size);
}

static void add_memory(struct boot_info *bi, uint64_t addr, uint64_t bytes, uint32_t type)
{
    struct e820_entry *e = &bi->e820[bi->e820_count];

    if (bi->e820_count == BOOT_E820_MAX)
        return;
    if (type < E820_RAM || type > E820_UNUSABLE)
        type = E820_RESERVED;
    *e = (struct e820_entry){addr, bytes, type};
    bi->e820_count++;
}

static void add_module(struct boot_info *bi, uint64_t start, uint64_t end,
                       const char *string, bool has_name)
{
    struct boot_module *m = &bi->modules[bi->module_count];

    if (bi->module_count == BOOT_MODULES_MAX || end < start)
        return;
    m->maddr = start;
    m->bytes = end - start;
    copy_arguments(m->cmdline, sizeof(m->cmdline), string, has_name);
    bi->module_count++;
}

static void mb1_parse_mmap(const struct mb1_info *mbi, struct boot_info *bi)
{
    uint32_t pos = 0;

    while (mbi->mmap_length - pos >= sizeof(struct mb1_mmap)) {
        const struct mb1_mmap *e = early_ptr((uint64_t)mbi->mmap_addr + pos);

        if (e->size > mbi->mmap_length - pos - 4)
            break;
        add_memory(bi, e->addr, e->len, e->type);
        pos += e->size + 4;
    }
}

static int mb1_parse(uint64_t info, struct boot_info *bi)
{
    const struct mb1_info *mbi = early_ptr(info);
    bool has_name;

    strlcpy(bi->loader, "Multiboot 1", sizeof(bi->loader));
    if (mbi->flags & MB1_HAS_LOADER)
        strlcpy(bi->loader, early_ptr(mbi->boot_loader_name), sizeof(bi->loader));
    has_name = loader_passes_name(bi->loader);
    if (mbi->flags & MB1_HAS_CMDLINE)
        copy_arguments(bi->cmdline, sizeof(bi->cmdline), early_ptr(mbi->cmdline),
                       has_name);
    if (mbi->flags & MB1_HAS_MODS) {
        const struct mb1_mod *mod = early_ptr(mbi->mods_addr);

        for (uint32_t i = 0; i < min(mbi->mods_count, (uint32_t)BOOT_MODULES_MAX); i++) {
            const char *s = mod[i].string ? early_ptr(mod[i].string) : "";

            add_module(bi, mod[i].start, mod[i].end, s, has_name);
        }
    }
    if (mbi->flags & MB1_HAS_MMAP) {
        mb1_parse_mmap(mbi, bi);
    } else if (mbi->flags & MB1_HAS_MEM) {
        add_memory(bi, 0, KB(640), E820_RAM);
        add_memory(bi, MB(1), KB(mbi->mem_upper), E820_RAM);
    }
    if ((mbi->flags & MB1_HAS_FB) && mbi->fb_type >= 1 && mbi->fb_type <= 2) {
        bi->fb.maddr = mbi->fb_addr;
        bi->fb.pitch = mbi->fb_pitch;
        bi->fb.width = mbi->fb_width;
        bi->fb.height = mbi->fb_height;
        bi->fb.bpp = mbi->fb_bpp;
        bi->fb.type = mbi->fb_type;
    }
    return 0;
}

static void mb2_parse_mmap(const struct mb2_tag *tag, struct boot_info *bi)
{
    const uint32_t *head = (const uint32_t *)(tag + 1); /* entry size, version */
    const uint8_t *p = (const uint8_t *)(head + 2),
                  *end = (const uint8_t *)tag + tag->size;

    if (tag->size < 16 || head[0] < 24)
        return;
    bi->e820_count = 0; /* better than an EFI map seen before */
    for (; (size_t)(end - p) >= head[0]; p += head[0]) {
        const struct e820_entry *e = (const struct e820_entry *)p;

        add_memory(bi, e->addr, e->size, e->type);
    }
}

static uint32_t efi_type_to_e820(uint32_t type)
{
    if ((type >= EFI_LOADER_CODE && type <= EFI_BOOT_SERVICES_DATA) ||
        type == EFI_CONVENTIONAL)
        return E820_RAM;
    if (type == EFI_ACPI_RECLAIM)
        return E820_ACPI;
    if (type == EFI_ACPI_NVS)
        return E820_NVS;
    return type == EFI_UNUSABLE ? E820_UNUSABLE : E820_RESERVED;
}

/* Used only if there is no plain memory map. */
static void mb2_parse_efi_mmap(const struct mb2_tag *tag, struct boot_info *bi)
{
    struct efi_descriptor {
        uint32_t type, pad;
        uint64_t maddr, virt, pages, attributes;
    };
    const uint32_t *head = (const uint32_t *)(tag + 1); /* descriptor size, version */
    const uint8_t *p = (const uint8_t *)(head + 2),
                  *end = (const uint8_t *)tag + tag->size;

    if (bi->e820_count || tag->size < 16 || head[0] < sizeof(struct efi_descriptor))
        return;
    for (; (size_t)(end - p) >= head[0]; p += head[0]) {
        const struct efi_descriptor *d = (const struct efi_descriptor *)p;

        add_memory(bi, d->maddr, d->pages << PAGE_SHIFT, efi_type_to_e820(d->type));
    }
}

static void mb2_parse_framebuffer(const struct mb2_tag *tag, struct boot_info *bi)
{
    const struct {
        struct mb2_tag tag;
        uint64_t addr;
        uint32_t pitch, width, height;
        uint8_t bpp, type;
    } __packed *fb = (const void *)tag;

    if (tag->size < sizeof(*fb) || fb->type < 1 || fb->type > 2)
        return;
    bi->fb.maddr = fb->addr;
    bi->fb.pitch = fb->pitch;
    bi->fb.width = fb->width;
    bi->fb.height = fb->height;
    bi->fb.bpp = fb->bpp;
    bi->fb.type = fb->type;
}

static void mb2_parse_tag(const struct mb2_tag *tag, struct boot_info *bi, bool has_name)
{
    const char *data = (const char *)(tag + 1);
    size_t bytes = tag->size - sizeof(*tag);

    switch (tag->type) {
    case MB2_TAG_CMDLINE:
        if (bytes && !data[bytes - 1])
            copy_arguments(bi->cmdline, sizeof(bi->cmdline), data, has_name);
        break;
    case MB2_TAG_MODULE:
        if (bytes > 8 && !data[bytes - 1])
            add_module(bi, ((const uint32_t *)data)[0], ((const uint32_t *)data)[1],
                       data + 8, has_name);
        break;
    case MB2_TAG_MMAP:
        mb2_parse_mmap(tag, bi);
        break;
    case MB2_TAG_EFI_MMAP:
        mb2_parse_efi_mmap(tag, bi);
        break;
    case MB2_TAG_FRAMEBUFFER:
        mb2_parse_framebuffer(tag, bi);
        break;
    case MB2_TAG_EFI64:
        if (bytes >= 8)
            memcpy(&bi->efi_systab, data, 8);
        break;
    case MB2_TAG_ACPI_OLD: /* 20 bytes, revision 0; the new one is better */
        if (bytes >= 20 && !boot_rsdp_copy[15])
            memcpy(boot_rsdp_copy, data, 20);
        break;
    case MB2_TAG_ACPI_NEW:
        if (bytes >= 36)
            memcpy(boot_rsdp_copy, data, 36);
        break;
    }
}

/* The tag behind `tag`, the first one for NULL; NULL at the end. */
static const struct mb2_tag *mb2_next(const void *info, const struct mb2_tag *tag)
{
    uint32_t total = *(const uint32_t *)info;
    uint32_t pos = tag ? (uint32_t)((const char *)tag - (const char *)info) : 8;

    if (tag)
        pos += ALIGN_UP(tag->size, 8u);
    if (pos > total || total - pos < sizeof(*tag))
        return NULL;
    tag = (const struct mb2_tag *)((const char *)info + pos);
    if (tag->type == MB2_TAG_END || tag->size < sizeof(*tag) || tag->size > total - pos)
        return NULL;
    return tag;
}

int mb2_parse(const void *info, struct boot_info *bi)
{
    const struct mb2_tag *tag;
    bool has_name;

    strlcpy(bi->loader, "Multiboot 2", sizeof(bi->loader));
    for (tag = mb2_next(info, NULL); tag; tag = mb2_next(info, tag)) {
        if (tag->type == MB2_TAG_LOADER && tag->size > sizeof(*tag) &&
            !((const char *)tag)[tag->size - 1])
            strlcpy(bi->loader, (const char *)(tag + 1), sizeof(bi->loader));
    }
    has_name = loader_passes_name(bi->loader);
    for (tag = mb2_next(info, NULL); tag; tag = mb2_next(info, tag))
        mb2_parse_tag(tag, bi, has_name);
    return 0;
}

static int pvh_parse(uint64_t info, struct boot_info *bi)
{
    const struct hvm_start_info *si = early_ptr(info);
    const struct hvm_modlist_entry *mod = early_ptr(si->modlist_paddr);
    const struct hvm_memmap_table_entry *map;

    strlcpy(bi->loader, "PVH", sizeof(bi->loader));
    bi->rsdp = si->rsdp_paddr;
    if (si->cmdline_paddr)
        copy_arguments(bi->cmdline, sizeof(bi->cmdline), early_ptr(si->cmdline_paddr),
                       false);
    for (uint32_t i = 0; i < min(si->nr_modules, (uint32_t)BOOT_MODULES_MAX); i++) {
        const char *s = mod[i].cmdline_paddr ? early_ptr(mod[i].cmdline_paddr) : "";

        add_module(bi, mod[i].paddr, mod[i].paddr + mod[i].size, s, false);
    }
    if (si->version < 1)
        return 0;
    map = early_ptr(si->memmap_paddr);
    for (uint32_t i = 0; i < min(si->memmap_entries, (uint32_t)BOOT_E820_MAX); i++)
        add_memory(bi, map[i].addr, map[i].size, map[i].type);
    return 0;
}

int boot_parse(uint32_t magic, uint64_t info)
{
    int err = -EINVAL;

    if (magic == MB1_LOADER_MAGIC)
        err = mb1_parse(info, &boot_info);
    else if (magic == MB2_LOADER_MAGIC)
        err = mb2_parse(early_ptr(info), &boot_info);
    else if (((const struct hvm_start_info *)early_ptr(info))->magic ==
             XEN_HVM_START_MAGIC_VALUE)
        err = pvh_parse(info, &boot_info);
    if (err)
        return err;
    boot_info.e820_count =
        e820_sanitize(boot_info.e820, boot_info.e820_count, BOOT_E820_MAX);
    return 0;
}
