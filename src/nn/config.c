/* config.c - configuration and weights from and to files */
#include "nn/config.h"

#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The plain integer fields: key, field, smallest, largest, required. */
#define INT_FIELDS(X)                                               \
    X("image_size", image_size, 1, 65536, CM_JSON_REQUIRED)         \
    X("in_channels", in_channels, 1, 4096, CM_JSON_REQUIRED)        \
    X("out_channels", out_channels, 1, 4096, CM_JSON_REQUIRED)      \
    X("model_channels", model_channels, 1, 65536, CM_JSON_REQUIRED) \
    X("num_res_blocks", num_res_blocks, 1, 64, CM_JSON_REQUIRED)    \
    X("num_heads", num_heads, 1, 4096, CM_JSON_OPTIONAL)

static cm_status read_ints(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    int64_t v;
    cm_status s;
#define X(key, field, lo, hi, need)                             \
    v = c->field;                                               \
    if ((s = cm_json_int(j, file, key, lo, hi, need, &v, err))) \
        return s;                                               \
    c->field = (int)v;
    INT_FIELDS(X)
#undef X
    return CM_OK;
}

/* An integer that may be null or -1 for "none" (0 here). */
static cm_status read_optional(const json_t *j, const char *file, const char *key, int64_t max,
                               int *out, cm_error *err)
{
    int64_t v = 0;
    const json_t *value = json_object_get(j, key);
    if (json_is_null(value) || (json_is_integer(value) && json_integer_value(value) == -1)) {
        *out = 0;
        return CM_OK;
    }
    const cm_status s = cm_json_int(j, file, key, 0, max, CM_JSON_OPTIONAL, &v, err);
    if (!s)
        *out = (int)v;
    return s;
}

static cm_status read_mult(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    const json_t *list = json_object_get(j, "channel_mult");
    const size_t n = json_array_size(list);
    if (n < 1 || n > CM_MAX_LEVELS)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"channel_mult\": expected a list of 1 to %d numbers", file,
                       CM_MAX_LEVELS);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        const double x = json_number_value(v);
        if (!json_is_number(v) || !(x > 0.0 && x <= 64.0))
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: \"channel_mult\"[%zu]: expected a number above 0, at most 64", file,
                           i);
        c->channel_mult[i] = x;
    }
    c->n_levels = (int)n;
    return CM_OK;
}

static cm_status read_attention(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    int64_t list[CM_MAX_LEVELS];
    const cm_status s = cm_json_int_list(j, file, "attention_resolutions", CM_MAX_LEVELS, list,
                                         &c->n_attention, err);
    for (int i = 0; !s && i < c->n_attention; i++)
        c->attention_resolutions[i] = (int)list[i];
    return s;
}

static cm_status read_type(const json_t *j, const char *file, cm_net_config *c, cm_error *err)
{
    const char *type = "adm";
    const cm_status s = cm_json_text(j, file, "type", CM_JSON_OPTIONAL, &type, err);
    if (s)
        return s;
    if (strcmp(type, "adm") && strcmp(type, "mlp"))
        return cm_fail(err, CM_ERR_FORMAT, "%s: \"type\": expected \"adm\" or \"mlp\"", file);
    c->type = strcmp(type, "mlp") ? CM_NET_ADM : CM_NET_MLP;
    return CM_OK;
}

cm_status cm_net_config_from_json(const json_t *json, const char *file, cm_net_config *config,
                                  cm_error *err)
{
    static const char *const keys[] = {
#define X(key, field, lo, hi, need) key,
        INT_FIELDS(X)
#undef X
            "type",
        "channel_mult",
        "attention_resolutions",
        "num_classes",
        "num_head_channels",
        "use_scale_shift_norm",
        "resblock_updown",
        "dropout",
        NULL};
    cm_net_config c = {.num_heads = 1};
    json_t *copy = json_copy((json_t *)(uintptr_t)json);
    cm_status s = copy ? cm_json_only(copy, file, keys, err) : CM_ERR_MEMORY;
    json_decref(copy);
    if (s || (s = read_type(json, file, &c, err)) || (s = read_ints(json, file, &c, err)) ||
        (s = read_mult(json, file, &c, err)) || (s = read_attention(json, file, &c, err)) ||
        (s = read_optional(json, file, "num_classes", 1 << 24, &c.num_classes, err)) ||
        (s = read_optional(json, file, "num_head_channels", 4096, &c.num_head_channels, err)) ||
        (s = cm_json_bool(json, file, "use_scale_shift_norm", CM_JSON_OPTIONAL,
                          &c.use_scale_shift_norm, err)) ||
        (s = cm_json_bool(json, file, "resblock_updown", CM_JSON_OPTIONAL, &c.resblock_updown,
                          err)) ||
        (s = cm_json_real(json, file, "dropout", 0.0, 0.99, CM_JSON_OPTIONAL, &c.dropout, err)))
        return s;
    if (c.type == CM_NET_MLP && c.num_classes)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"num_classes\": expected none with type mlp, found %d", file,
                       c.num_classes);
    if (c.type == CM_NET_ADM && c.image_size % (1 << (c.n_levels - 1)))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: \"image_size\" %d cannot be halved %d times (\"channel_mult\" has %d "
                       "levels)",
                       file, c.image_size, c.n_levels - 1, c.n_levels);
    *config = c;
    return CM_OK;
}

json_t *cm_net_config_to_json(const cm_net_config *c)
{
    json_t *j = json_object(), *mult = json_array(), *attention = json_array();
    for (int i = 0; i < c->n_levels; i++)
        json_array_append_new(mult, c->channel_mult[i] == (double)(int)c->channel_mult[i]
                                        ? json_integer((int)c->channel_mult[i])
                                        : json_real(c->channel_mult[i]));
    for (int i = 0; i < c->n_attention; i++)
        json_array_append_new(attention, json_integer(c->attention_resolutions[i]));
    json_object_set_new(j, "type", json_string(c->type == CM_NET_MLP ? "mlp" : "adm"));
#define X(key, field, lo, hi, need) json_object_set_new(j, key, json_integer(c->field));
    INT_FIELDS(X)
#undef X
    json_object_set_new(j, "channel_mult", mult);
    json_object_set_new(j, "attention_resolutions", attention);
    json_object_set_new(j, "num_classes",
                        c->num_classes ? json_integer(c->num_classes) : json_null());
    json_object_set_new(j, "num_head_channels",
                        json_integer(c->num_head_channels ? c->num_head_channels : -1));
    json_object_set_new(j, "use_scale_shift_norm", json_boolean(c->use_scale_shift_norm));
    json_object_set_new(j, "resblock_updown", json_boolean(c->resblock_updown));
    json_object_set_new(j, "dropout", json_real(c->dropout));
    return j;
}

/* ---- weights ---- */

static int same_dims(const cm_param *p, const cm_st_tensor *t)
{
    if (t->rank != p->type.rank)
        return 0;
    for (int i = 0; i < t->rank; i++)
        if (t->dim[i] != p->type.dim[i])
            return 0;
    return 1;
}

static cm_status wrong_shape(const cm_st_file *file, const cm_param *p, const cm_st_tensor *t,
                             cm_error *err)
{
    char want[96], found[256] = "[";
    size_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(found + n, sizeof found - n, "%s%" PRId64, i ? "," : "", t->dim[i]);
    snprintf(found + n, sizeof found - n, "]");
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: tensor \"%s\": the configuration needs shape %s, the file has %s",
                   cm_st_path(file), p->name, cm_type_text(want, sizeof want, &p->type), found);
}

cm_status cm_params_load(const cm_params *params, const cm_st_file *file, float *flat,
                         cm_error *err)
{
    const int n = cm_params_size(params);
    char name[256];
    for (int i = 0; i < n; i++) {
        const cm_param *p = cm_params_at(params, i);
        const cm_st_tensor *t = cm_st_find(file, p->name);
        if (!t)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: tensor \"%s\" is missing (the configuration has %d tensors, the "
                           "file %d)",
                           cm_st_path(file), p->name, n, cm_st_count(file));
        if (!same_dims(p, t))
            return wrong_shape(file, p, t, err);
        const cm_status s = cm_st_read_f32(file, t, flat + p->offset, err);
        if (s)
            return s;
    }
    for (int i = 0; i < cm_st_count(file) && cm_st_count(file) != n; i++)
        if (!cm_params_find(params, cm_st_at(file, i)->name))
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: tensor \"%s\" is not part of the configured network",
                           cm_st_path(file), cm_escape(name, sizeof name, cm_st_at(file, i)->name));
    return CM_OK;
}

void cm_params_entries(const cm_params *params, const float *flat, cm_st_entry *entries)
{
    for (int i = 0; i < cm_params_size(params); i++) {
        const cm_param *p = cm_params_at(params, i);
        entries[i] = (cm_st_entry){
            .name = p->name, .dtype = CM_ST_F32, .rank = p->type.rank, .data = flat + p->offset};
        memcpy(entries[i].dim, p->type.dim, sizeof p->type.dim);
    }
}
