/* Messages: console ring, serial port, screen. SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_LIB_PRINTK_H
#define CORBEL_LIB_PRINTK_H

#include "lib/types.h"

/* Formats as C's printf (d i u x X p s c % with l, ll, z, widths, flags, precision), and
 * %pS: an address of our own text as symbol+offset. */
void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprintk(const char *format, va_list ap);

/* Messages that a guest can cause: at most a few a second. */
void printk_guest(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The hypervisor itself is broken: dump and stop or reboot the machine (option noreboot).
 */
__noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define BUG_ON(cond)                                                                     \
    do {                                                                                 \
        if (unlikely(cond))                                                              \
            panic("BUG: %s at %s:%d", #cond, __FILE__, __LINE__);                        \
    } while (0)

#endif
