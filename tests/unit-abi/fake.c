/* The replaced parts. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A page's machine address is its host address less the direct map's base, so that
 * mfn_to_virt() leads back to it.
 */
#include "fake.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include "hypercall/pvclock.h"
#include "lib/printk.h"
#include <stdarg.h>
#include <stdio.h>

#define PAGES_MAX 4096

struct entry {
    mfn_t mfn;
    enum p2m_type type;
};

struct fake_page {
    void *p;
    unsigned int refs;
    const struct domain *owner;
};

static struct fake_page pages[PAGES_MAX];
static struct spinlock pages_lock;
static struct domain *domains[8];
static struct entry maps[8][FAKE_GFNS];
static struct spinlock maps_lock;

unsigned int fake_wakes, fake_upcalls, fake_allocs_left = ~0u;
struct vcpu *fake_last_woken;
struct domain *dom0;
uint64_t max_mfn = ~0ull;
struct frame *frame_table;

void printk(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

uint64_t virt_to_maddr(const void *p)
{
    return (uint64_t)p - DIRECTMAP_BASE;
}

static struct fake_page *find(const void *p)
{
    for (unsigned int i = 0; i < PAGES_MAX; i++)
        if (pages[i].p == p && pages[i].refs)
            return &pages[i];
    return NULL;
}

static void *page_new(const struct domain *owner)
{
    void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

    memset(p, 0, PAGE_SIZE);
    spin_lock(&pages_lock);
    for (unsigned int i = 0; i < PAGES_MAX; i++) {
        if (!pages[i].refs) {
            pages[i] = (struct fake_page){p, 1, owner};
            spin_unlock(&pages_lock);
            return p;
        }
    }
    abort();
}

static bool page_get(void *p)
{
    struct fake_page *f;

    spin_lock(&pages_lock);
    f = find(p);
    if (f)
        f->refs++;
    spin_unlock(&pages_lock);
    return f;
}

void frame_get_more(mfn_t m)
{
    assert_true(page_get(mfn_to_virt(m)));
}

void frame_put(mfn_t m)
{
    struct fake_page *f;
    void *gone = NULL;

    spin_lock(&pages_lock);
    f = find(mfn_to_virt(m));
    if (!f)
        abort(); /* a reference too many */
    if (--f->refs == 0) {
        gone = f->p;
        f->p = NULL;
    }
    spin_unlock(&pages_lock);
    free(gone); /* whoever still writes to it is caught by ASan */
}

void *frame_alloc_shared(struct domain *d)
{
    if (fake_allocs_left == 0)
        return NULL;
    fake_allocs_left--;
    return page_new(d);
}

void *zalloc(size_t bytes)
{
    if (fake_allocs_left == 0)
        return NULL;
    fake_allocs_left--;
    return calloc(1, bytes);
}

void zfree(void *p)
{
    free(p);
}

unsigned int fake_page_refs(const void *page)
{
    const struct fake_page *f = find(page);

    return f ? f->refs : 0;
}

unsigned int fake_pages_in_use(void)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < PAGES_MAX; i++)
        n += pages[i].refs != 0;
    return n;
}

/*
 * p2m
 */

static struct entry *entry_of(const struct domain *d, gfn_t gfn)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(domains); i++)
        if (domains[i] == d)
            return gfn.n < FAKE_GFNS ? &maps[i][gfn.n] : NULL;
    abort();
}

mfn_t p2m_lookup(const struct domain *d, gfn_t gfn, enum p2m_type *type,
                 unsigned int *order)
{
    const struct entry *e;
    mfn_t mfn;

    spin_lock(&maps_lock);
    e = entry_of(d, gfn);
    *type = e ? e->type : P2M_INVALID;
    mfn = e && e->type != P2M_INVALID ? e->mfn : INVALID_MFN;
    spin_unlock(&maps_lock);
    return mfn;
}

mfn_t p2m_get_frame(struct domain *d, gfn_t gfn, bool write, enum p2m_type *type)
{
    mfn_t mfn;

    mfn = p2m_lookup(d, gfn, type, NULL);
    if (!mfn_valid_number(mfn) ||
        (write && (*type == P2M_RAM_RO || *type == P2M_GRANT_RO)))
        return INVALID_MFN;
    return page_get(mfn_to_virt(mfn)) ? mfn : INVALID_MFN;
}

int p2m_set(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
            unsigned int order)
{
    struct entry *e, old;

    spin_lock(&maps_lock);
    e = entry_of(d, gfn);
    if (!e) {
        spin_unlock(&maps_lock);
        return -EINVAL;
    }
    old = *e;
    *e = (struct entry){mfn, type};
    spin_unlock(&maps_lock);
    if (old.type != P2M_INVALID)
        frame_put(old.mfn);
    return 0;
}

int p2m_clear(struct domain *d, gfn_t gfn, unsigned int order)
{
    return p2m_set(d, gfn, INVALID_MFN, P2M_INVALID, order);
}

void p2m_mark_dirty(struct domain *d, gfn_t gfn)
{
    struct entry *e;

    spin_lock(&maps_lock);
    e = entry_of(d, gfn);
    if (e && e->type == P2M_RAM_LOGDIRTY)
        e->type = P2M_RAM_RW;
    spin_unlock(&maps_lock);
}

void *fake_page(struct domain *d, uint64_t gfn)
{
    enum p2m_type type;
    mfn_t mfn = p2m_lookup(d, GFN(gfn), &type, NULL);

    return mfn_valid_number(mfn) ? mfn_to_virt(mfn) : NULL;
}

enum p2m_type fake_type(struct domain *d, uint64_t gfn)
{
    enum p2m_type type;

    p2m_lookup(d, GFN(gfn), &type, NULL);
    return type;
}

void fake_set_type(struct domain *d, uint64_t gfn, enum p2m_type type)
{
    entry_of(d, GFN(gfn))->type = type;
}

/*
 * Domains and the scheduler
 */

struct domain *fake_domain(domid_t id, unsigned int vcpus, unsigned int ram)
{
    struct domain *d = calloc(1, sizeof(*d));
    unsigned int slot = 0;

    while (domains[slot])
        slot++;
    domains[slot] = d;
    memset(maps[slot], 0, sizeof(maps[slot]));
    for (unsigned int i = 0; i < ram; i++)
        maps[slot][i] = (struct entry){virt_to_mfn(page_new(d)), P2M_RAM_RW};
    d->id = id;
    d->state = DOMAIN_ALIVE;
    d->ref_count = 1;
    d->max_evtchn_port = ~0u;
    d->is_privileged = id == 0;
    d->shared_info = calloc(1, PAGE_SIZE);
    d->nr_vcpus = vcpus;
    d->vcpus = calloc(vcpus, sizeof(d->vcpus[0]));
    for (unsigned int i = 0; i < vcpus; i++) {
        d->vcpus[i] = calloc(1, sizeof(struct vcpu));
        d->vcpus[i]->id = i;
        d->vcpus[i]->domain = d;
        d->vcpus[i]->poll_evtchn = -1;
        d->vcpus[i]->info = &d->shared_info->vcpu_info[i % 32];
    }
    return d;
}

void fake_domain_end(struct domain *d)
{
    unsigned int slot = 0;

    while (domains[slot] != d)
        slot++;
    for (unsigned int i = 0; i < FAKE_GFNS; i++)
        if (maps[slot][i].type != P2M_INVALID)
            frame_put(maps[slot][i].mfn);
    for (unsigned int i = 0; i < PAGES_MAX; i++)
        if (pages[i].refs && pages[i].owner == d)
            fail_msg("a page of domain %u is still referenced", d->id);
    assert_int_equal(d->ref_count, 1);
    domains[slot] = NULL;
    for (unsigned int i = 0; i < d->nr_vcpus; i++)
        free(d->vcpus[i]);
    free(d->vcpus);
    free(d->shared_info);
    free(d);
}

struct domain *domain_get_by_id(domid_t id)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(domains); i++) {
        if (domains[i] && domains[i]->id == id) {
            domain_get(domains[i]);
            return domains[i];
        }
    }
    return NULL;
}

void domain_put(struct domain *d)
{
    __atomic_sub_fetch(&d->ref_count, 1, __ATOMIC_RELAXED);
}

void vcpu_wake(struct vcpu *v)
{
    __atomic_add_fetch(&fake_wakes, 1, __ATOMIC_RELAXED);
    fake_last_woken = v;
}

__attribute__((weak)) void hvm_evtchn_upcall(struct vcpu *v)
{
    __atomic_add_fetch(&fake_upcalls, 1, __ATOMIC_RELAXED);
}

void wallclock_update(struct domain *d)
{
}
