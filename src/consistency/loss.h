/* loss.h - the training objectives as graph nodes, one value a sample
 *
 * dsm   w(sigma) mean (D(x0 + sigma z, sigma) - x0)^2          EDM; Vincent 2011
 * cd    w(t) d( f(x_t, t), f-(x_t2, t2) )                       Consistency Models
 *       x_t = x0 + t z, and x_t2 one step of the teacher's ODE from t to t2
 * ct    the same with x_t2 = x0 + t2 z
 * with f- the target network, through which no gradient flows, t and t2
 * neighbours on the grid, and d the mean absolute (l1) or squared (l2)
 * difference. */
#ifndef CM_CONSISTENCY_LOSS_H
#define CM_CONSISTENCY_LOSS_H

#include "consistency/denoiser.h"

typedef enum cm_distance { CM_DISTANCE_L1, CM_DISTANCE_L2 } cm_distance;
typedef enum cm_solver { CM_SOLVER_HEUN, CM_SOLVER_EULER } cm_solver;

/* mean over the pixels of each sample of |a - b| or (a - b)^2: [N] */
cm_node *cm_mean_distance(cm_graph *g, cm_distance kind, cm_node *a, cm_node *b);

/* x0, z f32 [N,H,W,C]; sigma f32 [N] -> [N] */
cm_node *cm_loss_dsm(const cm_denoiser *d, cm_weighting weighting, cm_node *x0, cm_node *z,
                     cm_node *sigma);

typedef struct cm_consistency_loss {
    cm_denoiser student, target;
    const cm_denoiser *teacher; /* NULL: consistency training */
    cm_solver solver;           /* of the teacher's ODE */
    cm_distance distance;
    cm_weighting weighting;
} cm_consistency_loss;

/* x0, z f32 [N,H,W,C]; t > t2 f32 [N] -> [N] */
cm_node *cm_loss_consistency(const cm_consistency_loss *l, cm_node *x0, cm_node *z, cm_node *t,
                             cm_node *t2);

/* One step of dx/dt = (x - D(x,t)) / t from t to t2. */
cm_node *cm_ode_step(const cm_denoiser *d, cm_solver solver, cm_node *x, cm_node *t, cm_node *t2);

#endif
