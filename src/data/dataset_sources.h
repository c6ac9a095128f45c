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
cm_status cm_dataset_read_fashion(const char *folder, int test, const cm_dataset_options *o,
                                  cm_dataset *d, cm_error *err);
/* An IDX images file and, when there is one, its labels file. */
cm_status cm_dataset_read_idx(const char *path, const cm_dataset_options *o, cm_dataset *d,
                              cm_error *err);
/* A folder of images. */
cm_status cm_dataset_read_folder(const char *path, const cm_dataset_options *o, cm_dataset *d,
                                 cm_error *err);
/* A safetensors file of cm_dataset_pack; is_packed tells one by its first bytes. */
cm_status cm_dataset_read_packed(const char *path, const cm_dataset_options *o, cm_dataset *d,
                                 cm_error *err);
int cm_dataset_is_packed(const char *path);

/* Replace d's pixels by zeros for n images [h,w,c] and set its shape.  path
 * names the source in errors: CM_ERR_UNSUPPORTED over CM_DATASET_MAX_BYTES,
 * CM_ERR_MEMORY. */
cm_status cm_dataset_reserve(cm_dataset *d, const char *path, int64_t n, int h, int w, int c,
                             cm_error *err);

void cm_dataset_drop_labels(cm_dataset *d);
/* Convert to 1 channel (luma of Rec. 601) or 3.  Errors: CM_ERR_MEMORY. */
cm_status cm_dataset_recolour(cm_dataset *d, int c, cm_error *err);

/* Count one of a kind in a list of CM_FOUND_KINDS; kind is a constant. */
void cm_found_count(cm_kind_count *list, const char *kind);
/* Note one file that is not in the set, and count it.  Errors: CM_ERR_MEMORY. */
cm_status cm_found_leave_out(cm_found *found, const char *kind, const char *line, cm_error *err);

#endif
