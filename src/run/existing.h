/* existing.h - whether a new run may begin in a folder */
#ifndef CM_RUN_EXISTING_H
#define CM_RUN_EXISTING_H

#include "cm_status.h"

/* Refuse a folder with a run in it, whole or damaged, or with files that a run would replace
 * and no trainer made.  Changes nothing.  Errors: CM_ERR_ARGUMENT says which; CM_ERR_IO and
 * CM_ERR_MEMORY: the folder could not be looked at, so there may be a run. */
cm_status cm_run_refuse_existing(const char *run, cm_error *err);

#endif
