/* vgg.c - LPIPS (Zhang et al. 2018, arXiv 1801.03924) with VGG16 (Simonyan and Zisserman 2014)
 *
 *     d(a, b) = sum over five layers l of the mean over pixels of
 *               sum over channels of lin_l (f_l(a) / |f_l(a)| - f_l(b) / |f_l(b)|)^2
 *
 * with f_l the output of the last ReLU before each pooling, |f| its norm over the channels of a
 * pixel plus 1e-10, and images brought to ImageNet's mean and deviation. */
#include "nn/features/vgg.h"

enum { LEVELS = 5 };

/* Channels, and the numbers of the convolutions in torchvision's list. */
static const struct level {
    int width, first, count;
} levels[LEVELS] = {{64, 0, 2}, {128, 5, 2}, {256, 10, 3}, {512, 17, 3}, {512, 24, 3}};

static cm_node *standardise(cm_graph *g, cm_node *x)
{
    static const float mean[] = {0.485f, 0.456f, 0.406f}, dev[] = {0.229f, 0.224f, 0.225f};
    float scale[3], shift[3];
    for (int k = 0; k < 3; k++) {
        scale[k] = 1.0f / dev[k];
        shift[k] = -mean[k] / dev[k];
    }
    const cm_type row = CM_TYPE(CM_F32, 1, 1, 1, 3);
    return cm_add(g, cm_mul(g, x, cm_const(g, row, scale)), cm_const(g, row, shift));
}

static cm_node *convolve(cm_net *net, cm_node *x, int width, int number)
{
    const int64_t in = cm_node_type(x)->dim[3];
    cm_node *w = cm_net_param(net, CM_INIT_UNIFORM, 9 * in, CM_TYPE(CM_F32, width, in, 3, 3),
                              "features.%d.weight", number);
    cm_node *b =
        cm_net_param(net, CM_INIT_ZERO, 0, CM_TYPE(CM_F32, width), "features.%d.bias", number);
    return cm_relu(net->g, cm_conv2d(net->g, x, w, b, 1, 1));
}

static cm_node *linear(cm_net *net, int level)
{
    return cm_net_param(net, CM_INIT_ONE, 0, CM_TYPE(CM_F32, 1, levels[level].width, 1, 1),
                        "lin%d.model.1.weight", level);
}

/* Of unit length over channels, but where there is nothing. */
static cm_node *normalise(cm_graph *g, cm_node *f)
{
    const cm_type t = *cm_node_type(f);
    cm_node *sum = cm_sum_to(g, cm_mul(g, f, f), CM_TYPE(CM_F32, t.dim[0], t.dim[1], t.dim[2], 1));
    /* 1e-20 below the root, so that its slope at 0 is a number */
    cm_node *norm = cm_pow(g, cm_affine(g, sum, 1.0f, 1e-20f), 0.5f);
    return cm_mul(g, f, cm_pow(g, cm_affine(g, norm, 1.0f, 1e-10f), -1.0f));
}

/* x [N,H,W,3] of 0 to 1; out [LEVELS] */
static void features(cm_net *net, cm_lpips_pooling pooling, cm_node *x, cm_node **lin,
                     cm_node **out)
{
    cm_graph *g = net->g;
    cm_net_restart(net);
    x = standardise(g, x);
    for (int l = 0; l < LEVELS; l++) {
        if (l)
            x = pooling == CM_LPIPS_MEAN ? cm_avg_pool2d(g, x, 2, 2, 0)
                                         : cm_max_pool2d(g, x, 2, 2, 0);
        for (int i = 0; i < levels[l].count; i++)
            x = convolve(net, x, levels[l].width, levels[l].first + 2 * i);
        lin[l] = linear(net, l);
        out[l] = normalise(g, x);
    }
}

/* [N,1]: of one level */
static cm_node *difference(cm_graph *g, cm_node *a, cm_node *b, cm_node *lin)
{
    const cm_type t = *cm_node_type(a);
    cm_node *d = cm_sub(g, a, b);
    d = cm_mul(g, cm_mul(g, d, d), CM_RESHAPE(g, lin, 1, 1, 1, t.dim[3]));
    d = cm_sum_to(g, d, CM_TYPE(CM_F32, t.dim[0], 1, 1, 1));
    return cm_affine(g, d, 1.0f / (float)(t.dim[1] * t.dim[2]), 0.0f);
}

cm_node *cm_lpips_distance(cm_net *net, cm_lpips_pooling pooling, cm_node *a, cm_node *b)
{
    cm_graph *g = net->g;
    cm_node *fa[LEVELS], *fb[LEVELS], *lin[LEVELS], *sum = NULL;
    const int64_t n = cm_node_type(a)->dim[0];
    features(net, pooling, a, lin, fa);
    features(net, pooling, b, lin, fb);
    for (int l = 0; l < LEVELS && !cm_graph_check(g, NULL); l++) {
        cm_node *d = difference(g, fa[l], fb[l], lin[l]);
        sum = sum ? cm_add(g, sum, d) : d;
    }
    return sum ? CM_RESHAPE(g, sum, n) : a;
}

/* Once: in a graph, the second image finds the parameters of the first. */
static void declare(cm_net *net, const void *user)
{
    (void)user;
    cm_node *lin[LEVELS], *out[LEVELS];
    const cm_type t = CM_TYPE(CM_F32, 1, CM_LPIPS_LEAST_SIDE, CM_LPIPS_LEAST_SIDE, 3);
    features(net, CM_LPIPS_MOST, cm_input(net->g, "x", t), lin, out);
}

/* Of a file: the same parameters, asked for by no network. */
static void declare_file(cm_net *net, const void *user)
{
    static const int classifier[][3] = {{0, 4096, 512 * 7 * 7}, {3, 4096, 4096}, {6, 1000, 4096}};
    const cm_lpips_file which = *(const cm_lpips_file *)user;
    cm_node *x = cm_input(net->g, "x", CM_TYPE(CM_F32, 1, 1, 1, 3));
    for (int l = 0; l < LEVELS && which == CM_LPIPS_LINEAR; l++)
        linear(net, l);
    for (int l = 0; l < LEVELS && which != CM_LPIPS_LINEAR; l++)
        for (int i = 0; i < levels[l].count; i++)
            x = convolve(net, x, levels[l].width, levels[l].first + 2 * i);
    for (int i = 0; i < 3 && which == CM_LPIPS_VGG_WHOLE; i++) {
        const int *c = classifier[i];
        cm_net_param(net, CM_INIT_ZERO, 0, CM_TYPE(CM_F32, c[1], c[2]), "classifier.%d.weight",
                     c[0]);
        cm_net_param(net, CM_INIT_ZERO, 0, CM_TYPE(CM_F32, c[1]), "classifier.%d.bias", c[0]);
    }
}

cm_status cm_lpips_file_params(cm_lpips_file which, cm_params **params, cm_error *err)
{
    return cm_params_new(declare_file, &which, params, err);
}

cm_status cm_lpips_params(cm_params **params, cm_error *err)
{
    return cm_params_new(declare, NULL, params, err);
}
