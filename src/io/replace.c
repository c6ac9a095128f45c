/* replace.c */
#include "io/replace.h"

#include "io/file.h"
#include "io/image.h"
#include "io/safetensors.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static int is_picture_file(const char *path, const char *found, int is_picture)
{
    (void)path;
    return is_picture || !strcmp(found, "a GIF image"); /* which is not read */
}

static int is_plot(const char *path, const char *found, int is_picture)
{
    char first[6] = "";
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(first, 1, sizeof first - 1, f) : 0;
    if (f)
        fclose(f);
    return (n == 5 && (!strcmp(first, "<?xml") || !strcmp(first, "<svg "))) ||
           is_picture_file(path, found, is_picture);
}

/* Whether the first member of an archive is an array without a name, as those of images are. */
static int begins_with_arr(const char *path)
{
    enum { NAME = 30 }; /* where a local header has the name */
    char first[NAME + 4] = "";
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(first, 1, sizeof first, f) : 0;
    if (f)
        fclose(f);
    return n == sizeof first && !memcmp(first + NAME, "arr_", 4);
}

static int is_images_archive(const char *path, const char *found, int is_picture)
{
    (void)is_picture;
    return !strcmp(found, "a ZIP archive") && begins_with_arr(path);
}

static int is_statistics(const char *path, const char *found, int is_picture)
{
    (void)is_picture;
    return !strcmp(found, "a ZIP archive") && !begins_with_arr(path);
}

static int holds_tensors(const char *path)
{
    cm_st_file *f = NULL;
    const int holds = !cm_st_open(path, &f, NULL);
    cm_st_close(f);
    return holds;
}

static int has_tensor(const char *path, const char *name)
{
    cm_st_file *f = NULL;
    const int has = !cm_st_open(path, &f, NULL) && cm_st_find(f, name);
    cm_st_close(f);
    return has;
}

/* A model is none. */
static int is_set(const char *path, const char *found, int is_picture)
{
    (void)found, (void)is_picture;
    return has_tensor(path, "images");
}

/* Of images too it may be, as cm edit invert writes it. */
static int is_noise(const char *path, const char *found, int is_picture)
{
    (void)found, (void)is_picture;
    return has_tensor(path, "noise");
}

static int is_output(const char *path, const char *found, int is_picture)
{
    (void)found, (void)is_picture;
    return has_tensor(path, "out");
}

const cm_replaced cm_replaced_picture = {"a PNG, JPEG, WebP or GIF image", is_picture_file};
const cm_replaced cm_replaced_plot = {"a picture or an SVG drawing", is_plot};
const cm_replaced cm_replaced_archive = {"an .npz of images", is_images_archive};
const cm_replaced cm_replaced_statistics = {"an .npz of statistics", is_statistics};
const cm_replaced cm_replaced_images = {"a .safetensors file of images", is_set};
const cm_replaced cm_replaced_noise = {"a .safetensors file with the tensor \"noise\"", is_noise};
const cm_replaced cm_replaced_output = {"a .safetensors file with the tensor \"out\"", is_output};

cm_status cm_replace_check(const char *path, const cm_replaced *kind, cm_error *err)
{
    const char *found = NULL;
    struct stat st;
    int is_picture = 0;
    cm_status s = cm_file_check(path, err);
    if (s || stat(path, &st) || !st.st_size)
        return s;
    s = cm_image_file_kind(path, &found, &is_picture, err);
    if (s || kind->is_own(path, found, is_picture))
        return s;
    return cm_fail(err, CM_ERR_ARGUMENT,
                   "%s: holds %s, which would be replaced; expected a new name, or that of %s",
                   path,
                   found != cm_image_no_kind ? found
                   : holds_tensors(path)     ? "tensors (.safetensors)"
                                             : "data of no known kind",
                   kind->name);
}

cm_status cm_replace_ending(const char *what, const char *path, const char *ending, cm_error *err)
{
    char shown[512];
    const size_t n = strlen(path), end = strlen(ending);
    return n > end && !strcasecmp(path + n - end, ending)
               ? CM_OK
               : cm_fail(err, CM_ERR_ARGUMENT, "%s: expected a name that ends in %s, found '%s'",
                         what, ending, cm_escape(shown, sizeof shown, path));
}

static int is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether path, which need not be there, is this file or folder, or below it. */
static int is_within(const char *path, const struct stat *input)
{
    char at[PATH_MAX], real[PATH_MAX];
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (!stat(path, &st) && is_same(&st, input))
        return 1;
    snprintf(at, sizeof at, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    for (char *end = realpath(at, real) ? real + strlen(real) : NULL; end;
         end = strrchr(real, '/')) {
        *end = '\0';
        if (!stat(*real ? real : "/", &st) && is_same(&st, input))
            return 1;
    }
    return 0;
}

cm_status cm_replace_no_input(const char *path, int n, const char *const *inputs, cm_error *err)
{
    char shown[512];
    struct stat input;
    for (int i = 0; i < n; i++)
        if (*inputs[i] && !stat(inputs[i], &input) && is_within(path, &input))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "%s: is an input itself or among the inputs: it would be replaced",
                           cm_escape(shown, sizeof shown, path));
    return CM_OK;
}
