/* own_classifier.c - features of a classifier that this program trained: what its logits are
 * a linear function of, the mean over the pixels of its last level */
#include "nn/features/features.h"

cm_feature_dims cm_classifier_dims(const cm_net_config *config)
{
    return (cm_feature_dims){.features = cm_convnet_width(config), .logits = config->num_classes};
}

cm_feature_nodes cm_classifier_features(cm_net *net, const cm_net_config *config, cm_node *pixels)
{
    cm_feature_nodes n = {NULL, NULL, NULL};
    cm_node *x = cm_affine(net->g, pixels, 1.0f / 127.5f, -1.0f); /* as it was trained */
    cm_net_restart(net);
    n.logits = cm_convnet_build(net, config, x, &n.features);
    cm_graph_end_segment(net->g);
    return n;
}
