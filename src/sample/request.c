/* request.c - what a caller gives to be drawn from: noise and classes */
#include "sample/request.h"

#include "base/error.h"
#include "sample/noise.h"

#include <inttypes.h>
#include <math.h>

cm_status cm_request_check_noise(const cm_request *r, const cm_recipe *recipe, const cm_editing *e,
                                 int64_t image, cm_error *err)
{
    const cm_sampling_method *method = e ? e->method : recipe->method;
    const int draws = method->draws(e ? &e->levels : &recipe->levels);
    if (e && e->task->start != CM_START_NOISE)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: noise: expected NULL, %s does not start with noise of its own",
                       e->task->name);
    if (r->draws < 1 || r->draws > draws)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: draws: expected 1 to %d for the %s sampler (cm_sampler_draws), "
                       "found %" PRId64,
                       draws, method->name, r->draws);
    const int64_t n = r->draws * r->num * image;
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(r->noise[i]) <= CM_MOST_NOISE))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "request: noise: element %" PRId64
                           ": expected a finite number of at most 1e6, found %g",
                           i, (double)r->noise[i]);
    return CM_OK;
}

cm_status cm_request_check_labels(const cm_request *r, const cm_recipe *recipe, cm_error *err)
{
    const int classes = recipe->classes, least = r->edit && r->edit->image ? -1 : 0;
    if (!classes)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: labels: expected NULL, as this model has no classes");
    for (int64_t i = 0; i < r->num; i++)
        if (r->labels[i] < least || r->labels[i] >= classes)
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "request: labels: element %" PRId64
                           ": expected %d to %d, found %" PRId64,
                           i, least, classes - 1, r->labels[i]);
    return CM_OK;
}
