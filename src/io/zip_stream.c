/* zip_stream.c - the data of one entry of a zip archive, inflated as it is asked for */
#define ZLIB_CONST /* next_in is const */
#include "base/error.h"
#include "base/memory.h"
#include "io/zip.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

enum { WINDOW = 32768 };

struct cm_zip_stream {
    const cm_source *source;
    const cm_zip_entry *e;
    uint64_t in, out; /* packed bytes read, bytes given */
    uLong crc;
    z_stream z;
    int inflates; /* z is in use */
    unsigned char window[WINDOW];
};

static cm_status bad(const cm_zip_stream *s, const char *what, cm_error *err)
{
    char name[256];
    return cm_fail(err, CM_ERR_FORMAT, "%s: entry \"%s\": %s", s->source->path,
                   cm_escape(name, sizeof name, s->e->name), what);
}

cm_status cm_zip_stream_open(const cm_zip *zip, const cm_zip_entry *e, cm_zip_stream **stream,
                             cm_error *err)
{
    cm_zip_stream *s = cm_alloc(sizeof *s);
    if (!s)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", cm_zip_source(zip)->path);
    s->source = cm_zip_source(zip);
    s->e = e;
    s->crc = crc32(0, NULL, 0);
    s->inflates = e->deflated && inflateInit2(&s->z, -15) == Z_OK; /* no header, no trailer */
    if (e->deflated && !s->inflates) {
        cm_free(s);
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", cm_zip_source(zip)->path);
    }
    *stream = s;
    return CM_OK;
}

void cm_zip_stream_close(cm_zip_stream *s)
{
    if (s && s->inflates)
        inflateEnd(&s->z);
    cm_free(s);
}

/* More packed bytes for zlib; none where there are no more. */
static cm_status refill(cm_zip_stream *s, cm_error *err)
{
    const uint64_t left = s->e->packed - s->in;
    const size_t n = left < WINDOW ? (size_t)left : WINDOW;
    const cm_status status = cm_source_read(s->source, s->window, n, s->e->at + s->in, err);
    s->in += n;
    s->z.next_in = s->window;
    s->z.avail_in = (uInt)n;
    return status;
}

/* Exactly n bytes to dst, or where n is 0 the end of the packed data. */
static cm_status inflate_next(cm_zip_stream *s, unsigned char *dst, uInt n, cm_error *err)
{
    unsigned char spare = 0;
    s->z.next_out = n ? dst : &spare;
    s->z.avail_out = n ? n : 1;
    for (;;) {
        cm_status status;
        if (!s->z.avail_in && (status = refill(s, err)))
            return status;
        const int r = inflate(&s->z, Z_NO_FLUSH);
        if (r == Z_MEM_ERROR)
            return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", s->source->path);
        if (!n && !s->z.avail_out)
            return bad(s, "it inflates to more than its size", err);
        if (!s->z.avail_out && (r == Z_OK || r == Z_STREAM_END))
            return CM_OK;
        if (r == Z_STREAM_END && !n && !s->z.avail_in && s->in == s->e->packed)
            return CM_OK;
        if (r == Z_STREAM_END)
            return bad(s, "its packed data ends too early", err);
        if (r != Z_OK && r != Z_BUF_ERROR)
            return bad(s, s->z.msg ? s->z.msg : "its packed data is damaged", err);
        if (!s->z.avail_in && s->in == s->e->packed)
            return bad(s, "its packed data is cut short", err);
    }
}

/* n fits zlib's counter. */
static cm_status read_some(cm_zip_stream *s, unsigned char *dst, uInt n, cm_error *err)
{
    const cm_status status = s->inflates
                                 ? inflate_next(s, dst, n, err)
                                 : cm_source_read(s->source, dst, n, s->e->at + s->out, err);
    if (status)
        return status;
    s->out += n;
    s->crc = crc32(s->crc, dst, n);
    return CM_OK;
}

/* All bytes were given: are they the right ones? */
static cm_status finish(cm_zip_stream *s, cm_error *err)
{
    char what[96];
    const cm_status status = s->inflates ? inflate_next(s, NULL, 0, err) : CM_OK;
    if (status || s->crc == s->e->crc)
        return status;
    snprintf(what, sizeof what, "CRC: expected %08lx, found %08lx", (unsigned long)s->e->crc,
             (unsigned long)s->crc);
    return bad(s, what, err);
}

cm_status cm_zip_read(cm_zip_stream *s, void *dst, size_t n, cm_error *err)
{
    unsigned char *p = dst;
    const uint64_t left = s->e->bytes - s->out;
    if (n > left) {
        char what[96];
        snprintf(what, sizeof what, "expected %zu more bytes, found %llu", n,
                 (unsigned long long)left);
        return bad(s, what, err);
    }
    const int last = n == left && (n || !s->e->bytes);
    while (n) {
        const uInt some = n < UINT_MAX ? (uInt)n : UINT_MAX;
        const cm_status status = read_some(s, p, some, err);
        if (status)
            return status;
        p += some;
        n -= some;
    }
    return last ? finish(s, err) : CM_OK;
}

cm_status cm_zip_check(const cm_zip *zip, const cm_zip_entry *e, cm_error *err)
{
    unsigned char chunk[16384];
    cm_zip_stream *s = NULL;
    cm_status status = cm_zip_stream_open(zip, e, &s, err);
    uint64_t left = e->bytes;
    while (!status) {
        const size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        status = cm_zip_read(s, chunk, n, err);
        if (!(left -= n))
            break;
    }
    cm_zip_stream_close(s);
    return status;
}
