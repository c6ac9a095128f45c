/* denoiser.h - the preconditioned network as graph nodes:
 *     D(x, sigma, y) = c_skip x + c_out F(c_in x, 250 ln sigma, y)
 * with the coefficients of precondition.h. */
#ifndef CM_CONSISTENCY_DENOISER_H
#define CM_CONSISTENCY_DENOISER_H

#include "consistency/precondition.h"
#include "nn/net.h"

/* A diffusion teacher (EDM) or a consistency function (skip, piecewise). */
typedef struct cm_denoiser {
    cm_net *net;
    cm_precond_kind kind;
    const cm_noise_schedule *schedule;
    cm_node *y; /* class labels i32 [N], or NULL */
} cm_denoiser;

/* x f32 [N,H,W,C], sigma f32 [N] -> f32 [N,H,W,C] */
cm_node *cm_denoise(const cm_denoiser *d, cm_node *x, cm_node *sigma);

/* v [N] as [N,1,1,1], to multiply images */
cm_node *cm_per_sample(cm_graph *g, cm_node *v);

#endif
