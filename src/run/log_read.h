/* log_read.h - RUN/log.jsonl as columns of numbers, for those who look at a run.
 *
 * The file is input from outside: whatever is no line of a log is skipped and counted. */
#ifndef CM_RUN_LOG_READ_H
#define CM_RUN_LOG_READ_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

enum { CM_LOG_KEY = 64, CM_LOG_MOST_COLUMNS = 64 };

/* Beyond any that a run logs, and far from where doubles end: the differences, ratios and powers
 * of what is within are numbers too, so that a chart need not look. */
#define CM_LOG_MOST 1e100

/* The numbers of one key, at rising steps. */
typedef struct cm_log_column {
    char key[CM_LOG_KEY];
    size_t n, room;
    struct cm_log_point {
        double step, seconds; /* of training; seconds -1: not in the line */
        double value;
    } * points;
} cm_log_column;

typedef struct cm_log {
    int n;
    cm_log_column columns[CM_LOG_MOST_COLUMNS]; /* in the order in which they appear */
    size_t lines, skipped;                      /* of the file */
    size_t left_out; /* numbers beyond CM_LOG_MOST, and of too many or too long keys */
} cm_log;

/* Read the log of a run folder, or a file of that kind.  A line is an object with an integer
 * "step" of at least 0; each other number in it goes to the column of its key, but "seconds",
 * the time that goes with all.  A number beyond CM_LOG_MOST is left out, and counted, one
 * below its inverse is 0.  A step that is lower than the one before begins a repetition,
 * as after a kill: it replaces what was there from that step on.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (larger than 256 MiB), CM_ERR_MEMORY. */
cm_status cm_log_read(const char *path, cm_log *log, cm_error *err);
void cm_log_clear(cm_log *log);

/* NULL: no line has that key. */
const cm_log_column *cm_log_find(const cm_log *log, const char *key);

#endif
