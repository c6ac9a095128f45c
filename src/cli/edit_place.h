/* edit_place.h - where results may go: over no input, and into a folder that no other cm edit
 * writes to */
#ifndef CM_CLI_EDIT_PLACE_H
#define CM_CLI_EDIT_PLACE_H

#include "cm.h"

/* Whether writing to out, a file or a folder, could replace this input; empty: there is none. */
int edit_would_replace(const char *input, const char *out);
int edit_is_same_file(const char *a, const char *b); /* by any names; 0 where one is missing */
/* That out replaces none of these, of which `to` and `mask` are pictures; empty: there is none.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_IO. */
cm_status edit_place_check(const char *out, const char *image, const char *to, const char *mask,
                           cm_error *err);

/* A folder of results while they are made. */
typedef struct edit_place {
    const char *folder;
    int lock; /* -1: there is none */
    int made; /* by us: it goes again where nothing came */
} edit_place;

/* Make the folder, and keep others out of it until edit_place_leave, which is called once, after
 * an error too.  Errors: CM_ERR_IO. */
cm_status edit_place_take(edit_place *place, const char *folder, cm_error *err);
/* The folders of the first n bytes of path; *made (NULL allowed): whether the last one was not
 * there.  Errors: CM_ERR_IO. */
cm_status edit_place_folders(const char *path, size_t n, int *made, cm_error *err);
void edit_place_leave(edit_place *place);

#endif
