/* data_options.c - the options of the data set */
#include "train/data_options.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "64", or "64x48", width first. */
static cm_status parse_size(const char *text, int *h, int *w, cm_error *err)
{
    enum { MAX = CM_MAX_SIDE };
    char *end, shown[64];
    const int digit = text[0] >= '0' && text[0] <= '9';
    const long first = strtol(text, &end, 10);
    const int pair = *end == 'x' && end[1] >= '0' && end[1] <= '9';
    const long second = pair ? strtol(end + 1, &end, 10) : first;
    if (!digit || *end || first > MAX || second > MAX || (pair && (!first || !second)))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "image-size: expected a side of at most %d, or WIDTHxHEIGHT, found '%s'",
                       MAX, cm_escape(shown, sizeof shown, text));
    *w = (int)first;
    *h = (int)second;
    return CM_OK;
}

static cm_status parse_colour(const char *text, uint8_t rgb[3], cm_error *err)
{
    char shown[64];
    const char *hex = !strcmp(text, "white")   ? "ffffff"
                      : !strcmp(text, "black") ? "000000"
                                               : text + (text[0] == '#');
    if (strlen(hex) != 6 || strspn(hex, "0123456789abcdefABCDEF") != 6)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "background: expected white, black or RRGGBB, found '%s'",
                       cm_escape(shown, sizeof shown, text));
    const unsigned long v = strtoul(hex, NULL, 16);
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)(v >> (16 - 8 * k));
    return CM_OK;
}

cm_status cm_data_from_options(const cm_train_params *c, const cm_net_config *net,
                               cm_dataset **data, cm_error *err)
{
    cm_dataset_options o = {
        .strict = c->strict, .is_trained_on = 1, .channels = net ? net->in_channels : 0};
    cm_status s = parse_size(c->image_size, &o.h, &o.w, err);
    if (s || (s = parse_colour(c->background, o.background, err)))
        return s;
    if (o.channels != 1 && o.channels != 3)
        o.channels = 0;
    if (!o.h && net) {
        o.h = net->height;
        o.w = net->width;
    }
    o.labels = !strcmp(c->labels, "names")  ? CM_LABELS_NAMES
               : !strcmp(c->labels, "none") ? CM_LABELS_NONE
                                            : CM_LABELS_FOLDER;
    return cm_dataset_open(c->data, &o, data, err);
}

enum { WHOLE_NAME = 300 }; /* of a folder: names may differ at the end only */

static const char *name_at(const json_t *list, size_t i, char shown[WHOLE_NAME])
{
    const char *name = json_string_value(json_array_get(list, i));
    return name ? cm_escape(shown, WHOLE_NAME, name) : "none";
}

cm_status cm_class_names_equal(const char *a, const char *names_a, const char *b,
                               const char *names_b, cm_error *err)
{
    char x[WHOLE_NAME], y[WHOLE_NAME];
    json_t *p = NULL, *q = NULL;
    if (!names_a || !names_b || !strcmp(names_a, names_b))
        return CM_OK;
    cm_status s = cm_json_parse_any(names_a, strlen(names_a), a, &p, err);
    if (!s)
        s = cm_json_parse_any(names_b, strlen(names_b), b, &q, err);
    const size_t n =
        json_array_size(p) > json_array_size(q) ? json_array_size(p) : json_array_size(q);
    for (size_t i = 0; i < n && !s; i++) {
        if (!json_equal(json_array_get(p, i), json_array_get(q, i)))
            s = cm_fail(err, CM_ERR_FORMAT,
                        "class %zu is '%s' in %s and '%s' in %s: expected the same classes in the "
                        "same order",
                        i, name_at(p, i, x), a, name_at(q, i, y), b);
    }
    json_decref(p);
    json_decref(q);
    return s;
}

cm_status cm_class_names_of(const cm_dataset *d, char **names, cm_error *err)
{
    *names = NULL;
    if (!d->class_names)
        return CM_OK;
    json_t *list = json_array();
    int bad = 0;
    for (int i = 0; i < d->classes; i++)
        bad |= json_array_append_new(list, json_string(d->class_names[i]));
    *names = bad ? NULL : cm_json_dump(list, JSON_COMPACT);
    json_decref(list);
    return *names ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "class names: out of memory");
}
