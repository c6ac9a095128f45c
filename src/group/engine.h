/* engine.h - what an engine of processes provides: the only things that know it are the modules
 * that implement this (mpi.c), which are loaded when a run has more than one process
 *
 * Errors of an engine end all processes; it has its own words for them. */
#ifndef CM_GROUP_ENGINE_H
#define CM_GROUP_ENGINE_H

#include <stddef.h>

/* sum[n] = the sum over processes of parts[size][n], in an order that does not depend on n. */
typedef void cm_engine_add(void *context, const float *parts, float *sum, size_t n);

enum { CM_ENGINE_SUMS = 128, CM_ENGINE_ALIGN = 1024 };
enum { CM_ENGINE_ADD = 1, CM_ENGINE_SPREAD = 2 };

typedef struct cm_engine {
    void *state;
    int rank, size;
    /* Begin to add up x[n] over all processes, and return: CM_ENGINE_ADD, after which the slice
     * that is a process's own has its sum, or CM_ENGINE_SPREAD, which gives every process the
     * slices of the others, or both in turn; room [cm_engine_room] is for the first.  x and room
     * are the engine's until sum_end, which waits for all that was begun, at most
     * CM_ENGINE_SUMS, and tells when each was done: seconds of CLOCK_MONOTONIC. */
    void (*sum_begin)(void *state, int what, float *x, float *room, size_t n);
    void (*sum_end)(void *state, double done[CM_ENGINE_SUMS]);
    /* all [size][bytes] = mine [bytes] of each process: in every process, or in process 0 alone,
     * where the others' all may be NULL. */
    void (*gather)(void *state, const void *mine, void *all, size_t bytes, int everywhere);
    /* The last call: all processes come, or */
    void (*leave)(void *state);
    /* this one ends all at once; does not return. */
    void (*abort)(void *state, int code);
} cm_engine;

/* Where the slice of a process begins, up to that of the next. */
static inline size_t cm_engine_slice(size_t n, int size, int rank)
{
    const size_t blocks = (n + CM_ENGINE_ALIGN - 1) / CM_ENGINE_ALIGN,
                 at = blocks * (size_t)rank / (size_t)size * CM_ENGINE_ALIGN;
    return at < n ? at : n;
}
/* For the slice of each process that is one's own to add up. */
static inline size_t cm_engine_room(size_t n, int size, int rank)
{
    return (size_t)size * (cm_engine_slice(n, size, rank + 1) - cm_engine_slice(n, size, rank));
}

/* Each module exports cm_engine_join: NULL, or why not.  add is for its sums. */
typedef const char *cm_engine_join_fn(cm_engine *engine, cm_engine_add *add, void *context);
#define CM_ENGINE_JOIN "cm_engine_join"

#endif
