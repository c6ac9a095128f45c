/* denoiser.c - D = c_skip x + c_out F(c_in x, tau) */
#include "consistency/denoiser.h"

cm_node *cm_per_sample(cm_graph *g, cm_node *v)
{
    return CM_RESHAPE(g, v, cm_node_type(v)->dim[0], 1, 1, 1);
}

cm_denoised cm_denoise(const cm_denoiser *d, cm_node *x, cm_node *sigma)
{
    cm_graph *g = d->net->g;
    const cm_net_config *n = d->config;
    const cm_coefficients c = d->precondition->of_sigma(g, d->schedule, sigma);
    cm_node *tau = n->time_input->of_sigma(g, sigma, d->schedule->sigma_data, n->arch->time_scale);
    cm_node *f = cm_net_apply(d->net, n, cm_mul(g, x, cm_per_sample(g, c.c_in)), tau, d->y);
    return (cm_denoised){.D = cm_add(g, cm_mul(g, x, cm_per_sample(g, c.c_skip)),
                                     cm_mul(g, f, cm_per_sample(g, c.c_out))),
                         .F = f};
}
