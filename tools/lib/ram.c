/*
 * Where a guest's RAM is, and in which sizes it is asked for.
 *
 * The frames behind the VGA window stay empty, so that accesses there reach the device
 * model; hence the first 2 MiB are single pages and everything else is as large as its
 * alignment allows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "../../firmware/layout.h"
#include "domain.h"

#define FRAME_SHIFT 12
#define ORDER_2M    9
#define ORDER_1G    18

unsigned ram_layout(uint64_t bytes, struct ram_range range[RAM_RANGES])
{
    uint64_t low = bytes < LAYOUT_LOW_RAM_MAX ? bytes : LAYOUT_LOW_RAM_MAX;

    range[0] = (struct ram_range){0, LAYOUT_VGA_BASE >> FRAME_SHIFT};
    range[1] = (struct ram_range){LAYOUT_VGA_END >> FRAME_SHIFT, low >> FRAME_SHIFT};
    if (bytes == low)
        return 2;
    range[2].first = LAYOUT_HIGH_RAM_BASE >> FRAME_SHIFT;
    range[2].end = range[2].first + ((bytes - low) >> FRAME_SHIFT);
    return 3;
}

uint64_t ram_run(uint64_t first, uint64_t end, unsigned *order)
{
    static const unsigned orders[] = {ORDER_1G, ORDER_2M};

    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        uint64_t frames = 1ull << orders[i];
        if (first % frames == 0 && end - first >= frames) {
            *order = orders[i];
            return (end - first) / frames;
        }
    }
    *order = 0;
    /* Single pages only up to where a larger one can start. */
    uint64_t frames = 1ull << ORDER_2M;
    uint64_t border = (first + frames) & ~(frames - 1);
    if (border < end && end - border >= frames)
        end = border;
    return end - first;
}
