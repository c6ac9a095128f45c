/* resolve.c - opening a model file, or a run folder's newest checkpoint */
#include "run/resolve.h"

#include "base/error.h"
#include "base/text.h"
#include "io/json.h"
#include "run/checkpoint.h"

#include <errno.h>
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

/* One attempt. */
static cm_status open_newest(const char *run, cm_model **model, char *folder, char *note,
                             size_t note_size, cm_error *err)
{
    char file[CM_RUN_PATH];
    double rate = 0.0;
    cm_status s = cm_checkpoint_find(run, CM_CKPT_LOOK, folder, CM_RUN_PATH, note, note_size, err);
    if (s)
        folder[0] = '\0';
    if (!s)
        s = first_rate(run, &rate, err);
    if (!s)
        s = cm_run_ema_path(file, folder, rate, err);
    return s ? s : cm_model_read(file, NULL, model, err);
}

cm_status cm_run_open_newest(const char *run, cm_model **model, char *folder, char *note,
                             size_t note_size, cm_error *err)
{
    enum { ATTEMPTS = 1000 };
    struct stat st;
    cm_status s = CM_OK;
    for (int i = 0; i < ATTEMPTS; i++) {
        s = open_newest(run, model, folder, note, note_size, err);
        /* Pruned between finding and opening: there is a newer one. */
        if (!s || !folder[0] || !lstat(folder, &st) || errno != ENOENT)
            break;
    }
    return s;
}

cm_status cm_run_open_model(const char *path, cm_model **model, cm_error *err)
{
    char folder[CM_RUN_PATH], note[512];
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode))
        return cm_run_open_newest(path, model, folder, note, sizeof note, err);
    return cm_model_read(path, NULL, model, err);
}

cm_status cm_run_open_classifier(const char *option, const char *path, cm_model **model,
                                 cm_error *err)
{
    char shown[512];
    cm_model *m = NULL;
    if (!*path)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: expected a classifier (cm train --method classifier), found none",
                       option);
    cm_status s = cm_run_open_model(path, &m, err);
    if (!s && !cm_model_is_classifier(m))
        s = cm_fail(err, CM_ERR_ARGUMENT,
                    "%s: expected a classifier (cm train --method classifier), found a %s",
                    cm_escape(shown, sizeof shown, path), cm_model_kind(m));
    if (s) {
        cm_model_release(m);
        return s;
    }
    *model = m;
    return CM_OK;
}
