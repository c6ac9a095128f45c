/* sampler.c - onestep and multistep, their lists of levels, and the table of samplers */
#include "sample/sampling.h"

#include <math.h>
#include <string.h>

cm_status cm_sample_onestep(const cm_sampling *s, double sigma_max, double *x, cm_error *err)
{
    double *x0 = s->work;
    cm_sampling_start(s, sigma_max, x);
    const cm_status status = cm_sampling_denoise(s, x, sigma_max, x0, err);
    if (status)
        return status;
    return cm_sampling_finish(s, x0, x);
}

cm_status cm_sample_multistep(const cm_sampling *s, const cm_noise_schedule *schedule,
                              const double *sigma, int m, double *x, cm_error *err)
{
    cm_status status = cm_sigma_list_check(schedule, sigma, m, err);
    if (status)
        return status;
    const double low = schedule->sigma_min;
    double *x0 = s->work;
    cm_sampling_start(s, sigma[0], x);
    for (int i = 0; i < m; i++) {
        if (i > 0) {
            const double std = sqrt(sigma[i] * sigma[i] - low * low);
            s->noise.draw(s->noise.user, i, x);
            for (size_t j = 0; j < s->count; j++)
                x[j] = x0[j] + std * x[j];
        }
        status = cm_sampling_denoise(s, x, sigma[i], x0, err);
        if (status)
            return status;
    }
    return cm_sampling_finish(s, x0, x);
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

static cm_status run_dpm2(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_dpm2(s, l->sigma, l->n, &l->churn, x, err);
}

static cm_status run_ancestral(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_ancestral(s, l->sigma, l->n, x, err);
}

static cm_status run_2m(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_dpm_solver(s, l->sigma, l->n, 2, x, err);
}

static cm_status run_3m(const cm_sampling *s, const cm_levels *l, double *x, cm_error *err)
{
    return cm_sample_dpm_solver(s, l->sigma, l->n, 3, x, err);
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

static int twice(const cm_levels *l)
{
    return 2 * l->n;
}

static int churn_draws(const cm_levels *l)
{
    return l->churn.s_churn > 0 ? l->n + 1 : 1;
}

/* Fresh noise at the end of each step but one to zero. */
static int ancestral_draws(const cm_levels *l)
{
    return l->n + (l->sigma[l->n] > 0);
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
     .draws = churn_draws,
     .run = run_heun},
    {.name = "euler",
     .of_teacher = 1,
     .steps = 18,
     .evaluations = levels,
     .draws = one,
     .run = run_euler},
    {.name = "dpm2",
     .of_teacher = 1,
     .takes_churn = 1,
     .steps = 18,
     .evaluations = twice,
     .draws = churn_draws,
     .run = run_dpm2},
    {.name = "ancestral",
     .of_teacher = 1,
     .steps = 18,
     .evaluations = levels,
     .draws = ancestral_draws,
     .run = run_ancestral},
    {.name = "dpm-solver++2m",
     .of_teacher = 1,
     .steps = 18,
     .evaluations = levels,
     .draws = one,
     .run = run_2m},
    {.name = "dpm-solver++3m",
     .of_teacher = 1,
     .steps = 18,
     .evaluations = levels,
     .draws = one,
     .run = run_3m},
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

/* The level of the grid, its ends left out, that is nearest to sigma as a ratio. */
static double nearest_level(const cm_noise_schedule *schedule, int scales, double sigma)
{
    double nearest = cm_sigma_at(schedule, 1.0 / (scales - 1));
    for (int i = 2; i < scales - 1; i++) {
        const double level = cm_sigma_at(schedule, (double)i / (scales - 1));
        if (fabs(log(level / sigma)) < fabs(log(nearest / sigma)))
            nearest = level;
    }
    return nearest;
}

double cm_second_level(const cm_noise_schedule *schedule, int scales)
{
    const double highest = cm_sigma_at(schedule, 0.41), wanted = 4 * schedule->sigma_data,
                 level = wanted < highest && wanted >= schedule->sigma_min ? wanted : highest;
    return scales < 3 ? level : nearest_level(schedule, scales, level);
}
