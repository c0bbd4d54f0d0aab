/* Handling of VM exits. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HVM_EXIT_H
#define CORBEL_HVM_EXIT_H

#include "hvm/hvm.h"

/* Do what the guest's exit asks for. May block. */
void hvm_vmexit(struct vcpu *v, const struct vmexit *exit);

/* Length of the current instruction if it is `which`; 0 if not (the guest changed its
 * code meanwhile, or a page is gone): then an exception is queued, or the instruction
 * runs again. */
unsigned int hvm_insn_len(struct vcpu *v, enum emul_known_insn which,
                          struct emul_insn_regs *regs);

/* Emulate the current instruction and do what follows from its result
 * (hvm/emulate_guest.c). */
void hvm_emulate(struct vcpu *v);
/* The same behind a forced emulation prefix of `prefix` bytes at RIP. */
void hvm_emulate_forced(struct vcpu *v, unsigned int prefix);

/* An event went through a task gate of the IDT: switch to the task of TSS `sel`. len:
 * bytes of the instruction that asked for it, 0: none did; *error: the error code to
 * push, or NULL. */
void hvm_task_gate(struct vcpu *v, uint16_t sel, unsigned int len, const uint32_t *error);

/* Port and MMIO access of the guest: in the hypervisor, or by a device model. -EINTR: the
 * domain dies, unwind. */
int hvm_port_access(struct vcpu *v, uint16_t port, unsigned int bytes, bool write,
                    uint32_t *val);
int hvm_mmio_access(struct vcpu *v, uint64_t gpa, unsigned int bytes, bool write,
                    uint64_t *val);

/* Dom0 touched a machine address that is not mapped: true if it is now, and the
 * instruction runs again (domain/dom0_build.c). */
bool dom0_map_mmio(struct domain *d, gfn_t gfn);

#endif
