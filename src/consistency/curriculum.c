/* curriculum.c - N(k) and mu(k); the formulas are in curriculum.h */
#include "consistency/curriculum.h"

#include <math.h>
#include <string.h>

static int64_t fixed_scales(const cm_curriculum *c, int64_t k)
{
    (void)k;
    return c->start_scales;
}

static int64_t progressive_scales(const cm_curriculum *c, int64_t k)
{
    const double s0 = (double)c->start_scales, s1 = (double)c->end_scales;
    const double done = k < c->total_steps ? (double)k / (double)c->total_steps : 1;
    const double m = ceil(sqrt(done * ((s1 + 1) * (s1 + 1) - s0 * s0) + s0 * s0) - 1);
    return (int64_t)m + 1;
}

static double fixed_rate(const cm_curriculum *c, int64_t scales)
{
    (void)scales;
    return c->start_ema;
}

static double adaptive_rate(const cm_curriculum *c, int64_t scales)
{
    return exp((double)c->start_scales * log(c->start_ema) / (double)(scales - 1));
}

const cm_scale_mode cm_scale_modes[] = {
    {"fixed", 0, fixed_scales, NULL}, {"progressive", 1, progressive_scales, "end-scales"}, {0}};
const cm_target_ema_mode cm_target_ema_modes[] = {
    {"fixed", 0, fixed_rate}, {"adaptive", 1, adaptive_rate}, {0}};

cm_status cm_curriculum_check(const cm_curriculum *c, cm_error *err)
{
    const int adaptive = c->target_ema->follows_scales, grows = c->scale->grows;
    if (adaptive && !grows)
        return cm_fail(
            err, CM_ERR_ARGUMENT,
            "curriculum: target-ema-mode %s with scale-mode %s: expected fixed with any, "
            "or adaptive with progressive",
            c->target_ema->name, c->scale->name);
    if (!(c->start_ema >= 0 && c->start_ema <= 1) || (adaptive && c->start_ema == 0))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "curriculum: start-ema: expected a number within %s0, 1], found %g",
                       adaptive ? "(" : "[", c->start_ema);
    if (c->start_scales < 2)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "curriculum: start-scales: expected at least 2, found %lld",
                       (long long)c->start_scales);
    if (grows && c->end_scales < c->start_scales - 1)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "curriculum: end-scales: expected at least start-scales - 1 = %lld, "
                       "found %lld",
                       (long long)c->start_scales - 1, (long long)c->end_scales);
    if (grows && c->total_steps < 1)
        return cm_fail(err, CM_ERR_ARGUMENT, "curriculum: steps: expected at least 1, found %lld",
                       (long long)c->total_steps);
    return CM_OK;
}

cm_curriculum_point cm_curriculum_at(const cm_curriculum *c, int64_t k)
{
    cm_assert(k >= 0);
    const int64_t scales = c->scale->scales(c, k);
    return (cm_curriculum_point){.scales = scales, .target_ema = c->target_ema->rate(c, scales)};
}

int64_t cm_curriculum_most_scales(const cm_curriculum *c)
{
    return c->scale->grows ? c->end_scales + 1 : c->start_scales;
}

const cm_scale_mode *cm_scale_mode_find(const char *name)
{
    for (const cm_scale_mode *m = cm_scale_modes; m->name; m++)
        if (!strcmp(m->name, name))
            return m;
    return NULL;
}

const cm_target_ema_mode *cm_target_ema_mode_find(const char *name)
{
    for (const cm_target_ema_mode *m = cm_target_ema_modes; m->name; m++)
        if (!strcmp(m->name, name))
            return m;
    return NULL;
}
