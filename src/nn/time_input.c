/* time_input.c - the formulas of time_input.h */
#include "nn/time_input.h"

#include <string.h>

static cm_node *log250(cm_graph *g, cm_node *sigma, double sigma_data, float scale)
{
    (void)sigma_data;
    (void)scale;
    return cm_affine(g, cm_log(g, sigma), 250.0f, 0.0f);
}

static cm_node *quarter_log(cm_graph *g, cm_node *sigma, double sigma_data, float scale)
{
    (void)sigma_data;
    return cm_affine(g, cm_log(g, sigma), 0.25f * scale, 0.0f);
}

static cm_node *trig(cm_graph *g, cm_node *sigma, double sigma_data, float scale)
{
    cm_node *ratio = cm_affine(g, sigma, (float)(1.0 / sigma_data), 0.0f);
    return cm_affine(g, cm_atan(g, ratio), scale, 0.0f);
}

static cm_node *flow(cm_graph *g, cm_node *sigma, double sigma_data, float scale)
{
    (void)sigma_data;
    cm_node *inverse = cm_pow(g, cm_affine(g, sigma, 1.0f, 1.0f), -1.0f);
    return cm_affine(g, cm_mul(g, sigma, inverse), scale, 0.0f);
}

const cm_time_input cm_time_log250 = {"log250", log250};
const cm_time_input cm_time_log = {"log", quarter_log};
const cm_time_input cm_time_trig = {"trig", trig};
const cm_time_input cm_time_flow = {"flow", flow};

const cm_time_input *cm_time_input_find(const char *name)
{
    static const cm_time_input *const all[] = {&cm_time_log250, &cm_time_log, &cm_time_trig,
                                               &cm_time_flow};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i]->name, name))
            return all[i];
    return NULL;
}
