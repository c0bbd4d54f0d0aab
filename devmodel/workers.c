/*
 * A few threads for file I/O.  They are started with the first job, touch nothing but the
 * job, and hand it back to the main loop; draining needs no turn of the loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "block.h"

#define THREADS     4
#define STACK_BYTES (128u << 10)

struct job_queue {
    struct job *first, **last;
};

struct workers {
    struct machine *machine;
    pthread_mutex_t lock; /* guards everything below but the last two */
    pthread_cond_t work, finished;
    struct job_queue todo, done;
    bool stop;
    unsigned waiting; /* threads without work */
    pthread_t thread[THREADS];
    unsigned threads;
    unsigned under_way; /* main loop only: submitted, done() not yet called */
    uv_async_t wake;
};

static void queue_init(struct job_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void queue_put(struct job_queue *q, struct job *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
}

static struct job *queue_get(struct job_queue *q)
{
    struct job *job = q->first;

    if (job) {
        q->first = job->next;
        if (!q->first)
            q->last = &q->first;
    }
    return job;
}

static void *worker(void *opaque)
{
    struct workers *w = opaque;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct job *job = queue_get(&w->todo);
        if (!job) {
            if (w->stop)
                break;
            w->waiting++;
            pthread_cond_wait(&w->work, &w->lock);
            w->waiting--;
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        job->work(job);
        pthread_mutex_lock(&w->lock);
        bool first = !w->done.first;
        queue_put(&w->done, job);
        pthread_cond_signal(&w->finished);
        if (first)
            uv_async_send(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void woken(uv_async_t *async)
{
    struct workers *w = async->data;

    workers_poll(w->machine, false);
}

static struct workers *get(struct machine *m)
{
    struct workers *w = m->workers;

    if (w)
        return w;
    w = must_alloc(sizeof(*w));
    w->machine = m;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->finished, NULL);
    queue_init(&w->todo);
    queue_init(&w->done);
    uv_async_init(&m->loop, &w->wake, woken);
    w->wake.data = w;
    m->workers = w;
    return w;
}

/* Signals are the main thread's business. */
static void add_thread(struct workers *w)
{
    pthread_attr_t attr;
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!pthread_create(&w->thread[w->threads], &attr, worker, w))
        w->threads++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void workers_submit(struct machine *m, struct job *job)
{
    struct workers *w = get(m);

    w->under_way++;
    pthread_mutex_lock(&w->lock);
    bool busy = !w->waiting;
    pthread_mutex_unlock(&w->lock);
    if (busy && w->threads < THREADS)
        add_thread(w);
    if (!w->threads) {
        job->work(job); /* the host gives us no thread: slow but right */
        w->under_way--;
        workers_finished(m, job);
        return;
    }
    pthread_mutex_lock(&w->lock);
    queue_put(&w->todo, job);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void workers_finished(struct machine *m, struct job *job)
{
    struct workers *w = get(m);

    w->under_way++;
    pthread_mutex_lock(&w->lock);
    bool first = !w->done.first;
    queue_put(&w->done, job);
    pthread_mutex_unlock(&w->lock);
    if (first)
        uv_async_send(&w->wake);
}

void workers_poll(struct machine *m, bool wait)
{
    struct workers *w = m->workers;

    if (!w || !w->under_way)
        return;
    pthread_mutex_lock(&w->lock);
    while (wait && !w->done.first)
        pthread_cond_wait(&w->finished, &w->lock);
    struct job_queue ready = w->done;
    queue_init(&w->done);
    pthread_mutex_unlock(&w->lock);
    while (ready.first) {
        struct job *job = ready.first;
        ready.first = job->next;
        w->under_way--;
        job->done(job);
    }
}

void workers_stop(struct machine *m)
{
    struct workers *w = m->workers;

    if (!w)
        return;
    while (w->under_way)
        workers_poll(m, true);
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->threads; i++)
        pthread_join(w->thread[i], NULL);
    uv_close((uv_handle_t *)&w->wake, NULL);
    uv_run(&m->loop, UV_RUN_NOWAIT);
    m->workers = NULL;
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->finished);
    free(w);
}
