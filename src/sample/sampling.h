/* sampling.h - what all samplers do */
#ifndef CM_SAMPLE_SAMPLING_H
#define CM_SAMPLE_SAMPLING_H

#include "sample/sampler.h"

/* x = x_T, by draw 0. */
void cm_sampling_start(const cm_sampling *s, double sigma, double *x);
/* denoised = D(x, sigma), checked, clamped where that is wanted, constrained, and told to who
 * watches. */
cm_status cm_sampling_denoise(const cm_sampling *s, const double *x, double sigma, double *denoised,
                              cm_error *err);
/* d = (x - D(x, sigma)) / sigma = dx/dsigma along the probability flow ODE. */
cm_status cm_sampling_slope(const cm_sampling *s, const double *x, double sigma, double *d,
                            cm_error *err);
/* x, the result: from, which may be x, within [-1, 1]. */
cm_status cm_sampling_finish(const cm_sampling *s, const double *from, double *x);

#endif
