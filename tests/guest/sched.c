/*
 * sched_op and vcpu_op: yield, block, poll, vCPU life, register areas, runstate, timers
 * (xen/sched.h, xen/vcpu.h).
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define __XEN_TOOLS__ 1
#include "xen.h"

#include <xen/domctl.h>

const char test_title[] = "sched";

#define CALLBACK_VECTOR 0x50
#define MS              1000000ul
#define NOWHERE         0x700000000000ul

static struct shared_info *shared;
static struct vcpu_info *info;
static volatile uint32_t upcalls;

static void on_upcall(struct regs *regs)
{
    upcalls++;
    info->evtchn_upcall_pending = 0;
}

static uint64_t now(void)
{
    return xen_system_time(&info->time);
}

static bool pending(uint32_t port)
{
    return READ_ONCE(shared->evtchn_pending[port / 64]) >> port % 64 & 1;
}

static void clear(uint32_t port)
{
    __atomic_and_fetch(&shared->evtchn_pending[port / 64], ~(1ul << port % 64),
                       __ATOMIC_SEQ_CST);
    __atomic_and_fetch(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    info->evtchn_upcall_pending = 0;
}

static uint32_t bind_timer(void)
{
    struct evtchn_bind_virq bind = {.virq = VIRQ_TIMER, .vcpu = 0};

    if (evtchn_op(EVTCHNOP_bind_virq, &bind))
        panic("VIRQ_TIMER cannot be bound");
    shared->evtchn_mask[bind.port / 64] &= ~(1ul << bind.port % 64);
    return bind.port;
}

static void system_time(void)
{
    uint64_t a = now(), b, c;

    b = now();
    delay_us(2000);
    c = now();
    check(b >= a && c > b, "system time moves forward");
    check(c - b >= 1900000 && c - b < 400 * MS,
          "2 ms by the TSC are %lu us of system time", (c - b) / 1000);
    check(info->time.version % 2 == 0, "the time record's version is even at rest");
    check(shared->wc_sec > 1500000000, "wall clock is set (%u s)", shared->wc_sec);
}

static void yield_and_block(uint32_t port)
{
    uint64_t start;

    check_eq((uint64_t)sched_op(SCHEDOP_yield, NULL), 0, "yield");
    set_timer_op(now() + 5 * MS);
    start = now();
    irq_disable();
    check_eq((uint64_t)sched_op(SCHEDOP_block, NULL), 0, "block until the timer");
    check(now() - start >= 4 * MS && now() - start < 2000 * MS, "it took %lu us",
          (now() - start) / 1000);
    irq_enable();
    asm volatile("nop");
    irq_disable();
    check(pending(port), "the timer's port is pending");
    clear(port);

    set_timer_op(now() + 5 * MS);
    start = now();
    while (!pending(port) && now() - start < 1000 * MS)
        halt_once();
    check(pending(port) && now() - start >= 4 * MS, "HLT wakes on an event");
    clear(port);
    set_timer_op(0);
    delay_us(3000);
    check(!pending(port), "set_timer_op 0 stops the timer");
}

static void poll(uint32_t port)
{
    evtchn_port_t ports[2] = {port, 0};
    struct sched_poll arg = {.nr_ports = 1};
    uint64_t start;

    set_xen_guest_handle(arg.ports, ports);
    arg.timeout = now() + 5 * MS;
    start = now();
    check_eq((uint64_t)sched_op(SCHEDOP_poll, &arg), 0, "poll ends by its timeout");
    check(now() - start >= 4 * MS && now() - start < 2000 * MS, "after %lu us",
          (now() - start) / 1000);
    /* A masked port's event ends a poll, too. */
    shared->evtchn_mask[port / 64] |= 1ul << port % 64;
    arg.timeout = 0;
    set_timer_op(now() + 5 * MS);
    check_eq((uint64_t)sched_op(SCHEDOP_poll, &arg), 0, "poll ends by its event");
    check(pending(port), "which is pending");
    start = now();
    sched_op(SCHEDOP_poll, &arg);
    check(now() - start < 1000 * MS, "poll of a pending port returns at once");
    clear(port);
    shared->evtchn_mask[port / 64] &= ~(1ul << port % 64);
    arg.nr_ports = 129;
    check_eq((uint64_t)sched_op(SCHEDOP_poll, &arg), (uint64_t)-XEN_EINVAL,
             "poll of too many ports");
    ports[0] = ~0u;
    arg.nr_ports = 1;
    check_eq((uint64_t)sched_op(SCHEDOP_poll, &arg), (uint64_t)-XEN_EINVAL,
             "poll of a bad port");
    ports[0] = 0;
    check_eq((uint64_t)sched_op(SCHEDOP_poll, &arg), (uint64_t)-XEN_EINVAL,
             "poll of port 0");
    ports[0] = port + 50;
    check_eq((uint64_t)sched_op(SCHEDOP_poll, &arg), (uint64_t)-XEN_EINVAL,
             "poll of a port that nothing is bound to");
    check_eq((uint64_t)sched_op(SCHEDOP_poll, (void *)NOWHERE), (uint64_t)-XEN_EFAULT,
             "poll of nowhere");
}

static void watchdog(void)
{
    struct sched_watchdog arg = {.id = 0, .timeout = 30};
    long id = sched_op(SCHEDOP_watchdog, &arg);

    check(id > 0, "watchdog gives an id (%ld)", id);
    arg.id = (uint32_t)id;
    check_eq((uint64_t)sched_op(SCHEDOP_watchdog, &arg), 0, "watchdog is kicked");
    arg.timeout = 0;
    check_eq((uint64_t)sched_op(SCHEDOP_watchdog, &arg), 0, "watchdog is stopped");
    arg.id = 99;
    check_eq((uint64_t)sched_op(SCHEDOP_watchdog, &arg), (uint64_t)-XEN_EINVAL,
             "no such watchdog");
}

static void runstate(uint32_t port)
{
    struct vcpu_runstate_info state, before;
    static struct vcpu_runstate_info area ALIGNED(64);
    struct vcpu_register_runstate_memory_area where;
    uint64_t total = 0;

    check_eq((uint64_t)vcpu_op(VCPUOP_get_runstate_info, 0, &before), 0,
             "get_runstate_info");
    check_eq((uint64_t)before.state, RUNSTATE_running, "we are running");
    set_timer_op(now() + 10 * MS);
    sched_op(SCHEDOP_block, NULL);
    irq_enable();
    asm volatile("nop");
    irq_disable();
    clear(port);
    vcpu_op(VCPUOP_get_runstate_info, 0, &state);
    check(state.time[RUNSTATE_blocked] >= before.time[RUNSTATE_blocked] + 9 * MS,
          "10 ms of blocking are counted");
    for (unsigned i = 0; i < 4; i++)
        total += state.time[i];
    /* Time from the vCPU's start on: at most the uptime. */
    check(total > 0 && total <= now() + 1000 * MS, "the times add up");
    check_eq((uint64_t)vcpu_op(VCPUOP_get_runstate_info, 4000, &state),
             (uint64_t)-XEN_ENOENT, "runstate of no vCPU");

    where.addr.v = &area;
    check_eq((uint64_t)vcpu_op(VCPUOP_register_runstate_memory_area, 0, &where), 0,
             "register_runstate_memory_area");
    check_eq((uint64_t)READ_ONCE(area.state), RUNSTATE_running,
             "the area is filled at once");
    before = area;
    set_timer_op(now() + 5 * MS);
    sched_op(SCHEDOP_block, NULL);
    irq_enable();
    asm volatile("nop");
    irq_disable();
    clear(port);
    check(READ_ONCE(area.time[RUNSTATE_blocked]) >=
              before.time[RUNSTATE_blocked] + 4 * MS,
          "and kept up to date");
    where.addr.v = NULL;
    check_eq((uint64_t)vcpu_op(VCPUOP_register_runstate_memory_area, 0, &where), 0,
             "a null address unregisters it");
}

static void time_area(void)
{
    static struct vcpu_time_info area ALIGNED(64);
    struct vcpu_register_time_memory_area where = {.addr.v = &area};
    uint64_t a;

    check_eq((uint64_t)vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &where), 0,
             "register_vcpu_time_memory_area");
    a = now();
    check(area.tsc_to_system_mul != 0 && xen_system_time(&area) >= a &&
              xen_system_time(&area) < a + 5000 * MS,
          "the time area agrees with the vCPU's");
    where.addr.v = NULL;
    vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &where);
}

static void timers(uint32_t port)
{
    struct vcpu_set_singleshot_timer single = {.flags = 0};
    struct vcpu_set_periodic_timer periodic = {.period_ns = 5 * MS};
    uint32_t seen = 0;
    uint64_t start;
    long rc;

    single.timeout_abs_ns = now() + 3 * MS;
    check_eq((uint64_t)vcpu_op(VCPUOP_set_singleshot_timer, 0, &single), 0,
             "set_singleshot_timer");
    start = now();
    while (!pending(port) && now() - start < 1000 * MS)
        cpu_relax();
    check(pending(port) && now() >= single.timeout_abs_ns, "it fires, and not early");
    clear(port);
    single.timeout_abs_ns = now() - 5 * MS;
    single.flags = VCPU_SSHOTTMR_future;
    rc = vcpu_op(VCPUOP_set_singleshot_timer, 0, &single);
    /* The flag may be ignored, says the ABI. */
    check(rc == -XEN_ETIME || rc == 0, "a timer that must be in the future: %ld", rc);
    single.timeout_abs_ns = now() + 100000 * MS;
    single.flags = 0;
    vcpu_op(VCPUOP_set_singleshot_timer, 0, &single);
    check_eq((uint64_t)vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0,
             "stop_singleshot_timer");
    clear(port);

    check_eq((uint64_t)vcpu_op(VCPUOP_set_periodic_timer, 0, &periodic), 0,
             "set_periodic_timer");
    start = now();
    while (seen < 4 && now() - start < 2000 * MS) {
        if (pending(port)) {
            seen++;
            clear(port);
        }
        sched_op(SCHEDOP_yield, NULL);
    }
    check(seen == 4 && now() - start >= 14 * MS, "a 5 ms period: %u ticks in %lu us",
          seen, (now() - start) / 1000);
    check_eq((uint64_t)vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0,
             "stop_periodic_timer");
    delay_us(6000);
    clear(port);
    delay_us(12000);
    check(!pending(port), "it has stopped");
    periodic.period_ns = 1000;
    check_eq((uint64_t)vcpu_op(VCPUOP_set_periodic_timer, 0, &periodic),
             (uint64_t)-XEN_EINVAL, "a period under 1 ms is refused");
}

static void vcpu_info_move(uint32_t port)
{
    struct vcpu_register_vcpu_info where;
    static struct vcpu_info area ALIGNED(64);
    uint64_t start;

    where.mfn = GFN(&area);
    where.offset = PTR(&area) & (PAGE_SIZE - 1);
    where.offset |= 4;
    check_eq((uint64_t)vcpu_op(VCPUOP_register_vcpu_info, 4000, &where),
             (uint64_t)-XEN_ENOENT, "register_vcpu_info of no vCPU");
    where.offset = PAGE_SIZE - 8;
    check_eq((uint64_t)vcpu_op(VCPUOP_register_vcpu_info, 0, &where),
             (uint64_t)-XEN_ENXIO, "register_vcpu_info across a page");
    where.offset = PTR(&area) & (PAGE_SIZE - 1);
    check_eq((uint64_t)vcpu_op(VCPUOP_register_vcpu_info, 0, &where), 0,
             "register_vcpu_info");
    check(area.time.tsc_to_system_mul != 0, "the new place holds the time");
    info = &area;
    clear(port);
    set_timer_op(now() + 3 * MS);
    start = now();
    while (!READ_ONCE(area.evtchn_upcall_pending) && now() - start < 1000 * MS)
        cpu_relax();
    check(area.evtchn_upcall_pending && pending(port), "events are flagged there");
    clear(port);
    check_eq((uint64_t)vcpu_op(VCPUOP_register_vcpu_info, 0, &where),
             (uint64_t)-XEN_EINVAL, "it moves only once");
}

static void vcpu_errors(void)
{
    long up = vcpu_op(VCPUOP_is_up, 0, NULL);

    check_eq((uint64_t)up, 1, "is_up");
    check_eq((uint64_t)vcpu_op(VCPUOP_is_up, 4000, NULL), (uint64_t)-XEN_ENOENT,
             "is_up of no vCPU");
    check_eq((uint64_t)vcpu_op(1000, 0, NULL), (uint64_t)-XEN_ENOSYS, "unknown vcpu_op");
    check_eq((uint64_t)sched_op(1000, NULL), (uint64_t)-XEN_ENOSYS, "unknown sched_op");
    check_eq((uint64_t)vcpu_op(VCPUOP_get_runstate_info, 0, (void *)NOWHERE),
             (uint64_t)-XEN_EFAULT, "runstate to nowhere");
    check_eq((uint64_t)vcpu_op(VCPUOP_initialise, 0, (void *)NOWHERE),
             (uint64_t)-XEN_EFAULT, "initialise from nowhere");
}

static long scheduler_op(struct xen_domctl *op, uint32_t cmd, uint16_t cap)
{
    memset(op, 0, sizeof(*op));
    op->cmd = XEN_DOMCTL_scheduler_op;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op->u.scheduler_op.cmd = cmd;
    op->u.scheduler_op.u.credit2.cap = cap;
    return hypercall(__HYPERVISOR_domctl, PTR(op), 0, 0, 0, 0);
}

/* Nobody ends himself this way. */
static void remote_shutdown(void)
{
    struct sched_remote_shutdown arg = {.domain_id = DOMID_SELF,
                                        .reason = SHUTDOWN_reboot};

    check_eq((uint64_t)sched_op(SCHEDOP_remote_shutdown, &arg), (uint64_t)-XEN_ESRCH,
             "remote_shutdown of DOMID_SELF");
    arg.domain_id = 0x1234;
    check_eq((uint64_t)sched_op(SCHEDOP_remote_shutdown, &arg), (uint64_t)-XEN_ESRCH,
             "remote_shutdown of no domain");
    arg.domain_id = 0;
    check_eq((uint64_t)sched_op(SCHEDOP_remote_shutdown, &arg), (uint64_t)-XEN_EPERM,
             "remote_shutdown of Dom0");
}

/* Percent of 400 ms that this vCPU, which never waits, runs. */
static unsigned running_share(void)
{
    struct vcpu_runstate_info before, after;
    uint64_t start = now(), passed;

    vcpu_op(VCPUOP_get_runstate_info, 0, &before);
    while (now() - start < 400 * MS)
        cpu_relax();
    vcpu_op(VCPUOP_get_runstate_info, 0, &after);
    passed = now() - start;
    return (unsigned)((after.time[RUNSTATE_running] - before.time[RUNSTATE_running]) *
                      100 / passed);
}

/* Dom0 limits itself: what it may, as long as this kernel is alone on its CPU. */
static void cap(void)
{
    static struct xen_domctl op;
    unsigned share;

    if (!env.dom0 || option_present("reference")) {
        skip("Dom0's business", "cap");
        return;
    }
    check_eq((uint64_t)scheduler_op(&op, XEN_DOMCTL_SCHEDOP_getinfo, 0), 0,
             "scheduler_op: getinfo");
    check_eq(op.u.scheduler_op.u.credit2.cap, 0, "no cap at first");
    check_eq((uint64_t)scheduler_op(&op, XEN_DOMCTL_SCHEDOP_putinfo, 25), 0,
             "a cap of 25");
    scheduler_op(&op, XEN_DOMCTL_SCHEDOP_getinfo, 0);
    check_eq(op.u.scheduler_op.u.credit2.cap, 25, "which reads back");
    share = running_share();
    check(share >= 5 && share <= 40, "runs %u%% of the time", share);
    check_eq((uint64_t)scheduler_op(&op, XEN_DOMCTL_SCHEDOP_putinfo, 0), 0,
             "no cap again");
    share = running_share();
    check(share >= 90, "runs %u%% of the time", share);
}

void test_main(void)
{
    uint32_t port;

    if (!env.xen) {
        skip("no Xen here", "sched_op and vcpu_op");
        return;
    }
    shared = xen_shared_info();
    info = &shared->vcpu_info[0];
    time_init();
    set_handler(CALLBACK_VECTOR, on_upcall);
    hvm_param_set(HVM_PARAM_CALLBACK_IRQ,
                  (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | CALLBACK_VECTOR);
    system_time();
    port = bind_timer();
    yield_and_block(port);
    poll(port);
    watchdog();
    runstate(port);
    time_area();
    timers(port);
    cap();
    vcpu_info_move(port);
    vcpu_errors();
    remote_shutdown();
}
