/* Grant tables: their life, their frames (public/grant_table.h).
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "domain/grant_internal.h"
#include "boot/boot.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/string.h"

static unsigned int opt_max_frames = 64;
static unsigned int opt_max_maptrack = 1024;
option_uint("gnttab_max_frames", opt_max_frames, "frames of a grant table, at most");
option_uint("gnttab_max_maptrack_frames", opt_max_maptrack,
            "frames of 256 grant mappings per domain, at most");

static unsigned int status_frames_for(unsigned int frames)
{
    return DIV_ROUND_UP(frames * V2_PER_FRAME, STATUS_PER_FRAME);
}

unsigned int grant_max_frames(const struct domain *d, bool status)
{
    return status ? status_frames_for(d->grant->max_frames) : d->grant->max_frames;
}

unsigned int grant_nr_frames(const struct domain *d, bool status)
{
    return status ? d->grant->nr_status : d->grant->nr_frames;
}

unsigned int grant_version(const struct domain *d)
{
    return d->grant->version;
}

static int add_page(struct domain *d, struct grant_frame *f)
{
    f->page = frame_alloc_shared(d);
    f->gfn = INVALID_GFN.n;
    return f->page ? 0 : -ENOMEM;
}

static void drop_page(struct grant_frame *f)
{
    frame_put(virt_to_mfn(f->page));
    f->page = NULL;
}

/* Status frames for so many frames of entries; gt->lock is held. */
static int grow_status(struct domain *d, unsigned int frames)
{
    struct grant_table *gt = d->grant;

    while (gt->nr_status < status_frames_for(frames)) {
        int rc = add_page(d, &gt->status[gt->nr_status]);

        if (rc)
            return rc;
        gt->nr_status++;
    }
    return 0;
}

static int grow_locked(struct domain *d, unsigned int n)
{
    struct grant_table *gt = d->grant;
    int rc;

    if (n > gt->max_frames || gt->dead)
        return -EINVAL;
    if (gt->version == 2) {
        rc = grow_status(d, n);
        if (rc)
            return rc;
    }
    while (gt->nr_frames < n) {
        unsigned int i = gt->nr_frames;

        if (!gt->active[i])
            gt->active[i] = zalloc(V1_PER_FRAME * sizeof(struct grant_active));
        if (!gt->active[i])
            return -ENOMEM;
        rc = add_page(d, &gt->frames[i]);
        if (rc)
            return rc;
        gt->nr_frames++;
    }
    return 0;
}

int grant_grow(struct domain *d, unsigned int n)
{
    int rc;

    spin_lock(&d->grant->lock);
    rc = grow_locked(d, n);
    spin_unlock(&d->grant->lock);
    return rc;
}

int grant_take_frame(struct domain *d, unsigned int index, bool status, mfn_t *mfn)
{
    struct grant_table *gt = d->grant;
    int rc = -EINVAL;

    spin_lock(&gt->lock);
    if (gt->dead || (status && gt->version != 2))
        goto out;
    if (index >= grant_max_frames(d, status))
        goto out;
    if (status) {
        rc = index < gt->nr_status
                 ? 0
                 : grow_locked(d, min((index + 1) *
                                          (unsigned int)(STATUS_PER_FRAME / V2_PER_FRAME),
                                      gt->max_frames));
    } else {
        rc = grow_locked(d, max(index + 1, gt->nr_frames));
    }
    if (!rc) {
        *mfn = virt_to_mfn(status ? gt->status[index].page : gt->frames[index].page);
        frame_get_more(*mfn);
    }
out:
    spin_unlock(&gt->lock);
    return rc;
}

static struct grant_frame *frame_of(struct grant_table *gt, unsigned int index,
                                    bool status)
{
    if (index >= (status ? gt->nr_status : gt->nr_frames))
        return NULL;
    return status ? &gt->status[index] : &gt->frames[index];
}

uint64_t grant_frame_gfn(struct domain *d, unsigned int index, bool status)
{
    const struct grant_frame *f;
    uint64_t gfn;

    spin_lock(&d->grant->lock);
    f = frame_of(d->grant, index, status);
    gfn = f ? f->gfn : INVALID_GFN.n;
    spin_unlock(&d->grant->lock);
    return gfn;
}

void grant_frame_placed(struct domain *d, unsigned int index, bool status, uint64_t gfn)
{
    struct grant_frame *f;

    spin_lock(&d->grant->lock);
    f = frame_of(d->grant, index, status);
    if (f)
        f->gfn = gfn;
    spin_unlock(&d->grant->lock);
}

int grant_seed(struct domain *d, unsigned int ref, domid_t domid, gfn_t gfn)
{
    struct grant_table *gt = d->grant;
    int rc = -EINVAL;

    spin_lock(&gt->lock);
    if (!gt->dead && gt->version == 1 && ref < grant_nr_entries(gt) &&
        gfn.n <= UINT32_MAX) {
        grant_entry_v1_t *e = grant_shared_v1(gt, ref);

        e->domid = domid;
        e->frame = gfn.n;
        __atomic_store_n(&e->flags, GTF_permit_access, __ATOMIC_RELEASE);
        rc = 0;
    }
    spin_unlock(&gt->lock);
    return rc;
}

/* What becomes of the reserved entries (console, store): they mean the same in the other
 * form, and may be in use. All others are the guest's, and it starts afresh. */
static int convert_entries(struct grant_table *gt, unsigned int version)
{
    grant_entry_v2_t kept[GNTTAB_NR_RESERVED_ENTRIES];
    uint16_t use[GNTTAB_NR_RESERVED_ENTRIES];

    for (unsigned int i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        const struct grant_active *a = grant_active_entry(gt, i);

        use[i] = (grant_in_use(a) ? GTF_reading : 0) | (a->writers ? GTF_writing : 0);
        if (version == 2) {
            const grant_entry_v1_t *e = grant_shared_v1(gt, i);

            kept[i] =
                (grant_entry_v2_t){.full_page = {{e->flags, e->domid}, 0, e->frame}};
        } else {
            kept[i] = *grant_shared_v2(gt, i);
            unsigned int type = kept[i].hdr.flags & GTF_type_mask;

            if (type != GTF_invalid &&
                (type != GTF_permit_access || kept[i].hdr.flags & GTF_sub_page ||
                 kept[i].full_page.frame > UINT32_MAX))
                return -ERANGE;
        }
        kept[i].hdr.flags &= ~(GTF_reading | GTF_writing);
    }
    for (unsigned int i = 0; i < gt->nr_frames; i++)
        memset(gt->frames[i].page, 0, PAGE_SIZE);
    for (unsigned int i = 0; i < GNTTAB_NR_RESERVED_ENTRIES; i++) {
        if (version == 2) {
            *grant_shared_v2(gt, i) = kept[i];
            *grant_status_word(gt, i) = use[i];
        } else {
            *grant_shared_v1(gt, i) =
                (grant_entry_v1_t){kept[i].hdr.flags | use[i], kept[i].hdr.domid,
                                   (uint32_t)kept[i].full_page.frame};
        }
    }
    return 0;
}

/* Is anything of the guest's own in use? The reserved entries usually are. */
static bool anything_in_use(const struct grant_table *gt)
{
    for (unsigned int i = 0; i < gt->nr_frames; i++)
        for (unsigned int j = i ? 0 : GNTTAB_NR_RESERVED_ENTRIES; j < V1_PER_FRAME; j++)
            if (grant_in_use(&gt->active[i][j]))
                return true;
    return false;
}

int grant_set_version(struct domain *d, unsigned int version)
{
    struct grant_table *gt = d->grant;
    int rc = 0;

    if (version != 1 && version != 2)
        return -EINVAL;
    if (version > gt->max_version)
        return -ENOSYS;
    spin_lock(&gt->lock);
    if (gt->version == version)
        goto out;
    rc = -EBUSY;
    if (gt->dead || anything_in_use(gt))
        goto out;
    if (version == 2) {
        rc = grow_status(d, gt->nr_frames);
        if (rc)
            goto out;
    }
    rc = convert_entries(gt, version);
    if (rc)
        goto out;
    gt->version = version;
    if (version == 1)
        while (gt->nr_status)
            drop_page(&gt->status[--gt->nr_status]);
out:
    spin_unlock(&gt->lock);
    return rc;
}

static unsigned int limit(unsigned int wanted, unsigned int most)
{
    return (int)wanted < 0 ? most : wanted;
}

int grant_domain_init(struct domain *d, unsigned int max_frames,
                      unsigned int max_maptrack, unsigned int max_version)
{
    unsigned int most_frames = min(opt_max_frames, (unsigned int)GRANT_FRAMES_MAX);
    unsigned int most_maptrack = min(opt_max_maptrack, (unsigned int)MAPTRACK_FRAMES_MAX);
    struct grant_table *gt;
    int rc;

    max_frames = limit(max_frames, most_frames);
    max_maptrack = limit(max_maptrack, most_maptrack);
    if (d->is_privileged) { /* built by us, with what there is */
        max_frames = max_frames ? max_frames : most_frames;
        max_maptrack = max_maptrack ? max_maptrack : most_maptrack;
        max_version = max_version ? max_version : 2;
    }
    if (max_frames < 1 || max_frames > most_frames || max_maptrack > most_maptrack ||
        max_version < 1 || max_version > 2)
        return -EINVAL;
    gt = zalloc(sizeof(*gt));
    if (!gt)
        return -ENOMEM;
    d->grant = gt;
    gt->version = 1;
    gt->max_version = max_version;
    gt->max_frames = max_frames;
    gt->max_maptrack_frames = max_maptrack;
    gt->maptrack_free = MAPTRACK_NONE;
    gt->frames = zalloc(max_frames * sizeof(gt->frames[0]));
    gt->status = zalloc(status_frames_for(max_frames) * sizeof(gt->status[0]));
    gt->active = zalloc(max_frames * sizeof(gt->active[0]));
    gt->maptrack = zalloc(max(max_maptrack, 1u) * sizeof(gt->maptrack[0]));
    rc = -ENOMEM;
    if (gt->frames && gt->status && gt->active && gt->maptrack)
        rc = grow_locked(d, 1);
    if (rc) {
        grant_domain_destroy(d);
        grant_domain_free(d);
    }
    return rc;
}

void grant_domain_destroy(struct domain *d)
{
    struct grant_table *gt = d->grant;

    if (!gt)
        return;
    spin_lock(&gt->lock);
    gt->dead = true;
    while (gt->nr_frames)
        drop_page(&gt->frames[--gt->nr_frames]);
    while (gt->nr_status)
        drop_page(&gt->status[--gt->nr_status]);
    spin_unlock(&gt->lock);
}

void grant_domain_free(struct domain *d)
{
    struct grant_table *gt = d->grant;

    if (!gt)
        return;
    for (unsigned int i = 0; gt->active && i < gt->max_frames; i++)
        zfree(gt->active[i]);
    for (unsigned int i = 0; gt->maptrack && i < gt->nr_maptrack; i++)
        zfree(gt->maptrack[i]);
    zfree(gt->frames);
    zfree(gt->status);
    zfree(gt->active);
    zfree(gt->maptrack);
    zfree(gt);
    d->grant = NULL;
}
