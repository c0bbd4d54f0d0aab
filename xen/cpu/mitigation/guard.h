/* Offsets in struct hvm_spec, behind the general registers in struct hvm_vcpu, as the
 * assembler code of guard.inc uses them. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_CPU_MITIGATION_GUARD_H
#define CORBEL_CPU_MITIGATION_GUARD_H

#define SPEC_GUEST_CTRL 0x90
#define SPEC_MSR_PASSED 0x94
#define SPEC_EXIT_IBPB  0x95

#endif
