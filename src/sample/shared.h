/* shared.h - a request whose images several processes draw
 *
 * Batches go to them in turn: batch k to process k mod size.  Once each has drawn one, all agree on
 * whether that went well, and process 0 gets the pixels.  So it has them in their order, and the
 * others hold a batch. */
#ifndef CM_SAMPLE_SHARED_H
#define CM_SAMPLE_SHARED_H

#include "group/group.h"
#include "sample/origin.h"

typedef struct cm_shared {
    int64_t each;        /* images of a batch */
    size_t bytes;        /* of its pixels */
    int64_t at;          /* the first image of the round */
    uint8_t *mine, *all; /* [bytes]; of process 0 [size][bytes] */
} cm_shared;

/* Images from `first` on that a batch of `each` has: none behind the last of the request. */
int64_t cm_shared_count(const cm_request *r, int64_t first, int64_t each);
/* Images of the request that this process draws. */
int64_t cm_shared_images(const cm_request *r, int64_t each);

/* Before the first round; status is this process's so far.  Errors: those of any process,
 * CM_ERR_FORMAT (they do not draw the same), CM_ERR_ARGUMENT (a request that cannot be shared),
 * CM_ERR_MEMORY. */
cm_status cm_shared_begin(cm_shared *x, const cm_drawing *d, const cm_request *r, cm_status status,
                          cm_error *err);
void cm_shared_end(cm_shared *x); /* also of one that is all zero */
/* After each: x->mine, or why it is not there.  Process 0 has the images of the round, and tells of
 * them.  Errors: those of any process, and its own of r->made. */
cm_status cm_shared_round(cm_shared *x, const cm_request *r, cm_images *images, cm_status status,
                          cm_error *err);

#endif
