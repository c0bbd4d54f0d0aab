/* dm_op: a device model and its guest's memory (public/hvm/dm_op.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypercall/dm_op.h"
#include "mm/pod.h"
#include "hypercall/memory.h"
#include "cpu/irq.h"
#include "lib/string.h"
#include <xen/hvm/hvm_op.h>

#define VRAM_PAGES_MAX (GB(1) >> PAGE_SHIFT)
#define STEP_PAGES     512

/* Let the guest write all pages of a range again without our noticing; not while the
 * whole domain is in log-dirty mode, which would take them for dirty. */
static void stop_watching(struct domain *d, uint64_t first, uint64_t nr)
{
    if (READ_ONCE(d->p2m.logdirty))
        return;
    for (uint64_t i = 0; i < nr; i += STEP_PAGES) {
        p2m_dirty(d, GFN(first + i), min(nr - i, (uint64_t)STEP_PAGES), P2M_DIRTY_OFF,
                  NULL);
        preempt_point();
    }
}

/* Remember which range is watched; gives the old one if it was another. */
static void set_watched(struct abi_domain *abi, uint64_t first, uint32_t nr,
                        uint64_t *old_first, uint32_t *old_nr)
{
    spin_lock(&abi->vram_lock);
    *old_first = abi->vram_first;
    *old_nr = abi->vram_nr;
    abi->vram_first = first;
    abi->vram_nr = nr;
    if (*old_first != first || *old_nr != nr)
        abi->vram_missed = true;
    spin_unlock(&abi->vram_lock);
    if (*old_first == first && *old_nr == nr)
        *old_nr = 0;
}

static bool take_missed(struct abi_domain *abi)
{
    bool missed;

    spin_lock(&abi->vram_lock);
    missed = abi->vram_missed;
    abi->vram_missed = false;
    spin_unlock(&abi->vram_lock);
    return missed;
}

/* Which pages of the frame buffer were written since the last call: all of them in the
 * first, and after a round of log-dirty. */
long dm_track_dirty_vram(struct dm_call *m, const xen_dm_op_track_dirty_vram_t *a)
{
    struct abi_domain *abi = abi_of(m->d);
    uint8_t bits[STEP_PAGES / 8];
    uint64_t old_first;
    uint32_t old_nr;
    bool all;

    if (!abi)
        return -ENOMEM;
    if (a->pad || a->nr > VRAM_PAGES_MAX || a->first_pfn >> 36)
        return -EINVAL;
    if (a->nr && (m->nr_bufs < 2 || m->buf[1].bytes < DIV_ROUND_UP(a->nr, 8)))
        return -EINVAL;
    set_watched(abi, a->first_pfn, a->nr, &old_first, &old_nr);
    if (old_nr)
        stop_watching(m->d, old_first, old_nr);
    all = take_missed(abi);
    for (uint32_t i = 0; i < a->nr; i += STEP_PAGES) {
        unsigned int n = min(a->nr - i, (uint32_t)STEP_PAGES);

        memset(bits, 0, sizeof(bits));
        p2m_dirty(m->d, GFN(a->first_pfn + i), n, P2M_DIRTY_CLEAN_UNLESS_LOGGED, bits);
        if (all)
            memset(bits, 0xff, sizeof(bits));
        if (copy_to_guest(m->buf[1].gva + i / 8, bits, DIV_ROUND_UP(n, 8)))
            return -EFAULT;
        preempt_point();
    }
    return 0;
}

/* The device model wrote to memory through its own mapping. */
long dm_modified_memory(struct dm_call *m, xen_dm_op_modified_memory_t *a)
{
    struct xen_dm_op_modified_memory_extent e;

    if (a->opaque || m->nr_bufs < 2 || m->buf[1].bytes / sizeof(e) < a->nr_extents)
        return -EINVAL;
    for (uint32_t i = 0; i < a->nr_extents; i++) {
        if (copy_from_guest(&e, m->buf[1].gva + i * sizeof(e), sizeof(e)))
            return -EFAULT;
        if (e.pad || e.first_pfn >> 36 || e.first_pfn + e.nr > m->d->p2m.max_gfn + 1) {
            a->nr_extents = i + 1; /* which one was wrong */
            return -EINVAL;
        }
        for (uint32_t j = 0; j < e.nr; j++) {
            enum p2m_type type;

            p2m_lookup(m->d, GFN(e.first_pfn + j), &type, NULL);
            if (type == P2M_RAM_LOGDIRTY)
                p2m_mark_dirty(m->d, GFN(e.first_pfn + j));
            hcall_breathe(j);
        }
        hcall_breathe(i);
    }
    return 0;
}

/* RAM may become anything, holes only device-model MMIO, pages whose writes go to a
 * server plain RAM again. */
static bool may_become(enum p2m_type from, enum p2m_type to)
{
    switch (from) {
    case P2M_RAM_RW:
    case P2M_RAM_RO:
    case P2M_RAM_LOGDIRTY:
        return true;
    case P2M_INVALID:
    case P2M_MMIO_DM:
        return to == P2M_MMIO_DM;
    case P2M_IOREQ_WRITE:
        return to == P2M_RAM_RW;
    default:
        return false;
    }
}

static int set_type(struct domain *d, gfn_t gfn, enum p2m_type to)
{
    enum p2m_type now;

    p2m_lookup(d, gfn, &now, NULL);
    if (now == P2M_POD && pod_populate(d, gfn, true))
        p2m_lookup(d, gfn, &now, NULL);
    if (now == to || (now == P2M_RAM_LOGDIRTY && to == P2M_RAM_RW))
        return 0;
    if (!may_become(now, to))
        return -EINVAL;
    if (to == P2M_MMIO_DM) /* the page under it, if any, is given up */
        return p2m_set(d, gfn, INVALID_MFN, P2M_MMIO_DM, ORDER_4K);
    return p2m_change_type(d, gfn, now, to);
}

long dm_set_mem_type(struct dm_call *m, const xen_dm_op_set_mem_type_t *a)
{
    static const uint8_t types[] = {
        [HVMMEM_ram_rw] = P2M_RAM_RW,
        [HVMMEM_ram_ro] = P2M_RAM_RO,
        [HVMMEM_mmio_dm] = P2M_MMIO_DM,
        [HVMMEM_unused] = P2M_INVALID,
        [HVMMEM_ioreq_server] = P2M_IOREQ_WRITE,
    };

    if (a->pad || a->mem_type >= ARRAY_SIZE(types) || a->mem_type == HVMMEM_unused)
        return -EINVAL;
    if (a->first_pfn >> 36 || a->first_pfn + a->nr > m->d->p2m.max_gfn + 1)
        return -EINVAL;
    for (uint32_t i = 0; i < a->nr; i++) {
        int rc = set_type(m->d, GFN(a->first_pfn + i), types[a->mem_type]);

        if (rc)
            return rc;
        hcall_breathe(i);
    }
    return 0;
}

long dm_relocate_memory(struct dm_call *m, const xen_dm_op_relocate_memory_t *a)
{
    if (a->pad || a->src_gfn >> 36 || a->dst_gfn >> 36)
        return -EINVAL;
    if (a->src_gfn == a->dst_gfn) /* up to 2^32 pages, each of which would stay */
        return 0;
    /* From the end, as the ABI does it: a page stays in order with those before it. */
    for (uint32_t i = a->size; i-- > 0;) {
        int rc = memory_move_page(m->d, a->src_gfn + i, a->dst_gfn + i);

        if (rc)
            return rc;
        hcall_breathe(i);
    }
    return 0;
}

/* With nested paging the guest's own PAT and MTRRs decide how its RAM is cached, and RAM
 * is write-back whatever it says; so a valid request is granted and changes nothing. */
long dm_pin_cacheattr(struct dm_call *m, const xen_dm_op_pin_memory_cacheattr_t *a)
{
    if (a->pad || a->end < a->start || a->end >> 36)
        return -EINVAL;
    switch (a->type) {
    case XEN_DMOP_MEM_CACHEATTR_UC:
    case XEN_DMOP_MEM_CACHEATTR_WC:
    case XEN_DMOP_MEM_CACHEATTR_WT:
    case XEN_DMOP_MEM_CACHEATTR_WP:
    case XEN_DMOP_MEM_CACHEATTR_WB:
    case XEN_DMOP_MEM_CACHEATTR_UCM:
    case XEN_DMOP_DELETE_MEM_CACHEATTR:
        return 0;
    }
    return -EINVAL;
}
