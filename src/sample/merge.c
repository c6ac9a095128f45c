/* merge.c - the .npz files of parts of a set, joined: each says which part of which set it is
 * (origin.h), so that a part of another, one too many or too few is noticed, and the result has the
 * bytes of the set drawn at once. */
#include "sample/images.h"
#include "sample/origin.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/json.h"
#include "io/npz_read.h"
#include "options/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct part {
    const char *path;
    char name[512]; /* for messages */
    json_t *origin;
    int64_t first, num, of;
    int h, w, c;
} part;

/* An open file of a part, at its first image. */
typedef struct opened {
    cm_npz *npz;
    cm_npz_member images, labels;
} opened;

static void close_part(opened *o)
{
    cm_npz_member_close(&o->images);
    cm_npz_member_close(&o->labels);
    cm_npz_close(o->npz);
}

/* ---- what a file says that it is ---- */

static cm_status parse_origin(part *p, cm_npz_member *m, cm_error *err)
{
    if (!m->stream || m->rank != 1 || m->elements > CM_JSON_MAX_BYTES)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected a part of a set, which says so (origin), as cm sample writes "
                       "it; found none",
                       p->name);
    char name[400];
    snprintf(name, sizeof name, "%.380s: origin", p->name);
    char *text = cm_alloc((size_t)m->elements + 1);
    cm_status s = text ? cm_npz_read_u8(m, m->elements, (uint8_t *)text, err)
                       : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", p->name);
    if (!s)
        s = cm_json_parse(text, (size_t)m->elements, name, &p->origin, err);
    cm_free(text);
    return s;
}

static cm_status read_origin(part *p, const cm_npz *npz, cm_error *err)
{
    cm_npz_member m;
    cm_status s = cm_npz_find(npz, CM_ORIGIN, &m, err);
    if (s)
        return s;
    s = parse_origin(p, &m, err);
    cm_npz_member_close(&m);
    if (!s)
        s = cm_json_int(p->origin, p->name, "first", 0, CM_MOST_FIRST, CM_JSON_REQUIRED, &p->first,
                        err);
    if (!s)
        s = cm_json_int(p->origin, p->name, "num", 1, CM_MOST_IMAGES, CM_JSON_REQUIRED, &p->num,
                        err);
    if (!s && !json_object_get(p->origin, "of"))
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected a part of a set (--of), found images %" PRId64 " to %" PRId64
                       " of none",
                       p->name, p->first, p->first + p->num - 1);
    if (!s)
        s = cm_json_int(p->origin, p->name, "of", p->first + p->num, CM_MOST_FIRST,
                        CM_JSON_REQUIRED, &p->of, err);
    if (!s && p->of > CM_MOST_IMAGES)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: expected a part of at most %d images, as one file may have, found one "
                       "of %" PRId64,
                       p->name, CM_MOST_IMAGES, p->of);
    return s;
}

/* arr_0 and arr_1, of p->num images. */
static cm_status find_images(const part *p, opened *o, cm_error *err)
{
    enum { SIDE = 65535, CHANNELS = 4096 };
    char text[128];
    const cm_npz_member *m = &o->images;
    cm_status s = cm_npz_find(o->npz, "arr_0", &o->images, err);
    if (!s)
        s = cm_npz_find(o->npz, "arr_1", &o->labels, err);
    if (s)
        return s;
    if (!m->stream || strcmp(m->descr, "|u1") != 0 || m->rank != 4 || m->dim[0] != p->num ||
        m->dim[1] < 1 || m->dim[1] > SIDE || m->dim[2] < 1 || m->dim[2] > SIDE || m->dim[3] < 1 ||
        m->dim[3] > CHANNELS)
        return cm_fail(err, CM_ERR_FORMAT,
                       "%s: arr_0: expected uint8 [%" PRId64 ",H,W,C], found %s", p->name, p->num,
                       m->stream ? cm_npz_describe(m, text) : "no such array");
    m = &o->labels;
    if (!m->stream || strcmp(m->descr, "<i8") != 0 || m->rank != 1 || m->dim[0] != p->num)
        return cm_fail(err, CM_ERR_FORMAT, "%s: arr_1: expected int64 [%" PRId64 "], found %s",
                       p->name, p->num, m->stream ? cm_npz_describe(m, text) : "no such array");
    return CM_OK;
}

/* All but the images. */
static cm_status look_at(part *p, const char *path, cm_error *err)
{
    opened o = {.npz = NULL};
    p->path = path;
    cm_escape(p->name, sizeof p->name, path);
    cm_status s = cm_npz_open(path, &o.npz, err);
    if (!s)
        s = read_origin(p, o.npz, err);
    if (!s)
        s = find_images(p, &o, err);
    if (!s) {
        p->h = (int)o.images.dim[1];
        p->w = (int)o.images.dim[2];
        p->c = (int)o.images.dim[3];
    }
    close_part(&o);
    return s;
}

/* ---- whether they are a set ---- */

static cm_status check_key(const part *p, const part *as, const char *key, cm_error *err)
{
    char expected[96], found[96];
    const json_t *a = json_object_get(as->origin, key), *b = json_object_get(p->origin, key);
    if (!strcmp(key, "first") || !strcmp(key, "num") || json_equal(a, b))
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT, "%s: %s: expected %s, as %s has, found %s", p->name, key,
                   a ? cm_json_show(expected, sizeof expected, a) : "none", as->name,
                   b ? cm_json_show(found, sizeof found, b) : "none");
}

/* That both are parts of one set. */
static cm_status check_same_set(const part *p, const part *as, cm_error *err)
{
    cm_status s = CM_OK;
    const char *key;
    json_t *value;
    json_object_foreach(as->origin, key, value) if (!s) s = check_key(p, as, key, err);
    json_object_foreach(p->origin, key, value) if (!s) s = check_key(p, as, key, err);
    if (!s && (p->h != as->h || p->w != as->w || p->c != as->c))
        s = cm_fail(err, CM_ERR_FORMAT,
                    "%s: expected images of %dx%d with %d channels, as %s has, "
                    "found %dx%d with %d",
                    p->name, as->w, as->h, as->c, as->name, p->w, p->h, p->c);
    return s;
}

static cm_status fail_missing(int64_t first, int64_t end, int64_t of, cm_error *err)
{
    return cm_fail(err, CM_ERR_FORMAT,
                   "images %" PRId64 " to %" PRId64 " of the set of %" PRId64
                   ": expected in a part, found in none",
                   first, end - 1, of);
}

/* Of parts in the order of their images: each image is there once. */
static cm_status check_whole(const part *p, int n, cm_error *err)
{
    int64_t next = 0;
    for (int i = 0; i < n; i++) {
        if (p[i].first < next)
            return cm_fail(err, CM_ERR_FORMAT,
                           "%s: images %" PRId64 " to %" PRId64 ": expected in one part, found in "
                           "%s too",
                           p[i].name, p[i].first,
                           (next < p[i].first + p[i].num ? next : p[i].first + p[i].num) - 1,
                           p[i - 1].name);
        if (p[i].first > next)
            return fail_missing(next, p[i].first, p->of, err);
        next = p[i].first + p[i].num;
    }
    return next == p->of ? CM_OK : fail_missing(next, p->of, p->of, err);
}

static int by_first(const void *a, const void *b)
{
    const part *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* ---- the set ---- */

static cm_status read_images(const part *p, cm_images *to, cm_error *err)
{
    opened o = {.npz = NULL};
    const int64_t image = (int64_t)p->h * p->w * p->c;
    int64_t *labels = to->labels + p->first;
    cm_status s = cm_npz_open(p->path, &o.npz, err);
    if (!s)
        s = find_images(p, &o, err);
    if (!s && o.images.elements != p->num * image)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: has changed while it was read", p->name);
    if (!s)
        s = cm_npz_read_u8(&o.images, p->num * image, to->pixels + p->first * image, err);
    if (!s)
        s = cm_npz_read_i64(&o.labels, p->num, labels, err);
    for (int64_t i = 0; i < p->num && !s; i++)
        if (labels[i] < -1)
            s = cm_fail(err, CM_ERR_FORMAT,
                        "%s: arr_1: element %" PRId64
                        ": expected a class, 0 or more (-1: none), found %" PRId64,
                        p->name, i, labels[i]);
    close_part(&o);
    return s;
}

/* As if it had been drawn at once. */
static cm_status write_origin(const part *p, char **text, cm_error *err)
{
    *text = NULL;
    if (!json_object_set_new(p->origin, "first", json_integer(0)) &&
        !json_object_set_new(p->origin, "num", json_integer(p->of)))
        *text = cm_json_dump(p->origin, JSON_COMPACT | JSON_SORT_KEYS);
    return *text ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", p->name);
}

static cm_status join(part *p, int n, const char *const *paths, cm_images **images, char **origin,
                      cm_error *err)
{
    cm_status s = CM_OK;
    for (int i = 0; i < n && !s; i++) {
        s = look_at(&p[i], paths[i], err);
        if (!s)
            s = check_same_set(&p[i], p, err);
    }
    if (s)
        return s;
    qsort(p, (size_t)n, sizeof *p, by_first);
    s = check_whole(p, n, err);
    if (s)
        return s;
    *images = cm_images_new(p->of, p->h, p->w, p->c, 0);
    if (!*images)
        return cm_fail(err, CM_ERR_MEMORY, "images: out of memory for %" PRId64, p->of);
    for (int i = 0; i < n && !s; i++)
        s = read_images(&p[i], *images, err);
    return s ? s : write_origin(p, origin, err);
}

cm_status cm_merge(int n, const char *const *paths, cm_images **images, char **origin,
                   cm_error *err)
{
    cm_images *out = NULL;
    part *p = cm_alloc_array((size_t)n, sizeof *p);
    const cm_status s = p ? join(p, n, paths, &out, origin, err)
                          : cm_fail(err, CM_ERR_MEMORY, "parts: out of memory");
    for (int i = 0; i < n && p; i++)
        json_decref(p[i].origin);
    cm_free(p);
    if (s) {
        cm_images_release(out);
        return s;
    }
    cm_images_release(*images);
    *images = out;
    return CM_OK;
}
