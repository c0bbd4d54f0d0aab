/* NMIs: watchdog, stopping the other CPUs in a panic.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_NMI_H
#define CORBEL_CPU_NMI_H

#include "cpu/traps.h"

void nmi_handle(struct trap_frame *f);
/* Stop all other CPUs for good; for panic() and reboot. */
void nmi_stop_others(void);
/* A panic begins: messages go out at once, and this CPU is the one that says them. */
void panic_begin(void);
/* Option watchdog: called when timers work. */
void watchdog_init(void);

#endif
