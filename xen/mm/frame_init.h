/* Filling the frame table at boot. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_MM_FRAME_INIT_H
#define CORBEL_MM_FRAME_INIT_H

#include "mm/frame.h"

/* Frame table, free lists and their contents from boot_info and the early allocator. */
void frame_init(void);

/* The parts of it, for tests: empty lists, then each range of frames once. The table is
 * FRAME_RESERVED all over before. */
void frame_init_lists(void);
void frame_init_range(uint64_t start, uint64_t end, enum frame_state state);

#endif
