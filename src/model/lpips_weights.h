/* lpips_weights.h - the weights of LPIPS, from the two files that they are published in */
#ifndef CM_MODEL_LPIPS_WEIGHTS_H
#define CM_MODEL_LPIPS_WEIGHTS_H

#include "nn/features/vgg.h"

/* vgg: torchvision's VGG16 (vgg16-397923af.pth); linear: LPIPS' own weights (vgg.pth of its
 * version 0.1); each safetensors or PyTorch's, empty: of that name here.  *params as
 * cm_lpips_params, *flat [cm_params_floats]: the caller frees both, also after an error.
 * Errors: CM_ERR_IO (of a file that is missing: what it is and who publishes it), CM_ERR_FORMAT
 * (tensors that are missing, of another shape, or not of the network; no finite numbers),
 * CM_ERR_MEMORY. */
cm_status cm_lpips_weights_open(const char *vgg, const char *linear, cm_params **params,
                                float **flat, cm_error *err);

#endif
