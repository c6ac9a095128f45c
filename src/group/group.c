/* group.c - a group of processes, over an engine that is loaded */
#include "group/group.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/threads.h"
#include "group/engine.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As installed, and as built; $ORIGIN is the folder of this library, or of the program that has it
 * inside. */
static const char *const modules[] = {"$ORIGIN/cm/cm-mpi.so", "$ORIGIN/cm-mpi.so"};

struct cm_group {
    void *library;
    cm_engine engine;
    cm_span *span;    /* [size] */
    const float **in; /* [size] for sums */
    cm_status agreed; /* the last error that all have */
    int beside;
    cm_group_sum sum[CM_GROUP_SUMS]; /* begun since the last sum_end, or it waited for */
    int begun, ended;
    cm_group_times times;
};

_Static_assert((int)CM_GROUP_SUMS == CM_ENGINE_SUMS, "as many as engines hold");
_Static_assert((int)CM_GROUP_BLOCK == CM_ENGINE_ALIGN, "blocks of slices");

/* ---- the engine ---- */

static void add(void *context, const float *parts, float *sum, size_t n)
{
    const cm_group *g = context;
    for (int i = 0; i < g->engine.size; i++)
        g->in[i] = parts + (size_t)i * n;
    cm_order_sum(g->span, g->engine.size, g->in, sum, n);
}

/* Its own libraries look for the symbols of the first. */
static cm_status load(cm_group *g, cm_error *err)
{
    cm_engine_join_fn *join = NULL;
    for (size_t i = 0; i < sizeof modules / sizeof *modules && !g->library; i++)
        g->library = dlopen(modules[i], RTLD_NOW | RTLD_GLOBAL);
    if (!g->library)
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "cm-mpi.so: expected what runs one training on several processes (Debian's "
                       "package cm-mpi, or -Dmpi=enabled when built), found: %s",
                       dlerror());
    void *const at = dlsym(g->library, CM_ENGINE_JOIN);
    memcpy(&join, &at, sizeof join);
    const char *why = join ? join(&g->engine, add, g) : "no " CM_ENGINE_JOIN " in it";
    return why ? cm_fail(err, CM_ERR_UNSUPPORTED, "cm-mpi.so: %s", why) : CM_OK;
}

/* The library stays: its own at-exit handlers are in it. */
static void release(cm_group *g)
{
    cm_free(g->span);
    cm_free(g->in);
    cm_free(g);
}

/* *all [size][bytes] of mine, to be freed */
static cm_status gather(cm_group *g, const void *mine, size_t bytes, void **all, cm_error *err)
{
    *all = cm_alloc_array((size_t)g->engine.size, bytes);
    if (!*all)
        return cm_fail(err, CM_ERR_MEMORY, "processes: out of memory");
    g->engine.gather(g->engine.state, mine, *all, bytes, 1);
    return CM_OK;
}

typedef struct place {
    char host[64];
    uint64_t mask;
} place;

static cm_status count_beside(cm_group *g, cm_error *err)
{
    place mine = {.mask = cm_threads_mask()};
    void *all = NULL;
    (void)gethostname(mine.host, sizeof mine.host - 1);
    const cm_status s = gather(g, &mine, sizeof mine, &all, err);
    const place *p = all;
    for (int i = 0; p && i < g->engine.size; i++)
        g->beside += p[i].mask == mine.mask && !strcmp(p[i].host, mine.host);
    cm_free(all);
    return s;
}

cm_status cm_group_join(cm_group **group, cm_error *err)
{
    cm_group *g = cm_alloc(sizeof *g);
    if (!g)
        return cm_fail(err, CM_ERR_MEMORY, "processes: out of memory");
    cm_status s = load(g, err);
    if (s) {
        release(g);
        return s;
    }
    const size_t n = (size_t)g->engine.size;
    g->span = cm_alloc_array(n, sizeof *g->span);
    g->in = cm_alloc_array(n, sizeof *g->in);
    s = g->span && g->in ? count_beside(g, err)
                         : cm_fail(err, CM_ERR_MEMORY, "processes: out of memory");
    if (s)
        cm_group_leave(g, s);
    else
        *group = g;
    return s;
}

void cm_group_leave(cm_group *g, cm_status status)
{
    if (!g)
        return;
    if (status != g->agreed)
        g->engine.abort(g->engine.state, 1);
    g->engine.leave(g->engine.state);
    release(g);
}

int cm_group_rank(const cm_group *g)
{
    return g ? g->engine.rank : 0;
}

int cm_group_size(const cm_group *g)
{
    return g ? g->engine.size : 1;
}

int cm_group_threads(const cm_group *g, int64_t asked)
{
    const int all = cm_threads_available(), beside = g ? g->beside : 1;
    return asked ? (int)asked : all < beside ? 1 : all / beside;
}

/* ---- sums ---- */

cm_status cm_group_share(cm_group *g, int parts, cm_span *own, cm_error *err)
{
    const int size = cm_group_size(g);
    *own = (cm_span){0, parts};
    if (parts < size)
        return cm_fail(
            err, CM_ERR_ARGUMENT,
            "accumulate: expected at least a part of the batch for each of %d processes, "
            "found %d",
            size, parts);
    if (g) {
        cm_order_split(parts, size, g->span);
        *own = g->span[g->engine.rank];
    }
    return CM_OK;
}

static void begin(cm_group *g, int what, float *x, float *room, size_t n)
{
    if (cm_group_size(g) == 1)
        return;
    if (g->ended)
        g->begun = g->ended = 0;
    g->sum[g->begun++] = (cm_group_sum){n, cm_seconds(), 0.0};
    g->engine.sum_begin(g->engine.state, what, x, room, n);
}

void cm_group_sum_begin(cm_group *g, float *x, float *room, size_t n)
{
    begin(g, CM_ENGINE_ADD | CM_ENGINE_SPREAD, x, room, n);
}

void cm_group_add_begin(cm_group *g, float *x, float *room, size_t n)
{
    begin(g, CM_ENGINE_ADD, x, room, n);
}

void cm_group_spread_begin(cm_group *g, float *x, size_t n)
{
    begin(g, CM_ENGINE_SPREAD, x, NULL, n);
}

/* Sums are done in their order; time in which two are under way counts once. */
static void count_sums(cm_group *g, const double done[CM_GROUP_SUMS])
{
    double until = 0.0;
    for (cm_group_sum *s = g->sum; s < g->sum + g->begun; s++) {
        s->done = done[s - g->sum];
        g->times.sums += s->done - (s->begun > until ? s->begun : until);
        until = s->done;
    }
}

void cm_group_sum_end(cm_group *g)
{
    if (cm_group_size(g) == 1 || g->ended)
        return;
    double done[CM_GROUP_SUMS];
    const double start = cm_seconds();
    g->engine.sum_end(g->engine.state, done);
    g->times.waits += cm_seconds() - start;
    count_sums(g, done);
    g->ended = 1;
}

cm_group_times cm_group_get_times(const cm_group *g)
{
    return g ? g->times : (cm_group_times){0};
}

int cm_group_get_sums(const cm_group *g, cm_group_sum sum[CM_GROUP_SUMS])
{
    if (g)
        memcpy(sum, g->sum, sizeof g->sum);
    return g ? g->begun : 0;
}

size_t cm_group_room(const cm_group *g, size_t n)
{
    return cm_group_size(g) > 1 ? cm_engine_room(n, g->engine.size, g->engine.rank) : 0;
}

void cm_group_slice(const cm_group *g, size_t n, size_t *begin, size_t *end)
{
    *begin = cm_engine_slice(n, cm_group_size(g), cm_group_rank(g));
    *end = cm_engine_slice(n, cm_group_size(g), cm_group_rank(g) + 1);
}

/* ---- what is small ---- */

cm_status cm_group_broadcast(cm_group *g, void *x, size_t bytes, cm_error *err)
{
    void *all = NULL;
    const cm_status s = g ? gather(g, x, bytes, &all, err) : CM_OK;
    if (all)
        memcpy(x, all, bytes);
    cm_free(all);
    return s;
}

void cm_group_collect(cm_group *g, const void *mine, void *all, size_t bytes)
{
    if (cm_group_size(g) > 1)
        g->engine.gather(g->engine.state, mine, all, bytes, 0);
}

typedef struct report {
    cm_error error;
    char host[64];
} report;

cm_status cm_group_agree(cm_group *g, cm_status status, cm_error *err)
{
    void *all = NULL;
    report mine = {.error.status = status};
    if (!g || g->agreed)
        return status;
    if (status && err)
        mine.error = *err;
    mine.error.status = status; /* and err may be NULL */
    (void)gethostname(mine.host, sizeof mine.host - 1);
    const cm_status s = gather(g, &mine, sizeof mine, &all, err);
    if (s)
        return s;
    const report *r = all;
    int first = 0;
    while (first < g->engine.size && !r[first].error.status)
        first++;
    if (first < g->engine.size) {
        g->agreed = r[first].error.status;
        if (first)
            (void)cm_fail(err, g->agreed, "process %d of %d, %s: %s", first, g->engine.size,
                          r[first].host, r[first].error.message);
        else if (err)
            *err = r[0].error;
        if (err && g->engine.rank)
            err->message[0] = '\0';
    }
    cm_free(all);
    return g->agreed;
}

void cm_group_go_on(cm_group *g)
{
    if (g)
        g->agreed = CM_OK;
}

cm_status cm_group_same(cm_group *g, int n, const cm_alike *list, cm_error *err)
{
    cm_status s = CM_OK;
    for (int i = 0; i < n; i++) {
        cm_error why = {0};
        uint64_t expected = list[i].hash;
        cm_status here = cm_group_broadcast(g, &expected, sizeof expected, &why);
        if (!here && expected != list[i].hash)
            here = cm_fail(&why, CM_ERR_FORMAT,
                           "%s: expected that of process 0, %016" PRIx64 ", found %016" PRIx64,
                           list[i].what, expected, list[i].hash);
        if (here && !s)
            s = cm_fail(err, here, "%s", why.message);
    }
    return cm_group_agree(g, s, err);
}
