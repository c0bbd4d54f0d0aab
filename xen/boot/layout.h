/* Where the image is linked. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The image is one 2 MiB aligned block. Loaders put it at LOAD_ADDRESS, or anywhere below
 * 4 GiB if they honour the relocation tag; boot/relocate.c moves it to the top of the
 * memory below 4 GiB. Its virtual address is always IMAGE_VIRT.
 */
#ifndef CORBEL_BOOT_LAYOUT_H
#define CORBEL_BOOT_LAYOUT_H

#define LOAD_ADDRESS 0x200000
#define IMAGE_VIRT   0xffffffff80000000
#define IMAGE_ALIGN  0x200000

#define BOOT_STACK_SIZE 16384

#endif
