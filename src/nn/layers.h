/* layers.h - the layers that networks share */
#ifndef CM_NN_LAYERS_H
#define CM_NN_LAYERS_H

#include "nn/params.h"

#define CM_NORM_EPS 1e-5f /* of group norms */

/* [cos(t f_k), sin(t f_k)], f_k = 10000^(-k / (dim/2)): t [N] -> [N,dim] */
cm_node *cm_timestep_embedding(cm_graph *g, cm_node *t, int dim);
/* x [N,in] -> [N,out] in f32, parameters NAME.weight [out,in] and NAME.bias */
cm_node *cm_net_linear(cm_net *net, cm_node *x, int64_t out, int zero, const char *name);
/* x [N,H,W,in] -> [N,H',W',out] */
cm_node *cm_net_conv(cm_net *net, cm_node *x, int64_t out, int kernel, int stride, int zero,
                     const char *name);
/* gamma and beta of a norm over c channels, as [1,c]: parameters NAME.weight and NAME.bias */
void cm_net_norm_params(cm_net *net, int64_t c, const char *name, cm_node **gamma, cm_node **beta);
/* The largest number of groups, at most `most`, that divides the channels. */
int cm_net_groups(int64_t channels, int most);
/* Group norm in so many groups, SiLU where asked for. */
cm_node *cm_net_group_norm(cm_net *net, cm_node *x, int most_groups, int silu, const char *name);

#endif
