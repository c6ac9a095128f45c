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

void cm_lpips_embed(cm_net *net, cm_lpips_pooling pooling, cm_node *x, cm_embedding *e)
{
    cm_graph *g = net->g;
    cm_net_restart(net);
    x = cm_cast(g, standardise(g, x), net->dtype);
    for (int l = 0; l < LEVELS; l++) {
        if (l)
            x = pooling == CM_LPIPS_MEAN ? cm_avg_pool2d(g, x, 2, 2, 0)
                                         : cm_max_pool2d(g, x, 2, 2, 0);
        for (int i = 0; i < levels[l].count; i++)
            x = convolve(net, x, levels[l].width, levels[l].first + 2 * i);
        cm_embedding_add_unit(g, e, x, CM_RESHAPE(g, linear(net, l), 1, 1, 1, levels[l].width));
    }
}

cm_node *cm_lpips_distance(cm_net *net, cm_lpips_pooling pooling, cm_node *a, cm_node *b)
{
    cm_embedding ea = {0}, eb = {0};
    cm_lpips_embed(net, pooling, a, &ea);
    cm_lpips_embed(net, pooling, b, &eb);
    return cm_embedding_distance(net->g, &ea, &eb);
}

/* Once: in a graph, the second image finds the parameters of the first. */
static void declare(cm_net *net, const void *user)
{
    (void)user;
    cm_embedding e = {0};
    const cm_type t = CM_TYPE(CM_F32, 1, CM_LPIPS_LEAST_SIDE, CM_LPIPS_LEAST_SIDE, 3);
    cm_lpips_embed(net, CM_LPIPS_MOST, cm_input(net->g, "x", t), &e);
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
