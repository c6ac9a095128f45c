/* replace.h - which files a result may replace: those of its own kind.  Any other is somebody's,
 * and its name a mistake. */
#ifndef CM_IO_REPLACE_H
#define CM_IO_REPLACE_H

#include "base/error.h"

/* What a file holds that may be replaced. */
typedef struct cm_replaced {
    const char *name; /* "an .npz" */
    /* found and is_picture are what cm_image_file_kind says of the file at path. */
    int (*is_own)(const char *path, const char *found, int is_picture);
} cm_replaced;

extern const cm_replaced cm_replaced_picture;    /* PNG, JPEG, WebP, GIF */
extern const cm_replaced cm_replaced_plot;       /* such a picture, or SVG */
extern const cm_replaced cm_replaced_archive;    /* .npz of images */
extern const cm_replaced cm_replaced_statistics; /* .npz of statistics */
extern const cm_replaced cm_replaced_images;     /* .safetensors with images */
extern const cm_replaced cm_replaced_noise;      /* .safetensors with noise */
extern const cm_replaced cm_replaced_output;     /* .safetensors with out, of cm_forward */

/* cm_file_check, and whether there is no file at path, an empty one, or one of the kind.
 * Errors: CM_ERR_ARGUMENT says what there is, CM_ERR_IO. */
cm_status cm_replace_check(const char *path, const cm_replaced *kind, cm_error *err);
/* That path, the option `what`, ends in the ending of what is written: ".npz", in any case.
 * Errors: CM_ERR_ARGUMENT. */
cm_status cm_replace_ending(const char *what, const char *path, const char *ending, cm_error *err);
/* That path is none of the n inputs (empty: none), and nowhere in a folder of them.
 * Errors: CM_ERR_ARGUMENT. */
cm_status cm_replace_no_input(const char *path, int n, const char *const *inputs, cm_error *err);

#endif
