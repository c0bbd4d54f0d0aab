/*
 * Firmware images of the distribution: where they are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FIRMWARE_LOOKUP_H
#define FIRMWARE_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Find a file: a name with a slash as it is, any other on the package paths.  0, -ENOENT,
 * -ENAMETOOLONG.
 */
int firmware_find(const char *file, char *path, size_t path_bytes);
/* Find and read a whole file into memory that the caller frees.  -EFBIG above `most`. */
int firmware_read_file(const char *file, size_t most, uint8_t **data, size_t *bytes);
/*
 * The BIOS image to use when none is named: SeaBIOS of the package.
 */
int firmware_find_bios(char *path, size_t path_bytes);

#endif
