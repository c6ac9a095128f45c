/* model.c - models in files */
#include "model/model.h"

#include "base/bf16.h"
#include "base/memory.h"
#include "io/json.h"
#include "io/weights_file.h"
#include "model/released.h"

#include <stdio.h>
#include <string.h>

static const char classifier[] = "classifier"; /* the kind */

const char *cm_model_kind(const cm_model *m)
{
    return cm_model_is_classifier(m)  ? classifier
           : cm_model_is_teacher(m)   ? "diffusion teacher"
           : cm_model_is_diffusion(m) ? "few-step diffusion model"
                                      : "consistency model";
}

cm_status cm_model_check_draws(const cm_model *m, const char *path, cm_error *err)
{
    if (!cm_model_is_classifier(m))
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: expected a model that draws images, found a classifier (of %s), which "
                   "judges them",
                   path, m->score);
}

cm_status cm_score_name_check(const char *name, const char *what, cm_error *err)
{
    static const char begin[] = "FD-", allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789"
                                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-";
    char shown[128];
    const size_t n = strlen(name);
    if (!strncmp(name, begin, strlen(begin)) && n > strlen(begin) && n < CM_SCORE_NAME &&
        strspn(name, allowed) == n)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: expected FD- and at most %zu letters, digits, dots and dashes (it is not "
                   "FID), found '%s'",
                   what, CM_SCORE_NAME - sizeof begin, cm_escape(shown, sizeof shown, name));
}

/* ---- reading ---- */

static cm_status read_classifier(const json_t *j, const char *path, cm_model *m, cm_error *err)
{
    char what[600];
    const char *kind = NULL, *score = NULL;
    cm_status s = cm_json_text(j, path, "kind", CM_JSON_REQUIRED, &kind, err);
    if (!s && strcmp(kind, classifier) != 0)
        s = cm_fail(err, CM_ERR_FORMAT,
                    "%s: \"kind\": expected classifier with this network, found another", path);
    if (!s)
        s = cm_json_text(j, path, "score", CM_JSON_REQUIRED, &score, err);
    if (!s) {
        snprintf(what, sizeof what, "%.500s: \"score\"", path);
        s = cm_score_name_check(score, what, err);
        if (s && err)
            err->status = s = CM_ERR_FORMAT;
    }
    if (!s)
        s = cm_json_real(j, path, "accuracy", 0.0, 1.0, CM_JSON_OPTIONAL, &m->accuracy, err);
    if (!s)
        snprintf(m->score, sizeof m->score, "%s", score);
    return s;
}

static cm_status read_denoiser(const json_t *j, const char *path, cm_model *m, cm_error *err)
{
    const char *kind = NULL;
    int64_t scales = m->scales, steps = 0;
    cm_status s;
    cm_noise_schedule *n = &m->schedule;
    if (!(s = cm_json_text(j, path, "kind", CM_JSON_REQUIRED, &kind, err)) &&
        !(s = cm_json_real(j, path, "sigma_min", 1e-9, 1e3, CM_JSON_OPTIONAL, &n->sigma_min,
                           err)) &&
        !(s = cm_json_real(j, path, "sigma_max", 1e-3, 1e9, CM_JSON_OPTIONAL, &n->sigma_max,
                           err)) &&
        !(s = cm_json_real(j, path, "sigma_data", 1e-6, 1e6, CM_JSON_OPTIONAL, &n->sigma_data,
                           err)) &&
        !(s = cm_json_real(j, path, "rho", 1e-2, 1e3, CM_JSON_OPTIONAL, &n->rho, err)) &&
        !(s = cm_json_int(j, path, "scales", 0, 1000001, CM_JSON_OPTIONAL, &scales, err)) &&
        !(s = cm_json_int(j, path, "steps", 1, 1000000, CM_JSON_OPTIONAL, &steps, err))) {
        m->scales = (int)scales;
        m->steps = (int)steps;
        if (!(m->precondition = cm_precondition_find(kind)))
            s = cm_fail(err, CM_ERR_FORMAT,
                        "%s: \"kind\": expected edm, skip or piecewise, found another", path);
        else if (steps && (m->precondition->meets_boundary || steps + 1 != scales))
            s = cm_fail(err, CM_ERR_FORMAT,
                        "%s: \"steps\": expected none but of kind edm, and there scales - 1 = %d, "
                        "found %d",
                        path, m->scales - 1, m->steps);
        else if (scales == 1)
            s = cm_fail(err, CM_ERR_FORMAT,
                        "%s: \"scales\": expected 0 (no grid) or 2 to 1000001, found 1", path);
        else if (cm_noise_schedule_check(n, NULL))
            s = cm_fail(err, CM_ERR_FORMAT, "%s: the noise levels do not fit each other", path);
    }
    return s;
}

static cm_status read_kind(const char *text, const char *path, cm_model *m, cm_error *err)
{
    json_t *j = NULL;
    cm_status s = cm_json_parse(text, strlen(text), path, &j, err);
    if (!s)
        s = (cm_model_is_classifier(m) ? read_classifier : read_denoiser)(j, path, m, err);
    json_decref(j);
    return s;
}

static cm_status read_config(const char *path, const cm_st_file *f, const char *config_json,
                             cm_model *m, cm_error *err)
{
    json_t *j = NULL;
    const char *text = cm_st_metadata(f, "config");
    if (!config_json && !text)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: no \"config\" in the metadata: these weights do not say what network "
                       "they are of (give a configuration file)",
                       path);
    cm_status s = config_json ? cm_json_load(config_json, &j, err)
                              : cm_json_parse(text, strlen(text), path, &j, err);
    if (!s)
        s = cm_net_config_from_json(j, config_json ? config_json : path, &m->net, err);
    json_decref(j);
    return s;
}

/* A text of the metadata, or NULL where there is none.  Non-zero: out of memory. */
static int copy_text(const cm_st_file *f, const char *key, char **text)
{
    const char *value = cm_st_metadata(f, key);
    *text = value ? cm_strdup(value) : NULL;
    return value && !*text;
}

/* Nobody has a network of that size, whose weights no file brings. */
static cm_status check_size(const char *path, const cm_params *params, cm_error *err)
{
    const int64_t most = INT64_C(1) << 31;
    const cm_param *largest = cm_params_at(params, 0);
    char shape[96];
    if (cm_params_count(params) <= most)
        return CM_OK;
    for (int i = 1; i < cm_params_size(params); i++)
        if (cm_type_count(&cm_params_at(params, i)->type) > cm_type_count(&largest->type))
            largest = cm_params_at(params, i);
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: expected a network of at most %lld parameters, found %lld; the largest is "
                   "\"%s\" %s",
                   path, (long long)most, (long long)cm_params_count(params), largest->name,
                   cm_type_text(shape, sizeof shape, &largest->type));
}

/* The parameter table of m->net and room for the weights, which file, where there is one,
 * must fit: so a configuration takes no more memory than its file has weights. */
static cm_status make_params(const char *path, const cm_st_file *file, cm_model *m, cm_error *err)
{
    cm_status s = cm_net_params_new(&m->net, &m->params, err);
    if (s) {
        const cm_error why = err ? *err : (cm_error){0};
        return s == CM_ERR_SHAPE ? cm_fail(err, CM_ERR_FORMAT, "%s: %.900s", path, why.message) : s;
    }
    s = file ? cm_params_fit(m->params, file, err) : check_size(path, m->params, err);
    if (s)
        return s;
    m->flat = cm_alloc_array(cm_params_floats(m->params), sizeof *m->flat);
    return m->flat ? CM_OK
                   : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %zu parameters", path,
                             cm_params_floats(m->params));
}

static cm_status read_file(const char *path, const cm_st_file *f, int torch,
                           const char *config_json, cm_model *m, cm_error *err)
{
    cm_status s = torch && !config_json ? cm_released_config(path, f, m, err)
                                        : read_config(path, f, config_json, m, err);
    if (!s && cm_model_is_classifier(m) && !cm_st_metadata(f, "model"))
        s = cm_fail(err, CM_ERR_FORMAT, "%s: no \"model\" in the metadata of a classifier", path);
    if (!s && cm_st_metadata(f, "model"))
        s = read_kind(cm_st_metadata(f, "model"), path, m, err);
    if (!s)
        s = make_params(path, f, m, err);
    if (s)
        return s;
    if (copy_text(f, "classes", &m->classes) || copy_text(f, "training", &m->training) ||
        copy_text(f, "edits", &m->edits) || copy_text(f, "sampling", &m->sampling))
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    return cm_params_load(m->params, f, m->flat, err);
}

/* What weights without metadata are taken for. */
static cm_status model_new(const char *path, cm_model **model, cm_error *err)
{
    const cm_device *device = NULL;
    const cm_status s = cm_device_open(&device, err);
    cm_model *m = s ? NULL : cm_alloc(sizeof *m);
    if (s)
        return s;
    if (!m)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    *m = (cm_model){.name = cm_strdup(path),
                    .device = device,
                    .schedule = CM_NOISE_SCHEDULE_DEFAULT,
                    .precondition = &cm_precondition_skip,
                    .scales = 40,
                    .accuracy = -1.0};
    *model = m;
    return m->name ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
}

/* From a file that is closed in every case. */
static cm_status read_and_close(const char *path, cm_st_file *f, int torch, const char *config_json,
                                cm_model **model, cm_error *err)
{
    cm_model *m = NULL;
    cm_status s = model_new(path, &m, err);
    if (!s)
        s = read_file(path, f, torch, config_json, m, err);
    cm_st_close(f);
    if (s) {
        cm_model_release(m);
        return s;
    }
    *model = m;
    return CM_OK;
}

cm_status cm_model_read(const char *path, const char *config_json, cm_model **model, cm_error *err)
{
    cm_st_file *f = NULL;
    int torch = 0;
    const cm_status s = cm_weights_open(path, &f, &torch, err);
    return s ? s : read_and_close(path, f, torch, config_json, model, err);
}

cm_status cm_model_read_memory(const void *bytes, size_t n, const char *name, cm_model **model,
                               cm_error *err)
{
    cm_st_file *f = NULL;
    int torch = 0;
    const cm_status s = cm_weights_open_memory(bytes, n, name, &f, &torch, err);
    return s ? s : read_and_close(name, f, torch, NULL, model, err);
}

cm_status cm_model_make_random(const char *config_json, uint64_t seed, cm_model **model,
                               cm_error *err)
{
    json_t *j = NULL;
    cm_status s = cm_json_load(config_json, &j, err);
    if (s)
        return s;
    cm_model *m = NULL;
    if (!(s = model_new(config_json, &m, err)))
        s = cm_net_config_from_json(j, config_json, &m->net, err);
    json_decref(j);
    if (!s)
        s = make_params(config_json, NULL, m, err);
    if (s) {
        cm_model_release(m);
        return s;
    }
    cm_params_init(m->params, seed, m->flat);
    *model = m;
    return CM_OK;
}

void cm_model_release(cm_model *m)
{
    if (!m)
        return;
    cm_params_free(m->params);
    if (!m->borrowed)
        cm_free(m->flat);
    cm_free(m->name);
    cm_free(m->classes);
    cm_free(m->training);
    cm_free(m->edits);
    cm_free(m->sampling);
    cm_free(m);
}

/* ---- writing ---- */

static int add_json(cm_model_metadata *meta, const char *key, json_t *j)
{
    meta->key[meta->n] = key;
    meta->value[meta->n] = cm_json_dump(j, JSON_COMPACT);
    json_decref(j);
    return !!meta->value[meta->n++];
}

static json_t *kind_to_json(const cm_model *m)
{
    const cm_noise_schedule *n = &m->schedule;
    const int draws = !cm_model_is_classifier(m);
    json_t *j = draws ? json_pack("{s:s,s:f,s:f,s:f,s:f,s:i}", "kind", m->precondition->name,
                                  "sigma_min", n->sigma_min, "sigma_max", n->sigma_max,
                                  "sigma_data", n->sigma_data, "rho", n->rho, "scales", m->scales)
                      : json_pack("{s:s,s:s}", "kind", classifier, "score", m->score);
    int bad = 0;
    if (draws && m->steps)
        bad = json_object_set_new(j, "steps", json_integer(m->steps));
    if (!draws && m->accuracy >= 0.0)
        bad = json_object_set_new(j, "accuracy", json_real(m->accuracy));
    if (bad) {
        json_decref(j);
        return NULL;
    }
    return j;
}

cm_status cm_model_metadata_make(const cm_model *m, cm_model_metadata *meta, cm_error *err)
{
    memset(meta, 0, sizeof *meta);
    int ok = add_json(meta, "config", cm_net_config_to_json(&m->net)) &&
             add_json(meta, "model", kind_to_json(m));
    const char *const key[] = {"classes", "training", "edits", "sampling"};
    const char *const value[] = {m->classes, m->training, m->edits, m->sampling};
    for (int i = 0; ok && i < 4; i++)
        if (value[i]) {
            meta->key[meta->n] = key[i];
            ok = !!(meta->value[meta->n++] = cm_strdup(value[i]));
        }
    if (ok)
        return CM_OK;
    cm_model_metadata_free(meta);
    return cm_fail(err, CM_ERR_MEMORY, "model: out of memory");
}

void cm_model_metadata_free(cm_model_metadata *meta)
{
    for (int i = 0; i < meta->n; i++)
        cm_free(meta->value[i]);
    meta->n = 0;
}

cm_status cm_model_write(const cm_model *m, const char *path, cm_dtype dtype, cm_error *err)
{
    const int n = cm_params_size(m->params);
    const size_t floats = cm_params_floats(m->params);
    cm_st_entry *entries = cm_alloc_array((size_t)n, sizeof *entries);
    cm_bf16 *half = cm_alloc_array(floats, sizeof *half);
    cm_model_metadata meta = {0};
    cm_status s = entries && half ? cm_model_metadata_make(m, &meta, err)
                                  : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    if (!s) {
        cm_params_entries(m->params, m->flat, entries);
        for (size_t i = 0; i < floats; i++)
            half[i] = cm_f32_to_bf16(m->flat[i]);
        for (int i = 0; i < n && dtype == CM_BF16; i++) {
            entries[i].dtype = CM_ST_BF16;
            entries[i].data = half + cm_params_at(m->params, i)->offset;
        }
        s = cm_st_write(path, n, entries, meta.n, meta.key, (const char *const *)meta.value, err);
    }
    cm_model_metadata_free(&meta);
    cm_free(entries);
    cm_free(half);
    return s;
}
