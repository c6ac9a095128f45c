/* params.c - the parameter table, its files, and the leaves of a network in a graph */
#include "nn/params.h"

#include "base/memory.h"
#include "base/philox.h"
#include "graph/op.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct cm_params {
    cm_arena names;
    cm_param *list;
    int n, cap;
    size_t floats;
    int open; /* being declared */
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

cm_status cm_params_new(cm_net_builder build, const void *user, cm_params **params, cm_error *err)
{
    cm_params *p = cm_alloc(sizeof *p);
    cm_graph *g = cm_graph_new();
    cm_status s = CM_ERR_MEMORY;
    if (p && g) {
        p->open = 1;
        cm_net net = cm_net_new(g, p, cm_graph_buffer(g, "params", 0), CM_F32);
        build(&net, user);
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

/* ---- files ---- */

static int same_dims(const cm_param *p, const cm_st_tensor *t)
{
    if (t->rank != p->type.rank)
        return 0;
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] != p->type.dim[i])
            return 0;
    return 1;
}

/* Names of tensors that are wrong in one way: how many, and the first few as text. */
typedef struct culprits {
    int n;
    char text[256];
} culprits;

__attribute__((format(printf, 2, 3))) static void add_culprit(culprits *c, const char *fmt, ...)
{
    enum { SHOWN = 3 };
    const size_t used = strlen(c->text);
    va_list ap;
    c->n++;
    if (c->n > SHOWN + 1)
        return;
    if (c->n > SHOWN) {
        snprintf(c->text + used, sizeof c->text - used, " ...");
        return;
    }
    va_start(ap, fmt);
    vsnprintf(c->text + used, sizeof c->text - used, fmt, ap);
    va_end(ap);
}

/* The steps that a batch norm of PyTorch was trained for; no network computes with them. */
static int is_counter(const char *name)
{
    static const char end[] = ".num_batches_tracked";
    const size_t n = strlen(name), m = sizeof end - 1;
    return n > m && !strcmp(name + n - m, end);
}

cm_status cm_params_fit(const cm_params *params, const cm_st_file *file, cm_error *err)
{
    culprits missing = {0}, unexpected = {0}, misshapen = {0};
    const int n = cm_params_size(params), found = cm_st_count(file);
    char name[64], want[96], shape[CM_ST_SHAPE_TEXT];
    for (int i = 0; i < n; i++) {
        const cm_param *p = cm_params_at(params, i);
        const cm_st_tensor *t = cm_st_find(file, p->name);
        if (!t)
            add_culprit(&missing, " \"%s\"", p->name);
        else if (!same_dims(p, t))
            add_culprit(&misshapen, " \"%s\" (expected %s, found %.60s)", p->name,
                        cm_type_text(want, sizeof want, &p->type), cm_st_shape_text(shape, t));
    }
    for (int i = 0; i < found && found != n - missing.n; i++)
        if (!cm_params_find(params, cm_st_at(file, i)->name) &&
            !is_counter(cm_st_at(file, i)->name))
            add_culprit(&unexpected, " \"%s\"",
                        cm_escape(name, sizeof name, cm_st_at(file, i)->name));
    if (!missing.n && !unexpected.n && !misshapen.n)
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: tensors: expected the %d of the configured network, found %d; missing: "
                   "%d%s; not part of it: %d%s; of another shape: %d%s",
                   cm_st_path(file), n, found, missing.n, missing.text, unexpected.n,
                   unexpected.text, misshapen.n, misshapen.text);
}

cm_status cm_params_load(const cm_params *params, const cm_st_file *file, float *flat,
                         cm_error *err)
{
    cm_status s = cm_params_fit(params, file, err);
    for (int i = 0; i < cm_params_size(params) && !s; i++) {
        const cm_param *p = cm_params_at(params, i);
        s = cm_st_read_f32(file, cm_st_find(file, p->name), flat + p->offset, err);
    }
    return s;
}

void cm_params_entries(const cm_params *params, const float *flat, cm_st_entry *entries)
{
    for (int i = 0; i < cm_params_size(params); i++) {
        const cm_param *p = cm_params_at(params, i);
        entries[i] = (cm_st_entry){
            .name = p->name, .dtype = CM_ST_F32, .rank = p->type.rank, .data = flat + p->offset};
        memcpy(entries[i].dim, p->type.dim, sizeof p->type.dim);
    }
}

/* ---- one network in one graph ---- */

cm_net cm_net_new(cm_graph *g, cm_params *params, int buffer, cm_dtype dtype)
{
    cm_net net = {.g = g, .params = params, .buffer = buffer, .dtype = dtype};
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

void cm_net_restart(cm_net *net)
{
    net->cursor = 0;
}
