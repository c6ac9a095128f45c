/* label_names.h - class names of a data set: from file names, to numbers */
#ifndef CM_DATA_LABEL_NAMES_H
#define CM_DATA_LABEL_NAMES_H

#include "base/memory.h"
#include "data/dataset.h"

/* The class in the name of a file: cat_0001.png and cat.png are of "cat".  *label is of the
 * arena.  Errors: CM_ERR_FORMAT (nothing before the number; with *label set, not UTF-8),
 * CM_ERR_MEMORY. */
cm_status cm_label_of_name(cm_arena *arena, const char *path, const char **label, cm_error *err);

/* Number the classes of the images in sorted order: names [n], one an image, of which one is
 * there; NULL: the image has none, -1.  source is for messages.  Errors: CM_ERR_FORMAT (a name that
 * is not UTF-8), CM_ERR_MEMORY. */
cm_status cm_dataset_set_labels(cm_dataset *d, const char *source, const char *const *names,
                                cm_error *err);

#endif
