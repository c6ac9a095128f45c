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
/* x f32 [N,H,W,C] -> logits f32 [N,num_classes]; *features, NULL allowed: what they are a
 * linear function of, f32 [N,cm_convnet_width].  To be begun with cm_net_restart. */
cm_node *cm_convnet_build(cm_net *net, const struct cm_net_config *config, cm_node *x,
                          cm_node **features);

#endif
