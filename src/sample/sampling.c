/* sampling.c */
#include "sample/sampling.h"

#include <math.h>

static double clamped(double v)
{
    return v < -1 ? -1 : v > 1 ? 1 : v;
}

cm_status cm_sampling_finish(const cm_sampling *s, const double *from, double *x)
{
    for (size_t j = 0; j < s->count; j++)
        x[j] = s->constraint.run ? from[j] : clamped(from[j]);
    if (s->constraint.run)
        s->constraint.run(s->constraint.user, x, 1);
    return CM_OK;
}

void cm_sampling_start(const cm_sampling *s, double sigma, double *x)
{
    s->noise.draw(s->noise.user, 0, x);
    for (size_t j = 0; j < s->count; j++)
        x[j] = sigma * x[j] + (s->from ? s->from[j] : 0);
}

cm_status cm_sampling_denoise(const cm_sampling *s, const double *x, double sigma, double *denoised,
                              cm_error *err)
{
    const cm_status status = s->denoiser.run(s->denoiser.user, x, sigma, denoised, err);
    if (status)
        return status;
    /* Before the clamp, which would hide an infinity. */
    for (size_t j = 0; j < s->count; j++)
        if (!isfinite(denoised[j]))
            return cm_fail(err, CM_ERR_NUMERIC,
                           "sampling: the network's output at sigma = %g: expected finite numbers, "
                           "found %g at element %zu",
                           sigma, denoised[j], j);
    if (s->clip_denoised)
        for (size_t j = 0; j < s->count; j++)
            denoised[j] = clamped(denoised[j]);
    if (s->constraint.run)
        s->constraint.run(s->constraint.user, denoised, 0);
    if (s->watch.step)
        s->watch.step(s->watch.user, sigma, x, denoised);
    return CM_OK;
}

cm_status cm_sampling_slope(const cm_sampling *s, const double *x, double sigma, double *d,
                            cm_error *err)
{
    const cm_status status = cm_sampling_denoise(s, x, sigma, d, err);
    if (status)
        return status;
    for (size_t j = 0; j < s->count; j++)
        d[j] = (x[j] - d[j]) / sigma;
    return CM_OK;
}
