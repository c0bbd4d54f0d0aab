/* Loading of Dom0's kernel: ELF with the PHYS32_ENTRY note (public/elfnote.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "domain/dom0_build.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/elfnote.h>

/* System V ABI, ch 4 and 5: what we need of both classes. */
struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    union {
        struct {
            uint64_t entry, phoff, shoff;
            uint32_t flags;
            uint16_t ehsize, phentsize, phnum;
        } e64;
        struct {
            uint32_t entry, phoff, shoff, flags;
            uint16_t ehsize, phentsize, phnum;
        } e32;
    };
};
struct elf64_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct elf32_phdr {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
struct elf_note {
    uint32_t namesz, descsz, type;
};

#define PT_LOAD 1
#define PT_NOTE 4

struct elf {
    const uint8_t *image;
    size_t bytes;
    bool is64;
    uint64_t phoff;
    unsigned int phnum, phentsize;
};

static int elf_open(struct elf *e, const void *image, size_t bytes)
{
    const struct elf_header *h = image;

    if (bytes < sizeof(*h) || memcmp(h->ident, "\177ELF", 4) || h->ident[5] != 1)
        return -EINVAL;
    e->image = image;
    e->bytes = bytes;
    e->is64 = h->ident[4] == 2;
    e->phoff = e->is64 ? h->e64.phoff : h->e32.phoff;
    e->phnum = e->is64 ? h->e64.phnum : h->e32.phnum;
    e->phentsize = e->is64 ? h->e64.phentsize : h->e32.phentsize;
    if (e->phentsize <
            (e->is64 ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)) ||
        e->phoff > bytes || (uint64_t)e->phnum * e->phentsize > bytes - e->phoff)
        return -EINVAL;
    return 0;
}

/* Program header i, in 64-bit form; false if its file part is not in the image. */
static bool elf_phdr(const struct elf *e, unsigned int i, struct elf64_phdr *out)
{
    const uint8_t *p = e->image + e->phoff + (uint64_t)i * e->phentsize;

    if (e->is64) {
        memcpy(out, p, sizeof(*out));
    } else {
        struct elf32_phdr h;

        memcpy(&h, p, sizeof(h));
        *out = (struct elf64_phdr){h.type,  h.flags,  h.offset, h.vaddr,
                                   h.paddr, h.filesz, h.memsz,  h.align};
    }
    return out->offset <= e->bytes && out->filesz <= e->bytes - out->offset;
}

/* Look for PHYS32_ENTRY in one note segment. */
static bool find_entry(const uint8_t *p, size_t bytes, uint32_t *entry)
{
    while (bytes >= sizeof(struct elf_note)) {
        struct elf_note n;
        size_t name, desc;

        memcpy(&n, p, sizeof(n));
        name = ALIGN_UP((size_t)n.namesz, 4);
        desc = ALIGN_UP((size_t)n.descsz, 4);
        if (name > bytes || desc > bytes || sizeof(n) + name + desc > bytes)
            return false;
        if (n.namesz == 4 && n.descsz >= 4 && !memcmp(p + sizeof(n), "Xen", 4) &&
            n.type == XEN_ELFNOTE_PHYS32_ENTRY) {
            memcpy(entry, p + sizeof(n) + name, 4);
            return true;
        }
        p += sizeof(n) + name + desc;
        bytes -= sizeof(n) + name + desc;
    }
    return false;
}

static bool range_is_ram(struct domain *d, uint64_t start, uint64_t bytes)
{
    for (uint64_t gpa = ALIGN_DOWN(start, PAGE_SIZE); gpa < start + bytes;
         gpa += PAGE_SIZE) {
        enum p2m_type t;

        p2m_lookup(d, gpa_to_gfn(gpa), &t, NULL);
        if (t != P2M_RAM_RW)
            return false;
    }
    return true;
}

int dom0_load_elf(struct domain *d, const void *image, size_t bytes, uint32_t *entry,
                  uint64_t *end)
{
    struct elf64_phdr ph;
    bool found = false;
    struct elf e;

    if (elf_open(&e, image, bytes)) {
        printk("Dom0's kernel is neither a bzImage nor an ELF image\n");
        return -EINVAL;
    }
    *end = 0;
    for (unsigned int i = 0; i < e.phnum; i++) {
        if (!elf_phdr(&e, i, &ph))
            goto truncated;
        if (ph.type == PT_NOTE)
            found = found || find_entry(e.image + ph.offset, ph.filesz, entry);
        if (ph.type != PT_LOAD || !ph.memsz)
            continue;
        if (ph.filesz > ph.memsz || ph.paddr >> 40 || ph.memsz >> 40)
            goto truncated;
        if (!range_is_ram(d, ph.paddr, ph.memsz)) {
            printk(
                "Dom0's kernel wants memory at %#lx (%lu KiB), which Dom0 does not have: "
                "give it more with dom0_mem=\n",
                ph.paddr, ph.memsz >> 10);
            return -ENOMEM;
        }
        memcpy(maddr_to_virt(ph.paddr), e.image + ph.offset, ph.filesz);
        memset((char *)maddr_to_virt(ph.paddr) + ph.filesz, 0, ph.memsz - ph.filesz);
        *end = max(*end, ph.paddr + ph.memsz);
    }
    if (!found) {
        printk("Dom0's kernel has no PVH entry (ELF note PHYS32_ENTRY)\n");
        return -EINVAL;
    }
    return 0;
truncated:
    printk("Dom0's kernel image is damaged\n");
    return -EINVAL;
}
