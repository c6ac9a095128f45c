/* features.h - networks whose inner values tell how images differ */
#ifndef CM_NN_FEATURES_H
#define CM_NN_FEATURES_H

#include "nn/features/embedding.h"
#include "nn/network.h"

/* Values an image; 0: the network has none of that kind. */
typedef struct cm_feature_dims {
    int64_t features, /* what distances and neighbourhoods are measured in */
        spatial,      /* with the places in the image kept */
        logits;       /* of its classes */
} cm_feature_dims;

/* The nodes, f32 [N,dims]; NULL: none. */
typedef struct cm_feature_nodes {
    cm_node *features, *spatial, *logits;
} cm_feature_nodes;

/* A classifier of our own (nn/arch/convnet.h); pixels f32 [N,H,W,C] of 0 to 255. */
cm_feature_dims cm_classifier_dims(const cm_net_config *config);
cm_feature_nodes cm_classifier_features(cm_net *net, const cm_net_config *config, cm_node *pixels);
/* x f32 [N,H,W,C] within [-1,1]: a part a level. */
void cm_classifier_embed(cm_net *net, const cm_net_config *config, cm_node *x, cm_embedding *e);

#endif
