/* The console: serial port and screen out, keyboard in, ring of recent messages.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_CONSOLE_H
#define CORBEL_LIB_CONSOLE_H

#include "lib/types.h"

void console_init(void);     /* after options_parse(): ports and screen of `console=` */
void console_init_irq(void); /* interrupts work: input, and output without waiting */
/* Dom0 starts: the screen is its own now. Memory that it gets is not touched any more. */
void console_end_boot(void);

/* Output of a guest through CONSOLEIO_write. Dom0's goes out as it is; of others, lines
 * with the domain's id in front, at a limited rate. */
void console_write_guest(const char *buf, size_t n, uint16_t domid);
/* What was typed for Dom0: bytes copied to buf. VIRQ_CONSOLE says that there is some. */
int console_read(char *buf, size_t n);

/* The last 64 KiB of messages. Copies at most `size` bytes to `buf`, starting with
 * message byte `*index` (counted since boot, modulo 2^32), or with the oldest one kept if
 * that is later; `*index` is then where to go on. `clear` forgets what is there. Returns
 * bytes. */
size_t console_ring_read(char *buf, size_t size, bool clear, uint32_t *index);

/* Functions of the hypervisor's own keyboard (Ctrl-A three times switches to it) and of
 * XEN_SYSCTL_debug_keys. `help` is one line. Called with interrupts off, no lock held, on
 * the vCPU or timer that saw the key. */
void keyhandler_register(char key, void (*fn)(char key), const char *help);
void keyhandler_run(char key);

/* The serial port is the hypervisor's own: Dom0 may neither touch the ports nor get the
 * interrupt. */
bool console_owns_port(uint16_t port);
bool console_owns_gsi(unsigned int gsi);

/* From now on each write waits until it is out, and no lock is taken: for panic(). */
void console_force_sync(void);
/* Nobody is printing: an NMI handler may. */
bool console_is_free(void);
/* Wait until all output left the machine. */
void console_flush(void);

#endif
