/* curriculum.h - how many noise levels, N(k), and how slow a target network,
 * mu(k), training step k uses.
 *
 * K = total_steps, s0 = start_scales, s1 = end_scales, mu0 = start_ema,
 * d = distill_steps_per_iter:
 *
 *   target-ema  scale        N(k)                                    mu(k)
 *   fixed       fixed        s0                                      mu0
 *   fixed       progressive  M + 1                                   mu0
 *   adaptive    progressive  M + 1                                   exp(s0 ln(mu0) / M)
 *   fixed       progdist     max(floor(s0 / 2^floor(k/d)), 2); once  1
 *                            that is 2: 2 for two stages, then 1
 *
 *   M = ceil(sqrt(k/K ((s1+1)^2 - s0^2) + s0^2) - 1) >= s0 - 1 >= 1
 *
 * Source: Consistency Models (arXiv 2303.01469) appendix C, and the released
 * code, which we follow where they differ: the paper's mu(k) divides by N(k), the
 * code by N(k) - 1 = M, and all published models were trained with the code.
 * progdist is the schedule of progressive distillation (arXiv 2202.00512), which
 * halves the number of steps each stage. */
#ifndef CM_CONSISTENCY_CURRICULUM_H
#define CM_CONSISTENCY_CURRICULUM_H

#include "base/error.h"

/* clang-format off */
#define CM_TARGET_EMA_LIST(X)                                                 \
    X(FIXED,    "fixed")                                                      \
    X(ADAPTIVE, "adaptive")
#define CM_SCALE_LIST(X)                                                      \
    X(FIXED,       "fixed")                                                   \
    X(PROGRESSIVE, "progressive")                                             \
    X(PROGDIST,    "progdist")
/* clang-format on */

#define X(id, name) CM_TARGET_EMA_##id,
typedef enum cm_target_ema_mode { CM_TARGET_EMA_LIST(X) } cm_target_ema_mode;
#undef X
#define X(id, name) CM_SCALE_##id,
typedef enum cm_scale_mode { CM_SCALE_LIST(X) } cm_scale_mode;
#undef X

/* Fields a mode does not name in the table above are not read. */
typedef struct cm_curriculum {
    cm_target_ema_mode target_ema_mode;
    cm_scale_mode scale_mode;
    double start_ema;                 /* mu0 in (0, 1] where adaptive, else [0, 1] */
    int64_t start_scales, end_scales; /* 2 <= s0 <= s1 + 1 */
    int64_t total_steps;              /* K >= 1 */
    int64_t distill_steps_per_iter;   /* d >= 1 */
} cm_curriculum;

typedef struct cm_curriculum_point {
    int64_t scales;    /* N(k): the pairs of neighbouring levels are 0..N-2 */
    double target_ema; /* mu(k) */
} cm_curriculum_point;

/* Errors: CM_ERR_ARGUMENT for a combination of modes outside the table, or a
 * value out of range. */
cm_status cm_curriculum_check(const cm_curriculum *c, cm_error *err);

/* Step k >= 0 (counted from 0) of a curriculum that passed the check.  Beyond
 * K the progressive modes stay at their end. */
cm_curriculum_point cm_curriculum_at(const cm_curriculum *c, int64_t k);

/* Errors: CM_ERR_ARGUMENT, with the names there are. */
cm_status cm_target_ema_from_name(const char *name, cm_target_ema_mode *mode, cm_error *err);
cm_status cm_scale_mode_from_name(const char *name, cm_scale_mode *mode, cm_error *err);

#endif
