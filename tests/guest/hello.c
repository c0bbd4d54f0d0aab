/*
 * The smallest test kernel: it boots, prints, counts its CPUs' worth of output lines and
 * powers off. If this fails nothing else is worth a look. SPDX-License-Identifier:
 * GPL-2.0-or-later
 */
#include "kit.h"

const char test_title[] = "hello";

void test_main(void)
{
    struct cpuid vendor = cpuid(0, 0);

    print("Hello from a bare-metal kernel.\n");
    check(read_cr0() & CR0_PG, "paging is on");
    check(rdmsr(MSR_EFER) & EFER_LMA, "the CPU is in long mode");
    check(vendor.eax >= 1, "CPUID answers");
}
