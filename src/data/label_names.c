/* label_names.c - class names of a data set: from file names, to numbers */
#include "data/label_names.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static cm_status check_utf8(const char *source, const char *name, cm_error *err)
{
    char a[400], b[400];
    return cm_utf8_ok(name)
               ? CM_OK
               : cm_fail(err, CM_ERR_FORMAT, "%s: class name: expected UTF-8, found %s",
                         cm_escape(a, sizeof a, source), cm_escape(b, sizeof b, name));
}

cm_status cm_label_of_name(cm_arena *arena, const char *path, const char **label, cm_error *err)
{
    char shown[512];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    size_t n = dot ? (size_t)(dot - name) : strlen(name), digits = n;
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9')
        digits--;
    if (digits < n && digits > 0 && name[digits - 1] == '_')
        n = digits - 1;
    if (!n || !digits)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: labels: expected a name such as cat_0001.png, with the class before "
                       "the number",
                       cm_escape(shown, sizeof shown, path));
    char *copy = cm_arena_alloc(arena, n + 1);
    if (!copy)
        return cm_fail(err, CM_ERR_MEMORY, "labels: out of memory");
    memcpy(copy, name, n);
    *label = copy;
    return check_utf8(path, copy, err);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Move the different ones of sorted names to the front; returns how many. */
static size_t unique(const char **names, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!kept || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    return kept;
}

static cm_status store_names(cm_dataset *d, const char *source, const char **names, size_t n,
                             cm_error *err)
{
    cm_status s = CM_OK;
    for (size_t k = 0; k < n && !s; k++)
        s = check_utf8(source, names[k], err);
    if (s)
        return s;
    d->class_names = cm_alloc_array(n, sizeof *d->class_names);
    d->classes = (int)n;
    int ok = d->class_names != NULL;
    for (size_t k = 0; ok && k < n; k++)
        ok = (d->class_names[k] = cm_strdup(names[k])) != NULL;
    return ok ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "labels: out of memory");
}

cm_status cm_dataset_set_labels(cm_dataset *d, const char *source, const char *const *names,
                                cm_error *err)
{
    const size_t n = (size_t)d->n;
    const char **sorted = cm_alloc_array(n, sizeof *sorted);
    d->labels = cm_alloc_array(n, sizeof *d->labels);
    if (!sorted || !d->labels) {
        cm_free(sorted);
        return cm_fail(err, CM_ERR_MEMORY, "labels: out of memory");
    }
    size_t named = 0;
    for (size_t i = 0; i < n; i++)
        if (names[i])
            sorted[named++] = names[i];
    qsort(sorted, named, sizeof *sorted, by_bytes);
    const size_t classes = unique(sorted, named);
    const cm_status s = store_names(d, source, sorted, classes, err);
    for (size_t i = 0; i < n && !s; i++) {
        const char **at =
            names[i] ? bsearch(&names[i], sorted, classes, sizeof *sorted, by_bytes) : NULL;
        d->labels[i] = at ? (int32_t)(at - sorted) : -1;
    }
    cm_free(sorted);
    return s;
}
