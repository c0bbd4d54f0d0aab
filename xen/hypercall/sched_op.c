/* sched_op: yield, block, poll, shutdown, watchdogs (public/sched.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/abi.h"
#include "hypercall/hypercall.h"
#include "cpu/percpu.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include "hvm/platform.h"
#include "lib/printk.h"
#include <xen/event_channel.h>
#include <xen/sched.h>

#define POLL_PORTS_MAX 128

/* Has the vCPU a reason to run again? Whether it takes interrupts now is its business: a
 * caller of SCHEDOP_block may have them off. */
static bool has_event(struct vcpu *v)
{
    return evtchn_upcall_pending(v) || v->hvm->nmi_pending || v->hvm->init_pending ||
           v->hvm->sipi_pending || hvm_interrupt_pending(v) || vcpu_should_stop(v);
}

static long block(struct vcpu *v)
{
    v->info->evtchn_upcall_mask = 0;
    while (!has_event(v))
        if (vcpu_block_interruptible())
            break;
    return 0;
}

/* A 32-bit caller's struct sched_poll. */
struct compat_sched_poll {
    uint32_t ports, nr_ports;
    uint64_t timeout;
};

static long read_poll(struct hcall *c, uint64_t *ports, uint32_t *nr, uint64_t *timeout)
{
    struct compat_sched_poll small;
    struct sched_poll arg;

    if (c->compat) {
        if (copy_from_guest(&small, c->arg[1], sizeof(small)))
            return -EFAULT;
        *ports = small.ports;
        *nr = small.nr_ports;
        *timeout = small.timeout;
        return 0;
    }
    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    *ports = HANDLE(arg.ports);
    *nr = arg.nr_ports;
    *timeout = arg.timeout;
    return 0;
}

static bool any_pending(struct domain *d, const uint32_t *ports, unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++)
        if (evtchn_port_pending(d, ports[i]))
            return true;
    return false;
}

static long poll(struct hcall *c)
{
    struct vcpu *v = c->v;
    struct domain *d = v->domain;
    uint32_t ports[POLL_PORTS_MAX], nr;
    uint64_t handle, timeout;
    long rc = read_poll(c, &handle, &nr, &timeout);

    if (rc)
        return rc;
    if (nr > POLL_PORTS_MAX)
        return -EINVAL;
    if (copy_from_guest(ports, handle, nr * sizeof(ports[0])))
        return -EFAULT;
    for (unsigned int i = 0; i < nr; i++)
        if (!evtchn_port_exists(d, ports[i]))
            return -EINVAL;
    evtchn_poll_begin(v, nr == 1 ? ports[0] : 0);
    if (timeout)
        timer_set(&v->poll_timer, timeout);
    while (!any_pending(d, ports, nr) && !has_event(v)) {
        if (timeout && now_ns() >= (ns_t)timeout)
            break;
        if (vcpu_block_interruptible())
            break;
    }
    if (timeout)
        timer_stop(&v->poll_timer);
    evtchn_poll_end(v);
    return 0;
}

static long shutdown(struct hcall *c)
{
    struct abi_domain *abi = c->v->domain->abi;
    struct sched_shutdown arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (abi && abi->shutdown_code >= 0) /* told before: SCHEDOP_shutdown_code */
        arg.reason = abi->shutdown_code;
    domain_shutdown(c->v->domain, (uint8_t)arg.reason);
    return 0;
}

static long shutdown_code(struct hcall *c)
{
    struct abi_domain *abi = abi_of(c->v->domain);
    struct sched_shutdown arg;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (!abi)
        return -ENOMEM;
    abi->shutdown_code = (uint8_t)arg.reason;
    return 0;
}

static long remote_shutdown(struct hcall *c)
{
    struct sched_remote_shutdown arg;
    struct domain *d;
    int rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    rc = hcall_remote(c, arg.domain_id, &d);
    if (rc)
        return rc;
    domain_shutdown(d, (uint8_t)arg.reason);
    domain_put(d);
    return 0;
}

/*
 * Watchdogs: two per domain; one that is not kicked in time ends it
 */

static void watchdog_fired(void *opaque)
{
    struct domain *d = opaque;

    printk_guest("Domain %u: watchdog fired\n", d->id);
    domain_shutdown(d, SHUTDOWN_watchdog);
}

static long watchdog_start(struct domain *d, struct abi_domain *abi, ns_t timeout)
{
    long id = -ENOSPC;

    spin_lock(&abi->watchdog_lock);
    for (unsigned int i = 0; i < ABI_WATCHDOGS; i++) {
        if (abi->watchdog_inuse & BIT(i))
            continue;
        abi->watchdog_inuse |= BIT(i);
        if (!abi->watchdog[i].fn)
            timer_init(&abi->watchdog[i], watchdog_fired, d);
        timer_set(&abi->watchdog[i], now_ns() + timeout);
        id = i + 1;
        break;
    }
    spin_unlock(&abi->watchdog_lock);
    return id;
}

static long watchdog(struct hcall *c)
{
    struct abi_domain *abi = abi_of(c->v->domain);
    struct sched_watchdog arg;
    unsigned int i;
    long rc = 0;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (!abi)
        return -ENOMEM;
    if (arg.id == 0) /* a time of 0 is over at once */
        return watchdog_start(c->v->domain, abi, arg.timeout * NS_PER_S);
    i = arg.id - 1;
    if (i >= ABI_WATCHDOGS)
        return -EINVAL;
    spin_lock(&abi->watchdog_lock);
    if (!(abi->watchdog_inuse & BIT(i))) {
        rc = -EINVAL;
    } else if (arg.timeout) {
        timer_set(&abi->watchdog[i], now_ns() + arg.timeout * NS_PER_S);
    } else {
        timer_stop(&abi->watchdog[i]);
        abi->watchdog_inuse &= ~BIT(i);
    }
    spin_unlock(&abi->watchdog_lock);
    return rc;
}

/* Dom0's kernel wants to run something on a certain CPU (firmware calls). */
static long pin_override(struct hcall *c)
{
    static uint64_t saved[MAX_GUEST_VCPUS]; /* 0: not overridden; Dom0's own vCPUs */
    struct vcpu *v = c->v;
    struct sched_pin_override arg;
    uint64_t old = saved[v->id];
    int rc;

    if (copy_from_guest(&arg, c->arg[1], sizeof(arg)))
        return -EFAULT;
    if (arg.pcpu < 0) {
        if (!old)
            return -EINVAL;
        rc = vcpu_set_affinity(v, old, v->soft_affinity);
        saved[v->id] = 0;
    } else {
        if (arg.pcpu >= (int)nr_cpus)
            return -EINVAL;
        if (old)
            return -EBUSY;
        saved[v->id] = v->hard_affinity;
        rc = vcpu_set_affinity(v, BIT(arg.pcpu), v->soft_affinity);
    }
    if (!rc)
        vcpu_yield(); /* goes where it now belongs */
    return rc;
}

long do_sched_op(struct hcall *c)
{
    switch ((uint32_t)c->arg[0]) {
    case SCHEDOP_yield:
        vcpu_yield();
        return 0;
    case SCHEDOP_block:
        return block(c->v);
    case SCHEDOP_shutdown:
        return shutdown(c);
    case SCHEDOP_poll:
        return poll(c);
    case SCHEDOP_remote_shutdown:
        return remote_shutdown(c);
    case SCHEDOP_shutdown_code:
        return shutdown_code(c);
    case SCHEDOP_watchdog:
        return watchdog(c);
    case SCHEDOP_pin_override:
        return pin_override(c);
    }
    return -ENOSYS;
}
