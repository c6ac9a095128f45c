/* alike.c - what must be the same in all processes of a run: else their weights would part */
#include "train/trainer.h"

#include "base/memory.h"
#include "io/json.h"
#include "run/config.h"

#include <string.h>
#include <xxhash.h>

/* What a run depends on: each setting by its name, so that the one that differs is said. */
static cm_status check_settings(const cm_trainer *t, cm_error *err)
{
    enum { MOST = 128 };
    cm_alike all[MOST];
    int n = 0;
    const char *name;
    json_t *value, *settings = cm_run_settings(&t->config);
    cm_status s = settings ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "settings: out of memory");
    json_object_foreach(settings, name, value)
    {
        char *text = cm_json_dump(value, JSON_ENCODE_ANY | JSON_COMPACT);
        if (!text && !s)
            s = cm_fail(err, CM_ERR_MEMORY, "settings: out of memory");
        cm_assert(n < MOST);
        all[n++] = (cm_alike){name, text ? XXH3_64bits(text, strlen(text)) : 0};
        cm_free(text);
    }
    s = cm_group_agree(t->group, s, err);
    if (!s)
        s = cm_group_same(t->group, n, all, err);
    json_decref(settings);
    return s;
}

cm_status cm_trainer_check_alike(const cm_trainer *t, cm_error *err)
{
    const size_t bytes = t->step->floats * sizeof(float);
    const cm_alike version = {"version of cm", XXH3_64bits(CM_VERSION, strlen(CM_VERSION))};
    const cm_alike all[] = {{"steps", (uint64_t)t->config.steps},
                            {"shard", (uint64_t)t->config.shard},
                            {t->config.data, t->data->fingerprint},
                            {"teacher", t->teacher_hash},
                            {"loss-weights", t->frozen_hash},
                            {"step of the checkpoint", (uint64_t)t->k},
                            {"weights", XXH3_64bits(t->step->params, bytes)}};
    cm_status s = cm_group_same(t->group, 1, &version, err); /* which has all settings */
    if (!s)
        s = check_settings(t, err);
    return s ? s : cm_group_same(t->group, sizeof all / sizeof *all, all, err);
}
