/* The tests' one CPU, in place of per-CPU data behind GS. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#ifndef CORBEL_CPU_PERCPU_H
#define CORBEL_CPU_PERCPU_H

#include "lib/types.h"

struct vcpu;
struct percpu {
    unsigned int id;
};
extern struct percpu fake_cpu;
extern struct vcpu *fake_current;

static inline struct percpu *this_cpu(void)
{
    return &fake_cpu;
}
#define current fake_current

#endif
