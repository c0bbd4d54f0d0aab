/* Parts of Dom0's construction. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_DOMAIN_DOM0_BUILD_H
#define CORBEL_DOMAIN_DOM0_BUILD_H

#include "boot/boot.h"
#include "domain/domain.h"

/* Dom0's ACPI tables: the machine's, with our own MADT (only `vcpus` processors, no PICs)
 * and without the tables of what the hypervisor keeps (DMAR, IVRS). Written to `buf`,
 * which Dom0 sees at `gpa`; returns the RSDP's address, or 0 if `bytes` are too few. */
uint64_t dom0_acpi_build(void *buf, size_t bytes, uint64_t gpa, unsigned int vcpus);

/* Load an ELF kernel (32 or 64 bit) with a PHYS32_ENTRY note into Dom0's identity-mapped
 * RAM. *entry: where it starts, *end: one more than its highest address. -EINVAL with a
 * message. */
int dom0_load_elf(struct domain *d, const void *image, size_t bytes, uint32_t *entry,
                  uint64_t *end);

/* Fill the I/O permission map of Dom0, which has its platform already. -ENOMEM, -ENOSPC.
 */
int dom0_open_ports(struct domain *d);

#endif
