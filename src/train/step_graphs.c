/* step_graphs.c - what a training step computes, as two graphs */
#include "train/step_graphs.h"

#include "train/optimizer.h"

#include <stdio.h>

/* ---- loss and gradient of a part ----------------------------------------- */

static const cm_train_params *options_of(const cm_step_config *c)
{
    return c->settings->options;
}

static void part_inputs(cm_part_graph *b)
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

static void part_networks(cm_part_graph *b)
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
static void part_frozen(cm_part_graph *b)
{
    const cm_step_config *c = b->config;
    const cm_frozen_weights *f = c->frozen;
    if (!f)
        return;
    b->frozen = cm_graph_buffer(b->context.g, "frozen", CM_BUFFER_CONST);
    b->frozen_net = cm_net_new(b->context.g, f->params, b->frozen, c->dtype);
    b->context.frozen = (cm_frozen){&b->frozen_net, f->model ? &f->model->net : NULL};
}

static void part_gradients(cm_part_graph *b, cm_node *loss)
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

void cm_part_graph_build(cm_part_graph *b)
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

static cm_node *view(const cm_update_graph *b, int buffer, size_t at, size_t n, const char *name)
{
    return cm_leaf(b->g, buffer, at * sizeof(float), CM_TYPE(CM_F32, (int64_t)n), name);
}

/* Of the whole gradient, run by run; the others' runs come from them. */
static cm_node *squares(cm_update_graph *b)
{
    const size_t n = cm_params_floats(b->config->params);
    if (!b->shard->shared)
        return cm_sum_squares(b->g, view(b, b->grad, 0, n, "grad"));
    b->squares = cm_graph_buffer(b->g, "squares", 0);
    for (const cm_piece *p = b->shard->piece; p < b->shard->piece + b->shard->n; p++) {
        cm_node *sums = cm_sum_squares(b->g, view(b, b->grad, p->begin, p->floats, "grad"));
        cm_store(b->g, sums,
                 view(b, b->squares, p->begin / CM_SQUARES, cm_squares_runs(p->floats), "squares"));
    }
    return view(b, b->squares, 0, cm_squares_runs(n), "squares");
}

static cm_node *make_gate(cm_update_graph *b)
{
    b->grad_squared = cm_sum_to(b->g, squares(b), CM_TYPE(CM_F32, 1));
    /* 0 * loss is not finite when the loss is not. */
    cm_node *loss = cm_leaf(b->g, b->loss, 0, CM_TYPE(CM_F32, 1), "loss");
    return cm_add(b->g, b->grad_squared, cm_affine(b->g, loss, 0.0f, 0.0f));
}

static void optimize(const cm_update_graph *b, cm_node *gate)
{
    const cm_train_params *o = options_of(b->config);
    const cm_optimizer_attr attr = {(float)o->beta1, (float)o->beta2, 1e-8f,
                                    (float)o->weight_decay};
    for (const cm_piece *k = b->shard->piece; k < b->shard->piece + b->shard->n; k++)
        cm_optimizer_find(o->optimizer)
            ->build(b->g, view(b, b->params, k->begin, k->floats, "params"),
                    view(b, b->m, k->at, k->floats, "m"), view(b, b->v, k->at, k->floats, "v"),
                    view(b, b->grad, k->begin, k->floats, "grad"), b->hyper, gate, attr);
}

static void average(cm_update_graph *b, int i, cm_node *gate)
{
    cm_node *weight = cm_scalar(b->g, 1, (float)(1.0 - b->config->ema_rate[i]));
    b->ema[i] = cm_graph_buffer(b->g, "ema", 0);
    for (const cm_piece *k = b->shard->piece; k < b->shard->piece + b->shard->n; k++)
        cm_ema(b->g, view(b, b->ema[i], k->at, k->floats, "ema"),
               view(b, b->params, k->begin, k->floats, "params"), weight, gate);
}

void cm_update_graph_build(cm_update_graph *b)
{
    const cm_step_config *c = b->config;
    const size_t n = cm_params_floats(c->params);
    cm_graph *g = b->g;
    b->params = cm_graph_buffer(g, "params", 0);
    b->m = cm_graph_buffer(g, "m", 0);
    b->v = cm_graph_buffer(g, "v", 0);
    b->grad = cm_graph_buffer(g, "grad", 0);
    b->loss = cm_graph_buffer(g, "loss", 0);
    b->hyper = cm_input(g, "hyper", CM_TYPE(CM_F32, 2));
    b->target_weight = cm_input(g, "1 - mu", CM_TYPE(CM_F32, 1));
    cm_node *gate = make_gate(b);
    optimize(b, gate);
    for (int i = 0; i < c->n_ema; i++)
        average(b, i, gate);
    if (!c->settings->objective->has_target)
        return;
    b->target = cm_graph_buffer(g, "target", 0); /* every process needs all of it */
    cm_ema(g, view(b, b->target, 0, n, "target"), view(b, b->params, 0, n, "params"),
           b->target_weight, gate);
}
