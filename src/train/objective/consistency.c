/* consistency.c - consistency distillation (cd) and consistency training (ct):
 *
 *     w(t) d( f(x_t, t), f-(x_t2, t2) ),   x_t = x0 + t z
 *
 * with t and t2 neighbours on the grid of N(k) levels, t2 the lower, f- the target network,
 * an average of f of rate mu(k), and
 *
 *     cd   x_t2 one step of the teacher's ODE from x_t       (algorithm 2)
 *     ct   x_t2 = x0 + t2 z                                  (algorithm 3)
 *
 * Consistency Models (arXiv 2303.01469).  The gradient is taken with respect to the
 * student's parameters, on which target and teacher do not depend. */
#include "train/objective/objective.h"

enum { SCALES }; /* the scalars */

cm_node *cm_loss_consistency(const cm_loss_context *c, cm_node *z, cm_node *t, cm_node *t2)
{
    const cm_objective_settings *s = c->settings;
    cm_graph *g = c->g;
    cm_node *xt = cm_noisy(g, c->x0, z, t);
    cm_node *xt2 =
        c->teacher.net ? s->solver->step(&c->teacher, xt, t, t2) : cm_noisy(g, c->x0, z, t2);
    cm_node *target = cm_denoise(&c->target, xt2, t2).D;
    cm_node *student = cm_denoise(&c->student, xt, t).D;
    return cm_mul(g, cm_distance_between(s->distance, c, student, target),
                  s->weighting->of_sigma(g, &s->schedule, t));
}

/* i ~ U{0..N-2}: t is level i of the grid, t2 the next one down. */
static cm_node *loss(const cm_loss_context *c)
{
    const cm_noise_schedule *schedule = &c->settings->schedule;
    cm_graph *g = c->g;
    const cm_type batch = *cm_node_type(c->x0);
    cm_node *scales = c->scalar[SCALES];
    cm_node *z = cm_normal(g, c->rng, batch, CM_STREAM_NOISE);
    cm_node *u = cm_random_uniform(g, c->rng, CM_TYPE(CM_F32, batch.dim[0]), CM_STREAM_INDEX);
    cm_node *i = cm_floor(g, cm_mul(g, u, cm_affine(g, scales, 1.0f, -1.0f)));
    cm_node *t = cm_sigma_at_index(g, schedule, i, scales);
    cm_node *t2 = cm_sigma_at_index(g, schedule, cm_affine(g, i, 1.0f, 1.0f), scales);
    return cm_loss_consistency(c, z, t, t2);
}

static void at(const cm_objective_settings *s, int64_t k, cm_step_scalars *out)
{
    const cm_curriculum_point p = cm_curriculum_at(&s->curriculum, k);
    out->value[SCALES] = (double)p.scales;
    out->mu = p.target_ema;
}

static int64_t levels(const cm_objective_settings *s, int64_t k)
{
    (void)k;
    return cm_curriculum_most_scales(&s->curriculum);
}

static const cm_option_value ct_defaults[] = {
    {"target-ema-mode", "adaptive"}, {"scale-mode", "progressive"}, {"start-scales", "2"}, {0}};
static const cm_step_scalar scalars[] = {[SCALES] = {"scales", 1}, {0}};
static const char *const samplers[] = {"onestep", "multistep", NULL};

extern const cm_objective cm_objective_cd, cm_objective_ct;

#define CURRICULUM_OPTIONS \
    CM_DENOISER_OPTIONS    \
    CM_DISTANCE_OPTIONS    \
    "lr-decay boundary target-ema-mode scale-mode start-ema start-scales end-scales"

const cm_objective cm_objective_cd = {.name = "cd",
                                      .needs_teacher = 1,
                                      .has_target = 1,
                                      .scalars = scalars,
                                      .at = at,
                                      .loss = loss,
                                      .levels = levels,
                                      .samplers = samplers,
                                      .options = "solver " CURRICULUM_OPTIONS};
const cm_objective cm_objective_ct = {.name = "ct",
                                      .has_target = 1,
                                      .defaults = ct_defaults,
                                      .scalars = scalars,
                                      .at = at,
                                      .loss = loss,
                                      .levels = levels,
                                      .samplers = samplers,
                                      .options = CURRICULUM_OPTIONS};
