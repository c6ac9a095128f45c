/* convnet.h - the configuration of the small classifier, and its inside */
#ifndef CM_NN_ARCH_CONVNET_H
#define CM_NN_ARCH_CONVNET_H

#include "nn/params.h"

enum { CM_CONVNET_LEVELS = 8 };

typedef struct cm_convnet_config {
    int model_channels;
    int num_blocks; /* convolutions a level */
    int n_levels;
    int channel_mult[CM_CONVNET_LEVELS];
} cm_convnet_config;

struct cm_net_config;

/* The width of its features. */
int64_t cm_convnet_width(const struct cm_net_config *config);
/* What it computes on the way. */
typedef struct cm_convnet_inside {
    cm_node *level[CM_CONVNET_LEVELS]; /* the last block's result of each level, [N,H,W,width] */
    cm_node *features; /* what the logits are a linear function of, f32 [N,cm_convnet_width] */
} cm_convnet_inside;

/* x f32 [N,H,W,C] -> logits f32 [N,num_classes].  To be begun with cm_net_restart. */
cm_node *cm_convnet_build(cm_net *net, const struct cm_net_config *config, cm_node *x,
                          cm_convnet_inside *inside);

#endif
