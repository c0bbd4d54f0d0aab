/* Hypercalls. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One file per hypercall; hypercall/table.c says for each hypercall and sub-op who may
 * call it. Arguments are those of the public ABI (registers rdi, rsi, rdx, r10, r8;
 * 32-bit guests use ebx, ecx, edx, esi, edi and the compat layouts where those differ).
 */
#ifndef CORBEL_HYPERCALL_HYPERCALL_H
#define CORBEL_HYPERCALL_HYPERCALL_H

#include "hvm/hvm.h"

/* Called by the exit path with the registers of the current vCPU: reads number and
 * arguments, checks the right to call, writes RAX. CPL and mode were checked by the
 * caller (CPL 0, or -EPERM); code64: the registers are those of 64-bit code. Does not
 * step RIP. May block. */
void hypercall_dispatch(struct vcpu *v, bool code64);

/* Fill a page with the stubs that a guest calls (MSR 0x40000000). `insn` is the vendor's
 * 3-byte VMMCALL or VMCALL. */
void hypercall_page_fill(void *page, const uint8_t insn[3]);

/* The guest set up its hypercall page or its callback: from now on the shared info page
 * has the layout of the mode that v is in (32 or 64 bits). */
void hypercall_latch_layout(struct vcpu *v);

/* d is shut down for suspend and a tool asked to be told by a port of d's
 * (XEN_DOMCTL_subscribe): tell it, return true. */
bool hypercall_notify_suspend(struct domain *d);

/* Timers that the domain set stop: when it dies. */
void hypercall_domain_stop(struct domain *d);
/* Free what is left: with the last reference. */
void hypercall_domain_free(struct domain *d);

#endif
