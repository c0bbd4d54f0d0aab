/* Machine MSRs of the tests: there are none. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_CPU_X86_H
#define FAKE_CPU_X86_H

#define rdmsr_safe machine_rdmsr_safe
#define wrmsr_safe machine_wrmsr_safe
#include_next "cpu/x86.h"
#undef rdmsr_safe
#undef wrmsr_safe
#define rdmsr_safe fake_rdmsr
#define wrmsr_safe fake_wrmsr

static inline int fake_rdmsr(uint32_t msr, uint64_t *val)
{
    *val = 0;
    return -1;
}
static inline int fake_wrmsr(uint32_t msr, uint64_t val)
{
    return 0;
}

#endif
