/* distance.c - the distances d(a, b) between images that losses measure by: the mean over
 * the values of each sample of |a - b| (l1) or (a - b)^2 (l2) */
#include "train/objective/objective.h"

#include <string.h>

/* d [N,H,W,C] -> the mean over each sample [N] */
static cm_node *mean(cm_graph *g, cm_node *d)
{
    const cm_type t = *cm_node_type(d);
    const int64_t values = t.dim[1] * t.dim[2] * t.dim[3];
    d = cm_sum_to(g, d, CM_TYPE(CM_F32, t.dim[0], 1, 1, 1));
    return CM_RESHAPE(g, cm_affine(g, d, 1.0f / (float)values, 0.0f), t.dim[0]);
}

static cm_node *l1(const cm_loss_context *c, cm_node *a, cm_node *b)
{
    return mean(c->g, cm_abs(c->g, cm_sub(c->g, a, b)));
}

static cm_node *l2(const cm_loss_context *c, cm_node *a, cm_node *b)
{
    cm_node *d = cm_sub(c->g, a, b);
    return mean(c->g, cm_mul(c->g, d, d));
}

const cm_distance cm_distances[] = {{"l1", l1}, {"l2", l2}, {0}};

const cm_distance *cm_distance_find(const char *name)
{
    for (const cm_distance *d = cm_distances; d->name; d++)
        if (!strcmp(d->name, name))
            return d;
    return NULL;
}
