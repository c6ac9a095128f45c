/* jpeg.c - JPEG from and to memory with libjpeg-turbo.  It reports errors through a
 * function that must not return, and warns where it goes on with made-up pixels; both end
 * the decoding here. */
#include "io/jpeg.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/exif.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs it */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    MAX_GAIN = 1024, /* pixels a byte: a flat block of 64 takes at least half a bit */
    MAX_SCANS = 500, /* a progressive file can ask for any number of passes */
    EXIF = JPEG_APP0 + 1,
    EXIF_BYTES = 0xffff
};

/* What libjpeg's client_data points to, and must survive the longjmp. */
typedef struct jpeg_escape {
    jmp_buf jump;
    struct jpeg_error_mgr errors;
    const char *name;
    cm_error *err;
    cm_status status;
} jpeg_escape;

typedef struct jpeg_state {
    jpeg_escape e;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    const uint8_t *data;
    size_t size;
    cm_image im;
    int orientation;
} jpeg_state;

static _Noreturn void leave(jpeg_escape *e, cm_status s)
{
    e->status = s;
    longjmp(e->jump, 1);
}

static _Noreturn void on_error(j_common_ptr jpeg)
{
    jpeg_escape *e = jpeg->client_data;
    char what[JMSG_LENGTH_MAX], shown[256];
    if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY)
        leave(e, cm_fail(e->err, CM_ERR_MEMORY, "%s: JPEG: out of memory", e->name));
    jpeg->err->format_message(jpeg, what);
    leave(e, cm_fail(e->err, CM_ERR_FORMAT, "%s: JPEG: %s", e->name,
                     cm_escape(shown, sizeof shown, what)));
}

/* Level -1 is a warning.  Those below mean that pixels are missing. */
static void on_message(j_common_ptr jpeg, int level)
{
    const int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
                      code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC))
        on_error(jpeg);
}

static void print_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static struct jpeg_error_mgr *catch_errors(jpeg_escape *e)
{
    struct jpeg_error_mgr *errors = jpeg_std_error(&e->errors);
    errors->error_exit = on_error;
    errors->emit_message = on_message;
    errors->output_message = print_nothing;
    return errors;
}

/* ---- decoding ----------------------------------------------------------- */

static void start_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean no_more_bytes(j_decompress_ptr jpeg)
{
    jpeg_escape *e = jpeg->client_data;
    leave(e, cm_fail(e->err, CM_ERR_FORMAT, "%s: JPEG is cut short", e->name));
}

static void skip_bytes(j_decompress_ptr jpeg, long n)
{
    struct jpeg_source_mgr *s = jpeg->src;
    if (n > 0 && (size_t)n > s->bytes_in_buffer)
        no_more_bytes(jpeg);
    if (n > 0) {
        s->next_input_byte += n;
        s->bytes_in_buffer -= (size_t)n;
    }
}

static void count_scans(j_common_ptr jpeg)
{
    jpeg_escape *e = jpeg->client_data;
    if (((j_decompress_ptr)jpeg)->input_scan_number > MAX_SCANS)
        leave(e, cm_fail(e->err, CM_ERR_FORMAT, "%s: JPEG: expected at most %d scans, found more",
                         e->name, MAX_SCANS));
}

static void prepare(jpeg_state *p)
{
    p->jpeg.err = catch_errors(&p->e);
    p->jpeg.client_data = &p->e;
    jpeg_create_decompress(&p->jpeg);
    p->source = (struct jpeg_source_mgr){.next_input_byte = p->data,
                                         .bytes_in_buffer = p->size,
                                         .init_source = start_source,
                                         .fill_input_buffer = no_more_bytes,
                                         .skip_input_data = skip_bytes,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = start_source};
    p->jpeg.src = &p->source;
    p->progress.progress_monitor = count_scans;
    p->jpeg.progress = &p->progress;
}

/* Adobe's programs, and with them everyone, store ink as 255 - ink. */
static void cmyk_to_rgb(const JSAMPLE *cmyk, int n, int inverted, uint8_t *rgb)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) {
            const int ink = cmyk[4 * i + k], black = cmyk[4 * i + 3];
            const int light = inverted ? ink * black : (255 - ink) * (255 - black);
            rgb[3 * i + k] = (uint8_t)((light + 127) / 255);
        }
}

static void read_rows(jpeg_state *p)
{
    struct jpeg_decompress_struct *j = &p->jpeg;
    const size_t row = (size_t)p->im.w * (size_t)p->im.c;
    JSAMPARRAY ink = NULL;
    if (j->out_color_space == JCS_CMYK)
        ink = j->mem->alloc_sarray((j_common_ptr)j, JPOOL_IMAGE, 4 * j->output_width, 1);
    while (j->output_scanline < j->output_height) {
        uint8_t *out = p->im.pixels + j->output_scanline * row;
        JSAMPROW rows[] = {ink ? ink[0] : out};
        jpeg_read_scanlines(j, rows, 1);
        if (ink)
            cmyk_to_rgb(ink[0], p->im.w, j->saw_Adobe_marker, out);
    }
}

static void read_image(jpeg_state *p)
{
    struct jpeg_decompress_struct *j = &p->jpeg;
    prepare(p);
    jpeg_save_markers(j, EXIF, EXIF_BYTES);
    jpeg_read_header(j, TRUE);
    for (jpeg_saved_marker_ptr m = j->marker_list; m && !p->orientation; m = m->next)
        if (m->marker == EXIF && m->data_length > 6 && !memcmp(m->data, "Exif", 5))
            p->orientation = cm_exif_orientation(m->data, m->data_length);
    const int grey = j->jpeg_color_space == JCS_GRAYSCALE;
    const cm_status s = cm_image_new(&p->im, j->image_width, j->image_height, grey ? 1 : 3, p->size,
                                     MAX_GAIN, p->e.name, p->e.err);
    if (s)
        leave(&p->e, s);
    j->out_color_space = grey ? JCS_GRAYSCALE : j->num_components == 4 ? JCS_CMYK : JCS_RGB;
    j->dct_method = JDCT_ISLOW; /* the same bytes with and without SIMD */
    jpeg_start_decompress(j);
    read_rows(p);
    jpeg_finish_decompress(j);
}

/* p belongs to the caller, so its fields are defined after a longjmp (C11 7.13.2.1). */
static void run(jpeg_state *p)
{
    if (!setjmp(p->e.jump))
        read_image(p);
}

cm_status cm_jpeg_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                         cm_error *err)
{
    jpeg_state p = {.e = {.name = name, .err = err}, .data = data, .size = size};
    run(&p);
    jpeg_destroy_decompress(&p.jpeg);
    if (!p.e.status)
        p.e.status = cm_image_orient(&p.im, p.orientation, name, err);
    if (p.e.status)
        cm_image_clear(&p.im);
    else
        *im = p.im;
    return p.e.status;
}

/* ---- encoding ----------------------------------------------------------- */

typedef struct jpeg_writer {
    jpeg_escape e;
    struct jpeg_compress_struct jpeg;
    unsigned char *bytes; /* of malloc */
    unsigned long size;
} jpeg_writer;

static void write_image(jpeg_writer *p, int w, int h, int c, const uint8_t *pixels, int quality)
{
    struct jpeg_compress_struct *j = &p->jpeg;
    j->err = catch_errors(&p->e);
    j->client_data = &p->e;
    jpeg_create_compress(j);
    jpeg_mem_dest(j, &p->bytes, &p->size);
    j->image_width = (JDIMENSION)w;
    j->image_height = (JDIMENSION)h;
    j->input_components = c;
    j->in_color_space = c == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(j);
    jpeg_set_quality(j, quality, TRUE);
    jpeg_start_compress(j, TRUE);
    while (j->next_scanline < j->image_height) {
        union {
            const uint8_t *in;
            JSAMPLE *row; /* libjpeg reads it only */
        } at = {pixels + (size_t)j->next_scanline * (size_t)w * (size_t)c};
        jpeg_write_scanlines(j, &at.row, 1);
    }
    jpeg_finish_compress(j);
}

static void run_writer(jpeg_writer *p, int w, int h, int c, const uint8_t *pixels, int quality)
{
    if (!setjmp(p->e.jump))
        write_image(p, w, h, c, pixels, quality);
}

cm_status cm_jpeg_encode(int w, int h, int c, const uint8_t *pixels, int quality, const char *name,
                         uint8_t **bytes, size_t *size, cm_error *err)
{
    jpeg_writer p = {.e = {.name = name, .err = err}};
    if (w < 1 || h < 1 || w > JPEG_MAX_DIMENSION || h > JPEG_MAX_DIMENSION || (c != 1 && c != 3))
        return cm_fail(
            err, CM_ERR_ARGUMENT,
            "%s: JPEG: expected 1 or 3 channels of at most %ld a side, found %d x %d x %d", name,
            JPEG_MAX_DIMENSION, w, h, c);
    run_writer(&p, w, h, c, pixels, quality);
    jpeg_destroy_compress(&p.jpeg);
    uint8_t *copy = p.e.status ? NULL : cm_alloc(p.size);
    if (copy) {
        memcpy(copy, p.bytes, p.size);
        *bytes = copy;
        *size = p.size;
    } else if (!p.e.status) {
        p.e.status = cm_fail(err, CM_ERR_MEMORY, "%s: JPEG: out of memory", name);
    }
    free(p.bytes);
    return p.e.status;
}
