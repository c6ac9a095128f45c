/* step.c - build, compile and run the two plans of a training step */
#include "train/step.h"

#include "base/memory.h"
#include "train/optimizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- loss and gradient of a part ----------------------------------------- */

struct part {
    const cm_step_config *config;
    const cm_objective *objective;
    int parts, own;                                  /* in all, and of this process */
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
    const unsigned changing = b->own > 1 || options_of(c)->recompute ? CM_BUFFER_CONST : 0;
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
        cm_store(g, grad[i], cm_leaf(g, b->grad, p->offset * sizeof(float), p->type, name));
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
    cm_store(g, b->end, cm_leaf(g, b->loss, 0, CM_TYPE(CM_F32, 1), "loss"));
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

/* With what travels behind it. */
static size_t grad_floats(const cm_train_step *s)
{
    return s->floats + CM_STEP_TAIL;
}

/* Of all buckets, each with its own. */
static size_t room_floats(const cm_train_step *s)
{
    size_t n = 0;
    for (int i = 0; i < s->n_buckets; i++)
        n += cm_group_room(s->group, s->bucket[i].end - s->bucket[i].begin);
    return n;
}

static int allocate(cm_train_step *s, const cm_step_config *c)
{
    const cm_objective *objective = c->settings->objective;
    float **const always[] = {&s->params, &s->m, &s->v};
    const size_t images = (size_t)(s->batch / s->parts * s->own.count);
    int ok = 1;
    for (int i = 0; i < 3; i++)
        ok &= !!(*always[i] = cm_alloc_array(s->floats, sizeof(float)));
    ok &= !!(s->grad = cm_alloc_array(grad_floats(s), sizeof(float)));
    for (int i = 0; i < cm_order_pending(s->own.count); i++)
        ok &= !!(s->pending[i] = cm_alloc_array(grad_floats(s), sizeof(float)));
    if (room_floats(s))
        ok &= !!(s->room = cm_alloc_array(room_floats(s), sizeof(float)));
    for (int i = 0; i < c->n_ema; i++)
        ok &= !!(s->ema[i] = cm_alloc_array(s->floats, sizeof(float)));
    if (objective->has_target)
        ok &= !!(s->target = cm_alloc_array(s->floats, sizeof(float)));
    if (objective->needs_teacher)
        ok &= !!(s->teacher = cm_alloc_array(s->floats, sizeof(float)));
    s->loss = s->grad ? s->grad + s->floats + CM_STEP_LOSS : NULL;
    ok &= !!(s->x = cm_alloc_array(images * s->image, sizeof(float)));
    if (c->net->num_classes)
        ok &= !!(s->y = cm_alloc_array(images, sizeof(int32_t)));
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

/* ---- buckets ---- */

static int by_steps(const void *a, const void *b)
{
    const cm_step_bucket *x = a, *y = b;
    return x->steps != y->steps ? (x->steps > y->steps) - (x->steps < y->steps)
                                : (x->begin > y->begin) - (x->begin < y->begin);
}

/* Large enough that a transfer is worth beginning; the tail is at the end of the last.  Alone:
 * one, of all. */
static void cut_buckets(cm_train_step *s, const struct part *b)
{
    enum { LEAST = 1 << 18 }; /* floats: 1 MiB */
    const size_t n = s->floats, most = CM_STEP_BUCKETS;
    size_t each = (n + most - 1) / most;
    each = (each < LEAST ? LEAST : each + 15) / 16 * 16;
    if (cm_group_size(s->group) == 1)
        each = n;
    for (size_t at = 0; at < n; at += each) {
        const size_t end = at + each < n ? at + each : n;
        cm_step_bucket *k = &s->bucket[s->n_buckets++];
        *k = (cm_step_bucket){
            at, end,
            cm_plan_steps_until(s->part, b->grad, at * sizeof(float), end * sizeof(float))};
        if (end == n) {
            const int loss = cm_plan_steps_until(s->part, b->loss, 0, sizeof(float));
            k->end = grad_floats(s);
            k->steps = loss > k->steps ? loss : k->steps;
        }
    }
    qsort(s->bucket, (size_t)s->n_buckets, sizeof *s->bucket, by_steps);
}

static cm_status compile(cm_train_step *s, const cm_step_config *c, cm_error *err)
{
    struct part part = {.config = c,
                        .objective = c->settings->objective,
                        .parts = s->parts,
                        .own = s->own.count,
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
    cut_buckets(s, &part);
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
    s->group = c->group;
    s->floats = cm_params_floats(c->params);
    s->frozen = c->frozen ? cm_params_floats(c->frozen->params) : 0;
    s->image = (size_t)n->height * (size_t)n->width * (size_t)n->in_channels;
    s->part_graph = cm_graph_new();
    s->update_graph = cm_graph_new();
    cm_status status = cm_group_share(s->group, s->parts, &s->own, err);
    if (!status)
        status = s->part_graph && s->update_graph
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
    cm_free(s->room);
    for (int i = 0; i < CM_STEP_PENDING; i++)
        cm_free(s->pending[i]);
    cm_free(s->target);
    cm_free(s->teacher);
    for (int i = 0; i < CM_MAX_EMA; i++)
        cm_free(s->ema[i]);
    cm_free(s);
}

/* ---- running ------------------------------------------------------------- */

static void begin(cm_train_step *s)
{
    cm_plan_refresh_buffer(s->part, s->params_buffer); /* they moved */
    if (s->target_buffer >= 0)
        cm_plan_refresh_buffer(s->part, s->target_buffer);
}

/* part: of this process's */
static void feed_part(cm_train_step *s, int part)
{
    const size_t n = (size_t)(s->batch / s->parts), first = n * (size_t)part;
    const int32_t rng[4] = {s->rng[0], s->rng[1], s->rng[2],
                            (int32_t)(first + n * (size_t)s->own.first)};
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

/* What part i completes of floats begin to end-1. */
static void merge(cm_train_step *s, int i, size_t begin, size_t end)
{
    const unsigned merges = cm_order_merges(i, s->own.count);
    for (int k = 0; k < CM_STEP_PENDING; k++)
        if (merges >> k & 1)
            for (size_t at = begin; at < end; at++)
                s->grad[at] += s->pending[k][at];
}

static void run_part(cm_train_step *s, int i)
{
    feed_part(s, i);
    cm_plan_run(s->part);
    merge(s, i, 0, grad_floats(s));
    memcpy(s->pending[cm_order_waits(i)], s->grad, grad_floats(s) * sizeof *s->grad);
}

/* Each bucket goes on its way as soon as it is done. */
static void run_last_part(cm_train_step *s)
{
    const int last = s->own.count - 1;
    float *room = s->room;
    int at = 0;
    feed_part(s, last);
    for (const cm_step_bucket *b = s->bucket; b < s->bucket + s->n_buckets; b++) {
        cm_plan_run_steps(s->part, at, b->steps);
        at = b->steps;
        merge(s, last, b->begin, b->end);
        if (b->end == grad_floats(s))
            memcpy(s->loss + 1, s->say + 1, (CM_STEP_TAIL - 1) * sizeof *s->say);
        cm_group_sum_begin(s->group, s->grad + b->begin, room, b->end - b->begin);
        room += room ? cm_group_room(s->group, b->end - b->begin) : 0;
    }
    cm_plan_run_steps(s->part, at, cm_plan_steps(s->part));
    cm_group_sum_end(s->group);
}

void cm_train_step_run(cm_train_step *s)
{
    begin(s);
    for (int i = 0; i + 1 < s->own.count; i++)
        run_part(s, i);
    run_last_part(s);
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
    for (int i = 0; i < s->own.count; i++) {
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
    const size_t sums = (1 + (size_t)cm_order_pending(s->own.count)) * grad_floats(s),
                 gradient = (sums + room_floats(s)) * sizeof(float);
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
