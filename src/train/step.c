/* step.c - build, compile and run the two plans of a training step */
#include "train/step.h"

#include "base/memory.h"
#include "cpu/cpu.h"

#include <stdio.h>
#include <string.h>

/* Philox streams of a step; dropout layers count up from the last. */
enum { STREAM_NOISE = 1, STREAM_SIGMA = 2, STREAM_INDEX = 3, STREAM_DROPOUT = 1000 };

/* ---- loss and gradient of a part ----------------------------------------- */

struct part {
    const cm_step_config *config;
    cm_graph *g;
    cm_node *x, *y, *rng, *scales;
    int params, target, teacher, grad, loss; /* buffers */
    cm_net student;
    cm_node *end; /* of the forward pass: the loss */
};

static cm_node *dsm(struct part *b, cm_node *z)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    const int64_t n = cm_node_type(b->x)->dim[0];
    cm_node *u = cm_normal(g, b->rng, CM_TYPE(CM_F32, n), STREAM_SIGMA);
    cm_node *sigma = cm_exp(g, cm_affine(g, u, (float)c->p_std, (float)c->p_mean));
    const cm_denoiser d = {&b->student, CM_PRECOND_EDM, &c->schedule, b->y};
    return cm_loss_dsm(&d, c->weighting, b->x, z, sigma);
}

/* i ~ U{0..N-2}: t is level i of the grid, t2 the next one down. */
static cm_node *consistency(struct part *b, cm_node *z)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    const int64_t n = cm_node_type(b->x)->dim[0];
    cm_node *u = cm_random_uniform(g, b->rng, CM_TYPE(CM_F32, n), STREAM_INDEX);
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

static void part_inputs(struct part *b)
{
    const cm_step_config *c = b->config;
    const int64_t side = c->net->image_size, n = c->batch / c->parts;
    cm_graph *g = b->g;
    /* Packed once a step where a step reads them more than once; else packing at use costs
     * the same time and no memory. */
    const unsigned changing = c->parts > 1 || c->recompute ? CM_BUFFER_CONST : 0;
    b->params = cm_graph_buffer(g, "params", changing);
    b->grad = cm_graph_buffer(g, "grad", 0);
    b->loss = cm_graph_buffer(g, "loss", 0);
    if (c->method != CM_METHOD_EDM)
        b->target = cm_graph_buffer(g, "target", changing);
    if (c->method == CM_METHOD_CD)
        b->teacher = cm_graph_buffer(g, "teacher", CM_BUFFER_CONST);
    b->x = cm_input(g, "x", CM_TYPE(CM_F32, n, side, side, c->net->in_channels));
    b->y = c->net->num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, n)) : NULL;
    b->rng = cm_input(g, "rng", CM_TYPE(CM_I32, 4));
    b->scales = cm_input(g, "scales", CM_TYPE(CM_F32, 1));
    b->student = cm_net_new(g, c->params, b->params, c->dtype);
    b->student.recompute = c->recompute;
    if (c->net->dropout > 0.0) {
        b->student.rng = b->rng;
        b->student.stream = STREAM_DROPOUT;
    }
}

/* The first of one part, or one more of several. */
static void add_up(const struct part *b, cm_node *value, cm_node *leaf)
{
    if (b->config->parts == 1)
        cm_store(b->g, value, leaf);
    else
        cm_accumulate(b->g, value, leaf);
}

static void part_gradients(struct part *b, cm_node *loss)
{
    const int n = cm_params_size(b->config->params);
    cm_graph *g = b->g;
    cm_node **grad = cm_graph_alloc(g, (size_t)n * sizeof(cm_node *));
    if (!grad || cm_graph_check(g, NULL))
        return;
    const float one = 1.0f;
    char name[300];
    cm_graph_vjp(g, loss, cm_const(g, CM_TYPE(CM_F32, 1), &one), n, b->student.leaf, grad);
    for (int i = 0; i < n; i++) {
        const cm_param *p = cm_params_at(b->config->params, i);
        if (!grad[i]) /* the parameter is unused and its gradient stays zero */
            continue;
        snprintf(name, sizeof name, "gradient of %s", p->name);
        add_up(b, grad[i], cm_leaf(g, b->grad, p->offset * sizeof(float), p->type, name));
    }
}

static void build_part(struct part *b)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    part_inputs(b);
    cm_node *z = cm_normal(g, b->rng, *cm_node_type(b->x), STREAM_NOISE);
    cm_node *loss = c->method == CM_METHOD_EDM ? dsm(b, z) : consistency(b, z);
    loss = cm_sum_to(g, loss, CM_TYPE(CM_F32, 1));
    loss = cm_affine(g, loss, 1.0f / (float)c->batch, 0.0f);
    b->end = loss;
    part_gradients(b, loss);
    add_up(b, loss, cm_leaf(g, b->loss, 0, CM_TYPE(CM_F32, 1), "loss"));
}

/* ---- update -------------------------------------------------------------- */

struct update {
    const cm_step_config *config;
    cm_graph *g;
    cm_node *hyper, *mu, *grad_squared;
    int params, m, v, grad, loss, target, ema[CM_MAX_EMA]; /* buffers */
};

static cm_node *flat(const struct update *b, int *buffer, const char *name)
{
    const int64_t n = (int64_t)cm_params_floats(b->config->params);
    *buffer = cm_graph_buffer(b->g, name, 0);
    return cm_leaf(b->g, *buffer, 0, CM_TYPE(CM_F32, n), name);
}

static void build_update(struct update *b)
{
    const cm_step_config *c = b->config;
    cm_graph *g = b->g;
    cm_node *p = flat(b, &b->params, "params"), *m = flat(b, &b->m, "m"), *v = flat(b, &b->v, "v"),
            *grad = flat(b, &b->grad, "grad");
    b->loss = cm_graph_buffer(g, "loss", 0);
    cm_node *loss = cm_leaf(g, b->loss, 0, CM_TYPE(CM_F32, 1), "loss");
    b->hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2));
    b->mu = cm_input(g, "mu", CM_TYPE(CM_F32, 1));
    b->grad_squared = cm_sum_squares(g, grad);
    /* 0 * loss is not finite when the loss is not. */
    cm_node *gate = cm_add(g, b->grad_squared, cm_affine(g, loss, 0.0f, 0.0f));
    p = (c->adamw ? cm_adamw : cm_radam)(g, p, m, v, grad, b->hyper, gate, c->optimizer);
    for (int i = 0; i < c->n_ema; i++)
        cm_ema(g, flat(b, &b->ema[i], "ema"), p, cm_scalar(g, 1, (float)c->ema_rate[i]), gate);
    if (c->method != CM_METHOD_EDM)
        cm_ema(g, flat(b, &b->target, "target"), p, b->mu, gate);
}

/* ---- memory -------------------------------------------------------------- */

static int allocate(cm_train_step *s, const cm_step_config *c)
{
    float **const always[] = {&s->params, &s->m, &s->v, &s->grad};
    int ok = 1;
    for (int i = 0; i < 4; i++)
        ok &= !!(*always[i] = cm_alloc_array(s->floats, sizeof(float)));
    for (int i = 0; i < c->n_ema; i++)
        ok &= !!(s->ema[i] = cm_alloc_array(s->floats, sizeof(float)));
    if (c->method != CM_METHOD_EDM)
        ok &= !!(s->target = cm_alloc_array(s->floats, sizeof(float)));
    if (c->method == CM_METHOD_CD)
        ok &= !!(s->teacher = cm_alloc_array(s->floats, sizeof(float)));
    ok &= !!(s->loss = cm_alloc(64));
    if (c->parts > 1) {
        ok &= !!(s->x = cm_alloc_array((size_t)c->batch * s->image, sizeof(float)));
        if (c->net->num_classes)
            ok &= !!(s->y = cm_alloc_array((size_t)c->batch, sizeof(int32_t)));
    }
    return ok;
}

static void bind_part(cm_train_step *s, const struct part *b)
{
    const cm_step_config *c = b->config;
    cm_plan_bind(s->part, b->params, s->params);
    cm_plan_bind(s->part, b->grad, s->grad);
    cm_plan_bind(s->part, b->loss, s->loss);
    if (s->target)
        cm_plan_bind(s->part, b->target, s->target);
    if (s->teacher)
        cm_plan_bind(s->part, b->teacher, s->teacher);
    s->params_buffer = b->params;
    s->target_buffer = s->target ? b->target : -1;
    s->loss_node = b->end;
    s->part_x = cm_plan_data(s->part, b->x);
    s->part_y = b->y ? cm_plan_data(s->part, b->y) : NULL;
    s->part_rng = cm_plan_data(s->part, b->rng);
    s->scales = s->target ? cm_plan_data(s->part, b->scales) : NULL;
    if (c->parts == 1) { /* the whole batch is fed directly */
        s->x = s->part_x;
        s->y = s->part_y;
    }
}

static void bind_update(cm_train_step *s, const struct update *b)
{
    cm_plan_bind(s->update, b->params, s->params);
    cm_plan_bind(s->update, b->m, s->m);
    cm_plan_bind(s->update, b->v, s->v);
    cm_plan_bind(s->update, b->grad, s->grad);
    cm_plan_bind(s->update, b->loss, s->loss);
    for (int i = 0; i < b->config->n_ema; i++)
        cm_plan_bind(s->update, b->ema[i], s->ema[i]);
    if (s->target)
        cm_plan_bind(s->update, b->target, s->target);
    s->hyper = cm_plan_data(s->update, b->hyper);
    s->mu = s->target ? cm_plan_data(s->update, b->mu) : NULL;
    s->grad_squared = cm_plan_data(s->update, b->grad_squared);
}

static cm_status compile(cm_train_step *s, const cm_step_config *c, cm_error *err)
{
    struct part part = {.config = c, .g = s->part_graph};
    struct update update = {.config = c, .g = s->update_graph};
    build_part(&part);
    build_update(&update);
    cm_status status = cm_plan_compile(part.g, 0, NULL, cm_cpu_device(), c->threads, &s->part, err);
    if (!status)
        status = cm_plan_compile(update.g, 1, &update.grad_squared, cm_cpu_device(), c->threads,
                                 &s->update, err);
    if (status)
        return status;
    if (!allocate(s, c))
        return cm_fail(err, CM_ERR_MEMORY,
                       "training step: out of memory (%zu bytes for each array of weights)",
                       s->floats * sizeof(float));
    bind_part(s, &part);
    bind_update(s, &update);
    return CM_OK;
}

cm_status cm_train_step_new(const cm_step_config *config, cm_train_step **step, cm_error *err)
{
    cm_step_config c = *config;
    cm_train_step *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "training step: out of memory");
    c.parts = c.parts > 0 ? c.parts : 1;
    cm_assert(c.batch % c.parts == 0);
    s->batch = c.batch;
    s->parts = c.parts;
    s->floats = cm_params_floats(c.params);
    s->image = (size_t)c.net->image_size * (size_t)c.net->image_size * (size_t)c.net->in_channels;
    s->part_graph = cm_graph_new();
    s->update_graph = cm_graph_new();
    const cm_status status = s->part_graph && s->update_graph
                                 ? compile(s, &c, err)
                                 : cm_fail(err, CM_ERR_MEMORY, "training step: out of memory");
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
    cm_plan_free(s->part);
    cm_plan_free(s->update);
    cm_graph_free(s->part_graph);
    cm_graph_free(s->update_graph);
    if (s->parts > 1) {
        cm_free(s->x);
        cm_free(s->y);
    }
    cm_free(s->params);
    cm_free(s->m);
    cm_free(s->v);
    cm_free(s->grad);
    cm_free(s->loss);
    cm_free(s->target);
    cm_free(s->teacher);
    for (int i = 0; i < CM_MAX_EMA; i++)
        cm_free(s->ema[i]);
    cm_free(s);
}

/* ---- running ------------------------------------------------------------- */

static void begin(cm_train_step *s)
{
    if (s->parts > 1) {
        memset(s->grad, 0, s->floats * sizeof *s->grad);
        *s->loss = 0.0f;
    }
    cm_plan_refresh_buffer(s->part, s->params_buffer); /* they moved */
    if (s->target_buffer >= 0)
        cm_plan_refresh_buffer(s->part, s->target_buffer);
}

static void feed(cm_train_step *s, int part)
{
    const size_t n = (size_t)(s->batch / s->parts), first = n * (size_t)part;
    memcpy(s->part_rng, s->rng, sizeof s->rng);
    s->part_rng[3] = (int32_t)first;
    if (s->parts == 1)
        return;
    memcpy(s->part_x, s->x + first * s->image, n * s->image * sizeof *s->x);
    if (s->y)
        memcpy(s->part_y, s->y + first, n * sizeof *s->y);
}

void cm_train_step_run(cm_train_step *s)
{
    begin(s);
    for (int i = 0; i < s->parts; i++) {
        feed(s, i);
        cm_plan_run(s->part);
    }
    cm_plan_run(s->update);
}

int cm_train_step_find_nonfinite(cm_train_step *s, char *buf, size_t size)
{
    begin(s);
    for (int i = 0; i < s->parts; i++) {
        feed(s, i);
        if (cm_plan_find_nonfinite(s->part, buf, size))
            return 1;
    }
    return cm_plan_find_nonfinite(s->update, buf, size);
}

/* params, m, v, and those that there are of target, teacher and averages */
static size_t state_bytes(const cm_train_step *s)
{
    size_t arrays = 3;
    arrays += s->target ? 1 : 0;
    arrays += s->teacher ? 1 : 0;
    for (int i = 0; i < CM_MAX_EMA; i++)
        arrays += s->ema[i] ? 1 : 0;
    return arrays * s->floats * sizeof(float);
}

size_t cm_train_step_bytes(const cm_train_step *s)
{
    const cm_plan_memory a = cm_plan_get_memory(s->part), b = cm_plan_get_memory(s->update);
    const size_t gradient = s->floats * sizeof(float);
    return state_bytes(s) + gradient + a.activations + a.workspace + a.constants + b.activations +
           b.workspace + b.constants;
}

size_t cm_train_step_needed_bytes(const cm_train_step *s)
{
    return state_bytes(s) + cm_plan_kept_bytes(s->part, s->loss_node);
}
