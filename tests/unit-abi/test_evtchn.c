/* Event channels: bindings, the 2-level ABI, errors. SPDX-License-Identifier:
 * GPL-2.0-or-later */
#include "fake.h"
#include "domain/evtchn.h"
#include <xen/event_channel.h>

static struct domain *a, *b; /* b has four vCPUs */

static int setup(void **state)
{
    a = fake_domain(1, 1, 0);
    b = fake_domain(2, 40, 0);
    assert_int_equal(evtchn_domain_init(a), 0);
    assert_int_equal(evtchn_domain_init(b), 0);
    for_each_vcpu(a, v) assert_int_equal(evtchn_vcpu_init(v), 0);
    for_each_vcpu(b, v) assert_int_equal(evtchn_vcpu_init(v), 0);
    fake_wakes = fake_upcalls = 0;
    return 0;
}

static void end(struct domain *d)
{
    evtchn_domain_destroy(d);
    for_each_vcpu(d, v) evtchn_vcpu_destroy(v);
    evtchn_domain_free(d);
    fake_domain_end(d);
}

static int teardown(void **state)
{
    end(a);
    end(b);
    return 0;
}

static bool bit(const void *map, unsigned int n)
{
    return ((const uint8_t *)map)[n / 8] >> n % 8 & 1;
}

/* A channel from a to b: ports in both. */
static void connect(uint32_t *pa, uint32_t *pb)
{
    assert_int_equal(evtchn_alloc_unbound(b, a->id, pb), 0);
    assert_int_equal(evtchn_bind_interdomain(a, b, *pb, pa), 0);
}

static unsigned int status_of(struct domain *d, uint32_t port)
{
    struct evtchn_status s = {.port = port};

    assert_int_equal(evtchn_status(d, &s), 0);
    return s.status;
}

static void interdomain(void **state)
{
    struct evtchn_status s;
    uint32_t pa, pb;

    connect(&pa, &pb);
    /* What may have been lost before the binding is raised once, at who binds. */
    assert_true(bit(a->shared_info->evtchn_pending, pa));
    s.port = pb;
    assert_int_equal(evtchn_status(b, &s), 0);
    assert_int_equal(s.status, EVTCHNSTAT_interdomain);
    assert_int_equal(s.u.interdomain.dom, 1);
    assert_int_equal(s.u.interdomain.port, pa);

    fake_upcalls = 0;
    assert_int_equal(evtchn_send(a, pa), 0);
    assert_true(bit(b->shared_info->evtchn_pending, pb));
    assert_int_equal(b->shared_info->vcpu_info[0].evtchn_pending_sel, 1);
    assert_int_equal(b->shared_info->vcpu_info[0].evtchn_upcall_pending, 1);
    assert_int_equal(fake_upcalls, 1);
    assert_int_equal(evtchn_send(a, pa), 0); /* pending already: nothing new */
    assert_int_equal(fake_upcalls, 1);
    assert_true(evtchn_upcall_pending(b->vcpus[0]));

    /* One end closes: the other waits for its domain again. */
    assert_int_equal(evtchn_close(a, pa), 0);
    assert_false(bit(a->shared_info->evtchn_pending, pa));
    assert_int_equal(status_of(a, pa), EVTCHNSTAT_closed);
    assert_int_equal(status_of(b, pb), EVTCHNSTAT_unbound);
    assert_int_equal(evtchn_send(b, pb), 0); /* to nobody */
    assert_int_equal(evtchn_close(a, pa), -EINVAL);
    assert_int_equal(evtchn_bind_interdomain(a, b, pb, &pa), 0);
}

static void wrong_bindings(void **state)
{
    uint32_t p, q;

    assert_int_equal(evtchn_alloc_unbound(b, 7, &p), 0);
    assert_int_equal(evtchn_bind_interdomain(a, b, p, &q), -EINVAL); /* not for us */
    assert_int_equal(evtchn_bind_interdomain(a, b, 0, &q), -EINVAL);
    assert_int_equal(evtchn_bind_interdomain(a, b, 99999, &q), -EINVAL);
    assert_int_equal(evtchn_send(a, 0), -EINVAL);
    assert_int_equal(evtchn_send(a, 5), -EINVAL);
    assert_int_equal(evtchn_send(a, ~0u), -EINVAL);
    assert_int_equal(evtchn_close(a, 0), -EINVAL);
    assert_int_equal(evtchn_unmask(a, ~0u), -EINVAL);
    assert_int_equal(evtchn_bind_ipi(b, 40, &q), -ENOENT);
    assert_int_equal(evtchn_bind_virq(b, 24, 0, &q), -EINVAL);
    assert_int_equal(evtchn_bind_virq(b, VIRQ_DOM_EXC, 1, &q), -EINVAL);
    assert_int_equal(evtchn_bind_virq(b, VIRQ_TIMER, 40, &q), -ENOENT);
    assert_int_equal(evtchn_bind_virq(b, VIRQ_TIMER, 3, &q), 0);
    assert_int_equal(evtchn_bind_virq(b, VIRQ_TIMER, 3, &p), -EEXIST);
    assert_int_equal(evtchn_bind_vcpu(b, q, 1), -EINVAL); /* a vCPU's own timer */
    assert_int_equal(evtchn_fifo_set_priority(a, q, 1), -ENOSYS);
    assert_int_equal(evtchn_fifo_expand_array(a, 0), -EOPNOTSUPP);
}

static void pirqs(void **state)
{
    struct evtchn_status status = {0};
    uint32_t p, q;

    assert_false(evtchn_pirq_bound(b, 16));
    evtchn_send_pirq(b, 16);
    assert_int_equal(evtchn_bind_pirq(b, EVTCHN_NR_PIRQS, &p), -EINVAL);
    assert_int_equal(evtchn_bind_pirq(b, 16, &p), 0);
    assert_int_equal(evtchn_bind_pirq(b, 16, &q), -EEXIST);
    assert_int_equal(evtchn_bind_pirq(b, 17, &q), 0);
    assert_true(evtchn_pirq_bound(b, 16));
    status.port = p;
    assert_int_equal(evtchn_status(b, &status), 0);
    assert_int_equal(status.status, EVTCHNSTAT_pirq);
    assert_int_equal(status.u.pirq, 16);
    assert_int_equal(evtchn_send(b, p), -EINVAL); /* not by the guest */
    evtchn_send_pirq(b, 16);
    assert_true(bit(b->shared_info->evtchn_pending, p));
    assert_false(bit(b->shared_info->evtchn_pending, q));
    assert_int_equal(evtchn_bind_vcpu(b, q, 1), 0);
    evtchn_send_pirq(b, 17);
    assert_int_equal(b->shared_info->vcpu_info[1].evtchn_upcall_pending, 1);
    assert_int_equal(evtchn_close(b, p), 0);
    assert_false(evtchn_pirq_bound(b, 16));
    evtchn_send_pirq(b, 16);
    assert_false(bit(b->shared_info->evtchn_pending, p));
    assert_int_equal(evtchn_bind_pirq(b, 16, &p), 0);
    assert_int_equal(evtchn_reset(b), 0);
    assert_false(evtchn_pirq_bound(b, 16));
}

static void virqs(void **state)
{
    uint32_t timer, global;

    assert_int_equal(evtchn_bind_virq(b, VIRQ_TIMER, 2, &timer), 0);
    evtchn_send_virq(b->vcpus[1], VIRQ_TIMER); /* not bound there */
    assert_int_equal(fake_upcalls, 0);
    evtchn_send_virq(b->vcpus[2], VIRQ_TIMER);
    assert_true(bit(b->shared_info->evtchn_pending, timer));
    assert_int_equal(b->shared_info->vcpu_info[2].evtchn_upcall_pending, 1);
    assert_int_equal(evtchn_send(b, timer), -EINVAL);

    assert_int_equal(evtchn_bind_virq(a, VIRQ_DOM_EXC, 0, &global), 0);
    dom0 = a;
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    assert_true(bit(a->shared_info->evtchn_pending, global));
    assert_int_equal(evtchn_close(a, global), 0);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    assert_false(bit(a->shared_info->evtchn_pending, global));
    assert_int_equal(evtchn_bind_virq(a, VIRQ_DOM_EXC, 0, &global), 0);
    /* Somebody else may take it over, until that one dies. */
    assert_int_equal(evtchn_set_virq_handler(b, VIRQ_TIMER), -EINVAL);
    assert_int_equal(evtchn_set_virq_handler(b, VIRQ_DOM_EXC), 0);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    assert_false(bit(a->shared_info->evtchn_pending, global));
    b->state = DOMAIN_DYING;
    evtchn_domain_destroy(b);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    assert_true(bit(a->shared_info->evtchn_pending, global));
    dom0 = NULL;
}

static void masks(void **state)
{
    uint32_t pa, pb;

    connect(&pa, &pb);
    b->shared_info->evtchn_mask[0] = ~0ul;
    assert_int_equal(evtchn_bind_vcpu(b, pb, 3), 0);
    fake_upcalls = 0;
    evtchn_send(a, pa);
    assert_true(bit(b->shared_info->evtchn_pending, pb));
    assert_int_equal(fake_upcalls, 0);
    assert_int_equal(evtchn_unmask(b, pb), 0);
    assert_int_equal(fake_upcalls, 1);
    assert_int_equal(b->shared_info->vcpu_info[3].evtchn_pending_sel, 1);
    assert_int_equal(evtchn_unmask(b, pb), 0); /* not masked: nothing */
    assert_int_equal(fake_upcalls, 1);
}

/* 32-bit guests: 1024 ports, 32-bit words, the mask behind 128 bytes of pending bits. */
static void layout_32(void **state)
{
    uint8_t *si = (uint8_t *)b->shared_info;
    const size_t pending = 32 * sizeof(struct vcpu_info), mask = pending + 128;
    uint32_t pa, pb, last = 0;

    evtchn_set_layout(b, true);
    assert_int_equal(evtchn_max_ports(b), 1024);
    do
        connect(&pa, &pb);
    while (pb < 70);
    evtchn_send(a, pa);
    assert_true(bit(si + pending, 70));
    assert_int_equal(*(uint32_t *)((char *)&b->shared_info->vcpu_info[0] + 4), 1u << 2);
    assert_false(bit(si + mask, 70));
    si[mask + 70 / 8] |= 1u << 70 % 8;
    si[pending + 70 / 8] = 0;
    b->shared_info->vcpu_info[0].evtchn_upcall_pending = 0;
    evtchn_send(a, pa);
    assert_int_equal(b->shared_info->vcpu_info[0].evtchn_upcall_pending, 0);
    while (!evtchn_alloc_unbound(b, 1, &pb))
        last = pb;
    assert_int_equal(last, 1023);
    assert_int_equal(evtchn_alloc_unbound(b, 1, &pb), -ENOSPC);
}

static void ports_run_out(void **state)
{
    uint32_t p, n = 0;

    b->max_evtchn_port = 100;
    while (!evtchn_alloc_unbound(b, 1, &p))
        n++;
    assert_int_equal(n, 100);
    assert_int_equal(evtchn_close(b, 17), 0);
    assert_int_equal(evtchn_alloc_unbound(b, 1, &p), 0);
    assert_int_equal(p, 17); /* the lowest free one */
    b->max_evtchn_port = ~0u;
    while (!evtchn_alloc_unbound(b, 1, &p))
        n++;
    assert_int_equal(n, 4095);
    fake_allocs_left = 0;
    assert_int_equal(evtchn_alloc_unbound(a, 1, &p), 0); /* the first bucket is there */
    for (n = 1; !evtchn_alloc_unbound(a, 1, &p); n++)
        ;
    assert_int_equal(evtchn_alloc_unbound(a, 1, &p), -ENOMEM);
    assert_int_equal(n, 63);
    fake_allocs_left = ~0u;
}

static struct vcpu *notified;
static unsigned int notified_port;

static void on_notify(struct vcpu *v, unsigned int port)
{
    notified = v;
    notified_port = port;
}

/* A port of b's that is the hypervisor's: the device model in a binds to it. */
static void xen_ports(void **state)
{
    int port = evtchn_alloc_xen(b, 3, a->id, on_notify);
    uint32_t pa;

    assert_true(port > 0);
    assert_int_equal(evtchn_close(b, port), -EINVAL); /* not the guest's to close */
    assert_int_equal(evtchn_send(b, port), -EINVAL);
    assert_int_equal(evtchn_bind_vcpu(b, port, 1), -EINVAL);
    evtchn_notify_xen(b, port); /* nobody there yet */
    assert_int_equal(evtchn_bind_interdomain(a, b, port, &pa), 0);
    assert_int_equal(evtchn_send(a, pa), 0);
    assert_ptr_equal(notified, b->vcpus[3]);
    assert_int_equal(notified_port, port);
    a->shared_info->evtchn_pending[0] = 0;
    evtchn_notify_xen(b, port);
    assert_true(bit(a->shared_info->evtchn_pending, pa));
    assert_int_equal(evtchn_reset(b), 0); /* leaves it */
    assert_int_equal(status_of(a, pa), EVTCHNSTAT_interdomain);
    evtchn_free_xen(b, port);
    assert_int_equal(status_of(a, pa), EVTCHNSTAT_unbound);
}

static void polling(void **state)
{
    uint32_t pa, pb;

    connect(&pa, &pb);
    b->shared_info->evtchn_mask[0] = ~0ul;
    evtchn_send(a, pa);
    assert_int_equal(fake_wakes, 0);
    evtchn_poll_begin(b->vcpus[1], pb);
    assert_true(evtchn_port_pending(b, pb));
    evtchn_send(a, pa);
    assert_int_equal(fake_wakes, 1);
    assert_ptr_equal(fake_last_woken, b->vcpus[1]);
    evtchn_poll_end(b->vcpus[1]);
    evtchn_poll_begin(b->vcpus[1], pb + 1);
    evtchn_send(a, pa);
    assert_int_equal(fake_wakes, 1);
    evtchn_poll_end(b->vcpus[1]);
    evtchn_poll_begin(b->vcpus[1], 0);
    evtchn_send(a, pa);
    assert_int_equal(fake_wakes, 2);
    evtchn_poll_end(b->vcpus[1]);
}

/* vCPUs from 32 on have no vcpu_info until they give one; nothing is lost meanwhile. */
static void high_vcpus(void **state)
{
    struct vcpu_info place;
    struct vcpu *v = b->vcpus[35];
    uint32_t port;

    memset(&place, 0, sizeof(place));
    assert_int_equal(evtchn_bind_ipi(b, 35, &port), 0);
    assert_int_equal(evtchn_send(b, port), 0);
    assert_int_equal(fake_upcalls, 0);
    assert_false(evtchn_upcall_pending(v));
    assert_false(evtchn_upcall_pending(b->vcpus[36]));
    evtchn_vcpu_info_moved(v, &place);
    assert_int_equal(place.evtchn_upcall_pending, 1);
    assert_true(place.evtchn_pending_sel & 1);
    assert_int_equal(fake_upcalls, 1);
}

static void death(void **state)
{
    uint32_t pa, pb, p;

    connect(&pa, &pb);
    b->state = DOMAIN_DYING;
    assert_int_equal(evtchn_alloc_unbound(b, 1, &p), -EINVAL);
    evtchn_domain_destroy(b);
    assert_int_equal(status_of(a, pa), EVTCHNSTAT_unbound);
    assert_int_equal(evtchn_send(a, pa), 0);
    assert_int_equal(evtchn_bind_interdomain(a, b, pb, &p), -EINVAL);
}

static void loopback(void **state)
{
    uint32_t p, q;

    assert_int_equal(evtchn_alloc_unbound(a, a->id, &p), 0);
    assert_int_equal(evtchn_bind_interdomain(a, a, p, &q), 0);
    assert_int_not_equal(p, q);
    a->shared_info->evtchn_pending[0] = 0;
    assert_int_equal(evtchn_send(a, q), 0);
    assert_int_equal(a->shared_info->evtchn_pending[0], 1ul << p);
    assert_int_equal(evtchn_close(a, p), 0);
    assert_int_equal(status_of(a, q), EVTCHNSTAT_unbound);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(interdomain), T(wrong_bindings), T(virqs),         T(pirqs),
        T(masks),       T(layout_32),      T(ports_run_out), T(xen_ports),
        T(polling),     T(high_vcpus),     T(death),         T(loopback),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("event channels", tests, NULL, NULL);
}
