/*
 * Event channels (xen/event_channel.h): first 2-level, then all of it again with FIFO
 * queues. Events come back to us: loopback channels, IPIs and VIRQs of our own domain.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"
#include "apic.h"

const char test_title[] = "evtchn";

#define CALLBACK_VECTOR 0x50
#define WAIT_MS         500

static struct shared_info *shared;
static bool fifo;
static struct evtchn_fifo_control_block *control;
static event_word_t *words;

static volatile uint32_t upcalls;

static void on_upcall(struct regs *regs)
{
    upcalls++;
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
}

static long alloc_unbound(uint32_t *port)
{
    struct evtchn_alloc_unbound arg = {.dom = DOMID_SELF, .remote_dom = DOMID_SELF};
    long rc = evtchn_op(EVTCHNOP_alloc_unbound, &arg);

    *port = arg.port;
    return rc;
}

static long bind_interdomain(uint32_t remote, uint32_t *port)
{
    struct evtchn_bind_interdomain arg = {.remote_dom = DOMID_SELF,
                                          .remote_port = remote};
    long rc = evtchn_op(EVTCHNOP_bind_interdomain, &arg);

    *port = arg.local_port;
    return rc;
}

static long close_port(uint32_t port)
{
    struct evtchn_close arg = {.port = port};

    return evtchn_op(EVTCHNOP_close, &arg);
}

static long send_port(uint32_t port)
{
    struct evtchn_send arg = {.port = port};

    return evtchn_op(EVTCHNOP_send, &arg);
}

static long unmask_port(uint32_t port)
{
    struct evtchn_unmask arg = {.port = port};

    return evtchn_op(EVTCHNOP_unmask, &arg);
}

static long status_of(uint32_t port, struct evtchn_status *status)
{
    *status = (struct evtchn_status){.dom = DOMID_SELF, .port = port};
    return evtchn_op(EVTCHNOP_status, status);
}

static bool pending(uint32_t port)
{
    if (fifo)
        return READ_ONCE(words[port]) >> EVTCHN_FIFO_PENDING & 1;
    return READ_ONCE(shared->evtchn_pending[port / 64]) >> port % 64 & 1;
}

static void clear_pending(uint32_t port)
{
    if (fifo)
        __atomic_and_fetch(&words[port], ~(1u << EVTCHN_FIFO_PENDING), __ATOMIC_SEQ_CST);
    else
        __atomic_and_fetch(&shared->evtchn_pending[port / 64], ~(1ul << port % 64),
                           __ATOMIC_SEQ_CST);
}

static void set_mask(uint32_t port, bool masked)
{
    if (fifo && masked)
        __atomic_or_fetch(&words[port], 1u << EVTCHN_FIFO_MASKED, __ATOMIC_SEQ_CST);
    else if (fifo)
        __atomic_and_fetch(&words[port], ~(1u << EVTCHN_FIFO_MASKED), __ATOMIC_SEQ_CST);
    else if (masked)
        __atomic_or_fetch(&shared->evtchn_mask[port / 64], 1ul << port % 64,
                          __ATOMIC_SEQ_CST);
    else
        __atomic_and_fetch(&shared->evtchn_mask[port / 64], ~(1ul << port % 64),
                           __ATOMIC_SEQ_CST);
}

/* Take what is queued off the vCPU's selectors, so that the next event is a new upcall.
 */
static void drain(void)
{
    if (!fifo) {
        shared->vcpu_info[0].evtchn_pending_sel = 0;
        shared->vcpu_info[0].evtchn_upcall_pending = 0;
        return;
    }
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    for (uint32_t ready = __atomic_exchange_n(&control->ready, 0, __ATOMIC_SEQ_CST),
                  q = 0;
         q < EVTCHN_FIFO_MAX_QUEUES; q++) {
        uint32_t port = ready >> q & 1 ? READ_ONCE(control->head[q]) : 0;

        /* Unlink each word: LINKED and the link go, the rest stays. */
        while (port) {
            uint32_t word = READ_ONCE(words[port]);

            __atomic_and_fetch(&words[port],
                               ~(1u << EVTCHN_FIFO_LINKED | EVTCHN_FIFO_LINK_MASK),
                               __ATOMIC_SEQ_CST);
            clear_pending(port);
            port = word & EVTCHN_FIFO_LINK_MASK;
            control->head[q] = port;
        }
    }
}

static void loopback(const char *abi)
{
    struct evtchn_status status;
    uint32_t a, b, before;

    check_eq((uint64_t)alloc_unbound(&a), 0, "%s: alloc_unbound", abi);
    check(a != 0, "%s: port 0 is never given out", abi);
    check_eq((uint64_t)status_of(a, &status), 0, "%s: status of an unbound port", abi);
    check_eq(status.status, EVTCHNSTAT_unbound, "%s: it is unbound", abi);
    check_eq((uint64_t)bind_interdomain(a, &b), 0, "%s: bind to ourselves", abi);
    check(b != a && b != 0, "%s: the other end has its own port", abi);
    status_of(a, &status);
    check(status.status == EVTCHNSTAT_interdomain && status.u.interdomain.port == b,
          "%s: the ends know each other", abi);
    /* A new interdomain port is pending once, so that nothing is lost. */
    check(pending(b), "%s: a bound port starts pending", abi);
    drain();
    clear_pending(a);
    clear_pending(b);

    set_mask(b, false);
    before = upcalls;
    check_eq((uint64_t)send_port(a), 0, "%s: send", abi);
    check(wait_change(&upcalls, before, WAIT_MS), "%s: the callback vector fires", abi);
    check(pending(b) && !pending(a), "%s: the other end is pending", abi);
    drain();
    clear_pending(b);

    set_mask(b, true);
    before = upcalls;
    send_port(a);
    check(!wait_change(&upcalls, before, 5) && pending(b),
          "%s: a masked port stays quiet", abi);
    check_eq((uint64_t)unmask_port(b), 0, "%s: unmask", abi);
    check(wait_change(&upcalls, before, WAIT_MS), "%s: unmask delivers what waited", abi);
    drain();
    clear_pending(b);

    check_eq((uint64_t)close_port(a), 0, "%s: close one end", abi);
    status_of(b, &status);
    check_eq(status.status, EVTCHNSTAT_unbound, "%s: the other end is unbound again",
             abi);
    check_eq((uint64_t)send_port(b), 0, "%s: send to nobody is fine", abi);
    check_eq((uint64_t)close_port(b), 0, "%s: close the other end", abi);
    status_of(b, &status);
    check_eq(status.status, EVTCHNSTAT_closed, "%s: it is closed", abi);
}

static void ipi_and_virq(const char *abi)
{
    struct evtchn_bind_ipi ipi = {.vcpu = 0};
    struct evtchn_bind_virq virq = {.virq = VIRQ_TIMER, .vcpu = 0}, again = virq;
    struct evtchn_status status;
    uint32_t before = upcalls;

    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_ipi, &ipi), 0, "%s: bind_ipi", abi);
    set_mask(ipi.port, false);
    check_eq((uint64_t)send_port(ipi.port), 0, "%s: send an IPI to ourselves", abi);
    check(wait_change(&upcalls, before, WAIT_MS) && pending(ipi.port),
          "%s: the IPI comes", abi);
    drain();
    clear_pending(ipi.port);
    status_of(ipi.port, &status);
    check(status.status == EVTCHNSTAT_ipi && status.vcpu == 0, "%s: status says IPI",
          abi);
    check_eq((uint64_t)close_port(ipi.port), 0, "%s: close the IPI", abi);
    ipi.vcpu = 4000;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_ipi, &ipi), (uint64_t)-XEN_ENOENT,
             "%s: bind_ipi to no vCPU", abi);

    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_virq, &virq), 0, "%s: bind VIRQ_TIMER",
             abi);
    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_virq, &again), (uint64_t)-XEN_EEXIST,
             "%s: a VIRQ is bound once", abi);
    status_of(virq.port, &status);
    check(status.status == EVTCHNSTAT_virq && status.u.virq == VIRQ_TIMER,
          "%s: status says VIRQ", abi);
    set_mask(virq.port, false);
    before = upcalls;
    check_eq(
        (uint64_t)set_timer_op(xen_system_time(&shared->vcpu_info[0].time) + 1000000), 0,
        "%s: set_timer_op, 1 ms from now", abi);
    check(wait_change(&upcalls, before, WAIT_MS) && pending(virq.port),
          "%s: the timer VIRQ comes", abi);
    drain();
    clear_pending(virq.port);
    check_eq((uint64_t)send_port(virq.port), (uint64_t)-XEN_EINVAL,
             "%s: a VIRQ is not sent to", abi);
    check_eq((uint64_t)close_port(virq.port), 0, "%s: close the VIRQ", abi);
    virq.virq = NR_VIRQS;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_virq, &virq), (uint64_t)-XEN_EINVAL,
             "%s: no such VIRQ", abi);
}

static void errors(const char *abi)
{
    struct evtchn_bind_vcpu bind = {.vcpu = 0};
    struct evtchn_bind_interdomain nobody = {.remote_dom = 0x1234, .remote_port = 1};
    struct evtchn_alloc_unbound foreign = {.dom = 0x1234, .remote_dom = DOMID_SELF};
    struct evtchn_status status;
    uint32_t port;

    check_eq((uint64_t)close_port(0), (uint64_t)-XEN_EINVAL, "%s: close port 0", abi);
    check_eq((uint64_t)close_port(~0u), (uint64_t)-XEN_EINVAL, "%s: close port ~0", abi);
    check_eq((uint64_t)send_port(~0u), (uint64_t)-XEN_EINVAL, "%s: send to port ~0", abi);
    check_eq((uint64_t)unmask_port(~0u), (uint64_t)-XEN_EINVAL, "%s: unmask port ~0",
             abi);
    check_eq((uint64_t)status_of(~0u, &status), (uint64_t)-XEN_EINVAL,
             "%s: status of port ~0", abi);
    alloc_unbound(&port);
    close_port(port);
    check_eq((uint64_t)close_port(port), (uint64_t)-XEN_EINVAL, "%s: close twice", abi);
    check_eq((uint64_t)bind_interdomain(port, &port), (uint64_t)-XEN_EINVAL,
             "%s: bind to a closed port", abi);
    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_interdomain, &nobody),
             (uint64_t)-XEN_ESRCH, "%s: bind to no domain", abi);
    check_eq((uint64_t)evtchn_op(EVTCHNOP_alloc_unbound, &foreign), (uint64_t)-XEN_ESRCH,
             "%s: allocate in no domain", abi);
    alloc_unbound(&port);
    bind.port = port;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_vcpu, &bind), 0, "%s: bind_vcpu", abi);
    bind.vcpu = 4000;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_bind_vcpu, &bind), (uint64_t)-XEN_ENOENT,
             "%s: bind_vcpu to no vCPU", abi);
    close_port(port);
    check_eq((uint64_t)evtchn_op(1000, &bind), (uint64_t)-XEN_ENOSYS,
             "%s: unknown sub-op", abi);
}

/* Many ports at once: the bitmap's words and, for FIFO, several event-array pages' worth.
 */
static void many(const char *abi, uint32_t wanted)
{
    uint32_t first = 0, last = 0, n = 0, bad = 0;

    for (; n < wanted; n++) {
        uint32_t port;

        if (alloc_unbound(&port))
            break;
        first = first ? first : port;
        last = port;
    }
    check_eq(n, wanted, "%s: %u more ports", abi, wanted);
    for (uint32_t port = first; port && port <= last; port++) {
        struct evtchn_status status;

        if (status_of(port, &status) || status.status != EVTCHNSTAT_unbound)
            bad++;
        else
            bad += close_port(port) != 0;
    }
    check_eq(bad, 0, "%s: all are there and close", abi);
}

static bool fifo_start(void)
{
    struct evtchn_init_control init = {.vcpu = 0};
    struct evtchn_expand_array expand;
    struct evtchn_set_priority priority;
    uint32_t port;
    long rc;

    control = page_alloc(1);
    words = page_alloc(1);
    init.control_gfn = GFN(control);
    init.offset = 4;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_init_control, &init), (uint64_t)-XEN_EINVAL,
             "FIFO: control block must be 8-aligned");
    init.offset = PAGE_SIZE - 8;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_init_control, &init), (uint64_t)-XEN_EINVAL,
             "FIFO: control block must not leave its page");
    init.offset = 0;
    rc = evtchn_op(EVTCHNOP_init_control, &init);
    if (!check_eq((uint64_t)rc, 0, "FIFO: init_control"))
        return false;
    check_eq(init.link_bits, EVTCHN_FIFO_LINK_BITS, "FIFO: link bits");
    expand.array_gfn = GFN(words);
    if (!check_eq((uint64_t)evtchn_op(EVTCHNOP_expand_array, &expand), 0,
                  "FIFO: expand_array"))
        return false;
    fifo = true;
    alloc_unbound(&port);
    priority =
        (struct evtchn_set_priority){.port = port, .priority = EVTCHN_FIFO_PRIORITY_MAX};
    check_eq((uint64_t)evtchn_op(EVTCHNOP_set_priority, &priority), 0,
             "FIFO: set_priority");
    priority.priority = EVTCHN_FIFO_PRIORITY_MIN + 1;
    check_eq((uint64_t)evtchn_op(EVTCHNOP_set_priority, &priority), (uint64_t)-XEN_EINVAL,
             "FIFO: set_priority out of range");
    close_port(port);
    return true;
}

/* Events of one queue come in the order in which they were sent. */
static void fifo_order(void)
{
    struct evtchn_bind_ipi ipi[3];
    uint32_t q = EVTCHN_FIFO_PRIORITY_DEFAULT, port;

    drain();
    for (unsigned i = 0; i < 3; i++) {
        ipi[i].vcpu = 0;
        evtchn_op(EVTCHNOP_bind_ipi, &ipi[i]);
        set_mask(ipi[i].port, false);
    }
    send_port(ipi[2].port);
    send_port(ipi[0].port);
    send_port(ipi[1].port);
    check(control->ready & 1u << q, "FIFO: the default queue is ready");
    port = control->head[q];
    check_eq(port, ipi[2].port, "FIFO: the first sent is the head");
    port = words[port] & EVTCHN_FIFO_LINK_MASK;
    check_eq(port, ipi[0].port, "FIFO: then the second");
    port = words[port] & EVTCHN_FIFO_LINK_MASK;
    check_eq(port, ipi[1].port, "FIFO: then the third");
    check_eq(words[port] & EVTCHN_FIFO_LINK_MASK, 0, "FIFO: which is the last");
    drain();
    for (unsigned i = 0; i < 3; i++)
        close_port(ipi[i].port);
}

static void reset(void)
{
    struct evtchn_reset arg = {.dom = DOMID_SELF};
    struct evtchn_status status;
    uint32_t port;

    alloc_unbound(&port);
    check_eq((uint64_t)evtchn_op(EVTCHNOP_reset, &arg), 0, "reset");
    status_of(port, &status);
    check_eq(status.status, EVTCHNSTAT_closed, "reset closed all ports");
    fifo = false;
    check_eq((uint64_t)alloc_unbound(&port), 0, "ports can be had again");
    close_port(port);
}

void test_main(void)
{
    if (!env.xen) {
        skip("no Xen here", "event channels");
        return;
    }
    shared = xen_shared_info();
    time_init();
    set_handler(CALLBACK_VECTOR, on_upcall);
    check_eq((uint64_t)hvm_param_set(HVM_PARAM_CALLBACK_IRQ,
                                     (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 |
                                         CALLBACK_VECTOR),
             0, "callback by vector");
    drain();
    loopback("2-level");
    ipi_and_virq("2-level");
    errors("2-level");
    many("2-level", 300);
    if (fifo_start()) {
        loopback("FIFO");
        ipi_and_virq("FIFO");
        errors("FIFO");
        fifo_order();
        many("FIFO", 300);
    }
    reset();
}
