/* solver.h - one step of the probability-flow ODE dx/dt = (x - D(x,t)) / t, as nodes */
#ifndef CM_CONSISTENCY_SOLVER_H
#define CM_CONSISTENCY_SOLVER_H

#include "consistency/denoiser.h"

typedef struct cm_solver {
    const char *name;
    /* x f32 [N,H,W,C] from t to t2, f32 [N] */
    cm_node *(*step)(const cm_denoiser *d, cm_node *x, cm_node *t, cm_node *t2);
} cm_solver;

/* dx/dt at x f32 [N,H,W,C] and t f32 [N] */
cm_node *cm_ode_slope(const cm_denoiser *d, cm_node *x, cm_node *t);

/* heun: the trapezoid rule, two evaluations; euler: one.  Ends with a NULL name. */
extern const cm_solver cm_solvers[];
/* NULL: none of that name. */
const cm_solver *cm_solver_find(const char *name);

#endif
