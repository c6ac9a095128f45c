/* vgg.h - LPIPS: the distance between images that VGG16 sees */
#ifndef CM_NN_FEATURES_VGG_H
#define CM_NN_FEATURES_VGG_H

#include "nn/features/embedding.h"
#include "nn/params.h"

typedef enum cm_lpips_pooling {
    CM_LPIPS_MOST, /* maxima: VGG16 as it was trained, and LPIPS as published */
    CM_LPIPS_MEAN  /* means instead: what Consistency Models trained with (piq,
                      replace_pooling) */
} cm_lpips_pooling;

enum { CM_LPIPS_LEAST_SIDE = 16 }; /* of an image: it is halved four times */
/* Consistency Models shows it images narrower than this resized to squares of that side. */
enum { CM_LPIPS_NARROW = 256, CM_LPIPS_SIDE = 224 };

/* The parameters: features.N.weight and .bias of torchvision's VGG16, and lin0.model.1.weight
 * to lin4 [1,C,1,1] of LPIPS' own file. */
cm_status cm_lpips_params(cm_params **params, cm_error *err);
/* What is in one of the two files it is published in: in VGG16's, its classifier too where it is
 * there, which nothing here computes with. */
typedef enum cm_lpips_file { CM_LPIPS_VGG, CM_LPIPS_VGG_WHOLE, CM_LPIPS_LINEAR } cm_lpips_file;
cm_status cm_lpips_file_params(cm_lpips_file which, cm_params **params, cm_error *err);
/* x f32 [N,H,W,3] of 0 to 1: a part a layer, with its linear weights. */
void cm_lpips_embed(cm_net *net, cm_lpips_pooling pooling, cm_node *x, cm_embedding *e);
/* a, b likewise -> f32 [N] */
cm_node *cm_lpips_distance(cm_net *net, cm_lpips_pooling pooling, cm_node *a, cm_node *b);

#endif
