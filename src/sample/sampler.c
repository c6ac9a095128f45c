/* sampler.c - onestep, multistep, euler, which is progdist too, and heun */
#include "sample/sampler.h"

#include <math.h>
#include <string.h>

static double clamped(double v)
{
    return v < -1 ? -1 : v > 1 ? 1 : v;
}

/* The result: from, which may be x, within [-1, 1]. */
static cm_status finish(const cm_sampling *s, const double *from, double *x)
{
    for (size_t j = 0; j < s->count; j++)
        x[j] = s->constraint.run ? from[j] : clamped(from[j]);
    if (s->constraint.run)
        s->constraint.run(s->constraint.user, x, 1);
    return CM_OK;
}

static void start(const cm_sampling *s, double sigma, double *x)
{
    s->noise.draw(s->noise.user, 0, x);
    for (size_t j = 0; j < s->count; j++)
        x[j] = sigma * x[j] + (s->from ? s->from[j] : 0);
}

static cm_status denoise(const cm_sampling *s, const double *x, double sigma, double *denoised,
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

/* d = (x - D(x, sigma)) / sigma = dx/dsigma along the probability flow ODE. */
static cm_status slope(const cm_sampling *s, const double *x, double sigma, double *d,
                       cm_error *err)
{
    const cm_status status = denoise(s, x, sigma, d, err);
    if (status)
        return status;
    for (size_t j = 0; j < s->count; j++)
        d[j] = (x[j] - d[j]) / sigma;
    return CM_OK;
}

cm_status cm_sample_onestep(const cm_sampling *s, double sigma_max, double *x, cm_error *err)
{
    double *x0 = s->work;
    start(s, sigma_max, x);
    const cm_status status = denoise(s, x, sigma_max, x0, err);
    if (status)
        return status;
    return finish(s, x0, x);
}

cm_status cm_sample_multistep(const cm_sampling *s, const cm_noise_schedule *schedule,
                              const double *sigma, int m, double *x, cm_error *err)
{
    cm_status status = cm_sigma_list_check(schedule, sigma, m, err);
    if (status)
        return status;
    const double low = schedule->sigma_min;
    double *x0 = s->work;
    start(s, sigma[0], x);
    for (int i = 0; i < m; i++) {
        if (i > 0) {
            const double std = sqrt(sigma[i] * sigma[i] - low * low);
            s->noise.draw(s->noise.user, i, x);
            for (size_t j = 0; j < s->count; j++)
                x[j] = x0[j] + std * x[j];
        }
        status = denoise(s, x, sigma[i], x0, err);
        if (status)
            return status;
    }
    return finish(s, x0, x);
}

cm_status cm_sample_euler(const cm_sampling *s, const double *sigma, int n, double *x,
                          cm_error *err)
{
    double *d = s->work;
    start(s, sigma[0], x);
    for (int i = 0; i < n; i++) {
        const cm_status status = slope(s, x, sigma[i], d, err);
        if (status)
            return status;
        const double dt = sigma[i + 1] - sigma[i];
        for (size_t j = 0; j < s->count; j++)
            x[j] += dt * d[j];
    }
    return finish(s, x, x);
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

/* One Heun step (trapezoid rule) of x from sigma to next. */
static cm_status heun_step(const cm_sampling *s, double sigma, double next, double *x,
                           cm_error *err)
{
    double *d = s->work, *x2 = d + s->count, *d2 = x2 + s->count;
    const double dt = next - sigma;
    cm_status status = slope(s, x, sigma, d, err);
    if (status)
        return status;
    for (size_t j = 0; j < s->count; j++)
        x2[j] = x[j] + dt * d[j];
    if (next > 0) { /* the slope does not exist at 0 */
        cm_sampling trial = *s;
        trial.watch.step = NULL;
        status = slope(&trial, x2, next, d2, err);
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
    start(s, sigma[0], x);
    for (int i = 0; i < n; i++) {
        const double sigma_hat = churn_up(s, churn, sigma[i], i, n, x);
        const cm_status status = heun_step(s, sigma_hat, sigma[i + 1], x, err);
        if (status)
            return status;
    }
    return finish(s, x, x);
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

cm_status cm_sigma_list_check(const cm_noise_schedule *schedule, const double *sigma, int m,
                              cm_error *err)
{
    if (m < 1)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "sigmas: expected at least one noise level, found none");
    for (int i = 0; i < m; i++) {
        if (!(sigma[i] >= schedule->sigma_min && sigma[i] <= schedule->sigma_max))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "sigmas: item %d: expected a noise level within [%g, %g], found %g",
                           i + 1, schedule->sigma_min, schedule->sigma_max, sigma[i]);
        if (i > 0 && sigma[i] >= sigma[i - 1])
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "sigmas: item %d: expected less than the %g before it, found %g", i + 1,
                           sigma[i - 1], sigma[i]);
    }
    return CM_OK;
}

cm_status cm_sigma_list_from_ts(const cm_noise_schedule *schedule, const int *ts, int n, int steps,
                                double *sigma, cm_error *err)
{
    if (steps < 2)
        return cm_fail(err, CM_ERR_ARGUMENT, "ts: steps: expected at least 2, found %d", steps);
    if (n < 2)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "ts: expected at least two indices, 0 first and steps - 1 = %d last, "
                       "found %d",
                       steps - 1, n);
    if (ts[0] != 0)
        return cm_fail(err, CM_ERR_ARGUMENT, "ts: item 1: expected 0 (sigma-max), found %d", ts[0]);
    for (int i = 1; i < n; i++)
        if (ts[i] <= ts[i - 1] || ts[i] > steps - 1)
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "ts: item %d: expected more than the %d before it and at most "
                           "steps - 1 = %d, found %d",
                           i + 1, ts[i - 1], steps - 1, ts[i]);
    if (ts[n - 1] != steps - 1)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "ts: last item: expected steps - 1 = %d (sigma-min, else the images stay "
                       "noisy), found %d",
                       steps - 1, ts[n - 1]);
    for (int i = 0; i < n - 1; i++)
        sigma[i] = cm_sigma_at(schedule, (double)ts[i] / (steps - 1));
    return CM_OK;
}

/* ---- the table ---- */

static cm_status run_onestep(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_onestep(s, l->sigma[0], x, err);
}

static cm_status run_multistep(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_multistep(s, l->schedule, l->sigma, l->n, x, err);
}

static cm_status run_heun(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_heun(s, l->sigma, l->n, &l->churn, x, err);
}

static cm_status run_euler(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_euler(s, l->sigma, l->n, x, err);
}

static int one(const cm_levels *l)
{
    (void)l;
    return 1;
}

static int levels(const cm_levels *l)
{
    return l->n;
}

/* The step to zero has no second slope. */
static int heun_evaluations(const cm_levels *l)
{
    return 2 * l->n - (l->sigma[l->n] <= 0);
}

static int heun_draws(const cm_levels *l)
{
    return l->churn.s_churn > 0 ? l->n + 1 : 1;
}

/* In each kind the best one first.  progdist is how models of progressive distillation are
 * sampled (Salimans & Ho 2022): Euler's steps between the levels that they were trained at. */
const cm_sampling_method cm_sampling_methods[] = {
    {.name = "onestep",
     .steps = 1,
     .most_steps = 1,
     .evaluations = one,
     .draws = one,
     .run = run_onestep},
    {.name = "multistep",
     .takes_list = 1,
     .evaluations = levels,
     .draws = levels,
     .run = run_multistep},
    {.name = "heun",
     .of_teacher = 1,
     .takes_churn = 1,
     .steps = 18,
     .evaluations = heun_evaluations,
     .draws = heun_draws,
     .run = run_heun},
    {.name = "euler",
     .of_teacher = 1,
     .steps = 18,
     .evaluations = levels,
     .draws = one,
     .run = run_euler},
    {.name = "progdist",
     .of_teacher = 1,
     .of_few_steps = 1,
     .ends_at_min = 1,
     .steps = 18,
     .evaluations = levels,
     .draws = one,
     .run = run_euler},
    {0},
};

const cm_sampling_method *cm_sampling_method_find(const char *name)
{
    for (const cm_sampling_method *s = cm_sampling_methods; s->name; s++)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}

const cm_sampling_method *cm_sampling_method_default(int of_teacher, int list_given)
{
    const cm_sampling_method *s = cm_sampling_methods;
    while (s->of_teacher != of_teacher || (!of_teacher && s->takes_list != list_given))
        s++;
    return s;
}

const cm_sampling_method *cm_sampling_method_of_few_steps(void)
{
    const cm_sampling_method *s = cm_sampling_methods;
    while (!s->of_few_steps)
        s++;
    return s;
}

double cm_second_level(const cm_noise_schedule *schedule)
{
    const double highest = cm_sigma_at(schedule, 0.41), wanted = 10 * schedule->sigma_data;
    return wanted < highest && wanted >= schedule->sigma_min ? wanted : highest;
}
