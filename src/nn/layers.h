/* layers.h - the layers that networks share */
#ifndef CM_NN_LAYERS_H
#define CM_NN_LAYERS_H

#include "nn/params.h"

/* [cos(t f_k), sin(t f_k)], f_k = 10000^(-k / (dim/2)): t [N] -> [N,dim] */
cm_node *cm_timestep_embedding(cm_graph *g, cm_node *t, int dim);
/* x [N,in] -> [N,out] in f32, parameters NAME.weight [out,in] and NAME.bias */
cm_node *cm_net_linear(cm_net *net, cm_node *x, int64_t out, int zero, const char *name);
/* x [N,H,W,in] -> [N,H',W',out] */
cm_node *cm_net_conv(cm_net *net, cm_node *x, int64_t out, int kernel, int stride, int zero,
                     const char *name);

#endif
