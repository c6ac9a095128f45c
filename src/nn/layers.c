/* layers.c - time embedding, linear layer, convolution, group norm */
#include "nn/layers.h"

#include "graph/op.h"

#include <math.h>

cm_node *cm_timestep_embedding(cm_graph *g, cm_node *t, int dim)
{
    const int half = dim / 2;
    const int64_t n = cm_node_type(t)->dim[0];
    float *freq = cm_graph_alloc(g, (size_t)half * sizeof *freq);
    for (int k = 0; freq && k < half; k++)
        freq[k] = (float)exp(-log(10000.0) * k / half);
    cm_node *f = freq ? cm_const(g, CM_TYPE(CM_F32, 1, half), freq) : t;
    cm_node *angle = cm_mul(g, CM_RESHAPE(g, t, n, 1), f);
    cm_node *e = cm_concat(g, cm_cos(g, angle), cm_sin(g, angle));
    return dim % 2 ? cm_pad(g, e, 0, dim) : e;
}

cm_node *cm_net_linear(cm_net *net, cm_node *x, int64_t out, int zero, const char *name)
{
    const int64_t in = cm_node_type(x)->dim[1];
    const cm_init init = zero ? CM_INIT_ZERO : CM_INIT_UNIFORM;
    cm_node *w = cm_net_param(net, init, in, CM_TYPE(CM_F32, out, in), "%s.weight", name);
    cm_node *b = cm_net_param(net, init, in, CM_TYPE(CM_F32, out), "%s.bias", name);
    return cm_add(net->g, cm_matmul(net->g, x, w, 0, 1), CM_RESHAPE(net->g, b, 1, out));
}

cm_node *cm_net_conv(cm_net *net, cm_node *x, int64_t out, int kernel, int stride, int zero,
                     const char *name)
{
    const int64_t in = cm_node_type(x)->dim[3], fan_in = in * kernel * kernel;
    const cm_init init = zero ? CM_INIT_ZERO : CM_INIT_UNIFORM;
    cm_node *w = cm_net_param(net, init, fan_in, CM_TYPE(CM_F32, out, in, kernel, kernel),
                              "%s.weight", name);
    cm_node *b = cm_net_param(net, init, fan_in, CM_TYPE(CM_F32, out), "%s.bias", name);
    return cm_conv2d(net->g, x, w, b, stride, kernel / 2);
}

void cm_net_norm_params(cm_net *net, int64_t c, const char *name, cm_node **gamma, cm_node **beta)
{
    cm_node *a = cm_net_param(net, CM_INIT_ONE, 0, CM_TYPE(CM_F32, c), "%s.weight", name);
    cm_node *b = cm_net_param(net, CM_INIT_ZERO, 0, CM_TYPE(CM_F32, c), "%s.bias", name);
    *gamma = CM_RESHAPE(net->g, a, 1, c);
    *beta = CM_RESHAPE(net->g, b, 1, c);
}

int cm_net_groups(int64_t channels, int most)
{
    while (channels % most)
        most--;
    return most;
}

cm_node *cm_net_group_norm(cm_net *net, cm_node *x, int most_groups, int silu, const char *name)
{
    const int64_t c = cm_node_type(x)->dim[3];
    cm_node *gamma, *beta;
    cm_net_norm_params(net, c, name, &gamma, &beta);
    return cm_group_norm(net->g, x, gamma, beta, cm_net_groups(c, most_groups), CM_NORM_EPS, silu);
}
