/* step.c - compile and run the two plans of a training step */
#include "train/step_graphs.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const cm_train_params *options_of(const cm_step_config *c)
{
    return c->settings->options;
}

/* ---- memory -------------------------------------------------------------- */

/* With what travels behind it. */
static size_t grad_floats(const cm_train_step *s)
{
    return s->floats + CM_STEP_TAIL;
}

/* Of squares of the gradient with the tail; not shared: none. */
static size_t squares_floats(const cm_train_step *s)
{
    return s->shard.shared ? cm_squares_runs(s->floats) + CM_STEP_TAIL : 0;
}

/* Of all buckets, each with its own.  Where an array is shared the whole of it fits, too. */
static size_t room_floats(const cm_train_step *s)
{
    const size_t squares = cm_group_room(s->group, squares_floats(s)),
                 whole = s->shard.shared ? s->floats : 0, least = squares > whole ? squares : whole;
    size_t n = 0;
    for (int i = 0; i < s->n_buckets; i++)
        n += cm_group_room(s->group, s->bucket[i].end - s->bucket[i].begin);
    return n > least ? n : least;
}

static int take_floats(float **array, size_t n)
{
    return !!(*array = cm_alloc_array(n, sizeof(float)));
}

static int allocate(cm_train_step *s, const cm_step_config *c)
{
    const cm_objective *objective = c->settings->objective;
    const size_t images = (size_t)(s->batch / s->parts * s->own.count);
    int ok = take_floats(&s->params, s->floats) & take_floats(&s->grad, grad_floats(s)) &
             take_floats(&s->m, s->shard.floats) & take_floats(&s->v, s->shard.floats);
    for (int i = 0; i < cm_order_pending(s->own.count); i++)
        ok &= take_floats(&s->pending[i], grad_floats(s));
    if (room_floats(s))
        ok &= take_floats(&s->room, room_floats(s));
    if (s->shard.shared)
        ok &= take_floats(&s->squares, squares_floats(s));
    for (int i = 0; i < c->n_ema; i++)
        ok &= take_floats(&s->ema[i], s->shard.floats);
    if (objective->has_target)
        ok &= take_floats(&s->target, s->floats);
    if (objective->needs_teacher)
        ok &= take_floats(&s->teacher, s->floats);
    ok &= take_floats(&s->x, images * s->image);
    if (c->net->num_classes)
        ok &= !!(s->y = cm_alloc_array(images, sizeof(int32_t)));
    if (ok)
        s->loss = (s->squares ? s->squares + cm_squares_runs(s->floats) : s->grad + s->floats) +
                  CM_STEP_LOSS;
    return ok;
}

static void bind_part(cm_train_step *s, const cm_part_graph *b)
{
    const cm_loss_context *l = &b->context;
    cm_plan_bind(s->part, b->params, s->params);
    cm_plan_bind(s->part, b->grad, s->grad);
    cm_plan_bind(s->part, b->loss, s->grad + s->floats + CM_STEP_LOSS);
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

static void bind_update(cm_train_step *s, const cm_update_graph *b)
{
    const size_t bytes = s->floats * sizeof(float);
    cm_plan_bind(s->update, b->params, s->params);
    cm_plan_bind(s->update, b->m, s->m);
    cm_plan_bind(s->update, b->v, s->v);
    cm_plan_bind(s->update, b->grad, s->grad);
    cm_plan_bind(s->update, b->loss, s->loss);
    for (int i = 0; i < b->config->n_ema; i++)
        cm_plan_bind(s->update, b->ema[i], s->ema[i]);
    if (s->target)
        cm_plan_bind(s->update, b->target, s->target);
    if (s->squares) {
        cm_plan_bind(s->update, b->squares, s->squares);
        s->squares_done = cm_plan_steps_until(s->update, b->squares, 0, bytes);
        s->weights_done = cm_plan_steps_until(s->update, b->params, 0, bytes);
    }
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

/* Large enough that a transfer is worth beginning; their slices end where runs of squares do.
 * Alone: one, of all. */
static void cut_buckets(cm_train_step *s)
{
    enum { LEAST = 1 << 18 }; /* floats: 1 MiB */
    const size_t n = s->floats, most = CM_STEP_BUCKETS, block = CM_GROUP_BLOCK;
    size_t each = (n + most - 1) / most;
    each = (each < LEAST ? LEAST : each + block - 1) / block * block;
    if (cm_group_size(s->group) == 1)
        each = n;
    for (size_t at = 0; at < n; at += each)
        s->bucket[s->n_buckets++] = (cm_step_bucket){at, at + each < n ? at + each : n, 0};
}

static void make_shard(cm_train_step *s, int shared)
{
    cm_shard *a = &s->shard;
    *a = (cm_shard){shared, 1, {{0, s->floats, 0}}, s->floats};
    if (!shared)
        return;
    a->n = 0;
    a->floats = 0;
    for (const cm_step_bucket *b = s->bucket; b < s->bucket + s->n_buckets; b++) {
        size_t begin, end;
        cm_group_slice(s->group, b->end - b->begin, &begin, &end);
        if (begin < end)
            a->piece[a->n++] = (cm_piece){b->begin + begin, end - begin, a->floats};
        a->floats += end - begin;
    }
}

/* Put buckets in the order in which the plan is done with them.  The tail is at the end of the last
 * range; shared, it goes with the squares. */
static void order_buckets(cm_train_step *s, const cm_part_graph *g)
{
    for (cm_step_bucket *b = s->bucket; b < s->bucket + s->n_buckets; b++) {
        b->steps =
            cm_plan_steps_until(s->part, g->grad, b->begin * sizeof(float), b->end * sizeof(float));
        if (b->end == s->floats && !s->shard.shared) {
            const int loss = cm_plan_steps_until(s->part, g->loss, 0, sizeof(float));
            b->end = grad_floats(s);
            b->steps = loss > b->steps ? loss : b->steps;
        }
    }
    qsort(s->bucket, (size_t)s->n_buckets, sizeof *s->bucket, by_steps);
}

static cm_status compile(cm_train_step *s, const cm_step_config *c, cm_error *err)
{
    cm_part_graph part = {.config = c,
                          .objective = c->settings->objective,
                          .parts = s->parts,
                          .own = s->own.count,
                          .context = {.settings = c->settings, .g = s->part_graph}};
    cm_update_graph update = {.config = c, .shard = &s->shard, .g = s->update_graph};
    cut_buckets(s);
    make_shard(s, options_of(c)->shard && cm_group_size(s->group) > 1);
    cm_part_graph_build(&part);
    cm_update_graph_build(&update);
    cm_status status = cm_plan_compile_without(CM_PLAN_NO_PACKED, part.context.g, 0, NULL,
                                               c->device, c->threads, &s->part, err);
    if (!status)
        status = cm_plan_compile(update.g, 1, &update.grad_squared, c->device, c->threads,
                                 &s->update, err);
    if (status)
        return status;
    order_buckets(s, &part);
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
    cm_free(s->squares);
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

static void say(cm_train_step *s)
{
    memcpy(s->loss + 1, s->say + 1, (CM_STEP_TAIL - 1) * sizeof *s->say);
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
            say(s);
        if (s->shard.shared)
            cm_group_add_begin(s->group, s->grad + b->begin, room, b->end - b->begin);
        else
            cm_group_sum_begin(s->group, s->grad + b->begin, room, b->end - b->begin);
        room += room ? cm_group_room(s->group, b->end - b->begin) : 0;
    }
    cm_plan_run_steps(s->part, at, cm_plan_steps(s->part));
    cm_group_sum_end(s->group);
}

/* Each process has its slices of a whole array right, and gets those of the others. */
static void spread(cm_train_step *s, float *whole)
{
    for (const cm_step_bucket *b = s->bucket; b < s->bucket + s->n_buckets; b++)
        cm_group_spread_begin(s->group, whole + b->begin, b->end - b->begin);
    cm_group_sum_end(s->group);
}

/* The sums of squares of all processes: each adds its own to zeros, which changes no bit. */
static void share_squares(cm_train_step *s)
{
    const size_t runs = cm_squares_runs(s->floats);
    memset(s->squares, 0, runs * sizeof(float));
    cm_plan_run_steps(s->update, 0, s->squares_done);
    merge(s, s->own.count - 1, s->floats, grad_floats(s));
    *s->loss = s->grad[s->floats + CM_STEP_LOSS];
    say(s);
    cm_group_sum_begin(s->group, s->squares, s->room, squares_floats(s));
    cm_group_sum_end(s->group);
}

static void run_update(cm_train_step *s)
{
    if (s->shard.shared) {
        share_squares(s);
        cm_plan_run_steps(s->update, s->squares_done, s->weights_done);
        spread(s, s->params);
    }
    cm_plan_run_steps(s->update, s->weights_done, cm_plan_steps(s->update));
}

void cm_train_step_run(cm_train_step *s)
{
    begin(s);
    for (int i = 0; i + 1 < s->own.count; i++)
        run_part(s, i);
    run_last_part(s);
    feed_update(s);
    run_update(s);
    cm_plan_read(s->update, s->update_grad_squared, &s->grad_squared);
}

float *cm_train_step_whole(cm_train_step *s, float *own)
{
    if (!s->shard.shared)
        return own;
    for (const cm_piece *p = s->shard.piece; p < s->shard.piece + s->shard.n; p++)
        memcpy(s->room + p->begin, own + p->at, p->floats * sizeof *own);
    spread(s, s->room);
    return s->room;
}

void cm_train_step_take(const cm_train_step *s, const float *whole, float *own)
{
    for (const cm_piece *p = s->shard.piece; p < s->shard.piece + s->shard.n; p++)
        memcpy(own + p->at, whole + p->begin, p->floats * sizeof *own);
}

void cm_train_step_restart(cm_train_step *s)
{
    const size_t own = s->shard.floats * sizeof(float);
    const float *first = cm_train_step_whole(s, s->ema[0]);
    float *const copies[] = {s->params, s->target, s->teacher};
    for (int i = 0; i < 3; i++)
        if (copies[i])
            memcpy(copies[i], first, s->floats * sizeof(float));
    for (int i = 1; i < CM_MAX_EMA; i++)
        if (s->ema[i])
            memcpy(s->ema[i], s->ema[0], own);
    memset(s->m, 0, own);
    memset(s->v, 0, own);
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

size_t cm_train_step_own_bytes(const cm_train_step *s)
{
    size_t arrays = 2;
    for (int i = 0; i < CM_MAX_EMA; i++)
        arrays += s->ema[i] ? 1 : 0;
    return arrays * s->shard.floats * sizeof(float);
}

/* Moments and averages; params, and those that there are of target and teacher; and what the
 * distance looks through. */
static size_t state_bytes(const cm_train_step *s)
{
    const size_t arrays = 1u + !!s->target + !!s->teacher;
    return cm_train_step_own_bytes(s) + (arrays * s->floats + s->frozen) * sizeof(float);
}

size_t cm_train_step_bytes(const cm_train_step *s)
{
    const cm_plan_memory a = cm_plan_get_memory(s->part), b = cm_plan_get_memory(s->update);
    const size_t sums = (1 + (size_t)cm_order_pending(s->own.count)) * grad_floats(s),
                 gradient = (sums + room_floats(s) + squares_floats(s)) * sizeof(float);
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
