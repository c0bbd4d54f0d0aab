/* The hypervisor's page tables (mm/paging.h), its move to the top of memory, the frame
 * table's backing. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * No page is writable and executable: the image is mapped with 4 KiB pages by part, and
 * where the direct map shows the image's text and constants, it is read-only.
 */
#include "mm/paging.h"
#include "mm/frame_init.h"
#include "boot/image.h"
#include "boot/multiboot.h"
#include "cpu/x86.h"
#include "cpu/percpu.h"
#include "cpu/smp.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define ENTRIES   512
#define UC        (PTE_PCD | PTE_PWT)
#define RW        (PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX)
#define RO        (PTE_P | PTE_A | PTE_NX)
#define RX        (PTE_P | PTE_A)
#define TABLE     (PTE_P | PTE_W | PTE_A)
#define PTE_WC_4K PTE_PAT /* PAT entry 4 */

/* Frames of RAM that one 4 KiB page, and one 2 MiB page, of the frame table describes. */
#define FRAMES_PER_PAGE  (PAGE_SIZE / sizeof(struct frame))
#define FRAMES_PER_CHUNK (FRAMES_PER_PAGE * ENTRIES)

uint64_t hypervisor_cr3, hypervisor_cr4;
static uint64_t *pml4;
static uint64_t image_maddr;
static bool early = true; /* tables come from early_alloc() */

static struct spinlock map_lock; /* guards the tables and the two positions below */
static uint64_t mmio_next = MMIO_BASE;
static uint64_t stacks_next = STACKS_BASE;

uint64_t virt_to_maddr(const void *p)
{
    uint64_t va = (uintptr_t)p;

    if (va >= IMAGE_VIRT)
        return va - IMAGE_VIRT + image_maddr;
    return va - DIRECTMAP_BASE;
}

/* Early, tables are taken from a larger piece, to keep the list of pieces short. */
static uint64_t *table_alloc(void)
{
    static uint64_t pool, pool_pages;
    uint64_t *t;

    if (!early)
        return alloc_pages(0);
    if (!pool_pages) {
        pool_pages = 16;
        pool = early_alloc(pool_pages * PAGE_SIZE, PAGE_SIZE);
    }
    t = maddr_to_virt(pool + --pool_pages * PAGE_SIZE);
    return memset(t, 0, PAGE_SIZE);
}

/* The entry for `va` in the table of `level` (4 = top, 1 = 4 KiB pages); makes the tables
 * on the way, NULL if there is no memory. */
static uint64_t *walk(uint64_t va, unsigned int level)
{
    uint64_t *table = pml4;

    for (unsigned int l = 4; l > level; l--) {
        uint64_t *e = &table[va >> (12 + 9 * (l - 1)) & (ENTRIES - 1)];

        if (!*e) {
            uint64_t *next = table_alloc();

            if (!next)
                return NULL;
            *e = (((uintptr_t)next) - DIRECTMAP_BASE) | TABLE;
        }
        table = maddr_to_virt(*e & PTE_ADDR);
    }
    return &table[va >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

static void map_early(uint64_t va, unsigned int level, uint64_t entry)
{
    *walk(va, level) = entry; /* early table_alloc() does not fail */
}

enum contents { NOTHING, MIXED, MEMORY };

/* Is [start, end) memory of any kind (RAM, ACPI tables), partly, or not at all? */
static enum contents contents_of(uint64_t start, uint64_t end)
{
    uint64_t found = 0;

    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];
        uint64_t lo = max(start, e->addr), hi = min(end, e->addr + e->size);

        if (e->type != E820_RESERVED && e->type != E820_UNUSABLE && lo < hi)
            found += hi - lo;
    }
    return !found ? NOTHING : found == end - start ? MEMORY : MIXED;
}

static bool overlaps_image(uint64_t start, uint64_t bytes)
{
    uint64_t end = image_maddr + image_bytes();

    return start < end && start + bytes > image_maddr;
}

static void map_direct_4k(uint64_t start)
{
    uint64_t ro_end = image_maddr + ADDRESS(rodata_end) - IMAGE_VIRT;

    for (uint64_t m = start; m < start + MB(2); m += PAGE_SIZE) {
        bool ro = m >= image_maddr && m < ro_end;

        map_early(DIRECTMAP_BASE + m, 1, m | (ro ? RO : RW) | PTE_G);
    }
}

/* One GiB of the direct map. Large pages that hold some RAM are write-back: the MTRRs
 * keep the rest of them uncached. Above 4 GiB only memory is mapped. */
static void map_direct_1g(uint64_t start, bool has_1g)
{
    enum contents c = contents_of(start, start + GB(1));

    if (c == NOTHING && start >= GB(4))
        return;
    if (c != MIXED && has_1g && !overlaps_image(start, GB(1))) {
        map_early(DIRECTMAP_BASE + start, 3,
                  start | RW | PTE_PS | PTE_G | (c == NOTHING ? UC : 0));
        return;
    }
    for (uint64_t m = start; m < start + GB(1); m += MB(2)) {
        c = contents_of(m, m + MB(2));
        if (c == NOTHING && m >= GB(4))
            continue;
        if (overlaps_image(m, MB(2)))
            map_direct_4k(m);
        else
            map_early(DIRECTMAP_BASE + m, 2,
                      m | RW | PTE_PS | PTE_G | (c == NOTHING ? UC : 0));
    }
}

static void map_image(void)
{
    for (uint64_t va = ADDRESS(text_start); va < ADDRESS(image_virt_end);
         va += PAGE_SIZE) {
        uint64_t attr = va < ADDRESS(text_end) ? RX : va < ADDRESS(rodata_end) ? RO : RW;

        if (va != ADDRESS(boot_stack_guard))
            map_early(va, 1, (va - IMAGE_VIRT + image_maddr) | attr | PTE_G);
    }
}

/* Copy the image and go on in the copy. Nothing may be written between the copying and
 * the switch, so it is one piece of assembly. */
static void move_image(uint64_t from)
{
    uint64_t words = image_bytes() / 8;
    const void *src = maddr_to_virt(from);
    void *dst = maddr_to_virt(image_maddr);

    __asm__ volatile("rep movsq\n\t"
                     "mov %3, %%cr3"
                     : "+S"(src), "+D"(dst), "+c"(words)
                     : "r"(hypervisor_cr3)
                     : "memory");
}

static void choose_cr4(void)
{
    uint32_t ecx = cpuid_get(1, CPUID_ECX), ebx = cpuid_get(7, CPUID_EBX);

    hypervisor_cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE;
    if (ecx & BIT(26))
        hypervisor_cr4 |= CR4_OSXSAVE;
    if (ebx & BIT(0))
        hypervisor_cr4 |= CR4_FSGSBASE;
    if (ebx & BIT(7))
        hypervisor_cr4 |= CR4_SMEP;
    if (ebx & BIT(20))
        hypervisor_cr4 |= CR4_SMAP;
}

/* Registers that all CPUs have alike. */
void paging_init_cpu(void)
{
    write_cr4(hypervisor_cr4);
    wrmsr(MSR_PAT, HOST_PAT);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE | EFER_SCE);
    write_cr0((read_cr0() & ~(CR0_CD | CR0_NW | CR0_EM | CR0_TS | CR0_AM)) | CR0_WP |
              CR0_NE | CR0_MP);
}

void paging_init(uint64_t load_address, uint64_t image)
{
    bool has_1g = cpuid_get(0x80000001, CPUID_EDX) & BIT(26);
    uint64_t top = GB(4);

    image_maddr = image;
    pml4 = table_alloc();
    hypervisor_cr3 = (uintptr_t)pml4 - DIRECTMAP_BASE;
    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        if (e->type != E820_RESERVED && e->type != E820_UNUSABLE)
            top = max(top, e->addr + e->size);
    }
    if (top > FRAMETABLE_BASE - DIRECTMAP_BASE)
        top = FRAMETABLE_BASE - DIRECTMAP_BASE;
    for (uint64_t m = 0; m < top; m += GB(1))
        map_direct_1g(m, has_1g);
    map_image();
    choose_cr4();
    wrmsr(MSR_PAT, HOST_PAT); /* entries 0-3 are as they were */
    move_image(load_address);
    paging_init_cpu();
}

/* ---- The frame table ---- */

static bool chunk_has_ram(uint64_t mfn, uint64_t frames)
{
    uint64_t start = mfn << PAGE_SHIFT, end = (mfn + frames) << PAGE_SHIFT;

    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        if (e->type == E820_RAM && e->addr < end && e->addr + e->size > start)
            return true;
    }
    return false;
}

/* All of these frames are in one range of RAM: frame_init_ram() sets each of them. */
static bool chunk_is_ram(uint64_t mfn, uint64_t frames)
{
    uint64_t start = mfn << PAGE_SHIFT, end = (mfn + frames) << PAGE_SHIFT;

    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        if (e->type == E820_RAM && max(e->addr, (uint64_t)PAGE_SIZE) <= start &&
            e->addr + e->size >= end)
            return true;
    }
    return false;
}

static void fill_reserved(void *page, size_t bytes)
{
    static const struct frame reserved = {.owner = FRAME_OWNER_NONE,
                                          .state = FRAME_RESERVED};

    for (struct frame *f = page; (char *)f < (char *)page + bytes; f++)
        *f = reserved;
}

/* Where RAM is, memory; where none is, one page of reserved frames for all, read-only. */
static void map_frametable(void)
{
    uint64_t chunks = DIV_ROUND_UP(max_mfn, FRAMES_PER_CHUNK);
    uint64_t hole = early_alloc(PAGE_SIZE, PAGE_SIZE);

    fill_reserved(maddr_to_virt(hole), PAGE_SIZE);
    for (uint64_t c = 0; c < chunks; c++) {
        uint64_t va = FRAMETABLE_BASE + c * MB(2), mfn = c * FRAMES_PER_CHUNK, m,
                 pages = 0;

        for (uint64_t i = 0; i < ENTRIES; i++)
            pages += chunk_has_ram(mfn + i * FRAMES_PER_PAGE, FRAMES_PER_PAGE);
        m = pages ? early_try_alloc(pages * PAGE_SIZE,
                                    pages == ENTRIES ? MB(2) : PAGE_SIZE, ~0ull)
                  : hole;
        if (!m)
            panic("Too little memory for the table of page frames");
        if (pages && !chunk_is_ram(mfn, FRAMES_PER_CHUNK))
            fill_reserved(maddr_to_virt(m), pages * PAGE_SIZE);
        if (pages == ENTRIES) {
            map_early(va, 2, m | RW | PTE_PS | PTE_G);
            continue;
        }
        for (uint64_t i = 0; i < ENTRIES; i++, mfn += FRAMES_PER_PAGE) {
            bool ram = pages && chunk_has_ram(mfn, FRAMES_PER_PAGE);

            map_early(va + i * PAGE_SIZE, 1, (ram ? m | RW : hole | RO) | PTE_G);
            m += ram ? PAGE_SIZE : 0;
        }
    }
}

/* The free parts of one range of RAM, and those in use since boot. */
static void frame_init_ram(uint64_t start, uint64_t end)
{
    uint64_t used_start, used_end;

    while (start < end) {
        if (!early_next_reserved(start, &used_start, &used_end) || used_start >= end)
            used_start = used_end = end;
        if (used_start > start)
            frame_init_range(start >> PAGE_SHIFT, used_start >> PAGE_SHIFT, FRAME_FREE);
        start = max(start, used_start);
        used_end = min(used_end, end);
        if (used_end > start)
            frame_init_range(start >> PAGE_SHIFT, used_end >> PAGE_SHIFT,
                             FRAME_HYPERVISOR);
        start = max(start, used_end);
    }
}

void frame_init(void)
{
    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];

        if (e->type == E820_RAM)
            max_mfn = max(max_mfn, (e->addr + e->size) >> PAGE_SHIFT);
    }
    max_mfn = min(max_mfn, (FRAMETABLE_BASE - DIRECTMAP_BASE) >> PAGE_SHIFT);
    frame_table = (struct frame *)FRAMETABLE_BASE;
    map_frametable();
    frame_init_lists();
    for (unsigned int i = 0; i < boot_info.e820_count; i++) {
        const struct e820_entry *e = &boot_info.e820[i];
        if (e->type == E820_RAM)
            frame_init_ram(ALIGN_UP(e->addr, PAGE_SIZE),
                           ALIGN_DOWN(e->addr + e->size, PAGE_SIZE));
    }
    early = false;
}

/* ---- Mappings made later ---- */

static void *map_mmio_as(uint64_t maddr, size_t bytes, uint64_t attr)
{
    uint64_t start = ALIGN_DOWN(maddr, PAGE_SIZE);
    uint64_t pages = (ALIGN_UP(maddr + bytes, PAGE_SIZE) - start) / PAGE_SIZE, va;

    spin_lock(&map_lock);
    va = mmio_next;
    if (pages > (MMIO_END - va) / PAGE_SIZE)
        panic("No address space left for devices");
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t *e = walk(va + i * PAGE_SIZE, 1);

        if (!e)
            panic("No memory for page tables");
        *e = (start + i * PAGE_SIZE) | RW | PTE_G | attr;
    }
    mmio_next = va + pages * PAGE_SIZE;
    spin_unlock(&map_lock);
    return (void *)(va + (maddr - start));
}

void *map_mmio(uint64_t maddr, size_t bytes)
{
    return map_mmio_as(maddr, bytes, UC);
}

void *map_mmio_wc(uint64_t maddr, size_t bytes)
{
    return map_mmio_as(maddr, bytes, PTE_WC_4K);
}

const void *map_code(uint64_t maddr, unsigned int n)
{
    uint64_t va = CODE_BASE + (uint64_t)n * PAGE_SIZE, *e;

    spin_lock(&map_lock);
    e = walk(va, 1);
    if (e)
        *e = maddr | RX | PTE_G;
    spin_unlock(&map_lock);
    return e ? (const void *)va : NULL;
}

void paging_map_trampoline(bool on)
{
    static uint64_t *pd, *pdpt;

    if (on) {
        pdpt = alloc_pages(0);
        pd = alloc_pages(0);
        if (!pdpt || !pd)
            panic("No memory for page tables");
        pd[0] = PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
        pdpt[0] = virt_to_maddr(pd) | TABLE;
        pml4[0] = virt_to_maddr(pdpt) | TABLE;
        return;
    }
    pml4[0] = 0;
    write_cr3(hypervisor_cr3);
    free_pages(pd, 0);
    free_pages(pdpt, 0);
}

/* ---- Stacks ---- */

/* Slots of address space of one size, reused: each a guard page and 2^order pages, where
 * order is at most MAX_STACK_ORDER. A free slot keeps its frames and mapping: the
 * processors may have it in their TLBs. */
#define MAX_STACK_ORDER 3
#define SLOT_BYTES(o)   (PAGE_SIZE + (PAGE_SIZE << (o)))

static void *free_stacks[MAX_STACK_ORDER + 1]; /* linked through their first word */

static void *stack_map(unsigned int order)
{
    uint64_t va = stacks_next + PAGE_SIZE, i, *e;

    if (stacks_next + SLOT_BYTES(order) > STACKS_END)
        return NULL;
    for (i = 0; i < 1ull << order; i++) {
        mfn_t m = frame_alloc(0);

        e = walk(va + i * PAGE_SIZE, 1);
        if (!mfn_valid_number(m) || !e) {
            if (mfn_valid_number(m))
                frame_free(m, 0);
            goto undo;
        }
        *e = mfn_to_maddr(m) | RW | PTE_G;
    }
    stacks_next += SLOT_BYTES(order);
    return (void *)va;
undo:
    while (i-- > 0) { /* nobody has used these addresses yet: no TLB has them */
        e = walk(va + i * PAGE_SIZE, 1);
        frame_free(maddr_to_mfn(*e & PTE_ADDR), 0);
        *e = 0;
    }
    return NULL;
}

void *stack_alloc(unsigned int order)
{
    void *stack;

    if (order > MAX_STACK_ORDER)
        return NULL;
    spin_lock(&map_lock);
    stack = free_stacks[order];
    if (stack)
        free_stacks[order] = *(void **)stack;
    else
        stack = stack_map(order);
    spin_unlock(&map_lock);
    if (stack)
        memset(stack, 0, PAGE_SIZE << order);
    return stack;
}

void stack_free(void *stack, unsigned int order)
{
    if (!stack)
        return;
    spin_lock(&map_lock);
    *(void **)stack = free_stacks[order];
    free_stacks[order] = stack;
    spin_unlock(&map_lock);
}

bool stack_guard_hit(uint64_t address)
{
    return (address >= STACKS_BASE && address < stacks_next) ||
           (address & PAGE_MASK) == (uintptr_t)boot_stack_guard;
}
