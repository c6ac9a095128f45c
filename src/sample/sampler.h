/* sampler.h - from noise to images: loops over noise levels, in double precision,
 * around a denoiser that the caller runs as it likes.
 *
 * The denoiser is D(x, sigma): a consistency model f for onestep and multistep, a
 * diffusion model (estimate of E[x0|x]) for the others.
 *
 * Noise is addressed by ordinal, not drawn from a stream: draw 0 is that of x_T,
 * and the noise before evaluation i of multistep, in step i - 1 of heun and dpm2 and at the end
 * of step i - 1 of ancestral is draw i whether or not the others were asked for.  So a run does
 * not depend on which draws happened to have weight zero.
 *
 * Every sampler fills x[count] from x_T on and clamps the result to [-1, 1].  Nothing is allocated.
 * Errors, besides those of the denoiser: CM_ERR_NUMERIC where it returns something that is not
 * finite. */
#ifndef CM_SAMPLE_SAMPLER_H
#define CM_SAMPLE_SAMPLER_H

#include "base/error.h"
#include "consistency/schedule.h"

typedef struct cm_denoise_fn {
    /* denoised[count] = D(x[count], sigma); the two do not overlap. */
    cm_status (*run)(void *user, const double *x, double sigma, double *denoised, cm_error *err);
    void *user;
} cm_denoise_fn;

typedef struct cm_noise_source {
    /* z[count] = draw number `draw` of N(0, I). */
    void (*draw)(void *user, int draw, double *z);
    void *user;
} cm_noise_source;

typedef struct cm_watch_fn {
    /* x[count] at a level of the way, and D(x, sigma), before the next level; trial points of a
     * step are not told. */
    void (*step)(void *user, double sigma, const double *x, const double *denoised);
    void *user;
} cm_watch_fn;

enum { CM_SAMPLING_WORK = 3 }; /* vectors of work memory: a step of heun, estimates of 3M */

/* What an edit knows of the images (Consistency Models, algorithm 4): x0[count], an estimate of
 * them, becomes the nearest one that agrees; at the last of all within [-1, 1] too. */
typedef struct cm_constraint {
    void (*run)(void *user, double *x0, int is_last); /* NULL: nothing is known */
    void *user;
} cm_constraint;

/* What a sampler works with. */
typedef struct cm_sampling {
    cm_denoise_fn denoiser;
    cm_noise_source noise;
    cm_watch_fn watch;        /* step NULL: nobody looks */
    const double *from;       /* [count]: x_T = from + sigma[0] z(0); NULL: from 0 */
    cm_constraint constraint; /* of each D, once it is clamped, and of the result */
    size_t count;             /* length of x */
    double *work;             /* CM_SAMPLING_WORK * count, the caller's */
    int clip_denoised;        /* clamp D to [-1, 1] at each call, as the released code does */
} cm_sampling;

/* x = f(x_T, sigma_max).  One evaluation. */
cm_status cm_sample_onestep(const cm_sampling *s, double sigma_max, double *x, cm_error *err);

/* Multistep consistency sampling, Consistency Models algorithm 1: evaluate f at
 * each sigma[0] > sigma[1] > ... > sigma[m-1], with noise sqrt(sigma[i]^2 -
 * sigma_min^2) z(i) added before all but the first.  The list ends where the noise
 * would be zero: sigma_min is implied.  m evaluations.
 * Errors: CM_ERR_ARGUMENT as cm_sigma_list_check. */
cm_status cm_sample_multistep(const cm_sampling *s, const cm_noise_schedule *schedule,
                              const double *sigma, int m, double *x, cm_error *err);

/* Euler steps down sigma[0..n] (see cm_karras_grid).  n evaluations. */
cm_status cm_sample_euler(const cm_sampling *s, const double *sigma, int n, double *x,
                          cm_error *err);

/* Fresh noise during heun and dpm2: EDM algorithm 2.  All zero: none. */
typedef struct cm_churn {
    double s_churn, s_tmin, s_tmax, s_noise;
} cm_churn;

/* Heun steps down sigma[0..n]; a step to zero is an Euler step.  2n - 1
 * evaluations where sigma[n] = 0. */
cm_status cm_sample_heun(const cm_sampling *s, const double *sigma, int n, const cm_churn *churn,
                         double *x, cm_error *err);

/* DPM-Solver-2 steps: the slope at the middle of a step, of sigma^(1/3), is that of the whole.
 * 2n evaluations. */
cm_status cm_sample_dpm2(const cm_sampling *s, const double *sigma, int n, const cm_churn *churn,
                         double *x, cm_error *err);

/* Euler steps below each level, and fresh noise up to it.  n evaluations. */
cm_status cm_sample_ancestral(const cm_sampling *s, const double *sigma, int n, double *x,
                              cm_error *err);

/* Multistep DPM-Solver++ of order 1 (DDIM), 2 or 3 (dpm_solver.c).  n evaluations. */
cm_status cm_sample_dpm_solver(const cm_sampling *s, const double *sigma, int n, int order,
                               double *x, cm_error *err);

/* The other way: x[count], images at sigma[n], follow the ODE up to sigma[0] in Heun steps and
 * become the noise that leads to them, x_T / sigma[0].  sigma[n] > 0.  2n evaluations. */
cm_status cm_sample_invert(const cm_sampling *s, const double *sigma, int n, double *x,
                           cm_error *err);

/* ---- the table of samplers ---- */

typedef struct cm_levels {
    int n;         /* of noise levels */
    double *sigma; /* falling; [n] where the sampler takes a list, else [n + 1], of which the last
                    * is 0, or sigma_min where the grid ends there */
    cm_churn churn;
    const cm_noise_schedule *schedule;
} cm_levels;

typedef struct cm_sampling_method {
    const char *name;
    int of_teacher;   /* follows the ODE of a diffusion model; else evaluates a consistency model */
    int of_few_steps; /* also of one that was distilled to the levels of its grid */
    int ends_at_min;  /* the grid ends at sigma_min, else goes on to 0 */
    int takes_list;   /* of noise levels or time points; else levels are a grid */
    int takes_churn;
    int steps, most_steps;                       /* of the grid: by default; at most (0: any) */
    int (*evaluations)(const cm_levels *levels); /* of the denoiser, an image */
    int (*draws)(const cm_levels *levels);       /* of noise: 0 to this number - 1 */
    cm_status (*run)(const cm_sampling *s, const cm_levels *levels, double *x, cm_error *err);
} cm_sampling_method;

/* All there are; the last has a NULL name. */
extern const cm_sampling_method cm_sampling_methods[];
/* NULL: none of that name. */
const cm_sampling_method *cm_sampling_method_find(const char *name);
/* What suits a model best: of a teacher heun, of a consistency model multistep where a
 * list of levels is given, else onestep. */
const cm_sampling_method *cm_sampling_method_default(int of_teacher, int list_given);
/* Of a diffusion model that was distilled to few steps. */
const cm_sampling_method *cm_sampling_method_of_few_steps(void);

/* The second of the two levels of multistep by default: 4 sigma_data (docs/methods.md), but no
 * higher than u = 0.41; the nearest to it of the grid of `scales` levels which the model was trained
 * on (below 3: of none). */
double cm_second_level(const cm_noise_schedule *schedule, int scales);

/* Errors: CM_ERR_ARGUMENT unless m >= 1 and the levels fall strictly and lie
 * within [sigma_min, sigma_max]. */
cm_status cm_sigma_list_check(const cm_noise_schedule *schedule, const double *sigma, int m,
                              cm_error *err);

/* Time points of released models, such as 0,22,39 of 40 steps, as the noise levels
 * of multistep: sigma[i] = grid level ts[i] for i < n - 1 (the last index is the
 * implied sigma_min).  Writes n - 1 levels.
 * Errors: CM_ERR_ARGUMENT unless ts rises strictly from 0 to steps - 1. */
cm_status cm_sigma_list_from_ts(const cm_noise_schedule *schedule, const int *ts, int n, int steps,
                                double *sigma, cm_error *err);

#endif
