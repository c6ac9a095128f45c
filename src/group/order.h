/* order.h - the order in which a sum over the parts of a batch is taken
 *
 * Floating-point sums depend on their order.  Here it is a binary tree over the parts 0..P-1 that
 * depends on P alone: a node of n parts has the largest power of two below n on its left and the
 * rest on its right.  Every process of a run has the parts below one node of that tree, and adds
 * them up; the sums of processes are added up the rest of the way.  So one process with P parts,
 * one after another, gives the bits that P processes give with a part each. */
#ifndef CM_GROUP_ORDER_H
#define CM_GROUP_ORDER_H

#include <stddef.h>

typedef struct cm_span {
    int first, count; /* parts */
} cm_span;

/* Which parts each of `processes`, at most `parts`, has: in order, none empty, and none with more
 * than twice as many as another where parts is a power of two. */
void cm_order_split(int parts, int processes, cm_span *span);

/* sum[i] = x[0][i] + .. + x[n-1][i], x[k] being the sum of the parts of span[k]: in the order of
 * the tree.  sum overlaps no x. */
void cm_order_sum(const cm_span *span, int n, const float *const *x, float *sum, size_t count);

/* The same in time: parts come one after another into `last`, and sums that wait for their other
 * half are in pending[].  After part i of 0..count-1, cm_order_merges gives the sums that it
 * completes, as bits: pending[k] of each bit k, from the lowest, is added to `last`; then, if
 * more parts are to come, it waits itself as pending[cm_order_waits(i)]. */
unsigned cm_order_merges(int i, int count);
int cm_order_waits(int i);
/* How many pending[] there are. */
int cm_order_pending(int count);

#endif
