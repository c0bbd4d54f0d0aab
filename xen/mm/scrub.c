/* Free memory is cleared while a CPU is idle. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain's memory must be zero when it gets it; clearing it at that time is most of
 * what the creation of a guest costs. So idle CPUs make cleared 2 MiB blocks beforehand,
 * one at a time and in pieces, between which interrupts are taken; a block is given up
 * when there is other work.
 */
#include "mm/scrub.h"
#include "boot/options.h"
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "mm/frame.h"
#include "lib/string.h"

static bool opt_scrub = true;
option_bool("idle-scrub", opt_scrub, "clear free memory while CPUs are idle");

static bool started;

void scrub_start(void)
{
    WRITE_ONCE(started, opt_scrub);
}

bool scrub_free_memory(void)
{
    unsigned int cpu = this_cpu()->id;
    uint32_t done;
    mfn_t m;

    if (!READ_ONCE(started) || READ_ONCE(this_cpu()->need_resched))
        return false;
    m = frame_scrub_begin(cpu, &done);
    if (!mfn_valid_number(m))
        return false;
    while (done < PAGE_SIZE << ORDER_2M && !READ_ONCE(this_cpu()->need_resched)) {
        clear_page((char *)mfn_to_virt(m) + done);
        done += PAGE_SIZE;
        irq_window();
    }
    frame_scrub_end(cpu, done);
    return true;
}
