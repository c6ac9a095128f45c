/* time_input.h - the number tau by which a network is told the noise level sigma.
 *
 *   log250   250 ln sigma            the released weights
 *   log      s ln(sigma) / 4         EDM's c_noise
 *   trig     s arctan(sigma / d)     the angle t of TrigFlow; d = sigma_data
 *   flow     s sigma / (1 + sigma)   the time t of flow matching
 *
 * with s the architecture's time_scale.  A loss that takes the tangent of the network in
 * time wants one whose derivative is small: with log250 it is 250 along the whole path,
 * a thousand times the part that matters.  trig and flow are finite at both ends. */
#ifndef CM_NN_TIME_INPUT_H
#define CM_NN_TIME_INPUT_H

#include "graph/graph.h"

typedef struct cm_time_input {
    const char *name;
    /* sigma f32 [N], positive -> tau f32 [N] */
    cm_node *(*of_sigma)(cm_graph *g, cm_node *sigma, double sigma_data, float scale);
} cm_time_input;

extern const cm_time_input cm_time_log250, cm_time_log, cm_time_trig, cm_time_flow;

/* NULL: none of that name. */
const cm_time_input *cm_time_input_find(const char *name);

#endif
