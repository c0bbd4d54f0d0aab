/*
 * The paravirtual block protocol: a front end by hand, in both layouts, and a hostile
 * one. Grants and event channels are played here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit-devmodel/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/blkif.h>

#include "devmodel/xen_blkif.h"

#define SECTORS   256u
#define PAGES     128u /* the guest's; its grant of page n is n */
#define RING_REF  1u
#define DATA_REF  16u
#define INDIRECT  8u /* page for segments */
#define LOCAL     7u
#define REMOTE    9u
#define DOMAIN_ID 5u

static uint8_t page[PAGES][4096] __attribute__((aligned(4096)));
static unsigned notified, mapped;
static bool refuse_map;

/* ---- the hypervisor -----------------------------------------------------------------
 */

void *xengnttab_map_domain_grant_refs(xengnttab_handle *g, uint32_t count, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    if (refuse_map || domid != DOMAIN_ID || refs[0] + count > PAGES) {
        errno = EINVAL;
        return NULL;
    }
    mapped++;
    return page[refs[0]];
}

int xengnttab_unmap(xengnttab_handle *g, void *at, uint32_t count)
{
    mapped--;
    return 0;
}

int xengnttab_grant_copy(xengnttab_handle *g, uint32_t count,
                         xengnttab_grant_copy_segment_t *s)
{
    for (; count--; s++) {
        bool from = s->flags & GNTCOPY_source_gref;
        union xengnttab_copy_ptr *guest = from ? &s->source : &s->dest;
        assert_int_equal(guest->foreign.domid, DOMAIN_ID);
        assert_true(guest->foreign.offset + s->len <= 4096);
        if (guest->foreign.ref >= PAGES) {
            s->status = GNTST_bad_gntref;
            continue;
        }
        uint8_t *at = page[guest->foreign.ref] + guest->foreign.offset;
        if (from)
            memcpy(s->dest.virt, at, s->len);
        else
            memcpy(at, s->source.virt, s->len);
        s->status = GNTST_okay;
    }
    return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *e, uint32_t domid,
                                                     evtchn_port_t port)
{
    errno = EINVAL;
    return port == REMOTE ? (int)LOCAL : -1;
}

int xenevtchn_unbind(xenevtchn_handle *e, evtchn_port_t port)
{
    return 0;
}

int xenevtchn_notify(xenevtchn_handle *e, evtchn_port_t port)
{
    assert_int_equal(port, LOCAL);
    notified++;
    return 0;
}

/* ---- a front end --------------------------------------------------------------------
 */

struct front {
    struct bench b;
    struct blkif_config c;
    struct blkif *f;
    bool x86_32;
    uint32_t prod, seen;
};

static void connect_front(struct front *t)
{
    memset(page, 0, sizeof(page));
    t->c.x86_32 = t->x86_32;
    t->prod = t->seen = 0;
    notified = 0;
    store_le32(page[RING_REF] + 12, 1); /* rsp_event */
    t->f = blkif_connect(&t->c, &t->b.error);
    assert_non_null(t->f);
    assert_int_equal(blkif_port(t->f), LOCAL);
}

static void setup_with(struct front *t, const char *more)
{
    char drive[200];

    memset(t, 0, sizeof(*t));
    bench_image(&t->b, SECTORS);
    snprintf(drive, sizeof(drive), "file=%s,if=none,id=x%s", t->b.image, more);
    bench_start(&t->b, "-nodefaults", "-drive", drive, NULL);
    t->c = (struct blkif_config){
        .machine = t->b.m,
        .domid = DOMAIN_ID,
        .drive = block_by_id(t->b.m, "x"),
        .ring_ref = {RING_REF},
        .ring_pages = 1,
        .remote_port = REMOTE,
    };
    connect_front(t);
}

static int setup(void **state)
{
    static struct front t;

    setup_with(&t, "");
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    struct front *t = *state;

    blkif_disconnect(t->f);
    assert_int_equal(mapped, 0);
    bench_stop(&t->b);
    return 0;
}

static unsigned entry_bytes(const struct front *t)
{
    return t->x86_32 ? 108 : 112;
}

static uint8_t *slot(struct front *t, uint32_t index)
{
    return page[RING_REF] + 64 + (index & 31) * entry_bytes(t);
}

static uint8_t *put(struct front *t, uint8_t operation, unsigned segments,
                    uint64_t sector)
{
    uint8_t *r = slot(t, t->prod++);

    memset(r, 0, entry_bytes(t));
    r[0] = operation;
    r[1] = (uint8_t)segments;
    store_le64(r + (t->x86_32 ? 4 : 8), 1000 + t->prod);
    store_le64(r + (t->x86_32 ? 12 : 16), sector);
    return r;
}

static void put_segment(uint8_t *at, uint32_t ref, uint8_t first, uint8_t last)
{
    store_le32(at, ref);
    at[4] = first;
    at[5] = last;
}

static uint8_t *segments(struct front *t, uint8_t *r)
{
    return r + (t->x86_32 ? 20 : 24);
}

static void push(struct front *t)
{
    store_le32(page[RING_REF], t->prod);
    blkif_event(t->f);
}

static uint8_t answered; /* the operation that the last answer was of */

/* The status of the next answer, which must be there soon. */
static int answer(struct front *t, uint64_t *id)
{
    WAIT_FOR(&t->b, load_le32(page[RING_REF] + 8) != t->seen);
    const uint8_t *r = slot(t, t->seen++);
    store_le32(page[RING_REF] + 12, t->seen + 1);
    answered = r[8];
    if (id)
        *id = load_le64(r);
    return (int16_t)load_le16(r + 10);
}

static int transfer(struct front *t, uint8_t operation, uint64_t sector, uint32_t ref,
                    uint8_t first, uint8_t last)
{
    put_segment(segments(t, put(t, operation, 1, sector)), ref, first, last);
    push(t);
    return answer(t, NULL);
}

/* ---- tests --------------------------------------------------------------------------
 */

static void read_and_write(struct front *t)
{
    uint64_t id;

    /* Two segments: sectors 10 and 11 at the end of a page, 12 at the start of another.
     */
    uint8_t *s = segments(t, put(t, BLKIF_OP_READ, 2, 10));
    put_segment(s, DATA_REF, 6, 7);
    put_segment(s + 8, DATA_REF + 1, 0, 0);
    push(t);
    assert_int_equal(answer(t, &id), BLKIF_RSP_OKAY);
    assert_int_equal(id, 1001);
    assert_int_equal(load_le32(page[DATA_REF] + 6 * 512), 10);
    assert_int_equal(load_le32(page[DATA_REF] + 7 * 512), 11);
    assert_int_equal(load_le32(page[DATA_REF + 1]), 12);
    assert_int_equal(load_le32(page[DATA_REF]), 0);
    assert_int_equal(notified, 1);
    /* What is written is there, and survives a flush. */
    memset(page[DATA_REF], 0x5a, 4096);
    assert_int_equal(transfer(t, BLKIF_OP_WRITE, 100, DATA_REF, 0, 7), BLKIF_RSP_OKAY);
    put(t, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
    push(t);
    assert_int_equal(answer(t, NULL), BLKIF_RSP_OKAY);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 107, DATA_REF + 1, 3, 3), BLKIF_RSP_OKAY);
    assert_int_equal(load_le32(page[DATA_REF + 1] + 3 * 512), 0x5a5a5a5a);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 108, DATA_REF + 1, 3, 3), BLKIF_RSP_OKAY);
    assert_int_equal(load_le32(page[DATA_REF + 1] + 3 * 512), 108);
    /* Round the ring, with several under way. */
    for (unsigned n = 0; n < 50; n++) {
        for (unsigned i = 0; i < 8; i++)
            put_segment(segments(t, put(t, BLKIF_OP_READ, 1, n + i)), DATA_REF + i, 0, 0);
        push(t);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(answer(t, NULL), BLKIF_RSP_OKAY);
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(load_le32(page[DATA_REF + i]), n + i);
    }
}

static void test_64(void **state)
{
    read_and_write(*state);
}

static void test_32(void **state)
{
    struct front *t = *state;

    blkif_disconnect(t->f);
    t->x86_32 = true;
    connect_front(t);
    read_and_write(t);
}

static int indirect(struct front *t, uint8_t operation, unsigned count, uint32_t ref)
{
    uint8_t *r = put(t, BLKIF_OP_INDIRECT, operation, 32);

    store_le16(r + 2, (uint16_t)count);
    store_le32(r + (t->x86_32 ? 24 : 28), ref);
    push(t);
    return answer(t, NULL);
}

static void test_indirect(void **state)
{
    struct front *t = *state;

    for (unsigned i = 0; i < 20; i++)
        put_segment(page[INDIRECT] + 8 * i, DATA_REF + i, 0, 7);
    assert_int_equal(indirect(t, BLKIF_OP_READ, 20, INDIRECT), BLKIF_RSP_OKAY);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(load_le32(page[DATA_REF + i] + 512), 32 + 8 * i + 1);
    memset(page[DATA_REF + 19], 0x77, 4096);
    assert_int_equal(indirect(t, BLKIF_OP_WRITE, 20, INDIRECT), BLKIF_RSP_OKAY);
    assert_int_equal(answered, BLKIF_OP_WRITE); /* drivers compare */
    assert_int_equal(transfer(t, BLKIF_OP_READ, 32 + 159, DATA_REF, 0, 0),
                     BLKIF_RSP_OKAY);
    assert_int_equal(load_le32(page[DATA_REF]), 0x77777777);
    /* None, too many, of another kind, in no page. */
    assert_int_equal(indirect(t, BLKIF_OP_READ, 0, INDIRECT), BLKIF_RSP_ERROR);
    assert_int_equal(indirect(t, BLKIF_OP_READ, BLKIF_SEGMENTS_MOST + 1, INDIRECT),
                     BLKIF_RSP_ERROR);
    assert_int_equal(indirect(t, BLKIF_OP_READ, 65535, INDIRECT), BLKIF_RSP_ERROR);
    assert_int_equal(indirect(t, BLKIF_OP_DISCARD, 1, INDIRECT), BLKIF_RSP_ERROR);
    assert_int_equal(indirect(t, BLKIF_OP_READ, 1, 100000), BLKIF_RSP_ERROR);
}

static void test_discard(void **state)
{
    struct front *t = *state;
    uint8_t *r = put(t, BLKIF_OP_DISCARD, 0, 64);

    store_le64(r + 24, 8);
    push(t);
    int status = answer(t, NULL);
    assert_true(status == BLKIF_RSP_OKAY || status == BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 72, DATA_REF, 0, 0), BLKIF_RSP_OKAY);
    assert_int_equal(load_le32(page[DATA_REF]), 72);
    r = put(t, BLKIF_OP_DISCARD, 0, 64);
    store_le64(r + 24, UINT64_MAX / 512);
    push(t);
    assert_int_equal(answer(t, NULL), BLKIF_RSP_ERROR);
}

static void test_refused(void **state)
{
    struct front *t = *state;

    assert_int_equal(transfer(t, BLKIF_OP_READ, SECTORS, DATA_REF, 0, 0),
                     BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, SECTORS - 1, DATA_REF, 0, 1),
                     BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, UINT64_MAX, DATA_REF, 0, 0),
                     BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, UINT64_MAX / 512, DATA_REF, 0, 0),
                     BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 0, DATA_REF, 0, 8), BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 0, DATA_REF, 5, 4), BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 0, 100000, 0, 0), BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_WRITE, 0, 100000, 0, 0), BLKIF_RSP_ERROR);
    put(t, BLKIF_OP_READ, 0, 0);
    push(t);
    assert_int_equal(answer(t, NULL), BLKIF_RSP_ERROR);
    put(t, BLKIF_OP_READ, 12, 0);
    push(t);
    assert_int_equal(answer(t, NULL), BLKIF_RSP_ERROR);
    put(t, 99, 1, 0);
    push(t);
    assert_int_equal(answer(t, NULL), BLKIF_RSP_EOPNOTSUPP);
    put(t, BLKIF_OP_WRITE_BARRIER, 1, 0);
    push(t);
    assert_int_equal(answer(t, NULL), BLKIF_RSP_EOPNOTSUPP);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 3, DATA_REF, 0, 0), BLKIF_RSP_OKAY);
    assert_int_equal(load_le32(page[DATA_REF]), 3);
}

static void test_read_only(void **state)
{
    struct front *t = *state;

    blkif_disconnect(t->f);
    t->c.read_only = true;
    connect_front(t);
    assert_int_equal(transfer(t, BLKIF_OP_WRITE, 0, DATA_REF, 0, 0), BLKIF_RSP_ERROR);
    uint8_t *r = put(t, BLKIF_OP_DISCARD, 0, 0);
    store_le64(r + 24, 1);
    push(t);
    assert_int_equal(answer(t, NULL), BLKIF_RSP_ERROR);
    assert_int_equal(transfer(t, BLKIF_OP_READ, 5, DATA_REF, 0, 0), BLKIF_RSP_OKAY);
    assert_int_equal(load_le32(page[DATA_REF]), 5);
}

/* Indices that make no sense: the ring is left alone, nothing else happens. */
static void test_bad_indices(void **state)
{
    struct front *t = *state;

    t->prod += 33;
    push(t);
    bench_turn(&t->b);
    assert_int_equal(load_le32(page[RING_REF] + 8), 0);
    t->prod = 0;
    put_segment(segments(t, put(t, BLKIF_OP_READ, 1, 0)), DATA_REF, 0, 0);
    push(t);
    bench_turn(&t->b);
    assert_int_equal(load_le32(page[RING_REF] + 8), 0);
}

/* All entries at once, again and again, of nonsense: each is answered. */
static void test_nonsense(void **state)
{
    struct front *t = *state;
    uint32_t random = 1;

    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 32; i++) {
            uint8_t *r = slot(t, t->prod++);
            for (unsigned n = 0; n < 112; n++) {
                random = random * 1664525 + 1013904223;
                r[n] = (uint8_t)(random >> 24);
            }
            r[0] %= 8;
            r[1] %= 14;
        }
        push(t);
        for (unsigned i = 0; i < 32; i++)
            answer(t, NULL);
    }
}

/* Requests under way when the ring goes: waited for, and nobody is written to. */
static void test_disconnect(void **state)
{
    struct front *t = *state;

    for (unsigned i = 0; i < 16; i++)
        put_segment(segments(t, put(t, BLKIF_OP_READ, 1, i)), DATA_REF + i, 0, 0);
    push(t);
    blkif_disconnect(t->f);
    assert_int_equal(block_in_flight(t->c.drive), 0);
    assert_int_equal(load_le32(page[RING_REF] + 8), 0);
    t->c.remote_port = REMOTE + 1;
    assert_null(blkif_connect(&t->c, &t->b.error));
    assert_non_null(strstr(t->b.error.text, "event channel"));
    refuse_map = true;
    assert_null(blkif_connect(&t->c, &t->b.error));
    assert_non_null(strstr(t->b.error.text, "ring"));
    refuse_map = false;
    assert_int_equal(mapped, 0);
    t->c.remote_port = REMOTE;
    connect_front(t);
    read_and_write(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_64, setup, teardown),
        cmocka_unit_test_setup_teardown(test_32, setup, teardown),
        cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_discard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_indices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disconnect, setup, teardown),
    };

    return cmocka_run_group_tests_name("paravirtual block ring", tests, NULL, NULL);
}
