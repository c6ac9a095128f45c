/* class_names.c - the classes of a model by name or number */
#include "model/class_names.h"

#include "base/error.h"
#include "base/text.h"
#include "io/json.h"

#include <stdio.h>
#include <string.h>

int64_t cm_class_named(const json_t *names, const char *text)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && !strcmp(name, text))
            return (int64_t)i;
    }
    return -1;
}

cm_status cm_model_find_class(const cm_model *m, const json_t *names, const char *text,
                              int64_t *label, cm_error *err)
{
    char shown[128], known[300];
    const int marked = *text == CM_NO_NAME;
    int64_t number = -1;
    const int64_t named = marked ? -1 : cm_class_named(names, text);
    const int is_number =
        cm_text_to_int(text + marked, &number) && number >= 0 && number < m->net.num_classes;
    if (named >= m->net.num_classes || (named < 0 && !is_number))
        return cm_fail(err, CM_ERR_ARGUMENT, "class: expected %s, all, random or auto, found %s",
                       cm_model_show_classes(m, names, known, sizeof known),
                       *text ? cm_escape(shown, sizeof shown, text) : "nothing");
    if (named >= 0 && is_number && named != number)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "class: '%s' is the name of class %lld and the number of another: expected "
                       "%c%lld or %c%lld",
                       cm_escape(shown, sizeof shown, text), (long long)named, CM_NO_NAME,
                       (long long)named, CM_NO_NAME, (long long)number);
    *label = named >= 0 ? named : number;
    return CM_OK;
}

const char *cm_model_show_classes(const cm_model *m, const json_t *names, char *buf, size_t size)
{
    static const char more[] = ", ...";
    char shown[64];
    size_t at = (size_t)snprintf(buf, size, "0 to %d", m->net.num_classes - 1);
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        cm_escape(shown, sizeof shown, name ? name : "?");
        const int fits = at + 2 + strlen(shown) + sizeof more <= size;
        at += (size_t)snprintf(buf + at, size - at, fits ? ", %s" : "%s", fits ? shown : more);
        if (!fits)
            break;
    }
    return buf;
}

cm_status cm_model_class_names(const cm_model *m, json_t **names, cm_error *err)
{
    json_t *list = NULL;
    cm_error why = {0};
    cm_status s = CM_OK;
    if (m && m->classes)
        s = cm_json_parse_any(m->classes, strlen(m->classes), "classes", &list, &why);
    if (s == CM_ERR_MEMORY)
        return cm_fail(err, s, "%s", why.message);
    *names = s ? NULL : list; /* a text of someone else's that is no list */
    return CM_OK;
}

const char *cm_class_name(const json_t *names, int64_t k)
{
    return k < 0 ? NULL : json_string_value(json_array_get(names, (size_t)k));
}
