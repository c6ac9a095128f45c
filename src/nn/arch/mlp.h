/* mlp.h - the configuration of the multilayer perceptron */
#ifndef CM_NN_ARCH_MLP_H
#define CM_NN_ARCH_MLP_H

typedef struct cm_mlp_config {
    int model_channels; /* width of the hidden vectors */
    int num_res_blocks;
} cm_mlp_config;

#endif
