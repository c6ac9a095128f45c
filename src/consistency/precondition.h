/* precondition.h - the wrapper around the raw network F and the loss weights, as
 * graph nodes: functions of the node sigma, so that both differentiation modes see
 * them.
 *
 *     D(x, sigma) = c_skip x + c_out F(c_in x, c_noise)
 *
 * with d = sigma_data:
 *
 *   c_in = 1 / sqrt(sigma^2 + d^2),  c_noise = 250 ln(sigma)       all three kinds
 *
 *   EDM        c_skip = d^2 / (sigma^2 + d^2)       c_out = sigma d c_in
 *              the diffusion teacher; EDM (arXiv 2206.00364) table 1, where c_noise
 *              is ln(sigma)/4: the released networks take it times 1000
 *   SKIP       c_skip = d^2 / ((sigma - sigma_min)^2 + d^2)
 *              c_out  = (sigma - sigma_min) d c_in
 *              meets f(x, sigma_min) = x smoothly; Consistency Models appendix C
 *   PIECEWISE  c_skip = 1, c_out = 0 where sigma <= sigma_min, else as EDM
 *              Consistency Models eq. (4): f(x,t) = x at t = epsilon, F(x,t) above.
 *              The paper leaves F free; we write it in the EDM form, so that a
 *              teacher's weights are a fair start here too.
 *
 * In SKIP and PIECEWISE the result at sigma_min is x bit for bit: 1 x + 0 F. */
#ifndef CM_CONSISTENCY_PRECONDITION_H
#define CM_CONSISTENCY_PRECONDITION_H

#include "consistency/schedule.h"

/* clang-format off */
#define CM_PRECOND_LIST(X)                                                    \
    X(EDM,       "edm")                                                       \
    X(SKIP,      "skip")                                                      \
    X(PIECEWISE, "piecewise")

/* Loss weight over sigma, with snr = 1/sigma^2 and d = sigma_data. */
#define CM_WEIGHTING_LIST(X)                                                  \
    X(UNIFORM,       "uniform")       /* 1 */                                 \
    X(SNR,           "snr")           /* snr */                               \
    X(SNR_PLUS_1,    "snr+1")         /* snr + 1 */                           \
    X(KARRAS,        "karras")        /* snr + 1/d^2 */                       \
    X(TRUNCATED_SNR, "truncated-snr") /* max(snr, 1) */
/* clang-format on */

#define X(id, name) CM_PRECOND_##id,
typedef enum cm_precond_kind { CM_PRECOND_LIST(X) } cm_precond_kind;
#undef X

#define X(id, name) CM_WEIGHTING_##id,
typedef enum cm_weighting { CM_WEIGHTING_LIST(X) } cm_weighting;
#undef X

typedef struct cm_precond {
    cm_node *c_skip, *c_out, *c_in, *c_noise; /* f32 [N] */
} cm_precond;

/* sigma f32 [N], positive */
cm_precond cm_precondition(cm_graph *g, cm_precond_kind kind, const cm_noise_schedule *s,
                           cm_node *sigma);
/* w(sigma) f32 [N] */
cm_node *cm_loss_weight(cm_graph *g, cm_weighting kind, const cm_noise_schedule *s, cm_node *sigma);

/* Errors: CM_ERR_ARGUMENT, with the names there are. */
cm_status cm_precond_from_name(const char *name, cm_precond_kind *kind, cm_error *err);
cm_status cm_weighting_from_name(const char *name, cm_weighting *kind, cm_error *err);
const char *cm_precond_name(cm_precond_kind kind);
const char *cm_weighting_name(cm_weighting kind);

#endif
