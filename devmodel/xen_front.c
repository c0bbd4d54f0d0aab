/*
 * The hypervisor front end: ioreq server, event channels, interrupts, time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen_front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <xen/hvm/dm_op.h>
#include <xen/memory.h>
#include <xen/sched.h>

#include "../firmware/layout.h"
#include "xen_sleep.h"

#define NO_VCPU        0xffff
#define NS             1000000000ll
#define GIB            (1ull << 30)
#define EVENTS_AT_ONCE 32

/* ---- requests -----------------------------------------------------------------------
 */

static void serve(struct xen_front *x, unsigned vcpu)
{
    ioreq_t *slot = &x->ring->vcpu_ioreq[vcpu];
    ioreq_t request;

    if (slot->state != STATE_IOREQ_READY)
        return; /* an event without a request, as after unmasking */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    memcpy(&request, slot, sizeof(request));
    slot->state = STATE_IOREQ_INPROCESS;
    xen_handle_request(x, &request);
    slot->data = request.data;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    slot->state = STATE_IORESP_READY;
    xenevtchn_notify(x->evtchn, x->port[vcpu]);
}

static void events(struct xen_front *x)
{
    evtchn_port_t port[EVENTS_AT_ONCE];
    ssize_t n = read(xenevtchn_fd(x->evtchn), port, sizeof(port));

    if (n < (ssize_t)sizeof(port[0]))
        return;
    size_t count = (size_t)n / sizeof(port[0]);
    /* Unmask first: a request that comes from here on makes a new event. */
    if (write(xenevtchn_fd(x->evtchn), port, count * sizeof(port[0])) < 0)
        dev_log(NULL, LOG_WARNING, "event channels: %s", strerror(errno));
    for (size_t i = 0; i < count; i++) {
        if (port[i] < x->port_room && x->vcpu_of_port[port[i]] != NO_VCPU)
            serve(x, x->vcpu_of_port[port[i]]);
    }
}

static void remember_port(struct xen_front *x, evtchn_port_t port, unsigned vcpu)
{
    if (port >= x->port_room) {
        unsigned room = port + 64;
        x->vcpu_of_port = must_realloc(x->vcpu_of_port, room * sizeof(*x->vcpu_of_port));
        memset(x->vcpu_of_port + x->port_room, 0xff,
               (room - x->port_room) * sizeof(*x->vcpu_of_port));
        x->port_room = room;
    }
    x->vcpu_of_port[port] = (uint16_t)vcpu;
    x->port[vcpu] = port;
}

static int bind_ports(struct xen_front *x, struct error *error)
{
    x->port = must_alloc(x->vcpus * sizeof(*x->port));
    for (unsigned i = 0; i < x->vcpus; i++) {
        uint32_t remote = x->ring->vcpu_ioreq[i].vp_eport;
        xenevtchn_port_or_error_t port =
            xenevtchn_bind_interdomain(x->evtchn, x->domid, remote);
        if (port < 0)
            return error_set(error, -errno, "vCPU %u: cannot bind event channel %u: %s",
                             i, remote, strerror(errno));
        remember_port(x, (evtchn_port_t)port, i);
    }
    return 0;
}

/* ---- front end operations -----------------------------------------------------------
 */

static int front_read(struct machine *m, uint64_t gpa, void *buffer, size_t bytes)
{
    return mapcache_read(((struct xen_front *)m->front_data)->cache, gpa, buffer, bytes);
}

static int front_write(struct machine *m, uint64_t gpa, const void *buffer, size_t bytes)
{
    struct xen_front *x = m->front_data;
    int err = mapcache_write(x->cache, gpa, buffer, bytes);

    /* The hypervisor does not see our writes in the domain's tables. */
    if (!err && bytes && m->log_dirty)
        xendevicemodel_modified_memory(x->dm, x->domid, gpa >> XEN_PAGE_SHIFT,
                                       (uint32_t)(((gpa + bytes - 1) >> XEN_PAGE_SHIFT) -
                                                  (gpa >> XEN_PAGE_SHIFT) + 1));
    return err;
}

static void complain(const char *what)
{
    static time_t shown;
    time_t now = time(NULL);

    if (now != shown)
        dev_log(NULL, LOG_WARNING, "%s: %s", what, strerror(errno));
    shown = now;
}

static void front_isa_irq(struct machine *m, unsigned irq, bool level)
{
    struct xen_front *x = m->front_data;

    if (xendevicemodel_set_isa_irq_level(x->dm, x->domid, (uint8_t)irq, level))
        complain("set_isa_irq_level");
}

static void front_pci_intx(struct machine *m, unsigned slot, unsigned pin, bool level)
{
    struct xen_front *x = m->front_data;
    uint8_t *pulls = &x->intx_pulls[slot & 31][pin & 3];
    uint8_t before = *pulls;

    /* Functions of a slot share a pin. */
    *pulls = level ? before + 1 : before - 1;
    if (before && *pulls)
        return;
    /* hvmloader's tables have Xen's own routing, the native board's have SeaBIOS's. */
    unsigned device = m->board.xenfv ? slot & 31 : LAYOUT_INTX_DEVICE(slot);
    if (xendevicemodel_set_pci_intx_level(x->dm, x->domid, 0, 0, (uint8_t)device,
                                          (uint8_t)pin, level))
        complain("set_pci_intx_level");
}

static void front_pirq_route(struct machine *m, unsigned pirq, unsigned isa_irq)
{
    struct xen_front *x = m->front_data;

    if (xendevicemodel_set_pci_link_route(x->dm, x->domid, (uint8_t)pirq,
                                          (uint8_t)isa_irq))
        complain("set_pci_link_route");
}

static void front_msi(struct machine *m, struct device *dev, uint64_t address,
                      uint32_t data)
{
    struct xen_front *x = m->front_data;

    if (address >> 20 != 0xfee) {
        guest_error(dev, "MSI to %#llx, which is not a local APIC",
                    (unsigned long long)address);
        return;
    }
    if (xendevicemodel_inject_msi(x->dm, x->domid, address, data))
        complain("inject_msi");
}

static int front_io_map(struct machine *m, struct io_region *r)
{
    struct xen_front *x = m->front_data;

    if (xendevicemodel_map_io_range_to_ioreq_server(x->dm, x->domid, x->server,
                                                    r->space == IO_MEM, r->base,
                                                    r->base + (r->size - 1)))
        return -errno;
    return 0;
}

static void front_io_unmap(struct machine *m, struct io_region *r)
{
    struct xen_front *x = m->front_data;

    if (xendevicemodel_unmap_io_range_from_ioreq_server(x->dm, x->domid, x->server,
                                                        r->space == IO_MEM, r->base,
                                                        r->base + (r->size - 1)) &&
        !x->stopped)
        complain("unmap_io_range");
}

static int front_pci_present(struct machine *m, unsigned devfn)
{
    struct xen_front *x = m->front_data;

    if (xendevicemodel_map_pcidev_to_ioreq_server(x->dm, x->domid, x->server, 0, 0,
                                                  (uint8_t)(devfn >> 3),
                                                  (uint8_t)(devfn & 7)))
        return -errno;
    return 0;
}

static void front_pci_absent(struct machine *m, unsigned devfn)
{
    struct xen_front *x = m->front_data;

    if (xendevicemodel_unmap_pcidev_from_ioreq_server(x->dm, x->domid, x->server, 0, 0,
                                                      (uint8_t)(devfn >> 3),
                                                      (uint8_t)(devfn & 7)) &&
        !x->stopped)
        complain("unmap_pcidev");
}

static int64_t front_clock(struct machine *m)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS + now.tv_nsec;
}

static void front_deadline(struct machine *m, int64_t ns)
{
    struct xen_front *x = m->front_data;
    struct itimerspec when = {.it_value = {0, 0}};

    if (ns == x->timer_armed)
        return;
    x->timer_armed = ns;
    if (ns != INT64_MAX) {
        if (ns < 1)
            ns = 1; /* zero would switch it off */
        when.it_value.tv_sec = ns / NS;
        when.it_value.tv_nsec = ns % NS;
    }
    timerfd_settime(x->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void timer_fired(struct xen_front *x)
{
    uint64_t times;

    if (read(x->timer_fd, &times, sizeof(times)) < 0)
        return;
    x->timer_armed = INT64_MAX;
    timers_run(x->machine, front_clock(x->machine));
}

/* libuv's clock, without a system call. */
static uint64_t coarse_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * One turn of the main loop.  A guest's request is what matters: it costs one poll, and
 * libuv (with its own poll and clock) only runs when one of its descriptors or timers is
 * due.
 */
static void front_turn(struct machine *m)
{
    struct xen_front *x = m->front_data;
    struct pollfd fd[] = {
        {.fd = xenevtchn_fd(x->evtchn), .events = POLLIN},
        {.fd = x->timer_fd, .events = POLLIN},
        {.fd = uv_backend_fd(&m->loop), .events = POLLIN},
    };
    int timeout = uv_backend_timeout(&m->loop);
    bool due = timeout == 0;

    if (timeout > 0) { /* counted from when libuv last looked at its clock */
        uint64_t when = uv_now(&m->loop) + (uint64_t)timeout, now = coarse_ms();
        due = now >= when;
        timeout = due ? 0 : (int)(when - now);
    }
    front_deadline(m, timers_deadline(m));
    if (poll(fd, ARRAY_LEN(fd), timeout) < 0 && errno != EINTR)
        dev_log(NULL, LOG_WARNING, "poll: %s", strerror(errno));
    if (fd[0].revents)
        events(x);
    if (fd[1].revents)
        timer_fired(x);
    if (fd[2].revents || due || (!fd[0].revents && !fd[1].revents))
        uv_run(&m->loop, UV_RUN_NOWAIT);
}

static void end_domain(struct xen_front *x, unsigned reason, const char *why)
{
    dev_log(NULL, LOG_INFO, "%s: %s", reason == SHUTDOWN_reboot ? "reset" : "power off",
            why);
    x->stopped = true;
    if (xendevicemodel_shutdown(x->dm, x->domid, reason))
        complain("shutdown");
}

static void front_reset(struct machine *m, const char *why)
{
    end_domain(m->front_data, SHUTDOWN_reboot, why);
}

static void front_shutdown(struct machine *m, const char *why)
{
    end_domain(m->front_data, SHUTDOWN_poweroff, why);
}

static int front_sleep(struct machine *m, uint8_t rtc[RTC_REGISTERS], struct error *error)
{
    return sleeper_sleep(((struct xen_front *)m->front_data)->sleeper, rtc, error);
}

static int front_wake(struct machine *m, struct error *error)
{
    return sleeper_wake(((struct xen_front *)m->front_data)->sleeper, error);
}

/* The toolstack has stopped the domain's vCPUs; only the devices are ours to stop. */
static void front_pause(struct machine *m)
{
    machine_pause(m);
}

static void front_resume(struct machine *m)
{
    machine_start(m);
}

const struct front_ops xen_front_ops = {
    .pause = front_pause,
    .resume = front_resume,
    .name = "xen",
    .memory_read = front_read,
    .memory_write = front_write,
    .isa_irq = front_isa_irq,
    .pci_intx = front_pci_intx,
    .pirq_route = front_pirq_route,
    .msi = front_msi,
    .io_map = front_io_map,
    .io_unmap = front_io_unmap,
    .pci_present = front_pci_present,
    .pci_absent = front_pci_absent,
    .window_init = xen_window_init,
    .window_fini = xen_window_fini,
    .window_map = xen_window_map,
    .window_unmap = xen_window_unmap,
    .window_track = xen_window_track,
    .window_dirty = xen_window_dirty,
    .clock = front_clock,
    .deadline = front_deadline,
    .turn = front_turn,
    .reset = front_reset,
    .shutdown = front_shutdown,
    .sleep = front_sleep,
    .wake = front_wake,
};

/* ---- start and end ------------------------------------------------------------------
 */

int xen_front_open(struct xen_front *x, int domid, struct error *error)
{
    x->domid = (domid_t)domid;
    x->timer_fd = -1;
    x->timer_armed = INT64_MAX;
    x->sleeper = sleeper_start(x->domid, error);
    if (!x->sleeper)
        return -ENOMEM;
    x->dm = xendevicemodel_open(NULL, 0);
    x->fmem = xenforeignmemory_open(NULL, 0);
    x->evtchn = xenevtchn_open(NULL, 0);
    x->xc = xc_interface_open(NULL, NULL, 0);
    if (!x->dm || !x->fmem || !x->evtchn || !x->xc)
        return error_set(
            error, -ENODEV,
            "cannot reach the hypervisor (%s); this program runs in Dom0, as "
            "root, with xen-privcmd and xen-evtchn loaded",
            strerror(errno));
    x->cache = mapcache_create(x->machine, x->fmem, x->domid);
    x->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return x->timer_fd < 0 ? error_set(error, -errno, "timerfd: %s", strerror(errno)) : 0;
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

int xen_front_create_server(struct xen_front *x, struct error *error)
{
    const struct board *b = &x->machine->board;
    void *ring = NULL;

    if (xendevicemodel_nr_vcpus(x->dm, x->domid, &x->vcpus))
        return error_set(error, -errno, "domain %u: %s", x->domid, strerror(errno));
    if (b->xenfv) /* -smp has those that run at first */
        x->machine->board.cpus = x->vcpus;
    if (x->vcpus != b->cpus)
        return error_set(error, -EINVAL, "domain %u has %u vCPUs, not %u", x->domid,
                         x->vcpus, b->cpus);
    if (x->vcpus > XEN_PAGE / sizeof(ioreq_t))
        return error_set(error, -EINVAL, "domain %u has too many vCPUs", x->domid);
    if (xendevicemodel_create_ioreq_server(x->dm, x->domid, HVM_IOREQSRV_BUFIOREQ_OFF,
                                           &x->server))
        return error_set(error, -errno, "domain %u: no ioreq server: %s", x->domid,
                         strerror(errno));
    x->have_server = true;
    x->ring_handle = xenforeignmemory_map_resource(
        x->fmem, x->domid, XENMEM_resource_ioreq_server, x->server,
        XENMEM_resource_ioreq_server_frame_ioreq(0), 1, &ring, PROT_READ | PROT_WRITE, 0);
    if (!x->ring_handle)
        return error_set(error, -errno, "domain %u: cannot map the request page: %s",
                         x->domid, strerror(errno));
    x->ring = ring;
    x->parking =
        round_up(LAYOUT_HIGH_RAM_BASE + b->ram_above_4g + GIB, GIB) >> XEN_PAGE_SHIFT;
    return 0;
}

int xen_front_start(struct xen_front *x, struct error *error)
{
    if (xendevicemodel_set_ioreq_server_state(x->dm, x->domid, x->server, 1))
        return error_set(error, -errno, "domain %u: cannot enable the ioreq server: %s",
                         x->domid, strerror(errno));
    int err = bind_ports(x, error);
    if (err)
        return err;
    int fd = xenevtchn_fd(x->evtchn);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return 0;
}

int xen_front_restrict(struct xen_front *x, struct error *error)
{
    if (x->xc)
        xc_interface_close(x->xc);
    x->xc = NULL;
    if (xendevicemodel_restrict(x->dm, x->domid) ||
        xenforeignmemory_restrict(x->fmem, x->domid) ||
        xenevtchn_restrict(x->evtchn, x->domid))
        return error_set(error, -errno, "cannot restrict this process to domain %u: %s",
                         x->domid, strerror(errno));
    return 0;
}

void xen_front_close(struct xen_front *x)
{
    mapcache_destroy(x->cache);
    if (x->have_server)
        xendevicemodel_destroy_ioreq_server(x->dm, x->domid, x->server);
    if (x->ring_handle)
        xenforeignmemory_unmap_resource(x->fmem, x->ring_handle);
    if (x->evtchn)
        xenevtchn_close(x->evtchn);
    if (x->fmem)
        xenforeignmemory_close(x->fmem);
    if (x->dm)
        xendevicemodel_close(x->dm);
    if (x->xc)
        xc_interface_close(x->xc);
    sleeper_stop(x->sleeper);
    if (x->timer_fd >= 0)
        close(x->timer_fd);
    free(x->port);
    free(x->vcpu_of_port);
}
