/* embedding.c - points of a network's inner space, and the squared distance between two */
#include "nn/features/embedding.h"

#include "base/error.h"

void cm_embedding_add(cm_embedding *e, cm_node *value, cm_node *weight, float scale)
{
    cm_assert(e->n < CM_MOST_EMBEDDED);
    e->part[e->n++] = (cm_embedded){value, weight, scale};
}

/* f / (|f| + 1e-10) */
static cm_node *normalise(cm_graph *g, cm_node *f)
{
    const cm_type t = *cm_node_type(f);
    cm_node *sum = cm_sum_to(g, cm_mul(g, f, f), CM_TYPE(CM_F32, t.dim[0], t.dim[1], t.dim[2], 1));
    /* 1e-20 below the root, so that its slope at 0 is a number */
    cm_node *norm = cm_pow(g, cm_affine(g, sum, 1.0f, 1e-20f), 0.5f);
    return cm_mul(g, f, cm_pow(g, cm_affine(g, norm, 1.0f, 1e-10f), -1.0f));
}

void cm_embedding_add_unit(cm_graph *g, cm_embedding *e, cm_node *f, cm_node *weight)
{
    const cm_type t = *cm_node_type(f);
    cm_node *unit = normalise(g, cm_cast(g, f, CM_F32));
    cm_embedding_add(e, unit, weight, 1.0f / (float)(t.dim[1] * t.dim[2]));
}

/* [N,1,1,1]: of one part */
static cm_node *difference(cm_graph *g, const cm_embedded *a, const cm_embedded *b)
{
    cm_node *d = cm_sub(g, a->value, b->value);
    d = cm_mul(g, d, d);
    if (a->weight)
        d = cm_mul(g, d, a->weight);
    d = cm_sum_to(g, d, CM_TYPE(CM_F32, cm_node_type(a->value)->dim[0], 1, 1, 1));
    return cm_affine(g, d, a->scale, 0.0f);
}

cm_node *cm_embedding_distance(cm_graph *g, const cm_embedding *a, const cm_embedding *b)
{
    cm_assert(a->n == b->n && a->n);
    cm_node *sum = difference(g, &a->part[0], &b->part[0]);
    for (int i = 1; i < a->n; i++)
        sum = cm_add(g, sum, difference(g, &a->part[i], &b->part[i]));
    return CM_RESHAPE(g, sum, cm_node_type(sum)->dim[0]);
}
