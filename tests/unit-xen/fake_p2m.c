/* See fake_p2m.h. SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "test.h"
#include "fake_p2m.h"
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "cpu/smp.h"
#include "hvm/hvm.h"
#include "lib/printk.h"

#define POOL_PAGES 16384

struct frame *frame_table;
struct percpu *cpus[MAX_CPUS];
struct domain fake_domain;
unsigned int fake_puts, fake_crashes;
void (*fake_at_get)(void);
static uint64_t next_page;

void *alloc_pages(unsigned int order)
{
    void *p = (char *)DIRECTMAP_BASE + (next_page++ << PAGE_SHIFT);

    return next_page < POOL_PAGES ? p : NULL;
}

void free_pages(void *p, unsigned int order)
{
}

mfn_t frame_alloc_domain(struct domain *d, unsigned int order, unsigned int bits)
{
    uint64_t first = (next_page + BIT(order) - 1) & ~(BIT(order) - 1);

    if (first + BIT(order) > POOL_PAGES || d->tot_pages + BIT(order) > d->max_pages)
        return INVALID_MFN;
    next_page = first + BIT(order);
    for (uint64_t i = 0; i < BIT(order); i++)
        frame_table[first + i].count = 1;
    d->tot_pages += BIT(order);
    return MFN(first);
}

void frame_put(mfn_t mfn)
{
    fake_puts++;
    if (mfn.n >= POOL_PAGES || !frame_table[mfn.n].count)
        return; /* of a test that maps what it likes */
    if (--frame_table[mfn.n].count == 0)
        fake_domain.tot_pages--;
}

bool frame_get(mfn_t mfn, const struct domain *owner)
{
    void (*call)(void) = fake_at_get;

    fake_at_get = NULL;
    if (call)
        call();
    if (mfn.n < POOL_PAGES)
        frame_table[mfn.n].count++;
    return true;
}

bool frame_get_any(mfn_t mfn)
{
    return true;
}

uint64_t virt_to_maddr(const void *p)
{
    return (uintptr_t)p - DIRECTMAP_BASE;
}

void clear_page(void *page); /* lib/string.h has other prototypes than the C library */
void clear_page(void *page)
{
    memset(page, 0, PAGE_SIZE);
}

void smp_kick(unsigned int cpu)
{
}

void preempt_point(void)
{
}

void printk_guest(const char *format, ...)
{
}

void domain_crash(struct domain *d, const char *why)
{
    fake_crashes++;
}

static uint64_t leaf(mfn_t mfn, enum p2m_type type, unsigned int order, uint8_t memtype)
{
    uint64_t e = mfn_to_maddr(mfn) | FAKE_PRESENT | (order ? FAKE_LARGE : 0);

    if (type == P2M_RAM_LOGDIRTY)
        return p2m_format.dirty_mask ? e | FAKE_WRITE : e;
    return type == P2M_RAM_RO ? e : e | FAKE_WRITE | FAKE_DIRTY;
}

static uint64_t table(mfn_t mfn)
{
    return mfn_to_maddr(mfn) | FAKE_PRESENT | FAKE_WRITE;
}

int fake_p2m_setup(void **state)
{
    if (mmap((void *)DIRECTMAP_BASE, POOL_PAGES << PAGE_SHIFT, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return -1;
    next_page = 1;
    fake_puts = fake_crashes = 0;
    fake_at_get = NULL;
    frame_table = calloc(POOL_PAGES, sizeof(*frame_table));
    memset(&fake_domain, 0, sizeof(fake_domain));
    fake_domain.max_pages = POOL_PAGES;
    p2m_format = (struct p2m_format){.leaf = leaf,
                                     .table = table,
                                     .present_mask = FAKE_PRESENT,
                                     .large_mask = FAKE_LARGE,
                                     .dirty_mask = FAKE_DIRTY,
                                     .has_1g = true};
    return p2m_init(&fake_domain);
}

int fake_p2m_teardown(void **state)
{
    free(frame_table);
    return 0;
}

void fake_expect(uint64_t gfn, uint64_t mfn, enum p2m_type type, unsigned int order)
{
    enum p2m_type t;
    unsigned int o;
    mfn_t m = p2m_lookup(&fake_domain, GFN(gfn), &t, &o);

    assert_int_equal(t, type);
    assert_int_equal(o, order);
    assert_int_equal(m.n, mfn);
}
