/* setup.c - from options to data, network, first weights and a compiled step */
#include "train/trainer.h"

#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "train/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { STREAM_INIT = 1 };

/* ---- options whose default depends on the method ---- */

static void set_if_empty(cm_text field, const char *value)
{
    if (!field[0])
        snprintf(field, sizeof(cm_text), "%s", value);
}

static cm_status resolve_method(cm_trainer *t, cm_error *err)
{
    cm_train_config *c = &t->config;
    t->method = !strcmp(c->method, "cd")   ? CM_METHOD_CD
                : !strcmp(c->method, "ct") ? CM_METHOD_CT
                                           : CM_METHOD_EDM;
    if (!c->data[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "data: say what to train on (--data)");
    if (!c->out[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "out: say where to put the run (--out)");
    if (t->method == CM_METHOD_CD && !c->teacher[0])
        return cm_fail(err, CM_ERR_ARGUMENT, "teacher: method cd distils one (--teacher)");
    if (t->method != CM_METHOD_CD && c->teacher[0])
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "teacher: method %s has none (--init starts from its weights)", c->method);
    if (c->batch % c->accumulate)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "accumulate: expected a divisor of the batch of %d, found %d", (int)c->batch,
                       (int)c->accumulate);
    set_if_empty(c->weighting, t->method == CM_METHOD_EDM ? "karras" : "uniform");
    set_if_empty(c->target_ema_mode, t->method == CM_METHOD_CT ? "adaptive" : "fixed");
    set_if_empty(c->scale_mode, t->method == CM_METHOD_CT ? "progressive" : "fixed");
    if (!c->start_scales)
        c->start_scales = t->method == CM_METHOD_CT ? 2 : 18;
    return CM_OK;
}

static cm_status resolve_schedule(cm_trainer *t, cm_error *err)
{
    const cm_train_config *c = &t->config;
    cm_status s;
    t->schedule = (cm_noise_schedule){c->sigma_min, c->sigma_max, c->sigma_data, c->rho};
    if ((s = cm_noise_schedule_check(&t->schedule, err)))
        return s;
    t->kind = CM_PRECOND_EDM;
    if (t->method == CM_METHOD_EDM)
        return CM_OK;
    t->curriculum = (cm_curriculum){.start_ema = c->start_ema,
                                    .start_scales = c->start_scales,
                                    .end_scales = c->end_scales,
                                    .total_steps = c->steps,
                                    .distill_steps_per_iter = c->distill_steps};
    if ((s = cm_precond_from_name(c->boundary, &t->kind, err)) ||
        (s = cm_target_ema_from_name(c->target_ema_mode, &t->curriculum.target_ema_mode, err)) ||
        (s = cm_scale_mode_from_name(c->scale_mode, &t->curriculum.scale_mode, err)))
        return s;
    return cm_curriculum_check(&t->curriculum, err);
}

static cm_status resolve_ema(cm_trainer *t, cm_error *err)
{
    const cm_status s = cm_parse_real_list(t->config.ema_rates, CM_MAX_EMA, t->ema_rate, &t->n_ema,
                                           "ema-rates", err);
    if (s)
        return s;
    for (int i = 0; i < t->n_ema; i++) {
        if (!(t->ema_rate[i] >= 0.0 && t->ema_rate[i] < 1.0))
            return cm_fail(err, CM_ERR_ARGUMENT, "ema-rates: expected 0 to below 1, found %g",
                           t->ema_rate[i]);
        for (int j = 0; j < i; j++)
            if (t->ema_rate[i] == t->ema_rate[j])
                return cm_fail(err, CM_ERR_ARGUMENT, "ema-rates: %g is listed twice",
                               t->ema_rate[i]);
    }
    return t->n_ema ? CM_OK
                    : cm_fail(err, CM_ERR_ARGUMENT, "ema-rates: expected at least one rate");
}

/* ---- network ---- */

static void write_list(cm_text text, const double *v, int n)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(cm_text) - at, "%s%g", i ? "," : "", v[i]);
}

/* A network given by a model overrides the options, which then tell of it. */
static void config_from_net(cm_train_config *c, const cm_net_config *n)
{
    double sides[CM_MAX_LEVELS];
    for (int i = 0; i < n->n_attention; i++)
        sides[i] = (double)(n->image_size / n->attention_resolutions[i]);
    write_list(c->attention, sides, n->n_attention);
    write_list(c->channel_mult, n->channel_mult, n->n_levels);
    c->image_size = n->image_size;
    c->channels = n->model_channels;
    c->res_blocks = n->num_res_blocks;
    c->num_heads = n->num_heads;
    c->head_channels = n->num_head_channels;
    c->scale_shift = n->use_scale_shift_norm;
    c->resblock_updown = n->resblock_updown;
    snprintf(c->classes, sizeof c->classes, "%s", n->num_classes ? "auto" : "none");
}

static cm_status attention_sides(const cm_train_config *c, cm_net_config *n, cm_error *err)
{
    int sides[CM_MAX_LEVELS];
    const cm_status s = cm_parse_int_list(c->attention, CM_MAX_LEVELS, sides, &n->n_attention,
                                          "attention-resolutions", err);
    for (int i = 0; i < n->n_attention && !s; i++) {
        if (sides[i] < 1 || n->image_size % sides[i])
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "attention-resolutions: %d does not divide the image side %d", sides[i],
                           n->image_size);
        n->attention_resolutions[i] = n->image_size / sides[i];
    }
    return s;
}

static cm_status net_from_options(cm_trainer *t, cm_error *err)
{
    const cm_train_config *c = &t->config;
    cm_net_config *n = &t->net;
    *n = (cm_net_config){.type = CM_NET_ADM,
                         .image_size = t->data->h,
                         .in_channels = t->data->c,
                         .out_channels = t->data->c,
                         .model_channels = (int)c->channels,
                         .num_res_blocks = (int)c->res_blocks,
                         .num_classes = strcmp(c->classes, "none") ? t->data->classes : 0,
                         .num_heads = (int)c->num_heads,
                         .num_head_channels = (int)c->head_channels,
                         .use_scale_shift_norm = c->scale_shift,
                         .resblock_updown = c->resblock_updown};
    cm_status s = cm_parse_real_list(c->channel_mult, CM_MAX_LEVELS, n->channel_mult, &n->n_levels,
                                     "channel-mult", err);
    if (s || (s = attention_sides(c, n, err)))
        return s;
    if (!n->n_levels || n->image_size % (1 << (n->n_levels - 1)))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "channel-mult: %d levels need an image side divisible by %d, %s has %d",
                       n->n_levels, 1 << (n->n_levels > 0 ? n->n_levels - 1 : 0), c->data,
                       n->image_size);
    return CM_OK;
}

static cm_status check_fit(const cm_trainer *t, const char *path, const cm_net_config *n,
                           cm_error *err)
{
    const cm_dataset *d = t->data;
    if (n->image_size != d->h || n->in_channels != d->c || n->out_channels != d->c)
        return cm_fail(
            err, CM_ERR_FORMAT, "%s: made for %dx%d images with %d channels, %s has %dx%d with %d",
            path, n->image_size, n->image_size, n->in_channels, t->config.data, d->w, d->h, d->c);
    if (n->num_classes && n->num_classes != d->classes)
        return cm_fail(err, CM_ERR_FORMAT, "%s: made for %d classes, %s has %d", path,
                       n->num_classes, t->config.data, d->classes);
    return CM_OK;
}

static cm_status open_data_and_models(cm_trainer *t, cm_error *err)
{
    cm_train_config *c = &t->config;
    cm_status s = cm_dataset_open(c->data, (int)c->image_size, &t->data, err);
    if (!s && t->data->h != t->data->w)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: images are %dx%d; give a side with --image-size",
                    c->data, t->data->w, t->data->h);
    if (!s && c->teacher[0])
        s = cm_model_open(c->teacher, &t->teacher, err);
    if (!s && t->teacher && t->teacher->kind != CM_PRECOND_EDM)
        s = cm_fail(err, CM_ERR_FORMAT,
                    "%s: expected a diffusion teacher, found a consistency model", c->teacher);
    if (!s && c->init[0])
        s = cm_model_open(c->init, &t->init, err);
    const cm_model *given = t->teacher ? t->teacher : t->init;
    if (s)
        return s;
    if (!given)
        return net_from_options(t, err);
    t->net = given->net;
    config_from_net(c, &given->net);
    s = check_fit(t, t->teacher ? c->teacher : c->init, &given->net, err);
    if (!s && t->teacher && t->init &&
        cm_params_floats(t->init->params) != cm_params_floats(t->teacher->params))
        s = cm_fail(err, CM_ERR_FORMAT, "%s: not the network of the teacher %s", c->init,
                    c->teacher);
    return s;
}

/* ---- step and first weights ---- */

static cm_status compile_step(cm_trainer *t, cm_error *err)
{
    const cm_train_config *c = &t->config;
    cm_step_config sc = {
        .method = t->method,
        .net = &t->net,
        .params = t->params,
        .schedule = t->schedule,
        .teacher_schedule = t->teacher ? t->teacher->schedule : t->schedule,
        .boundary = t->kind,
        .distance = strcmp(c->loss_norm, "l1") ? CM_DISTANCE_L2 : CM_DISTANCE_L1,
        .solver = strcmp(c->solver, "euler") ? CM_SOLVER_HEUN : CM_SOLVER_EULER,
        .p_mean = c->p_mean,
        .p_std = c->p_std,
        .adamw = !strcmp(c->optimizer, "adamw"),
        .optimizer = {(float)c->beta1, (float)c->beta2, 1e-8f, (float)c->weight_decay},
        .n_ema = t->n_ema,
        .batch = (int)c->batch,
        .parts = (int)c->accumulate,
        .recompute = c->recompute,
        .dtype = t->dtype,
        .threads = t->threads,
    };
    memcpy(sc.ema_rate, t->ema_rate, sizeof sc.ema_rate);
    const cm_status s = cm_weighting_from_name(c->weighting, &sc.weighting, err);
    return s ? s : cm_train_step_new(&sc, &t->step, err);
}

static void first_weights(cm_trainer *t)
{
    cm_train_step *s = t->step;
    const size_t bytes = s->floats * sizeof(float);
    const cm_model *given = t->init ? t->init : t->teacher;
    if (given)
        memcpy(s->params, given->flat, bytes);
    else
        cm_params_init(t->params, cm_stream_key((uint64_t)t->config.seed, STREAM_INIT), s->params);
    for (int i = 0; i < t->n_ema; i++)
        memcpy(s->ema[i], s->params, bytes);
    if (s->target)
        memcpy(s->target, s->params, bytes);
    if (s->teacher && t->teacher) {
        memcpy(s->teacher, t->teacher->flat, bytes);
        t->teacher_hash = XXH3_64bits(s->teacher, bytes);
    }
}

static cm_status make_metadata(cm_trainer *t, cm_error *err)
{
    json_t *j = cm_options_to_json(cm_train_options, &t->config);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    t->training = text ? cm_strdup(text) : NULL;
    free(text);
    if (t->data->class_names && t->net.num_classes) {
        json_t *names = json_array();
        for (int i = 0; i < t->data->classes; i++)
            json_array_append_new(names, json_string(t->data->class_names[i]));
        text = json_dumps(names, JSON_COMPACT);
        json_decref(names);
        t->classes = text ? cm_strdup(text) : NULL;
        free(text);
    }
    return t->training ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "options: out of memory");
}

cm_status cm_trainer_setup(cm_trainer *t, cm_error *err)
{
    cm_status s;
    if ((s = resolve_method(t, err)) || (s = resolve_schedule(t, err)) ||
        (s = resolve_ema(t, err)) || (s = cm_dtype_resolve(t->config.dtype, &t->dtype, err)) ||
        (s = open_data_and_models(t, err)))
        return s;
    t->net.dropout = t->config.dropout;
    t->threads = cm_threads_resolve(t->config.threads);
    if ((s = cm_params_new(&t->net, &t->params, err)) || (s = compile_step(t, err))) {
        if (s == CM_ERR_SHAPE) /* options that no network can have */
            s = CM_ERR_ARGUMENT;
        if (err)
            err->status = s;
        return s;
    }
    first_weights(t);
    return make_metadata(t, err);
}

void cm_trainer_clear(cm_trainer *t)
{
    cm_loader_free(t->loader);
    cm_dataset_free(t->data);
    cm_model_free(t->teacher);
    cm_model_free(t->init);
    cm_train_step_free(t->step);
    cm_params_free(t->params);
    cm_runlog_close(t->log);
    cm_free(t->classes);
    cm_free(t->training);
}

cm_model cm_trainer_model(const cm_trainer *t, float *weights)
{
    return (cm_model){.net = t->net,
                      .params = t->params,
                      .flat = weights,
                      .borrowed = 1,
                      .kind = t->kind,
                      .schedule = t->schedule,
                      .scales = (int)(t->method == CM_METHOD_EDM ? 18
                                      : t->curriculum.scale_mode == CM_SCALE_PROGRESSIVE
                                          ? t->config.end_scales + 1
                                          : t->config.start_scales),
                      .classes = t->classes,
                      .training = t->training};
}
