/* open.c - the public functions on models */
#include "base/memory.h"
#include "cm.h"
#include "model/model.h"
#include "run/folder.h"
#include "run/resolve.h"

cm_status cm_model_open(const char *path, cm_model **model, cm_error *err)
{
    char file[CM_RUN_PATH];
    const cm_status s = cm_run_model_path(path, file, err);
    return s ? s : cm_model_read(file, NULL, model, err);
}

cm_status cm_model_random(const char *config_json, int64_t seed, cm_model **model, cm_error *err)
{
    return cm_model_make_random(config_json, (uint64_t)seed, model, err);
}

void cm_model_free(cm_model *model)
{
    cm_model_release(model);
}

void cm_model_get_facts(const cm_model *m, cm_model_facts *f)
{
    *f = (cm_model_facts){.height = m->net.height,
                          .width = m->net.width,
                          .channels = m->net.out_channels,
                          .classes = m->net.num_classes,
                          .is_consistency = !cm_model_is_teacher(m),
                          .parameters = cm_params_count(m->params)};
}
