/* config.c - RUN/config.json, and what of it a continued run may change */
#include "run/config.h"

#include "base/error.h"
#include "options/options.h"
#include "run/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* None of these is in the value of a step, but for steps with lr-decay or a
 * progressive N(k), which run to the last one: those ask for the longer run. */
static const char *const may_change[] = {
    "loss-weights",  "loss-lpips-weights", "out",     "data",         "teacher",    "steps",
    "threads",       "log-every",          "keep",    "sample-every", "minutes",    "max-minutes",
    "save-every",    "recompute",          "shard",   "sample-scale", "eval-every", "eval-num",
    "eval-features", "eval-weights",       "eval-ref"};

cm_status cm_run_config_write(const cm_train_params *config, cm_error *err)
{
    char path[CM_RUN_PATH];
    json_t *j = cm_options_to_json(cm_train_options(), config);
    cm_status s = cm_run_path(path, config->out, "config.json", err);
    if (!s)
        s = cm_run_json_write(path, j, err);
    json_decref(j);
    return s;
}

/* Name the setting and both values. */
static cm_status differs(const char *path, const char *name, const json_t *then, const json_t *now,
                         const char *what, const char *hint, cm_error *err)
{
    char *a = json_dumps(then, JSON_ENCODE_ANY), *b = json_dumps(now, JSON_ENCODE_ANY);
    const cm_status s =
        cm_fail(err, CM_ERR_ARGUMENT, "%s: \"%s\": the run began with %.100s, %s %.100s; %s", path,
                name, a ? a : "?", what, b ? b : "?", hint);
    free(a);
    free(b);
    return s;
}

cm_status cm_run_config_check(const cm_train_params *config, cm_error *err)
{
    char path[CM_RUN_PATH];
    cm_train_params stored = cm_train_default_params();
    cm_status s = cm_run_path(path, config->out, "config.json", err);
    if (s || (s = cm_options_read(cm_train_options(), &stored, path, err)))
        return s;
    json_t *then = cm_run_settings(&stored), *now = cm_run_settings(config);
    if (!then || !now)
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    for (const cm_option *o = cm_train_options(); o->name && !s; o++) {
        const json_t *a = json_object_get(then, o->name), *b = json_object_get(now, o->name);
        if (a && !json_equal(a, b))
            s = differs(
                path, o->name, a, b, "asked for",
                "a continued run may change steps, threads, recompute, shard, "
                "max-minutes, keep, sample-scale, the eval-* and *-every settings and paths",
                err);
    }
    json_decref(then);
    json_decref(now);
    return s;
}

json_t *cm_run_settings(const cm_train_params *config)
{
    json_t *j = cm_options_to_json(cm_train_options(), config);
    for (size_t i = 0; j && i < sizeof may_change / sizeof *may_change; i++)
        json_object_del(j, may_change[i]);
    return j;
}

cm_status cm_run_settings_check(const json_t *settings, const char *path,
                                const cm_train_params *config, cm_error *err)
{
    char file[CM_RUN_PATH];
    json_t *now = cm_run_settings(config);
    cm_status s = now ? cm_run_path(file, config->out, "config.json", err)
                      : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    for (const cm_option *o = cm_train_options(); o->name && !s; o++) {
        const json_t *a = json_object_get(settings, o->name), *b = json_object_get(now, o->name);
        if (a && b && !json_equal(a, b))
            s = differs(file, o->name, a, b, "the file now says", "put it back to continue the run",
                        err);
    }
    json_decref(now);
    return s;
}
