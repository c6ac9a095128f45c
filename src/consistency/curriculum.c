/* curriculum.c - N(k) and mu(k); the formulas are in curriculum.h */
#include "consistency/curriculum.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define X(id, name) name,
static const char *const target_ema_names[] = {CM_TARGET_EMA_LIST(X)};
static const char *const scale_names[] = {CM_SCALE_LIST(X)};
#undef X
/* clang-format on */

static int supported(const cm_curriculum *c)
{
    return c->target_ema_mode == CM_TARGET_EMA_FIXED ||
           (c->target_ema_mode == CM_TARGET_EMA_ADAPTIVE && c->scale_mode == CM_SCALE_PROGRESSIVE);
}

cm_status cm_curriculum_check(const cm_curriculum *c, cm_error *err)
{
    if (!supported(c))
        return cm_fail(
            err, CM_ERR_ARGUMENT,
            "curriculum: target-ema-mode %s with scale-mode %s: expected fixed with any, "
            "or adaptive with progressive",
            target_ema_names[c->target_ema_mode], scale_names[c->scale_mode]);
    const int adaptive = c->target_ema_mode == CM_TARGET_EMA_ADAPTIVE;
    if (!(c->start_ema >= 0 && c->start_ema <= 1) || (adaptive && c->start_ema == 0))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "curriculum: start-ema: expected a number within %s0, 1], found %g",
                       adaptive ? "(" : "[", c->start_ema);
    if (c->start_scales < 2)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "curriculum: start-scales: expected at least 2, found %lld",
                       (long long)c->start_scales);
    if (c->scale_mode == CM_SCALE_PROGRESSIVE) {
        if (c->end_scales < c->start_scales - 1)
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "curriculum: end-scales: expected at least start-scales - 1 = %lld, "
                           "found %lld",
                           (long long)c->start_scales - 1, (long long)c->end_scales);
        if (c->total_steps < 1)
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "curriculum: steps: expected at least 1, found %lld",
                           (long long)c->total_steps);
    }
    if (c->scale_mode == CM_SCALE_PROGDIST && c->distill_steps_per_iter < 1)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "curriculum: distill-steps-per-iter: expected at least 1, found %lld",
                       (long long)c->distill_steps_per_iter);
    return CM_OK;
}

/* M = N(k) - 1 of the progressive modes. */
static double progressive_pairs(const cm_curriculum *c, int64_t k)
{
    const double s0 = (double)c->start_scales, s1 = (double)c->end_scales;
    const double done = k < c->total_steps ? (double)k / (double)c->total_steps : 1;
    return ceil(sqrt(done * ((s1 + 1) * (s1 + 1) - s0 * s0) + s0 * s0) - 1);
}

/* Halve every d steps down to 2, which lasts two stages, then 1.  The first step
 * at 2 is d (log2(s0) - 1), a fraction of a stage early when s0 is no power of two:
 * so does the released code. */
static int64_t progdist_scales(const cm_curriculum *c, int64_t k)
{
    const int64_t stage = k / c->distill_steps_per_iter;
    const int64_t halved = stage < 62 ? c->start_scales >> stage : 0;
    if (halved > 2)
        return halved;
    const double d = (double)c->distill_steps_per_iter;
    const double since = (double)k - d * (log2((double)c->start_scales) - 1);
    return since < 2 * d ? 2 : 1;
}

cm_curriculum_point cm_curriculum_at(const cm_curriculum *c, int64_t k)
{
    cm_assert(k >= 0 && supported(c));
    switch (c->scale_mode) {
    case CM_SCALE_FIXED:
        break;
    case CM_SCALE_PROGDIST:
        return (cm_curriculum_point){.scales = progdist_scales(c, k), .target_ema = 1};
    case CM_SCALE_PROGRESSIVE: {
        const double m = progressive_pairs(c, k);
        const double mu = c->target_ema_mode == CM_TARGET_EMA_ADAPTIVE
                              ? exp((double)c->start_scales * log(c->start_ema) / m)
                              : c->start_ema;
        return (cm_curriculum_point){.scales = (int64_t)m + 1, .target_ema = mu};
    }
    }
    return (cm_curriculum_point){.scales = c->start_scales, .target_ema = c->start_ema};
}

cm_status cm_target_ema_from_name(const char *name, cm_target_ema_mode *mode, cm_error *err)
{
    char found[64];
#define X(id, text)                 \
    if (!strcmp(name, text)) {      \
        *mode = CM_TARGET_EMA_##id; \
        return CM_OK;               \
    }
    CM_TARGET_EMA_LIST(X)
#undef X
    return cm_fail(err, CM_ERR_ARGUMENT, "target-ema-mode: expected fixed or adaptive, found '%s'",
                   cm_escape(found, sizeof found, name));
}

cm_status cm_scale_mode_from_name(const char *name, cm_scale_mode *mode, cm_error *err)
{
    char found[64];
#define X(id, text)            \
    if (!strcmp(name, text)) { \
        *mode = CM_SCALE_##id; \
        return CM_OK;          \
    }
    CM_SCALE_LIST(X)
#undef X
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "scale-mode: expected fixed, progressive or progdist, found '%s'",
                   cm_escape(found, sizeof found, name));
}
