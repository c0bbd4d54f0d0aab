/* I/O requests to device models. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A vCPU that touches a port or a page that no one in the hypervisor claims asks the
 * ioreq server that registered the range, and blocks in its own stack until the answer is
 * there.
 *
 * Ownership of a vCPU's slot in the shared page (public/hvm/ioreq.h), by `state`:
 *   NONE       hypervisor: may fill it
 *   READY      server: may read it
 *   INPROCESS  server: works on it, writes data
 *   RESP_READY hypervisor: reads data once, then NONE
 */
#ifndef CORBEL_HVM_IOREQ_H
#define CORBEL_HVM_IOREQ_H

#include "hvm/hvm.h"
#include <xen/hvm/ioreq.h>

int ioreq_domain_init(struct domain *d);
void ioreq_domain_destroy(struct domain *d); /* all servers; wakes waiting vCPUs */
void ioreq_domain_free(struct domain *d);    /* the last of it, when nobody refers to d */
int ioreq_vcpu_init(struct vcpu *v);
void ioreq_vcpu_destroy(struct vcpu *v);

/* Port I/O (dir read: *data is the result). Blocks. -EINTR when the domain dies: unwind
 * to the exit loop; the instruction has not happened. Unclaimed reads give all ones. */
int ioreq_port(struct vcpu *v, uint16_t port, unsigned int bytes, bool write,
               uint64_t *data);
/* `count` string iterations on guest-physical memory `gpa` (data_is_ptr); *count: done.
 */
int ioreq_port_rep(struct vcpu *v, uint16_t port, unsigned int bytes, bool write,
                   uint64_t gpa, bool down, uint32_t *count);
int ioreq_mmio(struct vcpu *v, uint64_t gpa, unsigned int bytes, bool write,
               uint64_t *data);
int ioreq_mmio_rep(struct vcpu *v, uint64_t gpa, unsigned int bytes, bool write,
                   uint64_t ram_gpa, bool down, uint32_t *count);
/* Is there a server for this? Unclaimed MMIO needs no request. */
bool ioreq_mmio_claimed(struct domain *d, uint64_t gpa, unsigned int bytes);
/* Tell all servers: mappings of guest memory changed (IOREQ_TYPE_INVALIDATE), time
 * offset. */
void ioreq_broadcast(struct domain *d, uint8_t type, uint64_t data);

/* For dm_op and hvm params; `caller` is the domain the server belongs to. */
int ioreq_server_create(struct domain *d, struct domain *caller, unsigned int bufioreq,
                        uint16_t *id);
int ioreq_server_destroy(struct domain *d, struct domain *caller, uint16_t id);
int ioreq_server_info(struct domain *d, struct domain *caller, uint16_t id,
                      uint64_t *ioreq_gfn, uint64_t *bufioreq_gfn,
                      uint32_t *bufioreq_port, bool want_gfns);
/* type: XEN_DMOP_IO_RANGE_*; start, end inclusive (PCI: sbdf). */
int ioreq_server_map_range(struct domain *d, struct domain *caller, uint16_t id,
                           uint32_t type, uint64_t start, uint64_t end);
int ioreq_server_unmap_range(struct domain *d, struct domain *caller, uint16_t id,
                             uint32_t type, uint64_t start, uint64_t end);
int ioreq_server_set_state(struct domain *d, struct domain *caller, uint16_t id,
                           bool enabled);
int ioreq_server_map_mem_type(struct domain *d, struct domain *caller, uint16_t id,
                              uint16_t type, uint32_t flags);
/* Frames for XENMEM_acquire_resource (XENMEM_resource_ioreq_server): frame index 0 is the
 * buffered page, 1 and up the synchronous ones. */
int ioreq_server_get_frame(struct domain *d, struct domain *caller, uint16_t id,
                           unsigned int index, mfn_t *mfn);
bool ioreq_pending(struct domain *d); /* any vCPU waits for a device model */

#endif
