/* device.h - what a device must provide: a kernel for each node.  A missing kernel is
 * what "unsupported" means, so "what can it run" and "how" cannot drift apart. */
#ifndef CM_GRAPH_DEVICE_H
#define CM_GRAPH_DEVICE_H

#include "base/pool.h"
#include "graph/op.h"

/* All workers of a pool call a kernel at once, and each does its share. */
typedef struct cm_call {
    const cm_node *node;
    const void *const *in; /* in[i] is of node->in[i]->type; those in op.writes are writable */
    void *out;
    void *state;     /* what prepare() made: a oneDNN primitive */
    void *packed;    /* what pack() wrote: weights in the layout the primitive wants */
    void *workspace; /* scratch, shared by all steps */
    int worker, workers;
    cm_pool *pool; /* for barriers inside a step; all workers are waited for behind it */
} cm_call;

/* A worker's share of n items, in tasks of `step`: items begin to end - 1. */
typedef struct cm_share {
    int64_t begin, end;
} cm_share;

/* As the first `team` workers divide them; for the others it is empty. */
static inline cm_share cm_share_of(const cm_call *c, int team, int64_t n, int64_t step)
{
    const int64_t w = c->worker;
    if (w >= team || n <= 0)
        return (cm_share){0, 0};
    const int64_t tasks = (n + step - 1) / step, end = tasks * (w + 1) / team * step;
    return (cm_share){tasks * w / team * step, end < n ? end : n};
}

typedef struct cm_prepared {
    void *state;
    size_t packed, workspace; /* bytes wanted */
    int packs;                /* the input that pack() reads */
    int large;                /* they take more than the weights: not kept by plans that change
                                 their weights each time (CM_PLAN_NO_PACKED) */
    int pack_each;            /* nor by others: packing is little beside a run */
    const char *impl;         /* for cm explain; static or owned by state */
} cm_prepared;

typedef struct cm_kernel {
    const char *name; /* for cm explain, where prepare() gives no impl */
    /* Once, at compile time, for at most `threads` workers (optional). */
    cm_status (*prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
    /* Before run(): each time, or once where the weights are constant and not pack_each
     * (optional); all wait for all in between. */
    void (*pack)(const cm_call *c);
    void (*run)(const cm_call *c);
    void (*release)(void *state);
    /* What pack() writes for one state serves the other (optional): it is then kept once. */
    int (*same_packed)(const void *a, const void *b);
    /* Where a device has several for an op: whether this one is for n (optional: for all), as
     * its shape, without the number of samples, and the processor say; the one to ask next. */
    int (*suits)(const cm_node *n);
    const struct cm_kernel *next;
} cm_kernel;

/* What a device was seen to do a second, with as many workers as a plan has. */
typedef struct cm_speeds {
    double flops; /* f32 operations of multiply-adds in registers, two each */
    double bytes; /* read and written by a copy that caches do not hold */
} cm_speeds;

typedef struct cm_device {
    const char *name;
    const cm_kernel *(*kernel)(const cm_node *n); /* NULL: not supported */
    /* Takes some tenths of a second.  Errors: as of cm_pool_new, CM_ERR_MEMORY. */
    cm_status (*measure)(int threads, cm_speeds *speeds, cm_error *err);
} cm_device;

#endif
