/* mixture.h - the denoiser of the goldens of sampling and editing */
#ifndef CM_TESTS_MIXTURE_H
#define CM_TESTS_MIXTURE_H

#include <math.h>

/* E[x0|x] for data from an equal-weight mixture of N(means[k], 0.2^2 I), k of 4: each
 * component's own posterior mean, weighted by its likelihood of x.  For one image. */
static inline void mixture_mean(const double *means, int pixels, const double *x, double sigma,
                                double *denoised)
{
    enum { components = 4 };
    const double s2 = 0.2 * 0.2, v = s2 + sigma * sigma;
    double log_w[components], top = -1e300, sum = 0;
    for (int k = 0; k < components; k++) {
        double square = 0;
        for (int j = 0; j < pixels; j++)
            square += (x[j] - means[k * pixels + j]) * (x[j] - means[k * pixels + j]);
        log_w[k] = -square / (2 * v);
        top = fmax(top, log_w[k]);
    }
    for (int k = 0; k < components; k++)
        sum += exp(log_w[k] - top);
    for (int j = 0; j < pixels; j++) {
        denoised[j] = 0;
        for (int k = 0; k < components; k++) {
            const double m = means[k * pixels + j];
            denoised[j] += exp(log_w[k] - top) / sum * (m + s2 / v * (x[j] - m));
        }
    }
}

#endif
