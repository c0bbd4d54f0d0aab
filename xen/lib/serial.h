/* NS16550 serial port of the console. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_SERIAL_H
#define CORBEL_LIB_SERIAL_H

#include "lib/types.h"

/* Set up COM1 (n = 1) or COM2 with its option's parameters: false if there is none. */
bool serial_init(unsigned int n);
/* Output; never waits when interrupts work and the buffer has room. The console's lock is
 * held, or the machine panics. */
void serial_write(const char *s, size_t n);
void serial_init_irq(void);
void serial_interrupt(void); /* VECTOR_SERIAL */
void serial_force_sync(void);
void serial_flush(void);
bool serial_is_busy(void); /* someone is in serial_write() */
bool serial_owns_port(uint16_t port);
bool serial_owns_gsi(unsigned int gsi);

/* In console.c: characters came. No lock is held. */
void console_input(const char *s, size_t n);

#endif
