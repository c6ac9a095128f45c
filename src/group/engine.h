/* engine.h - what an engine of processes provides: the only things that know it are the modules
 * that implement this (mpi.c), which are loaded when a run has more than one process
 *
 * Errors of an engine end all processes; it has its own words for them. */
#ifndef CM_GROUP_ENGINE_H
#define CM_GROUP_ENGINE_H

#include <stddef.h>

/* sum[n] = the sum over processes of parts[size][n], in an order that does not depend on n. */
typedef void cm_engine_add(void *context, const float *parts, float *sum, size_t n);

typedef struct cm_engine {
    void *state;
    int rank, size;
    /* Begin to add up x[n] over all processes, and return; room is for CM_ENGINE_ROOM floats.  x
     * and room are the engine's until sum_end, which waits for all that was begun.  At most
     * CM_ENGINE_SUMS at a time. */
    void (*sum_begin)(void *state, float *x, float *room, size_t n);
    void (*sum_end)(void *state);
    /* Seconds so far in which sums were under way; between sums. */
    double (*sum_seconds)(void *state);
    /* all [size][bytes] = mine [bytes] of each process: in every process, or in process 0 alone,
     * where the others' all may be NULL. */
    void (*gather)(void *state, const void *mine, void *all, size_t bytes, int everywhere);
    /* The last call: all processes come, or */
    void (*leave)(void *state);
    /* this one ends all at once; does not return. */
    void (*abort)(void *state, int code);
} cm_engine;

enum { CM_ENGINE_SUMS = 128, CM_ENGINE_ALIGN = 16 };
/* Every process sums the slice that is its own. */
static inline size_t cm_engine_room(size_t n, int size)
{
    return n + (size_t)size * CM_ENGINE_ALIGN;
}

/* Each module exports cm_engine_join: NULL, or why not.  add is for its sums. */
typedef const char *cm_engine_join_fn(cm_engine *engine, cm_engine_add *add, void *context);
#define CM_ENGINE_JOIN "cm_engine_join"

#endif
