/* Life of domains: creation, pause, shutdown, death. SPDX-License-Identifier:
 * GPL-2.0-or-later
 *
 * A domain is in the table by id until its last reference goes; every frame that it still
 * owns (because another domain maps it) counts as one, so an id is not used again too
 * early.
 */
#include "domain/domain.h"
#include "boot/boot.h"
#include "domain/evtchn.h"
#include "domain/grant.h"
#include "domain/sched.h"
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "hvm/hvm.h"
#include "hvm/ioreq.h"
#include "hypercall/hypercall.h"
#include "hypercall/vcpu_timer.h"
#include "mm/frame.h"
#include "mm/pod.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/domctl.h>
#include <xen/sched.h>

struct list domain_list = {&domain_list, &domain_list};
struct spinlock domlist_lock; /* guards domain_list and domain_table */
struct domain *dom0, *idle_domain;
static struct domain *domain_table[MAX_DOMAINS];

struct domain *domain_peek(domid_t id)
{
    return id < MAX_DOMAINS ? READ_ONCE(domain_table[id]) : NULL;
}

/* One more reference, unless the last has gone: then its owner is about to free d. */
static bool domain_get_living(struct domain *d)
{
    uint32_t count = READ_ONCE(d->ref_count);

    while (count && !__atomic_compare_exchange_n(&d->ref_count, &count, count + 1, true,
                                                 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        ;
    return count;
}

struct domain *domain_get_by_id(domid_t id)
{
    struct domain *d;

    if (id == DOMID_SELF) {
        d = current->domain;
        domain_get(d);
        return d;
    }
    if (id >= MAX_DOMAINS)
        return NULL;
    spin_lock(&domlist_lock);
    d = domain_table[id];
    if (d && (READ_ONCE(d->state) == DOMAIN_BUILDING || !domain_get_living(d)))
        d = NULL;
    spin_unlock(&domlist_lock);
    return d;
}

static void domain_free(struct domain *d)
{
    for_each_vcpu(d, v)
    {
        ioreq_vcpu_destroy(v);
        hvm_vcpu_destroy(v);
        evtchn_vcpu_destroy(v);
        sched_destroy_vcpu(v);
        zfree(v);
    }
    sched_destroy_domain(d);
    zfree(d->vcpus);
    ioreq_domain_free(d);
    grant_domain_free(d);
    hypercall_domain_free(d);
    hvm_domain_destroy(d);
    evtchn_domain_free(d); /* timers of devices raised PIRQs until now */
    p2m_free(d);
    if (d->shared_info)
        frame_put(virt_to_mfn(d->shared_info));
    zfree(d->memory_map);
    zfree(d);
}

void domain_put(struct domain *d)
{
    if (__atomic_sub_fetch(&d->ref_count, 1, __ATOMIC_ACQ_REL))
        return;
    spin_lock(&domlist_lock);
    domain_table[d->id] = NULL;
    list_del(&d->all_entry);
    spin_unlock(&domlist_lock);
    domain_free(d);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
}

/* Give d its id, or the first free one if id is 0 and it is not privileged. Nobody finds
 * it by that before domain_publish(). */
static int domain_register(struct domain *d, domid_t id, bool privileged)
{
    static domid_t last;
    int rc = -ENOMEM;

    spin_lock(&domlist_lock);
    if (id || privileged) {
        rc = domain_table[id] ? -EEXIST : 0;
    } else {
        for (unsigned int i = 1; i < MAX_DOMAINS; i++) {
            id = (last + i) % MAX_DOMAINS;
            if (id && !domain_table[id]) {
                last = id;
                rc = 0;
                break;
            }
        }
    }
    if (!rc) {
        d->id = id;
        domain_table[id] = d;
    }
    spin_unlock(&domlist_lock);
    return rc;
}

static void domain_unregister(struct domain *d)
{
    spin_lock(&domlist_lock);
    domain_table[d->id] = NULL;
    spin_unlock(&domlist_lock);
}

static void domain_publish(struct domain *d)
{
    spin_lock(&domlist_lock);
    d->state = DOMAIN_ALIVE;
    list_add_tail(&d->all_entry, &domain_list);
    spin_unlock(&domlist_lock);
}

int domain_create(domid_t id, const struct xen_domctl_createdomain *config,
                  bool privileged, struct domain **out)
{
    struct domain *d;
    int rc;

    if (id >= MAX_DOMAINS || !(config->flags & XEN_DOMCTL_CDF_hvm) ||
        !(config->flags & XEN_DOMCTL_CDF_hap))
        return -EINVAL;
    if (config->max_vcpus == 0 || config->max_vcpus > MAX_GUEST_VCPUS)
        return -EINVAL;
    d = zalloc(sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->ref_count = 1;
    d->state = DOMAIN_BUILDING;
    d->is_privileged = privileged;
    d->create_flags = config->flags;
    d->emulation_flags = config->arch.emulation_flags;
    d->is_pvh = !(d->emulation_flags & XEN_X86_EMU_PIT);
    d->ssidref = config->ssidref;
    sched_init_domain(d);
    d->weight = 256;
    d->max_pages = privileged ? ~0ull : 0;
    d->controller_pause_count = privileged ? 0 : 1;
    d->paused_by_controller = !privileged;
    d->max_evtchn_port = config->max_evtchn_port;
    d->max_grant_frames = config->max_grant_frames;
    d->max_maptrack_frames = config->max_maptrack_frames;
    d->grant_version_max = config->grant_opts & XEN_DOMCTL_GRANT_version_mask;
    memcpy(d->handle, config->handle, sizeof(d->handle));

    d->vcpus = zalloc(config->max_vcpus * sizeof(d->vcpus[0]));
    rc = -ENOMEM;
    if (!d->vcpus)
        goto free;
    d->nr_vcpus = config->max_vcpus;
    rc = domain_register(d, id, privileged);
    if (rc)
        goto free;
    rc = p2m_init(d);
    if (rc)
        goto unregister;
    d->shared_info = frame_alloc_shared(d);
    rc = -ENOMEM;
    if (!d->shared_info)
        goto p2m;
    rc = hvm_domain_init(d);
    if (rc)
        goto shared;
    rc = evtchn_domain_init(d);
    if (rc)
        goto hvm;
    rc = grant_domain_init(d, d->max_grant_frames, d->max_maptrack_frames,
                           d->grant_version_max);
    if (rc)
        goto evtchn;
    rc = ioreq_domain_init(d);
    if (rc)
        goto grant;
    domain_publish(d);
    *out = d;
    return 0;
grant:
    grant_domain_destroy(d);
    grant_domain_free(d);
evtchn:
    evtchn_domain_destroy(d);
    evtchn_domain_free(d);
hvm:
    hvm_domain_destroy(d);
shared:
    frame_put(virt_to_mfn(d->shared_info));
p2m:
    p2m_free(d);
unregister:
    domain_unregister(d);
free:
    zfree(d->vcpus);
    zfree(d);
    return rc;
}

static int vcpu_create(struct domain *d, unsigned int id)
{
    struct vcpu *v = zalloc(sizeof(*v));
    int rc;

    if (!v)
        return -ENOMEM;
    v->id = id;
    v->domain = d;
    rc = sched_init_vcpu(v);
    if (rc)
        goto free;
    vcpu_timers_init(v);
    rc = hvm_vcpu_init(v);
    if (rc)
        goto sched;
    rc = evtchn_vcpu_init(v);
    if (rc)
        goto hvm;
    rc = ioreq_vcpu_init(v);
    if (rc)
        goto evtchn;
    /* A domain that is paused by its controller starts with all its vCPUs paused. */
    v->pause_count = d->controller_pause_count > 0;
    WRITE_ONCE(d->vcpus[id], v);
    return 0;
evtchn:
    evtchn_vcpu_destroy(v);
hvm:
    hvm_vcpu_destroy(v);
sched:
    sched_destroy_vcpu(v);
free:
    zfree(v);
    return rc;
}

int domain_set_max_vcpus(struct domain *d, unsigned int n)
{
    if (n == 0 || n > d->nr_vcpus)
        return -EINVAL;
    for (unsigned int i = 0; i < n; i++) {
        int rc = d->vcpus[i] ? 0 : vcpu_create(d, i);

        if (rc)
            return rc;
    }
    return 0;
}

void domain_pause_nosync(struct domain *d)
{
    for_each_vcpu(d, v) vcpu_pause_nosync(v);
}

void domain_pause(struct domain *d)
{
    domain_pause_nosync(d);
    for_each_vcpu(d, v) while (READ_ONCE(v->running) && v != current)
        __builtin_ia32_pause();
}

void domain_unpause(struct domain *d)
{
    for_each_vcpu(d, v) vcpu_unpause(v);
}

int domain_pause_by_controller(struct domain *d)
{
    bool first;

    spin_lock(&d->lock);
    first = d->controller_pause_count++ == 0;
    d->paused_by_controller = true;
    spin_unlock(&d->lock);
    if (first)
        domain_pause(d);
    return 0;
}

int domain_unpause_by_controller(struct domain *d)
{
    bool last;

    spin_lock(&d->lock);
    if (d->controller_pause_count == 0) {
        spin_unlock(&d->lock);
        return -EINVAL;
    }
    last = --d->controller_pause_count == 0;
    d->paused_by_controller = !last;
    spin_unlock(&d->lock);
    if (last)
        domain_unpause(d);
    return 0;
}

/* All vCPUs stopped? Then the controller may look. */
static void check_shut_down(struct domain *d)
{
    bool done = true;

    spin_lock(&d->lock);
    if (!d->is_shutting_down || d->is_shut_down) {
        spin_unlock(&d->lock);
        return;
    }
    for_each_vcpu(d, v) done &= v->shutdown_parked;
    d->is_shut_down = done;
    spin_unlock(&d->lock);
    if (done && !hypercall_notify_suspend(d))
        evtchn_send_global_virq(VIRQ_DOM_EXC);
}

/* Stop one vCPU for the shutdown, once; d->lock held by nobody. */
static void park(struct vcpu *v)
{
    if (__atomic_exchange_n(&v->shutdown_parked, true, __ATOMIC_ACQ_REL))
        return;
    vcpu_pause_nosync(v);
}

static __noreturn void dom0_shutdown(unsigned int code)
{
    switch (code) {
    case SHUTDOWN_poweroff:
        printk("Dom0 shut down: powering off\n");
        machine_poweroff();
    case SHUTDOWN_crash:
        panic("Dom0 crashed%s%s", dom0->crash_reason ? ": " : "",
              dom0->crash_reason ? dom0->crash_reason : "");
    default:
        printk("Dom0 shut down with code %u: rebooting\n", code);
        machine_reboot();
    }
}

void domain_shutdown(struct domain *d, unsigned int code)
{
    bool answers;

    if (d == dom0)
        dom0_shutdown(code);
    spin_lock(&d->lock);
    if (d->is_shutting_down) {
        spin_unlock(&d->lock);
        return;
    }
    d->shutdown_code = code;
    WRITE_ONCE(d->is_shutting_down, true);
    spin_unlock(&d->lock);
    /* One that waits for its device model parks when the answer is in: else the answer
     * would be lost in a saved image. A crashed guest has nothing to save, and one that
     * sleeps has been reset. */
    answers = code != SHUTDOWN_crash && !hvm_is_asleep(d);
    for_each_vcpu(d, v) if (!answers || !READ_ONCE(v->in_ioreq)) park(v);
    check_shut_down(d);
}

void domain_resume(struct domain *d)
{
    spin_lock(&d->lock);
    d->is_shutting_down = d->is_shut_down = false;
    d->shutdown_code = 0xff;
    spin_unlock(&d->lock);
    for_each_vcpu(d, v)
    {
        if (__atomic_exchange_n(&v->shutdown_parked, false, __ATOMIC_ACQ_REL))
            vcpu_unpause(v);
    }
}

void vcpu_check_stop(struct vcpu *v)
{
    struct domain *d = v->domain;

    if (domain_is_dying(d)) {
        WRITE_ONCE(v->parked_dying, true);
        vcpu_offline(v);
        schedule();
    } else if (READ_ONCE(d->is_shutting_down)) {
        park(v);
        check_shut_down(d);
        schedule();
    }
}

void domain_crash(struct domain *d, const char *why)
{
    bool first = !READ_ONCE(d->is_shutting_down);

    if (first) {
        d->crash_reason = why;
        printk("Domain %u crashed: %s\n", d->id, why);
        if (current->domain == d && current->hvm)
            hvm_dump_vcpu(current);
    }
    domain_shutdown(d, SHUTDOWN_crash);
}

/* Let every vCPU of a dying domain leave whatever it blocked in and stop for good. */
static void stop_vcpus(struct domain *d)
{
    for_each_vcpu(d, v)
    {
        vcpu_timers_stop(v);
        if (READ_ONCE(v->state) == VCPU_OFFLINE || !v->initialised)
            continue;
        while (READ_ONCE(v->pause_count) > 0)
            vcpu_unpause(v);
        vcpu_kick(v);
        while (!READ_ONCE(v->parked_dying) || READ_ONCE(v->running)) {
            vcpu_wake(v);
            irq_window();
            vcpu_yield();
        }
    }
    for_each_vcpu(d, v)
    {
        while (READ_ONCE(v->running))
            vcpu_yield();
        /* On its way out it may have set them again; its memory goes soon. */
        vcpu_timers_stop(v);
    }
}

int domain_kill(struct domain *d)
{
    if (d == dom0 || d == current->domain)
        return -EINVAL;
    spin_lock(&d->lock);
    if (d->state >= DOMAIN_DYING) {
        spin_unlock(&d->lock);
        return d->state == DOMAIN_DEAD ? 0 : -EAGAIN;
    }
    WRITE_ONCE(d->state, DOMAIN_DYING);
    spin_unlock(&d->lock);

    ioreq_domain_destroy(d);
    stop_vcpus(d);
    hypercall_domain_stop(d);
    grant_release_mappings(d);
    evtchn_domain_destroy(d);
    for_each_vcpu(d, v) vcpu_unmap_guest_areas(v);
    p2m_teardown(d);
    pod_teardown(d);
    grant_domain_destroy(d);
    frame_put(virt_to_mfn(d->shared_info));
    d->shared_info = NULL;

    WRITE_ONCE(d->state, DOMAIN_DEAD);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    domain_put(d);
    return 0;
}
