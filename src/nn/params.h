/* params.h - the parameters of whatever builds a network
 *
 * A network is a function that builds nodes and asks for its parameters by name.  Built
 * once to *declare*, the table writes down what was asked for (name, shape, place, first
 * value).  Built again, in any graph, the same calls yield leaves at those places of one
 * flat buffer; so weights, averages, optimizer state and gradients of a network are arrays
 * of the same layout, and loops over parameters are loops over one array. */
#ifndef CM_NN_PARAMS_H
#define CM_NN_PARAMS_H

#include "graph/graph.h"
#include "io/safetensors.h"

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

/* One network in one graph: what its builder works with. */
typedef struct cm_net {
    cm_graph *g;
    cm_params *params;
    int buffer;      /* of the flat parameters */
    cm_dtype dtype;  /* of activations */
    cm_node *rng;    /* dropout, NULL: none */
    uint32_t stream; /* of the first dropout mask; equal streams share masks */
    int recompute;   /* each block is a segment: its inside is computed again for vjp */
    int cursor;      /* parameters asked for so far */
    cm_node **leaf;  /* [cm_params_size], the leaves of the first use */
} cm_net;

/* Builds a network, inputs included, in net->g; user is the builder's own. */
typedef void (*cm_net_builder)(cm_net *net, const void *user);

/* Build once to learn the parameters.  Errors: the builder's, CM_ERR_MEMORY. */
cm_status cm_params_new(cm_net_builder build, const void *user, cm_params **params, cm_error *err);
void cm_params_free(cm_params *params);
int cm_params_size(const cm_params *params);
const cm_param *cm_params_at(const cm_params *params, int i);
const cm_param *cm_params_find(const cm_params *params, const char *name); /* NULL: none */
size_t cm_params_floats(const cm_params *params); /* of the flat array, gaps included */
int64_t cm_params_count(const cm_params *params); /* of parameters proper */
/* PyTorch's defaults and the reference's zeroed layers, from a seed. */
void cm_params_init(const cm_params *params, uint64_t seed, float *flat);

/* Whether the file has every parameter in its shape, and nothing else: an error counts and names
 * the tensors that are missing, of another shape, and not of this network.  Reads and
 * allocates nothing.  Errors: CM_ERR_FORMAT. */
cm_status cm_params_fit(const cm_params *params, const cm_st_file *file, cm_error *err);
/* Read every parameter from a file that fits into flat. */
cm_status cm_params_load(const cm_params *params, const cm_st_file *file, float *flat,
                         cm_error *err);
/* One f32 entry a parameter, pointing into flat. */
void cm_params_entries(const cm_params *params, const float *flat, cm_st_entry *entries);

/* A network whose parameters live in `buffer` of g; params must outlive it. */
cm_net cm_net_new(cm_graph *g, cm_params *params, int buffer, cm_dtype dtype);
/* The builder runs again in the same graph: the parameters are shared. */
void cm_net_restart(cm_net *net);

/* ---- for builders ---- */

/* The next parameter; in the declaring build it is entered into the table. */
cm_node *cm_net_param(cm_net *net, cm_init init, int64_t fan_in, cm_type type, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* What follows is a block, up to the next one or the end of the network. */
void cm_net_begin_block(cm_net *net);

#endif
