/* edit_tasks.h - what cm edit does for each task: requests to the library, and what there is
 * to say of their results */
#ifndef CM_CLI_EDIT_TASKS_H
#define CM_CLI_EDIT_TASKS_H

#include "cli/cli.h"
#include "cli/edit_output.h"
#include "cli/edit_pictures.h"

typedef struct edit_files {
    cm_text model, image, to, mask, box, fit, teacher, out, heading;
    int64_t frames, columns, scale;
    int strip;
} edit_files;

typedef struct edit_run edit_run;

/* What the command does for a task, and which of the options below it takes. */
typedef struct edit_kind {
    const char *task, *takes;
    cm_status (*run)(edit_run *r, cm_error *err);
} edit_kind;

struct edit_run {
    const cli_usage *usage;
    const edit_kind *kind;
    edit_files files;
    cm_edit edit;
    cm_sample_params params;
    cm_model *model, *teacher;
    cm_model_facts facts;
    edit_pictures pictures;
    cm_images *images;
    uint8_t *seen;
    int64_t *labels; /* of each image where folders say some, -1: told from its picture; or NULL */
    char note[128];  /* for the line that is printed at the end */
    int to_folder;   /* results go to */
    edit_result result;
};

/* Each fills images, seen, note and the captions of result, whose `each` is set.  Errors: those of
 * the library. */
cm_status edit_run_pictures(edit_run *r, cm_error *err);
cm_status edit_run_denoise(edit_run *r, cm_error *err);
cm_status edit_run_interpolate(edit_run *r, cm_error *err);
cm_status edit_run_invert(edit_run *r, cm_error *err);

#endif
