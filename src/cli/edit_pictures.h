/* edit_pictures.h - the pictures that cm edit works on: read, fitted to the model, with their
 * masks */
#ifndef CM_CLI_EDIT_PICTURES_H
#define CM_CLI_EDIT_PICTURES_H

#include "cli/edit_list.h"

/* What is asked for. */
typedef struct edit_wish {
    const char *image; /* a file, or a folder with them */
    const char *to;    /* another after it; empty: none */
    const char *mask;  /* a file; empty: none */
    const char *box;   /* "x,y,w,h" of the picture's own pixels instead; empty: none */
    const char *fit;   /* crop, pad or stretch */
    int takes_factor;  /* the model is told of small ones */
    int64_t factor;    /* 0: by the size of the picture */
    const cm_model *model;
    cm_model_facts facts; /* of the model */
} edit_wish;

/* n pictures; each of the cm_images has as many, and memory that edit_pictures_free frees. */
typedef struct edit_pictures {
    int64_t n;
    edit_list files;  /* the first n are those that were read */
    char **names;     /* of the files below their folder, without ending; no two are equal */
    int64_t *classes; /* [n] of the model, called as the subfolders are; -1: none is */
    int64_t classed;  /* how many have one */
    cm_images input;  /* as large as the model's images */
    cm_images small;  /* as the model is told: 1 / factor of that */
    cm_images mask;   /* pixels NULL: none */
    int64_t factor;   /* 0 without takes_factor */
} edit_pictures;

/* Files of a folder that are no pictures, or cannot be read, are left out, with a line on stderr.
 * Free after an error too.  Errors: those of cm_images_read, CM_ERR_ARGUMENT. */
cm_status edit_pictures_read(const edit_wish *wish, edit_pictures *pictures, cm_error *err);
void edit_pictures_free(edit_pictures *pictures);

#endif
