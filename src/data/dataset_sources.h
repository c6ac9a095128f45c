/* dataset_sources.h - the readers behind cm_dataset_open, one a kind of source.
 *
 * Each fills a zeroed cm_dataset, all but the fingerprint.  What it has stored
 * there when it fails is freed by the caller's cm_dataset_free. */
#ifndef CM_DATA_DATASET_SOURCES_H
#define CM_DATA_DATASET_SOURCES_H

#include "data/dataset.h"

#define CM_DATASET_MAX_BYTES ((size_t)16 << 30) /* of pixels */
#define CM_DATASET_MAX_SIDE  16384

/* The four Fashion-MNIST files in `folder`; test chooses the t10k half. */
cm_status cm_dataset_read_fashion(const char *folder, int test, int size, cm_dataset *d,
                                  cm_error *err);
/* An IDX images file and, when there is one, its labels file. */
cm_status cm_dataset_read_idx(const char *path, int size, cm_dataset *d, cm_error *err);
/* A folder of PNG images. */
cm_status cm_dataset_read_folder(const char *path, int size, cm_dataset *d, cm_error *err);

/* Replace d's pixels by zeros for n images [h,w,c] and set its shape.  path
 * names the source in errors: CM_ERR_UNSUPPORTED over CM_DATASET_MAX_BYTES,
 * CM_ERR_MEMORY. */
cm_status cm_dataset_reserve(cm_dataset *d, const char *path, int64_t n, int h, int w, int c,
                             cm_error *err);

#endif
