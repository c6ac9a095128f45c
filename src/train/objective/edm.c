/* edm.c - a diffusion teacher by denoising score matching:
 *
 *     w(sigma) mean (D(x0 + sigma z, sigma) - x0)^2,   ln sigma ~ N(P_mean, P_std^2)
 *
 * (EDM, arXiv 2206.00364, equation 2 and table 1; Vincent 2011.) */
#include "train/objective/objective.h"

cm_node *cm_noisy(cm_graph *g, cm_node *x0, cm_node *z, cm_node *t)
{
    return cm_add(g, x0, cm_mul(g, z, cm_per_sample(g, t)));
}

cm_node *cm_loss_dsm(const cm_loss_context *c, cm_node *z, cm_node *sigma)
{
    const cm_objective_settings *s = c->settings;
    cm_node *D = cm_denoise(&c->student, cm_noisy(c->g, c->x0, z, sigma), sigma).D;
    return cm_mul(c->g, cm_distance_between(cm_distance_find("l2"), c, D, c->x0),
                  s->weighting->of_sigma(c->g, &s->schedule, sigma));
}

static cm_node *loss(const cm_loss_context *c)
{
    const cm_train_params *o = c->settings->options;
    const cm_type batch = *cm_node_type(c->x0);
    cm_node *z = cm_normal(c->g, c->rng, batch, CM_STREAM_NOISE);
    cm_node *u = cm_normal(c->g, c->rng, CM_TYPE(CM_F32, batch.dim[0]), CM_STREAM_SIGMA);
    cm_node *sigma = cm_exp(c->g, cm_affine(c->g, u, (float)o->p_std, (float)o->p_mean));
    return cm_loss_dsm(c, z, sigma);
}

static const cm_option_value defaults[] = {{"weighting", "karras"}, {0}};
static const cm_step_scalar scalars[] = {{0}};
static const char *const samplers[] = {"heun", NULL};

const cm_objective cm_objective_edm = {.name = "edm",
                                       .precondition = &cm_precondition_edm,
                                       .defaults = defaults,
                                       .scalars = scalars,
                                       .loss = loss,
                                       .samplers = samplers,
                                       .options = CM_DENOISER_OPTIONS "lr-decay p-mean p-std"};
