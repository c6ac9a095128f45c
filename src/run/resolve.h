/* resolve.h - opening a model by a path: a model file, or a run folder */
#ifndef CM_RUN_RESOLVE_H
#define CM_RUN_RESOLVE_H

#include "model/model.h"
#include "run/folder.h"

/* Open a model file or, of a run folder, the first average of its newest checkpoint; a
 * trainer may be writing and pruning meanwhile.
 * Errors: as cm_checkpoint_find and cm_model_read. */
cm_status cm_run_open_model(const char *path, cm_model **model, cm_error *err);

/* The same for a run folder, telling which checkpoint it was (folder, of CM_RUN_PATH bytes)
 * and, in a line, which newer ones are damaged (note). */
cm_status cm_run_open_newest(const char *run, cm_model **model, char *folder, char *note,
                             size_t note_size, cm_error *err);

/* As cm_run_open_model, of a classifier; option names it in messages, and path may be empty.
 * Errors: CM_ERR_ARGUMENT too (none is named, or another network). */
cm_status cm_run_open_classifier(const char *option, const char *path, cm_model **model,
                                 cm_error *err);

#endif
