/* Free memory is cleared while a CPU is idle. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_MM_SCRUB_H
#define CORBEL_MM_SCRUB_H

#include "lib/types.h"

/* Dom0 has its memory: from now on free memory may be cleared. */
void scrub_start(void);

/* From the idle loop, with no lock held: clear one block, taking interrupts meanwhile.
 * False: there is nothing to clear, or other work waits. */
bool scrub_free_memory(void);

#endif
