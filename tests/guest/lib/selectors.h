/*
 * Selectors of the test kernels' GDT, shared by C and assembly.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_SELECTORS_H
#define GUEST_SELECTORS_H

#define SEL_CODE32      0x08
#define SEL_CODE64      0x10
#define SEL_DATA        0x18
#define SEL_USER_DATA   0x23
#define SEL_USER_CODE64 0x2b
#define SEL_NOT_PRESENT 0x30
#define SEL_USER_CODE32 0x3b
#define SEL_TSS(cpu)    (0x40 + (cpu)*16)

#define MAX_CPUS 32

#endif
