/* generate.h - images from a model */
#ifndef CM_SAMPLE_GENERATE_H
#define CM_SAMPLE_GENERATE_H

#include "model/model.h"
#include "sample/images.h"
#include "sample/origin.h"

/* As cm_sampler_new, cm_sampler_draws, cm_sampler_run, cm_sampler_free and cm_sample (cm.h);
 * the numbers in params and in the request are in range. */
cm_status cm_sampler_make(const cm_model *model, const cm_sample_params *params,
                          cm_sampler **sampler, cm_error *err);
int cm_sampler_draws_of(const cm_sampler *sampler);
const cm_model *cm_sampler_model(const cm_sampler *sampler);
cm_drawing cm_sampler_drawing(const cm_sampler *sampler);
const cm_recipe *cm_sampler_recipe(const cm_sampler *sampler);
cm_status cm_sampler_draw(cm_sampler *sampler, const cm_request *request, cm_images **images,
                          cm_error *err);
/* As cm_sampler_save_noise (cm.h). */
cm_status cm_sampler_noise_to_file(const cm_sampler *sampler, const cm_request *request,
                                   const cm_images *images, const char *path, cm_error *err);
void cm_sampler_release(cm_sampler *sampler); /* NULL is allowed */
cm_status cm_generate(const cm_model *model, const cm_sample_params *params, cm_images **images,
                      cm_error *err);

#endif
