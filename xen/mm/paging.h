/* The hypervisor's own page tables. SPDX-License-Identifier: GPL-2.0-or-later
 *
 *   0xffff800000000000  direct map of RAM and of what lies below 4 GiB
 *   0xffff900000000000  frame table
 *   0xffffa00000000000  MMIO mappings, never unmapped
 *   0xffffb00000000000  stacks with guard pages
 *   0xffffc00000000000  code made at run time, a page per CPU: r-x
 *   0xffffffff80000000  the image: text r-x, constants r--, data rw-
 */
#ifndef CORBEL_MM_PAGING_H
#define CORBEL_MM_PAGING_H

#include "mm/frame.h"

#define FRAMETABLE_BASE 0xffff900000000000ul
#define MMIO_BASE       0xffffa00000000000ul
#define MMIO_END        0xffffb00000000000ul
#define STACKS_BASE     0xffffb00000000000ul
#define STACKS_END      0xffffc00000000000ul
#define CODE_BASE       0xffffc00000000000ul

#define PTE_P    BIT(0)
#define PTE_W    BIT(1)
#define PTE_PWT  BIT(3)
#define PTE_PCD  BIT(4)
#define PTE_A    BIT(5)
#define PTE_D    BIT(6)
#define PTE_PS   BIT(7) /* in level 2 and 3 entries */
#define PTE_PAT  BIT(7) /* in level 1 entries */
#define PTE_G    BIT(8)
#define PTE_NX   BIT(63)
#define PTE_ADDR 0x000ffffffffff000ul

/* What MSR_PAT says on all CPUs: entries 0-3 as after reset, 4 is write-combining. */
#define HOST_PAT 0x0007050100070406ul

/* Build the final tables and move the image to its final place at `image`. */
void paging_init(uint64_t load_address, uint64_t image);
/* Value of CR3 on all CPUs, and the bits of CR4 that all have. */
extern uint64_t hypervisor_cr3, hypervisor_cr4;
void paging_init_cpu(void);

/* As map_mmio() (mm/frame.h), write-combining: for frame buffers. */
void *map_mmio_wc(uint64_t maddr, size_t bytes);
/* Identity-map the first 2 MiB executable, for CPUs that start; and take it away. */
void paging_map_trampoline(bool on);

/* Map a page of RAM executable and read-only, in slot n of CODE_BASE; NULL if there is no
 * memory for tables. The direct map shows it as before: writable, not executable. */
const void *map_code(uint64_t maddr, unsigned int n);

/* A stack of 2^order pages, cleared, with an unmapped page below it. Lowest address. */
void *stack_alloc(unsigned int order);
void stack_free(void *stack, unsigned int order);
/* Is this the guard page of a stack? */
bool stack_guard_hit(uint64_t address);

#endif
