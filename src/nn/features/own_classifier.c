/* own_classifier.c - what a classifier that this program trained sees: its features, which its
 * logits are a linear function of, the mean over the pixels of its last level; and as an
 * embedding every level, each the way LPIPS has those of VGG16 but with all weights one */
#include "nn/features/features.h"

cm_feature_dims cm_classifier_dims(const cm_net_config *config)
{
    return (cm_feature_dims){.features = cm_convnet_width(config), .logits = config->num_classes};
}

cm_feature_nodes cm_classifier_features(cm_net *net, const cm_net_config *config, cm_node *pixels)
{
    cm_feature_nodes n = {NULL, NULL, NULL};
    cm_convnet_inside inside;
    cm_node *x = cm_affine(net->g, pixels, 1.0f / 127.5f, -1.0f); /* as it was trained */
    cm_net_restart(net);
    n.logits = cm_convnet_build(net, config, x, &inside);
    n.features = inside.features;
    cm_graph_end_segment(net->g);
    return n;
}

void cm_classifier_embed(cm_net *net, const cm_net_config *config, cm_node *x, cm_embedding *e)
{
    cm_convnet_inside inside;
    cm_net_restart(net);
    (void)cm_convnet_build(net, config, x, &inside); /* the logits stay out of the plan */
    cm_graph_end_segment(net->g);
    for (int i = 0; i < config->of.convnet.n_levels; i++)
        cm_embedding_add_unit(net->g, e, inside.level[i], NULL);
}
