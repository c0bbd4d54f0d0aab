/* Memory on demand: the cache, entries that get frames, pages that give theirs back.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include "test.h"
#include "fake_p2m.h"
#include "mm/pod.h"
#include "lib/errno.h"

#define BLOCK  512u
#define BLOCKS 4u           /* of the map */
#define TARGET (2u * BLOCK) /* what the domain has */
#define MAP    (BLOCKS * BLOCK)

static struct domain *const d = &fake_domain;

static uint64_t entries(void)
{
    return d->p2m.pod.entries;
}

static uint64_t cached(void)
{
    return d->p2m.pod.cached;
}

static void *page(mfn_t mfn)
{
    return mfn_to_virt(mfn);
}

/* As libxc builds a guest: first its target, then its map. */
static void build(void)
{
    assert_int_equal(pod_set_target(d, TARGET), 0);
    assert_int_equal(cached(), TARGET);
    for (unsigned int i = 0; i < BLOCKS; i++)
        assert_int_equal(pod_mark(d, GFN(i * BLOCK), ORDER_2M), 0);
    assert_int_equal(entries(), MAP);
    assert_int_equal(d->tot_pages, TARGET);
    assert_int_equal(d->p2m.max_gfn, MAP - 1);
}

/* The frames are where they should be: all that are no entries are mapped. */
static void balanced(uint64_t total)
{
    assert_int_equal(d->tot_pages, total);
    assert_int_equal(MAP - entries(), total - cached());
}

/* Use a page, and write to it if `word` is not zero. */
static mfn_t use(uint64_t gfn, uint64_t word)
{
    mfn_t mfn = p2m_get_frame(d, GFN(gfn), true, NULL);

    if (mfn_valid_number(mfn)) {
        if (word)
            memcpy(page(mfn), &word, sizeof(word));
        frame_put(mfn);
    }
    return mfn;
}

static uint64_t word_at(uint64_t gfn)
{
    enum p2m_type type;
    uint64_t word;

    memcpy(&word, page(p2m_lookup(d, GFN(gfn), &type, NULL)), sizeof(word));
    return word;
}

static void test_build(void **state)
{
    build();
    assert_int_equal(pod_mark(d, GFN(BLOCK), ORDER_2M), -EBUSY);
    assert_int_equal(pod_mark(d, GFN(BLOCK), ORDER_4K), -EBUSY);
    assert_int_equal(pod_mark(d, GFN(MAP + 1), ORDER_2M), -EINVAL);
    assert_int_equal(pod_mark(d, GFN(MAP), ORDER_4K), 0);
    assert_int_equal(pod_mark(d, GFN(MAP), ORDER_2M), -EBUSY); /* one of them */
    fake_expect(3, INVALID_MFN.n, P2M_POD, ORDER_2M);
    assert_int_equal(p2m_clear(d, GFN(MAP), ORDER_4K), 0);
    balanced(TARGET);
}

static void test_use(void **state)
{
    mfn_t mfn;

    build();
    mfn = use(5, 1);
    fake_expect(5, mfn.n, P2M_RAM_RW, ORDER_2M);
    assert_int_equal(cached(), TARGET - BLOCK);
    balanced(TARGET);
    assert_true(pod_populate(d, GFN(5), true)); /* done already */
    balanced(TARGET);
}

/* With the cache empty, zero pages go elsewhere; not those that somebody uses. */
static void test_sweep(void **state)
{
    mfn_t held;

    build();
    use(BLOCK + 7, 77);
    held = p2m_get_frame(d, GFN(5), false, NULL);
    assert_int_equal(cached(), 0);
    for (unsigned int i = 0; i < TARGET - 2; i++)
        assert_true(mfn_valid_number(use(2 * BLOCK + i, i + 1)));
    balanced(TARGET);
    fake_expect(5, held.n, P2M_RAM_RW, ORDER_4K);
    assert_int_equal(word_at(BLOCK + 7), 77);
    for (unsigned int i = 0; i < TARGET - 2; i++)
        assert_int_equal(word_at(2 * BLOCK + i), i + 1);
    fake_expect(6, INVALID_MFN.n, P2M_POD, ORDER_4K);
    assert_int_equal(fake_crashes, 0);

    /* Now all that it has is in use. */
    assert_false(mfn_valid_number(use(6, 1)));
    assert_int_equal(fake_crashes, 0);
    assert_false(pod_populate(d, GFN(6), true));
    assert_int_equal(fake_crashes, 1);
    balanced(TARGET);
    /* It goes away, and lets that page go, too. */
    frame_put(held);
    assert_true(mfn_valid_number(use(6, 1)));
    fake_expect(5, INVALID_MFN.n, P2M_POD, ORDER_4K);
}

/* A guest's own faults leave some frames for those who cannot wait. */
static void test_reserve(void **state)
{
    build();
    use(0, 1);
    assert_true(pod_populate(d, GFN(BLOCK), true));
    assert_true(cached() > 0);
    balanced(TARGET);
}

/* A whole block that is zero stays a block. */
static void test_sweep_block(void **state)
{
    build();
    use(0, 0);
    use(BLOCK, 1);
    use(2 * BLOCK, 1);
    fake_expect(0, INVALID_MFN.n, P2M_POD, ORDER_2M);
    assert_int_equal(word_at(BLOCK), 1);
    balanced(TARGET);
}

static void test_no_sweep_while_logged(void **state)
{
    build();
    use(0, 0);
    use(BLOCK, 0);
    d->p2m.logdirty = true;
    assert_false(pod_populate(d, GFN(2 * BLOCK), true));
    assert_int_equal(fake_crashes, 1);
    d->p2m.logdirty = false;
    assert_true(mfn_valid_number(use(2 * BLOCK, 1)));
}

static void give_up(uint64_t first, unsigned int nr)
{
    for (unsigned int i = 0; i < nr; i++)
        if (!d->p2m.pod.entries || !pod_give_up(d, GFN(first + i)))
            assert_int_equal(p2m_clear(d, GFN(first + i), ORDER_4K), 0);
    pod_trim(d);
}

/* The balloon gives back what the map is too large: then all is as if it had never been.
 */
static void test_balloon(void **state)
{
    build();
    use(0, 1);
    use(1, 2);
    /* Pages that were used fill the cache, as the rest still is without frames. */
    give_up(0, BLOCK - 1);
    assert_int_equal(cached(), TARGET - 1);
    assert_int_equal(d->tot_pages, TARGET);
    use(BLOCK - 1, 3);
    give_up(BLOCK, BLOCK + 1);
    assert_int_equal(entries(), cached());
    for (unsigned int i = 2 * BLOCK + 1; i < MAP; i++)
        assert_true(mfn_valid_number(use(i, i)));
    assert_int_equal(entries() + cached(), 0);
    assert_int_equal(word_at(BLOCK - 1), 3);
    assert_int_equal(fake_crashes, 0);
    /* From now on memory that is given up goes to others. */
    give_up(MAP - 1, 1);
    assert_int_equal(d->tot_pages, TARGET - 1);
}

static void test_balloon_beyond(void **state)
{
    build();
    give_up(0, MAP - 100);
    assert_int_equal(entries(), 100);
    assert_int_equal(cached(), 100);
    assert_int_equal(d->tot_pages, 100);
}

/* Of a page that is used elsewhere too, the frame is lost to the cache until then. */
static void test_give_up_shared(void **state)
{
    mfn_t held;

    build();
    held = p2m_get_frame(d, GFN(0), true, NULL);
    give_up(0, 1);
    assert_int_equal(cached(), TARGET - BLOCK);
    assert_int_equal(d->tot_pages, TARGET);
    frame_put(held);
    assert_int_equal(d->tot_pages, TARGET - 1);
}

static void test_target(void **state)
{
    build();
    use(0, 1);
    assert_int_equal(pod_set_target(d, 10), 0); /* less: nothing */
    balanced(TARGET);
    assert_int_equal(pod_set_target(d, TARGET + 100), 0);
    balanced(TARGET + 100);
    assert_int_equal(pod_set_target(d, 10 * MAP), 0); /* more than can be used */
    balanced(MAP);
    give_up(1, MAP - 1);
    assert_int_equal(pod_set_target(d, MAP), 0); /* it is over */
    assert_int_equal(d->tot_pages, 1);
}

static void test_target_too_high(void **state)
{
    d->max_pages = 700;
    assert_int_equal(pod_set_target(d, 1000), -ENOMEM);
    assert_int_equal(cached(), 700);
}

static void test_dying(void **state)
{
    build();
    use(0, 1);
    use(BLOCK, 1);
    give_up(0, 3);
    d->state = DOMAIN_DYING;
    assert_false(mfn_valid_number(use(2 * BLOCK, 1)));
    assert_int_equal(fake_crashes, 0);
    assert_int_equal(pod_set_target(d, MAP), 0);
    p2m_teardown(d);
    pod_teardown(d);
    assert_int_equal(d->tot_pages, 0);
    assert_int_equal(entries() + cached(), 0);
}

static mfn_t other;

static void put_other(void)
{
    other = frame_alloc_domain(d, ORDER_4K, 0);
    assert_int_equal(p2m_set(d, GFN(0), other, P2M_RAM_RW, ORDER_4K), 0);
}

/* The page went away between the lookup and the reference. */
static void test_reference_comes_late(void **state)
{
    mfn_t mfn;

    build();
    use(0, 0);
    fake_at_get = put_other;
    mfn = use(0, 1);
    assert_int_equal(mfn.n, other.n);
}

int main(void)
{
#define T(name)                                                                          \
    cmocka_unit_test_setup_teardown(test_##name, fake_p2m_setup, fake_p2m_teardown)
    const struct CMUnitTest tests[] = {T(build),
                                       T(use),
                                       T(sweep),
                                       T(reserve),
                                       T(sweep_block),
                                       T(no_sweep_while_logged),
                                       T(balloon),
                                       T(balloon_beyond),
                                       T(give_up_shared),
                                       T(target),
                                       T(target_too_high),
                                       T(dying),
                                       T(reference_comes_late)};

    return cmocka_run_group_tests_name("pod", tests, NULL, NULL);
}
