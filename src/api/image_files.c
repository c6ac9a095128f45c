/* image_files.c - the public functions on images: files and bytes */
#include "api/door.h"
#include "base/error.h"
#include "base/memory.h"
#include "data/listing.h"
#include "io/file.h"
#include "sample/images.h"

enum { MOST_FILE = 256 << 20 };

void cm_images_free(cm_images *images)
{
    cm_images_release(images);
}

void cm_bytes_free(void *bytes)
{
    cm_free(bytes);
}

cm_layout cm_layout_default(void)
{
    return (cm_layout){.size = sizeof(cm_layout), .scale = 1};
}

cm_status cm_images_check_path(const char *path, const cm_images *expected, const cm_layout *layout,
                               int64_t *next, cm_error *err)
{
    const cm_layout initial = cm_layout_default(), *l = layout ? layout : &initial;
    cm_status s = cm_door_text("path", path, err);
    if (!s && expected)
        s = cm_door_shape(expected, err);
    if (!s)
        s = cm_door_layout(l, err);
    if (!s)
        s = cm_door_need(err, {"next", next});
    return s ? s : cm_images_check(path, expected, l, next, err);
}

cm_status cm_images_write(const cm_images *images, const char *path, const cm_layout *layout,
                          cm_error *err)
{
    const cm_layout initial = cm_layout_default(), *l = layout ? layout : &initial;
    cm_status s = cm_door_images(images, err);
    if (!s)
        s = cm_door_text("path", path, err);
    if (!s)
        s = cm_door_layout(l, err);
    if (!s)
        s = cm_door_texts(l->texts, images->n, err);
    if (!s)
        s = cm_door_labels(images, l->model, err);
    return s ? s : cm_images_save(images, path, l, err);
}

cm_status cm_images_encode(const cm_images *images, const char *kind, const cm_layout *layout,
                           void **bytes, size_t *size, cm_error *err)
{
    const cm_layout initial = cm_layout_default(), *l = layout ? layout : &initial;
    cm_status s = cm_door_images(images, err);
    if (!s)
        s = cm_door_text("kind", kind, err);
    if (!s)
        s = cm_door_layout(l, err);
    if (!s)
        s = cm_door_texts(l->texts, images->n, err);
    if (!s)
        s = cm_door_labels(images, l->model, err);
    if (!s)
        s = cm_door_need(err, {"bytes", bytes}, {"size", size});
    return s ? s : cm_images_to_memory(images, kind, l, bytes, size, err);
}

cm_status cm_images_decode(const void *bytes, size_t size, cm_images **images, cm_error *err)
{
    cm_status s = cm_door_need(err, {"bytes", bytes}, {"images", images});
    return s ? s : cm_images_from_memory(bytes, size, "image", images, err);
}

cm_status cm_images_read(const char *path, cm_images **images, cm_error *err)
{
    void *bytes = NULL;
    size_t size = 0;
    cm_status s = cm_door_text("path", path, err);
    if (!s)
        s = cm_door_need(err, {"images", images});
    if (!s)
        s = cm_file_read(path, MOST_FILE, &bytes, &size, err);
    if (!s)
        s = cm_images_from_memory(bytes, size, path, images, err);
    cm_free(bytes);
    return s;
}

cm_status cm_images_read_noise(const cm_model *model, const char *path, cm_images **images,
                               cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", model}, {"images", images});
    if (!s)
        s = cm_door_text("path", path, err);
    return s ? s : cm_images_noise_of_file(model, path, images, err);
}

cm_status cm_images_list(const char *folder,
                         cm_status (*file)(void *user, const char *path, const char *name,
                                           const char *why_not, cm_error *err),
                         void *user, cm_error *err)
{
    cm_listing list = {0};
    cm_status s = cm_door_text("folder", folder, err);
    if (!s && !file)
        s = cm_fail(err, CM_ERR_ARGUMENT, "file: expected a function, found NULL");
    if (!s)
        s = cm_listing_read(folder, &list, err);
    for (size_t i = 0; i < list.n && !s; i++) {
        const cm_listing_file *f = &list.files[i];
        s = file(user, f->path, f->label < 0 ? NULL : list.classes[f->label], f->no_source, err);
    }
    cm_listing_free(&list);
    return s;
}

cm_status cm_images_resize(const cm_images *images, int h, int w, int c, const char *fit,
                           int nearest, cm_images **resized, cm_error *err)
{
    const cm_images to = {.size = sizeof to, .n = 1, .h = h, .w = w, .c = c};
    cm_status s = cm_door_images(images, err);
    if (!s)
        s = cm_door_shape(&to, err);
    if (!s && c != 1 && c != 3)
        s = cm_fail(err, CM_ERR_ARGUMENT, "c: expected 1 or 3, found %d", c);
    if (!s)
        s = cm_door_text("fit", fit, err);
    if (!s)
        s = cm_door_range("nearest", nearest, 0, 1, err);
    if (!s)
        s = cm_door_need(err, {"resized", resized});
    return s ? s : cm_images_fit_as(images, h, w, c, fit, nearest, resized, err);
}

cm_status cm_images_noise(const cm_images *images, int64_t i, double *sigma, cm_error *err)
{
    cm_status s = cm_door_images(images, err);
    if (!s)
        s = cm_door_range("i", i, 0, images->n - 1, err);
    if (!s)
        s = cm_door_need(err, {"sigma", sigma});
    if (!s)
        *sigma = cm_images_noise_level(images, i);
    return s;
}
