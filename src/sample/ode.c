/* ode.c - down the probability flow ODE of a diffusion teacher, dx/dsigma = (x - D(x, sigma)) /
 * sigma, in steps that know one level and its slope: euler, heun and dpm2 (EDM algorithm 2 with
 * the trapezoid or the midpoint rule), ancestral; and heun up it.
 *
 * ancestral steps from sigma_i below sigma_{i+1} and adds what is missing as fresh noise:
 *
 *     sigma_up^2 = sigma_{i+1}^2 (sigma_i^2 - sigma_{i+1}^2) / sigma_i^2
 *     sigma_down = sqrt(sigma_{i+1}^2 - sigma_up^2) = sigma_{i+1}^2 / sigma_i */
#include "sample/sampling.h"

#include <math.h>

cm_status cm_sample_euler(const cm_sampling *s, const double *sigma, int n, double *x,
                          cm_error *err)
{
    double *d = s->work;
    cm_sampling_start(s, sigma[0], x);
    for (int i = 0; i < n; i++) {
        const cm_status status = cm_sampling_slope(s, x, sigma[i], d, err);
        if (status)
            return status;
        const double dt = sigma[i + 1] - sigma[i];
        for (size_t j = 0; j < s->count; j++)
            x[j] += dt * d[j];
    }
    return cm_sampling_finish(s, x, x);
}

/* Raise the noise of x from sigma to the level returned, sigma_hat. */
static double churn_up(const cm_sampling *s, const cm_churn *churn, double sigma, int step, int n,
                       double *x)
{
    if (churn->s_churn <= 0 || sigma < churn->s_tmin || sigma > churn->s_tmax)
        return sigma;
    const double gamma = fmin(churn->s_churn / n, sqrt(2) - 1), sigma_hat = sigma * (1 + gamma);
    const double std = churn->s_noise * sqrt(sigma_hat * sigma_hat - sigma * sigma);
    double *z = s->work;
    s->noise.draw(s->noise.user, step + 1, z);
    for (size_t j = 0; j < s->count; j++)
        x[j] += std * z[j];
    return sigma_hat;
}

/* At a point that is not on the way. */
static cm_status trial_slope(const cm_sampling *s, const double *x, double sigma, double *d,
                             cm_error *err)
{
    cm_sampling trial = *s;
    trial.watch.step = NULL;
    return cm_sampling_slope(&trial, x, sigma, d, err);
}

/* One Heun step (trapezoid rule) of x from sigma to next. */
static cm_status heun_step(const cm_sampling *s, double sigma, double next, double *x,
                           cm_error *err)
{
    double *d = s->work, *x2 = d + s->count, *d2 = x2 + s->count;
    const double dt = next - sigma;
    cm_status status = cm_sampling_slope(s, x, sigma, d, err);
    if (status)
        return status;
    for (size_t j = 0; j < s->count; j++)
        x2[j] = x[j] + dt * d[j];
    if (next > 0) { /* the slope does not exist at 0 */
        status = trial_slope(s, x2, next, d2, err);
        if (status)
            return status;
        for (size_t j = 0; j < s->count; j++)
            x2[j] = x[j] + dt * (d[j] + d2[j]) / 2;
    }
    for (size_t j = 0; j < s->count; j++)
        x[j] = x2[j];
    return CM_OK;
}

cm_status cm_sample_heun(const cm_sampling *s, const double *sigma, int n, const cm_churn *churn,
                         double *x, cm_error *err)
{
    cm_sampling_start(s, sigma[0], x);
    for (int i = 0; i < n; i++) {
        const double sigma_hat = churn_up(s, churn, sigma[i], i, n, x);
        const cm_status status = heun_step(s, sigma_hat, sigma[i + 1], x, err);
        if (status)
            return status;
    }
    return cm_sampling_finish(s, x, x);
}

cm_status cm_sample_invert(const cm_sampling *s, const double *sigma, int n, double *x,
                           cm_error *err)
{
    for (int i = n; i > 0; i--) {
        const cm_status status = heun_step(s, sigma[i], sigma[i - 1], x, err);
        if (status)
            return status;
    }
    for (size_t j = 0; j < s->count; j++)
        x[j] /= sigma[0];
    return CM_OK;
}

/* ---- DPM-Solver-2 and Euler with fresh noise ---- */

/* The middle of a step is taken of sigma^(1/3), so that the last, to 0, has one above it. */
static double middle(double sigma, double next)
{
    const double root = (cbrt(sigma) + cbrt(next)) / 2;
    return root * root * root;
}

cm_status cm_sample_dpm2(const cm_sampling *s, const double *sigma, int n, const cm_churn *churn,
                         double *x, cm_error *err)
{
    double *d = s->work, *x2 = d + s->count;
    cm_sampling_start(s, sigma[0], x);
    for (int i = 0; i < n; i++) {
        const double from = churn_up(s, churn, sigma[i], i, n, x), mid = middle(from, sigma[i + 1]);
        cm_status status = cm_sampling_slope(s, x, from, d, err);
        if (status)
            return status;
        for (size_t j = 0; j < s->count; j++)
            x2[j] = x[j] + (mid - from) * d[j];
        status = trial_slope(s, x2, mid, d, err);
        if (status)
            return status;
        for (size_t j = 0; j < s->count; j++)
            x[j] += (sigma[i + 1] - from) * d[j];
    }
    return cm_sampling_finish(s, x, x);
}

cm_status cm_sample_ancestral(const cm_sampling *s, const double *sigma, int n, double *x,
                              cm_error *err)
{
    double *d = s->work, *z = d + s->count;
    cm_sampling_start(s, sigma[0], x);
    for (int i = 0; i < n; i++) {
        const double from = sigma[i], to = sigma[i + 1];
        const double up = to * sqrt((from - to) * (from + to)) / from;
        const double down = to * to / from; /* sqrt(to^2 - up^2) */
        const cm_status status = cm_sampling_slope(s, x, from, d, err);
        if (status)
            return status;
        for (size_t j = 0; j < s->count; j++)
            x[j] += (down - from) * d[j];
        if (up > 0)
            s->noise.draw(s->noise.user, i + 1, z);
        for (size_t j = 0; up > 0 && j < s->count; j++)
            x[j] += up * z[j];
    }
    return cm_sampling_finish(s, x, x);
}
