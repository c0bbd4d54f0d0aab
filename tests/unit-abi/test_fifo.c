/* Event channels, FIFO ABI: an honest guest, a hostile one, and threads.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake.h"
#include "domain/evtchn.h"
#include <pthread.h>
#include <xen/event_channel.h>

#define CONTROL_GFN 0 /* of vCPU 0, and 1 of vCPU 1 */
#define ARRAY_GFN   4

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED  (1u << EVTCHN_FIFO_MASKED)
#define LINKED  (1u << EVTCHN_FIFO_LINKED)

static struct domain *d;
static event_word_t *words;
static struct evtchn_fifo_control_block *block[2];

static int setup(void **state)
{
    d = fake_domain(1, 2, 16);
    assert_int_equal(evtchn_domain_init(d), 0);
    for_each_vcpu(d, v) assert_int_equal(evtchn_vcpu_init(v), 0);
    return 0;
}

static int teardown(void **state)
{
    d->state = DOMAIN_DYING;
    evtchn_domain_destroy(d);
    for_each_vcpu(d, v) evtchn_vcpu_destroy(v);
    evtchn_domain_free(d);
    fake_domain_end(d);
    return 0;
}

static void switch_to_fifo(void)
{
    for (unsigned int v = 0; v < 2; v++) {
        assert_int_equal(evtchn_fifo_init_control(d, CONTROL_GFN + v, 64, v), 0);
        block[v] = (void *)((char *)fake_page(d, CONTROL_GFN + v) + 64);
    }
    assert_int_equal(evtchn_fifo_expand_array(d, ARRAY_GFN), 0);
    words = fake_page(d, ARRAY_GFN);
    fake_upcalls = 0;
}

static uint32_t ipi(unsigned int vcpu)
{
    uint32_t port;

    assert_int_equal(evtchn_bind_ipi(d, vcpu, &port), 0);
    return port;
}

/* What a guest does: take the head of the highest ready queue. 0: none. */
static uint32_t take(unsigned int vcpu)
{
    struct evtchn_fifo_control_block *b = block[vcpu];

    __atomic_store_n(&d->vcpus[vcpu]->info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    for (;;) {
        uint32_t ready = __atomic_load_n(&b->ready, __ATOMIC_SEQ_CST), port, w;
        unsigned int q;

        if (!ready)
            return 0;
        q = __builtin_ctz(ready);
        /* Clear ready first, then look: set again if there is more. */
        __atomic_and_fetch(&b->ready, ~(1u << q), __ATOMIC_SEQ_CST);
        port = __atomic_load_n(&b->head[q], __ATOMIC_SEQ_CST);
        if (!port)
            continue;
        w = __atomic_load_n(&words[port], __ATOMIC_SEQ_CST);
        while (!__atomic_compare_exchange_n(&words[port], &w,
                                            w & ~(LINKED | EVTCHN_FIFO_LINK_MASK), false,
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
        if (w & EVTCHN_FIFO_LINK_MASK) {
            __atomic_store_n(&b->head[q], w & EVTCHN_FIFO_LINK_MASK, __ATOMIC_SEQ_CST);
            __atomic_or_fetch(&b->ready, 1u << q, __ATOMIC_SEQ_CST);
        } else {
            /* Only if nobody wrote a new head meanwhile. */
            uint32_t expected = port;

            __atomic_compare_exchange_n(&b->head[q], &expected, 0, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
        if (__atomic_fetch_and(&words[port], ~PENDING, __ATOMIC_SEQ_CST) & PENDING)
            return port;
    }
}

static void wrong_setup(void **state)
{
    unsigned int refs = fake_page_refs(fake_page(d, 0));

    assert_int_equal(evtchn_fifo_init_control(d, 0, 0, 2), -ENOENT);
    assert_int_equal(evtchn_fifo_init_control(d, 0, 4, 0), -EINVAL);
    assert_int_equal(evtchn_fifo_init_control(d, 0, 4096 - 64, 0), -EINVAL);
    assert_int_equal(evtchn_fifo_init_control(d, 99, 0, 0), -EINVAL);
    fake_set_type(d, 0, P2M_RAM_RO);
    assert_int_equal(evtchn_fifo_init_control(d, 0, 0, 0), -EINVAL);
    fake_set_type(d, 0, P2M_SHARED);
    assert_int_equal(evtchn_fifo_init_control(d, 0, 0, 0), -EINVAL);
    fake_set_type(d, 0, P2M_RAM_RW);
    assert_int_equal(fake_page_refs(fake_page(d, 0)), refs);
    assert_int_equal(evtchn_fifo_init_control(d, 0, 0, 0), 0);
    assert_int_equal(evtchn_fifo_init_control(d, 0, 0, 0), -EINVAL); /* once */
    assert_int_equal(fake_page_refs(fake_page(d, 0)), refs + 1);
    assert_int_equal(evtchn_fifo_expand_array(d, 99), -EINVAL);
    assert_int_equal(evtchn_max_ports(d), 1 << 17);
    for (unsigned int i = 0; i < 128; i++)
        assert_int_equal(evtchn_fifo_expand_array(d, ARRAY_GFN), 0);
    assert_int_equal(evtchn_fifo_expand_array(d, ARRAY_GFN), -ENOSPC);
    assert_int_equal(fake_page_refs(fake_page(d, ARRAY_GFN)), 129);
}

static void in_order(void **state)
{
    uint32_t p[3];

    switch_to_fifo();
    for (int i = 0; i < 3; i++) {
        p[i] = ipi(0);
        assert_int_equal(evtchn_send(d, p[i]), 0);
    }
    assert_int_equal(fake_upcalls, 1);
    assert_int_equal(block[0]->ready, 1u << EVTCHN_FIFO_PRIORITY_DEFAULT);
    assert_int_equal(block[0]->head[EVTCHN_FIFO_PRIORITY_DEFAULT], p[0]);
    assert_int_equal(words[p[0]], PENDING | LINKED | p[1]);
    assert_int_equal(words[p[2]], PENDING | LINKED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(0), p[i]);
    assert_int_equal(take(0), 0);
    /* The same again: the tail that we remember is stale now. */
    for (int round = 0; round < 3; round++) {
        assert_int_equal(evtchn_send(d, p[2]), 0);
        assert_int_equal(evtchn_send(d, p[0]), 0);
        assert_int_equal(take(0), p[2]);
        assert_int_equal(take(0), p[0]);
        assert_int_equal(take(0), 0);
    }
}

static void priorities(void **state)
{
    uint32_t low, high;

    switch_to_fifo();
    low = ipi(0);
    high = ipi(0);
    assert_int_equal(evtchn_fifo_set_priority(d, high, 16), -EINVAL);
    assert_int_equal(evtchn_fifo_set_priority(d, 4000, 1), -EINVAL);
    assert_int_equal(evtchn_fifo_set_priority(d, high, EVTCHN_FIFO_PRIORITY_MAX), 0);
    evtchn_send(d, low);
    evtchn_send(d, high);
    assert_int_equal(take(0), high);
    /* A port that moves to another queue while it is nowhere linked. */
    assert_int_equal(evtchn_fifo_set_priority(d, high, EVTCHN_FIFO_PRIORITY_MIN), 0);
    evtchn_send(d, high);
    assert_int_equal(take(0), low);
    assert_int_equal(take(0), high);
    assert_int_equal(take(0), 0);
}

static void masked(void **state)
{
    uint32_t p;

    switch_to_fifo();
    p = ipi(0);
    words[p] = MASKED;
    evtchn_send(d, p);
    assert_int_equal(words[p], MASKED | PENDING);
    assert_true(evtchn_port_pending(d, p));
    assert_int_equal(take(0), 0);
    assert_int_equal(evtchn_unmask(d, p), 0);
    assert_int_equal(take(0), p);
}

/* What was pending the old way, or before its event word was mapped, is not lost. */
static void takes_over(void **state)
{
    uint32_t early = ipi(0), late;

    evtchn_send(d, early);
    assert_int_equal(evtchn_fifo_init_control(d, CONTROL_GFN, 64, 0), 0);
    block[0] = (void *)((char *)fake_page(d, CONTROL_GFN) + 64);
    late = ipi(0);
    evtchn_send(d, late);
    assert_false(evtchn_port_pending(d, late));
    assert_int_equal(evtchn_fifo_expand_array(d, ARRAY_GFN), 0);
    words = fake_page(d, ARRAY_GFN);
    assert_int_equal(take(0), early);
    assert_int_equal(take(0), late);
    assert_int_equal(take(0), 0);
}

/* A port that is still in a queue cannot be used again. */
static void busy(void **state)
{
    uint32_t p, q;

    switch_to_fifo();
    p = ipi(0);
    evtchn_send(d, p);
    assert_int_equal(evtchn_close(d, p), 0);
    assert_int_equal(words[p], LINKED);
    q = ipi(0);
    assert_int_not_equal(p, q);
    assert_int_equal(take(0), 0); /* taken off, but not pending */
    assert_int_equal(ipi(0), p);
}

static void reset(void **state)
{
    unsigned int before = fake_page_refs(fake_page(d, ARRAY_GFN));
    uint32_t p;

    switch_to_fifo();
    p = ipi(1);
    evtchn_send(d, p);
    assert_int_equal(evtchn_reset(d), 0);
    assert_int_equal(fake_page_refs(fake_page(d, ARRAY_GFN)), before);
    assert_int_equal(fake_page_refs(fake_page(d, CONTROL_GFN)), 1);
    assert_int_equal(evtchn_max_ports(d), 4096);
    switch_to_fifo();
    p = ipi(1);
    evtchn_send(d, p);
    assert_int_equal(take(1), p);
}

/* A guest that writes whatever it likes into all that it can write. */
static void hostile(void **state)
{
    uint32_t p[64];

    srandom(1);
    switch_to_fifo();
    for (unsigned int i = 0; i < 64; i++)
        p[i] = ipi(i % 2);
    for (unsigned int round = 0; round < 200000; round++) {
        uint32_t port = p[random() % 64];

        switch (random() % 8) {
        case 0:
            words[random() % 1024] = random() * 2654435761u;
            break;
        case 1:
            words[port] |= LINKED;
            break;
        case 2:
            words[port] ^= 1u << random() % 32;
            break;
        case 3:
            block[random() % 2]->head[random() % 16] = random();
            block[random() % 2]->ready = random();
            break;
        case 4:
            evtchn_unmask(d, port);
            break;
        case 5:
            evtchn_fifo_set_priority(d, port, random() % 17);
            evtchn_bind_vcpu(d, port, random() % 2);
            break;
        default:
            assert_int_equal(evtchn_send(d, port), 0);
        }
    }
}

/*
 * Threads send, one takes: each port that was sent comes out.
 */

#define SENDERS 2
#define PORTS   32
#define ROUNDS  20000

static uint32_t ports[SENDERS][PORTS];
static volatile bool done;

static void *sender(void *arg)
{
    uint32_t *mine = arg;

    for (unsigned int i = 0; i < ROUNDS; i++)
        evtchn_send(d, mine[i * 7 % PORTS]);
    return NULL;
}

static void *scribbler(void *arg)
{
    /* Not honest, but it must not stop us: set and clear bits of a port that nobody
     * takes. */
    uint32_t port = *(uint32_t *)arg;

    while (!done) {
        __atomic_xor_fetch(&words[port], MASKED, __ATOMIC_SEQ_CST);
        evtchn_unmask(d, port);
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t senders[SENDERS], scribble;
    unsigned int left = SENDERS * PORTS, seen[SENDERS * PORTS + 8] = {0};
    uint32_t own;

    switch_to_fifo();
    for (unsigned int s = 0; s < SENDERS; s++)
        for (unsigned int i = 0; i < PORTS; i++)
            ports[s][i] = ipi(0);
    own = ipi(1);
    done = false;
    pthread_create(&scribble, NULL, scribbler, &own);
    for (unsigned int s = 0; s < SENDERS; s++)
        pthread_create(&senders[s], NULL, sender, ports[s]);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint32_t port = take(0);

        if (port && port < ARRAY_SIZE(seen))
            seen[port]++;
    }
    for (unsigned int s = 0; s < SENDERS; s++)
        pthread_join(senders[s], NULL);
    done = true;
    pthread_join(scribble, NULL);
    /* One more of each: with the senders gone all must come. */
    for (uint32_t port; (port = take(0));)
        ;
    memset(seen, 0, sizeof(seen));
    for (unsigned int s = 0; s < SENDERS; s++)
        for (unsigned int i = 0; i < PORTS; i++)
            evtchn_send(d, ports[s][i]);
    for (uint32_t port; (port = take(0));)
        if (!seen[port]++)
            left--;
    assert_int_equal(left, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(wrong_setup), T(in_order), T(priorities), T(masked),  T(takes_over),
        T(busy),        T(reset),    T(hostile),    T(threads),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("FIFO event channels", tests, NULL, NULL);
}
