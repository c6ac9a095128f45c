/* lpips.h - the LPIPS distance between pairs of images, a batch at a time */
#ifndef CM_EVAL_LPIPS_H
#define CM_EVAL_LPIPS_H

#include "nn/features/vgg.h"

/* VGG16 with LPIPS' weights, compiled for one batch of pairs of one size; compiled again where
 * they have another.  One thread uses it at a time. */
typedef struct cm_lpips cm_lpips;

/* vgg: torchvision's VGG16 (vgg16-397923af.pth); linear: LPIPS' own weights (vgg.pth of its
 * version 0.1); each safetensors or PyTorch's, empty: of that name here.  pooling as in
 * nn/features/vgg.h; batch pairs at once; threads 0: the cores this process may use. Errors:
 * CM_ERR_IO (of a file that is missing: what it is and who publishes it), CM_ERR_FORMAT (tensors
 * that are missing, of another shape, or not of the network), CM_ERR_ARGUMENT, CM_ERR_MEMORY. */
cm_status cm_lpips_open(const char *vgg, const char *linear, cm_lpips_pooling pooling, int batch,
                        int threads, cm_lpips **out, cm_error *err);
void cm_lpips_close(cm_lpips *l); /* NULL is allowed */

/* distance[i] of a[i] and b[i], both [n,h,w,c] of at least 16 x 16 pixels, c 1 or 3.  Allocates
 * where the size is another than before only.
 * Errors: CM_ERR_ARGUMENT (other images), CM_ERR_MEMORY, CM_ERR_NUMERIC. */
cm_status cm_lpips_run(cm_lpips *l, int64_t n, const uint8_t *a, const uint8_t *b, int h, int w,
                       int c, float *distance, cm_error *err);

#endif
