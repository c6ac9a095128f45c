/* own_levels.c */
#include "sample/own_levels.h"

#include "base/memory.h"
#include "base/text.h"
#include "io/json.h"
#include "sample/sampler.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 512 };

static cm_status read_levels(const cm_model *m, const json_t *j, const char *name, int64_t K,
                             double *sigma, cm_error *err)
{
    const char *sigmas = NULL;
    char found[256];
    cm_error why = {0};
    int n = 0;
    if (!json_is_object(j))
        return cm_fail(err, CM_ERR_FORMAT, "%s: expected an object {...}, found %s", name,
                       cm_json_show(found, sizeof found, j));
    cm_status s = cm_json_text(j, name, "sigmas", CM_JSON_REQUIRED, &sigmas, err);
    if (s)
        return s;
    s = cm_parse_real_list(sigmas, CM_MOST_OWN_LEVELS, sigma, &n, "sigmas", &why);
    if (!s)
        s = cm_sigma_list_check(&m->schedule, sigma, n, &why);
    if (s)
        return cm_fail(err, CM_ERR_FORMAT, "%s: %.400s", name, why.message);
    return n == K
               ? CM_OK
               : cm_fail(err, CM_ERR_FORMAT,
                         "%s: \"sigmas\": expected %" PRId64 " noise levels, found %d", name, K, n);
}

/* "FILE: "sampling"", and of a key of it. */
static const char *name_of(const cm_model *m, const char *key, char name[NAME])
{
    char model[320], shown[128];
    const int n =
        snprintf(name, NAME, "%s: \"sampling\"", cm_escape(model, sizeof model, cm_model_name(m)));
    if (key)
        snprintf(name + n, NAME - (size_t)n, ": \"%s\"", cm_escape(shown, sizeof shown, key));
    return name;
}

/* *j NULL: the model has none. */
static cm_status parse(const cm_model *m, json_t **j, cm_error *err)
{
    char name[NAME];
    *j = NULL;
    return m->sampling
               ? cm_json_parse(m->sampling, strlen(m->sampling), name_of(m, NULL, name), j, err)
               : CM_OK;
}

cm_status cm_own_levels(const cm_model *m, int64_t K, double *sigma, int *found, cm_error *err)
{
    char name[NAME], key[24];
    json_t *all;
    cm_status s = parse(m, &all, err);
    snprintf(key, sizeof key, "%" PRId64, K);
    const json_t *j = json_object_get(all, key);
    *found = !s && j;
    if (*found)
        s = read_levels(m, j, name_of(m, key, name), K, sigma, err);
    json_decref(all);
    return s;
}

cm_status cm_own_levels_check(const cm_model *m, cm_error *err)
{
    double *sigma = cm_alloc_array(CM_MOST_OWN_LEVELS, sizeof *sigma);
    char name[NAME];
    json_t *all = NULL, *j;
    const char *key;
    cm_status s =
        sigma ? parse(m, &all, err) : cm_fail(err, CM_ERR_MEMORY, "sampling: out of memory");
    json_object_foreach(all, key, j)
    {
        int64_t K = 0;
        name_of(m, key, name);
        if (!s && !(cm_text_to_int(key, &K) && K >= 2 && K <= CM_MOST_OWN_LEVELS))
            s = cm_fail(err, CM_ERR_FORMAT, "%s: expected a number of evaluations, 2 to %d", name,
                        (int)CM_MOST_OWN_LEVELS);
        if (!s)
            s = read_levels(m, j, name, K, sigma, err);
    }
    json_decref(all);
    cm_free(sigma);
    return s;
}
