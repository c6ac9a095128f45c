/* resolve.c - a model file, or a run folder's newest checkpoint */
#include "run/resolve.h"

#include "base/error.h"
#include "base/text.h"
#include "io/json.h"
#include "run/checkpoint.h"
#include "run/folder.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The first rate of RUN/config.json, of which nothing else is looked at: a run can be
 * opened though it was made with settings that are no more. */
static cm_status first_rate(const char *run, double *rate, cm_error *err)
{
    char path[CM_RUN_PATH], first[64];
    json_t *config = NULL;
    const char *rates = NULL;
    cm_status s = cm_run_path(path, run, "config.json", err);
    if (!s)
        s = cm_json_load(path, &config, err);
    if (!s)
        s = cm_json_text(config, path, "ema-rates", CM_JSON_REQUIRED, &rates, err);
    if (!s) {
        snprintf(first, sizeof first, "%.*s", (int)strcspn(rates, ","), rates);
        if (!cm_text_to_real(first, rate))
            s = cm_fail(err, CM_ERR_FORMAT, "%s: \"ema-rates\": expected numbers", path);
    }
    json_decref(config);
    return s;
}

static cm_status first_average(const char *run, char *file, cm_error *err)
{
    char folder[CM_RUN_PATH], note[512];
    double rate = 0.0;
    cm_status s =
        cm_checkpoint_find(run, CM_CKPT_LOOK, folder, sizeof folder, note, sizeof note, err);
    if (!s)
        s = first_rate(run, &rate, err);
    return s ? s : cm_run_ema_path(file, folder, rate, err);
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
