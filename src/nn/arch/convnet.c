/* convnet.c - a small convolutional classifier: at each level `num_blocks` times
 *
 *     x = SiLU(group norm(conv 3x3 (x)))
 *
 * with the mean of 2x2 pixels between levels; then the mean over all pixels, which are the
 * features, and a linear layer to one logit a class.  It is a network of the kind that judges:
 * it reads neither a time nor a class, and gives [N,num_classes]. */
#include "base/text.h"
#include "graph/op.h"
#include "io/json.h"
#include "nn/layers.h"
#include "nn/network.h"

#include <stdio.h>

/* Few groups: the size of a channel beside others is what tells a class. */
enum { MOST_GROUPS = 8, MOST_CLASSES = 4096 };

int64_t cm_convnet_width(const cm_net_config *config)
{
    const cm_convnet_config *c = &config->of.convnet;
    return (int64_t)c->model_channels * c->channel_mult[c->n_levels - 1];
}

static cm_node *block(cm_net *net, cm_node *x, int64_t width, int level, int i)
{
    char name[64];
    snprintf(name, sizeof name, "level.%d.%d.conv", level, i);
    x = cm_net_conv(net, x, width, 3, 1, 0, name);
    snprintf(name, sizeof name, "level.%d.%d.norm", level, i);
    return cm_net_group_norm(net, x, MOST_GROUPS, 1, name);
}

/* x [N,H,W,C] -> f32 [N,C] */
static cm_node *mean_of_pixels(cm_graph *g, cm_node *x)
{
    const cm_type t = *cm_node_type(x);
    const float share = 1.0f / (float)(t.dim[1] * t.dim[2]);
    x = cm_sum_to(g, x, CM_TYPE(CM_F32, t.dim[0], 1, 1, t.dim[3]));
    return CM_RESHAPE(g, cm_affine(g, x, share, 0.0f), t.dim[0], t.dim[3]);
}

cm_node *cm_convnet_build(cm_net *net, const cm_net_config *config, cm_node *x,
                          cm_convnet_inside *inside)
{
    cm_graph *g = net->g;
    const cm_convnet_config *c = &config->of.convnet;
    x = cm_cast(g, x, net->dtype);
    for (int level = 0; level < c->n_levels; level++) {
        cm_net_begin_block(net);
        if (level)
            x = cm_sumpool2(g, x, 0.25f);
        for (int i = 0; i < c->num_blocks; i++)
            x = block(net, x, (int64_t)c->model_channels * c->channel_mult[level], level, i);
        inside->level[level] = x;
    }
    cm_node *f = inside->features = mean_of_pixels(g, x);
    if (net->rng)
        f = cm_dropout(g, f, net->rng, (float)config->dropout, net->stream);
    return cm_net_linear(net, f, config->num_classes, 0, "out");
}

static cm_node *build(cm_net *net, const cm_net_config *config, cm_node *x, cm_node *t, cm_node *y)
{
    cm_convnet_inside inside;
    (void)t, (void)y;
    return cm_convnet_build(net, config, x, &inside);
}

/* ---- configuration ---- */

static const char *const keys[] = {"model_channels", "num_blocks", "channel_mult", NULL};

static cm_status read_mult(const json_t *json, const char *file, cm_convnet_config *c,
                           cm_error *err)
{
    int64_t list[CM_CONVNET_LEVELS];
    const cm_status s =
        cm_json_int_list(json, file, "channel_mult", CM_CONVNET_LEVELS, list, &c->n_levels, err);
    if (!s && !c->n_levels)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"channel_mult\": expected a list of 1 to %d numbers, found none", file,
                       CM_CONVNET_LEVELS);
    for (int i = 0; !s && i < c->n_levels; i++) {
        if (list[i] < 1 || list[i] > 64)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: \"channel_mult\"[%d]: expected 1 to 64, found %lld", file, i,
                           (long long)list[i]);
        c->channel_mult[i] = (int)list[i];
    }
    return s;
}

static cm_status parse(const json_t *json, const char *file, cm_net_config *config, cm_error *err)
{
    cm_convnet_config c = {0};
    int64_t width = 0, blocks = 0;
    cm_status s;
    if ((s = cm_json_int(json, file, "model_channels", 1, 4096, CM_JSON_REQUIRED, &width, err)) ||
        (s = cm_json_int(json, file, "num_blocks", 1, 64, CM_JSON_REQUIRED, &blocks, err)) ||
        (s = read_mult(json, file, &c, err)))
        return s;
    if (config->num_classes < 2 || config->num_classes > MOST_CLASSES)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"num_classes\": expected 2 to %d with type convnet, found %d", file,
                       MOST_CLASSES, config->num_classes);
    const int unit = 1 << (c.n_levels - 1);
    if (config->height % unit || config->width % unit)
        return cm_fail(
            err, CM_ERR_FORMAT,
            "%s: an image of %d x %d cannot be halved %d time%s (\"channel_mult\" has %d "
            "levels)",
            file, config->height, config->width, c.n_levels - 1, cm_plural(c.n_levels - 1),
            c.n_levels);
    c.model_channels = (int)width;
    c.num_blocks = (int)blocks;
    config->of.convnet = c;
    return CM_OK;
}

static int print(const cm_net_config *config, json_t *json)
{
    const cm_convnet_config *c = &config->of.convnet;
    json_t *mult = json_array();
    int bad = 0;
    for (int i = 0; i < c->n_levels; i++)
        bad |= json_array_append_new(mult, json_integer(c->channel_mult[i]));
    return bad | json_object_set_new(json, "model_channels", json_integer(c->model_channels)) |
           json_object_set_new(json, "num_blocks", json_integer(c->num_blocks)) |
           json_object_set_new(json, "channel_mult", mult);
}

const cm_arch cm_arch_convnet = {.name = "convnet",
                                 .time_scale = 1.0f,
                                 .classifies = 1,
                                 .keys = keys,
                                 .parse = parse,
                                 .print = print,
                                 .build = build};
