/* Memory before there is a frame allocator: from the top of RAM down, around what is in
 * use. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is reserved here when the frame allocator starts stays the hypervisor's.
 */
#include "boot/multiboot.h"
#include "lib/printk.h"

#define MAX_RESERVED 64

static struct {
    uint64_t start, end;
} reserved[MAX_RESERVED];
static unsigned int reserved_count;

static void add_piece(uint64_t start, uint64_t end)
{
    if (reserved_count == MAX_RESERVED)
        panic("Too many pieces of memory in use at boot");
    reserved[reserved_count].start = start;
    reserved[reserved_count].end = end;
    reserved_count++;
}

/* Neighbours become one: the frame table of a large machine comes in thousands of parts.
 */
void early_reserve(uint64_t start, uint64_t bytes)
{
    uint64_t end = ALIGN_UP(start + bytes, PAGE_SIZE);

    start = ALIGN_DOWN(start, PAGE_SIZE);
    for (unsigned int i = 0; i < reserved_count;) {
        if (reserved[i].start > end || reserved[i].end < start) {
            i++;
            continue;
        }
        start = min(start, reserved[i].start);
        end = max(end, reserved[i].end);
        reserved[i] = reserved[--reserved_count];
        i = 0; /* it may touch one passed over */
    }
    add_piece(start, end);
}

void early_unreserve(uint64_t start, uint64_t bytes)
{
    uint64_t end = ALIGN_UP(start + bytes, PAGE_SIZE);

    start = ALIGN_DOWN(start, PAGE_SIZE);
    for (unsigned int i = reserved_count; i-- > 0;) {
        uint64_t lo = reserved[i].start, hi = reserved[i].end;

        if (lo >= end || hi <= start)
            continue;
        reserved[i] = reserved[--reserved_count];
        if (lo < start)
            add_piece(lo, start);
        if (hi > end)
            add_piece(end, hi);
    }
}

bool early_next_reserved(uint64_t from, uint64_t *start, uint64_t *end)
{
    bool found = false;

    for (unsigned int i = 0; i < reserved_count; i++) {
        if (reserved[i].end <= from || (found && reserved[i].start >= *start))
            continue;
        *start = reserved[i].start;
        *end = reserved[i].end;
        found = true;
    }
    return found;
}

/* Highest place for `bytes` in [lo, hi) around what is reserved; 0 if there is none. */
static uint64_t place_in(uint64_t lo, uint64_t hi, uint64_t bytes, uint64_t align)
{
    uint64_t addr;
    bool moved = true;

    if (hi < lo || hi - lo < bytes)
        return 0;
    addr = ALIGN_DOWN(hi - bytes, align);
    while (moved) {
        moved = false;
        for (unsigned int i = 0; i < reserved_count; i++) {
            if (addr + bytes <= reserved[i].start || addr >= reserved[i].end)
                continue;
            if (reserved[i].start < bytes)
                return 0;
            addr = ALIGN_DOWN(reserved[i].start - bytes, align);
            moved = true;
        }
    }
    return addr >= lo ? addr : 0;
}

uint64_t early_try_alloc(uint64_t bytes, uint64_t align, uint64_t limit)
{
    bytes = ALIGN_UP(bytes, PAGE_SIZE);
    for (unsigned int i = boot_info.e820_count; i-- > 0;) {
        const struct e820_entry *e = &boot_info.e820[i];
        uint64_t lo = max(ALIGN_UP(e->addr, PAGE_SIZE), (uint64_t)MB(1));
        uint64_t hi = min(ALIGN_DOWN(e->addr + e->size, PAGE_SIZE), limit);
        uint64_t addr;

        if (e->type != E820_RAM)
            continue;
        addr = place_in(lo, hi, bytes, align);
        if (addr) {
            early_reserve(addr, bytes);
            return addr;
        }
    }
    return 0;
}

uint64_t early_alloc(uint64_t bytes, uint64_t align)
{
    uint64_t addr = early_try_alloc(bytes, align, GB(4));

    if (!addr)
        panic("Too little memory: no %llu KiB below 4 GiB for the hypervisor",
              (unsigned long long)bytes / 1024);
    return addr;
}
