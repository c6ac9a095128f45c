/* zip_layout.h - inside of zip.c: numbers of an archive, and its directory */
#ifndef CM_IO_ZIP_LAYOUT_H
#define CM_IO_ZIP_LAYOUT_H

#include "io/zip.h"

enum { CM_ZIP_CENTRAL = 46 }; /* bytes of the directory that every entry has */

/* Where it is, and how many entries are in it. */
typedef struct cm_zip_directory {
    uint64_t at, bytes, entries;
} cm_zip_directory;

/* Inside the source, up to its end records, and with room for its entries, which are within the
 * limits.  Errors: CM_ERR_FORMAT (also a part of an archive), CM_ERR_IO. */
cm_status cm_zip_read_end(const cm_source *source, const cm_zip_limits *limits,
                          cm_zip_directory *directory, cm_error *err);

static inline uint64_t cm_zip_number(const unsigned char *p, int bytes) /* little-endian */
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* For "%llu". */
static inline unsigned long long cm_ull(uint64_t v)
{
    return v;
}

#endif
