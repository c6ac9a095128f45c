/* schedule.h - noise levels: the range, the grid of Karras et al. and positions
 * on it.
 *
 *     sigma(u) = (sigma_max^(1/rho) + u (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho,
 *
 * u from 0 (sigma_max) to 1 (sigma_min); a grid of n levels has u = i/(n-1).
 * Source: EDM (arXiv 2206.00364) eq. (5).  The consistency models paper indexes
 * the same grid upwards, t_1 = epsilon ... t_N = T; here, as in its released code,
 * index 0 is the largest level, so the time points of released models keep their
 * meaning. */
#ifndef CM_CONSISTENCY_SCHEDULE_H
#define CM_CONSISTENCY_SCHEDULE_H

#include "graph/graph.h"

/* sigma_data is the standard deviation of the data; all in units of pixels that
 * span [-1, 1].  rho > 0 puts more levels near sigma_min as it grows. */
typedef struct cm_noise_schedule {
    double sigma_min, sigma_max, sigma_data, rho;
} cm_noise_schedule;

#define CM_NOISE_SCHEDULE_DEFAULT                                        \
    {                                                                    \
        .sigma_min = 0.002, .sigma_max = 80, .sigma_data = 0.5, .rho = 7 \
    }

/* Errors: CM_ERR_ARGUMENT unless 0 < sigma_min < sigma_max, sigma_data and rho are
 * positive, and all are finite. */
cm_status cm_noise_schedule_check(const cm_noise_schedule *s, cm_error *err);

/* The level at u in [0, 1]; u outside is clamped.  The two ends are exactly
 * sigma_max and sigma_min, so that f(x, sigma_min) = x holds bit for bit. */
double cm_sigma_at(const cm_noise_schedule *s, double u);

/* sigma[0..n-1] falling from sigma_max to sigma_min, then sigma[n] = 0; n >= 1,
 * and n = 1 is {sigma_max, 0}. */
void cm_karras_grid(const cm_noise_schedule *s, int n, double *sigma);

/* cm_sigma_at() as graph nodes: u f32 [N] in [0,1] -> sigma f32 [N] */
cm_node *cm_sigma_at_position(cm_graph *g, const cm_noise_schedule *s, cm_node *u);

/* A grid as graph nodes: sigma f32 [N] of level index f32 [N] in a grid of
 * scales f32 [1] levels; the last is (float)sigma_min exactly. */
cm_node *cm_sigma_at_index(cm_graph *g, const cm_noise_schedule *s, cm_node *index,
                           cm_node *scales);

#endif
