/* jpeg.c - decoding JPEG with libjpeg-turbo from memory.  It reports errors through a
 * function that must not return, and warns where it goes on with made-up pixels; both end
 * the decoding here. */
#include "io/jpeg.h"

#include "base/error.h"
#include "io/exif.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs it */
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    MAX_GAIN = 1024, /* pixels a byte: a flat block of 64 takes at least half a bit */
    MAX_SCANS = 500, /* a progressive file can ask for any number of passes */
    EXIF = JPEG_APP0 + 1,
    EXIF_BYTES = 0xffff
};

/* What must survive the longjmp. */
typedef struct jpeg_state {
    jmp_buf escape;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    const uint8_t *data;
    size_t size;
    const char *name;
    cm_error *err;
    cm_status status;
    cm_image im;
    int orientation;
} jpeg_state;

static _Noreturn void leave(jpeg_state *p, cm_status s)
{
    p->status = s;
    longjmp(p->escape, 1);
}

static _Noreturn void on_error(j_common_ptr jpeg)
{
    jpeg_state *p = jpeg->client_data;
    char what[JMSG_LENGTH_MAX], shown[256];
    if (jpeg->err->msg_code == JERR_OUT_OF_MEMORY)
        leave(p, cm_fail(p->err, CM_ERR_MEMORY, "%s: JPEG: out of memory", p->name));
    jpeg->err->format_message(jpeg, what);
    leave(p, cm_fail(p->err, CM_ERR_FORMAT, "%s: JPEG: %s", p->name,
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

static void start_source(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean no_more_bytes(j_decompress_ptr jpeg)
{
    jpeg_state *p = jpeg->client_data;
    leave(p, cm_fail(p->err, CM_ERR_FORMAT, "%s: JPEG is cut short", p->name));
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
    jpeg_state *p = jpeg->client_data;
    if (p->jpeg.input_scan_number > MAX_SCANS)
        leave(p, cm_fail(p->err, CM_ERR_FORMAT, "%s: JPEG: expected at most %d scans, found more",
                         p->name, MAX_SCANS));
}

static void prepare(jpeg_state *p)
{
    p->jpeg.err = jpeg_std_error(&p->errors);
    p->errors.error_exit = on_error;
    p->errors.emit_message = on_message;
    p->errors.output_message = print_nothing;
    p->jpeg.client_data = p;
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
                                     MAX_GAIN, p->name, p->err);
    if (s)
        leave(p, s);
    j->out_color_space = grey ? JCS_GRAYSCALE : j->num_components == 4 ? JCS_CMYK : JCS_RGB;
    j->dct_method = JDCT_ISLOW; /* the same bytes with and without SIMD */
    jpeg_start_decompress(j);
    read_rows(p);
    jpeg_finish_decompress(j);
}

/* p belongs to the caller, so its fields are defined after a longjmp (C11 7.13.2.1). */
static void run(jpeg_state *p)
{
    if (!setjmp(p->escape))
        read_image(p);
}

cm_status cm_jpeg_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                         cm_error *err)
{
    jpeg_state p = {.data = data, .size = size, .name = name, .err = err};
    run(&p);
    jpeg_destroy_decompress(&p.jpeg);
    if (!p.status)
        p.status = cm_image_orient(&p.im, p.orientation, name, err);
    if (p.status)
        cm_image_clear(&p.im);
    else
        *im = p.im;
    return p.status;
}
