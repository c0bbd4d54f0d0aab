/* vcpu_op, set_timer_op, vm_assist: life of vCPUs, PV timers, areas they register
 * (public/vcpu.h). SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/abi.h"
#include "hypercall/pvclock.h"
#include "hypercall/vcpu_hvm.h"
#include "hypercall/vcpu_timer.h"
#include "cpu/percpu.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include <xen/hvm/hvm_vcpu.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

#define PERIOD_MIN_NS (NS_PER_MS)
/* A one-shot farther away than this is a guest's "never" gone wrong; fire soon, so that
 * it thinks again. Linux has been seen to do that. */
#define TIMEOUT_SANE_NS  (1ll << 50)
#define TIMEOUT_AGAIN_NS (100 * NS_PER_MS)

static void singleshot_fired(void *opaque)
{
    evtchn_send_virq(opaque, VIRQ_TIMER);
}

static void periodic_fired(void *opaque)
{
    struct vcpu *v = opaque;
    ns_t period = READ_ONCE(v->periodic_period), next;

    if (!period)
        return;
    evtchn_send_virq(v, VIRQ_TIMER);
    next = v->periodic_timer.expires + period;
    if (next < now_ns())
        next = now_ns() + period; /* ticks that were missed are missed */
    timer_set(&v->periodic_timer, next);
}

static void poll_fired(void *opaque)
{
    vcpu_wake(opaque);
}

void vcpu_timers_init(struct vcpu *v)
{
    timer_init(&v->singleshot_timer, singleshot_fired, v);
    timer_init(&v->periodic_timer, periodic_fired, v);
    timer_init(&v->poll_timer, poll_fired, v);
}

/* Any vCPU of the domain may set or stop another's: one at a time. period 0: stop. */
static void periodic_set(struct vcpu *v, ns_t period)
{
    spin_lock(&v->domain->lock);
    WRITE_ONCE(v->periodic_period, 0); /* the callback does not rearm */
    timer_kill(&v->periodic_timer);
    WRITE_ONCE(v->periodic_period, period);
    if (period)
        timer_set(&v->periodic_timer, now_ns() + period);
    spin_unlock(&v->domain->lock);
}

void vcpu_timers_stop(struct vcpu *v)
{
    timer_kill(&v->singleshot_timer);
    periodic_set(v, 0);
    timer_kill(&v->poll_timer);
}

static void singleshot_set(struct vcpu *v, int64_t when)
{
    ns_t now = now_ns();

    if (when < 0 || when - now > TIMEOUT_SANE_NS)
        when = now + TIMEOUT_AGAIN_NS;
    timer_set(&v->singleshot_timer, when);
}

long do_set_timer_op(struct hcall *c)
{
    uint64_t when = c->compat ? c->arg[0] | c->arg[1] << 32 : c->arg[0];

    if (when == 0)
        timer_stop(&c->v->singleshot_timer);
    else
        singleshot_set(c->v, when);
    return 0;
}

static long set_periodic(struct hcall *c, struct vcpu *v)
{
    struct vcpu_set_periodic_timer arg;

    if (copy_from_guest(&arg, c->arg[2], sizeof(arg)))
        return -EFAULT;
    if (arg.period_ns < PERIOD_MIN_NS || arg.period_ns > INT64_MAX / 4)
        return -EINVAL;
    periodic_set(v, arg.period_ns);
    return 0;
}

static long set_singleshot(struct hcall *c, struct vcpu *v)
{
    struct vcpu_set_singleshot_timer arg;
    const size_t bytes = offsetof(struct vcpu_set_singleshot_timer, flags) + 4;

    if (v != c->v)
        return -EINVAL;
    if (copy_from_guest(&arg, c->arg[2], bytes))
        return -EFAULT;
    if (arg.flags & VCPU_SSHOTTMR_future && (ns_t)arg.timeout_abs_ns < now_ns())
        return -ETIME;
    singleshot_set(v, arg.timeout_abs_ns);
    return 0;
}

static long initialise(struct hcall *c, struct vcpu *v)
{
    struct vcpu_hvm_context context;
    int rc;

    if (copy_from_guest(&context, c->arg[2], sizeof(context)))
        return -EFAULT;
    /* Two callers for the same vCPU: one wins. */
    spin_lock(&v->domain->lock);
    rc = v->initialised ? -EEXIST : vcpu_set_hvm_context(v, &context);
    if (!rc)
        WRITE_ONCE(v->initialised, true);
    spin_unlock(&v->domain->lock);
    return rc;
}

static long go_down(struct hcall *c, struct vcpu *v)
{
    struct domain *d = v->domain;
    bool last = true;

    for_each_vcpu(d, other) if (other != v && other->state != VCPU_OFFLINE) last = false;
    if (last) {
        domain_shutdown(d, SHUTDOWN_poweroff);
        return 0;
    }
    vcpu_offline(v);
    if (v == c->v)
        schedule();
    return 0;
}

static long get_runstate(struct hcall *c, struct vcpu *v)
{
    struct vcpu_runstate_info info;
    uint8_t compat[44];

    vcpu_runstate_get(v, &info);
    if (!c->compat)
        return copy_to_guest(c->arg[2], &info, sizeof(info));
    __builtin_memcpy(compat, &info.state, 4);
    __builtin_memcpy(compat + 4, &info.state_entry_time, 40);
    return copy_to_guest(c->arg[2], compat, sizeof(compat));
}

/* The three register calls' argument: a 64-bit union, of which a 32-bit guest's handle is
 * the lower half. */
static long read_area_address(struct hcall *c, uint64_t *gva)
{
    *gva = 0;
    return copy_from_guest(gva, c->arg[2], c->compat ? 4 : 8);
}

/* Which CPU: only of Dom0's vCPUs that are pinned to one. */
static long get_physid(struct hcall *c, struct vcpu *v)
{
    uint64_t all = nr_cpus >= 64 ? ~0ull : BIT(nr_cpus) - 1;
    uint64_t affinity = READ_ONCE(v->hard_affinity) & all;
    struct vcpu_get_physid arg;
    const struct percpu *cpu;

    if (!v->domain->is_privileged || !affinity || affinity & (affinity - 1))
        return -EINVAL;
    cpu = cpus[__builtin_ctzll(affinity)];
    arg.phys_id = cpu->apic_id | (uint64_t)cpu->acpi_id << 32;
    return copy_to_guest(c->arg[2], &arg, sizeof(arg));
}

static long register_info(struct hcall *c, struct vcpu *v)
{
    struct vcpu_register_vcpu_info arg;

    if (copy_from_guest(&arg, c->arg[2], sizeof(arg)))
        return -EFAULT;
    return vcpu_info_register(v, arg.mfn, arg.offset);
}

long do_vcpu_op(struct hcall *c)
{
    struct vcpu *v = domain_vcpu(c->v->domain, (uint32_t)c->arg[1]);
    uint64_t gva;

    if (!v)
        return -ENOENT;
    switch ((uint32_t)c->arg[0]) {
    case VCPUOP_initialise:
        return initialise(c, v);
    case VCPUOP_up:
        if (!READ_ONCE(v->initialised))
            return -EINVAL;
        vcpu_online(v);
        return 0;
    case VCPUOP_down:
        return go_down(c, v);
    case VCPUOP_is_up:
        return READ_ONCE(v->state) != VCPU_OFFLINE;
    case VCPUOP_get_runstate_info:
        return get_runstate(c, v);
    case VCPUOP_register_runstate_memory_area:
        return read_area_address(c, &gva) ? -EFAULT : runstate_register(v, gva);
    case VCPUOP_register_vcpu_time_memory_area:
        return read_area_address(c, &gva) ? -EFAULT : pvclock_register(v, gva);
    case VCPUOP_set_periodic_timer:
        return set_periodic(c, v);
    case VCPUOP_stop_periodic_timer:
        periodic_set(v, 0);
        return 0;
    case VCPUOP_set_singleshot_timer:
        return set_singleshot(c, v);
    case VCPUOP_stop_singleshot_timer:
        if (v == c->v)
            timer_stop(&v->singleshot_timer);
        return v == c->v ? 0 : -EINVAL;
    case VCPUOP_register_vcpu_info:
        return register_info(c, v);
    case VCPUOP_send_nmi:
        if (c->arg[2])
            return -EINVAL;
        WRITE_ONCE(v->hvm->nmi_pending, true);
        vcpu_kick(v);
        return 0;
    case VCPUOP_get_physid:
        return get_physid(c, v);
    }
    return -ENOSYS;
}

long do_vm_assist(struct hcall *c)
{
    const uint32_t known = BIT(VMASST_TYPE_runstate_update_flag);
    uint32_t cmd = c->arg[0], type = c->arg[1];
    struct abi_domain *abi;

    if (type >= 32 || !(known & BIT(type)))
        return -EINVAL;
    if (cmd != VMASST_CMD_enable && cmd != VMASST_CMD_disable)
        return -ENOSYS;
    abi = abi_of(c->v->domain);
    if (!abi)
        return -ENOMEM;
    if (cmd == VMASST_CMD_enable)
        __atomic_or_fetch(&abi->vm_assist, BIT(type), __ATOMIC_RELAXED);
    else
        __atomic_and_fetch(&abi->vm_assist, ~BIT(type), __ATOMIC_RELAXED);
    return 0;
}
