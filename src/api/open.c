/* open.c - the public functions on models */
#include "api/door.h"
#include "base/text.h"
#include "model/class_names.h"
#include "model/model.h"
#include "options/options.h"
#include "run/resolve.h"

/* Of the models that were read, those that draw images go out. */
static cm_status hand_out(cm_model *read, const char *name, cm_model **model, cm_error *err)
{
    const cm_status s = cm_model_check_draws(read, name, err);
    if (s)
        cm_model_release(read);
    else
        *model = read;
    return s;
}

cm_status cm_model_open(const char *path, cm_model **model, cm_error *err)
{
    cm_model *m = NULL;
    cm_status s = cm_door_text("path", path, err);
    if (!s)
        s = cm_door_need(err, {"model", model});
    if (!s)
        s = cm_run_open_model(path, &m, err);
    return s ? s : hand_out(m, path, model, err);
}

cm_status cm_model_open_memory(const void *bytes, size_t size, cm_model **model, cm_error *err)
{
    static const char name[] = "model in memory";
    cm_model *m = NULL;
    cm_status s = cm_door_need(err, {"bytes", bytes}, {"model", model});
    if (!s)
        s = cm_model_read_memory(bytes, size, name, &m, err);
    return s ? s : hand_out(m, name, model, err);
}

cm_status cm_model_random(const char *config_json, int64_t seed, cm_model **model, cm_error *err)
{
    cm_model *m = NULL;
    cm_status s = cm_door_text("config_json", config_json, err);
    if (!s)
        s = cm_door_range("seed", seed, 0, CM_MOST_SEED, err);
    if (!s)
        s = cm_door_need(err, {"model", model});
    if (!s)
        s = cm_model_make_random(config_json, (uint64_t)seed, &m, err);
    return s ? s : hand_out(m, config_json, model, err);
}

void cm_model_free(cm_model *model)
{
    cm_model_release(model);
}

cm_status cm_model_get_facts(const cm_model *m, cm_model_facts *f, cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", m}, {"facts", f});
    if (!s)
        s = cm_door_size("model facts", f->size, sizeof *f, err);
    if (s)
        return s;
    *f = (cm_model_facts){.size = sizeof *f,
                          .height = m->net.height,
                          .width = m->net.width,
                          .channels = m->net.out_channels,
                          .classes = m->net.num_classes,
                          .is_consistency = !cm_model_is_diffusion(m),
                          .steps = m->steps,
                          .parameters = cm_params_count(m->params)};
    return CM_OK;
}

int64_t cm_model_class(const cm_model *model, const char *name)
{
    json_t *names = NULL;
    if (!model || !name || cm_model_class_names(model, &names, NULL))
        return -1;
    int64_t k = cm_class_named(names, name);
    if (!names && !cm_text_to_int(name, &k))
        k = -1;
    json_decref(names);
    return k >= 0 && k < model->net.num_classes ? k : -1;
}
