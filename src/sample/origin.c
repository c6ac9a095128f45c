/* origin.c - see origin.h */
#include "sample/origin.h"

#include "base/memory.h"
#include "group/group.h"
#include "io/json.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

static uint64_t hash_of(const void *bytes, size_t n)
{
    return bytes ? XXH3_64bits(bytes, n) : 0;
}

static uint64_t hash_of_weights(const cm_model *m)
{
    return hash_of(m->flat, cm_params_floats(m->params) * sizeof *m->flat);
}

/* NULL: out of memory */
static json_t *classes_of(const cm_recipe *r)
{
    if (!r->classes)
        return json_null();
    if (r->label_rule != CM_LABEL_LIST)
        return json_string(r->label_rule == CM_LABEL_RANDOM ? "random" : "all");
    json_t *list = json_array();
    for (int i = 0; i < r->n_labels; i++)
        json_array_append_new(list, json_integer(r->label[i]));
    if (json_array_size(list) == (size_t)r->n_labels)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *churn_of(const cm_recipe *r)
{
    const cm_churn *c = &r->levels.churn;
    return json_pack("[f,f,f,f]", c->s_churn, c->s_tmin, c->s_tmax, c->s_noise);
}

/* Whole sets are parts of themselves. */
static int64_t set_of(const cm_recipe *recipe, const cm_request *r)
{
    return recipe->of ? recipe->of : r->first ? 0 : r->num;
}

/* NULL: out of memory */
static json_t *describe(const cm_drawing *d, const cm_request *r, const char *levels)
{
    char model[24];
    const cm_recipe *recipe = d->recipe;
    const int64_t of = set_of(recipe, r);
    snprintf(model, sizeof model, "%016" PRIx64, hash_of_weights(d->model));
    json_t *j =
        json_pack("{s:s,s:s,s:s,s:s,s:o,s:I,s:I,s:I}", "model", model, "sampler",
                  recipe->method->name, "levels", levels, "dtype",
                  d->dtype == CM_BF16 ? "bf16" : "f32", "classes", classes_of(recipe), "seed",
                  (json_int_t)r->seed, "first", (json_int_t)r->first, "num", (json_int_t)r->num);
    int bad = !j;
    if (!bad && of)
        bad = json_object_set_new(j, "of", json_integer(of));
    if (!bad && recipe->method->takes_churn && recipe->levels.churn.s_churn > 0.0)
        bad = json_object_set_new(j, "churn", churn_of(recipe));
    if (!bad)
        return j;
    json_decref(j);
    return NULL;
}

static cm_status text_of(const cm_drawing *d, const cm_request *r, char **text, cm_error *err)
{
    char *levels = cm_recipe_levels(d->recipe);
    json_t *j = levels ? describe(d, r, levels) : NULL;
    *text = cm_json_dump(j, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(j);
    cm_free(levels);
    return *text ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
}

cm_status cm_origin_of(const cm_drawing *d, const cm_request *r, char **text, cm_error *err)
{
    if (r->noise || r->labels || r->edit)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "request: %s: expected none, of images that the seed tells",
                       r->edit    ? "edit"
                       : r->noise ? "noise"
                                  : "labels");
    return text_of(d, r, text, err);
}

cm_status cm_origin_same(const cm_drawing *d, const cm_request *r, cm_error *err)
{
    const cm_model *m = d->model;
    const size_t image = (size_t)m->net.height * (size_t)m->net.width * (size_t)m->net.out_channels,
                 num = (size_t)r->num;
    char *text = NULL;
    cm_status status = cm_group_agree(r->group, text_of(d, r, &text, err), err);
    if (!status) {
        const cm_alike all[] = {
            {"version of cm", hash_of(CM_VERSION, strlen(CM_VERSION))},
            {"weights of the model", hash_of_weights(m)},
            {"settings of sampling", hash_of(text, strlen(text))},
            {"batch", (uint64_t)d->batch},
            {"classes", hash_of(r->labels, num * sizeof *r->labels)},
            {"noise", hash_of(r->noise, (size_t)r->draws * num * image * sizeof *r->noise)}};
        status = cm_group_same(r->group, sizeof all / sizeof *all, all, err);
    }
    cm_free(text);
    return status;
}
