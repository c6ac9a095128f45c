/* search_log.h - scores that a search has found, in a file that it goes on from: a line a score,
 *
 *     {"search": "4f0c...", "sigmas": "80,3.9", "seed": 0, "score": 0.52, "agreement": 0.88}
 *
 * written whole, at the end, by one write.  search is the hash of what the scores depend on.  Half
 * of such a line at the end, as a kill may leave it, is cut off; anything else that is no such
 * line, or of another search, is an error, for the file is somebody's. */
#ifndef CM_EVAL_SEARCH_LOG_H
#define CM_EVAL_SEARCH_LOG_H

#include "base/error.h"

#include <stdint.h>

typedef struct cm_search_log cm_search_log;

typedef struct cm_search_score {
    double score, agreement; /* agreement NaN: not known */
} cm_search_score;

/* path "": in memory alone.  Nobody else has the file open for a search.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (also more than 4 MiB), CM_ERR_ARGUMENT (of another search, or
 * in use), CM_ERR_MEMORY. */
cm_status cm_search_log_open(const char *path, uint64_t search, cm_search_log **log, cm_error *err);
/* Before any work, when it is not known yet which search it will be: that the file can be made, or
 * holds the scores of one search and is not in use.  Nothing is changed.  Errors: the same. */
cm_status cm_search_log_check(const char *path, cm_error *err);
void cm_search_log_close(cm_search_log *log); /* NULL is allowed */

int cm_search_log_count(const cm_search_log *log);
/* NULL: not found yet. */
const cm_search_score *cm_search_log_find(const cm_search_log *log, const char *sigmas,
                                          int64_t seed);
/* Errors: CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_search_log_add(cm_search_log *log, const char *sigmas, int64_t seed,
                            const cm_search_score *score, cm_error *err);

#endif
