/* The time stamp counter of the tests. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_CPU_TIME_H
#define FAKE_CPU_TIME_H

#define rdtsc machine_rdtsc
#include_next "cpu/time.h"
#undef rdtsc
#define rdtsc fake_rdtsc
uint64_t fake_rdtsc(void);

#endif
