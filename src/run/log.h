/* log.h - RUN/log.jsonl: one JSON object a line, appended as training goes.
 *
 * A checkpoint records the length of the log; resuming cuts the log back to it, so
 * that the steps done after that checkpoint are not logged twice. */
#ifndef CM_RUN_LOG_H
#define CM_RUN_LOG_H

#include "cm_status.h"

#include <jansson.h>
#include <stdint.h>

typedef struct cm_runlog cm_runlog;

/* Open the log of an existing run folder, cut back to resume_offset (0: an empty
 * log).  A log shorter than that, as a power cut may leave it, is continued where
 * it ends; a half line at the end is cut off.  Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_runlog_open(const char *run, int64_t resume_offset, cm_runlog **log, cm_error *err);

/* Append an object as one line, with one write, so that readers see whole lines.
 * Reals are written with 10 digits.  On an error the log is as it was.
 * Errors: CM_ERR_IO, CM_ERR_MEMORY (also for object NULL). */
cm_status cm_runlog_line(cm_runlog *log, const json_t *object, cm_error *err);

/* Length in bytes, for the checkpoint; brings the log to the disk first, so that
 * the checkpoint does not outlive it. */
int64_t cm_runlog_offset(const cm_runlog *log);

void cm_runlog_close(cm_runlog *log); /* NULL is allowed */

#endif
