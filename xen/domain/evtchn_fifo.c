/* Event channels, FIFO ABI: event words in guest pages, queues by priority
 * (public/event_channel.h). SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who owns what of an event word:
 *   PENDING  set by us, cleared by the guest
 *   MASKED   the guest's
 *   LINKED   set by us when the port joins a queue, cleared by the guest when it takes it
 *   BUSY     ours, for the moment of writing LINK when the guest is in the way
 *   LINK     written by us into the queue's tail while that is LINKED; 0 ends a queue
 * and of the control block: `ready` bits set by us and cleared by the guest, `head`
 * written by us when the queue was empty and advanced by the guest.
 *
 * All of it is guest memory and may say anything at any time. We never follow a LINK, and
 * what we need to know of a queue is its tail, which we keep ourselves; a guest that
 * scribbles loses its own events.
 */
#include "domain/evtchn_internal.h"
#include "mm/frame.h"
#include "lib/errno.h"

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define LINK_TRIES     4

#define W_BUSY   (1u << EVTCHN_FIFO_BUSY)
#define W_LINKED (1u << EVTCHN_FIFO_LINKED)

/* NULL while the guest has not mapped that part of the array. */
static event_word_t *event_word(const struct domain *d, unsigned int port)
{
    const struct evtchn_fifo *f = d->evtchn->fifo;

    if (port / WORDS_PER_PAGE >= __atomic_load_n(&f->nr_pages, __ATOMIC_ACQUIRE))
        return NULL;
    return f->page[port / WORDS_PER_PAGE] + port % WORDS_PER_PAGE;
}

enum link_result { LINK_DONE, LINK_TAKEN, LINK_RACED };

/* Put `port` behind the port of this word. LINK_TAKEN: the guest took that one off the
 * queue already. LINK_RACED: the word changed under our hands; *w is what it is now. */
static enum link_result try_link(event_word_t *word, event_word_t *w, uint32_t port)
{
    event_word_t new;

    if (!(*w & W_LINKED))
        return LINK_TAKEN;
    new = (*w & ~(W_BUSY | (uint32_t)EVTCHN_FIFO_LINK_MASK)) | port;
    return __atomic_compare_exchange_n(word, w, new, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST)
               ? LINK_DONE
               : LINK_RACED;
}

/* True if the queue goes on at `port` now; false if it was empty. */
static bool link_behind(event_word_t *word, uint32_t port)
{
    event_word_t w = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    enum link_result result = try_link(word, &w, port);

    if (result != LINK_RACED)
        return result == LINK_DONE;
    /* An honest guest does not unmask a busy word, so this ends after a try or two. */
    w = __atomic_or_fetch(word, W_BUSY, __ATOMIC_SEQ_CST);
    for (int i = 0; i < LINK_TRIES && result == LINK_RACED; i++)
        result = try_link(word, &w, port);
    if (result != LINK_DONE)
        __atomic_and_fetch(word, ~W_BUSY, __ATOMIC_SEQ_CST);
    /* With a guest that keeps changing it: its event is lost, and its loss. */
    return result != LINK_TAKEN;
}

static struct evtchn_fifo_vcpu *queues_of(const struct domain *d, unsigned int vcpu)
{
    struct vcpu *v = domain_vcpu(d, vcpu);

    return v ? v->evtchn_fifo : NULL;
}

/* Put a pending, unmasked, unlinked port into its queue; fifo->lock is held. */
static void enqueue(struct domain *d, struct vcpu *v, struct evtchn *chn,
                    event_word_t *word)
{
    struct evtchn_fifo_vcpu *q = v->evtchn_fifo, *last = queues_of(d, chn->last_vcpu);
    unsigned int prio = chn->priority;
    event_word_t *tail = NULL;

    if (bit_test_and_set(word, EVTCHN_FIFO_LINKED))
        return;
    /* Not linked, so where it is the tail, the queue is empty: forget it there, else it
     * would be linked to itself, or join two queues. */
    if (last && last->tail[chn->last_priority] == chn->port)
        last->tail[chn->last_priority] = 0;
    chn->last_vcpu = v->id;
    chn->last_priority = prio;
    if (q->tail[prio])
        tail = event_word(d, q->tail[prio]);
    q->tail[prio] = chn->port;
    if (tail && link_behind(tail, chn->port))
        return;
    __atomic_store_n(&q->block->head[prio], chn->port, __ATOMIC_SEQ_CST);
    if (!bit_test_and_set(&q->block->ready, prio))
        evtchn_set_upcall(v);
}

static void join_queue(struct domain *d, struct vcpu *v, struct evtchn *chn,
                       event_word_t *word)
{
    struct evtchn_fifo_vcpu *q = v ? v->evtchn_fifo : NULL;

    if (!q || !q->block)
        return;
    spin_lock(&d->evtchn->fifo->lock);
    if (!bit_test(word, EVTCHN_FIFO_MASKED))
        enqueue(d, v, chn, word);
    spin_unlock(&d->evtchn->fifo->lock);
}

void evtchn_fifo_raise(struct domain *d, struct vcpu *v, struct evtchn *chn)
{
    event_word_t *word = event_word(d, chn->port);

    if (!word) {
        chn->pending = true;
        return;
    }
    bit_test_and_set(word, EVTCHN_FIFO_PENDING);
    if (!bit_test(word, EVTCHN_FIFO_MASKED) && !bit_test(word, EVTCHN_FIFO_LINKED))
        join_queue(d, v, chn, word);
}

void evtchn_fifo_clear(struct domain *d, struct evtchn *chn)
{
    event_word_t *word = event_word(d, chn->port);

    chn->pending = false;
    if (word)
        bit_test_and_clear(word, EVTCHN_FIFO_PENDING);
}

void evtchn_fifo_unmask(struct domain *d, struct vcpu *v, struct evtchn *chn)
{
    event_word_t *word = event_word(d, chn->port);

    if (!word)
        return;
    bit_test_and_clear(word, EVTCHN_FIFO_MASKED);
    if (bit_test(word, EVTCHN_FIFO_PENDING))
        join_queue(d, v, chn, word);
}

bool evtchn_fifo_pending(struct domain *d, unsigned int port)
{
    event_word_t *word = event_word(d, port);

    return word && bit_test(word, EVTCHN_FIFO_PENDING);
}

bool evtchn_fifo_busy(struct domain *d, unsigned int port)
{
    event_word_t *word = event_word(d, port);

    return word && bit_test(word, EVTCHN_FIFO_LINKED);
}

/* A page of the guest's RAM for our long use: referenced, writable. */
static int hold_page(struct domain *d, uint64_t gfn, mfn_t *mfn)
{
    enum p2m_type type;

    *mfn = p2m_get_frame(d, GFN(gfn), true, &type);
    if (!mfn_valid_number(*mfn))
        return -EINVAL;
    if (p2m_is_ram(type))
        return 0;
    frame_put(*mfn);
    return -EINVAL;
}

/* Events that were pending in the 2-level way go on in the new one; port by port, so that
 * a sender uses either the old or the new way, and in the first case before us. */
static void take_over_ports(struct domain *d)
{
    for (unsigned int port = 1; port < d->evtchn->nr_ports; port++) {
        struct evtchn *chn = evtchn_get(d, port);

        spin_lock(&chn->lock);
        chn->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
        chn->pending = chn->state != EVTCHN_FREE && evtchn_2l_pending(d, port);
        spin_unlock(&chn->lock);
    }
}

int evtchn_fifo_init_control(struct domain *d, uint64_t gfn, uint32_t offset,
                             uint32_t vcpu)
{
    struct evtchn_domain *e = d->evtchn;
    struct vcpu *v = domain_vcpu(d, vcpu);
    struct evtchn_fifo_vcpu *q;
    mfn_t mfn;
    int rc;

    if (!v)
        return -ENOENT;
    if (offset > PAGE_SIZE - sizeof(*q->block) || offset & 7)
        return -EINVAL;
    rc = hold_page(d, gfn, &mfn);
    if (rc)
        return rc;
    spin_lock(&e->lock);
    rc = -EINVAL;
    q = v->evtchn_fifo;
    if (domain_is_dying(d) || (q && q->block))
        goto fail;
    rc = -ENOMEM;
    if (!q) {
        q = zalloc(sizeof(*q));
        if (!q)
            goto fail;
        v->evtchn_fifo = q;
    }
    if (!e->fifo) {
        struct evtchn_fifo *fifo = zalloc(sizeof(*fifo));

        if (!fifo)
            goto fail;
        __atomic_store_n(&e->fifo, fifo, __ATOMIC_RELEASE);
        take_over_ports(d);
    }
    q->mfn = mfn;
    __atomic_store_n(&q->block, (void *)((char *)mfn_to_virt(mfn) + offset),
                     __ATOMIC_RELEASE);
    spin_unlock(&e->lock);
    return 0;
fail:
    spin_unlock(&e->lock);
    frame_put(mfn);
    return rc;
}

int evtchn_fifo_expand_array(struct domain *d, uint64_t gfn)
{
    struct evtchn_domain *e = d->evtchn;
    struct evtchn_fifo *f;
    unsigned int first;
    mfn_t mfn;
    int rc;

    if (!READ_ONCE(e->fifo))
        return -EOPNOTSUPP;
    rc = hold_page(d, gfn, &mfn);
    if (rc)
        return rc;
    spin_lock(&e->lock);
    f = e->fifo;
    rc = !f ? -EOPNOTSUPP : f->nr_pages >= EVTCHN_FIFO_PAGES ? -ENOSPC : 0;
    if (rc || domain_is_dying(d)) {
        spin_unlock(&e->lock);
        frame_put(mfn);
        return rc ? rc : -EINVAL;
    }
    first = f->nr_pages * WORDS_PER_PAGE;
    f->mfn[f->nr_pages] = mfn;
    f->page[f->nr_pages] = mfn_to_virt(mfn);
    __atomic_store_n(&f->nr_pages, f->nr_pages + 1, __ATOMIC_RELEASE);
    for (unsigned int port = first; port < first + WORDS_PER_PAGE; port++) {
        struct evtchn *chn = evtchn_get(d, port);

        if (!chn)
            break;
        spin_lock(&chn->lock);
        if (chn->pending) {
            chn->pending = false;
            evtchn_raise(d, chn);
        }
        spin_unlock(&chn->lock);
    }
    spin_unlock(&e->lock);
    return 0;
}

int evtchn_fifo_set_priority(struct domain *d, uint32_t port, uint32_t priority)
{
    struct evtchn *chn = evtchn_get(d, port);
    int rc = 0;

    if (!chn)
        return -EINVAL;
    if (!READ_ONCE(d->evtchn->fifo))
        return -ENOSYS;
    if (priority > EVTCHN_FIFO_PRIORITY_MIN)
        return -EINVAL;
    spin_lock(&chn->lock);
    chn->priority = priority; /* from the next event on */
    spin_unlock(&chn->lock);
    return rc;
}

void evtchn_fifo_destroy(struct domain *d)
{
    struct evtchn_domain *e = d->evtchn;
    struct evtchn_fifo *f = e->fifo;

    if (!f)
        return;
    __atomic_store_n(&e->fifo, NULL, __ATOMIC_SEQ_CST);
    /* Who still uses it holds the lock of a port. */
    for (unsigned int port = 0; port < e->nr_ports; port++) {
        struct evtchn *chn = evtchn_get(d, port);

        spin_lock(&chn->lock);
        chn->pending = false;
        spin_unlock(&chn->lock);
    }
    for_each_vcpu(d, v)
    {
        struct evtchn_fifo_vcpu *q = v->evtchn_fifo;

        v->evtchn_fifo = NULL;
        if (q && q->block)
            frame_put(q->mfn);
        zfree(q);
    }
    for (unsigned int i = 0; i < f->nr_pages; i++)
        frame_put(f->mfn[i]);
    zfree(f);
}
