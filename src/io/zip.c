/* zip.c - opening a zip archive: the strict check of its directory */
#include "io/zip.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/zip_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CENTRAL = CM_ZIP_CENTRAL, LOCAL = 30 }; /* lengths of the fixed parts */
/* General purpose bits. */
enum {
    ENCRYPTED = 1 << 0,
    IN_DESCRIPTOR = 1 << 3,
    PATCH = 1 << 5,
    STRONG = 1 << 6,
    MASKED = 1 << 13
};
enum { STORED = 0, DEFLATED = 8 };

typedef struct entry {
    cm_zip_entry of;
    uint64_t header; /* offset of the local one */
    unsigned flags;
} entry;

struct cm_zip {
    cm_source source;
    int count;
    entry *list;           /* in order of their headers */
    const entry **by_name; /* sorted by strcmp */
    cm_arena names;
};

__attribute__((format(printf, 5, 6))) static cm_status
bad(const cm_zip *z, cm_status s, const char *name, cm_error *err, const char *fmt, ...)
{
    char what[512], shown[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return cm_fail(err, s, "%s: entry \"%s\": %s", z->source.path,
                   cm_escape(shown, sizeof shown, name), what);
}

/* ---- one entry ----------------------------------------------------------- */

/* Values that 32 bits of a header could not hold stand in the extra field 1, in this order. */
static cm_status read_extra(const cm_zip *z, const unsigned char *p, size_t n, uint64_t *const *big,
                            const char *name, cm_error *err)
{
    int seen = 0;
    while (n >= 4) {
        const unsigned id = (unsigned)cm_zip_number(p, 2);
        const size_t length = (size_t)cm_zip_number(p + 2, 2);
        if (length > n - 4)
            break;
        const unsigned char *value = p + 4;
        size_t left = id == 1 && !seen++ ? length : 0;
        for (int i = 0; big[i] && left >= 8; i++)
            if (*big[i] == 0xffffffff) {
                *big[i] = cm_zip_number(value, 8);
                value += 8;
                left -= 8;
            }
        p += 4 + length;
        n -= 4 + length;
    }
    return n ? bad(z, CM_ERR_FORMAT, name, err, "extra fields: their lengths do not fit") : CM_OK;
}

/* Keys only, but nobody honest needs more. */
static int leads_out(const char *name)
{
    const size_t n = strlen(name);
    return name[0] == '/' || strchr(name, '\\') || !strncmp(name, "../", 3) ||
           strstr(name, "/../") || !strcmp(name, "..") || (n > 2 && !strcmp(name + n - 3, "/.."));
}

static cm_status check_entry(const cm_zip *z, const entry *e, unsigned method,
                             const cm_zip_limits *limits, cm_error *err)
{
    const cm_zip_entry *of = &e->of;
    if (leads_out(of->name))
        return bad(z, CM_ERR_FORMAT, of->name, err, "name: expected a path inside the archive");
    if (e->flags & (ENCRYPTED | PATCH | STRONG | MASKED))
        return bad(z, CM_ERR_FORMAT, of->name, err, "it is encrypted");
    if (method != STORED && method != DEFLATED)
        return bad(z, CM_ERR_FORMAT, of->name, err,
                   "compression: expected 0 (none) or 8 (deflate), found %u", method);
    if (!of->deflated && of->packed != of->bytes)
        return bad(z, CM_ERR_FORMAT, of->name, err,
                   "packed bytes: expected its %llu bytes, found %llu (it is stored)",
                   cm_ull(of->bytes), cm_ull(of->packed));
    if (of->bytes > limits->entry_bytes)
        return bad(z, CM_ERR_FORMAT, of->name, err, "bytes: expected at most %llu, found %llu",
                   cm_ull(limits->entry_bytes), cm_ull(of->bytes));
    return CM_OK;
}

/* The central header at p, of which `left` bytes remain: fill e, *used bytes of it. */
static cm_status read_central(cm_zip *z, const unsigned char *p, size_t left, entry *e,
                              size_t *used, const cm_zip_limits *limits, cm_error *err)
{
    const size_t name = left < CENTRAL ? 0 : (size_t)cm_zip_number(p + 28, 2);
    const size_t extra = left < CENTRAL ? 0 : (size_t)cm_zip_number(p + 30, 2);
    const size_t comment = left < CENTRAL ? 0 : (size_t)cm_zip_number(p + 32, 2);
    if (left < CENTRAL || memcmp(p, "PK\1\2", 4) != 0 || name + extra + comment > left - CENTRAL)
        return cm_fail(
            err, CM_ERR_FORMAT,
            "%s: directory: expected a header, found something else %zu bytes before its "
            "end",
            z->source.path, left);
    if (!name || name > CM_ZIP_MAX_NAME || memchr(p + CENTRAL, 0, name))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: directory: expected names of 1 to %d bytes without zeros, found one of "
                       "%zu",
                       z->source.path, (int)CM_ZIP_MAX_NAME, name);
    char *copy = cm_arena_alloc(&z->names, name + 1);
    if (!copy)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", z->source.path);
    memcpy(copy, p + CENTRAL, name);
    const unsigned method = (unsigned)cm_zip_number(p + 10, 2);
    e->flags = (unsigned)cm_zip_number(p + 8, 2);
    e->header = cm_zip_number(p + 42, 4);
    e->of = (cm_zip_entry){.name = copy,
                           .crc = (uint32_t)cm_zip_number(p + 16, 4),
                           .packed = cm_zip_number(p + 20, 4),
                           .bytes = cm_zip_number(p + 24, 4),
                           .deflated = method == DEFLATED};
    uint64_t *const big[] = {&e->of.bytes, &e->of.packed, &e->header, NULL};
    const cm_status s = read_extra(z, p + CENTRAL + name, extra, big, copy, err);
    *used = CENTRAL + name + extra + comment;
    return s ? s : check_entry(z, e, method, limits, err);
}

/* What stands before the data says the same; set where that is.  Its end is at most `end`. */
static cm_status read_local(const cm_zip *z, entry *e, uint64_t end, cm_error *err)
{
    unsigned char h[LOCAL + CM_ZIP_MAX_NAME];
    cm_zip_entry *of = &e->of;
    const size_t name = strlen(of->name);
    if (e->header > end || end - e->header < LOCAL + name)
        return bad(z, CM_ERR_FORMAT, of->name, err,
                   "offset: expected its header to end before offset %llu, found it at %llu",
                   cm_ull(end), cm_ull(e->header));
    const cm_status s = cm_source_read(&z->source, h, LOCAL + name, e->header, err);
    if (s)
        return s;
    if (memcmp(h, "PK\3\4", 4) != 0 || cm_zip_number(h + 26, 2) != name ||
        memcmp(h + LOCAL, of->name, name) != 0)
        return bad(z, CM_ERR_FORMAT, of->name, err,
                   "offset: expected a header with this name, found something else at %llu",
                   cm_ull(e->header));
    if (cm_zip_number(h + 6, 2) != e->flags ||
        cm_zip_number(h + 8, 2) != (of->deflated ? DEFLATED : STORED))
        return bad(z, CM_ERR_FORMAT, of->name, err,
                   "flags and compression: expected what the directory says, found something else");
    /* Unless they follow the data, where the writer did not know them yet; 64-bit sizes stand
     * in an extra field, and the directory's are the ones that count. */
    if (!(e->flags & IN_DESCRIPTOR)) {
        const uint64_t packed = cm_zip_number(h + 18, 4), bytes = cm_zip_number(h + 22, 4);
        if (cm_zip_number(h + 14, 4) != of->crc)
            return bad(z, CM_ERR_FORMAT, of->name, err,
                       "CRC: expected %08llx as in its own header, found %08llx",
                       cm_ull(cm_zip_number(h + 14, 4)), cm_ull(of->crc));
        if (packed != of->packed && packed != 0xffffffff)
            return bad(z, CM_ERR_FORMAT, of->name, err,
                       "packed bytes: expected %llu as in its own header, found %llu",
                       cm_ull(packed), cm_ull(of->packed));
        if (bytes != of->bytes && bytes != 0xffffffff)
            return bad(z, CM_ERR_FORMAT, of->name, err,
                       "bytes: expected %llu as in its own header, found %llu", cm_ull(bytes),
                       cm_ull(of->bytes));
    }
    of->at = e->header + LOCAL + name + cm_zip_number(h + 28, 2);
    if (of->at > end || of->packed > end - of->at)
        return bad(z, CM_ERR_FORMAT, of->name, err,
                   "packed bytes: expected their end at most at offset %llu, found %llu bytes at "
                   "%llu (they overlap others, or the file is cut short)",
                   cm_ull(end), cm_ull(of->packed), cm_ull(of->at));
    return CM_OK;
}

/* ---- all of them --------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->header < y->header ? -1 : x->header > y->header;
}

static int by_name(const void *a, const void *b)
{
    const entry *const *x = a, *const *y = b;
    return strcmp((*x)->of.name, (*y)->of.name);
}

static cm_status read_directory(cm_zip *z, const unsigned char *p, const cm_zip_directory *d,
                                const cm_zip_limits *limits, cm_error *err)
{
    size_t left = (size_t)d->bytes, used = 0;
    uint64_t total = 0;
    while ((uint64_t)z->count < d->entries) {
        entry *e = &z->list[z->count++];
        const cm_status s = read_central(z, p, left, e, &used, limits, err);
        if (s)
            return s;
        p += used;
        left -= used;
        if (e->of.bytes > limits->total_bytes - total)
            return bad(z, CM_ERR_FORMAT, e->of.name, err,
                       "bytes: expected at most %llu in all entries, found more",
                       cm_ull(limits->total_bytes));
        total += e->of.bytes;
    }
    if (left)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: directory: expected %llu entries, found %zu bytes after them",
                       z->source.path, cm_ull(d->entries), left);
    if (total / limits->ratio > z->source.size)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected to inflate to at most %llu times its %llu bytes, found %llu",
                       z->source.path, cm_ull(limits->ratio), cm_ull(z->source.size),
                       cm_ull(total));
    return CM_OK;
}

/* No name twice, and no byte in two entries. */
static cm_status check_apart(cm_zip *z, const cm_zip_directory *d, cm_error *err)
{
    qsort(z->list, (size_t)z->count, sizeof *z->list, by_place);
    for (int i = 0; i < z->count; i++) {
        const uint64_t end = i + 1 < z->count ? z->list[i + 1].header : d->at;
        const cm_status s = read_local(z, &z->list[i], end, err);
        if (s)
            return s;
        z->by_name[i] = &z->list[i];
    }
    qsort(z->by_name, (size_t)z->count, sizeof *z->by_name, by_name);
    for (int i = 1; i < z->count; i++)
        if (!strcmp(z->by_name[i]->of.name, z->by_name[i - 1]->of.name))
            return bad(z, CM_ERR_FORMAT, z->by_name[i]->of.name, err,
                       "name: expected it once, found it twice");
    return CM_OK;
}

static cm_status read_archive(cm_zip *z, const cm_zip_limits *limits, cm_error *err)
{
    cm_zip_directory d = {0};
    cm_status s = cm_zip_read_end(&z->source, limits, &d, err);
    if (s)
        return s;
    unsigned char *p = cm_alloc((size_t)d.bytes + 1);
    z->list = cm_alloc_array((size_t)d.entries + 1, sizeof *z->list);
    z->by_name = cm_alloc_array((size_t)d.entries + 1, sizeof *z->by_name);
    if (p && z->list && z->by_name) {
        if (!(s = cm_source_read(&z->source, p, (size_t)d.bytes, d.at, err)) &&
            !(s = read_directory(z, p, &d, limits, err)))
            s = check_apart(z, &d, err);
    } else
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", z->source.path);
    cm_free(p);
    return s;
}

cm_status cm_zip_open_source(cm_source *source, const cm_zip_limits *limits, cm_zip **zip,
                             cm_error *err)
{
    cm_zip *z = cm_alloc(sizeof *z);
    if (!z) {
        const cm_status s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", source->path);
        cm_source_close(source);
        return s;
    }
    z->source = *source;
    const cm_status s = read_archive(z, limits, err);
    if (s) {
        cm_zip_close(z);
        return s;
    }
    *zip = z;
    return CM_OK;
}

cm_status cm_zip_open(const char *path, const cm_zip_limits *limits, cm_zip **zip, cm_error *err)
{
    cm_source source;
    const cm_status s = cm_source_open(path, &source, err);
    return s ? s : cm_zip_open_source(&source, limits, zip, err);
}

void cm_zip_close(cm_zip *z)
{
    if (!z)
        return;
    cm_source_close(&z->source);
    cm_arena_free(&z->names);
    cm_free(z->by_name);
    cm_free(z->list);
    cm_free(z);
}

const cm_source *cm_zip_source(const cm_zip *z)
{
    return &z->source;
}

int cm_zip_count(const cm_zip *z)
{
    return z->count;
}

const cm_zip_entry *cm_zip_at(const cm_zip *z, int i)
{
    return i >= 0 && i < z->count ? &z->list[i].of : NULL;
}

const cm_zip_entry *cm_zip_find(const cm_zip *z, const char *name)
{
    const entry wanted = {.of.name = name}, *key = &wanted;
    const entry *const *found =
        bsearch(&key, z->by_name, (size_t)z->count, sizeof *z->by_name, by_name);
    return found ? &(*found)->of : NULL;
}
