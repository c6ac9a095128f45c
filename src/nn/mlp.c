/* mlp.c - a small residual multilayer perceptron for point data [N,1,1,D]: used
 * where the exact answer is known and a U-Net would be out of place. */
#include "nn/net.h"

#include <stdio.h>

cm_node *cm_net_mlp(cm_net *net, cm_node *x, cm_node *t, cm_node *y)
{
    cm_graph *g = net->g;
    const cm_net_config *config = net->config;
    const cm_type type = *cm_node_type(x);
    const int64_t c = config->model_channels;
    char name[64];
    (void)y;
    /* t/1000 = ln(sigma)/4: smooth, where sines of 250 ln(sigma) would not be. */
    cm_node *e = CM_RESHAPE(g, cm_affine(g, t, 1e-3f, 0.0f), type.dim[0], 1);
    e = cm_silu(g, cm_net_linear(net, e, c, 0, "time_embed.0"));
    e = cm_silu(g, cm_net_linear(net, e, c, 0, "time_embed.2"));
    cm_node *h = cm_net_linear(net, CM_RESHAPE(g, x, type.dim[0], type.dim[3]), c, 0, "in");
    for (int i = 0; i < config->num_res_blocks; i++) {
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
