/* dataset_packed.c - a data set in one safetensors file: no image is decoded again */
#include "base/error.h"
#include "base/memory.h"
#include "data/dataset_sources.h"
#include "data/resize.h"
#include "io/file.h"
#include "io/json.h"
#include "io/safetensors.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_CLASSES = 1 << 20 };

/* Eight bytes of length, then a JSON object: no IDX file, plain or gzip, looks so. */
int cm_dataset_is_packed(const char *path)
{
    char first[9];
    uint64_t size;
    int fd;
    if (cm_file_open(path, &fd, &size, NULL))
        return 0;
    const int ok = size > sizeof first && !cm_file_pread(fd, path, first, sizeof first, 0, NULL);
    close(fd);
    return ok && first[8] == '{' && !memcmp(first + 5, "\0\0\0", 3);
}

static cm_status check_images(const char *path, const cm_st_tensor *t, cm_error *err)
{
    if (!t)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected a data set (\"images\" U8 [N,H,W,C]), found no \"images\"",
                       path);
    if (t->dtype != CM_ST_U8 || t->rank != 4)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected a data set (\"images\" U8 [N,H,W,C]), found %s of rank %d",
                       path, cm_st_dtype_name(t->dtype), t->rank);
    if (t->dim[0] < 1 || t->dim[1] < 1 || t->dim[2] < 1 || t->dim[1] > CM_DATASET_MAX_SIDE ||
        t->dim[2] > CM_DATASET_MAX_SIDE || (t->dim[3] != 1 && t->dim[3] != 3))
        return cm_fail(
            err, CM_ERR_FORMAT,
            "%s: \"images\": expected [N,H,W,C] with sides up to %d and 1 or 3 channels, "
            "found [%lld,%lld,%lld,%lld]",
            path, CM_DATASET_MAX_SIDE, (long long)t->dim[0], (long long)t->dim[1],
            (long long)t->dim[2], (long long)t->dim[3]);
    return CM_OK;
}

/* One image at a time, so that a size costs no second copy. */
static cm_status read_images(const cm_st_file *f, const char *path, const cm_st_tensor *t,
                             const cm_dataset_options *o, cm_dataset *d, cm_error *err)
{
    const int h = (int)t->dim[1], w = (int)t->dim[2], c = (int)t->dim[3];
    const size_t in = (size_t)h * (size_t)w * (size_t)c;
    int out_h, out_w;
    cm_image_fit_shape(h, w, o->h, o->w, &out_h, &out_w);
    const size_t out = (size_t)out_h * (size_t)out_w * (size_t)c;
    cm_status s = cm_dataset_reserve(d, path, t->dim[0], out_h, out_w, c, err);
    uint8_t *one = cm_alloc(in);
    if (!s && !one)
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    for (size_t i = 0; i < (size_t)d->n && !s; i++) {
        s = cm_st_read_part(f, t, i * in, in, one, err);
        if (!s)
            s = cm_image_fit(path, one, h, w, c, o->h, o->w, d->pixels + i * out, err);
    }
    cm_free(one);
    d->found.least_h = d->found.most_h = h;
    d->found.least_w = d->found.most_w = w;
    return s;
}

static cm_status read_names(const cm_st_file *f, const char *path, cm_dataset *d, cm_error *err)
{
    const char *text = cm_st_metadata(f, "classes");
    json_t *list = NULL;
    cm_status s = text ? cm_json_parse_any(text, strlen(text), path, &list, err) : CM_OK;
    if (!text || s == CM_ERR_MEMORY)
        return s;
    s = json_is_array(list) && json_array_size(list) >= (size_t)d->classes &&
                json_array_size(list) <= MAX_CLASSES
            ? CM_OK
            : cm_fail(err, CM_ERR_FORMAT, "%s: \"classes\": expected a list of at least %d names",
                      path, d->classes);
    const int n = s ? 0 : (int)json_array_size(list);
    d->class_names = n ? cm_alloc_array((size_t)n, sizeof *d->class_names) : NULL;
    if (d->class_names)
        d->classes = n;
    for (int k = 0; k < n && d->class_names && !s; k++) {
        const char *name = json_string_value(json_array_get(list, (size_t)k));
        if (!name)
            s = cm_fail(err, CM_ERR_FORMAT, "%s: \"classes\": expected texts", path);
        else if (!(d->class_names[k] = cm_strdup(name)))
            s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    }
    json_decref(list);
    return s;
}

static cm_status read_labels(const cm_st_file *f, const char *path, cm_dataset *d, cm_error *err)
{
    const cm_st_tensor *t = cm_st_find(f, "labels");
    if (!t)
        return CM_OK;
    if (t->rank != 1 || t->dim[0] != d->n)
        return cm_fail(err, CM_ERR_FORMAT, "%s: \"labels\": expected [%lld], one an image", path,
                       (long long)d->n);
    int64_t *labels = cm_alloc_array((size_t)d->n, sizeof *labels);
    d->labels = cm_alloc_array((size_t)d->n, sizeof *d->labels);
    cm_status s = labels && d->labels
                      ? cm_st_read_i64(f, t, labels, err)
                      : cm_fail(err, CM_ERR_MEMORY, "%s: labels: out of memory", path);
    for (int64_t i = 0; i < d->n && !s; i++) {
        if (labels[i] < 0 || labels[i] >= MAX_CLASSES)
            s = cm_fail(err, CM_ERR_FORMAT, "%s: \"labels\": expected 0 to %d, found %lld", path,
                        MAX_CLASSES - 1, (long long)labels[i]);
        else if ((d->labels[i] = (int32_t)labels[i]) >= d->classes)
            d->classes = d->labels[i] + 1;
    }
    cm_free(labels);
    return s ? s : read_names(f, path, d, err);
}

cm_status cm_dataset_read_packed(const char *path, const cm_dataset_options *o, cm_dataset *d,
                                 cm_error *err)
{
    char shown[512];
    cm_st_file *f = NULL;
    cm_status s = cm_st_open(path, &f, err);
    if (s)
        return s;
    const cm_st_tensor *t = cm_st_find(f, "images");
    cm_escape(shown, sizeof shown, path);
    s = check_images(shown, t, err);
    if (!s)
        s = read_images(f, shown, t, o, d, err);
    if (!s)
        s = read_labels(f, shown, d, err);
    cm_st_close(f);
    return s;
}

cm_status cm_dataset_pack_check(const char *path, cm_error *err)
{
    char shown[512];
    struct stat st;
    cm_st_file *f = NULL;
    cm_status s = cm_file_check(path, err);
    if (s || stat(path, &st) || !st.st_size)
        return s;
    const int is_set =
        !cm_st_open(path, &f, NULL) && !check_images(path, cm_st_find(f, "images"), NULL);
    cm_st_close(f);
    return is_set ? CM_OK
                  : cm_fail(err, CM_ERR_ARGUMENT,
                            "%s: is no packed data set and would be replaced; expected a new name",
                            cm_escape(shown, sizeof shown, path));
}

cm_status cm_dataset_pack(const cm_dataset *d, const char *path, cm_error *err)
{
    const cm_st_entry images = {"images", CM_ST_U8, 4, {d->n, d->h, d->w, d->c}, d->pixels};
    cm_st_entry entries[] = {images, {"labels", CM_ST_I64, 1, {d->n}, NULL}};
    const char *const key[] = {"classes"};
    int64_t *labels = d->labels ? cm_alloc_array((size_t)d->n, sizeof *labels) : NULL;
    json_t *names = d->class_names ? json_array() : NULL;
    for (int64_t i = 0; labels && i < d->n; i++)
        labels[i] = d->labels[i];
    int bad = 0;
    for (int k = 0; names && k < d->classes; k++)
        bad |= json_array_append_new(names, json_string(d->class_names[k]));
    char *text = bad ? NULL : cm_json_dump(names, JSON_COMPACT);
    entries[1].data = labels;
    const char *const value[] = {text};
    const cm_status s =
        (d->labels && !labels) || (d->class_names && !text)
            ? cm_fail(err, CM_ERR_MEMORY, "data set: out of memory")
            : cm_st_write(path, labels ? 2 : 1, entries, text ? 1 : 0, key, value, err);
    json_decref(names);
    cm_free(text);
    cm_free(labels);
    return s;
}
