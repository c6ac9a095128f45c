/* lpips.h - the LPIPS distance between pairs of images, a batch at a time */
#ifndef CM_EVAL_LPIPS_H
#define CM_EVAL_LPIPS_H

#include "nn/features/vgg.h"

/* VGG16 with LPIPS' weights, compiled for one batch of pairs of one size; compiled again where
 * they have another.  One thread uses it at a time. */
typedef struct cm_lpips cm_lpips;

/* vgg, linear: as cm_lpips_weights_open (model/lpips_weights.h), and so are the errors; pooling as
 * in nn/features/vgg.h; batch pairs at once; threads 0: the cores this process may use. */
cm_status cm_lpips_open(const char *vgg, const char *linear, cm_lpips_pooling pooling, int batch,
                        int threads, cm_lpips **out, cm_error *err);
void cm_lpips_close(cm_lpips *l); /* NULL is allowed */

/* distance[i] of a[i] and b[i], both [n,h,w,c] of at least 16 x 16 pixels, c 1 or 3.  Allocates
 * where the size is another than before only.
 * Errors: CM_ERR_ARGUMENT (other images), CM_ERR_MEMORY, CM_ERR_NUMERIC. */
cm_status cm_lpips_run(cm_lpips *l, int64_t n, const uint8_t *a, const uint8_t *b, int h, int w,
                       int c, float *distance, cm_error *err);

#endif
