/* generate.h - images from a model */
#ifndef CM_SAMPLE_GENERATE_H
#define CM_SAMPLE_GENERATE_H

#include "model/model.h"
#include "sample/images.h"

/* As cm_sample (cm.h); config is in range. */
cm_status cm_generate(const cm_model *model, const cm_sample_params *config, cm_images **images,
                      cm_error *err);

#endif
