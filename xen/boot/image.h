/* Bounds of the hypervisor's image, as the linker script sets them.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_BOOT_IMAGE_H
#define CORBEL_BOOT_IMAGE_H

#include "lib/types.h"
#include "boot/boot.h"
#include "boot/layout.h"

extern const char text_start[], text_end[], rodata_end[], image_virt_end[];
extern const char boot_stack_guard[]; /* a page that is not mapped */

/* Addresses of different symbols may be compared as numbers only. */
#define ADDRESS(symbol) ((uintptr_t)(symbol))

static inline uint64_t image_bytes(void)
{
    return ADDRESS(image_virt_end) - IMAGE_VIRT;
}

/* Machine address of something in the image. */
static inline uint64_t image_to_maddr(const void *p)
{
    return ADDRESS(p) - IMAGE_VIRT + boot_info.image_start;
}

#endif
