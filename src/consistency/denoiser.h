/* denoiser.h - the preconditioned network as graph nodes:
 *     D(x, sigma, y) = c_skip x + c_out F(c_in x, tau(sigma), y)
 * with the coefficients of precondition.h. */
#ifndef CM_CONSISTENCY_DENOISER_H
#define CM_CONSISTENCY_DENOISER_H

#include "consistency/precondition.h"
#include "nn/network.h"

/* A diffusion teacher (edm) or a consistency function (skip, piecewise). */
typedef struct cm_denoiser {
    cm_net *net;
    const cm_net_config *config; /* of the network */
    const cm_precondition *precondition;
    const cm_noise_schedule *schedule;
    cm_node *y; /* class labels i32 [N], or NULL */
} cm_denoiser;

typedef struct cm_denoised {
    cm_node *D, *F; /* f32 [N,H,W,C]: the denoised image, and the raw network's output */
} cm_denoised;

/* x f32 [N,H,W,C], sigma f32 [N] */
cm_denoised cm_denoise(const cm_denoiser *d, cm_node *x, cm_node *sigma);

/* v [N] as [N,1,1,1], to multiply images */
cm_node *cm_per_sample(cm_graph *g, cm_node *v);

#endif
