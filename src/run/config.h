/* config.h - RUN/config.json: the settings of a run, complete, as cm_options_read
 * takes them back */
#ifndef CM_RUN_CONFIG_H
#define CM_RUN_CONFIG_H

#include "cm.h"

/* Write them to config->out.  Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_run_config_write(const cm_train_params *config, cm_error *err);

/* A run goes on with the settings it began with: compare those of config with
 * RUN/config.json.  How long, how often, where and on how many threads may change,
 * and paths, whose contents are compared by hash.
 * Errors: CM_ERR_ARGUMENT names the setting, CM_ERR_IO, CM_ERR_FORMAT. */
cm_status cm_run_config_check(const cm_train_params *config, cm_error *err);

#endif
