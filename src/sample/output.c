/* output.c - generated images to files: a picture, arrays, a folder */
#include "sample/images.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/sample_names.h"
#include "io/file.h"
#include "io/image.h"
#include "io/npz.h"
#include "io/png.h"
#include "io/replace.h"
#include "io/safetensors.h"
#include "model/class_names.h"
#include "sample/origin.h"
#include "sample/picture.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- archives and folders ---- */

static cm_status write_npz(const cm_images *m, const char *path, const char *origin, cm_error *err)
{
    cm_npz_array arrays[3] = {
        {"arr_0", CM_NPZ_U8, 4, {m->n, m->h, m->w, m->c}, m->pixels},
    };
    int n = 1;
    if (m->labels)
        arrays[n++] = (cm_npz_array){"arr_1", CM_NPZ_I64, 1, {m->n}, m->labels};
    if (origin)
        arrays[n++] = (cm_npz_array){CM_ORIGIN, CM_NPZ_U8, 1, {(int64_t)strlen(origin)}, origin};
    return cm_npz_write(path, n, arrays, err);
}

/* images and labels as a packed set has them (cm data), noise as a request takes it. */
static cm_status write_tensors(const cm_images *m, const char *path, const char *origin,
                               cm_error *err)
{
    (void)origin;
    cm_st_entry tensors[3] = {{"images", CM_ST_U8, 4, {m->n, m->h, m->w, m->c}, m->pixels}};
    int n = 1;
    if (m->labels)
        tensors[n++] = (cm_st_entry){"labels", CM_ST_I64, 1, {m->n}, m->labels};
    if (m->noise)
        tensors[n++] = (cm_st_entry){"noise", CM_ST_F32, 4, {m->n, m->h, m->w, m->c}, m->noise};
    return cm_st_write(path, n, tensors, 0, NULL, NULL, err);
}

static cm_status write_folder(const cm_images *m, const char *path, const cm_model *model,
                              cm_error *err)
{
    char file[4096], name[CM_SAMPLE_NAME];
    json_t *names = NULL;
    cm_status s = cm_model_class_names(model, &names, err);
    if (!s)
        s = cm_make_dirs(path, err);
    for (int64_t i = 0; i < m->n && !s; i++) {
        const int64_t label = m->labels ? m->labels[i] : -1;
        cm_sample_name(name, m->first + i, label, cm_class_name(names, label));
        const int n = snprintf(file, sizeof file, "%s/%s", path, name);
        s = n < 0 || (size_t)n >= sizeof file
                ? cm_fail(err, CM_ERR_ARGUMENT, "%s: the path is too long", path)
                : cm_png_write(file, m->w, m->h, m->c, m->pixels + i * m->h * m->w * m->c, NULL,
                               err);
    }
    json_decref(names);
    return s;
}

/* ---- kinds of output --------------------------------------------------------- */

/* Known by the end of the name, in any case; anything else is a folder. */
static const struct kind {
    const char *suffix;
    const char *format; /* of the grid; NULL: arrays, of any number of channels */
    int most_side;      /* that the format holds; 0: as a sheet */
    int is_film;        /* a frame a column */
    cm_status (*write)(const cm_images *m, const char *path, const char *origin, cm_error *err);
    const cm_replaced *own;
} kinds[] = {
    {".png", "png", 0, 0, NULL, &cm_replaced_picture},
    {".jpg", "jpeg", 65500, 0, NULL, &cm_replaced_picture},
    {".jpeg", "jpeg", 65500, 0, NULL, &cm_replaced_picture},
    {".webp", "webp", 16383, 0, NULL, &cm_replaced_picture},
    {".gif", "gif", 0, 1, NULL, &cm_replaced_picture},
    {".npz", NULL, 0, 0, write_npz, &cm_replaced_archive},
    {".safetensors", NULL, 0, 0, write_tensors, &cm_replaced_images},
};
#define KINDS ".png, .jpg, .webp, .gif, .npz or .safetensors"

static const struct kind *find_kind(const char *path)
{
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t k = strlen(kinds[i].suffix);
        if (n > k && !strcasecmp(path + n - k, kinds[i].suffix))
            return &kinds[i];
    }
    return NULL;
}

/* "png", "jpg": a suffix without its dot, in any case. */
static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcasecmp(name, kinds[i].suffix + 1))
            return &kinds[i];
    return NULL;
}

static cm_status encode(const cm_images *m, const struct kind *kind, const char *name,
                        const cm_layout *l, uint8_t **bytes, size_t *size, cm_error *err)
{
    return kind->is_film ? cm_picture_film(m, name, l, bytes, size, err)
                         : cm_picture_grid(m, kind->format, name, l, bytes, size, err);
}

static cm_status write_picture(const cm_images *m, const struct kind *kind, const char *path,
                               const cm_layout *l, cm_error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    cm_status s = encode(m, kind, path, l, &bytes, &size, err);
    if (!s)
        s = cm_file_save(path, bytes, size, err);
    cm_free(bytes);
    return s;
}

cm_status cm_images_save(const cm_images *m, const char *path, const cm_layout *layout,
                         cm_error *err)
{
    const struct kind *kind = find_kind(path);
    const cm_status s = kind ? cm_replace_check(path, kind->own, err) : CM_OK;
    if (s)
        return s;
    if (kind && !kind->format)
        return kind->write(m, path, layout->origin, err);
    if (m->c != 1 && m->c != 3)
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "%s: pictures have 1 or 3 channels, these %d (write an .npz)", path, m->c);
    return kind ? write_picture(m, kind, path, layout, err)
                : write_folder(m, path, layout->model, err);
}

/* ---- before the work --------------------------------------------------------- */

/* The folder that path is in, or, where folders are made, the nearest that is there. */
static cm_status check_parent(const char *path, int makes_folders, cm_error *err)
{
    char parent[4096];
    struct stat st;
    if (snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent)
        return cm_fail(err, CM_ERR_ARGUMENT, "%.100s...: the path is too long", path);
    for (;;) {
        size_t n = strlen(parent);
        while (n > 1 && parent[n - 1] == '/')
            n--;
        while (n > 0 && parent[n - 1] != '/')
            n--;
        while (n > 1 && parent[n - 1] == '/')
            n--;
        if (!n)
            parent[n++] = '.';
        parent[n] = '\0'; /* "a/b/" to "a", "a" to "." */
        if (!stat(parent, &st) || !makes_folders || !strcmp(parent, "."))
            break;
    }
    if (stat(parent, &st))
        return cm_fail(err, CM_ERR_IO, "%s: %s: %s", path, parent, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return cm_fail(err, CM_ERR_IO, "%s: %s is not a folder", path, parent);
    if (access(parent, W_OK))
        return cm_fail(err, CM_ERR_IO, "%s: %s: %s", path, parent, strerror(errno));
    return CM_OK;
}

/* "x.jpg" as a folder is a mistake, unless it is one already. */
static cm_status check_suffix(const char *path, cm_error *err)
{
    const char *name = strrchr(path, '/'), *dot = strrchr(name ? name + 1 : path, '.');
    if (!dot || dot == path || dot[-1] == '/' || !isalpha((unsigned char)dot[1]) || strlen(dot) > 6)
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: expected a name that ends in " KINDS ", or a folder; found '%s'", path,
                   dot);
}

/* What is expected fits the picture that it is to be. */
static cm_status check_size(const char *path, const struct kind *kind, const cm_images *expected,
                            const cm_layout *layout, cm_error *err)
{
    if (!expected || !kind || !kind->format)
        return CM_OK;
    const cm_sheet_layout l = cm_picture_layout(expected, layout, kind->is_film);
    return cm_sheet_check(&l, kind->most_side, path, err);
}

cm_status cm_images_check(const char *path, const cm_images *expected, const cm_layout *layout,
                          int64_t *next, cm_error *err)
{
    struct stat st;
    const struct kind *kind = find_kind(path);
    const int is_there = !stat(path, &st), is_folder = is_there && S_ISDIR(st.st_mode);
    cm_status s = CM_OK;
    if (kind && is_folder)
        return cm_fail(err, CM_ERR_IO, "%s: is a folder", path);
    if (!kind && is_there && !is_folder)
        return cm_fail(err, CM_ERR_IO, "%s: is not a folder, and its name does not end in " KINDS,
                       path);
    if (!kind && !is_there)
        s = check_suffix(path, err);
    if (!s && !is_folder)
        s = check_parent(path, !kind, err);
    else if (!s && access(path, W_OK))
        s = cm_fail(err, CM_ERR_IO, "%s: %s", path, strerror(errno));
    if (!s && kind)
        s = cm_replace_check(path, kind->own, err);
    if (!s)
        s = check_size(path, kind, expected, layout, err);
    if (!s)
        *next = kind ? -1 : cm_sample_next(path);
    return s;
}

/* ---- memory ---- */

cm_status cm_images_to_memory(const cm_images *m, const char *kind, const cm_layout *layout,
                              void **bytes, size_t *size, cm_error *err)
{
    uint8_t *made = NULL;
    char found[128];
    const struct kind *k = kind_named(kind);
    if (!k || !k->format)
        return cm_fail(err, CM_ERR_ARGUMENT, "kind: expected png, jpeg, webp or gif, found '%s'",
                       cm_escape(found, sizeof found, kind));
    if (m->c != 1 && m->c != 3)
        return cm_fail(err, CM_ERR_UNSUPPORTED, "pictures have 1 or 3 channels, these %d", m->c);
    const cm_status s = encode(m, k, "grid", layout, &made, size, err);
    if (!s)
        *bytes = made;
    return s;
}
