/* denoiser.c - preconditioning, loss weights and the noise grid as graph nodes */
#include "consistency/denoiser.h"

#include <math.h>

cm_node *cm_per_sample(cm_graph *g, cm_node *v)
{
    return CM_RESHAPE(g, v, cm_node_type(v)->dim[0], 1, 1, 1);
}

static cm_node *square(cm_graph *g, cm_node *x)
{
    return cm_mul(g, x, x);
}

struct coefficients {
    cm_node *c_skip, *c_out, *c_in, *c_noise; /* [N] */
};

/* See precondition.h; s2 = sigma^2 + d^2. */
static struct coefficients coefficients(cm_graph *g, cm_precond_kind kind,
                                        const cm_noise_schedule *s, cm_node *sigma)
{
    const float d = (float)s->sigma_data, eps = (float)s->sigma_min;
    struct coefficients c;
    cm_node *s2 = cm_affine(g, square(g, sigma), 1.0f, d * d);
    cm_node *beyond = cm_affine(g, sigma, 1.0f, kind == CM_PRECOND_SKIP ? -eps : 0.0f);
    c.c_in = cm_pow(g, s2, -0.5f);
    c.c_noise = cm_affine(g, cm_log(g, sigma), 250.0f, 0.0f);
    /* d^2/(beyond^2 + d^2), divided through by d^2: exactly 1 where beyond is 0. */
    c.c_skip = cm_pow(g, cm_affine(g, square(g, beyond), 1.0f / (d * d), 1.0f), -1.0f);
    c.c_out = cm_affine(g, cm_mul(g, beyond, c.c_in), d, 0.0f);
    if (kind == CM_PRECOND_PIECEWISE) {
        /* on: 1 above sigma_min, 0 there */
        cm_node *on = cm_clamp(g, cm_sign(g, cm_affine(g, sigma, 1.0f, -eps)), 0.0f, 1.0f);
        cm_node *off = cm_affine(g, on, -1.0f, 1.0f);
        c.c_skip = cm_add(g, cm_mul(g, c.c_skip, on), off);
        c.c_out = cm_mul(g, c.c_out, on);
    }
    return c;
}

cm_node *cm_denoise(const cm_denoiser_graph *d, cm_node *x, cm_node *sigma)
{
    cm_graph *g = d->net->g;
    const struct coefficients c = coefficients(g, d->kind, d->schedule, sigma);
    cm_node *f = cm_net_apply(d->net, cm_mul(g, x, cm_per_sample(g, c.c_in)), c.c_noise, d->y);
    return cm_add(g, cm_mul(g, x, cm_per_sample(g, c.c_skip)),
                  cm_mul(g, f, cm_per_sample(g, c.c_out)));
}

cm_node *cm_loss_weight_graph(cm_graph *g, cm_weighting kind, const cm_noise_schedule *s,
                              cm_node *sigma)
{
    const float d = (float)s->sigma_data;
    cm_node *snr = cm_pow(g, sigma, -2.0f);
    switch (kind) {
    case CM_WEIGHTING_SNR:
        return snr;
    case CM_WEIGHTING_SNR_PLUS_1:
        return cm_affine(g, snr, 1.0f, 1.0f);
    case CM_WEIGHTING_KARRAS:
        return cm_affine(g, snr, 1.0f, 1.0f / (d * d));
    case CM_WEIGHTING_TRUNCATED_SNR:
        return cm_clamp(g, snr, 1.0f, INFINITY);
    case CM_WEIGHTING_UNIFORM:
        break;
    }
    return cm_affine(g, sigma, 0.0f, 1.0f);
}

cm_node *cm_sigma_at_index(cm_graph *g, const cm_noise_schedule *s, cm_node *index, cm_node *scales)
{
    const double top = pow(s->sigma_max, 1.0 / s->rho), bottom = pow(s->sigma_min, 1.0 / s->rho);
    cm_node *u = cm_mul(g, index, cm_pow(g, cm_affine(g, scales, 1.0f, -1.0f), -1.0f));
    cm_node *root = cm_affine(g, u, (float)(bottom - top), (float)top);
    cm_node *sigma = cm_clamp(g, cm_pow(g, root, (float)s->rho), 0.0f, (float)s->sigma_max);
    /* The last level is sigma_min exactly, where the boundary condition lives: rounding
     * of u and of the power must not move it.  before: 1, and 0 at index N-1. */
    cm_node *last = cm_affine(g, scales, -1.0f, 1.0f);
    cm_node *before = cm_affine(g, cm_sign(g, cm_add(g, index, last)), -1.0f, 0.0f);
    return cm_add(g, cm_mul(g, sigma, before),
                  cm_affine(g, before, -(float)s->sigma_min, (float)s->sigma_min));
}
