/* Keys for the hypervisor itself. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_KEYHANDLER_H
#define CORBEL_LIB_KEYHANDLER_H

#include "lib/console.h"

/* Register the keys of this file and those of cpu/ and mm/. */
void keyhandler_init(void);

#endif
