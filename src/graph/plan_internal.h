/* plan_internal.h - what plan.c compiles, run.c runs and explain.c prints */
#ifndef CM_GRAPH_PLAN_INTERNAL_H
#define CM_GRAPH_PLAN_INTERNAL_H

#include "graph/plan.h"

typedef struct cm_step {
    const cm_node *node;
    const cm_kernel *kernel;
    cm_prepared prepared;
    const void *in[CM_MAX_IN]; /* filled by resolve() */
    void *out, *packed;
    size_t packed_offset; /* in the constants, when pack_once */
    int constant;         /* runs in refresh only */
    uint64_t reads;       /* bit i: the constant or packed input depends on buffer i */
    int pack_once;        /* the packed input is constant */
    int packed_before;    /* by an earlier step, whose copy this one reads */
    double seconds;       /* of a profiled run */
    double best;          /* seconds alone, of the runs so far; 0: none */
} cm_step;

/* Where a node's result lives. */
typedef enum cm_place {
    CM_PLACE_NONE,
    CM_PLACE_BUFFER,
    CM_PLACE_VALUES,
    CM_PLACE_ARENA,
    CM_PLACE_CONSTANTS
} cm_place;

typedef struct cm_location {
    cm_place place;
    int buffer;
    size_t offset;
} cm_location;

struct cm_plan {
    cm_graph *graph;
    int threads;
    cm_pool *pool; /* of as many workers, which sleep between runs */
    const char *device;
    cm_node *node; /* a copy of the graph's, rewritten by fusion */
    int n_nodes;   /* of the graph when it was compiled */
    cm_step *step;
    int n_steps;
    cm_location *location; /* a node each, by id */
    void **buffer;         /* bound or own memory, by buffer index */
    char *own;             /* by buffer index: allocated by the plan */
    size_t *buffer_bytes;  /* how far the leaves reach */
    char *arena, *workspace, *constants;
    size_t arena_bytes, workspace_bytes, scratch_bytes, constant_bytes;
    size_t packed_bytes; /* of the constants */
    int resolved, fresh; /* pointers filled; constant steps done */
};

/* Beyond 62 buffers they share a bit. */
static inline uint64_t cm_buffer_bit(int buffer)
{
    return UINT64_C(1) << (buffer < 62 ? buffer : 62);
}

/* The end of each compilation.  CM_ERR_INTERNAL: the plan would compute something else than
 * the graph says, by a fault of ours; CM_ERR_ARGUMENT: an op writes to a leaf that overlaps
 * another of its operands. */
cm_status cm_plan_verify(const cm_plan *p, int n_out, cm_node *const *out, cm_error *err);

void cm_plan_resolve(cm_plan *p);
void cm_step_pack(cm_plan *p, cm_step *s); /* its weights, unless that is done once */
void cm_step_compute(cm_plan *p, cm_step *s);
void cm_step_run(cm_plan *p, cm_step *s); /* both */

#endif
