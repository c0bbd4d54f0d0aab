/* domctl: birth and death of domains, their limits (public/domctl.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/domctl.h"
#include "hypercall/hypercall.h"
#include "hypercall/vnuma.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include "hvm/platform.h"
#include "hvm/vpmtimer.h"
#include "mm/frame.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/event_channel.h>
#include <xen/sched.h>

/* Why we cannot give a domain what is asked for; NULL: we can. */
static const char *what_is_missing(const struct xen_domctl_createdomain *config)
{
    const uint32_t known = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap |
                           XEN_DOMCTL_CDF_s3_integrity | XEN_DOMCTL_CDF_oos_off |
                           XEN_DOMCTL_CDF_xs_domain;

    if (!(config->flags & XEN_DOMCTL_CDF_hvm))
        return "there are no PV guests, only HVM and PVH";
    if (!(config->flags & XEN_DOMCTL_CDF_hap))
        return "there are no shadow page tables (hap=0)";
    if (config->flags & XEN_DOMCTL_CDF_nested_virt)
        return "there is no nested virtualization";
    if (config->flags & XEN_DOMCTL_CDF_vpmu)
        return "there are no performance counters for guests";
    if (config->flags & XEN_DOMCTL_CDF_iommu || config->iommu_opts)
        return "no IOMMU is in use";
    if (config->flags & ~known || config->vmtrace_size || config->cpupool_id ||
        config->grant_opts & ~XEN_DOMCTL_GRANT_version_mask ||
        config->arch.emulation_flags & ~XEN_X86_EMU_ALL ||
        config->arch.misc_flags & ~XEN_X86_MSR_RELAXED)
        return "an unknown option";
    return NULL;
}

/* The tools show the number of the error only: the reason is in the console's ring. */
static int check_config(const struct xen_domctl_createdomain *config)
{
    const char *missing = what_is_missing(config);

    if (missing)
        printk_guest("A new domain was refused: %s\n", missing);
    return missing ? -EINVAL : 0;
}

long domctl_create(struct hcall *c, struct xen_domctl *op)
{
    struct domain *d;
    int rc = check_config(&op->u.createdomain);

    if (rc)
        return rc;
    /* 0 and what is beyond the ids asks for any. */
    rc = domain_create(op->domain < MAX_DOMAINS ? op->domain : 0, &op->u.createdomain,
                       false, &d);
    if (!rc)
        op->domain = d->id;
    return rc;
}

long domctl_destroy(struct domain *d)
{
    return domain_kill(d);
}

long domctl_max_mem(struct domain *d, uint64_t max_kb)
{
    spin_lock(&d->lock);
    WRITE_ONCE(d->max_pages, max_kb >> 2);
    spin_unlock(&d->lock);
    return 0;
}

/* d becomes the device model's domain of another, for good. */
long domctl_set_target(struct domain *d, domid_t id)
{
    struct domain *target = domain_get_by_id(id), *none = NULL;
    long rc = -ESRCH;

    if (!target)
        return rc;
    rc = -EINVAL;
    if (target == d || domain_is_dying(d))
        goto put;
    if (!__atomic_compare_exchange_n(&d->target_of, &none, target, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        goto put;
    return 0; /* the reference is d's: hypercall_domain_stop() drops it */
put:
    domain_put(target);
    return rc;
}

long domctl_sendtrigger(struct domain *d, const struct xen_domctl_sendtrigger *t)
{
    struct vcpu *v = domain_vcpu(d, t->vcpu);

    if (t->trigger == XEN_DOMCTL_SENDTRIGGER_NMI) {
        if (!v)
            return -ESRCH;
        WRITE_ONCE(v->hvm->nmi_pending, true);
        vcpu_kick(v);
        return 0;
    }
    if (t->trigger == XEN_DOMCTL_SENDTRIGGER_POWER ||
        t->trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP)
        return vpmtimer_press(d, t->trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP);
    return -ENOSYS; /* the others did not exist for HVM guests */
}

bool hypercall_notify_suspend(struct domain *d)
{
    uint32_t port = d->abi ? READ_ONCE(d->abi->suspend_port) : 0;

    if (!port || d->shutdown_code != SHUTDOWN_suspend)
        return false;
    return !evtchn_send(d, port);
}

void hypercall_domain_stop(struct domain *d)
{
    struct domain *target =
        __atomic_exchange_n(&d->target_of, (struct domain *)NULL, __ATOMIC_ACQ_REL);

    if (target)
        domain_put(target);
    if (!d->abi)
        return;
    for (unsigned int i = 0; i < ABI_WATCHDOGS; i++)
        if (d->abi->watchdog[i].fn)
            timer_kill(&d->abi->watchdog[i]);
}

void hypercall_domain_free(struct domain *d)
{
    if (!d->abi)
        return;
    vnuma_free(d->abi->vnuma);
    zfree(d->abi);
    d->abi = NULL;
}
