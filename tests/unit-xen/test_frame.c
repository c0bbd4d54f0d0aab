/* The frame allocator, reference counts and the heap, on 6 GiB of pretended memory.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "test.h"
#include "mm/frame.h"
#include "mm/frame_init.h"
#include "domain/domain.h"
#include "lib/errno.h"
#include "lib/printk.h"

#define FRAMES  (6ull << 18) /* 6 GiB */
#define HOLE_LO (3ull << 18) /* 3 to 4 GiB: no RAM */
#define HOLE_HI (4ull << 18)
#define RAM     (FRAMES - (HOLE_HI - HOLE_LO) - 1) /* without frame 0 */
#define BLOCKS  3000

static jmp_buf panic_jump;
static bool panic_expected;
static unsigned int domain_puts;
static struct domain guest = {.id = 7, .max_pages = 1 << 20, .ref_count = 1};

void panic(const char *format, ...)
{
    if (panic_expected)
        longjmp(panic_jump, 1);
    fail_msg("panic: %s", format);
    abort();
}

void domain_put(struct domain *d)
{
    assert_true(d->ref_count > 0);
    d->ref_count--;
    domain_puts++;
}

uint64_t virt_to_maddr(const void *p)
{
    return (uintptr_t)p - DIRECTMAP_BASE;
}

void clear_page(void *page);
void clear_page(void *page)
{
    memset(page, 0, PAGE_SIZE);
}

static int setup(void **state)
{
    void *p =
        mmap((void *)DIRECTMAP_BASE, FRAMES << PAGE_SHIFT, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (p == MAP_FAILED)
        return -1;
    max_mfn = FRAMES;
    frame_table = calloc(FRAMES, sizeof(*frame_table));
    frame_init_lists();
    frame_init_range(0, HOLE_LO, FRAME_FREE);
    frame_init_range(HOLE_HI, FRAMES, FRAME_FREE);
    return 0;
}

/* All memory is free and joined: the largest blocks that can be are there. */
static void assert_all_free(void)
{
    uint64_t start, count;

    assert_int_equal(frames_free(), RAM);
    assert_true(frame_next_free(0, &start, &count));
    assert_int_equal(start, 1);
    assert_int_equal(count, HOLE_LO - 1);
    assert_true(frame_next_free(start + count, &start, &count));
    assert_int_equal(start, HOLE_HI);
    assert_int_equal(count, FRAMES - HOLE_HI);
    assert_false(frame_next_free(start + count, &start, &count));
    for (uint64_t m = HOLE_HI; m < FRAMES; m += 1 << ORDER_1G) {
        assert_int_equal(frame_table[m].order, ORDER_1G);
        assert_int_equal(frame_table[m].state, FRAME_FREE);
    }
}

static void test_random(void **state)
{
    static struct {
        mfn_t m;
        unsigned int order;
    } b[BLOCKS];
    static uint8_t used[FRAMES];
    uint64_t in_use = 0;

    assert_int_equal(frames_total(), RAM + 1);
    for (int step = 0; step < 200000; step++) {
        unsigned int i = random64() % BLOCKS, order = random64() % 12;
        uint64_t m;

        if (b[i].m.n) {
            m = b[i].m.n;
            memset(used + m, 0, 1 << b[i].order);
            frame_free(b[i].m, b[i].order);
            in_use -= 1 << b[i].order;
            b[i].m.n = 0;
        } else {
            b[i].m = frame_alloc(order);
            b[i].order = order;
            m = b[i].m.n;
            assert_true(mfn_valid(b[i].m));
            assert_int_equal(m & ((1 << order) - 1), 0);
            assert_true(m + (1 << order) <= HOLE_LO || m >= HOLE_HI);
            for (uint64_t k = m; k < m + (1 << order); k++)
                assert_int_equal(used[k]++, 0);
            in_use += 1 << order;
        }
        assert_int_equal(frames_free(), RAM - in_use);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (b[i].m.n)
            frame_free(b[i].m, b[i].order);
    }
    assert_all_free();
}

static void put_block(mfn_t m)
{
    for (unsigned int i = 0; i < 1 << ORDER_2M; i++)
        frame_put(mfn_add(m, i));
}

/* Blocks that were cleared beforehand: they count as free, and domains get them first. */
static void test_scrub(void **state)
{
    mfn_t m, got, other;
    uint32_t done;

    m = frame_scrub_begin(0, &done);
    assert_true(mfn_valid_number(m));
    assert_int_equal(done, 0);
    frame_scrub_end(0, PAGE_SIZE); /* other work came */
    other = frame_scrub_begin(1, &done);
    assert_int_not_equal(other.n, m.n);
    frame_scrub_end(1, 0);
    got = frame_scrub_begin(0, &done);
    assert_int_equal(got.n, m.n);
    assert_int_equal(done, PAGE_SIZE);
    assert_int_equal(frames_free(), RAM);
    frame_scrub_end(0, PAGE_SIZE << ORDER_2M);
    assert_int_equal(frames_free(), RAM);
    assert_int_equal(frames_cleared(), 1 << ORDER_2M);

    memset(mfn_to_virt(m), 0x5a, PAGE_SIZE); /* a mark: it must not be cleared again */
    got = frame_alloc_domain(&guest, ORDER_2M, 0);
    assert_int_equal(got.n, m.n);
    assert_int_equal(*(uint8_t *)mfn_to_virt(got), 0x5a);
    assert_int_equal(frames_free(), RAM - (1 << ORDER_2M));
    assert_int_equal(frames_cleared(), 0);
    other = frame_alloc_domain(&guest, ORDER_2M, 0);
    assert_int_equal(*(uint8_t *)mfn_to_virt(other), 0);
    put_block(got);
    put_block(other);
    assert_int_equal(frames_free(), RAM); /* with what CPU 1 left half done */
}

/* When all else is used up cleared blocks are there for everything, but no more of them
 * than are needed, and no large allocation takes them apart. */
static void test_cleared_are_reclaimed(void **state)
{
    static mfn_t blocks[RAM >> ORDER_2M], small[1 << 17];
    struct domain poor = {.id = 9, .max_pages = 1, .ref_count = 1};
    uint64_t cleared, n = 0, smalls = 0;
    uint32_t done;
    mfn_t m;

    while (mfn_valid_number(frame_scrub_begin(0, &done)))
        frame_scrub_end(0, PAGE_SIZE << ORDER_2M);
    cleared = frames_cleared();
    assert_true(cleared > 2000 << ORDER_2M && cleared < RAM);
    assert_int_equal(frames_free(), RAM);

    assert_false(mfn_valid_number(frame_alloc(ORDER_1G)));
    assert_false(mfn_valid_number(frame_alloc_domain(&guest, ORDER_1G, 0)));
    assert_false(mfn_valid_number(frame_alloc_domain(&poor, ORDER_2M, 0)));
    assert_int_equal(frames_cleared(), cleared);
    m = frame_alloc_domain(&guest, ORDER_2M, 32); /* those above 4 GiB are no good */
    assert_true(mfn_valid_number(m) && m.n + (1 << ORDER_2M) <= HOLE_HI);
    put_block(m);
    m = frame_alloc_domain(&guest, ORDER_2M, 30); /* far down in its list */
    assert_true(mfn_valid_number(m) && m.n + (1 << ORDER_2M) <= 1 << ORDER_1G);
    put_block(m);
    cleared = frames_cleared();

    while (frames_cleared() == cleared) {
        small[smalls] = frame_alloc(0);
        assert_true(mfn_valid_number(small[smalls]));
        smalls++;
    }
    assert_int_equal(frames_cleared(), cleared - (1 << ORDER_2M));
    while (mfn_valid_number(blocks[n] = frame_alloc(ORDER_2M)))
        n++;
    assert_int_equal(frames_cleared(), 0);
    assert_int_equal(n, (cleared >> ORDER_2M)); /* with what CPU 1 left, less one */
    while (n > 0)
        frame_free(blocks[--n], ORDER_2M);
    while (smalls > 0)
        frame_free(small[--smalls], 0);
    assert_all_free();
}

static void test_zones(void **state)
{
    mfn_t high = frame_alloc(ORDER_4K), low, small;

    assert_int_equal(high.n, FRAMES - 1); /* from the top */
    low = frame_alloc_domain(&guest, ORDER_2M, 32);
    assert_true(low.n + 512 <= HOLE_HI);
    small = frame_alloc_domain(&guest, ORDER_4K, 24);
    assert_true(small.n < 4096);
    assert_false(mfn_valid_number(frame_alloc_domain(&guest, ORDER_4K, 12)));
    frame_free(high, 0);
    for (int i = 0; i < 512; i++)
        frame_put(MFN(low.n + i));
    frame_put(small);
    assert_all_free();
}

static void test_exhaustion(void **state)
{
    mfn_t blocks[8];
    unsigned int n = 0;

    while (n < 8 && mfn_valid_number(blocks[n] = frame_alloc(ORDER_1G)))
        n++;
    assert_int_equal(n, 4); /* two above 4 GiB, two below; the first lacks frame 0 */
    assert_false(mfn_valid_number(frame_alloc(ORDER_1G)));
    assert_false(mfn_valid_number(frame_alloc(19)));
    while (n-- > 0)
        frame_free(blocks[n], ORDER_1G);
    assert_all_free();
}

static void test_claim(void **state)
{
    uint64_t start, count;

    assert_int_equal(frame_claim(NULL, MFN(0x100), 0), 0);
    assert_int_equal(frame_claim(NULL, MFN(0x100), 0), -EBUSY);
    assert_int_equal(frame_claim(NULL, MFN(0x100), 4), -EBUSY);
    assert_int_equal(frame_claim(NULL, MFN(0x101), 4), -EINVAL);
    assert_int_equal(frame_claim(NULL, MFN(FRAMES), 0), -EINVAL);
    assert_int_equal(frame_claim(NULL, MFN(HOLE_LO), 0), -EBUSY);
    assert_int_equal(frame_claim(&guest, MFN(0x200), ORDER_2M), 0);
    assert_int_equal(guest.tot_pages, 512);
    assert_true(frame_next_free(1, &start, &count));
    assert_int_equal(start, 1);
    assert_int_equal(count, 0xff);
    assert_true(frame_next_free(0x100, &start, &count));
    assert_int_equal(start, 0x101);
    assert_int_equal(count, 0xff);
    frame_free(MFN(0x100), 0);
    for (int i = 0; i < 512; i++)
        frame_put(MFN(0x200 + i));
    assert_int_equal(guest.tot_pages, 0);
    assert_all_free();
}

/* Frame 0 is had by name only, once: no allocation finds it, free or given back. */
static void test_frame_zero(void **state)
{
    static mfn_t all[FRAMES >> ORDER_2M], small[2 << ORDER_2M];
    uint64_t n = 0, smalls = 0;

    assert_int_equal(frame_claim(&guest, MFN(0), ORDER_2M), -EBUSY);
    assert_int_equal(frame_claim(&guest, MFN(0), ORDER_4K), 0);
    assert_int_equal(frame_claim(&guest, MFN(0), ORDER_4K), -EBUSY);
    assert_int_equal(guest.tot_pages, 1);
    assert_int_equal(frames_free(), RAM);
    assert_true(frame_get(MFN(0), &guest));
    frame_put(MFN(0));
    frame_put(MFN(0));
    assert_int_equal(guest.tot_pages, 0);
    assert_false(frame_get_any(MFN(0)));
    assert_all_free(); /* it is not among them */
    while (mfn_valid_number(all[n] = frame_alloc(ORDER_2M)))
        n++;
    while (mfn_valid_number(small[smalls] = frame_alloc_domain(&guest, ORDER_4K, 0)))
        assert_int_not_equal(small[smalls++].n, 0);
    assert_int_equal(frames_free(), 0);
    assert_int_equal(smalls, (1 << ORDER_2M) - 1);
    while (n > 0)
        frame_free(all[--n], ORDER_2M);
    while (smalls > 0)
        frame_put(small[--smalls]);
    assert_all_free();
}

static void test_references(void **state)
{
    struct domain other = {.id = 8, .max_pages = 1, .ref_count = 1};
    mfn_t m;

    domain_puts = 0;
    m = frame_alloc_domain(&guest, 0, 0);
    assert_true(mfn_valid_number(m));
    assert_int_equal(guest.tot_pages, 1);
    assert_int_equal(guest.ref_count, 2); /* frames keep their domain */
    assert_int_equal(mfn_to_frame(m)->owner, 7);
    assert_true(frame_get(m, &guest));
    assert_false(frame_get(m, &other));
    assert_true(frame_get_any(m));
    frame_get_more(m);
    assert_int_equal(mfn_to_frame(m)->count, 4);
    for (int i = 0; i < 4; i++)
        frame_put(m);
    assert_false(frame_get(m, &guest));
    assert_false(frame_get_any(m));
    assert_int_equal(guest.tot_pages, 0);
    assert_int_equal(domain_puts, 1);

    assert_false(frame_get_any(MFN(FRAMES)));
    assert_false(frame_get_any(MFN(HOLE_LO)));
    m = frame_alloc_domain(&other, 0, 0);
    assert_false(mfn_valid_number(frame_alloc_domain(&other, 0, 0))); /* max_pages */
    assert_int_equal(frame_claim(&other, MFN(0x1000), 0), -ENOMEM);
    frame_put(m);
    m = frame_alloc(0); /* the hypervisor's own frames cannot be had */
    assert_false(frame_get_any(m));
    frame_free(m, 0);
    assert_all_free();
}

static void test_count_does_not_wrap(void **state)
{
    mfn_t m = frame_alloc_domain(&guest, 0, 0);

    mfn_to_frame(m)->count = UINT32_MAX;
    assert_false(frame_get(m, &guest));
    mfn_to_frame(m)->count = 1;
    frame_put(m);
}

static void test_cleared(void **state)
{
    mfn_t m = frame_alloc_domain(&guest, 0, 0), again;

    memset(mfn_to_virt(m), 0xaa, PAGE_SIZE);
    frame_put(m);
    again = frame_alloc_domain(&guest, 0, 0);
    assert_true(mfn_eq(m, again)); /* the same frame, but nothing of what was in it */
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        assert_int_equal(((uint8_t *)mfn_to_virt(again))[i], 0);
    frame_put(again);
}

static void test_double_free_panics(void **state)
{
    mfn_t m = frame_alloc(0);

    frame_free(m, 0);
    panic_expected = true;
    if (!setjmp(panic_jump)) {
        frame_free(m, 0);
        fail_msg("a second free was accepted");
    }
    panic_expected = false;
    assert_all_free();
}

static void test_heap(void **state)
{
    static struct {
        uint8_t *p;
        size_t bytes;
        uint8_t fill;
    } o[2000];
    struct heap_usage now;

    for (int step = 0; step < 100000; step++) {
        unsigned int i = random64() % 2000;

        if (o[i].p) {
            for (size_t k = 0; k < o[i].bytes; k++)
                assert_int_equal(o[i].p[k], o[i].fill);
            zfree(o[i].p);
            o[i].p = NULL;
            continue;
        }
        o[i].bytes = random64() % 8 ? 1 + random64() % 300 : 1 + random64() % 9000;
        o[i].fill = (uint8_t)random64();
        o[i].p = zalloc(o[i].bytes);
        assert_non_null(o[i].p);
        assert_int_equal((uintptr_t)o[i].p & 15, 0);
        for (size_t k = 0; k < o[i].bytes; k++)
            assert_int_equal(o[i].p[k], 0);
        memset(o[i].p, o[i].fill, o[i].bytes);
    }
    now = heap_usage();
    assert_int_equal((now.slab_pages + now.large_pages), RAM - frames_free());
    assert_true(now.objects > 0 && now.bytes <= now.slab_pages << PAGE_SHIFT);
    for (int i = 0; i < 2000; i++)
        zfree(o[i].p);
    zfree(NULL);
    now = heap_usage();
    assert_int_equal(now.slab_pages + now.objects + now.bytes + now.large_pages, 0);
    assert_null(zalloc(0));
    assert_null(zalloc(256 * 1024 + 1));
    assert_all_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_frame_zero),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_count_does_not_wrap),
        cmocka_unit_test(test_cleared),
        cmocka_unit_test(test_double_free_panics),
        cmocka_unit_test(test_heap),
        cmocka_unit_test(test_scrub), /* these leave the lists in another order */
        cmocka_unit_test(test_cleared_are_reclaimed),
    };

    return cmocka_run_group_tests_name("frame", tests, setup, NULL);
}
