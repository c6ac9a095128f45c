/* class_names.c - the classes of a model by name or number */
#include "model/class_names.h"

#include "base/error.h"
#include "base/text.h"
#include "io/json.h"

#include <stdio.h>
#include <string.h>

int64_t cm_model_find_class(const cm_model *m, const json_t *names, const char *text)
{
    int64_t found = -1;
    for (size_t i = 0; i < json_array_size(names) && found < 0; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && !strcmp(name, text))
            found = (int64_t)i;
    }
    if (found < 0 && !cm_text_to_int(text, &found))
        return -1;
    return found >= 0 && found < m->net.num_classes ? found : -1;
}

const char *cm_model_show_classes(const cm_model *m, const json_t *names, char *buf, size_t size)
{
    char shown[64];
    size_t at = (size_t)snprintf(buf, size, "0 to %d", m->net.num_classes - 1);
    for (size_t i = 0; i < json_array_size(names) && at < size; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        at += (size_t)snprintf(buf + at, size - at, ", %s",
                               cm_escape(shown, sizeof shown, name ? name : "?"));
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
