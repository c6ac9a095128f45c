/* mpi.c - a group of processes over MPI: the only file that knows it
 *
 * A sum is three steps, over slices of the array, one a process: each sends the slices of the
 * others to them (all-to-all), adds up its own in the order that it is given, and gets the other
 * sums (all-gather).  That is the traffic of a ring, 2 (size - 1) / size of the array, but the
 * order of additions is ours; MPI_Allreduce leaves it to the implementation.  The first two alone
 * are a reduce-scatter, the last alone an all-gather.
 *
 * Most implementations move data only while they are called.  So one thread calls them, looks, and
 * sleeps in between, while the others compute. */
#include "group/engine.h"

#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

typedef struct sum {
    int what;
    float *x, *room;
    size_t n;
    double done; /* when */
} sum;

/* Of one collective: the counts must live until it is done. */
typedef struct transfer {
    int busy;
    MPI_Request request;
    int *counts, *offsets, *counts_in, *offsets_in; /* [size] */
} transfer;

typedef struct mpi_group {
    int rank, size;
    MPI_Comm comm, spread; /* all-to-all and gathers; all-gathers: each in its own order */
    cm_engine_add *add;
    void *context;
    transfer scatter, gather;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    /* Under the lock.  Sums done..queued-1 are the thread's, at i % CM_ENGINE_SUMS. */
    unsigned queued, done;
    int leaving;
    unsigned first; /* since the last sum_end */
    /* The thread's alone: sums whose slices are sent; whose own slice is added up. */
    unsigned sent, added;
    sum sums[CM_ENGINE_SUMS];
} mpi_group;

static size_t slice(const mpi_group *g, size_t n, int rank)
{
    return cm_engine_slice(n, g->size, rank);
}

static int slice_length(const mpi_group *g, size_t n, int rank)
{
    return (int)(slice(g, n, rank + 1) - slice(g, n, rank));
}

static void send_slices(mpi_group *g, const sum *s)
{
    transfer *t = &g->scatter;
    const int mine = slice_length(g, s->n, g->rank);
    for (int i = 0; i < g->size; i++) {
        t->counts[i] = slice_length(g, s->n, i);
        t->offsets[i] = (int)slice(g, s->n, i);
        t->counts_in[i] = mine;
        t->offsets_in[i] = i * mine;
    }
    MPI_Ialltoallv(s->x, t->counts, t->offsets, MPI_FLOAT, s->room, t->counts_in, t->offsets_in,
                   MPI_FLOAT, g->comm, &t->request);
    t->busy = 1;
}

static void add_slice(mpi_group *g, const sum *s)
{
    g->add(g->context, s->room, s->x + slice(g, s->n, g->rank),
           (size_t)slice_length(g, s->n, g->rank));
}

static void spread_sums(mpi_group *g, const sum *s)
{
    transfer *t = &g->gather;
    for (int i = 0; i < g->size; i++) {
        t->counts[i] = slice_length(g, s->n, i);
        t->offsets[i] = (int)slice(g, s->n, i);
    }
    MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, s->x, t->counts, t->offsets, MPI_FLOAT,
                    g->spread, &t->request);
    t->busy = 1;
}

/* Whether a transfer that was under way is done. */
static int arrived(transfer *t)
{
    int done = 0;
    if (t->busy)
        MPI_Test(&t->request, &done, MPI_STATUS_IGNORE);
    if (done)
        t->busy = 0;
    return done;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void finish(mpi_group *g)
{
    pthread_mutex_lock(&g->lock);
    g->sums[g->done++ % CM_ENGINE_SUMS].done = seconds();
    pthread_cond_signal(&g->idle);
    pthread_mutex_unlock(&g->lock);
}

/* One look at what is under way, and the next of what can begin: both transfers in the order of
 * the sums, as in every other process.  Returns whether anything went on. */
static int advance(mpi_group *g, unsigned queued)
{
    int moved = 0;
    if (arrived(&g->scatter)) {
        add_slice(g, &g->sums[g->added % CM_ENGINE_SUMS]);
        g->added++;
        moved = 1;
    }
    if (!g->scatter.busy && g->sent < queued) {
        const sum *s = &g->sums[g->sent++ % CM_ENGINE_SUMS];
        if (s->what & CM_ENGINE_ADD)
            send_slices(g, s);
        else
            g->added++; /* all before it are, for none is on its way */
        moved = 1;
    }
    if (arrived(&g->gather)) {
        finish(g);
        moved = 1;
    }
    if (!g->gather.busy && g->done < g->added) {
        const sum *s = &g->sums[g->done % CM_ENGINE_SUMS];
        if (s->what & CM_ENGINE_SPREAD)
            spread_sums(g, s);
        else
            finish(g);
        moved = 1;
    }
    return moved;
}

/* A sixteenth of the time that it waits already, within 30 us and 1 ms: looking takes time from
 * those who compute, some 20 us. */
static void nap(double since)
{
    const double wish = (seconds() - since) / 16.0, most = 1e-3, least = 3e-5,
                 time = wish > most    ? most
                        : wish < least ? least
                                       : wish;
    nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * time)}, NULL);
}

static void *work(void *arg)
{
    mpi_group *g = arg;
    double moved = seconds();
    pthread_mutex_lock(&g->lock);
    while (!g->leaving) {
        const unsigned queued = g->queued;
        if (g->done == queued) {
            pthread_cond_wait(&g->work, &g->lock);
            continue;
        }
        pthread_mutex_unlock(&g->lock);
        if (advance(g, queued))
            moved = seconds();
        else
            nap(moved);
        pthread_mutex_lock(&g->lock);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* ---- the engine's calls ---- */

static void sum_begin(void *state, int what, float *x, float *room, size_t n)
{
    mpi_group *g = state;
    pthread_mutex_lock(&g->lock);
    g->sums[g->queued % CM_ENGINE_SUMS] = (sum){what, x, room, n, 0.0};
    g->queued++;
    pthread_cond_signal(&g->work);
    pthread_mutex_unlock(&g->lock);
}

static void sum_end(void *state, double done[CM_ENGINE_SUMS])
{
    mpi_group *g = state;
    pthread_mutex_lock(&g->lock);
    while (g->done != g->queued)
        pthread_cond_wait(&g->idle, &g->lock);
    for (int i = 0; g->first != g->queued; i++)
        done[i] = g->sums[g->first++ % CM_ENGINE_SUMS].done;
    pthread_mutex_unlock(&g->lock);
}

static void gather(void *state, const void *mine, void *all, size_t bytes, int everywhere)
{
    const mpi_group *g = state;
    const int n = (int)bytes;
    MPI_Request request;
    const double start = seconds();
    int done = 0;
    if (everywhere)
        MPI_Iallgather(mine, n, MPI_BYTE, all, n, MPI_BYTE, g->comm, &request);
    else
        MPI_Igather(mine, n, MPI_BYTE, all, n, MPI_BYTE, 0, g->comm, &request);
    while (!MPI_Test(&request, &done, MPI_STATUS_IGNORE) && !done)
        nap(start); /* one of them may be at work for minutes */
}

static void clear(mpi_group *g)
{
    free(g->scatter.counts);
    free(g);
}

static void leave(void *state)
{
    mpi_group *g = state;
    pthread_mutex_lock(&g->lock);
    g->leaving = 1;
    pthread_cond_signal(&g->work);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    MPI_Comm_free(&g->comm);
    MPI_Comm_free(&g->spread);
    MPI_Finalize();
    clear(g);
}

static void end_all(void *state, int code)
{
    (void)state;
    MPI_Abort(MPI_COMM_WORLD, code);
}

/* ---- joining ---- */

/* All signals blocked in it: they are the program's. */
static int start_thread(mpi_group *g)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->work, NULL);
    pthread_cond_init(&g->idle, NULL);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int failed = pthread_create(&g->thread, NULL, work, g);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return !failed;
}

static mpi_group *new_group(int rank, int size)
{
    mpi_group *g = calloc(1, sizeof *g);
    int *counts = calloc((size_t)size * 6, sizeof *counts);
    if (!g || !counts) {
        free(g);
        free(counts);
        return NULL;
    }
    g->rank = rank;
    g->size = size;
    g->scatter = (transfer){
        0, MPI_REQUEST_NULL, counts, counts + size, counts + 2 * size, counts + 3 * size};
    g->gather = (transfer){0, MPI_REQUEST_NULL, counts + 4 * size, counts + 5 * size, NULL, NULL};
    /* cppcheck-suppress memleak ; counts are g's */
    return g;
}

__attribute__((visibility("default"))) cm_engine_join_fn cm_engine_join;

const char *cm_engine_join(cm_engine *engine, cm_engine_add *add, void *context)
{
    int level = 0, rank, size;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level) != MPI_SUCCESS)
        return "MPI_Init_thread failed";
    if (level < MPI_THREAD_SERIALIZED)
        return "this MPI does not let several threads call it, one at a time";
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    mpi_group *g = new_group(rank, size);
    if (!g)
        return "out of memory";
    MPI_Comm_dup(MPI_COMM_WORLD, &g->comm);
    MPI_Comm_dup(MPI_COMM_WORLD, &g->spread);
    g->add = add;
    g->context = context;
    if (!start_thread(g))
        return "a thread could not be started";
    *engine = (cm_engine){.state = g,
                          .rank = rank,
                          .size = size,
                          .sum_begin = sum_begin,
                          .sum_end = sum_end,
                          .gather = gather,
                          .leave = leave,
                          .abort = end_all};
    return NULL;
}
