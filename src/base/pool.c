/* pool.c */
#include "base/pool.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Looks before a waiting thread sleeps, of some 20 to 50 nanoseconds: few where it slept for
 * long, as others wanted the core, more where it had hardly slept when it was woken
 * (docs/speed.md). */
enum { FEWEST = 256, MOST = 8192, LINE = 64 };
static const double HARDLY = 2e-4; /* seconds */

typedef struct worker {
    cm_pool *pool;
    int index;
    pthread_t thread;
} worker;

struct cm_pool {
    /* Words that are waited for, each on a line of its own. */
    _Alignas(LINE) atomic_uint round; /* of work, begun so far */
    _Alignas(LINE) atomic_uint phase; /* barriers passed */
    _Alignas(LINE) atomic_uint arrived;
    _Alignas(LINE) atomic_uint asleep;
    atomic_uint looks;    /* at barriers */
    pthread_mutex_t lock; /* of those who sleep and wake */
    pthread_cond_t changed;
    pid_t process; /* in which the threads live */
    int size;      /* workers that live, the caller too */
    int wanted;
    int stopping;
    cm_pool_fn *f;
    void *context;
    worker worker[];
};

static void look_again(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Until *word is no longer `old`; whether it slept. */
static int wait_for(cm_pool *p, atomic_uint *word, unsigned old, unsigned looks)
{
    for (unsigned i = 0; i < looks; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old)
            return 0;
        look_again();
    }
    /* Either advance() sees that somebody sleeps, or the sleeper sees the new word. */
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->asleep, 1);
    while (atomic_load(word) == old)
        pthread_cond_wait(&p->changed, &p->lock);
    atomic_fetch_sub(&p->asleep, 1);
    pthread_mutex_unlock(&p->lock);
    return 1;
}

/* The next barrier, and how long to look for it next time. */
static void wait_for_phase(cm_pool *p, unsigned old)
{
    const unsigned looks = atomic_load_explicit(&p->looks, memory_order_relaxed);
    const double start = cm_seconds();
    if (!wait_for(p, &p->phase, old, looks))
        return;
    const int hardly = cm_seconds() - start < HARDLY;
    const unsigned next = hardly ? 2 * looks : looks / 2;
    if (next >= FEWEST && next <= MOST)
        atomic_store_explicit(&p->looks, next, memory_order_relaxed);
}

static void advance(cm_pool *p, atomic_uint *word)
{
    atomic_fetch_add(word, 1);
    if (!atomic_load(&p->asleep))
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void cm_pool_barrier(cm_pool *p)
{
    const unsigned phase = atomic_load_explicit(&p->phase, memory_order_relaxed);
    if (p->size == 1)
        return;
    if (atomic_fetch_add(&p->arrived, 1) + 1 < (unsigned)p->size) {
        wait_for_phase(p, phase);
        return;
    }
    atomic_store_explicit(&p->arrived, 0, memory_order_relaxed); /* before the others go on */
    advance(p, &p->phase);
}

static void *work(void *argument)
{
    worker *w = argument;
    cm_pool *p = w->pool;
    for (unsigned round = 0;; round++) {
        wait_for(p, &p->round, round, FEWEST);
        if (p->stopping)
            return NULL;
        p->f(p->context, w->index, p->size);
        cm_pool_barrier(p);
    }
}

/* The workers 1 to wanted - 1, as many as can be had. */
static void start(cm_pool *p)
{
    pthread_attr_t attr;
    sigset_t all, saved;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    atomic_init(&p->round, 0);
    atomic_init(&p->phase, 0);
    atomic_init(&p->arrived, 0);
    atomic_init(&p->asleep, 0);
    atomic_init(&p->looks, 2 * FEWEST);
    p->process = getpid();
    pthread_attr_init(&attr);
    cm_threads_spread(&attr);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    for (p->size = 1; p->size < p->wanted; p->size++) {
        worker *w = &p->worker[p->size];
        *w = (worker){.pool = p, .index = p->size};
        if (pthread_create(&w->thread, &attr, work, w))
            break;
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    pthread_attr_destroy(&attr);
}

cm_status cm_pool_new(int threads, cm_pool **pool, cm_error *err)
{
    if (threads < 1 || threads > CM_POOL_MOST)
        return cm_fail(err, CM_ERR_ARGUMENT, "threads: expected 1 to %d, found %d", CM_POOL_MOST,
                       threads);
    cm_pool *p = cm_alloc(sizeof *p + (size_t)threads * sizeof *p->worker);
    if (!p)
        return cm_fail(err, CM_ERR_MEMORY, "threads: out of memory");
    p->wanted = threads;
    start(p);
    if (p->size < threads) {
        const int found = p->size;
        cm_pool_free(p);
        return cm_fail(err, CM_ERR_MEMORY, "threads: only %d of %d could be started", found,
                       threads);
    }
    *pool = p;
    return CM_OK;
}

void cm_pool_free(cm_pool *p)
{
    if (!p)
        return;
    if (p->process == getpid()) { /* else the threads are another process's */
        p->stopping = 1;
        advance(p, &p->round);
        for (int i = 1; i < p->size; i++)
            pthread_join(p->worker[i].thread, NULL);
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
    }
    cm_free(p);
}

void cm_pool_run(cm_pool *p, cm_pool_fn *f, void *context)
{
    if (p->process != getpid())
        start(p);
    p->f = f;
    p->context = context;
    if (p->size > 1)
        advance(p, &p->round);
    f(context, 0, p->size);
    cm_pool_barrier(p);
}
