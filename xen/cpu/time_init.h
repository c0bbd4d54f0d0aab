/* Bringing up time; the timer interrupt. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_TIME_INIT_H
#define CORBEL_CPU_TIME_INIT_H

#include "cpu/time.h"
#include "cpu/percpu.h"

/* Before anything is known: system time from a guessed frequency, for early messages. */
void time_init_early(void);
/* Calibrate the TSC and the local APIC's timer; read the CMOS clock. */
void time_init(void);

int timers_init_cpu(struct percpu *p); /* -ENOMEM */
void timers_run(void);                 /* from the timer interrupt */
unsigned int timers_armed(unsigned int cpu);

/* Days since 1970-01-01 of a date in the Gregorian calendar; month 1-12. */
int64_t days_from_civil(int year, unsigned int month, unsigned int day);

#endif
