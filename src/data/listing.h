/* listing.h - the files of an image folder and the classes they are in */
#ifndef CM_DATA_LISTING_H
#define CM_DATA_LISTING_H

#include "base/memory.h"
#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct cm_listing_file {
    const char *path;
    int32_t label;         /* -1: directly in the folder */
    const char *no_source; /* why it is not looked at: "hidden", its name begins with a dot, or
                              "a link to a folder above"; NULL: a file */
} cm_listing_file;

/* Zero it before; everything in it lives until cm_listing_free. */
typedef struct cm_listing {
    cm_arena arena;
    cm_listing_file *files; /* [n], sorted by bytes folder by folder */
    size_t n, capacity;
    const char **classes; /* [n_classes], sorted by bytes; 0: no labels */
    size_t n_classes, class_capacity;
} cm_listing;

/* Walk folder.  Links are followed, but none to a folder that holds the link; every entry but a
 * folder counts as a file, also one that cannot be looked at; subfolders without files are no
 * classes.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (more than 16 folders deep), CM_ERR_MEMORY.  Free the
 * listing after an error too. */
cm_status cm_listing_read(const char *folder, cm_listing *list, cm_error *err);
void cm_listing_free(cm_listing *list);

#endif
