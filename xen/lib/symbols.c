/* Names of our own functions, from the table that lib/mksymbols makes at link time.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/symbols.h"
#include "lib/string.h"
#include "boot/layout.h"

extern const char text_start[], text_end[];
extern const struct {
    uint64_t count;
    struct {
        uint32_t address, name; /* minus IMAGE_VIRT; offset behind the last entry */
    } entry[];
} symbol_table;

bool is_text(uint64_t address)
{
    return address >= (uintptr_t)text_start && address < (uintptr_t)text_end;
}

bool symbol_name(const void *p, char *buf, size_t size)
{
    uint32_t offset = (uint32_t)((uintptr_t)p - IMAGE_VIRT);
    size_t lo = 0, hi = symbol_table.count;
    const char *names = (const char *)&symbol_table.entry[symbol_table.count];

    if (!is_text((uintptr_t)p) || !hi || offset < symbol_table.entry[0].address)
        return false;
    while (hi - lo > 1) { /* entry[lo] <= offset < entry[hi] */
        size_t mid = (lo + hi) / 2;

        if (symbol_table.entry[mid].address <= offset)
            lo = mid;
        else
            hi = mid;
    }
    snprintf(buf, size, "%s+0x%x", names + symbol_table.entry[lo].name,
             offset - symbol_table.entry[lo].address);
    return true;
}
