/* step.c - build, compile and run the two plans of a training step */
#include "train/step.h"

#include "base/memory.h"
#include "train/optimizer.h"

#include <stdio.h>
#include <string.h>

/* ---- loss and gradient of a part ----------------------------------------- */

struct part {
    const cm_step_config *config;
    const cm_objective *objective;
    int parts;
    int params, target, teacher, frozen, grad, loss; /* buffers */
    cm_net student, target_net, teacher_net, frozen_net;
    cm_loss_context context; /* graph, inputs, denoisers */
    cm_node *y, *end;        /* end of the forward pass: the loss */
};

static const cm_train_params *options_of(const cm_step_config *c)
{
    return c->settings->options;
}

static void part_inputs(struct part *b)
{
    const cm_step_config *c = b->config;
    const cm_net_config *n = c->net;
    cm_loss_context *l = &b->context;
    cm_graph *g = l->g;
    const int64_t images = options_of(c)->batch / b->parts;
    l->x0 = cm_input(g, "x", CM_TYPE(CM_F32, images, n->height, n->width, n->in_channels));
    b->y = n->num_classes ? cm_input(g, "y", CM_TYPE(CM_I32, images)) : NULL;
    l->rng = cm_input(g, "rng", CM_TYPE(CM_I32, 4));
    for (int i = 0; b->objective->scalars[i].name; i++)
        l->scalar[i] = cm_input(g, b->objective->scalars[i].name, CM_TYPE(CM_F32, 1));
}

static void part_networks(struct part *b)
{
    const cm_step_config *c = b->config;
    const cm_objective_settings *s = c->settings;
    cm_loss_context *l = &b->context;
    cm_graph *g = l->g;
    /* Packed once a step where a step reads them more than once; else packing at use costs
     * the same time and no memory. */
    const unsigned changing = b->parts > 1 || options_of(c)->recompute ? CM_BUFFER_CONST : 0;
    b->params = cm_graph_buffer(g, "params", changing);
    b->grad = cm_graph_buffer(g, "grad", 0);
    b->loss = cm_graph_buffer(g, "loss", 0);
    b->student = cm_net_new(g, c->params, b->params, c->dtype);
    if (c->net->dropout > 0.0) {
        b->student.rng = l->rng;
        b->student.stream = CM_STREAM_DROPOUT;
    }
    b->student.recompute = options_of(c)->recompute;
    l->student = (cm_denoiser){&b->student, c->net, s->precondition, &s->schedule, b->y};
    if (b->objective->has_target) {
        b->target = cm_graph_buffer(g, "target", changing);
        b->target_net = cm_net_new(g, c->params, b->target, c->dtype);
        b->target_net.rng = b->student.rng; /* the same masks */
        b->target_net.stream = b->student.stream;
        l->target = (cm_denoiser){&b->target_net, c->net, s->precondition, &s->schedule, b->y};
    }
    if (b->objective->needs_teacher) {
        b->teacher = cm_graph_buffer(g, "teacher", CM_BUFFER_CONST);
        b->teacher_net = cm_net_new(g, c->params, b->teacher, c->dtype);
        l->teacher = (cm_denoiser){&b->teacher_net, c->net, &cm_precondition_edm,
                                   &s->teacher_schedule, b->y};
    }
}

/* What the distance looks through: as constant as the teacher. */
static void part_frozen(struct part *b)
{
    const cm_step_config *c = b->config;
    const cm_frozen_weights *f = c->frozen;
    if (!f)
        return;
    b->frozen = cm_graph_buffer(b->context.g, "frozen", CM_BUFFER_CONST);
    b->frozen_net = cm_net_new(b->context.g, f->params, b->frozen, c->dtype);
    b->context.frozen = (cm_frozen){&b->frozen_net, f->model ? &f->model->net : NULL};
}

/* The first of one part, or one more of several. */
static void add_up(const struct part *b, cm_node *value, cm_node *leaf)
{
    if (b->parts == 1)
        cm_store(b->context.g, value, leaf);
    else
        cm_accumulate(b->context.g, value, leaf);
}

static void part_gradients(struct part *b, cm_node *loss)
{
    const int n = cm_params_size(b->config->params);
    cm_graph *g = b->context.g;
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
    cm_graph *g = b->context.g;
    part_inputs(b);
    part_networks(b);
    part_frozen(b);
    cm_node *loss = cm_sum_to(g, b->objective->loss(&b->context), CM_TYPE(CM_F32, 1));
    b->end = cm_affine(g, loss, 1.0f / (float)options_of(b->config)->batch, 0.0f);
    part_gradients(b, b->end);
    add_up(b, b->end, cm_leaf(g, b->loss, 0, CM_TYPE(CM_F32, 1), "loss"));
}

/* ---- update -------------------------------------------------------------- */

struct update {
    const cm_step_config *config;
    cm_graph *g;
    cm_node *hyper, *target_weight, *grad_squared;
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
    const cm_train_params *o = options_of(c);
    cm_graph *g = b->g;
    cm_node *p = flat(b, &b->params, "params"), *m = flat(b, &b->m, "m"), *v = flat(b, &b->v, "v"),
            *grad = flat(b, &b->grad, "grad");
    b->loss = cm_graph_buffer(g, "loss", 0);
    cm_node *loss = cm_leaf(g, b->loss, 0, CM_TYPE(CM_F32, 1), "loss");
    b->hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2));
    b->target_weight = cm_input(g, "1 - mu", CM_TYPE(CM_F32, 1));
    b->grad_squared = cm_sum_squares(g, grad);
    /* 0 * loss is not finite when the loss is not. */
    cm_node *gate = cm_add(g, b->grad_squared, cm_affine(g, loss, 0.0f, 0.0f));
    const cm_optimizer_attr attr = {(float)o->beta1, (float)o->beta2, 1e-8f,
                                    (float)o->weight_decay};
    p = cm_optimizer_find(o->optimizer)->build(g, p, m, v, grad, b->hyper, gate, attr);
    for (int i = 0; i < c->n_ema; i++)
        cm_ema(g, flat(b, &b->ema[i], "ema"), p, cm_scalar(g, 1, (float)(1.0 - c->ema_rate[i])),
               gate);
    if (c->settings->objective->has_target)
        cm_ema(g, flat(b, &b->target, "target"), p, b->target_weight, gate);
}

/* ---- memory -------------------------------------------------------------- */

static int allocate(cm_train_step *s, const cm_step_config *c)
{
    const cm_objective *objective = c->settings->objective;
    float **const always[] = {&s->params, &s->m, &s->v, &s->grad};
    int ok = 1;
    for (int i = 0; i < 4; i++)
        ok &= !!(*always[i] = cm_alloc_array(s->floats, sizeof(float)));
    for (int i = 0; i < c->n_ema; i++)
        ok &= !!(s->ema[i] = cm_alloc_array(s->floats, sizeof(float)));
    if (objective->has_target)
        ok &= !!(s->target = cm_alloc_array(s->floats, sizeof(float)));
    if (objective->needs_teacher)
        ok &= !!(s->teacher = cm_alloc_array(s->floats, sizeof(float)));
    ok &= !!(s->loss = cm_alloc(64));
    ok &= !!(s->x = cm_alloc_array((size_t)s->batch * s->image, sizeof(float)));
    if (c->net->num_classes)
        ok &= !!(s->y = cm_alloc_array((size_t)s->batch, sizeof(int32_t)));
    return ok;
}

static void bind_part(cm_train_step *s, const struct part *b)
{
    const cm_loss_context *l = &b->context;
    cm_plan_bind(s->part, b->params, s->params);
    cm_plan_bind(s->part, b->grad, s->grad);
    cm_plan_bind(s->part, b->loss, s->loss);
    if (s->target)
        cm_plan_bind(s->part, b->target, s->target);
    if (s->teacher)
        cm_plan_bind(s->part, b->teacher, s->teacher);
    if (b->config->frozen)
        cm_plan_bind(s->part, b->frozen, b->config->frozen->flat);
    s->params_buffer = b->params;
    s->target_buffer = s->target ? b->target : -1;
    s->teacher_buffer = s->teacher ? b->teacher : -1;
    s->part_loss = b->end;
    s->part_x = l->x0;
    s->part_y = b->y;
    s->part_rng = l->rng;
    for (; b->objective->scalars[s->n_scalars].name; s->n_scalars++)
        s->part_scalar[s->n_scalars] = l->scalar[s->n_scalars];
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
    s->update_hyper = b->hyper;
    s->update_target_weight = b->target_weight;
    s->update_grad_squared = b->grad_squared;
}

static cm_status compile(cm_train_step *s, const cm_step_config *c, cm_error *err)
{
    struct part part = {.config = c,
                        .objective = c->settings->objective,
                        .parts = s->parts,
                        .context = {.settings = c->settings, .g = s->part_graph}};
    struct update update = {.config = c, .g = s->update_graph};
    build_part(&part);
    build_update(&update);
    cm_status status = cm_plan_compile_without(CM_PLAN_NO_PACKED, part.context.g, 0, NULL,
                                               c->device, c->threads, &s->part, err);
    if (!status)
        status = cm_plan_compile(update.g, 1, &update.grad_squared, c->device, c->threads,
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

cm_status cm_train_step_new(const cm_step_config *c, cm_train_step **step, cm_error *err)
{
    const cm_train_params *o = options_of(c);
    const cm_net_config *n = c->net;
    cm_train_step *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "training step: out of memory");
    cm_assert(o->accumulate >= 1 && o->batch % o->accumulate == 0);
    s->batch = (int)o->batch;
    s->parts = (int)o->accumulate;
    s->floats = cm_params_floats(c->params);
    s->frozen = c->frozen ? cm_params_floats(c->frozen->params) : 0;
    s->image = (size_t)n->height * (size_t)n->width * (size_t)n->in_channels;
    s->part_graph = cm_graph_new();
    s->update_graph = cm_graph_new();
    cm_status status = s->part_graph && s->update_graph
                           ? compile(s, c, err)
                           : cm_fail(err, CM_ERR_MEMORY, "training step: out of memory");
    if (status == CM_ERR_SHAPE) { /* options that no network can have */
        status = CM_ERR_ARGUMENT;
        if (err)
            err->status = status;
    }
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
    cm_free(s->x);
    cm_free(s->y);
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

static void feed_part(cm_train_step *s, int part)
{
    const size_t n = (size_t)(s->batch / s->parts), first = n * (size_t)part;
    const int32_t rng[4] = {s->rng[0], s->rng[1], s->rng[2], (int32_t)first};
    cm_plan_write(s->part, s->part_rng, rng);
    cm_plan_write(s->part, s->part_x, s->x + first * s->image);
    if (s->y)
        cm_plan_write(s->part, s->part_y, s->y + first);
    for (int i = 0; i < s->n_scalars; i++) {
        const float value = (float)s->scalars.value[i];
        cm_plan_write(s->part, s->part_scalar[i], &value);
    }
}

static void feed_update(cm_train_step *s)
{
    const float weight = (float)(1.0 - s->scalars.mu);
    cm_plan_write(s->update, s->update_hyper, s->hyper);
    if (s->target)
        cm_plan_write(s->update, s->update_target_weight, &weight);
}

void cm_train_step_run(cm_train_step *s)
{
    begin(s);
    for (int i = 0; i < s->parts; i++) {
        feed_part(s, i);
        cm_plan_run(s->part);
    }
    feed_update(s);
    cm_plan_run(s->update);
    cm_plan_read(s->update, s->update_grad_squared, &s->grad_squared);
}

void cm_train_step_restart(cm_train_step *s)
{
    const size_t bytes = s->floats * sizeof(float);
    float *const copies[] = {s->params, s->target, s->teacher};
    for (int i = 0; i < 3; i++)
        if (copies[i])
            memcpy(copies[i], s->ema[0], bytes);
    for (int i = 1; i < CM_MAX_EMA; i++)
        if (s->ema[i])
            memcpy(s->ema[i], s->ema[0], bytes);
    memset(s->m, 0, bytes);
    memset(s->v, 0, bytes);
    if (s->teacher)
        cm_plan_refresh_buffer(s->part, s->teacher_buffer);
}

int cm_train_step_find_nonfinite(cm_train_step *s, char *buf, size_t size)
{
    begin(s);
    for (int i = 0; i < s->parts; i++) {
        feed_part(s, i);
        if (cm_plan_find_nonfinite(s->part, buf, size))
            return 1;
    }
    feed_update(s);
    return cm_plan_find_nonfinite(s->update, buf, size);
}

/* params, m, v, and those that there are of target, teacher and averages; and what the distance
 * looks through */
static size_t state_bytes(const cm_train_step *s)
{
    size_t arrays = 3;
    arrays += s->target ? 1 : 0;
    arrays += s->teacher ? 1 : 0;
    for (int i = 0; i < CM_MAX_EMA; i++)
        arrays += s->ema[i] ? 1 : 0;
    return (arrays * s->floats + s->frozen) * sizeof(float);
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
    return state_bytes(s) + cm_train_step_kept_bytes(s);
}

size_t cm_train_step_kept_bytes(const cm_train_step *s)
{
    return cm_plan_kept_bytes(s->part, s->part_loss);
}
