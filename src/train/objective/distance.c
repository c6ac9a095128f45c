/* distance.c - the distances d(a, b) between images that losses measure by:
 *
 *   l1, l2         the mean over the values of each sample of |a - b|, of (a - b)^2
 *   pseudo-huber   sqrt(q + c^2) - c with q the sum of (a - b)^2: quadratic below c, then
 *                  the Euclidean norm.  Improved Techniques for Training Consistency Models
 *                  (arXiv 2310.14189), whose c is 0.00054 sqrt(d) for d values an image.
 *                  Computed as q / (sqrt(q + c^2) + c), which loses no digits at small q. */
#include "train/objective/objective.h"

#include <math.h>
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

static cm_node *pseudo_huber(const cm_loss_context *l, cm_node *a, cm_node *b)
{
    const cm_type t = *cm_node_type(a);
    const double given = l->settings->options->huber_c;
    const double values = (double)(t.dim[1] * t.dim[2] * t.dim[3]);
    const float c = (float)(given > 0.0 ? given : 0.00054 * sqrt(values));
    cm_node *d = cm_sub(l->g, a, b);
    cm_node *q = cm_sum_to(l->g, cm_mul(l->g, d, d), CM_TYPE(CM_F32, t.dim[0], 1, 1, 1));
    cm_node *root = cm_pow(l->g, cm_affine(l->g, q, 1.0f, c * c), 0.5f);
    d = cm_mul(l->g, q, cm_pow(l->g, cm_affine(l->g, root, 1.0f, c), -1.0f));
    return CM_RESHAPE(l->g, d, t.dim[0]);
}

const cm_distance cm_distances[] = {
    {"l1", l1, NULL}, {"l2", l2, NULL}, {"pseudo-huber", pseudo_huber, "huber-c"}, {0}};

const cm_distance *cm_distance_find(const char *name)
{
    for (const cm_distance *d = cm_distances; d->name; d++)
        if (!strcmp(d->name, name))
            return d;
    return NULL;
}
