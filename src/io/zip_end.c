/* zip_end.c - where the directory of a zip archive is: its last 22 bytes, and the 64-bit record
 * that may stand before them */
#include "io/zip_layout.h"

#include "base/error.h"

#include <string.h>

enum { END = 22, LOCATOR = 20, END64 = 56 }; /* lengths */

/* The 64-bit record, where a locator stands before the end record; *end: where it starts. */
static cm_status read_end64(const cm_source *source, cm_zip_directory *d, uint64_t *end,
                            cm_error *err)
{
    unsigned char loc[LOCATOR], r[END64];
    const char *path = source->path;
    if (*end < LOCATOR + END64)
        return CM_OK;
    cm_status s = cm_source_read(source, loc, LOCATOR, *end - LOCATOR, err);
    if (s || memcmp(loc, "PK\6\7", 4) != 0)
        return s;
    const uint64_t at = *end - LOCATOR - END64;
    if (cm_zip_number(loc + 4, 4) || cm_zip_number(loc + 16, 4) > 1 ||
        cm_zip_number(loc + 8, 8) != at)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: 64-bit locator: expected one disk and offset %llu, found %llu", path,
                       cm_ull(at), cm_ull(cm_zip_number(loc + 8, 8)));
    if ((s = cm_source_read(source, r, END64, at, err)))
        return s;
    if (memcmp(r, "PK\6\6", 4) != 0 || cm_zip_number(r + 4, 8) != END64 - 12 ||
        cm_zip_number(r + 16, 8) || cm_zip_number(r + 24, 8) != cm_zip_number(r + 32, 8))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: 64-bit end record: expected one of %d bytes at offset %llu", path,
                       (int)END64, cm_ull(at));
    const cm_zip_directory big = {cm_zip_number(r + 48, 8), cm_zip_number(r + 40, 8),
                                  cm_zip_number(r + 32, 8)};
    if ((d->entries != 0xffff && d->entries != big.entries) ||
        (d->bytes != 0xffffffff && d->bytes != big.bytes) ||
        (d->at != 0xffffffff && d->at != big.at))
        return cm_fail(err, CM_ERR_FORMAT, "%s: the two end records contradict each other", path);
    *d = big;
    *end = at;
    return CM_OK;
}

cm_status cm_zip_read_end(const cm_source *source, const cm_zip_limits *limits, cm_zip_directory *d,
                          cm_error *err)
{
    unsigned char r[END];
    const char *path = source->path;
    uint64_t end = source->size - END;
    cm_status s = CM_OK;
    if (source->size >= END)
        s = cm_source_read(source, r, END, end, err);
    if (s)
        return s;
    if (source->size < END || memcmp(r, "PK\5\6", 4) != 0 || cm_zip_number(r + 20, 2))
        return cm_fail(
            err, CM_ERR_FORMAT,
            "%s: expected a zip archive, with an end record in the last %d bytes of %llu "
            "(it is cut short, has a comment, or is none)",
            path, (int)END, cm_ull(source->size));
    if (cm_zip_number(r + 4, 4) || cm_zip_number(r + 8, 2) != cm_zip_number(r + 10, 2))
        return cm_fail(err, CM_ERR_FORMAT, "%s: expected one archive, found a part of one", path);
    *d = (cm_zip_directory){cm_zip_number(r + 16, 4), cm_zip_number(r + 12, 4),
                            cm_zip_number(r + 10, 2)};
    if ((s = read_end64(source, d, &end, err)))
        return s;
    if (d->at > end || d->bytes != end - d->at)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: directory: expected its %llu bytes to end at offset %llu, found it at "
                       "%llu",
                       path, cm_ull(d->bytes), cm_ull(end), cm_ull(d->at));
    const uint64_t room = d->bytes / CM_ZIP_CENTRAL,
                   most = room < limits->entries ? room : limits->entries;
    if (d->entries > most)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: directory: expected at most %llu entries, found %llu", path,
                       cm_ull(most), cm_ull(d->entries));
    return CM_OK;
}
