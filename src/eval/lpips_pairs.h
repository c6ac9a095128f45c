/* lpips_pairs.h - how far samples are, one by one, from images that they are to be like */
#ifndef CM_EVAL_LPIPS_PAIRS_H
#define CM_EVAL_LPIPS_PAIRS_H

#include "eval/evaluate.h"

/* As cm_eval (cm.h) with lpips, whose arguments are in range: LPIPS as published (maxima for
 * poolings) of the i-th of params->samples and the i-th of params->ref. */
cm_status cm_lpips_pairs(const cm_eval_params *params, const cm_sample_params *sampling,
                         const cm_eval_hooks *hooks, cm_scores *scores, cm_error *err);

#endif
