/* npz_read.h - arrays of an .npz file that someone else made, streamed out of the archive
 *
 *     "\x93NUMPY", version, length, {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)}, data
 *
 * A member is as long as its header says, to the byte; of the header's Python only this
 * dictionary is read.  Source: numpy.lib.format, versions 1.0 to 3.0. */
#ifndef CM_IO_NPZ_READ_H
#define CM_IO_NPZ_READ_H

#include "io/npz.h"
#include "io/zip.h"

typedef struct cm_npz cm_npz;

/* Errors: as of cm_zip_open. */
cm_status cm_npz_open(const char *path, cm_npz **npz, cm_error *err);
void cm_npz_close(cm_npz *npz); /* NULL is allowed */
/* Whether a file begins as a zip archive does. */
int cm_npz_is(const char *path);
/* "arr_0, labels", for messages; cut to size. */
const char *cm_npz_names(const cm_npz *npz, char *text, size_t size);

typedef struct cm_npz_member {
    const char *path, *name; /* for messages; name is the one asked for */
    char descr[8];           /* "<f8"; "|u1", "<i8" */
    int rank;                /* at most CM_NPZ_MAX_RANK */
    int64_t dim[CM_NPZ_MAX_RANK];
    int64_t elements;
    cm_zip_stream *stream; /* at the next element; NULL: there is no such array */
} cm_npz_member;

/* Look for the array called name, which must outlive the member.
 * Errors: CM_ERR_FORMAT (a header that is not numpy's, a size that is not the shape's, Fortran
 * order, elements that are no plain numbers), CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_npz_find(const cm_npz *npz, const char *name, cm_npz_member *member, cm_error *err);
void cm_npz_member_close(cm_npz_member *member); /* also of one that is all zero */

/* "float32 [10,3]", for messages; returns text. */
const char *cm_npz_describe(const cm_npz_member *member, char text[128]);

/* The next n elements, no more than are left: of |u1; of float types; of integers, |u1
 * too.
 * Errors: CM_ERR_FORMAT (another type; a cut or damaged archive), CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_npz_read_u8(cm_npz_member *member, int64_t n, uint8_t *values, cm_error *err);
cm_status cm_npz_read_f64(cm_npz_member *member, int64_t n, double *values, cm_error *err);
cm_status cm_npz_read_i64(cm_npz_member *member, int64_t n, int64_t *values, cm_error *err);

#endif
