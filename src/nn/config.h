/* config.h - a network's configuration and weights in files: JSON with the field
 * names of the original code, safetensors with its state-dict keys. */
#ifndef CM_NN_CONFIG_H
#define CM_NN_CONFIG_H

#include "io/safetensors.h"
#include "nn/net.h"

#include <jansson.h>

/* Unknown keys are errors; file is for messages.  Errors: CM_ERR_FORMAT. */
cm_status cm_net_config_from_json(const json_t *json, const char *file, cm_net_config *config,
                                  cm_error *err);
/* A new reference; NULL when out of memory. */
json_t *cm_net_config_to_json(const cm_net_config *config);

/* Read every parameter from the file into flat.  A tensor that is missing, of
 * another shape, or not of this network is an error that names it. */
cm_status cm_params_load(const cm_params *params, const cm_st_file *file, float *flat,
                         cm_error *err);
/* One f32 entry a parameter, pointing into flat. */
void cm_params_entries(const cm_params *params, const float *flat, cm_st_entry *entries);

#endif
