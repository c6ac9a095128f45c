/* denoiser.h - the preconditioned network as graph nodes:
 *     D(x, sigma, y) = c_skip x + c_out F(c_in x, 250 ln sigma, y)
 * with the coefficients of precondition.h as functions of the node sigma, so that
 * both differentiation modes see them. */
#ifndef CM_CONSISTENCY_DENOISER_H
#define CM_CONSISTENCY_DENOISER_H

#include "consistency/precondition.h"
#include "nn/net.h"

/* A diffusion teacher (EDM) or a consistency function (skip, piecewise). */
typedef struct cm_denoiser_graph {
    cm_net *net;
    cm_precond_kind kind;
    const cm_noise_schedule *schedule;
    cm_node *y; /* class labels i32 [N], or NULL */
} cm_denoiser_graph;

/* x f32 [N,H,W,C], sigma f32 [N] -> f32 [N,H,W,C] */
cm_node *cm_denoise(const cm_denoiser_graph *d, cm_node *x, cm_node *sigma);

/* w(sigma) [N] */
cm_node *cm_loss_weight_graph(cm_graph *g, cm_weighting kind, const cm_noise_schedule *s,
                              cm_node *sigma);

/* sigma(u) [N] at u = index / (scales - 1), index f32 [N], scales f32 [1]: the
 * grid of schedule.h */
cm_node *cm_sigma_at_index(cm_graph *g, const cm_noise_schedule *s, cm_node *index, cm_node *scales);

/* v [N] as [N,1,1,1], to multiply images */
cm_node *cm_per_sample(cm_graph *g, cm_node *v);

#endif
