/*
 * Memory: a pool of pages inside the image, so that no memory map is needed; page-table
 * edits; holes in the guest-physical map. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

#define POOL_PAGES 512
#define LARGE_SIZE (1ul << 21)
#define LARGE_MASK (LARGE_SIZE - 1)
#define ADDR_MASK  0x000ffffffffff000ul

extern uint64_t pml4[512], pdpt[512], page_dirs[4 * 512];

static char pool[POOL_PAGES][PAGE_SIZE] ALIGNED(4096);
static size_t pool_used;

void *page_alloc(size_t pages)
{
    size_t at = __atomic_fetch_add(&pool_used, pages, __ATOMIC_RELAXED);

    if (at + pages > POOL_PAGES)
        panic("page pool is empty");
    memset(pool[at], 0, pages * PAGE_SIZE);
    return pool[at];
}

static uint64_t *table_below(uint64_t *entry)
{
    if (!(*entry & PTE_P))
        *entry = PTR(page_alloc(1)) | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
    return (uint64_t *)(*entry & ADDR_MASK);
}

void map_identity(uint64_t gpa, uint64_t size, bool cached)
{
    for (uint64_t at = gpa & ~LARGE_MASK; at < gpa + size; at += LARGE_SIZE) {
        uint64_t *l3 = table_below(&pml4[at >> 39 & 511]);
        uint64_t *l2 = table_below(&l3[at >> 30 & 511]);

        l2[at >> 21 & 511] = at | PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_PS |
                             (cached ? 0 : PTE_PCD | PTE_PWT);
        invlpg((void *)at);
    }
}

uint64_t *pte_of(uint64_t va)
{
    uint64_t *l2 = &page_dirs[va >> 21];

    if (*l2 & PTE_PS) {
        uint64_t *l1 = page_alloc(1);
        uint64_t flags = *l2 & 0x7f; /* all but PS, which is PAT in a small entry */

        for (unsigned i = 0; i < 512; i++)
            l1[i] = (va & ~LARGE_MASK) | i * PAGE_SIZE | flags;
        *l2 = PTR(l1) | PTE_P | PTE_W | PTE_U | PTE_A;
        write_cr3(read_cr3());
    }
    return (uint64_t *)(*l2 & ADDR_MASK) + (va >> 12 & 511);
}

/*
 * Between the I/O APIC's page and the firmware nobody has RAM, and on the machines that
 * we know no device: 0xfd800000 on a PC lies in the PCI window but above what firmware
 * hands out.
 */
uint64_t unused_gfn(uint32_t index)
{
    return 0xfd800 + index;
}
