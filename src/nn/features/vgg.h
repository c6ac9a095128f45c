/* vgg.h - LPIPS: the distance between images that VGG16 sees */
#ifndef CM_NN_FEATURES_VGG_H
#define CM_NN_FEATURES_VGG_H

#include "nn/params.h"

typedef enum cm_lpips_pooling {
    CM_LPIPS_MOST, /* maxima: VGG16 as it was trained, and LPIPS as published */
    CM_LPIPS_MEAN  /* means instead: what Consistency Models trained with (piq,
                      replace_pooling) */
} cm_lpips_pooling;

enum { CM_LPIPS_LEAST_SIDE = 16 }; /* of an image: it is halved four times */

/* The parameters: features.N.weight and .bias of torchvision's VGG16, lin0 to lin4 [C]. */
cm_status cm_lpips_params(cm_params **params, cm_error *err);
/* a, b f32 [N,H,W,3] of 0 to 1 -> f32 [N] */
cm_node *cm_lpips_distance(cm_net *net, cm_lpips_pooling pooling, cm_node *a, cm_node *b);

#endif
