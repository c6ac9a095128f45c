/* speeds.c - multiply-adds and bytes a second, of all threads at once.
 *
 * The best of many short runs counts: what others do on the machine only ever makes one slower.
 * Workers meet right before a run: one that was just woken may be on the core of another. */
#include "cpu/speeds.h"

#include "base/cache.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/threads.h"

#include <string.h>

enum { LEAST_RUNS = 5 };
static const double WATCH = 0.1; /* seconds, at least, of runs of a kind */

typedef struct trials {
    cm_pool *pool;
    /* A worker's share of a run; what all together do in it. */
    double (*share)(void *context, int run, int worker, int workers);
    void *context;
    double begin, best; /* seconds; a second's work */
    int runs, over;
} trials;

static void run_trials(void *context, int worker, int workers)
{
    trials *t = context;
    for (;;) {
        if (!worker)
            t->over = t->runs >= LEAST_RUNS && cm_seconds() - t->begin >= WATCH;
        cm_pool_barrier(t->pool);
        if (t->over)
            return;
        const double start = cm_seconds(), done = t->share(t->context, t->runs, worker, workers);
        cm_pool_barrier(t->pool);
        const double rate = done / (cm_seconds() - start);
        if (!worker) {
            t->best = rate > t->best ? rate : t->best;
            t->runs++;
        }
    }
}

static double best_rate(cm_pool *pool, double (*share)(void *, int, int, int), void *context)
{
    trials t = {.pool = pool, .share = share, .context = context, .begin = cm_seconds()};
    cm_pool_run(pool, run_trials, &t);
    return t.best;
}

static double compute_share(void *context, int run, int worker, int workers)
{
    enum { TIMES = 1 << 18 }; /* about a millisecond: few are interrupted */
    cm_multiply_adds *const *kernel = context;
    float x[CM_MULTIPLY_ADDS_LANES] = {(float)worker};
    (void)run;
    return 2.0 * (double)(*kernel)(TIMES, x) * workers;
}

typedef struct copy {
    char *from, *to;
    size_t size;
} copy;

/* A piece a run, in turn: the caches have lost it since, and the run is short.  Reading and writing
 * count. */
static double copy_share(void *context, int run, int worker, int workers)
{
    enum { PIECES = 16 };
    const copy *c = context;
    const size_t piece = c->size / PIECES, first = (size_t)(run % PIECES) * piece,
                 each = piece / (size_t)workers, begin = first + each * (size_t)worker,
                 end = worker + 1 == workers ? first + piece : begin + each;
    memcpy(c->to + begin, c->from + begin, end - begin);
    return 2.0 * (double)piece;
}

/* The two sides together as large as the caches, in bounds. */
static cm_status measure_copy(cm_pool *pool, double *rate, cm_error *err)
{
    const size_t least = (size_t)64 << 20, most = (size_t)128 << 20, half = cm_cache_bytes() / 2;
    copy c = {.size = half < least ? least : half > most ? most : half};
    c.from = cm_alloc(c.size);
    c.to = cm_alloc(c.size);
    cm_status s = CM_OK;
    if (c.from && c.to)
        *rate = best_rate(pool, copy_share, &c);
    else
        s = cm_fail(err, CM_ERR_MEMORY, "speed of memory: out of memory (2 x %zu bytes to copy)",
                    c.size);
    cm_free(c.from);
    cm_free(c.to);
    return s;
}

cm_status cm_cpu_measure(int threads, cm_speeds *speeds, cm_error *err)
{
    cm_multiply_adds *run = cm_cpu_multiply_adds(cm_cpu_isa());
    cm_pool *pool = NULL;
    const int cores = cm_threads_available(); /* more threads take turns, each at its best alone */
    cm_status s = cm_pool_new(threads < cores ? threads : cores, &pool, err);
    if (s)
        return s;
    speeds->flops = best_rate(pool, compute_share, &run);
    s = measure_copy(pool, &speeds->bytes, err);
    cm_pool_free(pool);
    return s;
}
