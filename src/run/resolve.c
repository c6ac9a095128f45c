/* resolve.c - a model file, or a run folder's newest checkpoint */
#include "run/resolve.h"

#include "base/error.h"
#include "base/text.h"
#include "cm.h"
#include "run/checkpoint.h"
#include "run/folder.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static cm_status first_average(const char *run, char *file, cm_error *err)
{
    char folder[CM_RUN_PATH], path[CM_RUN_PATH], note[512], name[CM_EMA_NAME];
    cm_train_config config;
    double rate = 0.0;
    cm_status s =
        cm_checkpoint_find(run, CM_CKPT_LOOK, folder, sizeof folder, note, sizeof note, err);
    cm_train_defaults(&config);
    if (s || (s = cm_run_path(path, run, "config.json", err)) ||
        (s = cm_options_read(cm_train_options, &config, path, err)))
        return s;
    config.ema_rates[strcspn(config.ema_rates, ",")] = '\0';
    if (!cm_text_to_real(config.ema_rates, &rate))
        return cm_fail(err, CM_ERR_FORMAT, "%s: \"ema-rates\": expected numbers", path);
    return cm_run_path(file, folder, cm_run_ema_name(name, rate), err);
}

cm_status cm_run_model_path(const char *path, char *file, cm_error *err)
{
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode))
        return first_average(path, file, err);
    const int n = snprintf(file, CM_RUN_PATH, "%s", path);
    if (n < 0 || n >= CM_RUN_PATH)
        return cm_fail(err, CM_ERR_ARGUMENT, "%.200s...: expected a path below %d bytes", path,
                       (int)CM_RUN_PATH);
    return CM_OK;
}
