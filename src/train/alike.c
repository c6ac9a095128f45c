/* alike.c - what must be the same in all processes of a run: else their weights would part */
#include "train/trainer.h"

#include "base/memory.h"
#include "io/json.h"
#include "run/config.h"

#include <string.h>
#include <xxhash.h>

cm_status cm_trainer_check_alike(const cm_trainer *t, cm_error *err)
{
    json_t *j = cm_run_settings(&t->config);
    char *settings = j ? cm_json_dump(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    const size_t bytes = t->step->floats * sizeof(float);
    cm_status s = settings ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "settings: out of memory");
    const cm_alike all[] = {{"version of cm", XXH3_64bits(CM_VERSION, strlen(CM_VERSION))},
                            {"settings", settings ? XXH3_64bits(settings, strlen(settings)) : 0},
                            {"steps", (uint64_t)t->config.steps},
                            {"shard", (uint64_t)t->config.shard},
                            {t->config.data, t->data->fingerprint},
                            {"teacher", t->teacher_hash},
                            {"loss-weights", t->frozen_hash},
                            {"step of the checkpoint", (uint64_t)t->k},
                            {"weights", XXH3_64bits(t->step->params, bytes)}};
    s = cm_group_agree(t->group, s, err);
    if (!s)
        s = cm_group_same(t->group, sizeof all / sizeof *all, all, err);
    json_decref(j);
    cm_free(settings);
    return s;
}
