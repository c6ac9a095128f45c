/* denoiser.c - D = c_skip x + c_out F(c_in x, c_noise) */
#include "consistency/denoiser.h"

cm_node *cm_per_sample(cm_graph *g, cm_node *v)
{
    return CM_RESHAPE(g, v, cm_node_type(v)->dim[0], 1, 1, 1);
}

cm_node *cm_denoise(const cm_denoiser *d, cm_node *x, cm_node *sigma)
{
    cm_graph *g = d->net->g;
    const cm_precond c = cm_precondition(g, d->kind, d->schedule, sigma);
    cm_node *f = cm_net_apply(d->net, cm_mul(g, x, cm_per_sample(g, c.c_in)), c.c_noise, d->y);
    return cm_add(g, cm_mul(g, x, cm_per_sample(g, c.c_skip)),
                  cm_mul(g, f, cm_per_sample(g, c.c_out)));
}
