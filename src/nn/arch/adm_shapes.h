/* adm_shapes.h - what the shapes of a state dict tell of the ADM U-Net that it is of */
#ifndef CM_NN_ARCH_ADM_SHAPES_H
#define CM_NN_ARCH_ADM_SHAPES_H

#include "io/safetensors.h"

#include <jansson.h>

/* Add to config every key but the size of images and of heads, and dropout, of which there is
 * nothing in the weights.  A tensor that does not fit is found when they are loaded.
 * Errors: CM_ERR_FORMAT (not an ADM U-Net), CM_ERR_MEMORY. */
cm_status cm_adm_config_of_shapes(const cm_st_file *file, json_t *config, cm_error *err);

#endif
