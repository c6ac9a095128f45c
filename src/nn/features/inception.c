/* inception.c - Inception-v3 (Szegedy et al. 2015, arXiv 1512.00567) as the TensorFlow graph of
 * 2015-12-05 has it, by which the Frechet inception distance is defined (Heusel et al. 2017):
 * torchvision's network, but the zeros around an image are not counted in means, and the last
 * block takes a maximum where the others take a mean.  Each layer is
 *
 *     relu(gamma (x * w - mean) / sqrt(var + 0.001) + beta)
 *
 * with the batch norm's frozen statistics, which are folded into w and a bias: that depends
 * on parameters alone and is done once.  The features are
 *
 *     features   the mean over the pixels of the last block (pool_3)
 *     spatial    the first 7 channels of the 1x1 branch of Mixed_6d, which TensorFlow calls
 *                mixed_6/conv (evaluator.py)
 *     logits     the product of the features with fc.weight; the bias is left out */
#include "nn/features/inception.h"

#include <stdio.h>

enum { SPATIAL_CHANNELS = 7 };
static const float EPS = 1e-3f; /* of the batch norms */

typedef struct layer {
    const char *name;
    int width, kh, kw, stride, pad_h, pad_w;
} layer;

/* A branch of a block ends with a layer that has no name. */
enum { MOST_LAYERS = 6, MOST_BRANCHES = 4 };
typedef enum pooling { NO_POOLING, MEAN, MOST, MOST_HALVED } pooling;

typedef struct branch {
    pooling before;
    layer layers[MOST_LAYERS];
    layer forks[2]; /* applied to the result side by side */
} branch;

#define POINT(name, width)         \
    {                              \
        name, width, 1, 1, 1, 0, 0 \
    }
#define SQUARE(name, width, k)             \
    {                                      \
        name, width, k, k, 1, k / 2, k / 2 \
    }
#define ROW(name, width, k)            \
    {                                  \
        name, width, 1, k, 1, 0, k / 2 \
    }
#define COLUMN(name, width, k)         \
    {                                  \
        name, width, k, 1, 1, k / 2, 0 \
    }
#define VALID(name, width)         \
    {                              \
        name, width, 3, 3, 1, 0, 0 \
    }
#define HALVE(name, width)         \
    {                              \
        name, width, 3, 3, 2, 0, 0 \
    }

static cm_node *convolve(cm_net *net, cm_node *x, const char *block, const layer *l)
{
    cm_graph *g = net->g;
    const int64_t in = cm_node_type(x)->dim[3], out = l->width;
    char name[96];
    snprintf(name, sizeof name, "%s%s%s", block, *block ? "." : "", l->name);
    const cm_type vector = CM_TYPE(CM_F32, out);
    cm_node *w = cm_net_param(net, CM_INIT_UNIFORM, in * l->kh * l->kw,
                              CM_TYPE(CM_F32, out, in, l->kh, l->kw), "%s.conv.weight", name);
    cm_node *gamma = cm_net_param(net, CM_INIT_ONE, 0, vector, "%s.bn.weight", name);
    cm_node *beta = cm_net_param(net, CM_INIT_ZERO, 0, vector, "%s.bn.bias", name);
    cm_node *mean = cm_net_param(net, CM_INIT_ZERO, 0, vector, "%s.bn.running_mean", name);
    cm_node *var = cm_net_param(net, CM_INIT_ONE, 0, vector, "%s.bn.running_var", name);
    cm_node *scale = cm_mul(g, gamma, cm_pow(g, cm_affine(g, var, 1.0f, EPS), -0.5f));
    cm_node *bias = cm_sub(g, beta, cm_mul(g, mean, scale));
    w = cm_mul(g, w, CM_RESHAPE(g, scale, out, 1, 1, 1));
    return cm_relu(g, cm_conv2d_padded(g, x, w, bias, l->stride, l->pad_h, l->pad_w));
}

static cm_node *pool(cm_graph *g, cm_node *x, pooling p)
{
    return p == MEAN          ? cm_avg_pool2d(g, x, 3, 1, 1)
           : p == MOST        ? cm_max_pool2d(g, x, 3, 1, 1)
           : p == MOST_HALVED ? cm_max_pool2d(g, x, 3, 2, 0)
                              : x;
}

static cm_node *join(cm_graph *g, cm_node *a, cm_node *b)
{
    return a ? cm_concat(g, a, b) : b;
}

/* The branches side by side; *first, NULL allowed: the result of the first one. */
static cm_node *mixed(cm_net *net, cm_node *x, const char *name, const branch *b, int n,
                      cm_node **first)
{
    cm_node *all = NULL;
    for (int i = 0; i < n; i++) {
        cm_node *h = pool(net->g, x, b[i].before);
        for (const layer *l = b[i].layers; l->name; l++)
            h = convolve(net, h, name, l);
        if (!b[i].forks[0].name)
            all = join(net->g, all, h);
        for (int k = 0; k < 2 && b[i].forks[k].name; k++)
            all = join(net->g, all, convolve(net, h, name, &b[i].forks[k]));
        if (!i && first)
            *first = h;
    }
    return all;
}

#define MIXED(net, x, name, branches, first) \
    mixed(net, x, name, branches, sizeof(branches) / sizeof *(branches), first)

/* 35 x 35 */
static cm_node *mixed_a(cm_net *net, cm_node *x, const char *name, int pooled)
{
    const branch branches[] = {
        {.layers = {POINT("branch1x1", 64)}},
        {.layers = {POINT("branch5x5_1", 48), SQUARE("branch5x5_2", 64, 5)}},
        {.layers = {POINT("branch3x3dbl_1", 64), SQUARE("branch3x3dbl_2", 96, 3),
                    SQUARE("branch3x3dbl_3", 96, 3)}},
        {.before = MEAN, .layers = {POINT("branch_pool", pooled)}},
    };
    return MIXED(net, x, name, branches, NULL);
}

/* 35 x 35 to 17 x 17 */
static cm_node *mixed_b(cm_net *net, cm_node *x, const char *name)
{
    static const branch branches[] = {
        {.layers = {HALVE("branch3x3", 384)}},
        {.layers = {POINT("branch3x3dbl_1", 64), SQUARE("branch3x3dbl_2", 96, 3),
                    HALVE("branch3x3dbl_3", 96)}},
        {.before = MOST_HALVED},
    };
    return MIXED(net, x, name, branches, NULL);
}

/* 17 x 17; w: the width of the factored 7x7 */
static cm_node *mixed_c(cm_net *net, cm_node *x, const char *name, int w, cm_node **first)
{
    const branch branches[] = {
        {.layers = {POINT("branch1x1", 192)}},
        {.layers = {POINT("branch7x7_1", w), ROW("branch7x7_2", w, 7),
                    COLUMN("branch7x7_3", 192, 7)}},
        {.layers = {POINT("branch7x7dbl_1", w), COLUMN("branch7x7dbl_2", w, 7),
                    ROW("branch7x7dbl_3", w, 7), COLUMN("branch7x7dbl_4", w, 7),
                    ROW("branch7x7dbl_5", 192, 7)}},
        {.before = MEAN, .layers = {POINT("branch_pool", 192)}},
    };
    return MIXED(net, x, name, branches, first);
}

/* 17 x 17 to 8 x 8 */
static cm_node *mixed_d(cm_net *net, cm_node *x, const char *name)
{
    static const branch branches[] = {
        {.layers = {POINT("branch3x3_1", 192), HALVE("branch3x3_2", 320)}},
        {.layers = {POINT("branch7x7x3_1", 192), ROW("branch7x7x3_2", 192, 7),
                    COLUMN("branch7x7x3_3", 192, 7), HALVE("branch7x7x3_4", 192)}},
        {.before = MOST_HALVED},
    };
    return MIXED(net, x, name, branches, NULL);
}

/* 8 x 8 */
static cm_node *mixed_e(cm_net *net, cm_node *x, const char *name, pooling p)
{
    const branch branches[] = {
        {.layers = {POINT("branch1x1", 320)}},
        {.layers = {POINT("branch3x3_1", 384)},
         .forks = {ROW("branch3x3_2a", 384, 3), COLUMN("branch3x3_2b", 384, 3)}},
        {.layers = {POINT("branch3x3dbl_1", 448), SQUARE("branch3x3dbl_2", 384, 3)},
         .forks = {ROW("branch3x3dbl_3a", 384, 3), COLUMN("branch3x3dbl_3b", 384, 3)}},
        {.before = p, .layers = {POINT("branch_pool", 192)}},
    };
    return MIXED(net, x, name, branches, NULL);
}

/* 299 x 299 to 35 x 35 */
static cm_node *stem(cm_net *net, cm_node *x, cm_inception_inside *inside)
{
    static const layer layers[] = {HALVE("Conv2d_1a_3x3", 32), VALID("Conv2d_2a_3x3", 32),
                                   SQUARE("Conv2d_2b_3x3", 64, 3), POINT("Conv2d_3b_1x1", 80),
                                   VALID("Conv2d_4a_3x3", 192)};
    for (int i = 0; i < 3; i++)
        x = convolve(net, x, "", &layers[i]);
    inside->pool1 = x = pool(net->g, x, MOST_HALVED);
    for (int i = 3; i < 5; i++)
        x = convolve(net, x, "", &layers[i]);
    return inside->pool2 = pool(net->g, x, MOST_HALVED);
}

/* x f32 [N,299,299,3] of about -1 to 1 */
static cm_feature_nodes build(cm_net *net, cm_node *x, cm_inception_inside *inside)
{
    cm_graph *g = net->g;
    cm_feature_nodes out;
    const int64_t n = cm_node_type(x)->dim[0];
    x = stem(net, x, inside);
    x = mixed_a(net, x, "Mixed_5b", 32);
    x = mixed_a(net, x, "Mixed_5c", 64);
    x = mixed_a(net, x, "Mixed_5d", 64);
    x = mixed_b(net, x, "Mixed_6a");
    x = mixed_c(net, x, "Mixed_6b", 128, NULL);
    x = mixed_c(net, x, "Mixed_6c", 160, NULL);
    x = mixed_c(net, x, "Mixed_6d", 160, &out.spatial);
    inside->mixed_6e = x = mixed_c(net, x, "Mixed_6e", 192, NULL);
    x = mixed_d(net, x, "Mixed_7a");
    x = mixed_e(net, x, "Mixed_7b", MEAN);
    x = mixed_e(net, x, "Mixed_7c", MOST);
    x = cm_avg_pool2d(g, x, 8, 1, 0);
    cm_node *w =
        cm_net_param(net, CM_INIT_UNIFORM, CM_INCEPTION_FEATURES,
                     CM_TYPE(CM_F32, CM_INCEPTION_LOGITS, CM_INCEPTION_FEATURES), "fc.weight");
    cm_net_param(net, CM_INIT_ZERO, 0, CM_TYPE(CM_F32, CM_INCEPTION_LOGITS), "fc.bias");
    out.features = CM_RESHAPE(g, x, n, CM_INCEPTION_FEATURES);
    out.logits = cm_matmul(g, out.features, w, 0, 1);
    out.spatial =
        CM_RESHAPE(g, cm_slice(g, out.spatial, 0, SPATIAL_CHANNELS), n, CM_INCEPTION_SPATIAL);
    return out;
}

cm_feature_nodes cm_inception_features(cm_net *net, cm_inception_input input, cm_node *pixels,
                                       cm_inception_inside *inside)
{
    cm_inception_inside unseen;
    const int pytorch = input == CM_INCEPTION_PYTORCH;
    cm_node *x = cm_resize_bilinear(net->g, pixels, CM_INCEPTION_SIDE, CM_INCEPTION_SIDE, pytorch);
    cm_net_restart(net);
    return build(net, cm_affine(net->g, x, 1.0f / (pytorch ? 127.5f : 128.0f), -1.0f),
                 inside ? inside : &unseen);
}

static void declare(cm_net *net, const void *user)
{
    (void)user;
    cm_node *x =
        cm_input(net->g, "pixels", CM_TYPE(CM_F32, 1, CM_INCEPTION_SIDE, CM_INCEPTION_SIDE, 3));
    cm_inception_features(net, CM_INCEPTION_TENSORFLOW, x, NULL);
}

cm_status cm_inception_params(cm_params **params, cm_error *err)
{
    return cm_params_new(declare, NULL, params, err);
}
