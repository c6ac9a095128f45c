/* open.c - cm_model_open: a model file, or a run folder's newest checkpoint */
#include "model/model.h"
#include "train/checkpoint.h"
#include "train/run_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The first average of the newest checkpoint: the one whose
 * rate stands first in the options of the run. */
static cm_status open_run(const char *run, cm_model **model, cm_error *err)
{
    char folder[CM_RUN_PATH], path[CM_RUN_PATH], note[512], file[80];
    cm_status s =
        cm_checkpoint_find(run, CM_CKPT_LOOK, folder, sizeof folder, note, sizeof note, err);
    if (s)
        return s;
    cm_train_config config;
    cm_train_defaults(&config);
    if ((s = cm_run_path(path, run, "config.json", err)) ||
        (s = cm_options_read(cm_train_options, &config, path, err)))
        return s;
    config.ema_rates[strcspn(config.ema_rates, ",")] = '\0';
    snprintf(file, sizeof file, "ema_%.10g.safetensors", strtod(config.ema_rates, NULL));
    if ((s = cm_run_path(path, folder, file, err)))
        return s;
    return cm_model_read(path, NULL, model, err);
}

cm_status cm_model_open(const char *path, cm_model **model, cm_error *err)
{
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode))
        return open_run(path, model, err);
    return cm_model_read(path, NULL, model, err);
}
