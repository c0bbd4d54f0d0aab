/*
 * The guest's firmware image: found, read and checked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TOOLS_FIRMWARE_H
#define TOOLS_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

#include "failure.h"

struct firmware {
    uint8_t *data;
    size_t bytes; /* a multiple of 4 KiB, at most LAYOUT_ROM_MAX */
};

/* "seabios" to the file that the distribution installs; a path stays. NULL: not found. */
const char *firmware_path(const char *name);
int firmware_load(const char *path, struct firmware *rom, struct failure *f);
void firmware_free(struct firmware *rom);

#endif
