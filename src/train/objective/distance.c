/* distance.c - the distances d(a, b) between images that losses measure by:
 *
 *   l1, l2         the mean over the values of each sample of |a - b|, of (a - b)^2
 *   l2-32          l2 of both resized to 32 x 32
 *   pseudo-huber   sqrt(q + c^2) - c with q the sum of (a - b)^2: quadratic below c, then
 *                  the Euclidean norm.  Improved Techniques for Training Consistency Models
 *                  (arXiv 2310.14189), whose c is 0.00054 sqrt(d) for d values an image.
 *                  Computed as q / (sqrt(q + c^2) + c), which loses no digits at small q.
 *   lpips          LPIPS of VGG16 with means for its maxima, of (a + 1) / 2 and (b + 1) / 2
 *                  resized to 224 x 224 where they are narrower than 256: the metric of
 *                  Consistency Models (arXiv 2303.01469), as its authors' code has it
 *   features       likewise, in a classifier that this program trained, of images as they are
 *
 * All but l1 and pseudo-huber are squared distances of embeddings (nn/features/embedding.h). */
#include "train/objective/objective.h"

#include "nn/features/features.h"
#include "nn/features/vgg.h"

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

/* ---- embeddings ---- */

static void embed_values(cm_node *x, cm_embedding *e)
{
    const cm_type t = *cm_node_type(x);
    cm_embedding_add(e, x, NULL, 1.0f / (float)(t.dim[1] * t.dim[2] * t.dim[3]));
}

static void embed_l2(const cm_loss_context *c, cm_node *x, cm_embedding *e)
{
    (void)c;
    embed_values(x, e);
}

static cm_node *resize(cm_graph *g, cm_node *x, int64_t side)
{
    const cm_type *t = cm_node_type(x);
    return t->dim[1] == side && t->dim[2] == side ? x : cm_resize_bilinear(g, x, side, side, 1);
}

static void embed_l2_32(const cm_loss_context *c, cm_node *x, cm_embedding *e)
{
    embed_values(resize(c->g, x, 32), e);
}

/* Gray is shown as RGB. */
static void embed_lpips(const cm_loss_context *c, cm_node *image, cm_embedding *e)
{
    cm_graph *g = c->g;
    cm_node *x = cm_affine(g, image, 0.5f, 0.5f);
    if (cm_node_type(x)->dim[2] < CM_LPIPS_NARROW)
        x = resize(g, x, CM_LPIPS_SIDE);
    const cm_type t = *cm_node_type(x);
    x = cm_broadcast_to(g, x, CM_TYPE(CM_F32, t.dim[0], t.dim[1], t.dim[2], 3));
    cm_lpips_embed(c->frozen.net, CM_LPIPS_MEAN, x, e);
    /* A convolution with its relu makes 0 of what is no number: this keeps it in the loss. */
    cm_embedding_add(e, image, NULL, 0.0f);
}

static void embed_features(const cm_loss_context *c, cm_node *x, cm_embedding *e)
{
    cm_classifier_embed(c->frozen.net, c->frozen.config, x, e);
}

cm_node *cm_distance_between(const cm_distance *d, const cm_loss_context *c, cm_node *a, cm_node *b)
{
    if (!d->embed)
        return d->between(c, a, b);
    cm_embedding of_a = {0}, of_b = {0};
    d->embed(c, a, &of_a);
    d->embed(c, b, &of_b);
    return cm_embedding_distance(c->g, &of_a, &of_b);
}

const cm_distance cm_distances[] = {
    {.name = "l1", .between = l1},
    {.name = "l2", .embed = embed_l2},
    {.name = "l2-32", .embed = embed_l2_32},
    {.name = "pseudo-huber", .between = pseudo_huber, .options = "huber-c"},
    {.name = "lpips",
     .embed = embed_lpips,
     .frozen = &cm_frozen_vgg,
     .options = "loss-weights loss-lpips-weights"},
    {.name = "features",
     .embed = embed_features,
     .frozen = &cm_frozen_classifier,
     .options = "loss-weights"},
    {0}};

const cm_distance *cm_distance_find(const char *name)
{
    for (const cm_distance *d = cm_distances; d->name; d++)
        if (!strcmp(d->name, name))
            return d;
    return NULL;
}
