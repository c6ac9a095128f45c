/* distance_graph.h - a distance of losses in a graph of its own: its value, its gradients in both
 * images, its tangent; and their check, which knows of the distance nothing but its value:
 *
 *   the tangent along (va, vb) is the central difference of d
 *   <grad_a, va> + <grad_b, vb> is the tangent
 *   for an embedding e: d(a + h va, a) / h^2, meaned over both signs of h, is the sum of the
 *   weighted squares of the tangent of e at a, which tangents of losses count on */
#ifndef CM_TESTS_DISTANCE_GRAPH_H
#define CM_TESTS_DISTANCE_GRAPH_H

#include "step_settings.h"

#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/plan.h"

#include <math.h>
#include <string.h>

typedef struct distance_graph {
    step_settings settings;
    cm_net net;
    cm_graph *g;
    cm_plan *plan;
    cm_type type;   /* of the images */
    cm_node *in[4]; /* a, b, va, vb */
    /* d [N], grad_a, grad_b, tangent [N], squares of the tangent of e at a [N] (NULL: no e) */
    cm_node *out[5];
} distance_graph;

static inline cm_node *distance_graph_squares(distance_graph *q, const cm_loss_context *c)
{
    cm_embedding e = {0};
    cm_node *sum = NULL;
    q->settings.settings.distance->embed(c, q->in[0], &e);
    for (int i = 0; i < e.n; i++) {
        cm_node *dot = cm_graph_jvp(q->g, e.part[i].value, 1, &q->in[0], &q->in[2]);
        cm_node *s = cm_mul(q->g, dot, dot);
        if (e.part[i].weight)
            s = cm_mul(q->g, s, e.part[i].weight);
        s = cm_affine(q->g, cm_sum_to(q->g, s, CM_TYPE(CM_F32, q->type.dim[0], 1, 1, 1)),
                      e.part[i].scale, 0.0f);
        sum = sum ? cm_add(q->g, sum, s) : s;
    }
    return sum;
}

/* f: the network it looks through, NULL: none.  Cleared with distance_graph_clear. */
static inline int distance_graph_make(distance_graph *q, const char *name, cm_type images,
                                      const cm_frozen_weights *f, cm_dtype dtype)
{
    static const char *const names[] = {"a", "b", "va", "vb"};
    float ones[16];
    cm_error err = {0};
    *q = (distance_graph){.g = cm_graph_new(), .type = images};
    step_settings_make(&q->settings, "ct", (int)images.dim[0]);
    snprintf(q->settings.options.loss_norm, sizeof q->settings.options.loss_norm, "%s", name);
    step_settings_resolve(&q->settings);
    const int buffer = cm_graph_buffer(q->g, "frozen", CM_BUFFER_CONST);
    cm_loss_context c = {.settings = &q->settings.settings, .g = q->g};
    if (f) {
        q->net = cm_net_new(q->g, f->params, buffer, dtype);
        c.frozen = (cm_frozen){&q->net, f->model ? &f->model->net : NULL};
    }
    for (int i = 0; i < 4; i++)
        q->in[i] = cm_input(q->g, names[i], images);
    for (int i = 0; i < (int)images.dim[0]; i++)
        ones[i] = 1.0f;
    cm_node *one = cm_const(q->g, CM_TYPE(CM_F32, images.dim[0]), ones);
    q->out[0] = cm_distance_between(c.settings->distance, &c, q->in[0], q->in[1]);
    cm_graph_vjp(q->g, q->out[0], one, 2, q->in, q->out + 1);
    q->out[3] = cm_graph_jvp(q->g, q->out[0], 2, q->in, q->in + 2);
    const int n = c.settings->distance->embed ? 5 : 4;
    if (n == 5)
        q->out[4] = distance_graph_squares(q, &c);
    if (!CHECK_OK(cm_plan_compile(q->g, n, q->out, cm_cpu_device(), 2, &q->plan, &err), err))
        return 0;
    if (f)
        cm_plan_bind(q->plan, buffer, f->flat);
    return 1;
}

static inline void distance_graph_clear(distance_graph *q)
{
    cm_plan_free(q->plan);
    cm_graph_free(q->g);
}

/* d of each sample, of a + h va and b + h vb; values [N,H,W,C] */
static inline void distance_graph_run(const distance_graph *q, const float *a, const float *b,
                                      const float *va, const float *vb, double h, float *d)
{
    const int64_t n = cm_type_count(&q->type);
    float *x = cm_alloc_array((size_t)n, sizeof *x);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n; i++)
            x[i] = (k ? b : a)[i] + (h != 0.0 ? (float)h * (k ? vb : va)[i] : 0.0f);
        cm_plan_write(q->plan, q->in[k], x);
    }
    if (va) {
        cm_plan_write(q->plan, q->in[2], va);
        cm_plan_write(q->plan, q->in[3], vb);
    }
    cm_plan_run(q->plan);
    cm_plan_read(q->plan, q->out[0], d);
    cm_free(x);
}

/* <grad_a, va> + <grad_b, vb> of sample n, as of the last run */
static inline double distance_graph_pairing(const distance_graph *q, int n, const float *va,
                                            const float *vb)
{
    const int64_t all = cm_type_count(&q->type), each = all / q->type.dim[0];
    float *grad = cm_alloc_array((size_t)all, sizeof *grad);
    double sum = 0.0;
    for (int k = 0; k < 2; k++) {
        cm_plan_read(q->plan, q->out[1 + k], grad);
        for (int64_t i = n * each; i < (n + 1) * each; i++)
            sum += (double)grad[i] * (double)(k ? vb : va)[i];
    }
    cm_free(grad);
    return sum;
}

/* tol: of central differences with this step h in f32, relative. */
static inline void distance_graph_check(const distance_graph *q, const char *name, const float *a,
                                        const float *b, const float *va, const float *vb, double h,
                                        double tol)
{
    enum { MOST = 16 };
    float d[3][MOST], dot[MOST], squares[MOST];
    const int n = (int)q->type.dim[0];
    distance_graph_run(q, a, b, va, vb, h, d[1]);
    distance_graph_run(q, a, b, va, vb, -h, d[2]);
    distance_graph_run(q, a, b, va, vb, 0.0, d[0]);
    cm_plan_read(q->plan, q->out[3], dot);
    for (int i = 0; i < n; i++) {
        const double central = ((double)d[1][i] - (double)d[2][i]) / (2.0 * h),
                     pairing = distance_graph_pairing(q, i, va, vb);
        CHECK(fabs((double)dot[i] - central) <= tol * fabs(central),
              "%s, sample %d: tangent %.7g, central difference %.7g", name, i, (double)dot[i],
              central);
        CHECK(fabs((double)dot[i] - pairing) <= 1e-4 * fabs(pairing),
              "%s, sample %d: tangent %.7g, of the gradients %.7g", name, i, (double)dot[i],
              pairing);
    }
    if (!q->out[4])
        return;
    cm_plan_read(q->plan, q->out[4], squares);
    float *still = cm_alloc_array((size_t)cm_type_count(&q->type), sizeof *still);
    for (int k = 1; k <= 2; k++)
        distance_graph_run(q, a, a, va, still, k == 1 ? h : -h, d[k]);
    for (int i = 0; i < n; i++) {
        const double mean = 0.5 * ((double)d[1][i] + (double)d[2][i]) / (h * h);
        CHECK(fabs((double)squares[i] - mean) <= tol * mean,
              "%s, sample %d: squares of the tangent %.7g, distance over h^2 %.7g", name, i,
              (double)squares[i], mean);
    }
    cm_free(still);
}

#endif
