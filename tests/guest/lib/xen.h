/*
 * Hypercalls of the test kernels: one thin function for each, over the page that Xen
 * fills in. All return Xen's value: 0 or more, or a negative errno.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_XEN_H
#define GUEST_XEN_H

#include "kit.h"

#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/hvm_vcpu.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/features.h>
#include <xen/vcpu.h>
#include <xen/version.h>

extern char hypercall_page[];

/* Any hypercall by number. */
static inline long hypercall(uint32_t nr, uint64_t a1, uint64_t a2, uint64_t a3,
                             uint64_t a4, uint64_t a5)
{
    register uint64_t r10 asm("r10") = a4;
    register uint64_t r8 asm("r8") = a5;
    long result;

    asm volatile("call *%[stub]"
                 : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                 : [stub] "r"(hypercall_page + nr * 32ul)
                 : "memory", "rcx", "r11");
    return result;
}

#define PTR(p) ((uint64_t)(uintptr_t)(p))

static inline long xen_version_op(uint32_t cmd, void *arg)
{
    return hypercall(__HYPERVISOR_xen_version, cmd, PTR(arg), 0, 0, 0);
}
static inline long console_io(uint32_t cmd, uint32_t count, void *buffer)
{
    return hypercall(__HYPERVISOR_console_io, cmd, count, PTR(buffer), 0, 0);
}
static inline long sched_op(uint32_t cmd, void *arg)
{
    return hypercall(__HYPERVISOR_sched_op, cmd, PTR(arg), 0, 0, 0);
}
static inline long evtchn_op(uint32_t cmd, void *arg)
{
    return hypercall(__HYPERVISOR_event_channel_op, cmd, PTR(arg), 0, 0, 0);
}
static inline long memory_op(uint32_t cmd, void *arg)
{
    return hypercall(__HYPERVISOR_memory_op, cmd, PTR(arg), 0, 0, 0);
}
static inline long vcpu_op(uint32_t cmd, uint32_t vcpu, void *arg)
{
    return hypercall(__HYPERVISOR_vcpu_op, cmd, vcpu, PTR(arg), 0, 0);
}
static inline long hvm_op(uint32_t cmd, void *arg)
{
    return hypercall(__HYPERVISOR_hvm_op, cmd, PTR(arg), 0, 0, 0);
}
static inline long physdev_op(uint32_t cmd, void *arg)
{
    return hypercall(__HYPERVISOR_physdev_op, cmd, PTR(arg), 0, 0, 0);
}
static inline long grant_table_op(uint32_t cmd, void *array, uint32_t count)
{
    return hypercall(__HYPERVISOR_grant_table_op, cmd, PTR(array), count, 0, 0);
}
static inline long set_timer_op(uint64_t absolute_ns)
{
    return hypercall(__HYPERVISOR_set_timer_op, absolute_ns, 0, 0, 0, 0);
}
static inline long multicall(struct multicall_entry *entries, uint32_t count)
{
    return hypercall(__HYPERVISOR_multicall, PTR(entries), count, 0, 0, 0);
}

/* ---- xen.c ---- */
/* Find the CPUID leaves and let Xen fill the hypercall page. */
void xen_init(void);
/* Map shared_info (once) and return it. */
struct shared_info *xen_shared_info(void);
/* Value of an HVM parameter of our own domain, or ~0. */
uint64_t hvm_param_get(uint32_t index);
long hvm_param_set(uint32_t index, uint64_t value);
/* System time as Xen's time records of a vCPU give it, in ns. */
uint64_t xen_system_time(const struct vcpu_time_info *time);

#endif
