/* npz_read.c */
#include "io/npz_read.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are taken as they are");

enum { MOST_HEADER = 65536, PREFIX = 10 };

struct cm_npz {
    cm_zip *zip;
    char *path;
};

/* ---- element types ---------------------------------------------------------- */

/* As what elements may be read; bytes are integers too. */
enum { BYTE = 1, REAL = 2, INTEGER = 4 };

/* One element of 1 or 4 bytes as one of 8; the two may overlap. */
static void widen_real(const void *from, void *to)
{
    float narrow;
    memcpy(&narrow, from, sizeof narrow);
    const double wide = (double)narrow;
    memcpy(to, &wide, sizeof wide);
}

static void widen_byte(const void *from, void *to)
{
    const int64_t wide = *(const uint8_t *)from;
    memcpy(to, &wide, sizeof wide);
}

static void widen_integer(const void *from, void *to)
{
    int32_t narrow;
    memcpy(&narrow, from, sizeof narrow);
    const int64_t wide = narrow;
    memcpy(to, &wide, sizeof wide);
}

static const struct dtype {
    char descr[4];
    unsigned kinds;
    int bytes;
    const char *name;
    void (*widen)(const void *from, void *to); /* to 8 bytes; NULL: it has them */
} dtypes[] = {
    {"|u1", BYTE | INTEGER, 1, "uint8", widen_byte}, {"<f8", REAL, 8, "float64", NULL},
    {"<f4", REAL, 4, "float32", widen_real},         {"<i8", INTEGER, 8, "int64", NULL},
    {"<i4", INTEGER, 4, "int32", widen_integer},
};

static const struct dtype *dtype_of(const char *descr)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].descr, descr))
            return &dtypes[i];
    return NULL;
}

/* ---- the archive -------------------------------------------------------------- */

cm_status cm_npz_open(const char *path, cm_npz **npz, cm_error *err)
{
    static const cm_zip_limits limits = {.entries = 4096,
                                         .entry_bytes = UINT64_C(1) << 42,
                                         .total_bytes = UINT64_C(1) << 43,
                                         .ratio = 1100};
    char shown[512];
    cm_npz *n = cm_alloc(sizeof *n);
    if (n)
        n->path = cm_strdup(cm_escape(shown, sizeof shown, path));
    if (!n || !n->path) {
        cm_npz_close(n);
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", shown);
    }
    const cm_status s = cm_zip_open(path, &limits, &n->zip, err);
    if (s)
        cm_npz_close(n);
    else
        *npz = n;
    return s;
}

void cm_npz_close(cm_npz *n)
{
    if (!n)
        return;
    cm_zip_close(n->zip);
    cm_free(n->path);
    cm_free(n);
}

int cm_npz_is(const char *path)
{
    char magic[4] = "";
    uint64_t size;
    int fd;
    if (cm_file_open(path, &fd, &size, NULL))
        return 0;
    const int is = size >= 4 && !cm_file_pread(fd, path, magic, 4, 0, NULL) &&
                   (!memcmp(magic, "PK\3\4", 4) || !memcmp(magic, "PK\5\6", 4));
    close(fd);
    return is;
}

const char *cm_npz_names(const cm_npz *n, char *text, size_t size)
{
    char shown[64];
    size_t at = 0;
    snprintf(text, size, "nothing");
    for (int i = 0; i < cm_zip_count(n->zip) && at < size; i++) {
        cm_escape(shown, sizeof shown, cm_zip_at(n->zip, i)->name);
        char *dot = strrchr(shown, '.');
        if (dot && !strcmp(dot, ".npy"))
            *dot = '\0';
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? ", " : "", shown);
    }
    return text;
}

/* ---- a header ------------------------------------------------------------------ */

static void skip_blanks(const char **p)
{
    *p += strspn(*p, " \t\n");
}

/* Whether the next word is this one, which is taken. */
static int take(const char **p, const char *word)
{
    const size_t n = strlen(word);
    skip_blanks(p);
    if (strncmp(*p, word, n) != 0)
        return 0;
    *p += n;
    return 1;
}

/* 'text', of fewer than size bytes */
static int take_text(const char **p, char *text, size_t size)
{
    skip_blanks(p);
    const char quote = **p;
    if (quote != '\'' && quote != '"')
        return 0;
    const char *end = strchr(*p + 1, quote);
    if (!end || (size_t)(end - *p) > size)
        return 0;
    memcpy(text, *p + 1, (size_t)(end - *p - 1));
    text[end - *p - 1] = '\0';
    *p = end + 1;
    return 1;
}

static int take_shape(const char **p, cm_npz_member *m)
{
    if (!take(p, "("))
        return 0;
    while (!take(p, ")")) {
        char *end;
        if (m->rank == CM_NPZ_MAX_RANK || **p < '0' || **p > '9')
            return 0;
        const unsigned long long v = strtoull(*p, &end, 10);
        if (v > INT64_MAX || end - *p > 18)
            return 0;
        m->dim[m->rank++] = (int64_t)v;
        *p = end;
        if (!take(p, ",") && (skip_blanks(p), **p != ')'))
            return 0;
    }
    return 1;
}

/* {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }; *fortran: it is True. */
static int read_dictionary(const char *p, cm_npz_member *m, int *fortran)
{
    int seen = 0;
    char key[16];
    if (!take(&p, "{"))
        return 0;
    while (!take(&p, "}")) {
        if (!take_text(&p, key, sizeof key) || !take(&p, ":"))
            return 0;
        if (!strcmp(key, "descr") && take_text(&p, m->descr, sizeof m->descr))
            seen |= 1;
        else if (!strcmp(key, "fortran_order") &&
                 ((*fortran = take(&p, "True")) || take(&p, "False")))
            seen |= 2;
        else if (!strcmp(key, "shape") && !(seen & 4) && take_shape(&p, m))
            seen |= 4;
        else
            return 0;
        take(&p, ",");
    }
    skip_blanks(&p);
    return seen == 7 && !*p;
}

static cm_status read_text(cm_npz_member *m, uint64_t *length, char **text, cm_error *err)
{
    unsigned char head[PREFIX + 2];
    cm_status s = cm_zip_read(m->stream, head, PREFIX, err);
    if (s)
        return s;
    size_t n = (size_t)head[8] | (size_t)head[9] << 8;
    *length = PREFIX;
    if (head[6] > 1 && !(s = cm_zip_read(m->stream, head + PREFIX, 2, err))) {
        n |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
        *length += 2;
    }
    *length += n;
    if (s)
        return s;
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3 || n > MOST_HEADER)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: %s: expected an array of numpy's format 1 to 3, found something else",
                       m->path, m->name);
    if (!(*text = cm_alloc(n + 1)))
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", m->path);
    return cm_zip_read(m->stream, *text, n, err);
}

/* The member has the header and the elements that it names, and nothing else. */
static cm_status check_size(cm_npz_member *m, uint64_t header, uint64_t bytes, cm_error *err)
{
    char text[128];
    const struct dtype *t = dtype_of(m->descr);
    uint64_t n = (uint64_t)t->bytes;
    m->elements = 1;
    for (int i = 0; i < m->rank; i++)
        if (__builtin_mul_overflow(n, (uint64_t)m->dim[i], &n) || n > INT64_MAX)
            return cm_fail(err, CM_ERR_FORMAT, "%s: %s: shape: too large", m->path, m->name);
    m->elements = (int64_t)n / t->bytes;
    if (bytes - header == n)
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT, "%s: %s: expected %llu bytes for %s, found %llu", m->path,
                   m->name, (unsigned long long)n, cm_npz_describe(m, text),
                   (unsigned long long)(bytes - header));
}

static cm_status read_header(cm_npz_member *m, uint64_t bytes, cm_error *err)
{
    char *text = NULL, shown[32];
    uint64_t header = 0;
    int fortran = 0;
    cm_status s = bytes < PREFIX + 2
                      ? cm_fail(err, CM_ERR_FORMAT, "%s: %s: expected an array, found %llu bytes",
                                m->path, m->name, (unsigned long long)bytes)
                      : CM_OK;
    if (!s)
        s = read_text(m, &header, &text, err);
    if (!s && !read_dictionary(text, m, &fortran))
        s = cm_fail(err, CM_ERR_FORMAT,
                    "%s: %s: header: expected descr, fortran_order and shape of plain numbers, "
                    "found something else",
                    m->path, m->name);
    if (!s && !dtype_of(m->descr))
        s = cm_fail(err, CM_ERR_FORMAT,
                    "%s: %s: expected elements |u1, <f8, <f4, <i8 or <i4, found '%s'", m->path,
                    m->name, cm_escape(shown, sizeof shown, m->descr));
    if (!s && fortran && m->rank > 1)
        s = cm_fail(err, CM_ERR_FORMAT,
                    "%s: %s: expected C order, found Fortran order: save it with "
                    "numpy.ascontiguousarray",
                    m->path, m->name);
    cm_free(text);
    return s ? s : check_size(m, header, bytes, err);
}

cm_status cm_npz_find(const cm_npz *n, const char *name, cm_npz_member *m, cm_error *err)
{
    char file[128];
    *m = (cm_npz_member){.path = n->path, .name = name};
    snprintf(file, sizeof file, "%s.npy", name);
    const cm_zip_entry *e = cm_zip_find(n->zip, file);
    if (!e)
        return CM_OK;
    cm_status s = cm_zip_stream_open(n->zip, e, &m->stream, err);
    if (!s)
        s = read_header(m, e->bytes, err);
    if (s)
        cm_npz_member_close(m);
    return s;
}

void cm_npz_member_close(cm_npz_member *m)
{
    cm_zip_stream_close(m->stream);
    m->stream = NULL;
}

const char *cm_npz_describe(const cm_npz_member *m, char text[128])
{
    const struct dtype *t = dtype_of(m->descr);
    size_t n = (size_t)snprintf(text, 128, "%s [", t ? t->name : "?");
    for (int i = 0; i < m->rank && n < 100; i++)
        n += (size_t)snprintf(text + n, 128 - n, "%s%lld", i ? "," : "", (long long)m->dim[i]);
    snprintf(text + n, 128 - n, "]");
    return text;
}

/* ---- elements -------------------------------------------------------------------- */

static cm_status need_kind(const cm_npz_member *m, unsigned wanted, const char *what, cm_error *err)
{
    char text[128];
    return (dtype_of(m->descr)->kinds & wanted)
               ? CM_OK
               : cm_fail(err, CM_ERR_FORMAT, "%s: %s: expected %s, found %s", m->path, m->name,
                         what, cm_npz_describe(m, text));
}

cm_status cm_npz_read_u8(cm_npz_member *m, int64_t n, uint8_t *values, cm_error *err)
{
    const cm_status s = need_kind(m, BYTE, "uint8", err);
    return s ? s : cm_zip_read(m->stream, values, (size_t)n, err);
}

/* n elements as ones of 8 bytes.  Narrow ones are put at the end of the room for the wide ones,
 * which, from the first one on, never reach those that are still to come. */
static cm_status read_wide(cm_npz_member *m, int64_t n, void *values, cm_error *err)
{
    const struct dtype *t = dtype_of(m->descr);
    char *to = values, *from = to + n * (8 - t->bytes);
    const cm_status s = cm_zip_read(m->stream, from, (size_t)n * (size_t)t->bytes, err);
    for (int64_t i = 0; i < n && !s && t->widen; i++)
        t->widen(from + i * t->bytes, to + i * 8);
    return s;
}

cm_status cm_npz_read_f64(cm_npz_member *m, int64_t n, double *values, cm_error *err)
{
    const cm_status s = need_kind(m, REAL, "floats", err);
    return s ? s : read_wide(m, n, values, err);
}

cm_status cm_npz_read_i64(cm_npz_member *m, int64_t n, int64_t *values, cm_error *err)
{
    const cm_status s = need_kind(m, INTEGER, "integers", err);
    return s ? s : read_wide(m, n, values, err);
}
