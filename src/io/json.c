/* json.c - configuration in JSON: files, typed fields, and values as text */
#include "io/json.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"

#include <stdio.h>
#include <string.h>

/* ---- parsing ------------------------------------------------------------ */

cm_status cm_json_parse(const void *text, size_t size, const char *name, json_t **json,
                        cm_error *err)
{
    json_t *root = NULL;
    const cm_status s = cm_json_parse_any(text, size, name, &root, err);
    if (s)
        return s;
    if (!json_is_object(root)) {
        json_decref(root);
        return cm_fail(err, CM_ERR_FORMAT, "%s: expected a JSON object {...}, found an array",
                       name);
    }
    *json = root;
    return CM_OK;
}

cm_status cm_json_load(const char *path, json_t **json, cm_error *err)
{
    void *text;
    size_t size;
    cm_status s = cm_file_read(path, CM_JSON_MAX_BYTES, &text, &size, err);
    if (s)
        return s;
    s = cm_json_parse(text, size, path, json, err);
    cm_free(text);
    return s;
}

/* ---- text ---------------------------------------------------------------- */

/* json_dumps drops keys that it has no memory for without a word; the block it is given here
 * has room for all. */
char *cm_json_dump(const json_t *json, size_t flags)
{
    const size_t n = json ? json_dumpb(json, NULL, 0, flags) : 0;
    char *text = n ? cm_alloc(n + 1) : NULL;
    if (text && json_dumpb(json, text, n, flags) != n) {
        cm_free(text);
        return NULL;
    }
    return text;
}

/* jansson escapes all that is not printable ASCII but DEL. */
char *cm_json_for_machines(const json_t *json)
{
    static const char escaped[] = "\\u007f";
    char *dump = cm_json_dump(json, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    size_t size = 1;
    for (const char *c = dump; c && *c; c++)
        size += *c == 0x7f ? sizeof escaped - 1 : 1;
    char *text = dump ? cm_alloc(size) : NULL, *to = text;
    for (const char *c = dump; text && *c; c++)
        if (*c == 0x7f)
            to = (char *)memcpy(to, escaped, sizeof escaped - 1) + sizeof escaped - 1;
        else
            *to++ = *c;
    cm_free(dump);
    return text;
}

/* ---- fields ------------------------------------------------------------- */

const char *cm_json_show(char *buf, size_t size, const json_t *value)
{
    char text[81];
    const size_t max = sizeof text - 1;
    const size_t n =
        json_dumpb(value, text, max, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    text[n < max ? n : max] = '\0';
    if (n > max)
        memcpy(text + max - 3, "...", 3);
    return cm_escape(buf, size, text); /* DEL, which JSON lets through */
}

/* The value of key, or NULL when it is absent and may be. */
static cm_status find(const json_t *obj, const char *file, const char *key, cm_json_need need,
                      const char *expected, const json_t **value, cm_error *err)
{
    *value = json_object_get(obj, key);
    if (!*value && need == CM_JSON_REQUIRED)
        return cm_fail(err, CM_ERR_FORMAT, "%s: \"%s\": expected %s, found nothing", file, key,
                       expected);
    return CM_OK;
}

static cm_status wrong(const char *file, const char *key, const char *expected, const json_t *value,
                       cm_error *err)
{
    char found[256];
    return cm_fail(err, CM_ERR_FORMAT, "%s: \"%s\": expected %s, found %s", file, key, expected,
                   cm_json_show(found, sizeof found, value));
}

cm_status cm_json_int(const json_t *obj, const char *file, const char *key, int64_t min,
                      int64_t max, cm_json_need need, int64_t *out, cm_error *err)
{
    char expected[80];
    const json_t *v;
    snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min,
             (long long)max);
    const cm_status s = find(obj, file, key, need, expected, &v, err);
    if (s || !v)
        return s;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return wrong(file, key, expected, v, err);
    *out = json_integer_value(v);
    return CM_OK;
}

cm_status cm_json_int_or_none(const json_t *j, const char *file, const char *key, int64_t max,
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

cm_status cm_json_real(const json_t *obj, const char *file, const char *key, double min, double max,
                       cm_json_need need, double *out, cm_error *err)
{
    char expected[80];
    const json_t *v;
    snprintf(expected, sizeof expected, "a number from %.9g to %.9g", min, max);
    const cm_status s = find(obj, file, key, need, expected, &v, err);
    if (s || !v)
        return s;
    const double x = json_number_value(v);
    if (!json_is_number(v) || !(x >= min && x <= max))
        return wrong(file, key, expected, v, err);
    *out = x;
    return CM_OK;
}

cm_status cm_json_bool(const json_t *obj, const char *file, const char *key, cm_json_need need,
                       int *out, cm_error *err)
{
    const json_t *v;
    const cm_status s = find(obj, file, key, need, "true or false", &v, err);
    if (s || !v)
        return s;
    if (!json_is_boolean(v))
        return wrong(file, key, "true or false", v, err);
    *out = json_is_true(v);
    return CM_OK;
}

cm_status cm_json_text(const json_t *obj, const char *file, const char *key, cm_json_need need,
                       const char **out, cm_error *err)
{
    const json_t *v;
    const cm_status s = find(obj, file, key, need, "text in quotes", &v, err);
    if (s || !v)
        return s;
    if (!json_is_string(v))
        return wrong(file, key, "text in quotes", v, err);
    *out = json_string_value(v);
    return CM_OK;
}

cm_status cm_json_int_list(const json_t *obj, const char *file, const char *key, int max_n,
                           int64_t *out, int *n, cm_error *err)
{
    char expected[80];
    const json_t *v = json_object_get(obj, key);
    const size_t count = json_array_size(v); /* 0 for anything else */
    snprintf(expected, sizeof expected, "a list of at most %d integers", max_n);
    if (v && (!json_is_array(v) || count > (size_t)max_n))
        return wrong(file, key, expected, v, err);
    for (size_t i = 0; i < count; i++)
        if (!json_is_integer(json_array_get(v, i)))
            return wrong(file, key, expected, v, err);
    for (size_t i = 0; i < count; i++)
        out[i] = json_integer_value(json_array_get(v, i));
    *n = (int)count;
    return CM_OK;
}

cm_status cm_json_only(json_t *obj, const char *file, const char *const *keys, cm_error *err)
{
    const char *key;
    json_t *value;
    char name[256];
    json_object_foreach(obj, key, value)
    {
        const char *const *k = keys;
        while (*k && strcmp(*k, key) != 0)
            k++;
        if (!*k)
            return cm_fail(err, CM_ERR_FORMAT, "%s: \"%s\": unknown key", file,
                           cm_escape(name, sizeof name, key));
    }
    return CM_OK;
}
