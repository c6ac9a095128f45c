/* edit_list.h - which files cm edit works on: one, or those of a folder and of the folders in it */
#ifndef CM_CLI_EDIT_LIST_H
#define CM_CLI_EDIT_LIST_H

#include "cm.h"

typedef struct edit_file {
    char *path;
    const char *below; /* of path, what is below the folder that was given; of a file its name */
    char *class_name;  /* the subfolder of that folder that it is in; NULL: none */
} edit_file;

typedef struct edit_list {
    edit_file *file;
    int64_t n, room;
    int of_folder;
} edit_list;

/* A file or a folder, and another file after it (empty: none).  What is not looked at of a folder
 * is told on stderr.  Free after an error too.  Errors: those of cm_images_list. */
cm_status edit_list_read(const char *image, const char *to, edit_list *list, cm_error *err);
void edit_list_free(edit_list *list);

#endif
