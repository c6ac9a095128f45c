/* weighting.c - the formulas of weighting.h */
#include "consistency/weighting.h"

#include <math.h>
#include <string.h>

static cm_node *uniform(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    (void)s;
    return cm_affine(g, sigma, 0.0f, 1.0f);
}

static cm_node *snr(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    (void)s;
    return cm_pow(g, sigma, -2.0f);
}

static cm_node *snr_plus_1(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    return cm_affine(g, snr(g, s, sigma), 1.0f, 1.0f);
}

static cm_node *karras(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    const float d = (float)s->sigma_data;
    return cm_affine(g, snr(g, s, sigma), 1.0f, 1.0f / (d * d));
}

static cm_node *truncated_snr(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma)
{
    return cm_clamp(g, snr(g, s, sigma), 1.0f, INFINITY);
}

const cm_weighting cm_weightings[] = {{"uniform", uniform},
                                      {"snr", snr},
                                      {"snr+1", snr_plus_1},
                                      {"karras", karras},
                                      {"truncated-snr", truncated_snr},
                                      {0}};

const cm_weighting *cm_weighting_find(const char *name)
{
    for (const cm_weighting *w = cm_weightings; w->name; w++)
        if (!strcmp(w->name, name))
            return w;
    return NULL;
}
