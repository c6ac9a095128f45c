/* solver.c - Heun's and Euler's step */
#include "consistency/solver.h"

#include <string.h>

cm_node *cm_ode_slope(const cm_denoiser *d, cm_node *x, cm_node *t)
{
    cm_graph *g = d->net->g;
    return cm_mul(g, cm_sub(g, x, cm_denoise(d, x, t).D), cm_per_sample(g, cm_pow(g, t, -1.0f)));
}

static cm_node *heun(const cm_denoiser *d, cm_node *x, cm_node *t, cm_node *t2)
{
    cm_graph *g = d->net->g;
    cm_node *dt = cm_per_sample(g, cm_sub(g, t2, t));
    cm_node *k1 = cm_ode_slope(d, x, t);
    cm_node *euler = cm_add(g, x, cm_mul(g, k1, dt));
    cm_node *mean = cm_affine(g, cm_add(g, k1, cm_ode_slope(d, euler, t2)), 0.5f, 0.0f);
    return cm_add(g, x, cm_mul(g, mean, dt));
}

static cm_node *euler(const cm_denoiser *d, cm_node *x, cm_node *t, cm_node *t2)
{
    cm_graph *g = d->net->g;
    cm_node *dt = cm_per_sample(g, cm_sub(g, t2, t));
    return cm_add(g, x, cm_mul(g, cm_ode_slope(d, x, t), dt));
}

const cm_solver cm_solvers[] = {{"heun", heun}, {"euler", euler}, {0}};

const cm_solver *cm_solver_find(const char *name)
{
    for (const cm_solver *s = cm_solvers; s->name; s++)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}
