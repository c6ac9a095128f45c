/* speeds.c - multiply-adds and bytes a second, of all threads at once.
 *
 * The best of many short runs counts: what others do on the machine, and the time in which
 * workers wake, only ever makes one slower. */
#include "cpu/speeds.h"

#include "base/cache.h"
#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

enum { LEAST_RUNS = 5 };
static const double WATCH = 0.1; /* seconds, at least, of either */

/* What `share` does in a second, in its own unit, of which *done is what a run has done. */
static double best_rate(cm_pool *pool, cm_pool_fn *share, void *context, const double *done)
{
    const double begin = cm_seconds();
    double best = 0.0;
    for (int run = 0; run < LEAST_RUNS || cm_seconds() - begin < WATCH; run++) {
        const double start = cm_seconds();
        cm_pool_run(pool, share, context);
        const double rate = *done / (cm_seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

typedef struct arithmetic {
    cm_multiply_adds *run;
    double flops;
} arithmetic;

static void compute_share(void *context, int worker, int workers)
{
    enum { TIMES = 1 << 18 }; /* about a millisecond: few are interrupted */
    arithmetic *a = context;
    float x[CM_MULTIPLY_ADDS_LANES] = {(float)worker};
    const int64_t done = a->run(TIMES, x);
    if (!worker)
        a->flops = 2.0 * (double)done * workers;
}

typedef struct copy {
    char *from, *to;
    size_t size;
    double bytes; /* read and written */
} copy;

static void copy_share(void *context, int worker, int workers)
{
    const copy *c = context;
    const size_t w = (size_t)worker, n = (size_t)workers;
    const size_t begin = c->size / n * w,
                 end = worker + 1 == workers ? c->size : begin + c->size / n;
    memcpy(c->to + begin, c->from + begin, end - begin);
}

/* The two sides together as large as the caches, in bounds. */
static cm_status measure_copy(cm_pool *pool, double *rate, cm_error *err)
{
    const size_t least = (size_t)64 << 20, most = (size_t)128 << 20, half = cm_cache_bytes() / 2;
    copy c = {.size = half < least ? least : half > most ? most : half};
    c.bytes = 2.0 * (double)c.size;
    c.from = cm_alloc(c.size);
    c.to = cm_alloc(c.size);
    cm_status s = CM_OK;
    if (c.from && c.to)
        *rate = best_rate(pool, copy_share, &c, &c.bytes);
    else
        s = cm_fail(err, CM_ERR_MEMORY, "speed of memory: out of memory (2 x %zu bytes to copy)",
                    c.size);
    cm_free(c.from);
    cm_free(c.to);
    return s;
}

cm_status cm_cpu_measure(int threads, cm_speeds *speeds, cm_error *err)
{
    arithmetic a = {.run = cm_cpu_multiply_adds(cm_cpu_isa())};
    cm_pool *pool = NULL;
    cm_status s = cm_pool_new(threads, &pool, err);
    if (s)
        return s;
    speeds->flops = best_rate(pool, compute_share, &a, &a.flops);
    s = measure_copy(pool, &speeds->bytes, err);
    cm_pool_free(pool);
    return s;
}
