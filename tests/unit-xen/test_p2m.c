/* Physical-to-machine tables: sizes of leaves, splitting, dirty pages; with the entry
 * format of a processor that has dirty bits, and of one that has none.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "test.h"
#include "mm/p2m.h"
#include "mm/frame.h"
#include "domain/domain.h"
#include "hvm/hvm.h"
#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "cpu/smp.h"
#include "lib/errno.h"

#define POOL_PAGES 4096
#define P          1ull
#define W          2ull
#define LARGE      0x80ull
#define DIRTY      0x40ull

struct frame *frame_table;
struct percpu *cpus[MAX_CPUS];
static uint64_t next_page = 1;
static unsigned int flushes, puts_seen;
static struct domain d;

void *alloc_pages(unsigned int order)
{
    void *p = (char *)DIRECTMAP_BASE + (next_page++ << PAGE_SHIFT);

    return next_page < POOL_PAGES ? p : NULL;
}

void free_pages(void *p, unsigned int order)
{
}

void frame_put(mfn_t mfn)
{
    puts_seen++;
}

bool frame_get(mfn_t mfn, const struct domain *owner)
{
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

void smp_kick(unsigned int cpu)
{
    flushes++;
}

void preempt_point(void)
{
}

static uint64_t leaf(mfn_t mfn, enum p2m_type type, unsigned int order, uint8_t memtype)
{
    uint64_t e = mfn_to_maddr(mfn) | P | (order ? LARGE : 0);

    if (type == P2M_RAM_LOGDIRTY)
        return p2m_format.dirty_mask ? e | W : e;
    return type == P2M_RAM_RO ? e : e | W | DIRTY;
}

static uint64_t table(mfn_t mfn)
{
    return mfn_to_maddr(mfn) | P | W;
}

static int setup(void **state)
{
    if (!next_page ||
        mmap((void *)DIRECTMAP_BASE, POOL_PAGES << PAGE_SHIFT, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return -1;
    next_page = 1;
    puts_seen = 0;
    frame_table = calloc(POOL_PAGES, sizeof(*frame_table));
    memset(&d, 0, sizeof(d));
    p2m_format = (struct p2m_format){.leaf = leaf,
                                     .table = table,
                                     .present_mask = P,
                                     .large_mask = LARGE,
                                     .dirty_mask = DIRTY,
                                     .has_1g = true};
    return p2m_init(&d);
}

static int teardown(void **state)
{
    free(frame_table);
    return 0;
}

/* The entry that maps gfn. */
static uint64_t *entry(uint64_t gfn)
{
    uint64_t *t = d.p2m.root;

    for (int level = 3;; level--) {
        uint64_t *e = &t[gfn >> (9 * level) & 511];

        if (!level || !(*e & P) || (*e & LARGE))
            return e;
        t = (uint64_t *)(DIRECTMAP_BASE + (*e & 0xffffffffff000ull));
    }
}

static void expect(uint64_t gfn, uint64_t mfn, enum p2m_type type, unsigned int order)
{
    enum p2m_type t;
    unsigned int o;
    mfn_t m = p2m_lookup(&d, GFN(gfn), &t, &o);

    assert_int_equal(t, type);
    assert_int_equal(o, order);
    assert_int_equal(m.n, mfn);
}

static void test_shatter(void **state)
{
    assert_int_equal(p2m_set(&d, GFN(0), MFN(1 << 18), P2M_RAM_RW, ORDER_1G), 0);
    expect(0x12345, (1 << 18) + 0x12345, P2M_RAM_RW, ORDER_1G);
    assert_int_equal(p2m_shatter(&d, GFN(0x12345)), 0);
    expect(0x12345, (1 << 18) + 0x12345, P2M_RAM_RW, ORDER_4K);
    expect(0x12346, (1 << 18) + 0x12346, P2M_RAM_RW, ORDER_4K);
    expect(0x12200, (1 << 18) + 0x12200, P2M_RAM_RW, ORDER_4K);
    expect(0x12145, (1 << 18) + 0x12145, P2M_RAM_RW, ORDER_2M);
    expect(0x3ffff, (1 << 18) + 0x3ffff, P2M_RAM_RW, ORDER_2M);
    assert_int_equal(p2m_shatter(&d, GFN(0x12345)), 0); /* nothing left to split */
    assert_int_equal(puts_seen, 0);
    assert_int_equal(p2m_shatter(&d, GFN(1ull << 36)), -EINVAL);
}

static void map_and_clean(void)
{
    uint8_t map[64] = {0};

    assert_int_equal(p2m_set(&d, GFN(512), MFN(2 << 18), P2M_RAM_RW, ORDER_2M), 0);
    assert_int_equal(p2m_set(&d, GFN(1024), MFN(77), P2M_RAM_RO, ORDER_4K), 0);
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN, map), 512);
    for (unsigned int i = 0; i < sizeof(map); i++)
        assert_int_equal(map[i], 0xff);
    assert_int_equal(p2m_dirty(&d, GFN(512), 513, P2M_DIRTY_PEEK, NULL), 0);
    expect(513, (2 << 18) + 1, P2M_RAM_LOGDIRTY, ORDER_4K);
}

static void test_dirty_by_bit(void **state)
{
    uint8_t map[64] = {0};

    map_and_clean();
    assert_true(*entry(600) & W); /* no write fault is needed */
    *entry(600) |= DIRTY;         /* the processor */
    p2m_mark_dirty(&d, GFN(700)); /* the hypervisor */
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_PEEK, map), 2);
    assert_int_equal(map[88 / 8], 1 << 88 % 8);
    assert_int_equal(map[188 / 8], 1 << 188 % 8);
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 2);
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 0);
    assert_false(*entry(600) & DIRTY);
    p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_OFF, NULL);
    expect(600, (2 << 18) + 88, P2M_RAM_RW, ORDER_4K);
}

/* One who watches a range takes nothing from the rounds of log-dirty. */
static void test_dirty_for_two(void **state)
{
    map_and_clean();
    p2m_mark_dirty(&d, GFN(600));
    d.p2m.logdirty = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN_UNLESS_LOGGED, NULL), 1);
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 1);
    d.p2m.logdirty = false;
    p2m_mark_dirty(&d, GFN(601));
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN_UNLESS_LOGGED, NULL),
                     1);
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN_UNLESS_LOGGED, NULL),
                     0);
}

static void test_dirty_by_fault(void **state)
{
    p2m_format.dirty_mask = 0;
    map_and_clean();
    assert_false(*entry(600) & W);
    *entry(600) |= DIRTY; /* means nothing here */
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_PEEK, NULL), 0);
    p2m_mark_dirty(&d, GFN(600));
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 1);
    assert_int_equal(p2m_dirty(&d, GFN(512), 512, P2M_DIRTY_PEEK, NULL), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {T(shatter), T(dirty_by_bit), T(dirty_for_two),
                                       T(dirty_by_fault)};

    return cmocka_run_group_tests_name("p2m", tests, NULL, NULL);
}
