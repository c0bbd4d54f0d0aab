/* Timers: one binary heap for each CPU. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * heap[0] is the earliest; the children of i are 2i+1 and 2i+2; a timer knows its place,
 * so stopping needs no search. The heap's array is in pages that never move. Timers are
 * only ever set on the CPU that asks, so a CPU programs no local APIC but its own.
 *
 * Lock: timer_cpu.lock guards the heap, and of each timer in it expires, cpu, heap_pos.
 */
#include "cpu/time_init.h"
#include "cpu/apic.h"
#include "cpu/x86.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "mm/frame.h"

#define PER_PAGE (PAGE_SIZE / sizeof(struct timer *))
#define PAGES    64
#define SPARE    64 /* grow while so many places are left */

struct timer_cpu {
    struct spinlock lock;
    unsigned int count, capacity;
    struct timer *running; /* its callback is under way */
    ns_t armed_for;        /* what the APIC is set to; INT64_MAX: nothing */
    struct timer **pages[PAGES];
};

static struct timer **slot(struct timer_cpu *q, unsigned int i)
{
    return &q->pages[i / PER_PAGE][i % PER_PAGE];
}

static void place(struct timer_cpu *q, unsigned int i, struct timer *t)
{
    *slot(q, i) = t;
    t->heap_pos = i;
}

static void sift_up(struct timer_cpu *q, unsigned int i, struct timer *t)
{
    while (i > 0) {
        struct timer *parent = *slot(q, (i - 1) / 2);

        if (parent->expires <= t->expires)
            break;
        place(q, i, parent);
        i = (i - 1) / 2;
    }
    place(q, i, t);
}

static void sift_down(struct timer_cpu *q, unsigned int i, struct timer *t)
{
    for (;;) {
        unsigned int child = 2 * i + 1;

        if (child >= q->count)
            break;
        if (child + 1 < q->count &&
            (*slot(q, child + 1))->expires < (*slot(q, child))->expires)
            child++;
        if ((*slot(q, child))->expires >= t->expires)
            break;
        place(q, i, *slot(q, child));
        i = child;
    }
    place(q, i, t);
}

static int grow(struct timer_cpu *q)
{
    unsigned int page = q->capacity / PER_PAGE;

    if (page == PAGES)
        return -ENOMEM;
    q->pages[page] = alloc_pages(0);
    if (!q->pages[page])
        return -ENOMEM;
    q->capacity += PER_PAGE;
    return 0;
}

static void heap_insert(struct timer_cpu *q, struct timer *t)
{
    /* A timer belongs to something much larger than its place here, so memory does not
     * run out at this point first. */
    if (q->count + SPARE > q->capacity && grow(q) && q->count == q->capacity)
        panic("No memory for timers");
    sift_up(q, q->count++, t);
}

static void heap_remove(struct timer_cpu *q, struct timer *t)
{
    unsigned int i = t->heap_pos;
    struct timer *last = *slot(q, --q->count);

    WRITE_ONCE(t->cpu, -1);
    if (last == t)
        return;
    if (i > 0 && last->expires < (*slot(q, (i - 1) / 2))->expires)
        sift_up(q, i, last);
    else
        sift_down(q, i, last);
}

/* Set the local APIC for the earliest timer. On the CPU that q belongs to, locked. */
static void arm(struct timer_cpu *q)
{
    ns_t when = q->count ? (*slot(q, 0))->expires : INT64_MAX;

    if (when == q->armed_for)
        return;
    q->armed_for = when;
    if (when != INT64_MAX) /* else one that comes for nothing does no harm */
        apic_timer_arm(when);
}

/* The queue that t is in, locked; NULL if it is in none. */
static struct timer_cpu *lock_queue_of(struct timer *t)
{
    for (;;) {
        int cpu = READ_ONCE(t->cpu);
        struct timer_cpu *q;

        if (cpu < 0)
            return NULL;
        q = cpus[cpu]->timers;
        spin_lock(&q->lock);
        if (READ_ONCE(t->cpu) == cpu)
            return q;
        spin_unlock(&q->lock);
    }
}

void timer_init(struct timer *t, void (*fn)(void *opaque), void *opaque)
{
    t->fn = fn;
    t->opaque = opaque;
    t->cpu = -1;
}

void timer_stop(struct timer *t)
{
    struct timer_cpu *q = lock_queue_of(t);

    if (!q)
        return;
    heap_remove(q, t);
    spin_unlock(&q->lock);
}

void timer_set(struct timer *t, ns_t expires)
{
    struct timer_cpu *q = this_cpu()->timers;

    if (READ_ONCE(t->cpu) != (int)this_cpu()->id)
        timer_stop(t);
    spin_lock(&q->lock);
    if (t->cpu >= 0)
        heap_remove(q, t);
    t->expires = expires;
    WRITE_ONCE(t->cpu, (int)this_cpu()->id);
    heap_insert(q, t);
    arm(q);
    spin_unlock(&q->lock);
}

void timer_kill(struct timer *t)
{
    timer_stop(t);
    for (unsigned int i = 0; i < nr_cpus; i++) {
        while (i != this_cpu()->id &&
               __atomic_load_n(&cpus[i]->timers->running, __ATOMIC_ACQUIRE) == t)
            cpu_relax();
    }
    timer_stop(t); /* the callback may have set it again */
}

void timers_run(void)
{
    struct timer_cpu *q = this_cpu()->timers;
    ns_t now = now_ns();

    spin_lock(&q->lock);
    q->armed_for = INT64_MAX; /* it has fired */
    while (q->count && (*slot(q, 0))->expires <= now) {
        struct timer *t = *slot(q, 0);
        void (*fn)(void *) = t->fn;
        void *opaque = t->opaque;

        heap_remove(q, t);
        __atomic_store_n(&q->running, t, __ATOMIC_RELAXED);
        spin_unlock(&q->lock);
        fn(opaque);
        spin_lock(&q->lock);
        __atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
        now = now_ns();
    }
    arm(q);
    spin_unlock(&q->lock);
}

unsigned int timers_armed(unsigned int cpu)
{
    return cpus[cpu]->timers->count;
}

int timers_init_cpu(struct percpu *p)
{
    p->timers = zalloc(sizeof(*p->timers));
    if (!p->timers)
        return -ENOMEM;
    p->timers->armed_for = INT64_MAX;
    return grow(p->timers);
}
