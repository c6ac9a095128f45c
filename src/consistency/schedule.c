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
