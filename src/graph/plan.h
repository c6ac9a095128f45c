/* plan.h - a graph compiled for a device: which steps, in which order, where each
 * result lives.  Compiling decides everything; running allocates nothing. */
#ifndef CM_GRAPH_PLAN_H
#define CM_GRAPH_PLAN_H

#include "graph/device.h"

typedef struct cm_plan cm_plan;

/* Compile what the outputs and the writing ops need; the graph must outlive the
 * plan, which belongs to this device.  Errors: the graph's own, CM_ERR_UNSUPPORTED,
 * CM_ERR_MEMORY; CM_ERR_ARGUMENT where an op writes to a leaf that overlaps another of its
 * operands; CM_ERR_INTERNAL where verify.c refuses the plan, which is a fault of this
 * library. */
cm_status cm_plan_compile(cm_graph *g, int n_out, cm_node *const *out, const cm_device *device,
                          int threads, cm_plan **plan, cm_error *err);
/* The same without something: */
enum {
    CM_PLAN_NO_FUSION = 1,
    CM_PLAN_NO_SHARING =
        2, /* each result has memory of its own, and each step its packed weights */
    CM_PLAN_NO_CONSTANTS = 4, /* all is done in each run */
    CM_PLAN_NO_PACKED = 8,    /* large packed weights are made before each use and not kept: of
                                 training, which changes the weights each time */
    CM_PLAN_NO_MEMORY = 16,   /* all is decided, and nothing allocated: it is asked what it would
                                 take, and never run */
};
/* The first three are for tests: the reference that a plan is held against. */
cm_status cm_plan_compile_without(unsigned what, cm_graph *g, int n_out, cm_node *const *out,
                                  const cm_device *device, int threads, cm_plan **plan,
                                  cm_error *err);

void cm_plan_free(cm_plan *p);

/* Say where a buffer of the graph is; 64-byte aligned memory of the caller, which
 * outlives its use.  All but CM_BUFFER_OWN ones are bound before the first run. */
void cm_plan_bind(cm_plan *p, int buffer, void *memory);
/* Copy a tensor to a leaf, and a tensor out of a leaf or an output: all of it, or `count`
 * elements from element `first` on.  An output is valid until the next run.  The plan's
 * memory may be a device's: nobody outside graph/ and the device has a pointer to it. */
void cm_plan_write(cm_plan *p, const cm_node *leaf, const void *values);
void cm_plan_read(cm_plan *p, const cm_node *n, void *values);
void cm_plan_write_part(cm_plan *p, const cm_node *leaf, int64_t first, int64_t count,
                        const void *values);
void cm_plan_read_part(cm_plan *p, const cm_node *n, int64_t first, int64_t count, void *values);
/* The memory itself; to be used by graph/, devices and tests only. */
void *cm_plan_data(cm_plan *p, const cm_node *n);
/* Do the work that depends on constant buffers only; call after their contents
 * change.  The first run does it by itself. */
void cm_plan_refresh(cm_plan *p);
/* The part of it that depends on this buffer; when all was done once. */
void cm_plan_refresh_buffer(cm_plan *p, int buffer);
void cm_plan_run(cm_plan *p);
/* A run in pieces: steps from..to-1, in turn from 0 to cm_plan_steps. */
void cm_plan_run_steps(cm_plan *p, int from, int to);
/* How many steps of a run it takes until bytes begin to end-1 of a buffer change no more. */
int cm_plan_steps_until(const cm_plan *p, int buffer, size_t begin, size_t end);

/* Run once more, testing each result: the first node, in program order, that
 * is not finite, as text in buf; returns 0 when all are finite. */
int cm_plan_find_nonfinite(cm_plan *p, char *buf, size_t size);

typedef struct cm_plan_memory {
    size_t activations, workspace, constants; /* bytes the plan allocated */
    size_t packed; /* of constants and workspace: weights as kernels want them, those that are
                      kept and the room that the others share */
} cm_plan_memory;
cm_plan_memory cm_plan_get_memory(const cm_plan *p);

/* One line a step.  speeds not NULL: also times, of `runs` runs, and what share that is of the
 * machine's speed (of arithmetic for convolutions and matrix products, of memory for all others:
 * their bytes may be in a cache, and faster).  NULL: out of memory. */
char *cm_plan_explain(cm_plan *p, int runs, const cm_speeds *speeds);
/* Seconds: the sum over convolutions and matrix products of the best isolated time, of
 * `runs` now and of those before; the floor of any plan that computes them one after
 * another. */
double cm_plan_matrix_floor(cm_plan *p, int runs);
/* Bytes that the steps of a run read and write, caches not considered. */
double cm_plan_bytes_moved(const cm_plan *p);
/* cm_node_flops of the steps of a run. */
double cm_plan_flops(const cm_plan *p);
int cm_plan_steps(const cm_plan *p);
/* Bytes of activations made up to the step of `last` that later steps read: what a forward
 * pass that ends there leaves for the gradient. */
size_t cm_plan_kept_bytes(const cm_plan *p, const cm_node *last);

/* 2 x multiply-adds of a convolution or matrix product as it is defined, however it is computed
 * (Winograd's has fewer), else 0: also of attention, which is more than its products. */
double cm_node_flops(const cm_node *n);

#endif
