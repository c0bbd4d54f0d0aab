/* The scheduler. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Weighted fair: each CPU has a queue of runnable vCPUs, and the one with the least
 * weighted run time (vruntime) goes next. Who wakes gets the queue's minimum less a small
 * bonus, so that a vCPU that sleeps much (Dom0's, serving a device model) runs at once,
 * but cannot save up time. A CPU with nothing to do takes from the others; a vCPU that
 * has to wait in a longer queue than another CPU's goes to that.
 *
 * A vCPU's queue fields are guarded by the lock of the queue of v->cpu, which changes
 * only under that lock. At most one queue lock is held, but for the trylock in steal().
 *
 * A domain with a cap has that much run time in each CAP_PERIOD_NS. When it is used up,
 * its vCPUs stay in their queues but are passed over until the period ends; what was used
 * beyond that is taken off the next period.
 *
 * Left out: gang scheduling, NUMA.
 */
#include "domain/sched.h"
#include "cpu/irq.h"
#include "cpu/mitigation/mitigation.h"
#include "cpu/percpu.h"
#include "cpu/smp.h"
#include "hvm/hvm.h"
#include "hypercall/pvclock.h"
#include "mm/paging.h"
#include "mm/scrub.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

#define SLICE_NS        (5 * NS_PER_MS)
#define WAKE_BONUS_NS   (2 * NS_PER_MS)
#define PREEMPT_GAIN_NS (NS_PER_MS / 4)
#define WEIGHT_DEFAULT  256
#define CAP_PERIOD_NS   (20 * NS_PER_MS)
#define ROTATE_NS       (50 * NS_PER_MS)

struct sched_cpu {
    struct spinlock lock;  /* guards all below and the scheduling fields of its vCPUs */
    struct list queue;     /* runnable, not running; by vruntime */
    unsigned int nr;       /* in the queue */
    uint64_t min_vruntime; /* never goes back */
    struct timer slice;
    unsigned int id;
    ns_t moved_at;              /* when a vCPU last came from or went to another CPU */
    const struct vcpu *arrived; /* the last that came; only compared */
};

static struct sched_cpu *queues[MAX_CPUS];
static uint64_t idle_mask; /* bit = CPU that runs its idle vCPU; atomic */

/* domain/switch.S: save the callee-saved registers and RSP of prev, load next's; returns,
 * on next's stack, the vCPU that ran before it. */
struct vcpu *context_switch(struct vcpu *prev, struct vcpu *next, uint64_t *prev_rsp,
                            uint64_t next_rsp);
void vcpu_first_run(void); /* switch.S: where a new stack starts */
void vcpu_thread(struct vcpu *prev);

static struct sched_cpu *lock_queue_of(struct vcpu *v)
{
    for (;;) {
        struct sched_cpu *q = queues[READ_ONCE(v->cpu)];

        spin_lock(&q->lock);
        if (q == queues[READ_ONCE(v->cpu)])
            return q;
        spin_unlock(&q->lock);
    }
}

static void runstate_change(struct vcpu *v, int state, ns_t now)
{
    if (now > v->runstate_since)
        v->runstate.time[v->runstate.state] += now - v->runstate_since;
    v->runstate.state = state;
    v->runstate.state_entry_time = now;
    v->runstate_since = now;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
    struct sched_cpu *q = lock_queue_of(v);
    ns_t now = now_ns();

    *out = v->runstate;
    if (now > v->runstate_since)
        out->time[out->state] += now - v->runstate_since;
    spin_unlock(&q->lock);
}

static bool eligible(const struct vcpu *v)
{
    return v->state == VCPU_RUNNABLE && v->pause_count == 0;
}

static bool is_idle(const struct vcpu *v)
{
    return v->domain == idle_domain;
}

/* Has its domain used up its time? One that dies runs to its end. */
static bool capped(const struct vcpu *v)
{
    return READ_ONCE(v->domain->cap_reached) && !domain_is_dying(v->domain);
}

static void enqueue(struct sched_cpu *q, struct vcpu *v)
{
    struct list *at = &q->queue;

    /* A walk of the few vCPUs that wait on one CPU; from the end, where equals go. */
    while (at->prev != &q->queue &&
           (int64_t)(list_entry(at->prev, struct vcpu, run_entry)->vruntime -
                     v->vruntime) > 0)
        at = at->prev;
    list_add_tail(&v->run_entry, at);
    q->nr++;
}

static void dequeue(struct sched_cpu *q, struct vcpu *v)
{
    if (list_empty(&v->run_entry))
        return;
    list_del(&v->run_entry);
    q->nr--;
}

/* Make `cpu` call schedule() soon. */
static void resched(unsigned int cpu)
{
    WRITE_ONCE(cpus[cpu]->need_resched, true);
    if (cpu != this_cpu()->id)
        smp_kick(cpu);
}

/*
 * Caps.
 */
static uint64_t cap_budget(const struct domain *d)
{
    return (uint64_t)CAP_PERIOD_NS * READ_ONCE(d->cap) / 100;
}

/* What the cap says has changed: its CPUs look again. */
static void cap_changed(struct domain *d, bool reached)
{
    WRITE_ONCE(d->cap_reached, reached);
    for_each_vcpu(d, v) resched(READ_ONCE(v->cpu));
}

static void cap_period_end(void *opaque)
{
    struct domain *d = opaque;
    uint64_t budget = cap_budget(d), used = READ_ONCE(d->cap_used);

    used -= min(used, budget);
    WRITE_ONCE(d->cap_used, used);
    WRITE_ONCE(d->cap_until, now_ns() + CAP_PERIOD_NS);
    if (budget && used >= budget)
        timer_set(&d->cap_timer, d->cap_until);
    else
        cap_changed(d, false);
}

/* Run time of a vCPU goes on its domain's account, if there is a cap. */
static void cap_charge(struct domain *d, uint64_t ran, ns_t now)
{
    if (likely(!READ_ONCE(d->cap)))
        return;
    if (now >= READ_ONCE(d->cap_until) && !READ_ONCE(d->cap_reached)) {
        WRITE_ONCE(d->cap_until, now + CAP_PERIOD_NS);
        WRITE_ONCE(d->cap_used, 0);
    }
    if (__atomic_add_fetch(&d->cap_used, ran, __ATOMIC_RELAXED) >= cap_budget(d) &&
        !__atomic_exchange_n(&d->cap_reached, true, __ATOMIC_RELAXED))
        timer_set(&d->cap_timer, d->cap_until);
}

void sched_set_cap(struct domain *d, unsigned int percent)
{
    WRITE_ONCE(d->cap, percent);
    cap_changed(d, percent && READ_ONCE(d->cap_reached));
}

void sched_init_domain(struct domain *d)
{
    timer_init(&d->cap_timer, cap_period_end, d);
}

void sched_destroy_domain(struct domain *d)
{
    timer_kill(&d->cap_timer);
}

/* How long `next` may run before schedule() looks again. */
static void set_slice(struct sched_cpu *q, const struct vcpu *next, ns_t now)
{
    const struct domain *d = next->domain;
    ns_t slice = q->nr ? SLICE_NS : INT64_MAX;

    if (is_idle(next))
        return;
    if (unlikely(READ_ONCE(d->cap))) {
        uint64_t used = READ_ONCE(d->cap_used), budget = cap_budget(d);

        slice = min(slice, (ns_t)(budget - min(used, budget)) + CAP_PERIOD_NS / 100);
    }
    if (slice != INT64_MAX)
        timer_set(&q->slice, now + slice);
}

/* The CPU with the shortest queue that `v` may use; `last` if no other one's is shorter.
 * A look at each, for it is asked only while none is idle and somebody has to wait. */
static unsigned int shortest_queue(const struct vcpu *v, unsigned int last)
{
    uint64_t may = v->hard_affinity & v->soft_affinity;

    for (may = may ?: v->hard_affinity; may; may &= may - 1) {
        unsigned int cpu = __builtin_ctzll(may);

        if (queues[cpu] && READ_ONCE(queues[cpu]->nr) < READ_ONCE(queues[last]->nr))
            last = cpu;
    }
    return last;
}

/* Where a waking vCPU goes: its last CPU if that is idle, else an idle one, else where
 * the fewest wait, by preference the last. */
static unsigned int choose_cpu(const struct vcpu *v)
{
    uint64_t idle = READ_ONCE(idle_mask) & v->hard_affinity;

    /* This CPU is about to be free: no other one has to be woken for it. */
    if (current->waits_for_woken && (v->hard_affinity >> this_cpu()->id & 1))
        return this_cpu()->id;
    if (idle >> v->cpu & 1)
        return v->cpu;
    if (idle & v->soft_affinity)
        idle &= v->soft_affinity;
    if (idle)
        return __builtin_ctzll(idle);
    if (v->hard_affinity >> v->cpu & 1)
        return shortest_queue(v, v->cpu);
    return shortest_queue(v, __builtin_ctzll(v->hard_affinity));
}

/* Put an eligible vCPU that does not run into the queue of `cpu`; q is its queue's lock,
 * released. */
static void make_ready_on(struct sched_cpu *q, struct vcpu *v, unsigned int cpu)
{
    uint64_t floor;
    struct vcpu *curr;
    bool preempt;

    if (cpu != q->id) {
        v->vruntime -= q->min_vruntime;
        v->cpu = cpu;
        q->moved_at = now_ns();
        spin_unlock(&q->lock);
        q = lock_queue_of(v);
        if (!eligible(v) || v->running || !list_empty(&v->run_entry)) {
            spin_unlock(&q->lock); /* somebody else was faster */
            return;
        }
        v->vruntime += q->min_vruntime;
        q->moved_at = now_ns();
        q->arrived = v;
    }
    floor = q->min_vruntime - WAKE_BONUS_NS;
    if ((int64_t)(v->vruntime - floor) < 0)
        v->vruntime = floor;
    runstate_change(v, RUNSTATE_runnable, now_ns());
    enqueue(q, v);
    curr = cpus[q->id]->curr;
    preempt = is_idle(curr) || (int64_t)(curr->vruntime + (now_ns() - curr->run_start) -
                                         v->vruntime) > PREEMPT_GAIN_NS;
    if (preempt || q->nr == 1)
        resched(q->id);
    spin_unlock(&q->lock);
}

/* The same, where it is best. */
static void make_ready(struct sched_cpu *q, struct vcpu *v)
{
    make_ready_on(q, v, choose_cpu(v));
}

void vcpu_wake(struct vcpu *v)
{
    struct sched_cpu *q = lock_queue_of(v);

    if (v->state == VCPU_RUNNABLE) {
        v->wakeup_pending = true;
        spin_unlock(&q->lock);
        return;
    }
    if (v->state != VCPU_BLOCKED) {
        spin_unlock(&q->lock);
        return;
    }
    v->state = VCPU_RUNNABLE;
    if (v->running || v->pause_count) /* on its way into schedule(), or kept out */
        spin_unlock(&q->lock);
    else
        make_ready(q, v);
}

void vcpu_block(void)
{
    struct vcpu *v = current;
    struct sched_cpu *q = lock_queue_of(v);

    if (v->wakeup_pending) {
        v->wakeup_pending = false;
        spin_unlock(&q->lock);
        return;
    }
    v->state = VCPU_BLOCKED;
    spin_unlock(&q->lock);
    schedule();
}

int vcpu_block_interruptible(void)
{
    if (domain_is_dying(current->domain))
        return -EINTR;
    vcpu_block();
    return domain_is_dying(current->domain) ? -EINTR : 0;
}

void vcpu_kick(struct vcpu *v)
{
    if (v == current)
        return;
    if (READ_ONCE(v->state) == VCPU_RUNNABLE) {
        struct percpu *cpu = cpus[READ_ONCE(v->cpu)];

        if (READ_ONCE(v->running) && READ_ONCE(cpu->in_guest))
            smp_kick(cpu->id);
        /* Not in guest mode: it looks at its events before it enters. */
    }
    /* A wake-up flag for one that is about to block, a wake-up for one that did. */
    vcpu_wake(v);
}

void vcpu_yield(void)
{
    struct vcpu *v = current;
    struct sched_cpu *q = lock_queue_of(v);

    /* Behind the first that waits. */
    if (q->nr) {
        uint64_t first = list_entry(q->queue.next, struct vcpu, run_entry)->vruntime;

        if ((int64_t)(first - v->vruntime) >= 0)
            v->vruntime = first + 1;
    }
    spin_unlock(&q->lock);
    schedule();
}

void vcpu_yield_to_waiting(void)
{
    if (READ_ONCE(queues[this_cpu()->id]->nr))
        vcpu_yield();
}

void vcpu_online(struct vcpu *v)
{
    struct sched_cpu *q = lock_queue_of(v);

    if (v->state != VCPU_OFFLINE) {
        spin_unlock(&q->lock);
        return;
    }
    v->state = VCPU_RUNNABLE;
    v->wakeup_pending = false;
    if (v->running || v->pause_count)
        spin_unlock(&q->lock);
    else
        make_ready(q, v);
}

void vcpu_offline(struct vcpu *v)
{
    struct sched_cpu *q = lock_queue_of(v);

    v->state = VCPU_OFFLINE;
    dequeue(q, v);
    if (v->running)
        resched(v->cpu);
    else
        runstate_change(v, RUNSTATE_offline, now_ns());
    spin_unlock(&q->lock);
}

void vcpu_pause_nosync(struct vcpu *v)
{
    struct sched_cpu *q = lock_queue_of(v);

    v->pause_count++;
    dequeue(q, v);
    if (v->running)
        resched(v->cpu);
    spin_unlock(&q->lock);
}

void vcpu_pause(struct vcpu *v)
{
    vcpu_pause_nosync(v);
    while (READ_ONCE(v->running) && v != current)
        __builtin_ia32_pause();
}

void vcpu_unpause(struct vcpu *v)
{
    struct sched_cpu *q = lock_queue_of(v);

    if (v->pause_count > 0)
        v->pause_count--;
    if (eligible(v) && !v->running && list_empty(&v->run_entry))
        make_ready(q, v);
    else
        spin_unlock(&q->lock);
}

int vcpu_set_affinity(struct vcpu *v, uint64_t hard, uint64_t soft)
{
    uint64_t online = nr_cpus >= 64 ? ~0ull : BIT(nr_cpus) - 1;
    struct sched_cpu *q;

    if (!(hard & online))
        return -EINVAL;
    q = lock_queue_of(v);
    v->hard_affinity = hard & online;
    v->soft_affinity = soft ? soft : ~0ull;
    if (v->hard_affinity >> v->cpu & 1) {
        spin_unlock(&q->lock);
        return 0;
    }
    if (v->running) { /* schedule() moves it */
        resched(v->cpu);
        spin_unlock(&q->lock);
        return 0;
    }
    if (!list_empty(&v->run_entry)) {
        dequeue(q, v);
        make_ready(q, v);
        return 0;
    }
    spin_unlock(&q->lock); /* make_ready() places it when it wakes */
    return 0;
}

/* The first in a queue that may run on `cpu`; its queue's lock is held. */
static struct vcpu *first_for(struct sched_cpu *q, unsigned int cpu)
{
    list_for_each(entry, &q->queue)
    {
        struct vcpu *v = list_entry(entry, struct vcpu, run_entry);

        if (!v->running && (v->hard_affinity >> cpu & 1) && !capped(v))
            return v;
    }
    return NULL;
}

/* This CPU has nothing to do: take from another. Walks the CPUs, but only when idle. */
static struct vcpu *steal(struct sched_cpu *mine)
{
    for (unsigned int i = 1; i < nr_cpus; i++) {
        struct sched_cpu *q = queues[(mine->id + i) % nr_cpus];
        struct vcpu *v;

        if (!q || !READ_ONCE(q->nr) || !spin_trylock(&q->lock))
            continue;
        v = first_for(q, mine->id);
        if (v) {
            dequeue(q, v);
            v->vruntime += mine->min_vruntime - q->min_vruntime;
            v->cpu = mine->id;
        }
        spin_unlock(&q->lock);
        if (v)
            return v;
    }
    return NULL;
}

/* Weighted run time since run_start goes to the account. */
static void account(struct sched_cpu *q, struct vcpu *v, ns_t now)
{
    uint64_t ran = now > v->run_start ? now - v->run_start : 0;

    v->run_start = now;
    if (is_idle(v)) {
        cpus[q->id]->idle_time += ran;
        return;
    }
    v->vruntime += ran * WEIGHT_DEFAULT / (v->domain->weight ?: WEIGHT_DEFAULT);
    cap_charge(v->domain, ran, now);
}

static void update_min(struct sched_cpu *q, const struct vcpu *running)
{
    uint64_t min_v = running->vruntime;

    if (is_idle(running))
        return;
    if (q->nr) {
        uint64_t first = list_entry(q->queue.next, struct vcpu, run_entry)->vruntime;

        if ((int64_t)(first - min_v) < 0)
            min_v = first;
    }
    if ((int64_t)(min_v - q->min_vruntime) > 0)
        q->min_vruntime = min_v;
}

static void fpu_switch(struct percpu *cpu, struct vcpu *prev, struct vcpu *next)
{
    if (prev->hvm)
        hvm_fpu_save(prev);
    if (next->hvm && (cpu->fpu_owner != next || next->hvm->fpu_cpu != cpu->id)) {
        hvm_fpu_restore(next);
        cpu->fpu_owner = next;
        next->hvm->fpu_cpu = cpu->id;
    }
}

/* Where one that waits in q should rather be. A queue that is shorter by two is better at
 * once. One that is shorter by one is so now and then, for each vCPU in turn: three that
 * never sleep then get equal parts of two CPUs. */
static unsigned int better_cpu(const struct sched_cpu *q, const struct vcpu *v)
{
    unsigned int to = shortest_queue(v, q->id);
    unsigned int nr = READ_ONCE(queues[to]->nr);

    if (q->nr >= nr + 2)
        return to;
    if (q->nr == nr + 1 && v != q->arrived && now_ns() - q->moved_at > ROTATE_NS)
        return to;
    return q->id;
}

/* On the new stack: the old one is free to run elsewhere from here. */
static void finish_switch(struct vcpu *prev)
{
    struct sched_cpu *q;

    __atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
    if (is_idle(prev))
        return;
    /* A wake-up that saw it running left it to us; and affinity may send it away. */
    q = lock_queue_of(prev);
    if (eligible(prev) && !prev->running &&
        (list_empty(&prev->run_entry) || !(prev->hard_affinity >> q->id & 1))) {
        dequeue(q, prev);
        make_ready(q, prev);
        return;
    }
    /* It waits here while another CPU idles: let that one take it. */
    if (!list_empty(&prev->run_entry)) {
        uint64_t idle = READ_ONCE(idle_mask) & prev->hard_affinity;
        unsigned int to = idle ? q->id : better_cpu(q, prev);

        if (idle)
            resched(__builtin_ctzll(idle));
        if (to != q->id) {
            dequeue(q, prev);
            make_ready_on(q, prev, to);
            return;
        }
    }
    spin_unlock(&q->lock);
}

static void switch_in(struct vcpu *v)
{
    if (!v->hvm)
        return;
    mitigation_switch_to(v);
    hvm_ops->ctxt_switch_to(v);
    pvclock_update(v);
    runstate_update(v);
}

void schedule(void)
{
    struct percpu *cpu = this_cpu();
    struct sched_cpu *q = cpu->sched;
    struct vcpu *prev = cpu->curr, *next;
    ns_t now = now_ns();

    spin_lock(&q->lock);
    cpu->need_resched = false;
    account(q, prev, now);
    if (!is_idle(prev) && eligible(prev) && list_empty(&prev->run_entry) &&
        (prev->hard_affinity >> cpu->id & 1))
        enqueue(q, prev);
    next = NULL;
    if (q->nr) {
        list_for_each(entry, &q->queue)
        {
            struct vcpu *v = list_entry(entry, struct vcpu, run_entry);

            /* One that runs is either us or is just leaving this CPU's stack. */
            if ((v == prev || !v->running) && !capped(v)) {
                next = v;
                break;
            }
        }
    }
    if (next) {
        dequeue(q, next);
    } else {
        next = steal(q);
        if (!next)
            next = cpu->idle;
    }
    update_min(q, next);
    if (is_idle(next))
        __atomic_or_fetch(&idle_mask, BIT(cpu->id), __ATOMIC_SEQ_CST);
    else
        __atomic_and_fetch(&idle_mask, ~BIT(cpu->id), __ATOMIC_SEQ_CST);
    if (next == prev) {
        set_slice(q, next, now);
        spin_unlock(&q->lock);
        return;
    }
    if (!is_idle(prev))
        runstate_change(prev,
                        prev->state == VCPU_BLOCKED   ? RUNSTATE_blocked
                        : prev->state == VCPU_OFFLINE ? RUNSTATE_offline
                        : prev->pause_count           ? RUNSTATE_offline
                                                      : RUNSTATE_runnable,
                        now);
    runstate_change(next, RUNSTATE_running, now);
    next->running = true;
    next->run_start = now;
    cpu->curr = next;
    set_slice(q, next, now);
    spin_unlock(&q->lock);

    if (prev->hvm) {
        runstate_update(prev);
        hvm_ops->ctxt_switch_from(prev);
    }
    fpu_switch(cpu, prev, next);
    switch_in(next);
    prev = context_switch(prev, next, &prev->saved_rsp, next->saved_rsp);
    finish_switch(prev);
}

/* First code of a new vCPU, on its own stack; `prev` is who ran before. */
void vcpu_thread(struct vcpu *prev)
{
    finish_switch(prev);
    hvm_vcpu_loop(current);
}

static void slice_end(void *opaque)
{
    struct sched_cpu *q = opaque;

    WRITE_ONCE(cpus[q->id]->need_resched, true);
}

__noreturn void idle_loop(void)
{
    for (;;) {
        schedule();
        if (scrub_free_memory())
            continue;
        /* Interrupts are off: what comes after this look ends the HLT. */
        if (!READ_ONCE(this_cpu()->need_resched))
            __asm__ volatile("sti; hlt; cli" ::: "memory");
        else
            irq_window();
    }
}

int sched_init_vcpu(struct vcpu *v)
{
    uint64_t *sp;

    list_init(&v->run_entry);
    list_init(&v->poll_entry);
    v->poll_evtchn = -1;
    v->hard_affinity = nr_cpus >= 64 ? ~0ull : BIT(nr_cpus) - 1;
    v->soft_affinity = ~0ull;
    v->cpu = v->id % nr_cpus;
    v->state = VCPU_OFFLINE;
    v->runstate.state = RUNSTATE_offline;
    v->runstate_since = now_ns();
    v->info_mfn = INVALID_MFN;
    v->stack = stack_alloc(VCPU_STACK_ORDER);
    if (!v->stack)
        return -ENOMEM;
    /* As context_switch() leaves a stack: six callee-saved registers, return address. */
    sp = (uint64_t *)((char *)v->stack + (PAGE_SIZE << VCPU_STACK_ORDER));
    *--sp = (uint64_t)vcpu_first_run;
    for (int i = 0; i < 6; i++)
        *--sp = 0;
    v->saved_rsp = (uint64_t)sp;
    return 0;
}

void sched_destroy_vcpu(struct vcpu *v)
{
    stack_free(v->stack, VCPU_STACK_ORDER);
    v->stack = NULL;
}

void sched_init(void)
{
    static struct domain idle;

    idle.id = DOMID_IDLE;
    idle.state = DOMAIN_ALIVE;
    idle.nr_vcpus = nr_cpus;
    idle.vcpus = zalloc(nr_cpus * sizeof(idle.vcpus[0]));
    idle.weight = WEIGHT_DEFAULT;
    list_init(&idle.all_entry);
    idle_domain = &idle;
    for (unsigned int i = 0; i < nr_cpus; i++)
        sched_init_cpu(i);
}

/* The code that calls this for its CPU becomes that CPU's idle vCPU, with the stack it
 * has. */
void sched_init_cpu(unsigned int cpu)
{
    struct sched_cpu *q = zalloc(sizeof(*q));
    struct vcpu *v = zalloc(sizeof(*v));

    if (!q || !v)
        panic("No memory for the run queue of CPU %u", cpu);
    q->id = cpu;
    list_init(&q->queue);
    timer_init(&q->slice, slice_end, q);
    v->id = cpu;
    v->domain = idle_domain;
    v->cpu = cpu;
    v->state = VCPU_RUNNABLE;
    v->running = true;
    v->hard_affinity = BIT(cpu);
    v->info_mfn = INVALID_MFN;
    v->poll_evtchn = -1;
    list_init(&v->run_entry);
    list_init(&v->poll_entry);
    v->runstate.state = RUNSTATE_running;
    idle_domain->vcpus[cpu] = v;
    cpus[cpu]->idle = v;
    cpus[cpu]->sched = q;
    queues[cpu] = q;
    __atomic_or_fetch(&idle_mask, BIT(cpu), __ATOMIC_SEQ_CST);
    WRITE_ONCE(cpus[cpu]->curr, v);
}
