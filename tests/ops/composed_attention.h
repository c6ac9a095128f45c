/* composed_attention.h - attention made of slices, matrix products and softmax; the
 * whole matrix of scores is in memory */
#ifndef CM_TESTS_COMPOSED_ATTENTION_H
#define CM_TESTS_COMPOSED_ATTENTION_H

#include "graph/graph.h"

#include <math.h>

/* part 0, 1, 2: q, k, v as [N,heads,T,d] */
static inline cm_node *heads_of(cm_graph *g, cm_node *qkv, int64_t part, int64_t heads)
{
    const cm_type t = *cm_node_type(qkv);
    const int64_t ch = t.dim[2] / 3;
    cm_node *x = cm_slice(g, qkv, part * ch, ch);
    return cm_swap12(g, CM_RESHAPE(g, x, t.dim[0], t.dim[1], heads, ch / heads));
}

static inline cm_node *composed_attention(cm_graph *g, cm_node *qkv, int64_t heads)
{
    const cm_type t = *cm_node_type(qkv);
    const int64_t ch = t.dim[2] / 3;
    cm_node *s = cm_matmul(g, heads_of(g, qkv, 0, heads), heads_of(g, qkv, 1, heads), 0, 1);
    cm_node *p = cm_softmax(g, cm_affine(g, s, 1.0f / sqrtf((float)(ch / heads)), 0.0f));
    cm_node *y = cm_swap12(g, cm_matmul(g, p, heads_of(g, qkv, 2, heads), 0, 0));
    return CM_RESHAPE(g, y, t.dim[0], t.dim[1], ch);
}

#endif
