/* precondition.h - the wrapper around the raw network F, as graph nodes: functions of the
 * node sigma, so that both differentiation modes see them.
 *
 *     D(x, sigma) = c_skip x + c_out F(c_in x, tau)
 *
 * with d = sigma_data, c_in = 1 / sqrt(sigma^2 + d^2) in all three, and tau the network's
 * own time input (nn/time_input.h):
 *
 *   edm        c_skip = d^2 / (sigma^2 + d^2)       c_out = sigma d c_in
 *              the diffusion teacher; EDM (arXiv 2206.00364) table 1, where the time
 *              input is ln(sigma)/4: the released networks take it times 1000
 *   skip       c_skip = d^2 / ((sigma - sigma_min)^2 + d^2)
 *              c_out  = (sigma - sigma_min) d c_in
 *              meets f(x, sigma_min) = x smoothly; Consistency Models appendix C
 *   piecewise  c_skip = 1, c_out = 0 where sigma <= sigma_min, else as edm
 *              Consistency Models eq. (4): f(x,t) = x at t = epsilon, F(x,t) above.
 *              The paper leaves F free; we write it in the EDM form, so that a
 *              teacher's weights are a fair start here too.
 *
 * In skip and piecewise the result at sigma_min is x bit for bit: 1 x + 0 F. */
#ifndef CM_CONSISTENCY_PRECONDITION_H
#define CM_CONSISTENCY_PRECONDITION_H

#include "consistency/schedule.h"

typedef struct cm_coefficients {
    cm_node *c_skip, *c_out, *c_in; /* f32 [N] */
} cm_coefficients;

typedef struct cm_precondition {
    const char *name;
    int meets_boundary; /* f(x, sigma_min) = x: a consistency function; 0: a diffusion teacher */
    /* sigma f32 [N], positive */
    cm_coefficients (*of_sigma)(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma);
} cm_precondition;

extern const cm_precondition cm_precondition_edm, cm_precondition_skip, cm_precondition_piecewise;

/* NULL: none of that name. */
const cm_precondition *cm_precondition_find(const char *name);

#endif
