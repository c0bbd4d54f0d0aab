/* First register state of a vCPU. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_HYPERCALL_VCPU_HVM_H
#define CORBEL_HYPERCALL_VCPU_HVM_H

#include "domain/domain.h"

struct vcpu_hvm_context;

/* Check and set (VCPUOP_initialise). v does not run. -EINVAL. */
int vcpu_set_hvm_context(struct vcpu *v, const struct vcpu_hvm_context *context);

#endif
