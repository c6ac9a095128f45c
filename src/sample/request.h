/* request.h - whether what a caller gives to be drawn from fits the recipe */
#ifndef CM_SAMPLE_REQUEST_H
#define CM_SAMPLE_REQUEST_H

#include "sample/editing.h"

/* r->noise, of images of so many numbers; e NULL: no edit.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_request_check_noise(const cm_request *r, const cm_recipe *recipe, const cm_editing *e,
                                 int64_t image, cm_error *err);
/* r->labels.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_request_check_labels(const cm_request *r, const cm_recipe *recipe, cm_error *err);

#endif
