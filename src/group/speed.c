/* speed.c - how long sums over processes take */
#include "base/clock.h"
#include "base/memory.h"
#include "group/group.h"

#include <stdlib.h>
#include <sys/resource.h>

enum { ROW = 8, RUNS = 3, MOST_RUNS = 200 };
static const double WATCH = 0.25; /* seconds, at least, for each kind of run */

static double cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median time of `row` sums begun at once, over their number; and the mean processor time.  All
 * begin together, and process 0 says when it is enough. */
static cm_status time_row(cm_group *g, float *x, float *room, size_t n, int row, double *seconds,
                          double *cpu, cm_error *err)
{
    double run[MOST_RUNS];
    int runs = -1, more = 1; /* the first is not counted */
    double begin = cm_seconds(), begin_cpu = cpu_seconds();
    for (;;) {
        const cm_status s = cm_group_broadcast(g, &more, sizeof more, err);
        if (s)
            return s;
        if (!more)
            break;
        const double start = cm_seconds();
        for (int i = 0; i < row; i++)
            cm_group_sum_begin(g, x + (size_t)i * n, room + (size_t)i * cm_group_room(g, n), n);
        cm_group_sum_end(g);
        if (runs >= 0)
            run[runs] = (cm_seconds() - start) / row;
        else
            begin = cm_seconds(), begin_cpu = cpu_seconds();
        runs++;
        more = runs < RUNS || (runs < MOST_RUNS && cm_seconds() - begin < WATCH);
    }
    qsort(run, (size_t)runs, sizeof *run, by_value);
    *seconds = run[runs / 2];
    *cpu = (cpu_seconds() - begin_cpu) / (runs * row);
    return CM_OK;
}

cm_status cm_group_time_sum(cm_group *g, size_t n, cm_group_speed *speed, cm_error *err)
{
    float *x = cm_alloc_array(n * ROW, sizeof *x),
          *room = cm_alloc_array(cm_group_room(g, n) * ROW + 1, sizeof *room);
    double cpu;
    cm_status s = x && room ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "sums: out of memory");
    s = cm_group_agree(g, s, err);
    if (!s)
        s = time_row(g, x, room, n, 1, &speed->alone, &cpu, err);
    if (!s)
        s = time_row(g, x, room, n, ROW, &speed->in_row, &speed->cpu, err);
    if (!s)
        s = cm_group_broadcast(g, speed, sizeof *speed, err);
    cm_free(x);
    cm_free(room);
    return s;
}
