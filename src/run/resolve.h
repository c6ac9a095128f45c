/* resolve.h - which model file a path stands for */
#ifndef CM_RUN_RESOLVE_H
#define CM_RUN_RESOLVE_H

#include "cm_status.h"

/* Write to file, of CM_RUN_PATH bytes (folder.h): path itself, or where it is a run folder
 * the first average of its newest complete checkpoint, the one whose rate stands first in
 * the options of the run.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_ARGUMENT (path too long), CM_ERR_MEMORY. */
cm_status cm_run_model_path(const char *path, char *file, cm_error *err);

#endif
