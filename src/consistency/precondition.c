/* precondition.c - c_skip, c_out, c_in; the formulas are in precondition.h */
#include "consistency/precondition.h"

#include <string.h>

static cm_node *square(cm_graph *g, cm_node *x)
{
    return cm_mul(g, x, x);
}

/* With `beyond`, the distance to the level at which the wrapper is the identity. */
static cm_coefficients coefficients(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma,
                                    cm_node *beyond)
{
    const float d = (float)s->sigma_data;
    cm_coefficients c;
    c.c_in = cm_pow(g, cm_affine(g, square(g, sigma), 1.0f, d * d), -0.5f);
    /* d^2/(beyond^2 + d^2), divided through by d^2: exactly 1 where beyond is 0. */
    c.c_skip = cm_pow(g, cm_affine(g, square(g, beyond), 1.0f / (d * d), 1.0f), -1.0f);
    c.c_out = cm_affine(g, cm_mul(g, beyond, c.c_in), d, 0.0f);
    return c;
}

static cm_coefficients edm(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    return coefficients(g, s, sigma, sigma);
}

static cm_coefficients skip(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    return coefficients(g, s, sigma, cm_affine(g, sigma, 1.0f, -(float)s->sigma_min));
}

static cm_coefficients piecewise(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    cm_coefficients c = edm(g, s, sigma);
    /* on: 1 above sigma_min, 0 there */
    cm_node *above = cm_affine(g, sigma, 1.0f, -(float)s->sigma_min);
    cm_node *on = cm_clamp(g, cm_sign(g, above), 0.0f, 1.0f);
    cm_node *off = cm_affine(g, on, -1.0f, 1.0f);
    c.c_skip = cm_add(g, cm_mul(g, c.c_skip, on), off);
    c.c_out = cm_mul(g, c.c_out, on);
    return c;
}

const cm_precondition cm_precondition_edm = {"edm", 0, edm};
const cm_precondition cm_precondition_skip = {"skip", 1, skip};
const cm_precondition cm_precondition_piecewise = {"piecewise", 1, piecewise};

const cm_precondition *cm_precondition_find(const char *name)
{
    static const cm_precondition *const all[] = {&cm_precondition_edm, &cm_precondition_skip,
                                                 &cm_precondition_piecewise};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name))
            return all[i];
    return NULL;
}
