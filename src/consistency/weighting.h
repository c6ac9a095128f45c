/* weighting.h - the loss weight w over sigma, with snr = 1/sigma^2 and d = sigma_data:
 *
 *   uniform 1    snr    snr+1    karras snr + 1/d^2    truncated-snr max(snr, 1) */
#ifndef CM_CONSISTENCY_WEIGHTING_H
#define CM_CONSISTENCY_WEIGHTING_H

#include "consistency/schedule.h"

typedef struct cm_weighting {
    const char *name;
    /* sigma f32 [N] -> w f32 [N] */
    cm_node *(*of_sigma)(cm_graph *g, const cm_noise_schedule *s, cm_node *sigma);
} cm_weighting;

/* All there are; the last has a NULL name. */
extern const cm_weighting cm_weightings[];
/* NULL: none of that name. */
const cm_weighting *cm_weighting_find(const char *name);

#endif
