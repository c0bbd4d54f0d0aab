/* I/O requests to device models: servers, the ranges they claim, and the requests.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain has a few servers (most have one). Each has a sorted table of ranges per kind,
 * read without a lock: writers make `seq` odd meanwhile, readers try again. A vCPU that
 * waits for an answer holds a reference on the server, so it can be destroyed at any
 * time.
 *
 * The page is shared with a hostile process: the hypervisor reads only `state` and `data`
 * from it, each once. Left out: guest frames for the pages (HVM_PARAM_IOREQ_PFN); they
 * are mapped with XENMEM_acquire_resource.
 */
#include "hvm/ioreq.h"
#include "cpu/percpu.h"
#include "cpu/x86.h"
#include "domain/evtchn.h"
#include "domain/sched.h"
#include "hvm/platform.h"
#include "mm/frame.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include <xen/hvm/dm_op.h>
#include <xen/hvm/hvm_op.h>

#define SERVERS_MAX 8
#define RANGES_MAX  256 /* per server and kind: one page */
#define RANGE_KINDS 3   /* XEN_DMOP_IO_RANGE_PORT, _MEMORY, _PCI */

struct range {
    uint64_t start, end; /* inclusive */
};

struct ioreq_server {
    uint32_t refs;
    bool enabled, dead;
    domid_t owner;    /* of the device model */
    uint8_t bufioreq; /* HVM_IOREQSRV_BUFIOREQ_* */
    uint32_t seq;
    unsigned int count[RANGE_KINDS];
    struct range *ranges[RANGE_KINDS];
    shared_iopage_t *page;
    buffered_iopage_t *buf_page;
    evtchn_port_t buf_port;
    struct spinlock buf_lock; /* guards the write pointer of buf_page */
    evtchn_port_t ports[MAX_GUEST_VCPUS];
};

struct ioreq_domain {
    struct spinlock lock; /* guards servers[], their ranges and life */
    struct ioreq_server *servers[SERVERS_MAX];
};

static void server_put(struct ioreq_server *s)
{
    if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
        return;
    for (unsigned int i = 0; i < RANGE_KINDS; i++)
        if (s->ranges[i])
            free_pages(s->ranges[i], 0);
    if (s->page)
        frame_put(virt_to_mfn(s->page));
    if (s->buf_page)
        frame_put(virt_to_mfn(s->buf_page));
    zfree(s);
}

/* ---- which server ---- */

/* Index of the first range that ends at or after `addr`. */
static unsigned int range_find(const struct range *r, unsigned int n, uint64_t addr)
{
    unsigned int lo = 0, hi = n;

    while (lo < hi) {
        unsigned int mid = (lo + hi) / 2;

        if (r[mid].end < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool server_claims(const struct ioreq_server *s, unsigned int kind, uint64_t start,
                          uint64_t end)
{
    uint32_t seq;
    bool found;

    do {
        unsigned int n, i;

        do {
            seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
        } while (seq & 1);
        n = min(READ_ONCE(s->count[kind]), (unsigned int)RANGES_MAX);
        i = n ? range_find(s->ranges[kind], n, start) : 0;
        found =
            i < n && s->ranges[kind][i].start <= start && end <= s->ranges[kind][i].end;
        barrier();
    } while (seq != __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE));
    return found;
}

/* The newest server that claims all of it, with a reference; NULL if none. */
static struct ioreq_server *select_server(struct domain *d, unsigned int kind,
                                          uint64_t start, uint64_t end)
{
    struct ioreq_domain *id = d->ioreq;
    struct ioreq_server *found = NULL;

    for (int i = SERVERS_MAX - 1; i >= 0; i--) {
        if (!READ_ONCE(id->servers[i]))
            continue;
        /* The lock is for the reference only: a server may go at any time. It is held for
         * the search and contended by nobody but vCPUs of this domain in the same place.
         */
        spin_lock(&id->lock);
        if (id->servers[i] && id->servers[i]->enabled &&
            server_claims(id->servers[i], kind, start, end)) {
            found = id->servers[i];
            __atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
        }
        spin_unlock(&id->lock);
        if (found)
            break;
    }
    return found;
}

bool ioreq_mmio_claimed(struct domain *d, uint64_t gpa, unsigned int bytes)
{
    struct ioreq_server *s =
        select_server(d, XEN_DMOP_IO_RANGE_MEMORY, gpa, gpa + bytes - 1);

    if (s)
        server_put(s);
    return s;
}

/* ---- one request ---- */

/* Hand `req` to the server and wait. *data: the answer. */
static int send(struct vcpu *v, struct ioreq_server *s, const ioreq_t *req,
                uint64_t *data)
{
    volatile ioreq_t *slot = &s->page->vcpu_ioreq[v->id];
    int rc = 0;

    slot->addr = req->addr;
    slot->data = req->data;
    slot->count = req->count;
    slot->size = req->size;
    slot->data_is_ptr = req->data_is_ptr;
    slot->dir = req->dir;
    slot->df = req->df;
    slot->type = req->type;
    slot->vp_eport = s->ports[v->id];
    WRITE_ONCE(v->in_ioreq, true);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    slot->state = STATE_IOREQ_READY;
    v->waits_for_woken = true;
    evtchn_notify_xen(v->domain, s->ports[v->id]);
    v->waits_for_woken = false;

    while (slot->state != STATE_IORESP_READY) {
        if (domain_is_dying(v->domain)) {
            rc = -EINTR;
            break;
        }
        if (READ_ONCE(s->dead))
            break;
        vcpu_block();
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    *data = READ_ONCE(s->dead) ? ~0ull : slot->data;
    slot->state = STATE_IOREQ_NONE;
    WRITE_ONCE(v->in_ioreq, false);
    server_put(s);
    return rc;
}

/* CONFIG_ADDRESS and CONFIG_DATA (PCI Local Bus 3.0, 3.2.2.3.2). The address is latched
 * here, so one configuration access is one request. True if it was dealt with. */
static bool config_port(struct vcpu *v, uint16_t port, unsigned int bytes, bool write,
                        uint64_t *data, int *rc)
{
    struct hvm_domain *hd = v->domain->hvm;
    uint32_t cf8 = hd->cf8, sbdf;
    struct ioreq_server *s;

    if (port == 0xcf8 && bytes == 4) {
        if (write)
            hd->cf8 = *data;
        else
            *data = cf8;
        *rc = 0;
        return true;
    }
    if (port < 0xcfc || port + bytes > 0xd00 || !(cf8 & 0x80000000))
        return false;
    sbdf = (cf8 >> 8) & 0xffff;
    s = select_server(v->domain, XEN_DMOP_IO_RANGE_PCI, sbdf, sbdf);
    *rc = 0;
    if (!s) {
        if (!write)
            *data = ~0ull;
        return true;
    }
    ioreq_t req = {
        .type = IOREQ_TYPE_PCI_CONFIG,
        .addr = (uint64_t)sbdf << 32 | (cf8 & 0xfc) | (port & 3),
        .data = *data,
        .count = 1,
        .size = bytes,
        .dir = write ? IOREQ_WRITE : IOREQ_READ,
    };
    *rc = send(v, s, &req, data);
    return true;
}

static void unclaimed(bool write, uint64_t *data)
{
    if (!write)
        *data = ~0ull;
}

/* One access of up to 8 bytes. */
static int single(struct vcpu *v, unsigned int kind, uint64_t addr, unsigned int bytes,
                  bool write, uint64_t *data)
{
    struct ioreq_server *s = select_server(v->domain, kind, addr, addr + bytes - 1);

    if (!s) {
        unclaimed(write, data);
        return 0;
    }
    ioreq_t req = {
        .type = kind == XEN_DMOP_IO_RANGE_PORT ? IOREQ_TYPE_PIO : IOREQ_TYPE_COPY,
        .addr = addr,
        .data = *data,
        .count = 1,
        .size = bytes,
        .dir = write ? IOREQ_WRITE : IOREQ_READ,
    };
    return send(v, s, &req, data);
}

int ioreq_port(struct vcpu *v, uint16_t port, unsigned int bytes, bool write,
               uint64_t *data)
{
    int rc;

    if ((port & ~7u) == 0xcf8 && config_port(v, port, bytes, write, data, &rc))
        return rc;
    return single(v, XEN_DMOP_IO_RANGE_PORT, port, bytes, write, data);
}

int ioreq_mmio(struct vcpu *v, uint64_t gpa, unsigned int bytes, bool write,
               uint64_t *data)
{
    return single(v, XEN_DMOP_IO_RANGE_MEMORY, gpa, bytes, write, data);
}

static void fill_ones(struct domain *d, uint64_t gpa, unsigned int bytes, bool down,
                      uint32_t count)
{
    uint64_t ones = ~0ull;

    for (uint32_t i = 0; i < count; i++)
        guest_write_phys(d, down ? gpa - (uint64_t)i * bytes : gpa + (uint64_t)i * bytes,
                         &ones, bytes);
}

/* `count` elements between guest RAM at `ram` and a device at `addr`, which is a port or
 * a guest-physical address as `kind` says. */
static int rep(struct vcpu *v, unsigned int kind, uint64_t addr, unsigned int bytes,
               bool write, uint64_t ram, bool down, uint32_t count)
{
    struct ioreq_server *s = select_server(v->domain, kind, addr, addr + bytes - 1);
    uint64_t ignored;

    if (!s) {
        if (!write)
            fill_ones(v->domain, ram, bytes, down, count);
        return 0;
    }
    ioreq_t req = {
        .type = kind == XEN_DMOP_IO_RANGE_PORT ? IOREQ_TYPE_PIO : IOREQ_TYPE_COPY,
        .addr = addr,
        .data = ram,
        .data_is_ptr = 1,
        .count = count,
        .size = bytes,
        .df = down,
        .dir = write ? IOREQ_WRITE : IOREQ_READ,
    };
    return send(v, s, &req, &ignored);
}

int ioreq_port_rep(struct vcpu *v, uint16_t port, unsigned int bytes, bool write,
                   uint64_t gpa, bool down, uint32_t *count)
{
    return rep(v, XEN_DMOP_IO_RANGE_PORT, port, bytes, write, gpa, down, *count);
}

int ioreq_mmio_rep(struct vcpu *v, uint64_t gpa, unsigned int bytes, bool write,
                   uint64_t ram_gpa, bool down, uint32_t *count)
{
    return rep(v, XEN_DMOP_IO_RANGE_MEMORY, gpa, bytes, write, ram_gpa, down, *count);
}

/* One or two slots of the buffered page (public/hvm/ioreq.h); dropped if it is full or
 * there is none. */
static void send_buffered(struct domain *d, struct ioreq_server *s, uint8_t type,
                          uint64_t data)
{
    buffered_iopage_t *pg = s->buf_page;
    uint32_t w;

    if (!pg || !s->enabled)
        return;
    spin_lock(&s->buf_lock);
    w = READ_ONCE(pg->write_pointer);
    if ((uint32_t)(w - READ_ONCE(pg->read_pointer)) < IOREQ_BUFFER_SLOT_NUM - 1) {
        pg->buf_ioreq[w % IOREQ_BUFFER_SLOT_NUM] = (buf_ioreq_t){
            .type = type, .dir = IOREQ_WRITE, .size = 3, .data = (uint32_t)data};
        pg->buf_ioreq[(w + 1) % IOREQ_BUFFER_SLOT_NUM] =
            (buf_ioreq_t){.data = data >> 32};
        __atomic_store_n(&pg->write_pointer, w + 2, __ATOMIC_RELEASE);
    }
    spin_unlock(&s->buf_lock);
    evtchn_notify_xen(d, s->buf_port);
}

void ioreq_broadcast(struct domain *d, uint8_t type, uint64_t data)
{
    struct ioreq_domain *id = d->ioreq;

    for (unsigned int i = 0; i < SERVERS_MAX; i++) {
        struct ioreq_server *s;

        spin_lock(&id->lock);
        s = id->servers[i];
        if (s)
            __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
        spin_unlock(&id->lock);
        if (s) {
            send_buffered(d, s, type, data);
            server_put(s);
        }
    }
}

bool ioreq_pending(struct domain *d)
{
    for_each_vcpu(d, v) if (READ_ONCE(v->in_ioreq)) return true;
    return false;
}

/* ---- life of servers ---- */

static void answer(struct vcpu *v, unsigned int port)
{
    vcpu_wake(v);
}

/* A server by id that belongs to `caller`, with a reference. */
static struct ioreq_server *server_get(struct domain *d, struct domain *caller,
                                       uint16_t id)
{
    struct ioreq_server *s = NULL;

    if (id >= SERVERS_MAX)
        return NULL;
    spin_lock(&d->ioreq->lock);
    s = d->ioreq->servers[id];
    if (s && s->owner == caller->id)
        __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    else
        s = NULL;
    spin_unlock(&d->ioreq->lock);
    return s;
}

static int server_add_vcpu(struct domain *d, struct ioreq_server *s, struct vcpu *v)
{
    int port = evtchn_alloc_xen(d, v->id, s->owner, answer);

    if (port < 0)
        return port;
    s->ports[v->id] = port;
    s->page->vcpu_ioreq[v->id].vp_eport = port;
    return 0;
}

static void server_free_ports(struct domain *d, struct ioreq_server *s)
{
    for (unsigned int i = 0; i < MAX_GUEST_VCPUS; i++)
        if (s->ports[i])
            evtchn_free_xen(d, s->ports[i]);
    if (s->buf_port)
        evtchn_free_xen(d, s->buf_port);
}

/* Nobody finds it any more; waiting vCPUs get all ones. */
static void server_kill(struct domain *d, struct ioreq_server *s)
{
    WRITE_ONCE(s->dead, true);
    s->enabled = false;
    for_each_vcpu(d, v) vcpu_wake(v);
    server_free_ports(d, s);
    server_put(s);
}

int ioreq_server_create(struct domain *d, struct domain *caller, unsigned int bufioreq,
                        uint16_t *id)
{
    struct ioreq_server *s;
    int rc = -ENOMEM;

    if (bufioreq > HVM_IOREQSRV_BUFIOREQ_ATOMIC)
        return -EINVAL;
    s = zalloc(sizeof(*s));
    if (!s)
        return rc;
    s->refs = 1;
    s->owner = caller->id;
    s->bufioreq = bufioreq;
    for (unsigned int i = 0; i < RANGE_KINDS; i++)
        s->ranges[i] = alloc_pages(0);
    s->page = frame_alloc_shared(d);
    if (bufioreq)
        s->buf_page = frame_alloc_shared(d);
    if (!s->ranges[0] || !s->ranges[1] || !s->ranges[2] || !s->page ||
        (bufioreq && !s->buf_page))
        goto fail;
    for_each_vcpu(d, v)
    {
        rc = server_add_vcpu(d, s, v);
        if (rc)
            goto fail;
    }
    if (bufioreq) {
        rc = evtchn_alloc_xen(d, 0, caller->id, NULL);
        if (rc < 0)
            goto fail;
        s->buf_port = rc;
    }
    rc = -ENOSPC;
    spin_lock(&d->ioreq->lock);
    for (unsigned int i = 0; i < SERVERS_MAX && rc && !domain_is_dying(d); i++) {
        if (d->ioreq->servers[i])
            continue;
        d->ioreq->servers[i] = s;
        *id = i;
        rc = 0;
    }
    spin_unlock(&d->ioreq->lock);
    if (!rc)
        return 0;
fail:
    server_free_ports(d, s);
    server_put(s);
    return rc;
}

int ioreq_server_destroy(struct domain *d, struct domain *caller, uint16_t id)
{
    struct ioreq_server *s = server_get(d, caller, id);

    if (!s)
        return -ENOENT;
    spin_lock(&d->ioreq->lock);
    if (d->ioreq->servers[id] != s) {
        spin_unlock(&d->ioreq->lock);
        server_put(s);
        return -ENOENT;
    }
    d->ioreq->servers[id] = NULL;
    spin_unlock(&d->ioreq->lock);
    server_kill(d, s);
    server_put(s);
    return 0;
}

int ioreq_server_info(struct domain *d, struct domain *caller, uint16_t id,
                      uint64_t *ioreq_gfn, uint64_t *bufioreq_gfn,
                      uint32_t *bufioreq_port, bool want_gfns)
{
    struct ioreq_server *s;

    if (want_gfns)
        return -EOPNOTSUPP;
    s = server_get(d, caller, id);
    if (!s)
        return -ENOENT;
    *ioreq_gfn = *bufioreq_gfn = ~0ull;
    *bufioreq_port = s->buf_port;
    server_put(s);
    return 0;
}

/* Change a table of ranges under the domain's lock: readers see all of it or none. */
static int change_range(struct ioreq_server *s, uint32_t kind, uint64_t start,
                        uint64_t end, bool add)
{
    struct range *r = s->ranges[kind];
    unsigned int n = s->count[kind], i = range_find(r, n, start);
    int rc = 0;

    __atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (add) {
        if (i < n && r[i].start <= end) {
            rc = -EEXIST;
        } else if (n == RANGES_MAX) {
            rc = -ENOSPC;
        } else {
            memmove(&r[i + 1], &r[i], (n - i) * sizeof(*r));
            r[i] = (struct range){start, end};
            s->count[kind]++;
        }
    } else if (i < n && r[i].start == start && r[i].end == end) {
        memmove(&r[i], &r[i + 1], (n - i - 1) * sizeof(*r));
        s->count[kind]--;
    } else {
        rc = -ENOENT;
    }
    __atomic_store_n(&s->seq, s->seq + 1, __ATOMIC_RELEASE);
    return rc;
}

static int map_range(struct domain *d, struct domain *caller, uint16_t id, uint32_t type,
                     uint64_t start, uint64_t end, bool add)
{
    struct ioreq_server *s;
    int rc;

    if (type >= RANGE_KINDS || start > end)
        return -EINVAL;
    s = server_get(d, caller, id);
    if (!s)
        return -ENOENT;
    spin_lock(&d->ioreq->lock);
    rc = change_range(s, type, start, end, add);
    spin_unlock(&d->ioreq->lock);
    server_put(s);
    return rc;
}

int ioreq_server_map_range(struct domain *d, struct domain *caller, uint16_t id,
                           uint32_t type, uint64_t start, uint64_t end)
{
    return map_range(d, caller, id, type, start, end, true);
}

int ioreq_server_unmap_range(struct domain *d, struct domain *caller, uint16_t id,
                             uint32_t type, uint64_t start, uint64_t end)
{
    return map_range(d, caller, id, type, start, end, false);
}

int ioreq_server_set_state(struct domain *d, struct domain *caller, uint16_t id,
                           bool enabled)
{
    struct ioreq_server *s = server_get(d, caller, id);

    if (!s)
        return -ENOENT;
    WRITE_ONCE(s->enabled, enabled);
    server_put(s);
    return 0;
}

/* Writes to a page type as requests: no device model that we run asks for it. */
int ioreq_server_map_mem_type(struct domain *d, struct domain *caller, uint16_t id,
                              uint16_t type, uint32_t flags)
{
    return -EOPNOTSUPP;
}

int ioreq_server_get_frame(struct domain *d, struct domain *caller, uint16_t id,
                           unsigned int index, mfn_t *mfn)
{
    struct ioreq_server *s = server_get(d, caller, id);
    int rc = 0;

    if (!s)
        return -ENOENT;
    if (index == 1)
        *mfn = virt_to_mfn(s->page);
    else if (index == 0 && s->buf_page)
        *mfn = virt_to_mfn(s->buf_page);
    else
        rc = -EINVAL;
    server_put(s);
    return rc;
}

int ioreq_domain_init(struct domain *d)
{
    d->ioreq = zalloc(sizeof(*d->ioreq));
    return d->ioreq ? 0 : -ENOMEM;
}

void ioreq_domain_destroy(struct domain *d)
{
    for (unsigned int i = 0; i < SERVERS_MAX; i++) {
        struct ioreq_server *s;

        spin_lock(&d->ioreq->lock);
        s = d->ioreq->servers[i];
        d->ioreq->servers[i] = NULL;
        spin_unlock(&d->ioreq->lock);
        if (s)
            server_kill(d, s);
    }
}

void ioreq_domain_free(struct domain *d)
{
    zfree(d->ioreq);
    d->ioreq = NULL;
}

int ioreq_vcpu_init(struct vcpu *v)
{
    struct domain *d = v->domain;
    int rc = 0;

    for (unsigned int i = 0; i < SERVERS_MAX && !rc; i++) {
        struct ioreq_server *s;

        spin_lock(&d->ioreq->lock);
        s = d->ioreq->servers[i];
        if (s)
            __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
        spin_unlock(&d->ioreq->lock);
        if (!s)
            continue;
        rc = server_add_vcpu(d, s, v);
        server_put(s);
    }
    return rc;
}

void ioreq_vcpu_destroy(struct vcpu *v)
{
    /* Its channels went with the servers, before the domain's memory. */
}
