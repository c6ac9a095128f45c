/* curriculum.h - how many noise levels, N(k), and how slow a target network,
 * mu(k), training step k uses.
 *
 * K = total_steps, s0 = start_scales, s1 = end_scales, mu0 = start_ema:
 *
 *   scale mode    N(k)       target-ema mode   mu(k)
 *   fixed         s0         fixed             mu0
 *   progressive   M + 1      adaptive          exp(s0 ln(mu0) / (N(k) - 1))
 *
 *   M = ceil(sqrt(k/K ((s1+1)^2 - s0^2) + s0^2) - 1) >= s0 - 1 >= 1
 *
 * adaptive goes with progressive only.
 *
 * Source: Consistency Models (arXiv 2303.01469) appendix C, and the released
 * code, which we follow where they differ: the paper's mu(k) divides by N(k), the
 * code by N(k) - 1 = M, and all published models were trained with the code. */
#ifndef CM_CONSISTENCY_CURRICULUM_H
#define CM_CONSISTENCY_CURRICULUM_H

#include "base/error.h"

#include <stdint.h>

typedef struct cm_curriculum cm_curriculum;

/* N(k) of a curriculum that passed the check, k >= 0; beyond K it stays at its end. */
typedef struct cm_scale_mode {
    const char *name;
    int grows; /* towards end_scales + 1 at step K */
    int64_t (*scales)(const cm_curriculum *c, int64_t k);
    const char *options; /* that not every mode looks at; NULL: none */
} cm_scale_mode;

typedef struct cm_target_ema_mode {
    const char *name;
    int follows_scales; /* needs a scale mode that grows, and mu0 above 0 */
    double (*rate)(const cm_curriculum *c, int64_t scales);
} cm_target_ema_mode;

struct cm_curriculum {
    const cm_target_ema_mode *target_ema;
    const cm_scale_mode *scale;
    double start_ema;                 /* mu0 in (0, 1] where it follows N(k), else [0, 1] */
    int64_t start_scales, end_scales; /* 2 <= s0 <= s1 + 1; s1 is read where N grows */
    int64_t total_steps;              /* K >= 1 */
};

typedef struct cm_curriculum_point {
    int64_t scales;    /* N(k): the pairs of neighbouring levels are 0..N-2 */
    double target_ema; /* mu(k) */
} cm_curriculum_point;

/* Errors: CM_ERR_ARGUMENT for a combination of modes outside the table, or a
 * value out of range. */
cm_status cm_curriculum_check(const cm_curriculum *c, cm_error *err);

/* Step k >= 0 (counted from 0) of a curriculum that passed the check. */
cm_curriculum_point cm_curriculum_at(const cm_curriculum *c, int64_t k);

/* The largest N of a run: levels of the grid that the model is for. */
int64_t cm_curriculum_most_scales(const cm_curriculum *c);

/* All there are; the last has a NULL name. */
extern const cm_scale_mode cm_scale_modes[];
extern const cm_target_ema_mode cm_target_ema_modes[];
/* NULL: none of that name. */
const cm_scale_mode *cm_scale_mode_find(const char *name);
const cm_target_ema_mode *cm_target_ema_mode_find(const char *name);

#endif
