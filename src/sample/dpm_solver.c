/* dpm_solver.c - DPM-Solver++ in multistep form: 2M and 3M of Lu et al. 2022 (arXiv 2211.01095)
 *
 * Where x = x0 + sigma z (alpha = 1), lambda = -ln sigma is half the logarithm of the signal to
 * noise ratio, and the ODE from lambda_s to lambda_t, h = lambda_t - lambda_s, has the solution
 *
 *     x_t = (sigma_t / sigma_s) x_s + sigma_t integral of e^lambda D(x_lambda, lambda)
 *
 * of which the linear part is exact.  D is developed about lambda_s, with its derivatives from
 * the estimates D0, D1, D2 of this level and of the ones before, h1 and h2 apart:
 *
 *     first order    D = D0
 *     second order   D' = (D0 - D1) / h1
 *     third order    D' = a + (a - b) h1 / (h1 + h2),   a = (D0 - D1) / h1, b = (D1 - D2) / h2
 *                    D'' = 2 (a - b) / (h1 + h2)
 *
 *     x_t = (sigma_t / sigma_s) x_s + phi1 D + phi2 D' + phi3 D''
 *     phi1 = 1 - e^-h,  phi2 = h - phi1,  phi3 = h^2 / 2 - phi2
 *
 * with one change for the second order, the paper's own: phi1 h / 2 in place of phi2 (its
 * midpoint form; the two differ by O(h^3)).  The first step has no estimate before it and is of
 * first order, the second of at most second.  The step to sigma = 0, where h is infinite, is of
 * first order, x = D0; in a run of fewer than 15 steps the one before is of second order at most,
 * as the third is not stable there.  These are the rules of diffusers (lower_order_final,
 * final_sigmas_type "zero") and, of 2M, of k-diffusion. */
#include "sample/sampling.h"

#include <math.h>

enum { FEW_STEPS = 15 };

/* x += weight[0] (D0 - x) + weight[1] (D0 - D1) + weight[2] (D1 - D2) */
typedef struct step {
    double weight[3];
} step;

/* From sigma[i], with `order` estimates. */
static step weights(const double *sigma, int i, int order)
{
    step w = {{1}};
    if (sigma[i + 1] <= 0)
        return w;
    const double h = log(sigma[i] / sigma[i + 1]), phi1 = -expm1(-h);
    w.weight[0] = phi1;
    if (order < 2)
        return w;
    const double h1 = log(sigma[i - 1] / sigma[i]);
    w.weight[1] = phi1 * h / (2 * h1);
    if (order < 3)
        return w;
    const double h2 = log(sigma[i - 2] / sigma[i - 1]), phi2 = h - phi1, phi3 = h * h / 2 - phi2;
    const double third = (phi2 * h1 + phi3) / (h1 + h2); /* of a - b */
    w.weight[1] = (phi2 + third) / h1;
    w.weight[2] = -third / h2;
    return w;
}

static int order_of(const double *sigma, int i, int n, int most)
{
    const int known = i + 1 < most ? i + 1 : most;
    const int most_here = sigma[i + 1] <= 0 ? 1 : i == n - 2 && n < FEW_STEPS ? 2 : 3;
    return known < most_here ? known : most_here;
}

cm_status cm_sample_dpm_solver(const cm_sampling *s, const double *sigma, int n, int order,
                               double *x, cm_error *err)
{
    double *d0 = s->work, *d1 = d0 + s->count, *d2 = d1 + s->count;
    cm_sampling_start(s, sigma[0], x);
    for (int i = 0; i < n; i++) {
        double *oldest = d2;
        d2 = d1;
        d1 = d0;
        d0 = oldest;
        const cm_status status = cm_sampling_denoise(s, x, sigma[i], d0, err);
        if (status)
            return status;
        const int steps = order_of(sigma, i, n, order);
        const step w = weights(sigma, i, steps);
        for (size_t j = 0; j < s->count; j++) {
            const double a = steps > 1 ? d0[j] - d1[j] : 0, b = steps > 2 ? d1[j] - d2[j] : 0;
            x[j] += w.weight[0] * (d0[j] - x[j]) + w.weight[1] * a + w.weight[2] * b;
        }
    }
    return cm_sampling_finish(s, x, x);
}
