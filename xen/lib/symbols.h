/* Names of our own functions, for dumps. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_SYMBOLS_H
#define CORBEL_LIB_SYMBOLS_H

#include "lib/types.h"

/* "function+0x12" for an address in the hypervisor's text; false if it is none. */
bool symbol_name(const void *p, char *buf, size_t size);
bool is_text(uint64_t address);

#endif
