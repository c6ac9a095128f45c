/* network.h - denoising networks F(x, tau, y), and one that classifies: what they have in
 * common, and the list of architectures, one record each (arch/).
 *
 * A configuration is JSON with the field names of the original code.  Height and width
 * are "image_size" where they are equal, else "image_height" and "image_width". */
#ifndef CM_NN_NETWORK_H
#define CM_NN_NETWORK_H

#include "nn/arch/adm.h"
#include "nn/arch/convnet.h"
#include "nn/arch/mlp.h"
#include "nn/params.h"
#include "nn/time_input.h"

#include <jansson.h>
#include <stdio.h>

/* To add an architecture: a name here, its header above, its record in arch/NAME.c. */
#define CM_ARCH_LIST(X) X(adm) X(mlp) X(convnet)

enum { CM_MAX_SIDE = 4096 }; /* of an image; as --image-size */

typedef struct cm_arch cm_arch;

typedef struct cm_net_config {
    const cm_arch *arch;
    int height, width; /* of the images; 1 x 1 for point data */
    int in_channels, out_channels;
    int num_classes; /* 0: not class-conditional */
    const cm_time_input *time_input;
    double dropout;
    union {
#define X(name) cm_##name##_config name;
        CM_ARCH_LIST(X)
#undef X
    } of; /* arch's own part */
} cm_net_config;

struct cm_arch {
    const char *name;        /* "type" of the configuration */
    float time_scale;        /* of time inputs that are not log250: see time_input.h */
    int channels_differ;     /* in_channels and out_channels may differ */
    int classifies;          /* F(x) is logits [N,num_classes]: it judges images, draws none */
    const char *const *keys; /* of the own part; ends with NULL */
    /* The own part from JSON, and what it needs of the common one, checked.
     * file is for messages.  Errors: CM_ERR_FORMAT. */
    cm_status (*parse)(const json_t *json, const char *file, cm_net_config *config, cm_error *err);
    /* The own part, into json; non-zero: out of memory. */
    int (*print)(const cm_net_config *config, json_t *json);
    /* F(x, tau, y), as cm_net_apply. */
    cm_node *(*build)(cm_net *net, const cm_net_config *config, cm_node *x, cm_node *t, cm_node *y);
};

/* The architecture of that name; NULL: none. */
const cm_arch *cm_arch_find(const char *name);
#define X(name) extern const cm_arch cm_arch_##name;
CM_ARCH_LIST(X)
#undef X

/* Unknown keys are errors; file is for messages.  Errors: CM_ERR_FORMAT. */
cm_status cm_net_config_from_json(const json_t *json, const char *file, cm_net_config *config,
                                  cm_error *err);
/* A new reference; NULL when out of memory. */
json_t *cm_net_config_to_json(const cm_net_config *config);
/* Whether it is the same network up to dropout, which has no weights.  Errors: CM_ERR_MEMORY. */
cm_status cm_net_config_compare(const cm_net_config *a, const cm_net_config *b, int *equal,
                                cm_error *err);

/* The parameters of such a network. */
cm_status cm_net_params_new(const cm_net_config *config, cm_params **params, cm_error *err);

/* F(x, tau, y): x f32 [N,H,W,in], tau f32 [N] (the time input), y i32 [N] or NULL ->
 * f32 [N,H,W,out].  May be called again: the parameters are shared.  A network that
 * classifies takes no tau and no y (NULL) and gives f32 [N,num_classes]. */
cm_node *cm_net_apply(cm_net *net, const cm_net_config *config, cm_node *x, cm_node *tau,
                      cm_node *y);

#endif
