/* progressive.c - progressive distillation (pd): a student of N steps learns to do in one step
 * what its teacher does in two,
 *
 *     w(t) d( D(x_t, t), x^ ),   x_t = x0 + t z
 *     x^ = x_t - t (x_t3 - x_t) / (t3 - t)
 *
 * where x_t3 is what two of the teacher's Euler steps lead to, t -> t2 -> t3, so that one Euler
 * step with D = x^ goes from x_t to x_t3.  The levels are those at i, i + 1/2 and i + 1 of a grid
 * of N intervals, i ~ U{0..N-1}; the last is sigma_min.  Then the student is the teacher of the
 * next stage, of N / 2 steps, whose middle levels are those that it has learned.
 *
 * Salimans & Ho 2022 (arXiv 2202.00512), in the form of Consistency Models (arXiv 2303.01469)
 * and its code for CIFAR-10: D is EDM's wrapper for teachers and students, w is max(snr, 1), the
 * weights are not averaged, the learning rate falls to 0 within each stage, and stages of two
 * steps and of one are twice as long as others.  Where N does not halve to the end, that code
 * rounds it down, and a teacher is then asked at levels that it has not seen; here N must halve. */
#include "train/objective/objective.h"

#include "base/text.h"

#include <inttypes.h>

enum { SCALES }; /* the scalars */

cm_node *cm_loss_progressive(const cm_loss_context *c, cm_node *z, cm_node *t, cm_node *t2,
                             cm_node *t3)
{
    const cm_objective_settings *s = c->settings;
    const cm_solver *euler = cm_solver_find("euler");
    cm_graph *g = c->g;
    cm_node *xt = cm_noisy(g, c->x0, z, t);
    cm_node *xt2 = euler->step(&c->teacher, xt, t, t2);
    cm_node *xt3 = euler->step(&c->teacher, xt2, t2, t3);
    /* t / (t - t3) is positive, at least 1 */
    cm_node *ratio = cm_mul(g, t, cm_pow(g, cm_sub(g, t, t3), -1.0f));
    cm_node *target = cm_add(g, xt, cm_mul(g, cm_sub(g, xt3, xt), cm_per_sample(g, ratio)));
    return cm_mul(g, cm_distance_between(s->distance, c, cm_denoise(&c->student, xt, t).D, target),
                  s->weighting->of_sigma(g, &s->schedule, t));
}

/* In half intervals: level 2i of the 2N + 1 of the teacher's grid, and the two after it. */
static cm_node *loss(const cm_loss_context *c)
{
    const cm_noise_schedule *schedule = &c->settings->schedule;
    cm_graph *g = c->g;
    const cm_type batch = *cm_node_type(c->x0);
    cm_node *N = c->scalar[SCALES], *levels = cm_affine(g, N, 2.0f, 1.0f);
    cm_node *z = cm_normal(g, c->rng, batch, CM_STREAM_NOISE);
    cm_node *u = cm_random_uniform(g, c->rng, CM_TYPE(CM_F32, batch.dim[0]), CM_STREAM_INDEX);
    cm_node *i = cm_floor(g, cm_mul(g, u, N)), *t[3];
    for (int k = 0; k < 3; k++)
        t[k] = cm_sigma_at_index(g, schedule, cm_affine(g, i, 2.0f, (float)k), levels);
    return cm_loss_progressive(c, z, t[0], t[1], t[2]);
}

/* ---- stages ---- */

/* Of the steps of a run, the first stage having one share. */
static int64_t share_of(int64_t N)
{
    return N <= 2 ? 2 : 1;
}

static int64_t all_shares(const cm_train_params *o)
{
    int64_t sum = 0;
    for (int64_t N = o->start_scales; N >= o->end_scales; N /= 2)
        sum += share_of(N);
    return sum;
}

/* The stage of step k; after the last step, the last. */
static cm_stage stage(const cm_objective_settings *s, int64_t k)
{
    const cm_train_params *o = s->options;
    const int64_t all = all_shares(o);
    cm_stage now = {.scales = o->start_scales};
    for (int64_t shares = share_of(now.scales);; shares += share_of(now.scales)) {
        const int64_t end = o->steps * shares / all;
        now.steps = end - now.first;
        if (k < end || now.scales <= o->end_scales)
            return now;
        now.first = end;
        now.scales /= 2;
        now.number++;
    }
}

static void at(const cm_objective_settings *s, int64_t k, cm_step_scalars *out)
{
    out->value[SCALES] = (double)stage(s, k).scales;
}

static int64_t levels(const cm_objective_settings *s, int64_t k)
{
    return stage(s, k > 0 ? k - 1 : 0).scales + 1;
}

static int halves(int64_t from, int64_t to)
{
    while (from > to && from % 2 == 0)
        from /= 2;
    return from == to;
}

static int same(double a, double b)
{
    return !(a < b || a > b);
}

static int same_levels(const cm_noise_schedule *a, const cm_noise_schedule *b)
{
    return same(a->sigma_min, b->sigma_min) && same(a->sigma_max, b->sigma_max) &&
           same(a->rho, b->rho);
}

static cm_status check(const cm_objective_settings *s, cm_error *err)
{
    const cm_train_params *o = s->options;
    const int64_t start = o->start_scales, end = o->end_scales;
    if (s->teacher_steps == 1)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "teacher: expected a model of more steps to halve, found one of 1 step");
    if (!halves(start, end))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "start-scales: expected %" PRId64 ", %" PRId64 ", %" PRId64
                       " and so on, which halve to end-scales, %" PRId64 ", found %" PRId64,
                       end, 2 * end, 4 * end, end, start);
    if (s->teacher_steps && s->teacher_steps != 2 * start)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "start-scales: expected half of the %d steps that the teacher was distilled "
                       "to, found %" PRId64,
                       s->teacher_steps, start);
    if (o->steps && o->steps < all_shares(o))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "steps: expected at least %" PRId64 " for stages from %" PRId64
                       " steps of sampling down to %" PRId64 ", found %" PRId64,
                       all_shares(o), start, end, o->steps);
    if (s->teacher_steps && !same_levels(&s->teacher_schedule, &s->schedule))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "sigma-min, sigma-max, rho: expected %g, %g, %g, those of the teacher, "
                       "which knows no other levels, found %g, %g, %g",
                       s->teacher_schedule.sigma_min, s->teacher_schedule.sigma_max,
                       s->teacher_schedule.rho, s->schedule.sigma_min, s->schedule.sigma_max,
                       s->schedule.rho);
    if (!same(s->teacher_schedule.sigma_data, s->schedule.sigma_data))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "sigma-data: expected %g, that of the teacher, which students become, "
                       "found %g",
                       s->teacher_schedule.sigma_data, s->schedule.sigma_data);
    return CM_OK;
}

static const cm_option_value defaults[] = {{"weighting", "truncated-snr"},
                                           {"start-scales", "32"},
                                           {"end-scales", "1"},
                                           {"ema-rates", "0"},
                                           {"lr-decay", "true"},
                                           {0}};
static const cm_step_scalar scalars[] = {[SCALES] = {"scales", 1}, {0}};
static const char *const samplers[] = {"progdist", NULL};

const cm_objective cm_objective_pd = {.name = "pd",
                                      .needs_teacher = 1,
                                      .precondition = &cm_precondition_edm,
                                      .defaults = defaults,
                                      .scalars = scalars,
                                      .at = at,
                                      .loss = loss,
                                      .levels = levels,
                                      .stage = stage,
                                      .check = check,
                                      .samplers = samplers,
                                      .options = CM_DENOISER_OPTIONS CM_DISTANCE_OPTIONS
                                      "start-scales end-scales"};
