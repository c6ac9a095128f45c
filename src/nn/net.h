/* net.h - networks as graph-building functions
 *
 * A network is described by a cm_net_config and its parameters by a table that
 * building it once writes down (name, shape, place, first value).  Building it
 * again, in any graph, yields leaves at those places of one flat buffer; so
 * weights, averages, optimizer state and gradients of a network are arrays of
 * the same layout, and loops over parameters are loops over one array. */
#ifndef CM_NN_NET_H
#define CM_NN_NET_H

#include "graph/graph.h"

enum { CM_MAX_LEVELS = 16 };

typedef enum cm_net_type { CM_NET_ADM, CM_NET_MLP } cm_net_type;

/* Field names as in the reference's configuration (cm/unet.py). */
typedef struct cm_net_config {
    cm_net_type type;
    int image_size; /* side; 1 for point data */
    int in_channels, out_channels;
    int model_channels;
    int num_res_blocks;
    int n_levels;
    double channel_mult[CM_MAX_LEVELS];
    int n_attention;
    int attention_resolutions[CM_MAX_LEVELS]; /* as downsampling factors, e.g. 2, 4 */
    int num_classes;                          /* 0: not class-conditional */
    int num_heads, num_head_channels;         /* width rules where it is not 0 */
    int use_scale_shift_norm, resblock_updown;
    double dropout;
} cm_net_config;

/* The first value of a parameter. */
typedef enum cm_init { CM_INIT_ZERO, CM_INIT_ONE, CM_INIT_UNIFORM, CM_INIT_NORMAL } cm_init;

typedef struct cm_param {
    const char *name; /* the original state-dict key */
    cm_type type;     /* f32, in the checkpoint's layout */
    size_t offset;    /* in floats; a multiple of 16 */
    cm_init init;
    int64_t fan_in; /* uniform: +-1/sqrt(fan_in) */
} cm_param;

typedef struct cm_params cm_params;

/* Build the network once to learn its parameters; the table keeps the
 * configuration. */
cm_status cm_params_new(const cm_net_config *config, cm_params **params, cm_error *err);
void cm_params_free(cm_params *params);
int cm_params_size(const cm_params *params);
const cm_param *cm_params_at(const cm_params *params, int i);
const cm_param *cm_params_find(const cm_params *params, const char *name); /* NULL: none */
size_t cm_params_floats(const cm_params *params); /* of the flat array, gaps included */
int64_t cm_params_count(const cm_params *params); /* of parameters proper */
/* PyTorch's defaults and the reference's zeroed layers, from a seed. */
void cm_params_init(const cm_params *params, uint64_t seed, float *flat);

/* One network in one graph. */
typedef struct cm_net {
    cm_graph *g;
    const cm_net_config *config;
    cm_params *params;
    int buffer;      /* of the flat parameters */
    cm_dtype dtype;  /* of activations */
    cm_node *rng;    /* dropout, NULL: none */
    uint32_t stream; /* of the first dropout mask; equal streams share masks */
    int recompute;   /* each block is a segment: its inside is computed again for vjp */
    int cursor;      /* parameters asked for so far */
    cm_node **leaf;  /* [cm_params_size], the leaves of the first use */
} cm_net;

/* A network whose parameters live in `buffer` of g; params must outlive it. */
cm_net cm_net_new(cm_graph *g, cm_params *params, int buffer, cm_dtype dtype);

/* F(x, t, y): x f32 [N,H,W,C], t f32 [N] (rescaled time), y i32 [N] or NULL ->
 * f32 [N,H,W,out].  May be called again: the parameters are shared. */
cm_node *cm_net_apply(cm_net *net, cm_node *x, cm_node *t, cm_node *y);

/* ---- for the networks ---- */

/* What follows is a block, up to the next one or the end of the network. */
void cm_net_begin_block(cm_net *net);

/* The next parameter; in the declaring build it is entered into the table. */
cm_node *cm_net_param(cm_net *net, cm_init init, int64_t fan_in, cm_type type, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* [cos(t f_k), sin(t f_k)], f_k = 10000^(-k / (dim/2)): t [N] -> [N,dim] */
cm_node *cm_timestep_embedding(cm_graph *g, cm_node *t, int dim);
/* x [N,in] -> [N,out] in f32, parameters NAME.weight [out,in] and NAME.bias */
cm_node *cm_net_linear(cm_net *net, cm_node *x, int64_t out, int zero, const char *name);
/* x [N,H,W,in] -> [N,H',W',out] */
cm_node *cm_net_conv(cm_net *net, cm_node *x, int64_t out, int kernel, int stride, int zero,
                     const char *name);
cm_node *cm_net_adm(cm_net *net, cm_node *x, cm_node *t, cm_node *y);
cm_node *cm_net_mlp(cm_net *net, cm_node *x, cm_node *t, cm_node *y);

#endif
