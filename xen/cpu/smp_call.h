/* Calls between CPUs: the receiving side. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_SMP_CALL_H
#define CORBEL_CPU_SMP_CALL_H

#include "cpu/smp.h"

/* Run what another CPU asked this one for, if anything. */
void smp_call_serve(void);
/* Let the other CPUs, which wait since smp_start_all(), go to their idle loops. */
void smp_release_others(void);

#endif
