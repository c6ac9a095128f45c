/* shared.c - see shared.h */
#include "sample/shared.h"

#include "base/memory.h"

#include <string.h>

int64_t cm_shared_count(const cm_request *r, int64_t first, int64_t each)
{
    const int64_t left = r->num - first;
    return left < 0 ? 0 : left < each ? left : each;
}

int64_t cm_shared_images(const cm_request *r, int64_t each)
{
    const int64_t round = each * cm_group_size(r->group);
    int64_t n = 0;
    for (int64_t at = each * cm_group_rank(r->group); at < r->num; at += round)
        n += cm_shared_count(r, at, each);
    return n;
}

static cm_status prepare(cm_shared *x, const cm_drawing *d, const cm_request *r, cm_error *err)
{
    const cm_model *m = d->model;
    const size_t size = (size_t)cm_group_size(r->group),
                 image = (size_t)m->net.height * (size_t)m->net.width * (size_t)m->net.out_channels;
    if (r->edit || r->step || r->as_float)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: %s: expected none, several processes draw pixels alone",
                       r->edit   ? "edit"
                       : r->step ? "step"
                                 : "as_float");
    x->each = d->batch;
    x->bytes = (size_t)x->each * image;
    x->mine = cm_alloc(x->bytes);
    x->all = cm_group_rank(r->group) ? NULL : cm_alloc_array(size, x->bytes);
    return x->mine && (x->all || cm_group_rank(r->group))
               ? CM_OK
               : cm_fail(err, CM_ERR_MEMORY,
                         "sampling: out of memory for the images of %zu processes", size);
}

cm_status cm_shared_begin(cm_shared *x, const cm_drawing *d, const cm_request *r, cm_status status,
                          cm_error *err)
{
    if (cm_group_size(r->group) == 1)
        return status;
    if (!status)
        status = prepare(x, d, r, err);
    status = cm_group_agree(r->group, status, err);
    return status ? status : cm_origin_same(d, r, err);
}

void cm_shared_end(cm_shared *x)
{
    cm_free(x->mine);
    cm_free(x->all);
}

cm_status cm_shared_round(cm_shared *x, const cm_request *r, cm_images *images, cm_status status,
                          cm_error *err)
{
    const int64_t end = x->at + x->each * cm_group_size(r->group);
    const uint8_t *from = x->all;
    status = cm_group_agree(r->group, status, err);
    if (status)
        return status;
    cm_group_collect(r->group, x->mine, x->all, x->bytes);
    for (; x->at < end && from && !status; x->at += x->each, from += x->bytes) {
        const int64_t n = cm_shared_count(r, x->at, x->each);
        const size_t image = x->bytes / (size_t)x->each;
        if (n)
            memcpy(images->pixels + (size_t)x->at * image, from, (size_t)n * image);
        if (n && r->made)
            status = r->made(r->user, images, x->at, n, err);
    }
    x->at = end;
    return status;
}
