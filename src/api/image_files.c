/* image_files.c - the public functions on images: files and bytes */
#include "api/door.h"
#include "base/memory.h"
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
        s = cm_door_layout(l, 0, err);
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
        s = cm_door_layout(l, 0, err);
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
        s = cm_door_layout(l, -1, err);
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
