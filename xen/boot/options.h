/* The command line parser. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_BOOT_OPTIONS_H
#define CORBEL_BOOT_OPTIONS_H

#include "boot/boot.h"

/* Parse `line` with the given table. Called once for each thing that is wrong:
 * complain(option text, why). */
void options_parse_table(const char *line, const struct option *first,
                         const struct option *end,
                         void (*complain)(const char *text, const char *why));
/* Of the hypervisor's own command line; what is wrong is kept for options_report(). */
void options_parse(const char *line);
void options_report(void); /* once the console works */

/* "64M", "0x1000", "2G", "512K", "1T"; no suffix: `unit` bytes. -EINVAL. */
int parse_size(const char *s, uint64_t unit, uint64_t *bytes);
/* on/yes/true/1/enable, off/no/false/0/disable: 1, 0, or -EINVAL. */
int parse_bool(const char *s);

#endif
