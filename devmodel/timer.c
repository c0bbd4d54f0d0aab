/*
 * Guest-time timers in a binary heap, and deferred work.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "machine.h"

int64_t clock_now(const struct device *dev)
{
    return dev->machine->front->clock(dev->machine);
}

void vtimer_init(struct vtimer *t, struct device *dev, void (*expired)(void *opaque),
                 void *opaque)
{
    memset(t, 0, sizeof(*t));
    t->machine = dev->machine;
    t->expired = expired;
    t->opaque = opaque;
}

static void put(struct machine *m, unsigned i, struct vtimer *t)
{
    m->heap[i] = t;
    t->slot = i + 1;
}

/* Move the timer from position i to where it belongs. */
static void settle(struct machine *m, unsigned i)
{
    struct vtimer *t = m->heap[i];

    while (i && m->heap[(i - 1) / 2]->deadline > t->deadline) {
        put(m, i, m->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        unsigned child = 2 * i + 1;
        if (child >= m->heap_count)
            break;
        if (child + 1 < m->heap_count &&
            m->heap[child + 1]->deadline < m->heap[child]->deadline)
            child++;
        if (m->heap[child]->deadline >= t->deadline)
            break;
        put(m, i, m->heap[child]);
        i = child;
    }
    put(m, i, t);
}

void vtimer_set(struct vtimer *t, int64_t deadline_ns)
{
    struct machine *m = t->machine;

    t->deadline = deadline_ns;
    if (!t->slot) {
        if (m->heap_count == m->heap_room) {
            m->heap_room = m->heap_room ? m->heap_room * 2 : 32;
            m->heap = must_realloc(m->heap, m->heap_room * sizeof(*m->heap));
        }
        m->heap_count++;
        put(m, m->heap_count - 1, t);
    }
    settle(m, t->slot - 1);
}

void vtimer_cancel(struct vtimer *t)
{
    struct machine *m = t->machine;

    if (!t->slot)
        return;
    unsigned i = t->slot - 1;
    t->slot = 0;
    m->heap_count--;
    if (i != m->heap_count) {
        put(m, i, m->heap[m->heap_count]);
        settle(m, i);
    }
}

int64_t timers_deadline(const struct machine *m)
{
    return m->heap_count ? m->heap[0]->deadline : INT64_MAX;
}

void timers_run(struct machine *m, int64_t now)
{
    while (m->heap_count && m->heap[0]->deadline <= now) {
        struct vtimer *t = m->heap[0];
        vtimer_cancel(t);
        t->expired(t->opaque);
    }
}

static void no_work(uv_idle_t *idle)
{
    deferred_run_all(idle->data);
}

/* Before the loop sleeps: tell the front end when it must wake up. */
static void before_sleep(uv_prepare_t *prepare)
{
    struct machine *m = prepare->data;

    m->front->deadline(m, timers_deadline(m));
}

void timers_init(struct machine *m)
{
    m->deferred_last = &m->deferred_first;
    uv_idle_init(&m->loop, &m->deferred_idle);
    m->deferred_idle.data = m;
    uv_prepare_init(&m->loop, &m->prepare);
    m->prepare.data = m;
    uv_prepare_start(&m->prepare, before_sleep);
}

void timers_fini(struct machine *m)
{
    uv_close((uv_handle_t *)&m->deferred_idle, NULL);
    uv_close((uv_handle_t *)&m->prepare, NULL);
    free(m->heap);
    m->heap = NULL;
    m->heap_count = m->heap_room = 0;
}

void deferred_init(struct deferred *d, struct device *dev, void (*run)(void *opaque),
                   void *opaque)
{
    memset(d, 0, sizeof(*d));
    d->machine = dev->machine;
    d->run = run;
    d->opaque = opaque;
}

void deferred_queue(struct deferred *d)
{
    struct machine *m = d->machine;

    if (d->queued)
        return;
    d->queued = true;
    d->next = NULL;
    *m->deferred_last = d;
    m->deferred_last = &d->next;
    uv_idle_start(&m->deferred_idle, no_work);
}

void deferred_cancel(struct deferred *d)
{
    struct machine *m = d->machine;

    if (!d->queued)
        return;
    for (struct deferred **at = &m->deferred_first; *at; at = &(*at)->next) {
        if (*at == d) {
            *at = d->next;
            if (m->deferred_last == &d->next)
                m->deferred_last = at;
            break;
        }
    }
    d->queued = false;
}

/* Runs what is queued now; work queued meanwhile waits for the next round. */
void deferred_run_all(struct machine *m)
{
    unsigned count = 0;

    for (struct deferred *d = m->deferred_first; d; d = d->next)
        count++;
    while (count-- && m->deferred_first) {
        struct deferred *d = m->deferred_first;
        m->deferred_first = d->next;
        if (!m->deferred_first)
            m->deferred_last = &m->deferred_first;
        d->queued = false;
        d->run(d->opaque);
    }
    if (!m->deferred_first)
        uv_idle_stop(&m->deferred_idle);
}
