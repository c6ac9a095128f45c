/* adm_case.h - a golden ADM network as a graph: leaves for everything it can be
 * differentiated by, fed with the golden inputs */
#ifndef CM_TESTS_ADM_CASE_H
#define CM_TESTS_ADM_CASE_H

#include "golden_network.h"

#include "graph/op.h"

enum { MAX_PARAMS = 600 };

struct case_ {
    network net;
    cm_st_file *io;
    cm_graph *g;
    cm_plan *plan;
    cm_net instance;
    int64_t n, side, channels;
    cm_node *x, *t, *y, *out, *dy, *dx[1 + MAX_PARAMS], *wrt[1 + MAX_PARAMS];
    int n_wrt;
};

static inline struct case_ open_case(const char *name, cm_dtype dtype)
{
    struct case_ c = {0};
    char io[128];
    snprintf(io, sizeof io, "%s.io.safetensors", name);
    c.net = network_load(io, FORMULA_STUDENT);
    c.io = network_open(io);
    c.n = cm_st_find(c.io, "x")->dim[0];
    c.side = c.net.config.height;
    c.channels = c.net.config.in_channels;
    c.g = cm_graph_new();
    const int buffer = cm_graph_buffer(c.g, "params", 0);
    c.instance = cm_net_new(c.g, c.net.params, buffer, dtype);
    c.x = cm_input(c.g, "x", CM_TYPE(CM_F32, c.n, c.side, c.side, c.channels));
    c.t = cm_input(c.g, "t", CM_TYPE(CM_F32, c.n));
    c.y = c.net.config.num_classes ? cm_input(c.g, "y", CM_TYPE(CM_I32, c.n)) : NULL;
    c.out = cm_net_apply(&c.instance, &c.net.config, c.x, c.t, c.y);
    c.dy = cm_input(c.g, "dy", *cm_node_type(c.out));
    c.n_wrt = 1 + cm_params_size(c.net.params);
    c.wrt[0] = c.x;
    for (int i = 1; i < c.n_wrt; i++)
        c.wrt[i] = c.instance.leaf[i - 1];
    return c;
}

static inline void compile(struct case_ *c, int n_out, cm_node *const *out)
{
    cm_error err = {0};
    if (cm_plan_compile(c->g, n_out, out, cm_cpu_device(), 2, &c->plan, &err)) {
        CHECK(0, "%s", err.message);
        exit(EXIT_FAILURE);
    }
    cm_plan_bind(c->plan, c->instance.buffer, c->net.flat);
}

static inline void feed(struct case_ *c)
{
    const size_t count = (size_t)(c->n * c->side * c->side * c->channels);
    float *x = network_images(c->io, "x"), *t = network_read(c->io, "timesteps", NULL);
    float *dy = network_images(c->io, "out_cotangent");
    memcpy(cm_plan_data(c->plan, c->x), x, count * sizeof *x);
    memcpy(cm_plan_data(c->plan, c->t), t, (size_t)c->n * sizeof *t);
    if (cm_plan_data(c->plan, c->dy))
        memcpy(cm_plan_data(c->plan, c->dy), dy, cm_type_bytes(cm_node_type(c->dy)));
    if (c->y) {
        float *y = network_read(c->io, "y", NULL);
        int32_t *to = cm_plan_data(c->plan, c->y);
        for (int64_t i = 0; i < c->n; i++)
            to[i] = (int32_t)y[i];
        cm_free(y);
    }
    cm_free(x);
    cm_free(t);
    cm_free(dy);
}

static inline void close_case(struct case_ *c)
{
    cm_plan_free(c->plan);
    cm_graph_free(c->g);
    cm_st_close(c->io);
    network_free(&c->net);
}

#endif
