/* config.h - RUN/config.json: the settings of a run, complete, as cm_options_read
 * takes them back */
#ifndef CM_RUN_CONFIG_H
#define CM_RUN_CONFIG_H

#include "cm.h"

#include <jansson.h>

/* Write them to config->out.  Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_run_config_write(const cm_train_params *config, cm_error *err);

/* A run goes on with the settings it began with: compare those of config with
 * RUN/config.json.  How long, how often, where and on how many threads may change,
 * and paths, whose contents are compared by hash.
 * Errors: CM_ERR_ARGUMENT names the setting, CM_ERR_IO, CM_ERR_FORMAT. */
cm_status cm_run_config_check(const cm_train_params *config, cm_error *err);

/* The settings that must not change, as an object for state.json; NULL: out of memory. */
json_t *cm_run_settings(const cm_train_params *config);

/* Compare those of a checkpoint, at path, with config, which agrees with config.json:
 * a difference is an edit there.  Settings that only one of the two knows are of another
 * version and do not count.  Errors: CM_ERR_ARGUMENT names the setting, CM_ERR_MEMORY. */
cm_status cm_run_settings_check(const json_t *settings, const char *path,
                                const cm_train_params *config, cm_error *err);

#endif
