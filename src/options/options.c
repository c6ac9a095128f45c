/* options.c - settings as a table: defaults, checks, setting by name, reading from and
 * writing to JSON.  The tables themselves are in tables.c. */
#include "options/options.h"

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "io/json.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ------------------------------------------------------------- */

/* A checked value on its way into a field; the option's type says which. */
typedef union option_value {
    const char *text;
    int64_t whole;
    double real;
    int flag;
} option_value;

static void store(const cm_option *o, void *config, option_value v)
{
    void *field = (char *)config + o->offset;
    switch (o->type) {
    case CM_OPT_TEXT: /* all of it: equal settings are equal bytes */
        memset(field, 0, sizeof(cm_text));
        memcpy(field, v.text, strlen(v.text));
        break;
    case CM_OPT_INT:
        *(int64_t *)field = v.whole;
        break;
    case CM_OPT_REAL:
        *(double *)field = v.real;
        break;
    case CM_OPT_FLAG:
        *(int *)field = v.flag;
        break;
    }
}

/* Whether text is one of the words of "a|b|c"; a word may be empty. */
static int is_choice(const char *choices, const char *text)
{
    const size_t len = strlen(text);
    for (const char *word = choices;; word++) {
        const size_t n = strcspn(word, "|");
        if (n == len && !memcmp(word, text, len))
            return 1;
        word += n;
        if (!*word)
            return 0;
    }
}

/* The rules for text: it fits, is UTF-8 (else config.json could not hold it) and,
 * where there are choices, one of them. */
static cm_status check_text(const cm_option *o, const char *where, const char *text, cm_status fail,
                            cm_error *err)
{
    char found[128];
    if (o->choices && !is_choice(o->choices, text))
        return cm_fail(err, fail, "%s: expected %s, found '%s'", where,
                       o->choices + (o->choices[0] == '|'), /* which is not to be typed */
                       cm_escape(found, sizeof found, text));
    if (strlen(text) >= sizeof(cm_text))
        return cm_fail(err, fail, "%s: expected at most %zu bytes, found %zu", where,
                       sizeof(cm_text) - 1, strlen(text));
    if (!cm_utf8_ok(text))
        return cm_fail(err, fail, "%s: expected UTF-8 text, found '%s'", where,
                       cm_escape(found, sizeof found, text));
    return CM_OK;
}

/* ---- names -------------------------------------------------------------- */

const cm_option *cm_option_find(const cm_option *table, const char *name)
{
    for (const cm_option *o = table; o->name; o++)
        if (!strcmp(o->name, name))
            return o;
    return NULL;
}

/* Nothing is near when most of the name would have to change.  A distance is at least the
 * difference of the lengths, which takes no time to find. */
const char *cm_options_nearest(const cm_option *table, const char *name)
{
    const char *nearest = NULL;
    if (!table || !name)
        return NULL;
    const int length = (int)strnlen(name, INT_MAX);
    int least = INT_MAX;
    for (const cm_option *o = table; o->name; o++) {
        const int of_option = (int)strlen(o->name), most = 1 + of_option / 3;
        const int at_least = abs(of_option - length);
        if (at_least > most || at_least >= least)
            continue;
        const int distance = cm_edit_distance(o->name, name);
        if (distance < least && distance <= most) {
            least = distance;
            nearest = o->name;
        }
    }
    return nearest;
}

static cm_status fail_unknown(const cm_option *table, const char *where, const char *name,
                              cm_status fail, cm_error *err)
{
    const char *nearest = cm_options_nearest(table, name);
    char found[128];
    cm_escape(found, sizeof found, name);
    if (nearest)
        return cm_fail(err, fail, "%s '%s': no such setting; did you mean '%s'?", where, found,
                       nearest);
    return cm_fail(err, fail, "%s '%s': no such setting", where, found);
}

/* ---- from text ---------------------------------------------------------- */

static cm_status parse_number(const cm_option *o, const char *text, option_value *v, cm_error *err)
{
    const int whole = o->type == CM_OPT_INT;
    const int ok = whole ? cm_text_to_int(text, &v->whole) : cm_text_to_real(text, &v->real);
    const double number = !ok ? 0 : whole ? (double)v->whole : v->real;
    if (ok && number >= o->min && number <= o->max)
        return CM_OK;
    char found[128];
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "option '%s': expected a %snumber within [%.16g, %.16g], found '%s'", o->name,
                   whole ? "whole " : "", o->min, o->max, cm_escape(found, sizeof found, text));
}

static cm_status parse_flag(const cm_option *o, const char *text, option_value *v, cm_error *err)
{
    char found[128];
    v->flag = !strcmp(text, "true");
    if (!v->flag && strcmp(text, "false") != 0)
        return cm_fail(err, CM_ERR_ARGUMENT, "option '%s': expected true or false, found '%s'",
                       o->name, cm_escape(found, sizeof found, text));
    return CM_OK;
}

static cm_status parse_text(const cm_option *o, const char *text, option_value *v, cm_error *err)
{
    char where[80];
    snprintf(where, sizeof where, "option '%s'", o->name);
    v->text = text;
    return check_text(o, where, text, CM_ERR_ARGUMENT, err);
}

cm_status cm_options_set(const cm_option *table, void *config, const char *name, const char *value,
                         cm_error *err)
{
    if (!table || !config || !name)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected a pointer, found NULL",
                       !table    ? "table"
                       : !config ? "config"
                                 : "name");
    const cm_option *o = cm_option_find(table, name);
    if (!o)
        return fail_unknown(table, "option", name, CM_ERR_ARGUMENT, err);
    if (!value && o->type != CM_OPT_FLAG)
        return cm_fail(err, CM_ERR_ARGUMENT, "option '%s': expected a value, found none", o->name);
    option_value v = {0};
    cm_status status = CM_OK;
    switch (o->type) {
    case CM_OPT_TEXT:
        status = parse_text(o, value, &v, err);
        break;
    case CM_OPT_INT:
    case CM_OPT_REAL:
        status = parse_number(o, value, &v, err);
        break;
    case CM_OPT_FLAG: /* naming a flag turns it on */
        status = parse_flag(o, value ? value : "true", &v, err);
        break;
    }
    if (!status)
        store(o, config, v);
    return status;
}

void cm_options_defaults(const cm_option *table, void *config)
{
    for (const cm_option *o = config ? table : NULL; o && o->name; o++) {
        const cm_status status = cm_options_set(table, config, o->name, o->initial, NULL);
        cm_assert(status == CM_OK);
    }
}

/* ---- checking --------------------------------------------------------- */

static int is_terminated(const char *text)
{
    return memchr(text, '\0', sizeof(cm_text)) != NULL;
}

/* found is value as text, exactly. */
static cm_status check_range(const cm_option *o, double value, const char *found, cm_error *err)
{
    if (value >= o->min && value <= o->max)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "option '%s': expected a %snumber within [%.16g, %.16g], found %s", o->name,
                   o->type == CM_OPT_INT ? "whole " : "", o->min, o->max, found);
}

static cm_status check_whole(const cm_option *o, int64_t value, cm_error *err)
{
    char found[24];
    snprintf(found, sizeof found, "%" PRId64, value);
    return check_range(o, (double)value, found, err);
}

static cm_status check_field(const cm_option *o, const void *field, cm_error *err)
{
    char where[80], found[CM_REAL_TEXT];
    switch (o->type) {
    case CM_OPT_TEXT:
        snprintf(where, sizeof where, "option '%s'", o->name);
        return is_terminated(field)
                   ? check_text(o, where, field, CM_ERR_ARGUMENT, err)
                   : cm_fail(err, CM_ERR_ARGUMENT, "%s: expected text that ends within %zu bytes",
                             where, sizeof(cm_text));
    case CM_OPT_INT:
        return check_whole(o, *(const int64_t *)field, err);
    case CM_OPT_REAL:
        cm_text_from_real(found, *(const double *)field);
        return check_range(o, *(const double *)field, found, err);
    case CM_OPT_FLAG:
        return check_whole(o, *(const int *)field, err);
    }
    return CM_OK;
}

cm_status cm_options_check(const cm_option *table, const void *config, cm_error *err)
{
    cm_status status = CM_OK;
    for (const cm_option *o = table; o->name && !status; o++)
        status = check_field(o, (const char *)config + o->offset, err);
    return status;
}

/* ---- JSON --------------------------------------------------------------- */

static cm_status json_to_value(const cm_option *o, const json_t *object, const char *path,
                               option_value *v, cm_error *err)
{
    switch (o->type) {
    case CM_OPT_TEXT: {
        const cm_status status =
            cm_json_text(object, path, o->name, CM_JSON_REQUIRED, &v->text, err);
        char where[600];
        snprintf(where, sizeof where, "%s: %s", path, o->name);
        return status ? status : check_text(o, where, v->text, CM_ERR_FORMAT, err);
    }
    case CM_OPT_INT:
        return cm_json_int(object, path, o->name, (int64_t)o->min, (int64_t)o->max,
                           CM_JSON_REQUIRED, &v->whole, err);
    case CM_OPT_REAL:
        return cm_json_real(object, path, o->name, o->min, o->max, CM_JSON_REQUIRED, &v->real, err);
    case CM_OPT_FLAG:
        return cm_json_bool(object, path, o->name, CM_JSON_REQUIRED, &v->flag, err);
    }
    return CM_OK;
}

/* Settings that earlier versions wrote to config.json, and that nothing depends on now. */
static int is_retired(const char *key)
{
    return !strcmp(key, "distill-steps-per-iter");
}

/* Check every pair and, where config is not NULL, store it. */
static cm_status read_object(const cm_option *table, void *config, json_t *object, const char *path,
                             cm_error *err)
{
    const char *key;
    json_t *unused;
    json_object_foreach(object, key, unused)
    {
        const cm_option *o = cm_option_find(table, key);
        if (!o && is_retired(key))
            continue;
        if (!o) {
            char where[600];
            snprintf(where, sizeof where, "%s: key", path);
            return fail_unknown(table, where, key, CM_ERR_FORMAT, err);
        }
        option_value v = {0};
        const cm_status status = json_to_value(o, object, path, &v, err);
        if (status)
            return status;
        if (config)
            store(o, config, v);
    }
    return CM_OK;
}

/* Earlier versions wrote the side of the images as a number. */
static void modernise(json_t *object)
{
    char text[24];
    const json_t *size = json_object_get(object, "image-size");
    if (!json_is_integer(size))
        return;
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(size));
    json_object_set_new(object, "image-size", json_string(text));
}

cm_status cm_options_from_json(const cm_option *table, void *config, json_t *object,
                               const char *path, cm_error *err)
{
    modernise(object);
    const cm_status status = read_object(table, NULL, object, path, err); /* all or nothing */
    return status ? status : read_object(table, config, object, path, err);
}

cm_status cm_options_read(const cm_option *table, void *config, const char *path, cm_error *err)
{
    json_t *object = NULL;
    if (!table || !config || !path)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected a pointer, found NULL",
                       !table    ? "table"
                       : !config ? "config"
                                 : "path");
    cm_status status = cm_json_load(path, &object, err);
    if (!status)
        status = cm_options_from_json(table, config, object, path, err);
    json_decref(object);
    return status;
}

static json_t *field_to_json(const cm_option *o, const void *config)
{
    const void *field = (const char *)config + o->offset;
    switch (o->type) {
    case CM_OPT_TEXT:
        return json_string(field);
    case CM_OPT_INT:
        return json_integer(*(const int64_t *)field);
    case CM_OPT_REAL:
        return json_real(*(const double *)field);
    case CM_OPT_FLAG:
        return json_boolean(*(const int *)field);
    }
    return NULL;
}

json_t *cm_options_to_json(const cm_option *table, const void *config)
{
    json_t *object = json_object();
    for (const cm_option *o = table; object && o->name; o++) {
        /* json_object_set_new owns the value, and refuses NULL, in every case. */
        if (json_object_set_new(object, o->name, field_to_json(o, config))) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}
