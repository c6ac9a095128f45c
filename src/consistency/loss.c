/* loss.c - the training objectives */
#include "consistency/loss.h"

cm_node *cm_mean_distance(cm_graph *g, cm_distance kind, cm_node *a, cm_node *b)
{
    const cm_type t = *cm_node_type(a);
    const int64_t pixels = t.dim[1] * t.dim[2] * t.dim[3];
    cm_node *d = cm_sub(g, a, b);
    d = kind == CM_DISTANCE_L1 ? cm_abs(g, d) : cm_mul(g, d, d);
    d = cm_sum_to(g, d, CM_TYPE(CM_F32, t.dim[0], 1, 1, 1));
    return CM_RESHAPE(g, cm_affine(g, d, 1.0f / (float)pixels, 0.0f), t.dim[0]);
}

/* x0 + t z */
static cm_node *noisy(cm_graph *g, cm_node *x0, cm_node *z, cm_node *t)
{
    return cm_add(g, x0, cm_mul(g, z, cm_per_sample(g, t)));
}

cm_node *cm_loss_dsm(const cm_denoiser *d, cm_weighting weighting, cm_node *x0, cm_node *z,
                     cm_node *sigma)
{
    cm_graph *g = d->net->g;
    cm_node *denoised = cm_denoise(d, noisy(g, x0, z, sigma), sigma);
    return cm_mul(g, cm_mean_distance(g, CM_DISTANCE_L2, denoised, x0),
                  cm_loss_weight(g, weighting, d->schedule, sigma));
}

/* (x - D(x,t)) / t */
static cm_node *slope(const cm_denoiser *d, cm_node *x, cm_node *t)
{
    cm_graph *g = d->net->g;
    return cm_mul(g, cm_sub(g, x, cm_denoise(d, x, t)), cm_per_sample(g, cm_pow(g, t, -1.0f)));
}

cm_node *cm_ode_step(const cm_denoiser *d, cm_solver solver, cm_node *x, cm_node *t, cm_node *t2)
{
    cm_graph *g = d->net->g;
    cm_node *dt = cm_per_sample(g, cm_sub(g, t2, t));
    cm_node *k1 = slope(d, x, t);
    cm_node *euler = cm_add(g, x, cm_mul(g, k1, dt));
    if (solver == CM_SOLVER_EULER)
        return euler;
    cm_node *mean = cm_affine(g, cm_add(g, k1, slope(d, euler, t2)), 0.5f, 0.0f);
    return cm_add(g, x, cm_mul(g, mean, dt));
}

cm_node *cm_loss_consistency(const cm_consistency_loss *l, cm_node *x0, cm_node *z, cm_node *t,
                             cm_node *t2)
{
    cm_graph *g = l->student.net->g;
    cm_node *xt = noisy(g, x0, z, t);
    cm_node *xt2 = l->teacher ? cm_ode_step(l->teacher, l->solver, xt, t, t2) : noisy(g, x0, z, t2);
    cm_node *target = cm_denoise(&l->target, xt2, t2);
    cm_node *student = cm_denoise(&l->student, xt, t);
    return cm_mul(g, cm_mean_distance(g, l->distance, student, target),
                  cm_loss_weight(g, l->weighting, l->student.schedule, t));
}
