/* Physical-to-machine tables: sizes of leaves, splitting, dirty pages; with the entry
 * format of a processor that has dirty bits, and of one that has none.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include "test.h"
#include "fake_p2m.h"
#include "lib/errno.h"

/* The entry that maps gfn. */
static uint64_t *entry(uint64_t gfn)
{
    uint64_t *t = fake_domain.p2m.root;

    for (int level = 3;; level--) {
        uint64_t *e = &t[gfn >> (9 * level) & 511];

        if (!level || !(*e & FAKE_PRESENT) || (*e & FAKE_LARGE))
            return e;
        t = (uint64_t *)(DIRECTMAP_BASE + (*e & 0xffffffffff000ull));
    }
}

static void test_shatter(void **state)
{
    assert_int_equal(p2m_set(&fake_domain, GFN(0), MFN(1 << 18), P2M_RAM_RW, ORDER_1G),
                     0);
    fake_expect(0x12345, (1 << 18) + 0x12345, P2M_RAM_RW, ORDER_1G);
    assert_int_equal(p2m_shatter(&fake_domain, GFN(0x12345)), 0);
    fake_expect(0x12345, (1 << 18) + 0x12345, P2M_RAM_RW, ORDER_4K);
    fake_expect(0x12346, (1 << 18) + 0x12346, P2M_RAM_RW, ORDER_4K);
    fake_expect(0x12200, (1 << 18) + 0x12200, P2M_RAM_RW, ORDER_4K);
    fake_expect(0x12145, (1 << 18) + 0x12145, P2M_RAM_RW, ORDER_2M);
    fake_expect(0x3ffff, (1 << 18) + 0x3ffff, P2M_RAM_RW, ORDER_2M);
    assert_int_equal(p2m_shatter(&fake_domain, GFN(0x12345)),
                     0); /* nothing left to split */
    assert_int_equal(fake_puts, 0);
    assert_int_equal(p2m_shatter(&fake_domain, GFN(1ull << 36)), -EINVAL);
}

static void map_and_clean(void)
{
    uint8_t map[64] = {0};

    assert_int_equal(p2m_set(&fake_domain, GFN(512), MFN(2 << 18), P2M_RAM_RW, ORDER_2M),
                     0);
    assert_int_equal(p2m_set(&fake_domain, GFN(1024), MFN(77), P2M_RAM_RO, ORDER_4K), 0);
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN, map), 512);
    for (unsigned int i = 0; i < sizeof(map); i++)
        assert_int_equal(map[i], 0xff);
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 513, P2M_DIRTY_PEEK, NULL), 0);
    fake_expect(513, (2 << 18) + 1, P2M_RAM_LOGDIRTY, ORDER_4K);
}

static void test_dirty_by_bit(void **state)
{
    uint8_t map[64] = {0};

    map_and_clean();
    assert_true(*entry(600) & FAKE_WRITE);  /* no write fault is needed */
    *entry(600) |= FAKE_DIRTY;              /* the processor */
    p2m_mark_dirty(&fake_domain, GFN(700)); /* the hypervisor */
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_PEEK, map), 2);
    assert_int_equal(map[88 / 8], 1 << 88 % 8);
    assert_int_equal(map[188 / 8], 1 << 188 % 8);
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 2);
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 0);
    assert_false(*entry(600) & FAKE_DIRTY);
    p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_OFF, NULL);
    fake_expect(600, (2 << 18) + 88, P2M_RAM_RW, ORDER_4K);
}

/* One who watches a range takes nothing from the rounds of log-dirty. */
static void test_dirty_for_two(void **state)
{
    map_and_clean();
    p2m_mark_dirty(&fake_domain, GFN(600));
    fake_domain.p2m.logdirty = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN_UNLESS_LOGGED, NULL),
            1);
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 1);
    fake_domain.p2m.logdirty = false;
    p2m_mark_dirty(&fake_domain, GFN(601));
    assert_int_equal(
        p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN_UNLESS_LOGGED, NULL), 1);
    assert_int_equal(
        p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN_UNLESS_LOGGED, NULL), 0);
}

static void test_dirty_by_fault(void **state)
{
    p2m_format.dirty_mask = 0;
    map_and_clean();
    assert_false(*entry(600) & FAKE_WRITE);
    *entry(600) |= FAKE_DIRTY; /* means nothing here */
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_PEEK, NULL), 0);
    p2m_mark_dirty(&fake_domain, GFN(600));
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_CLEAN, NULL), 1);
    assert_int_equal(p2m_dirty(&fake_domain, GFN(512), 512, P2M_DIRTY_PEEK, NULL), 0);
}

int main(void)
{
#define T(name)                                                                          \
    cmocka_unit_test_setup_teardown(test_##name, fake_p2m_setup, fake_p2m_teardown)
    const struct CMUnitTest tests[] = {T(shatter), T(dirty_by_bit), T(dirty_for_two),
                                       T(dirty_by_fault)};

    return cmocka_run_group_tests_name("p2m", tests, NULL, NULL);
}
