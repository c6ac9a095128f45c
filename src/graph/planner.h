/* planner.h - from lifetimes to offsets, a pure function */
#ifndef CM_GRAPH_PLANNER_H
#define CM_GRAPH_PLANNER_H

#include "base/error.h"

#include <stddef.h>

/* A block of memory that must hold from step `first` to step `last`, inclusive. */
typedef struct cm_block {
    int first, last;
    size_t bytes;
    size_t offset; /* out; a multiple of 64 */
} cm_block;

/* Place blocks so that those alive at the same time do not overlap; *total is
 * the size of the whole.  Errors: CM_ERR_MEMORY. */
cm_status cm_planner_place(cm_block *blocks, int n, size_t *total, cm_error *err);

#endif
