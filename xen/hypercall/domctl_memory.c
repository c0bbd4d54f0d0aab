/* domctl: log-dirty mode, memory for page tables (public/domctl.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The p2m says what is clean, so there is no bitmap to keep. A round walks the whole
 * guest-physical map in steps, looking for others between. A device model that watches
 * its frame buffer looks at the same entries: it does not make them clean meanwhile, and
 * it is told when a round has.
 */
#include "hypercall/domctl.h"
#include "cpu/irq.h"
#include "lib/string.h"

#define STEP_PAGES 512 /* one p2m lock hold; a byte multiple of bitmap */

/* All RAM; writes the bitmap if there is one. */
static long walk(struct domain *d, enum p2m_dirty_op op, uint64_t bitmap, uint64_t pages,
                 uint32_t *count)
{
    uint8_t bits[STEP_PAGES / 8];

    for (uint64_t gfn = 0; gfn < pages; gfn += STEP_PAGES) {
        unsigned int n = min(pages - gfn, (uint64_t)STEP_PAGES);
        uint64_t dirty;

        memset(bits, 0, sizeof(bits));
        dirty = p2m_dirty(d, GFN(gfn), n, op, bits);
        if (count)
            *count += dirty;
        if (bitmap && copy_to_guest(bitmap + gfn / 8, bits, DIV_ROUND_UP(n, 8)))
            return -EFAULT;
        preempt_point();
        if (domain_is_dying(d))
            return -EINVAL;
    }
    return 0;
}

/* After pages became clean: the device model has not seen what of its frame buffer was
 * dirty. */
static void tell_watcher(struct domain *d)
{
    struct abi_domain *abi = abi_of(d);

    if (!abi)
        return; /* then nobody watches */
    spin_lock(&abi->vram_lock);
    abi->vram_missed = true;
    spin_unlock(&abi->vram_lock);
}

static long enable(struct domain *d)
{
    long rc;

    if (d->p2m.logdirty)
        return -EINVAL;
    domain_pause(d);
    d->p2m.logdirty = true;
    rc = walk(d, P2M_DIRTY_CLEAN, 0, d->p2m.max_gfn + 1, NULL);
    tell_watcher(d);
    domain_unpause(d);
    return rc;
}

static long disable(struct domain *d)
{
    long rc;

    domain_pause(d);
    d->p2m.logdirty = false;
    rc = walk(d, P2M_DIRTY_OFF, 0, d->p2m.max_gfn + 1, NULL);
    domain_unpause(d);
    return rc;
}

static long collect(struct domain *d, struct xen_domctl_shadow_op *s)
{
    enum p2m_dirty_op op =
        s->op == XEN_DOMCTL_SHADOW_OP_CLEAN ? P2M_DIRTY_CLEAN : P2M_DIRTY_PEEK;
    uint64_t pages = min(s->pages, d->p2m.max_gfn + 1);
    long rc;

    if (!d->p2m.logdirty)
        return -EINVAL;
    if (s->mode & ~XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL)
        return -EINVAL;
    s->stats.fault_count = s->stats.dirty_count = 0;
    domain_pause(d);
    rc = walk(d, op, HANDLE(s->dirty_bitmap), pages, &s->stats.dirty_count);
    if (op == P2M_DIRTY_CLEAN)
        tell_watcher(d);
    domain_unpause(d);
    s->stats.fault_count = s->stats.dirty_count; /* of each page the first write counts */
    s->pages = pages;
    return rc;
}

long domctl_shadow_op(struct domain *d, struct xen_domctl_shadow_op *s)
{
    switch (s->op) {
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
        if (s->mode != XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY)
            return -EINVAL;
        return enable(d);
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        return enable(d);
    case XEN_DOMCTL_SHADOW_OP_OFF:
        return d->p2m.logdirty ? disable(d) : 0;
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
    case XEN_DOMCTL_SHADOW_OP_PEEK:
        return collect(d, s);
    case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
        s->mb = DIV_ROUND_UP(d->p2m.nr_tables, MB(1) / PAGE_SIZE);
        return 0;
    case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION: /* tables come from the common pool */
        return 0;
    }
    return -EINVAL;
}

/* Tools set aside memory for page tables. Ours come from the common pool as they are
 * needed; the number is kept for who asks. */
long domctl_paging_mempool(struct domain *d, struct xen_domctl_paging_mempool *p,
                           bool set)
{
    struct abi_domain *abi = abi_of(d);

    if (!abi)
        return -ENOMEM;
    if (!set) {
        p->size = abi->paging_mempool;
        return 0;
    }
    if (p->size & ~PAGE_MASK)
        return -EINVAL;
    abi->paging_mempool = p->size;
    return 0;
}
