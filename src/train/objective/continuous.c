/* continuous.c - consistency distillation (cd-continuous) and consistency training
 * (ct-continuous) in continuous time: no grid, no target network, but the tangent
 *
 *     g = df/dt + df/dx dx/dt
 *
 * of the student along the ODE, which is zero where f is consistent.  It is exact: one forward
 * walk of the graph with the tangent (dx/dt, 1), the same dropout masks in it, and
 *
 *     cd-continuous   dx/dt = (x_t - D(x_t, t)) / t of the teacher
 *     ct-continuous   dx/dt = (x_t - x0) / t = z, of which that is the mean given x_t
 *
 * t = (sigma_max^(1/rho) + u (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho, u ~ U(0,1).  With a
 * distance d whose length is |g|_d^2 = g^T H g / 2, H its Hessian where both images are f:
 *
 *     without stop-gradient   w(t) |g|_d^2             (theorem 3; theorem 4 of l1: w(t) mean |g|)
 *     with                    w(t) d(f, sg(f - g)), whose gradient is w(t) g^T H df/dtheta,
 *                             that of w(t) sg(H g)^T f (theorems 5 and 6)
 *
 * These are the limits of the discrete losses, divided by the step to the power of d, where
 * w = lambda(t) / (tau^-1)'(t) to that power.  (Consistency Models, arXiv 2303.01469, appendix B,
 * which trains with w = 1.)  With stop-gradient the logged number is |g|_d^2 as well, not the
 * pseudo-loss, whose value means nothing; ct-continuous has stop-gradient always, since z is
 * right only on average, which what is linear in it keeps.
 *
 * Of a squared distance of embeddings e, |g|_d^2 is the square of e's own tangent along g, so
 * that no Hessian is built.  l1 and pseudo-huber, which depend on a - b alone, are taken of g
 * itself: pseudo-huber with a small c is the Euclidean length, sqrt(sum g^2), which the authors'
 * code minimises and calls l2. */
#include "train/objective/objective.h"

#include "graph/op.h"

#include <string.h>

/* The parts of f, and their tangents along g. */
static void embed(const cm_loss_context *c, cm_node *f, cm_node *g, cm_embedding *of_f,
                  cm_embedding *dot)
{
    cm_node *value[CM_MOST_EMBEDDED], *tangent[CM_MOST_EMBEDDED];
    c->settings->distance->embed(c, f, of_f);
    for (int i = 0; i < of_f->n; i++)
        value[i] = of_f->part[i].value;
    cm_graph_jvps(c->g, of_f->n, value, 1, &f, &g, tangent);
    *dot = *of_f;
    for (int i = 0; i < dot->n && !cm_graph_check(c->g, NULL); i++)
        dot->part[i].value = tangent[i];
}

static cm_node *stopped_behind(cm_graph *g, cm_node *f, cm_node *tangent)
{
    return cm_stop_gradient(g, cm_sub(g, f, tangent));
}

/* |tangent|_d^2, with the gradient of either form: f32 [N] */
static cm_node *length(const cm_loss_context *c, cm_node *f, cm_node *tangent, int stop)
{
    const cm_distance *d = c->settings->distance;
    cm_graph *g = c->g;
    if (!d->embed)
        return stop ? d->between(c, f, stopped_behind(g, f, tangent))
                    : d->between(c, tangent, cm_zeros(g, *cm_node_type(tangent)));
    cm_embedding of_f = {0}, dot, other;
    embed(c, f, tangent, &of_f, &dot);
    other = dot;
    for (int i = 0; i < dot.n && !cm_graph_check(g, NULL); i++)
        other.part[i].value = stop ? stopped_behind(g, of_f.part[i].value, dot.part[i].value)
                                   : cm_zeros(g, *cm_node_type(dot.part[i].value));
    return cm_embedding_distance(g, stop ? &of_f : &dot, &other);
}

cm_node *cm_loss_continuous(const cm_loss_context *c, cm_node *z, cm_node *t)
{
    const cm_objective_settings *s = c->settings;
    cm_graph *g = c->g;
    /* a variable of its own: its tangent along t is not z, which made it */
    cm_node *xt = cm_stop_gradient(g, cm_noisy(g, c->x0, z, t));
    cm_node *slope = c->teacher.net ? cm_ode_slope(&c->teacher, xt, t) : z;
    const float one = 1.0f;
    cm_node *dt = cm_broadcast_to(g, cm_const(g, CM_TYPE(CM_F32, 1), &one), *cm_node_type(t));
    cm_node *f = cm_denoise(&c->student, xt, t).D;
    cm_node *tangent = cm_graph_jvp(g, f, 2, (cm_node *[]){xt, t}, (cm_node *[]){slope, dt});
    if (cm_graph_check(g, NULL))
        return t;
    return cm_mul(g, length(c, f, tangent, !strcmp(s->options->stop_gradient, "true")),
                  s->weighting->of_sigma(g, &s->schedule, t));
}

static cm_node *loss(const cm_loss_context *c)
{
    const cm_type batch = *cm_node_type(c->x0);
    cm_node *z = cm_normal(c->g, c->rng, batch, CM_STREAM_NOISE);
    cm_node *u = cm_random_uniform(c->g, c->rng, CM_TYPE(CM_F32, batch.dim[0]), CM_STREAM_SIGMA);
    return cm_loss_continuous(c, z, cm_sigma_at_position(c->g, &c->settings->schedule, u));
}

static const cm_option_value cd_defaults[] = {{"stop-gradient", "false"}, {0}};
static const cm_option_value ct_defaults[] = {{"stop-gradient", "true"}, {0}};
static const cm_step_scalar scalars[] = {{0}};
static const char *const samplers[] = {"onestep", "multistep", NULL};

extern const cm_objective cm_objective_cd_continuous, cm_objective_ct_continuous;

#define OPTIONS CM_DENOISER_OPTIONS "lr-decay " CM_DISTANCE_OPTIONS "boundary"

const cm_objective cm_objective_cd_continuous = {.name = "cd-continuous",
                                                 .needs_teacher = 1,
                                                 .defaults = cd_defaults,
                                                 .scalars = scalars,
                                                 .loss = loss,
                                                 .samplers = samplers,
                                                 .options = OPTIONS " stop-gradient"};
const cm_objective cm_objective_ct_continuous = {.name = "ct-continuous",
                                                 .wants_weights = 1,
                                                 .defaults = ct_defaults,
                                                 .scalars = scalars,
                                                 .loss = loss,
                                                 .samplers = samplers,
                                                 .options = OPTIONS};
