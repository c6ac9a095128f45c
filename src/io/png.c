/* png.c - reading and writing PNG with libpng's row interface: no gamma, no
 * background, no palette making, where most of libpng's past defects were. */
#include "io/png.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

/* Pixels a byte: deflate gains at most a factor of 1032, and a byte holds 8 pixels of 1 bit. */
enum { MAX_GAIN = 1032 * 8 };

typedef struct png_source {
    const uint8_t *pixels;
    int w, h, c;
    cm_png_text text;
} png_source;

/* libpng reports errors by longjmp; everything that must survive it is here. */
typedef struct png_state {
    jmp_buf escape;
    const char *name; /* for messages */
    cm_error *err;
    cm_status status; /* of the first failure */
    png_structp png;
    png_infop info;
    int no_memory;     /* an allocation failed: whatever libpng makes of that */
    const uint8_t *in; /* reading: what is left */
    size_t left;
    uint8_t *out; /* writing */
    size_t out_size, out_room;
    const png_source *src;
    cm_image im;
    png_bytep *rows;
} png_state;

static void on_error(png_structp png, png_const_charp what)
{
    char text[256];
    png_state *p = png_get_error_ptr(png);
    p->status = p->no_memory ? cm_fail(p->err, CM_ERR_MEMORY, "%s: PNG: out of memory", p->name)
                             : cm_fail(p->err, CM_ERR_FORMAT, "%s: PNG: %s", p->name,
                                       cm_escape(text, sizeof text, what));
    longjmp(p->escape, 1);
}

static void on_warning(png_structp png, png_const_charp what)
{
    (void)png;
    (void)what;
}

/* libpng's memory, and that of zlib below it.  It calls a failure "bad" as often as not. */
static png_voidp take_memory(png_structp png, png_alloc_size_t n)
{
    png_state *p = png_get_mem_ptr(png);
    void *block = cm_alloc(n);
    p->no_memory |= !block;
    return block;
}

static void give_back(png_structp png, png_voidp block)
{
    (void)png;
    cm_free(block);
}

/* Leave libpng with a failure of our own. */
static void fail(png_state *p, cm_status s)
{
    p->status = s;
    longjmp(p->escape, 1);
}

/* body, or as much of it as comes before a longjmp.  p belongs to the caller, so
 * its fields are defined afterwards (C11 7.13.2.1). */
static cm_status run(png_state *p, void (*body)(png_state *))
{
    if (!setjmp(p->escape))
        body(p);
    return p->status;
}

/* ---- reading ------------------------------------------------------------ */

static void take_bytes(png_structp png, png_bytep dst, size_t n)
{
    png_state *p = png_get_io_ptr(png);
    if (n > p->left)
        fail(p, cm_fail(p->err, CM_ERR_FORMAT, "%s: PNG is cut short", p->name));
    memcpy(dst, p->in, n);
    p->in += n;
    p->left -= n;
}

/* Everything to 8-bit grey or RGB, alpha beside it where there is some. */
static void set_transforms(png_state *p)
{
    png_set_expand(p->png); /* palette to RGB, 1 to 4 bits to 8, tRNS to alpha */
    png_set_scale_16(p->png);
    png_set_interlace_handling(p->png);
}

static void read_image(png_state *p)
{
    p->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, p, on_error, on_warning, p,
                                      take_memory, give_back);
    p->info = p->png ? png_create_info_struct(p->png) : NULL;
    if (!p->info)
        fail(p, cm_fail(p->err, CM_ERR_MEMORY, "%s: out of memory", p->name));
    png_set_read_fn(p->png, p, take_bytes);
    png_set_user_limits(p->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* cm_image_new has ours */
    /* Skip everything but IHDR, PLTE, tRNS and IDAT: libpng would allocate and clear
     * what a text chunk claims, up to 2 GB, before it reads it (its own limit only
     * warns). */
    png_set_keep_unknown_chunks(p->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(p->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(p->png, p->info);
    const png_uint_32 w = png_get_image_width(p->png, p->info);
    const png_uint_32 h = png_get_image_height(p->png, p->info);
    set_transforms(p);
    /* The channels are known before libpng takes memory for a row. */
    const int type = png_get_color_type(p->png, p->info);
    const int alpha =
        (type & PNG_COLOR_MASK_ALPHA) || png_get_valid(p->png, p->info, PNG_INFO_tRNS);
    const int c = (type & PNG_COLOR_MASK_COLOR ? 3 : 1) + !!alpha;
    const cm_status s = cm_image_new(&p->im, w, h, c, p->left, MAX_GAIN, p->name, p->err);
    if (s)
        fail(p, s);
    png_read_update_info(p->png, p->info);
    const size_t row = (size_t)p->im.w * (size_t)c;
    if (row != png_get_rowbytes(p->png, p->info))
        fail(p, cm_fail(p->err, CM_ERR_FORMAT, "%s: PNG: expected %d channels, found %d", p->name,
                        c, png_get_channels(p->png, p->info)));
    p->rows = cm_alloc_array((size_t)p->im.h, sizeof *p->rows);
    if (!p->rows)
        fail(p, cm_fail(p->err, CM_ERR_MEMORY, "%s: out of memory", p->name));
    for (int y = 0; y < p->im.h; y++)
        p->rows[y] = p->im.pixels + (size_t)y * row;
    png_read_image(p->png, p->rows);
    png_read_end(p->png, NULL);
}

cm_status cm_png_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                        cm_error *err)
{
    png_state p = {.name = name, .err = err, .in = data, .left = size};
    const cm_status s = run(&p, read_image);
    png_destroy_read_struct(&p.png, &p.info, NULL);
    cm_free(p.rows);
    if (s)
        cm_image_clear(&p.im);
    else
        *im = p.im;
    return s;
}

/* ---- writing ------------------------------------------------------------ */

static void give_bytes(png_structp png, png_bytep src, size_t n)
{
    enum { FIRST = 1 << 14 };
    png_state *p = png_get_io_ptr(png);
    if (p->out_room - p->out_size < n) {
        const size_t larger = 2 * p->out_room + n + FIRST;
        uint8_t *grown = cm_grow(p->out, p->out_size, larger);
        if (!grown)
            fail(p, cm_fail(p->err, CM_ERR_MEMORY, "%s: PNG: out of memory", p->name));
        p->out = grown;
        p->out_room = larger;
    }
    memcpy(p->out + p->out_size, src, n);
    p->out_size += n;
}

static void flush_nothing(png_structp png)
{
    (void)png;
}

static int is_key(const char *key)
{
    const size_t n = strlen(key);
    for (size_t i = 0; i < n; i++)
        if (key[i] < ' ' || key[i] > '~')
            return 0;
    return n >= 1 && n <= 79 && key[0] != ' ' && key[n - 1] != ' ';
}

static int is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s > 126)
            return 0;
    return 1;
}

/* tEXt where ASCII will do (it is Latin-1 by definition), else iTXt. */
static void set_text(png_state *p, const char *key, const char *value)
{
    /* libpng copies both and writes to neither, but takes char *. */
    union {
        const char *in;
        char *out;
    } k = {key}, v = {value};
    png_text t = {.key = k.out, .text = v.out};
    if (is_ascii(value)) {
        t.compression = PNG_TEXT_COMPRESSION_NONE;
        t.text_length = strlen(value);
    } else {
        t.compression = PNG_ITXT_COMPRESSION_NONE;
        t.itxt_length = strlen(value);
    }
    png_set_text(p->png, p->info, &t, 1);
}

static void write_image(png_state *p)
{
    const png_source *src = p->src;
    p->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, p, on_error, on_warning, p,
                                       take_memory, give_back);
    p->info = p->png ? png_create_info_struct(p->png) : NULL;
    if (!p->info)
        fail(p, cm_fail(p->err, CM_ERR_MEMORY, "%s: out of memory", p->name));
    png_set_write_fn(p->png, p, give_bytes, flush_nothing);
    png_set_IHDR(p->png, p->info, (png_uint_32)src->w, (png_uint_32)src->h, 8,
                 src->c == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    for (int i = 0; i < src->text.n; i++)
        set_text(p, src->text.keys[i], src->text.values[i]);
    png_write_info(p->png, p->info);
    for (int y = 0; y < src->h; y++)
        png_write_row(p->png, src->pixels + (size_t)y * (size_t)src->w * (size_t)src->c);
    png_write_end(p->png, NULL);
}

static cm_status check(const png_source *src, const char *name, cm_error *err)
{
    char text[256];
    if (src->w < 1 || src->h < 1 || src->w > PNG_USER_WIDTH_MAX || src->h > PNG_USER_HEIGHT_MAX ||
        (src->c != 1 && src->c != 3))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "%s: expected grey or RGB pixels, found %d x %d with %d channels", name,
                       src->w, src->h, src->c);
    for (int i = 0; i < src->text.n; i++)
        if (!is_key(src->text.keys[i]))
            return cm_fail(err, CM_ERR_ARGUMENT,
                           "%s: text key \"%s\": expected 1 to 79 printable ASCII characters", name,
                           cm_escape(text, sizeof text, src->text.keys[i]));
    return CM_OK;
}

static cm_status encode(const png_source *src, const char *name, uint8_t **bytes, size_t *size,
                        cm_error *err)
{
    png_state p = {.name = name, .err = err, .src = src};
    cm_status s = check(src, name, err);
    if (s)
        return s;
    s = run(&p, write_image);
    png_destroy_write_struct(&p.png, &p.info);
    if (s) {
        cm_free(p.out);
        return s;
    }
    *bytes = p.out;
    *size = p.out_size;
    return CM_OK;
}

static png_source source_of(int w, int h, int c, const uint8_t *pixels, const cm_png_text *text)
{
    return (png_source){pixels, w, h, c, text ? *text : (cm_png_text){0}};
}

cm_status cm_png_encode(int w, int h, int c, const uint8_t *pixels, const cm_png_text *text,
                        uint8_t **bytes, size_t *size, cm_error *err)
{
    const png_source src = source_of(w, h, c, pixels, text);
    return encode(&src, "PNG", bytes, size, err);
}

cm_status cm_png_write(const char *path, int w, int h, int c, const uint8_t *pixels,
                       const cm_png_text *text, cm_error *err)
{
    const png_source src = source_of(w, h, c, pixels, text);
    uint8_t *bytes;
    size_t size;
    cm_status s = encode(&src, path, &bytes, &size, err);
    if (s)
        return s;
    s = cm_file_save(path, bytes, size, err);
    cm_free(bytes);
    return s;
}
