/* Event channels: what evtchn*.c share. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Locks, outermost first:
 *   evtchn_domain.lock  guards which ports are in use and every change of a port's state
 *                       or binding, and the set-up of the FIFO ABI. Two of them (the two
 *                       ends of an interdomain channel) are taken in order of address.
 *   evtchn.lock         taken by who changes a port's state or binding, inside the
 *                       former, and alone by who sends through it. So a sender that holds
 *                       its own port's lock knows that the other end stays. Two in order
 *                       of address.
 *   evtchn_fifo.lock    guards the queues of a domain (tails, heads, links).
 * Then the scheduler's, for the wake-up.
 */
#ifndef CORBEL_DOMAIN_EVTCHN_INTERNAL_H
#define CORBEL_DOMAIN_EVTCHN_INTERNAL_H

#include "domain/evtchn.h"
#include <xen/event_channel.h>

#define EVTCHN_BUCKET      64 /* ports that are allocated together */
#define EVTCHN_BUCKETS_TOP 64 /* pointers per page of pointers */
#define EVTCHN_TOPS        32 /* 32 * 64 * 64 = EVTCHN_FIFO_NR_CHANNELS */
#define EVTCHN_FIFO_PAGES  (EVTCHN_FIFO_NR_CHANNELS / (PAGE_SIZE / 4))

enum evtchn_state {
    EVTCHN_FREE,
    EVTCHN_RESERVED, /* port 0 */
    EVTCHN_UNBOUND,
    EVTCHN_INTERDOMAIN,
    EVTCHN_VIRQ,
    EVTCHN_IPI,
    EVTCHN_PIRQ,
};

struct evtchn {
    struct spinlock lock;
    uint32_t port;
    uint8_t state;         /* enum evtchn_state */
    uint8_t priority;      /* of the FIFO queue that it goes to */
    uint8_t last_priority; /* of the FIFO queue that it is or was in */
    bool pending;          /* FIFO: raised while its event word was not mapped */
    uint16_t vcpu;         /* that is notified */
    uint16_t last_vcpu;
    /* Not NULL: this end is the hypervisor's, and this is how it hears. */
    void (*notify)(struct vcpu *v, unsigned int port);
    bool is_xen;       /* this end is the hypervisor's */
    domid_t remote_id; /* UNBOUND: who may bind */
    uint16_t virq;     /* VIRQ, or PIRQ: its number */
    uint32_t remote_port;
    struct domain *remote; /* INTERDOMAIN */
};

struct evtchn_fifo {
    struct spinlock lock;
    unsigned int nr_pages; /* of the event array that are mapped; only grows */
    event_word_t *page[EVTCHN_FIFO_PAGES];
    mfn_t mfn[EVTCHN_FIFO_PAGES];
};

/* Of a vCPU; v->evtchn_fifo. */
struct evtchn_fifo_vcpu {
    struct evtchn_fifo_control_block *block; /* in a guest page; NULL: not yet given */
    mfn_t mfn;
    uint32_t tail[EVTCHN_FIFO_MAX_QUEUES]; /* port linked last; 0: queue known empty */
};

struct evtchn_domain {
    struct spinlock lock;
    struct evtchn **bucket[EVTCHN_TOPS];
    unsigned int nr_ports; /* that have a struct evtchn; only grows */
    unsigned int min_free; /* no port below is free */
    unsigned int pollers;  /* vCPUs in SCHEDOP_poll; atomic */
    bool layout32;         /* shared_info as 32-bit guests see it */
    struct evtchn_fifo *fifo;
    uint32_t *pirq_port;          /* of each PIRQ, 0: not bound; NULL: none ever was */
    struct vcpu_info *extra_info; /* of vCPUs that have none in shared_info */
};

static inline bool bit_test(const void *map, unsigned int n)
{
    return __atomic_load_n((const uint32_t *)map + n / 32, __ATOMIC_SEQ_CST) >> (n % 32) &
           1;
}
static inline bool bit_test_and_set(void *map, unsigned int n)
{
    uint32_t mask = 1u << (n % 32);

    return __atomic_fetch_or((uint32_t *)map + n / 32, mask, __ATOMIC_SEQ_CST) & mask;
}
static inline bool bit_test_and_clear(void *map, unsigned int n)
{
    uint32_t mask = 1u << (n % 32);

    return __atomic_fetch_and((uint32_t *)map + n / 32, ~mask, __ATOMIC_SEQ_CST) & mask;
}

/* NULL if the port was never in use. */
struct evtchn *evtchn_get(const struct domain *d, unsigned int port);
/* Find a free port; d->evtchn->lock is held. Port, or -ENOSPC, -ENOMEM, -EINVAL (d dies).
 */
int evtchn_alloc_port(struct domain *d);
/* The same, and bind it to something that has no other end: VIRQ, IPI, PIRQ. `number` is
 * that of the VIRQ or PIRQ. */
int evtchn_bind_new(struct domain *d, enum evtchn_state state, uint16_t number,
                    uint32_t vcpu);
/* Raise chn, which belongs to d, on its vCPU; chn->lock is held, or d's lock. */
void evtchn_raise(struct domain *d, struct evtchn *chn);

/* The two ABIs. `v` may be NULL: no such vCPU yet. */
void evtchn_2l_raise(struct domain *d, struct vcpu *v, struct evtchn *chn);
void evtchn_2l_clear(struct domain *d, struct evtchn *chn);
void evtchn_2l_unmask(struct domain *d, struct vcpu *v, struct evtchn *chn);
bool evtchn_2l_pending(struct domain *d, unsigned int port);
unsigned int evtchn_2l_max(const struct domain *d);

void evtchn_fifo_raise(struct domain *d, struct vcpu *v, struct evtchn *chn);
void evtchn_fifo_clear(struct domain *d, struct evtchn *chn);
void evtchn_fifo_unmask(struct domain *d, struct vcpu *v, struct evtchn *chn);
bool evtchn_fifo_pending(struct domain *d, unsigned int port);
/* Still in a queue: the port cannot be used again yet. */
bool evtchn_fifo_busy(struct domain *d, unsigned int port);
/* Back to 2-level; drops all pages. d's lock is held, nothing is bound. */
void evtchn_fifo_destroy(struct domain *d);

#endif
