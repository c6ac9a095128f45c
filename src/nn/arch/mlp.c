/* mlp.c - a small residual multilayer perceptron for point data [N,1,1,D]: used
 * where the exact answer is known and a U-Net would be out of place. */
#include "io/json.h"
#include "nn/layers.h"
#include "nn/network.h"

#include <stdio.h>

static cm_node *build(cm_net *net, const cm_net_config *config, cm_node *x, cm_node *t, cm_node *y)
{
    cm_graph *g = net->g;
    const cm_mlp_config *m = &config->of.mlp;
    const cm_type type = *cm_node_type(x);
    const int64_t c = m->model_channels;
    char name[64];
    (void)y;
    /* With log250, t/1000 = ln(sigma)/4: smooth, where sines of 250 ln(sigma) would not be. */
    cm_node *e = CM_RESHAPE(g, cm_affine(g, t, 1e-3f, 0.0f), type.dim[0], 1);
    e = cm_silu(g, cm_net_linear(net, e, c, 0, "time_embed.0"));
    e = cm_silu(g, cm_net_linear(net, e, c, 0, "time_embed.2"));
    cm_node *h = cm_net_linear(net, CM_RESHAPE(g, x, type.dim[0], type.dim[3]), c, 0, "in");
    for (int i = 0; i < m->num_res_blocks; i++) {
        cm_net_begin_block(net);
        snprintf(name, sizeof name, "block.%d.emb", i);
        cm_node *u = cm_add(g, h, cm_net_linear(net, e, c, 0, name));
        snprintf(name, sizeof name, "block.%d.0", i);
        u = cm_silu(g, cm_net_linear(net, cm_silu(g, u), c, 0, name));
        snprintf(name, sizeof name, "block.%d.1", i);
        h = cm_add(g, h, cm_net_linear(net, u, c, 0, name));
    }
    h = cm_net_linear(net, cm_silu(g, h), config->out_channels, 1, "out");
    return CM_RESHAPE(g, h, type.dim[0], 1, 1, config->out_channels);
}

static const char *const keys[] = {"model_channels", "num_res_blocks", NULL};

static cm_status parse(const json_t *json, const char *file, cm_net_config *config, cm_error *err)
{
    int64_t width = 0, blocks = 0;
    cm_status s;
    if ((s = cm_json_int(json, file, "model_channels", 1, 65536, CM_JSON_REQUIRED, &width, err)) ||
        (s = cm_json_int(json, file, "num_res_blocks", 1, 64, CM_JSON_REQUIRED, &blocks, err)))
        return s;
    if (config->num_classes)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"num_classes\": expected none with type mlp, found %d", file,
                       config->num_classes);
    if (config->height != 1 || config->width != 1)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: type mlp is for points: expected images of 1 x 1, found %d x %d", file,
                       config->height, config->width);
    config->of.mlp = (cm_mlp_config){(int)width, (int)blocks};
    return CM_OK;
}

static int print(const cm_net_config *config, json_t *json)
{
    const cm_mlp_config *c = &config->of.mlp;
    return json_object_set_new(json, "model_channels", json_integer(c->model_channels)) |
           json_object_set_new(json, "num_res_blocks", json_integer(c->num_res_blocks));
}

const cm_arch cm_arch_mlp = {.name = "mlp",
                             .time_scale = 1000.0f, /* which build divides by */
                             .keys = keys,
                             .parse = parse,
                             .print = print,
                             .build = build};
