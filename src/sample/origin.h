/* origin.h - what drawn images are, as text
 *
 *     {"classes":"all","dtype":"f32","first":5000,"levels":"80,57.6,...,0","model":
 *     "0123456789abcdef","num":5000,"of":50000,"sampler":"heun","seed":0}
 *
 * model is XXH3 of the weights, classes a rule or a list of numbers, null where there are none;
 * "of" is missing where the images are no part of a set that begins with image 0, "churn"
 * ([S_churn, S_tmin, S_tmax, S_noise]) where there is none.  An .npz file has it as the array
 * `origin`.  Parts of a set differ in first and num alone. */
#ifndef CM_SAMPLE_ORIGIN_H
#define CM_SAMPLE_ORIGIN_H

#include "sample/recipe.h"

#define CM_ORIGIN "origin"

/* What draws. */
typedef struct cm_drawing {
    const cm_model *model;
    const cm_recipe *recipe;
    cm_dtype dtype;
    int batch; /* images at a time */
} cm_drawing;

/* As cm_sampler_origin (cm.h), whose arguments are not NULL and in range. */
cm_status cm_origin_of(const cm_drawing *d, const cm_request *r, char **text, cm_error *err);
/* Whether all processes of r->group would draw the same.  Errors, which all agree on:
 * CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_origin_same(const cm_drawing *d, const cm_request *r, cm_error *err);
/* As cm_images_merge (cm.h). */
cm_status cm_merge(int n, const char *const *paths, cm_images **images, char **origin,
                   cm_error *err);

#endif
