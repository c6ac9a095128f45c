/* zip.h - reading zip archives that someone else made: entries by name, in place.
 *
 *     local header, name, extra fields, data      once an entry
 *     central header, name, extra fields          once an entry, with the truth
 *     end record (64-bit one first, if any)       the last 22 bytes
 *
 * The reader trusts nothing: an archive that opens has as many entries as it says, each inside
 * the file and clear of the others, called the same in both its headers, with no name twice, and
 * within the caller's limits.  Entries are stored or deflated; encrypted, split and commented
 * archives, and whatever stands before the first entry's own offset, are refused, and names that
 * lead out of a folder (names are keys here: nothing is ever unpacked).  libzip, which writes our
 * archives, gives neither the place of a defect nor that of an entry's data, which this does: what
 * is stored can be read at any offset.
 * Source: PKWARE, APPNOTE.TXT 6.3.10. */
#ifndef CM_IO_ZIP_H
#define CM_IO_ZIP_H

#include "io/source.h"

enum { CM_ZIP_MAX_NAME = 4096 }; /* bytes */

/* Each at least 1; sizes in bytes, inflated. */
typedef struct cm_zip_limits {
    uint64_t entries;
    uint64_t entry_bytes, total_bytes; /* of one, of all */
    uint64_t ratio;                    /* inflated to packed, of all; deflate itself reaches 1032 */
} cm_zip_limits;

typedef struct cm_zip_entry {
    const char *name;       /* owned by the archive; not empty; escape before printing */
    uint64_t bytes, packed; /* inflated, and in the file: equal if stored */
    uint64_t at;            /* of the data in the file */
    uint32_t crc;
    int deflated;
} cm_zip_entry;

typedef struct cm_zip cm_zip;

/* Open and check everything but the data; takes the source over, also where it fails.  Memory:
 * at most 80 bytes and the name for each entry, of which each has 46 and the name in the file.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (`path: entry "name": expected, found`; also what is
 * encrypted, split or packed by another method than deflate), CM_ERR_MEMORY. */
cm_status cm_zip_open_source(cm_source *source, const cm_zip_limits *limits, cm_zip **zip,
                             cm_error *err);
cm_status cm_zip_open(const char *path, const cm_zip_limits *limits, cm_zip **zip, cm_error *err);
void cm_zip_close(cm_zip *zip); /* NULL is allowed */

const cm_source *cm_zip_source(const cm_zip *zip);
int cm_zip_count(const cm_zip *zip);
const cm_zip_entry *cm_zip_at(const cm_zip *zip, int i);              /* in order of their place */
const cm_zip_entry *cm_zip_find(const cm_zip *zip, const char *name); /* NULL: absent */

/* ---- from the first byte to the last, checked ---------------------------- */

typedef struct cm_zip_stream cm_zip_stream;

/* Several may be open at once, of one entry too.  zip must outlive it.  Takes about 64 KB. */
cm_status cm_zip_stream_open(const cm_zip *zip, const cm_zip_entry *e, cm_zip_stream **stream,
                             cm_error *err);
/* The next n bytes, no more than are left of the entry's.  The call that gives the last one
 * checks the CRC and that the packed data ends there, so only then is the whole known to be right.
 * Errors: CM_ERR_FORMAT, CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_zip_read(cm_zip_stream *stream, void *dst, size_t n, cm_error *err);
void cm_zip_stream_close(cm_zip_stream *stream); /* NULL is allowed */

/* Read all of it and keep nothing: whether it inflates and the CRC is right. */
cm_status cm_zip_check(const cm_zip *zip, const cm_zip_entry *e, cm_error *err);

#endif
