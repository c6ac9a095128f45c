/* dataset_idx.c - images and labels in the IDX files of MNIST and its family */
#include "base/error.h"
#include "base/memory.h"
#include "data/dataset_sources.h"
#include "data/resize.h"
#include "io/idx.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

static int is_missing(const char *path)
{
    struct stat st;
    return stat(path, &st) && errno == ENOENT;
}

/* The last occurrence of `old` in the file name (not its folders), or NULL. */
static char *find_in_name(char *path, const char *old)
{
    char *slash = strrchr(path, '/'), *found = NULL;
    for (char *p = strstr(slash ? slash : path, old); p; p = strstr(p + 1, old))
        found = p;
    return found;
}

/* .../train-images-idx3-ubyte.gz to .../train-labels-idx1-ubyte.gz.  Returns 0
 * when the name of the images says nothing about labels. */
static int labels_path(const char *images, char path[PATH_BYTES])
{
    if (snprintf(path, PATH_BYTES, "%s", images) >= PATH_BYTES)
        return 0;
    char *kind = find_in_name(path, "images"), *rank = find_in_name(path, "idx3");
    if (!kind)
        return 0;
    memcpy(kind, "labels", 6);
    if (!rank)
        rank = find_in_name(path, "idx4");
    if (rank)
        rank[3] = '1';
    return 1;
}

static cm_status store_images(const char *path, const cm_idx *idx, const cm_dataset_options *o,
                              cm_dataset *d, cm_error *err)
{
    char shown[512];
    cm_escape(shown, sizeof shown, path);
    if (idx->rank != 3 && idx->rank != 4)
        return cm_fail(err, CM_ERR_FORMAT, "%s: rank: expected 3 [n,h,w] or 4 [n,h,w,c], found %d",
                       shown, idx->rank);
    const int64_t channels = idx->rank == 4 ? idx->dim[3] : 1;
    if (channels != 1 && channels != 3)
        return cm_fail(err, CM_ERR_FORMAT, "%s: channels: expected 1 or 3, found %lld", shown,
                       (long long)channels);
    if (idx->dim[1] > CM_DATASET_MAX_SIDE || idx->dim[2] > CM_DATASET_MAX_SIDE)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: shape: expected sides of at most %d, found %lld x %lld", shown,
                       CM_DATASET_MAX_SIDE, (long long)idx->dim[1], (long long)idx->dim[2]);
    const int h = (int)idx->dim[1], w = (int)idx->dim[2], c = (int)channels;
    int out_h, out_w;
    d->found.least_h = d->found.most_h = h;
    d->found.least_w = d->found.most_w = w;
    cm_image_fit_shape(h, w, o->h, o->w, &out_h, &out_w);
    cm_status s = cm_dataset_reserve(d, path, idx->dim[0], out_h, out_w, c, err);
    const size_t in = (size_t)h * (size_t)w * (size_t)c;
    const size_t out = (size_t)out_h * (size_t)out_w * (size_t)c;
    for (size_t i = 0; s == CM_OK && i < (size_t)d->n; i++)
        s = cm_image_fit(shown, idx->data + i * in, h, w, c, o->h, o->w, d->pixels + i * out, err);
    return s;
}

static cm_status store_labels(const char *path, const cm_idx *idx, cm_dataset *d, cm_error *err)
{
    char shown[512];
    cm_escape(shown, sizeof shown, path);
    if (idx->rank != 1)
        return cm_fail(err, CM_ERR_FORMAT, "%s: rank: expected 1 [n], found %d", shown, idx->rank);
    if (idx->dim[0] != d->n)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: count: expected %lld labels, one an image, found %lld", shown,
                       (long long)d->n, (long long)idx->dim[0]);
    d->labels = cm_alloc_array((size_t)d->n, sizeof *d->labels);
    if (!d->labels)
        return cm_fail(err, CM_ERR_MEMORY, "%s: labels: out of memory", shown);
    for (int64_t i = 0; i < d->n; i++) {
        d->labels[i] = idx->data[i];
        if (d->labels[i] >= d->classes)
            d->classes = d->labels[i] + 1;
    }
    return CM_OK;
}

cm_status cm_dataset_read_idx(const char *path, const cm_dataset_options *o, cm_dataset *d,
                              cm_error *err)
{
    char labels[PATH_BYTES];
    cm_idx idx = {0};
    cm_status s = cm_idx_read(path, &idx, err);
    if (s == CM_OK)
        s = store_images(path, &idx, o, d, err);
    cm_idx_free(&idx);
    if (s != CM_OK || !labels_path(path, labels) || is_missing(labels))
        return s;
    idx = (cm_idx){0};
    s = cm_idx_read(labels, &idx, err);
    if (s == CM_OK)
        s = store_labels(labels, &idx, d, err);
    cm_idx_free(&idx);
    return s;
}

cm_status cm_dataset_read_fashion(const char *folder, int test, const cm_dataset_options *o,
                                  cm_dataset *d, cm_error *err)
{
    const char *half = test ? "t10k" : "train";
    char shown[512], images[PATH_BYTES], labels[PATH_BYTES];
    const int a = snprintf(images, sizeof images, "%s/%s-images-idx3-ubyte.gz", folder, half);
    const int b = snprintf(labels, sizeof labels, "%s/%s-labels-idx1-ubyte.gz", folder, half);
    if (a >= PATH_BYTES || b >= PATH_BYTES)
        return cm_fail(err, CM_ERR_ARGUMENT, "fashion-mnist: folder: name too long");
    const char *missing = is_missing(images) ? images : is_missing(labels) ? labels : NULL;
    if (missing)
        return cm_fail(err, CM_ERR_IO,
                       "%s: expected a file of Fashion-MNIST, found none: "
                       "apt install dataset-fashion-mnist",
                       cm_escape(shown, sizeof shown, missing));
    return cm_dataset_read_idx(images, o, d, err);
}
