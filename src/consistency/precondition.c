/* precondition.c - c_skip, c_out, c_in, c_noise and loss weights, and their names */
#include "consistency/precondition.h"

#include <math.h>
#include <string.h>

static cm_node *square(cm_graph *g, cm_node *x)
{
    return cm_mul(g, x, x);
}

cm_precond cm_precondition(cm_graph *g, cm_precond_kind kind, const cm_noise_schedule *s,
                           cm_node *sigma)
{
    const float d = (float)s->sigma_data, eps = (float)s->sigma_min;
    cm_precond c;
    cm_node *s2 = cm_affine(g, square(g, sigma), 1.0f, d * d);
    /* The distance to the level at which the wrapper is the identity. */
    cm_node *beyond = cm_affine(g, sigma, 1.0f, kind == CM_PRECOND_SKIP ? -eps : 0.0f);
    c.c_in = cm_pow(g, s2, -0.5f);
    c.c_noise = cm_affine(g, cm_log(g, sigma), 250.0f, 0.0f);
    /* d^2/(beyond^2 + d^2), divided through by d^2: exactly 1 where beyond is 0. */
    c.c_skip = cm_pow(g, cm_affine(g, square(g, beyond), 1.0f / (d * d), 1.0f), -1.0f);
    c.c_out = cm_affine(g, cm_mul(g, beyond, c.c_in), d, 0.0f);
    if (kind == CM_PRECOND_PIECEWISE) {
        /* on: 1 above sigma_min, 0 there */
        cm_node *on = cm_clamp(g, cm_sign(g, cm_affine(g, sigma, 1.0f, -eps)), 0.0f, 1.0f);
        cm_node *off = cm_affine(g, on, -1.0f, 1.0f);
        c.c_skip = cm_add(g, cm_mul(g, c.c_skip, on), off);
        c.c_out = cm_mul(g, c.c_out, on);
    }
    return c;
}

cm_node *cm_loss_weight(cm_graph *g, cm_weighting kind, const cm_noise_schedule *s, cm_node *sigma)
{
    const float d = (float)s->sigma_data;
    cm_node *snr = cm_pow(g, sigma, -2.0f);
    switch (kind) {
    case CM_WEIGHTING_SNR:
        return snr;
    case CM_WEIGHTING_SNR_PLUS_1:
        return cm_affine(g, snr, 1.0f, 1.0f);
    case CM_WEIGHTING_KARRAS:
        return cm_affine(g, snr, 1.0f, 1.0f / (d * d));
    case CM_WEIGHTING_TRUNCATED_SNR:
        return cm_clamp(g, snr, 1.0f, INFINITY);
    case CM_WEIGHTING_UNIFORM:
        break;
    }
    return cm_affine(g, sigma, 0.0f, 1.0f);
}

/* clang-format off */
#define X(id, name) name,
static const char *const precond_names[] = {CM_PRECOND_LIST(X)};
#undef X
#define X(id, name) name,
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
#define X(id, text)                \
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
