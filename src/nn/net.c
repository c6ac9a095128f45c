/* net.c - the parameter table and the layers networks share */
#include "nn/net.h"

#include "base/memory.h"
#include "base/philox.h"
#include "graph/op.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct cm_params {
    cm_arena names;
    cm_param *list;
    int n, cap;
    size_t floats;
    int open; /* being declared */
    cm_net_config config;
};

/* ---- table ---- */

static cm_status params_append(cm_params *p, const cm_param *param)
{
    if (p->n == p->cap) {
        const int cap = p->cap ? 2 * p->cap : 256;
        cm_param *bigger =
            cm_grow(p->list, (size_t)p->n * sizeof *bigger, (size_t)cap * sizeof *bigger);
        if (!bigger)
            return CM_ERR_MEMORY;
        p->list = bigger;
        p->cap = cap;
    }
    cm_param *at = &p->list[p->n];
    *at = *param;
    at->name = cm_arena_strdup(&p->names, param->name);
    at->offset = p->floats;
    if (!at->name)
        return CM_ERR_MEMORY;
    p->floats += ((size_t)cm_type_count(&param->type) + 15) / 16 * 16;
    p->n++;
    return CM_OK;
}

cm_status cm_params_new(const cm_net_config *config, cm_params **params, cm_error *err)
{
    cm_params *p = cm_alloc(sizeof *p);
    cm_graph *g = cm_graph_new();
    cm_status s = CM_ERR_MEMORY;
    if (p && g) {
        const int64_t side = config->image_size;
        p->open = 1;
        p->config = *config;
        cm_net net = cm_net_new(g, p, cm_graph_buffer(g, "params", 0), CM_F32);
        cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 1, side, side, config->in_channels));
        cm_node *t = cm_input(g, "t", CM_TYPE(CM_F32, 1));
        cm_node *y = config->num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, 1)) : NULL;
        cm_net_apply(&net, x, t, y);
        p->open = 0;
        s = cm_graph_check(g, err);
    } else
        cm_fail(err, CM_ERR_MEMORY, "network: out of memory");
    cm_graph_free(g);
    if (s) {
        cm_params_free(p);
        return s;
    }
    *params = p;
    return CM_OK;
}

void cm_params_free(cm_params *p)
{
    if (!p)
        return;
    cm_arena_free(&p->names);
    cm_free(p->list);
    cm_free(p);
}

int cm_params_size(const cm_params *p)
{
    return p->n;
}

const cm_param *cm_params_at(const cm_params *p, int i)
{
    return &p->list[i];
}

const cm_param *cm_params_find(const cm_params *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->list[i].name, name))
            return &p->list[i];
    return NULL;
}

size_t cm_params_floats(const cm_params *p)
{
    return p->floats;
}

int64_t cm_params_count(const cm_params *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->n; i++)
        n += cm_type_count(&p->list[i].type);
    return n;
}

void cm_params_init(const cm_params *p, uint64_t seed, float *flat)
{
    memset(flat, 0, p->floats * sizeof *flat);
    for (int i = 0; i < p->n; i++) {
        const cm_param *q = &p->list[i];
        const int64_t n = cm_type_count(&q->type);
        const float bound = 1.0f / sqrtf((float)(q->fan_in > 0 ? q->fan_in : 1));
        for (int64_t k = 0; k < n; k++) {
            float z[4];
            const cm_philox_block b = cm_philox(seed, (uint32_t)(k / 4), (uint32_t)i, 0, 0x1417u);
            cm_normal4(b, z);
            flat[q->offset + (size_t)k] = q->init == CM_INIT_ZERO  ? 0.0f
                                          : q->init == CM_INIT_ONE ? 1.0f
                                          : q->init == CM_INIT_UNIFORM
                                              ? bound * (2.0f * cm_uniform(b.v[k % 4]) - 1.0f)
                                              : z[k % 4];
        }
    }
}

/* ---- one network in one graph ---- */

cm_net cm_net_new(cm_graph *g, cm_params *params, int buffer, cm_dtype dtype)
{
    cm_net net = {
        .g = g, .config = &params->config, .params = params, .buffer = buffer, .dtype = dtype};
    if (!params->open)
        net.leaf = cm_graph_alloc(g, (size_t)params->n * sizeof *net.leaf);
    return net;
}

cm_node *cm_net_param(cm_net *net, cm_init init, int64_t fan_in, cm_type type, const char *fmt, ...)
{
    char name[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const cm_param wanted = {name, type, 0, init, fan_in};
    if (net->params->open && params_append(net->params, &wanted))
        cm_graph_fail(net->g, CM_ERR_MEMORY, "parameter %s: out of memory", name);
    if (cm_graph_check(net->g, NULL))
        return cm_scalar(net->g, 1, 0.0f); /* the poison node */
    const cm_param *p = &net->params->list[net->cursor];
    cm_assert(net->cursor < net->params->n && !strcmp(p->name, name));
    cm_node *leaf = net->leaf ? net->leaf[net->cursor] : NULL;
    if (!leaf)
        leaf = cm_leaf(net->g, net->buffer, p->offset * sizeof(float), p->type, p->name);
    if (net->leaf)
        net->leaf[net->cursor] = leaf;
    net->cursor++;
    return leaf;
}

void cm_net_begin_block(cm_net *net)
{
    if (net->recompute)
        cm_graph_begin_segment(net->g);
}

cm_node *cm_net_apply(cm_net *net, cm_node *x, cm_node *t, cm_node *y)
{
    net->cursor = 0;
    x = net->config->type == CM_NET_MLP ? cm_net_mlp(net, x, t, y) : cm_net_adm(net, x, t, y);
    cm_graph_end_segment(net->g);
    return x;
}

/* ---- layers ---- */

cm_node *cm_timestep_embedding(cm_graph *g, cm_node *t, int dim)
{
    const int half = dim / 2;
    const int64_t n = cm_node_type(t)->dim[0];
    float *freq = cm_graph_alloc(g, (size_t)half * sizeof *freq);
    for (int k = 0; freq && k < half; k++)
        freq[k] = (float)exp(-log(10000.0) * k / half);
    cm_node *f = freq ? cm_const(g, CM_TYPE(CM_F32, 1, half), freq) : t;
    cm_node *angle = cm_mul(g, CM_RESHAPE(g, t, n, 1), f);
    cm_node *e = cm_concat(g, cm_cos(g, angle), cm_sin(g, angle));
    return dim % 2 ? cm_pad(g, e, 0, dim) : e;
}

cm_node *cm_net_linear(cm_net *net, cm_node *x, int64_t out, int zero, const char *name)
{
    const int64_t in = cm_node_type(x)->dim[1];
    const cm_init init = zero ? CM_INIT_ZERO : CM_INIT_UNIFORM;
    cm_node *w = cm_net_param(net, init, in, CM_TYPE(CM_F32, out, in), "%s.weight", name);
    cm_node *b = cm_net_param(net, init, in, CM_TYPE(CM_F32, out), "%s.bias", name);
    return cm_add(net->g, cm_matmul(net->g, x, w, 0, 1), CM_RESHAPE(net->g, b, 1, out));
}

cm_node *cm_net_conv(cm_net *net, cm_node *x, int64_t out, int kernel, int stride, int zero,
                     const char *name)
{
    const int64_t in = cm_node_type(x)->dim[3], fan_in = in * kernel * kernel;
    const cm_init init = zero ? CM_INIT_ZERO : CM_INIT_UNIFORM;
    cm_node *w = cm_net_param(net, init, fan_in, CM_TYPE(CM_F32, out, in, kernel, kernel),
                              "%s.weight", name);
    cm_node *b = cm_net_param(net, init, fan_in, CM_TYPE(CM_F32, out), "%s.bias", name);
    return cm_conv2d(net->g, x, w, b, stride, kernel / 2);
}
