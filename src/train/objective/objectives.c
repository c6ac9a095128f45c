/* objectives.c - the objectives there are, and their options resolved */
#include "train/objective/objective.h"

#include "options/options.h"

#include <string.h>

extern const cm_objective cm_objective_edm, cm_objective_cd, cm_objective_ct, cm_objective_pd,
    cm_objective_cd_continuous, cm_objective_ct_continuous, cm_objective_classifier;

const cm_objective *const cm_objectives[] = {&cm_objective_edm,
                                             &cm_objective_cd,
                                             &cm_objective_ct,
                                             &cm_objective_pd,
                                             &cm_objective_cd_continuous,
                                             &cm_objective_ct_continuous,
                                             &cm_objective_classifier,
                                             NULL};

const cm_objective *cm_objective_find(const char *name)
{
    for (const cm_objective *const *o = cm_objectives; *o; o++)
        if (!strcmp((*o)->name, name))
            return *o;
    return NULL;
}

static int left_empty(const cm_option *o, const cm_train_params *options)
{
    const char *field = (const char *)options + o->offset;
    return o->type == CM_OPT_TEXT   ? !*field
           : o->type == CM_OPT_INT  ? !*(const int64_t *)(const void *)field
           : o->type == CM_OPT_FLAG ? !*(const int *)(const void *)field
                                    : 0;
}

/* Where a method has no other, whether it looks at them or not: config.json is complete. */
static const cm_option_value usual[] = {{"weighting", "uniform"}, {"target-ema-mode", "fixed"},
                                        {"scale-mode", "fixed"},  {"start-scales", "18"},
                                        {"end-scales", "150"},    {0}};

static cm_status set_defaults(const cm_option_value *d, cm_train_params *options, cm_error *err)
{
    cm_status s = CM_OK;
    for (; d && d->name && !s; d++)
        if (left_empty(cm_option_find(cm_train_options(), d->name), options))
            s = cm_options_set(cm_train_options(), options, d->name, d->value, err);
    return s;
}

/* Unknown names are kept out by the option table; this is for callers that filled the
 * struct by hand. */
static cm_status unknown(const char *option, const char *found, cm_error *err)
{
    char text[64];
    return cm_fail(err, CM_ERR_ARGUMENT, "option '%s': '%s' is none of its choices", option,
                   cm_escape(text, sizeof text, found));
}

static cm_status resolve_curriculum(cm_objective_settings *s, cm_error *err)
{
    const cm_train_params *o = s->options;
    s->curriculum = (cm_curriculum){.target_ema = cm_target_ema_mode_find(o->target_ema_mode),
                                    .scale = cm_scale_mode_find(o->scale_mode),
                                    .start_ema = o->start_ema,
                                    .start_scales = o->start_scales,
                                    .end_scales = o->end_scales,
                                    .total_steps = o->steps ? o->steps : 1};
    if (!s->curriculum.target_ema)
        return unknown("target-ema-mode", o->target_ema_mode, err);
    if (!s->curriculum.scale)
        return unknown("scale-mode", o->scale_mode, err);
    return cm_curriculum_check(&s->curriculum, err);
}

cm_status cm_objective_resolve(cm_train_params *o, cm_objective_settings *settings, cm_error *err)
{
    cm_objective_settings s = {.objective = cm_objective_find(o->method), .options = o};
    if (!s.objective)
        return unknown("method", o->method, err);
    cm_status status = set_defaults(s.objective->defaults, o, err);
    if (!status)
        status = set_defaults(usual, o, err);
    if (status)
        return status;
    s.schedule = (cm_noise_schedule){o->sigma_min, o->sigma_max, o->sigma_data, o->rho};
    s.teacher_schedule = s.schedule;
    s.precondition =
        s.objective->precondition ? s.objective->precondition : cm_precondition_find(o->boundary);
    s.weighting = cm_weighting_find(o->weighting);
    s.distance = cm_distance_find(o->loss_norm);
    s.solver = cm_solver_find(o->solver);
    if (!s.precondition)
        return unknown("boundary", o->boundary, err);
    if (!s.weighting)
        return unknown("weighting", o->weighting, err);
    if (!s.distance)
        return unknown("loss-norm", o->loss_norm, err);
    if (!s.solver)
        return unknown("solver", o->solver, err);
    if ((status = cm_noise_schedule_check(&s.schedule, err)) ||
        (s.objective->has_target && (status = resolve_curriculum(&s, err))) ||
        (status = cm_objective_check(&s, err)))
        return status;
    *settings = s;
    return CM_OK;
}

cm_status cm_objective_check(const cm_objective_settings *s, cm_error *err)
{
    return s->objective->check ? s->objective->check(s, err) : CM_OK;
}

cm_stage cm_objective_stage(const cm_objective_settings *s, int64_t k)
{
    return s->objective->stage ? s->objective->stage(s, k) : (cm_stage){.steps = s->options->steps};
}
