/* inception.h - Inception-v3 in the variant of the Frechet inception distance */
#ifndef CM_NN_FEATURES_INCEPTION_H
#define CM_NN_FEATURES_INCEPTION_H

#include "nn/features/features.h"

enum {
    CM_INCEPTION_SIDE = 299,
    CM_INCEPTION_FEATURES = 2048,
    CM_INCEPTION_SPATIAL = 17 * 17 * 7,
    CM_INCEPTION_LOGITS = 1008
};

/* What an image becomes before the network sees it; the two differ in every score. */
typedef enum cm_inception_input {
    CM_INCEPTION_TENSORFLOW, /* resized by the corners of pixels; (x - 128) / 128: the graph of
                                2015 itself, hence the published numbers of OpenAI and EDM */
    CM_INCEPTION_PYTORCH     /* resized by their centres; x / 127.5 - 1: pytorch-fid */
} cm_inception_input;

/* Inside: f32 [N,H,W,C]; the outputs of the first two poolings and of Mixed_6e. */
typedef struct cm_inception_inside {
    cm_node *pool1, *pool2, *mixed_6e;
} cm_inception_inside;

/* The parameters, under their names in pt_inception-2015-12-05-6726825d.pth. */
cm_status cm_inception_params(cm_params **params, cm_error *err);
/* pixels f32 [N,H,W,3] of 0 to 255; inside NULL: not asked for. */
cm_feature_nodes cm_inception_features(cm_net *net, cm_inception_input input, cm_node *pixels,
                                       cm_inception_inside *inside);

#endif
