/* schedule.c - noise levels, EDM eq. (5) */
#include "consistency/schedule.h"

#include <math.h>

cm_status cm_noise_schedule_check(const cm_noise_schedule *s, cm_error *err)
{
    if (!(s->sigma_min > 0 && s->sigma_min < s->sigma_max && isfinite(s->sigma_max)))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "noise schedule: expected 0 < sigma-min < sigma-max, found sigma-min %g and "
                       "sigma-max %g",
                       s->sigma_min, s->sigma_max);
    if (!(s->sigma_data > 0 && isfinite(s->sigma_data)))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "noise schedule: sigma-data: expected a positive number, found %g",
                       s->sigma_data);
    if (!(s->rho > 0 && isfinite(s->rho)))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "noise schedule: rho: expected a positive number, found %g", s->rho);
    return CM_OK;
}

double cm_sigma_at(const cm_noise_schedule *s, double u)
{
    if (u <= 0)
        return s->sigma_max;
    if (u >= 1)
        return s->sigma_min;
    const double high = pow(s->sigma_max, 1 / s->rho), low = pow(s->sigma_min, 1 / s->rho);
    return pow(high + u * (low - high), s->rho);
}

void cm_karras_grid(const cm_noise_schedule *s, int n, double *sigma)
{
    cm_assert(n >= 1);
    sigma[0] = s->sigma_max;
    for (int i = 1; i < n; i++)
        sigma[i] = cm_sigma_at(s, (double)i / (n - 1));
    sigma[n] = 0;
}

/* sigma(u), lo at least */
static cm_node *at_position(cm_graph *g, const cm_noise_schedule *s, cm_node *u, double lo)
{
    const double top = pow(s->sigma_max, 1.0 / s->rho), bottom = pow(s->sigma_min, 1.0 / s->rho);
    cm_node *root = cm_affine(g, u, (float)(bottom - top), (float)top);
    return cm_clamp(g, cm_pow(g, root, (float)s->rho), (float)lo, (float)s->sigma_max);
}

cm_node *cm_sigma_at_position(cm_graph *g, const cm_noise_schedule *s, cm_node *u)
{
    return at_position(g, s, u, s->sigma_min);
}

cm_node *cm_sigma_at_index(cm_graph *g, const cm_noise_schedule *s, cm_node *index, cm_node *scales)
{
    cm_node *u = cm_mul(g, index, cm_pow(g, cm_affine(g, scales, 1.0f, -1.0f), -1.0f));
    cm_node *sigma = at_position(g, s, u, 0.0);
    /* The last level is sigma_min exactly, where the boundary condition lives: rounding
     * of u and of the power must not move it.  before: 1, and 0 at index N-1. */
    cm_node *last = cm_affine(g, scales, -1.0f, 1.0f);
    cm_node *before = cm_affine(g, cm_sign(g, cm_add(g, index, last)), -1.0f, 0.0f);
    return cm_add(g, cm_mul(g, sigma, before),
                  cm_affine(g, before, -(float)s->sigma_min, (float)s->sigma_min));
}
