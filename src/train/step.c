/* step.c - build and compile the graph of a training step */
#include "train/step.h"

#include "base/memory.h"
#include "cpu/cpu.h"

#include <stdio.h>
#include <string.h>

/* Philox streams of a step; dropout layers count up from the last. */
enum { STREAM_NOISE = 1, STREAM_SIGMA = 2, STREAM_INDEX = 3, STREAM_DROPOUT = 1000 };

struct build {
    const cm_step_config *config;
    cm_graph *g;
    cm_node *x, *y, *rng, *hyper, *scales, *mu, *loss, *grad_squared;
    int params, m, v, grad, target, teacher, ema[CM_MAX_EMA]; /* buffers */
    cm_net student;
};

static cm_node *flat(struct build *b, int buffer, const char *name)
{
    const int64_t n = (int64_t)cm_params_floats(b->config->params);
    return cm_leaf(b->g, buffer, 0, CM_TYPE(CM_F32, n), name);
}

static cm_node *dsm(struct build *b, cm_node *z)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    cm_node *u = cm_normal(g, b->rng, CM_TYPE(CM_F32, c->batch), STREAM_SIGMA);
    cm_node *sigma = cm_exp(g, cm_affine(g, u, (float)c->p_std, (float)c->p_mean));
    const cm_denoiser d = {&b->student, CM_PRECOND_EDM, &c->schedule, b->y};
    return cm_loss_dsm(&d, c->weighting, b->x, z, sigma);
}

/* i ~ U{0..N-2}: t is level i of the grid, t2 the next one down. */
static cm_node *consistency(struct build *b, cm_node *z)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    cm_node *u = cm_random_uniform(g, b->rng, CM_TYPE(CM_F32, c->batch), STREAM_INDEX);
    cm_node *i = cm_floor(g, cm_mul(g, u, cm_affine(g, b->scales, 1.0f, -1.0f)));
    cm_node *t = cm_sigma_at_index(g, &c->schedule, i, b->scales);
    cm_node *t2 = cm_sigma_at_index(g, &c->schedule, cm_affine(g, i, 1.0f, 1.0f), b->scales);
    cm_net target = cm_net_new(g, c->params, b->target, c->dtype);
    cm_net teacher = cm_net_new(g, c->params, b->teacher, c->dtype);
    target.rng = b->student.rng; /* the same masks as the student's */
    target.stream = b->student.stream;
    const cm_denoiser teacher_graph = {&teacher, CM_PRECOND_EDM, &c->teacher_schedule, b->y};
    const cm_consistency_loss l = {
        .student = {&b->student, c->boundary, &c->schedule, b->y},
        .target = {&target, c->boundary, &c->schedule, b->y},
        .teacher = c->method == CM_METHOD_CD ? &teacher_graph : NULL,
        .solver = c->solver,
        .distance = c->distance,
        .weighting = c->weighting,
    };
    return cm_loss_consistency(&l, b->x, z, t, t2);
}

static void build_inputs(struct build *b)
{
    const cm_step_config *c = b->config;
    const int64_t side = c->net->image_size, n = c->batch;
    cm_graph *g = b->g;
    b->params = cm_graph_buffer(g, "params", 0);
    b->m = cm_graph_buffer(g, "m", 0);
    b->v = cm_graph_buffer(g, "v", 0);
    b->grad = cm_graph_buffer(g, "grad", 0);
    if (c->method != CM_METHOD_EDM)
        b->target = cm_graph_buffer(g, "target", 0);
    if (c->method == CM_METHOD_CD)
        b->teacher = cm_graph_buffer(g, "teacher", CM_BUFFER_CONST);
    for (int i = 0; i < c->n_ema; i++)
        b->ema[i] = cm_graph_buffer(g, "ema", 0);
    b->x = cm_input(g, "x", CM_TYPE(CM_F32, n, side, side, c->net->in_channels));
    b->y = c->net->num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, n)) : NULL;
    b->rng = cm_input(g, "rng", CM_TYPE(CM_I32, 3));
    b->hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2));
    b->scales = cm_input(g, "scales", CM_TYPE(CM_F32, 1));
    b->mu = cm_input(g, "mu", CM_TYPE(CM_F32, 1));
    b->student = cm_net_new(g, c->params, b->params, c->dtype);
    if (c->net->dropout > 0.0) {
        b->student.rng = b->rng;
        b->student.stream = STREAM_DROPOUT;
    }
}

static void build_gradients(struct build *b)
{
    const int n = cm_params_size(b->config->params);
    cm_graph *g = b->g;
    cm_node **grad = cm_graph_alloc(g, (size_t)n * sizeof(cm_node *));
    if (!grad || cm_graph_check(g, NULL))
        return;
    const float one = 1.0f;
    char name[300];
    cm_graph_vjp(g, b->loss, cm_const(g, CM_TYPE(CM_F32, 1), &one), n, b->student.leaf, grad);
    for (int i = 0; i < n; i++) {
        const cm_param *p = cm_params_at(b->config->params, i);
        if (!grad[i]) /* the parameter is unused and its gradient stays zero */
            continue;
        snprintf(name, sizeof name, "gradient of %s", p->name);
        cm_store(g, grad[i], cm_leaf(g, b->grad, p->offset * sizeof(float), p->type, name));
    }
}

static void build_updates(struct build *b)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    cm_node *p = flat(b, b->params, "params"), *m = flat(b, b->m, "m"), *v = flat(b, b->v, "v"),
            *grad = flat(b, b->grad, "grad");
    b->grad_squared = cm_sum_squares(g, grad);
    /* 0 * loss is not finite when the loss is not. */
    cm_node *gate = cm_add(g, b->grad_squared, cm_affine(g, b->loss, 0.0f, 0.0f));
    p = (c->adamw ? cm_adamw : cm_radam)(g, p, m, v, grad, b->hyper, gate, c->optimizer);
    for (int i = 0; i < c->n_ema; i++)
        cm_ema(g, flat(b, b->ema[i], "ema"), p, cm_scalar(g, 1, (float)c->ema_rate[i]), gate);
    if (c->method != CM_METHOD_EDM)
        cm_ema(g, flat(b, b->target, "target"), p, b->mu, gate);
}

static void build_step(struct build *b)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    build_inputs(b);
    cm_node *z = cm_normal(g, b->rng, *cm_node_type(b->x), STREAM_NOISE);
    cm_node *loss = c->method == CM_METHOD_EDM ? dsm(b, z) : consistency(b, z);
    loss = cm_sum_to(g, loss, CM_TYPE(CM_F32, 1));
    b->loss = cm_affine(g, loss, 1.0f / (float)c->batch, 0.0f);
    build_gradients(b);
    build_updates(b);
}

/* ---- memory ---- */

static float *array(cm_train_step *s, int buffer, cm_error *err)
{
    float *p = cm_alloc_array(s->floats, sizeof *p);
    if (p)
        cm_plan_bind(s->plan, buffer, p);
    else
        cm_fail(err, CM_ERR_MEMORY, "training step: out of memory (%zu bytes)",
                s->floats * sizeof *p);
    return p;
}

static cm_status bind_arrays(cm_train_step *s, const struct build *b, cm_error *err)
{
    const cm_step_config *c = b->config;
    int ok = (s->params = array(s, b->params, err)) && (s->m = array(s, b->m, err)) &&
             (s->v = array(s, b->v, err)) && (s->grad = array(s, b->grad, err));
    if (ok && c->method != CM_METHOD_EDM)
        ok = !!(s->target = array(s, b->target, err));
    if (ok && c->method == CM_METHOD_CD)
        ok = !!(s->teacher = array(s, b->teacher, err));
    for (int i = 0; ok && i < c->n_ema; i++)
        ok = !!(s->ema[i] = array(s, b->ema[i], err));
    if (!ok)
        return CM_ERR_MEMORY;
    s->x = cm_plan_data(s->plan, b->x);
    s->y = b->y ? cm_plan_data(s->plan, b->y) : NULL;
    s->rng = cm_plan_data(s->plan, b->rng);
    s->hyper = cm_plan_data(s->plan, b->hyper);
    if (c->method != CM_METHOD_EDM) {
        s->scales = cm_plan_data(s->plan, b->scales);
        s->mu = cm_plan_data(s->plan, b->mu);
    }
    s->loss = cm_plan_data(s->plan, b->loss);
    s->grad_squared = cm_plan_data(s->plan, b->grad_squared);
    return CM_OK;
}

cm_status cm_train_step_new(const cm_step_config *config, cm_train_step **step, cm_error *err)
{
    cm_train_step *s = cm_alloc(sizeof *s);
    struct build b = {.config = config, .g = cm_graph_new()};
    if (!s || !b.g) {
        cm_free(s);
        cm_graph_free(b.g);
        return cm_fail(err, CM_ERR_MEMORY, "training step: out of memory");
    }
    s->g = b.g;
    s->floats = cm_params_floats(config->params);
    build_step(&b);
    cm_node *outputs[] = {b.loss, b.grad_squared};
    cm_status status =
        cm_plan_compile(s->g, 2, outputs, cm_cpu_device(), config->threads, &s->plan, err);
    if (!status)
        status = bind_arrays(s, &b, err);
    if (status) {
        cm_train_step_free(s);
        return status;
    }
    *step = s;
    return CM_OK;
}

void cm_train_step_free(cm_train_step *s)
{
    if (!s)
        return;
    cm_plan_free(s->plan);
    cm_graph_free(s->g);
    cm_free(s->params);
    cm_free(s->m);
    cm_free(s->v);
    cm_free(s->grad);
    cm_free(s->target);
    cm_free(s->teacher);
    for (int i = 0; i < CM_MAX_EMA; i++)
        cm_free(s->ema[i]);
    cm_free(s);
}
