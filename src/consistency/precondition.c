/* precondition.c - c_skip, c_out, c_in, c_noise and loss weights in double */
#include "consistency/precondition.h"

#include <math.h>
#include <string.h>

cm_precond cm_precondition(cm_precond_kind kind, const cm_noise_schedule *s, double sigma)
{
    const double d = s->sigma_data;
    const double c_in = 1 / sqrt(sigma * sigma + d * d);
    /* The distance to the noise level at which the wrapper is the identity. */
    const double above = kind == CM_PRECOND_SKIP ? sigma - s->sigma_min : sigma;
    cm_precond p = {.c_skip = d * d / (above * above + d * d),
                    .c_out = above * d * c_in,
                    .c_in = c_in,
                    .c_noise = 250 * log(sigma)};
    if (kind == CM_PRECOND_PIECEWISE && sigma <= s->sigma_min) {
        p.c_skip = 1;
        p.c_out = 0;
    }
    return p;
}

double cm_loss_weight(cm_weighting kind, const cm_noise_schedule *s, double sigma)
{
    const double d = s->sigma_data, snr = 1 / (sigma * sigma);
    switch (kind) {
#define X(id, name, formula) \
    case CM_WEIGHTING_##id:  \
        return formula;
        CM_WEIGHTING_LIST(X)
#undef X
    }
    return 0; /* not reached: every weighting is listed */
}

/* clang-format off */
#define X(id, name) name,
static const char *const precond_names[] = {CM_PRECOND_LIST(X)};
#undef X
#define X(id, name, formula) name,
static const char *const weighting_names[] = {CM_WEIGHTING_LIST(X)};
#undef X
/* clang-format on */

cm_status cm_precond_from_name(const char *name, cm_precond_kind *kind, cm_error *err)
{
    char found[64];
#define X(id, text)              \
    if (!strcmp(name, text)) {   \
        *kind = CM_PRECOND_##id; \
        return CM_OK;            \
    }
    CM_PRECOND_LIST(X)
#undef X
    return cm_fail(err, CM_ERR_ARGUMENT, "boundary: expected edm, skip or piecewise, found '%s'",
                   cm_escape(found, sizeof found, name));
}

cm_status cm_weighting_from_name(const char *name, cm_weighting *kind, cm_error *err)
{
    char found[64];
#define X(id, text, formula)       \
    if (!strcmp(name, text)) {     \
        *kind = CM_WEIGHTING_##id; \
        return CM_OK;              \
    }
    CM_WEIGHTING_LIST(X)
#undef X
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "weighting: expected uniform, snr, snr+1, karras or truncated-snr, found '%s'",
                   cm_escape(found, sizeof found, name));
}

const char *cm_precond_name(cm_precond_kind kind)
{
    return precond_names[kind];
}

const char *cm_weighting_name(cm_weighting kind)
{
    return weighting_names[kind];
}
