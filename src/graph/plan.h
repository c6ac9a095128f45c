/* plan.h - a graph compiled for a device: which steps, in which order, where each
 * result lives.  Compiling decides everything; running allocates nothing. */
#ifndef CM_GRAPH_PLAN_H
#define CM_GRAPH_PLAN_H

#include "graph/device.h"

typedef struct cm_plan cm_plan;

/* Compile what the outputs and the writing ops need; the graph must outlive the
 * plan.  Errors: the graph's own, CM_ERR_UNSUPPORTED, CM_ERR_MEMORY. */
cm_status cm_plan_compile(cm_graph *g, int n_out, cm_node *const *out, const cm_device *device,
                          int threads, cm_plan **plan, cm_error *err);
void cm_plan_free(cm_plan *p);

/* Say where a buffer of the graph is; 64-byte aligned memory of the caller, which
 * outlives its use.  All but CM_BUFFER_OWN ones are bound before the first run. */
void cm_plan_bind(cm_plan *p, int buffer, void *memory);
/* The memory of a leaf or output; for an output valid until the next run. */
void cm_plan_write(cm_plan *p, const cm_node *n, const void *values);
void cm_plan_read(cm_plan *p, const cm_node *n, void *values);
void *cm_plan_data(cm_plan *p, const cm_node *n);
/* Do the work that depends on constant buffers only; call after their contents
 * change.  The first run does it by itself. */
void cm_plan_refresh(cm_plan *p);
/* The part of it that depends on this buffer; when all was done once. */
void cm_plan_refresh_buffer(cm_plan *p, int buffer);
void cm_plan_run(cm_plan *p);

/* Run once more, testing each result: the first node, in program order, that
 * is not finite, as text in buf; returns 0 when all are finite. */
int cm_plan_find_nonfinite(cm_plan *p, char *buf, size_t size);

typedef struct cm_plan_memory {
    size_t activations, workspace, constants; /* bytes the plan allocated */
} cm_plan_memory;
cm_plan_memory cm_plan_get_memory(const cm_plan *p);

/* One line a step; with profile, times of `runs` runs.  NULL: out of memory. */
char *cm_plan_explain(cm_plan *p, int runs);
/* Seconds: the sum over convolutions and matrix products of the best isolated time, of
 * `runs` now and of those before; the floor of any plan that computes them one after
 * another. */
double cm_plan_matrix_floor(cm_plan *p, int runs);
/* Bytes that the steps of a run read and write, caches not considered. */
double cm_plan_bytes_moved(const cm_plan *p);
int cm_plan_steps(const cm_plan *p);
/* Bytes of activations made up to the step of `last` that later steps read: what a forward
 * pass that ends there leaves for the gradient. */
size_t cm_plan_kept_bytes(const cm_plan *p, const cm_node *last);

/* 2 x multiply-adds of a convolution or matrix product, else 0: also of attention,
 * which is more than its products. */
double cm_node_flops(const cm_node *n);

#endif
