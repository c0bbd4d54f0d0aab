/* The firmware's memory map made usable: sorted, without overlaps.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "boot/multiboot.h"
#include "lib/string.h"

#define MAX_ADDRESS BIT(52) /* architectural limit of physical addresses */

static struct e820_entry scratch[BOOT_E820_MAX];

/* Type of the piece that begins at `addr`: the most restricted entry wins, so RAM only
 * where nobody says otherwise. 0: nobody says anything. *end: where the piece ends. */
static uint32_t piece_at(const struct e820_entry *map, unsigned int count, uint64_t addr,
                         uint64_t *end)
{
    uint32_t type = 0;

    *end = MAX_ADDRESS;
    for (unsigned int i = 0; i < count; i++) {
        uint64_t e = map[i].addr + map[i].size;

        if (map[i].addr > addr) {
            *end = min(*end, map[i].addr);
        } else if (e > addr) {
            type = max(type, map[i].type);
            *end = min(*end, e);
        }
    }
    return type;
}

unsigned int e820_sanitize(struct e820_entry *map, unsigned int count,
                           unsigned int capacity)
{
    unsigned int n = 0, in = 0;
    uint64_t addr = 0, end;

    for (unsigned int i = 0; i < count; i++) {
        if (!map[i].size || map[i].addr >= MAX_ADDRESS)
            continue;
        map[in] = map[i];
        map[in].size = min(map[in].size, MAX_ADDRESS - map[in].addr);
        in++;
    }
    for (; addr < MAX_ADDRESS; addr = end) {
        uint32_t type = piece_at(map, in, addr, &end);

        if (!type)
            continue;
        if (n && scratch[n - 1].type == type &&
            scratch[n - 1].addr + scratch[n - 1].size == addr) {
            scratch[n - 1].size = end - scratch[n - 1].addr;
            continue;
        }
        if (n == min(capacity, (unsigned int)BOOT_E820_MAX))
            break;
        scratch[n++] = (struct e820_entry){addr, end - addr, type};
    }
    memcpy(map, scratch, n * sizeof(*map));
    return n;
}
