/* statistics_file.h - statistics of reference images, kept in an .npz file
 *
 *     mu [D], sigma [D,D]        of the features; as the files of EDM, and of OpenAI, have them
 *     mu_s [S], sigma_s [S,S]    of the spatial features; not there: no sFID
 *     n []                       images they are of; ours only
 *     features                   the network, as text in bytes; ours only
 *
 * floats of 64 or 32 bits.  Where the network is named, another one's scores are refused. */
#ifndef CM_EVAL_STATISTICS_FILE_H
#define CM_EVAL_STATISTICS_FILE_H

#include "eval/moments.h"

typedef struct cm_saved_statistics {
    cm_statistics features, spatial; /* d 0: there are none */
    int has_images;                  /* arr_0 is there too */
    int says_network;
} cm_saved_statistics;

/* Whether the file at path has mu and sigma; then *s is the caller's.  network: whose they must
 * be; d, spatial_d: its numbers of features.  Errors: CM_ERR_FORMAT (of another network, another
 * shape, no floats, NaN, not symmetric, cut short), CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_statistics_read(const char *path, const char *network, int64_t d, int64_t spatial_d,
                             int *found, cm_saved_statistics *s, cm_error *err);
void cm_saved_statistics_clear(cm_saved_statistics *s); /* also of one that is all zero */

/* spatial: NULL, none.  The file appears whole or not at all. */
cm_status cm_statistics_write(const char *path, const char *network, const cm_statistics *features,
                              const cm_statistics *spatial, cm_error *err);

#endif
