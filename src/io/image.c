/* image.c - which decoder or encoder, and transparency */
#include "io/image.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/jpeg.h"
#include "io/png.h"
#include "io/webp.h"

#include <string.h>
#include <unistd.h>

enum { MAX_FILE = 256 << 20, LOOK = 512 /* bytes that tell the kind */ };

typedef cm_status (*decode_fn)(const uint8_t *data, size_t size, const char *name, cm_image *im,
                               cm_error *err);

/* A kind of file: its bytes at `at`, and who reads it (NULL: named in messages only). */
static const struct kind {
    const char *name;
    size_t at, n;
    const char *bytes;
    decode_fn decode;
} kinds[] = {
    {"PNG", 0, 8, "\x89PNG\r\n\x1a\n", cm_png_decode},
    {"JPEG", 0, 3, "\xff\xd8\xff", cm_jpeg_decode},
    {"WebP", 8, 4, "WEBP", cm_webp_decode},
    {"a GIF image", 0, 4, "GIF8", NULL},
    {"a TIFF image", 0, 4, "II*\0", NULL},
    {"a TIFF image", 0, 4, "MM\0*", NULL},
    {"a HEIC image", 4, 7, "ftyphei", NULL},
    {"a HEIC image", 4, 8, "ftypmif1", NULL},
    {"an AVIF image", 4, 8, "ftypavif", NULL},
    {"a JPEG XL image", 0, 2, "\xff\x0a", NULL},
    {"a JPEG 2000 image", 4, 4, "jP  ", NULL},
    {"a PDF document", 0, 5, "%PDF-", NULL},
    {"a ZIP archive", 0, 4, "PK\3\4", NULL},
    {"gzip data", 0, 2, "\x1f\x8b", NULL},
    {"a Python pickle", 0, 2, "\x80\2", NULL},
    {"a Python pickle", 0, 2, "\x80\3", NULL},
    {"a Python pickle", 0, 2, "\x80\4", NULL},
    {"a Python pickle", 0, 2, "\x80\5", NULL},
    {"an SVG drawing", 0, 4, "<svg", NULL},
    {"an XML text", 0, 5, "<?xml", NULL},
    {"a BMP image", 0, 2, "BM", NULL},
};

const char cm_image_no_kind[] = "of no known kind";

static const struct kind *find_kind(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *k = &kinds[i];
        if (size >= k->at + k->n && !memcmp(data + k->at, k->bytes, k->n))
            return k;
    }
    return NULL;
}

/* No control bytes among the first ones but those of lines. */
static int is_text(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size && i < LOOK; i++)
        if (data[i] == 127 || (data[i] < ' ' && !(data[i] >= '\t' && data[i] <= '\r')))
            return 0;
    return 1;
}

const char *cm_image_kind(const void *data, size_t size)
{
    const struct kind *k = find_kind(data, size);
    if (k)
        return k->name;
    return !size ? "empty" : is_text(data, size) ? "text" : cm_image_no_kind;
}

int cm_image_is_known(const void *data, size_t size)
{
    const struct kind *k = find_kind(data, size);
    return k && k->decode;
}

/* ---- transparency ------------------------------------------------------- */

static uint8_t over(int value, int alpha, int background)
{
    return (uint8_t)((value * alpha + background * (255 - alpha) + 127) / 255);
}

/* [.., c + 1] with alpha last to [.., out_c], in new memory. */
static cm_status composite(cm_image *im, const uint8_t background[3], const char *name,
                           cm_error *err)
{
    const size_t n = (size_t)im->w * (size_t)im->h, c = (size_t)im->c;
    const int grey = c == 2 && background[0] == background[1] && background[1] == background[2];
    const size_t out_c = grey ? 1 : 3;
    uint8_t *out = cm_alloc_array(n, out_c);
    if (!out)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %d x %d pixels", name, im->w,
                       im->h);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *in = im->pixels + i * c;
        im->transparent |= in[c - 1] < 255;
        for (size_t k = 0; k < out_c; k++)
            out[i * out_c + k] = over(in[c == 2 ? 0 : k], in[c - 1], background[k]);
    }
    cm_free(im->pixels);
    im->pixels = out;
    im->c = (int)out_c;
    return CM_OK;
}

/* ---- reading ------------------------------------------------------------ */

cm_status cm_image_decode(const void *data, size_t size, const char *name,
                          const uint8_t background[3], cm_image *im, cm_error *err)
{
    char shown[512];
    cm_image made = {0};
    const struct kind *k = find_kind(data, size);
    cm_escape(shown, sizeof shown, name);
    if (!k || !k->decode)
        return cm_fail(err, CM_ERR_FORMAT, "%s: expected a PNG, JPEG or WebP image, found: %s",
                       shown, cm_image_kind(data, size));
    cm_status s = k->decode(data, size, shown, &made, err);
    if (!s && (made.c == 2 || made.c == 4))
        s = composite(&made, background, shown, err);
    if (s)
        cm_image_clear(&made);
    else
        *im = made;
    return s;
}

cm_status cm_image_file_kind(const char *path, const char **kind, int *known, cm_error *err)
{
    uint8_t first[LOOK];
    uint64_t size;
    int fd;
    cm_status s = cm_file_open(path, &fd, &size, err);
    if (s)
        return s;
    const size_t n = size < LOOK ? (size_t)size : LOOK;
    s = cm_file_pread(fd, path, first, n, 0, err);
    close(fd);
    if (!s) {
        *kind = cm_image_kind(first, n);
        *known = cm_image_is_known(first, n);
    }
    return s;
}

cm_status cm_image_read(const char *path, const uint8_t background[3], cm_image *im, cm_error *err)
{
    void *data;
    size_t size;
    cm_status s = cm_file_read(path, MAX_FILE, &data, &size, err);
    if (s)
        return s;
    s = cm_image_decode(data, size, path, background, im, err);
    cm_free(data);
    return s;
}

/* ---- writing ------------------------------------------------------------ */

cm_status cm_image_encode(const cm_encoding *e, int w, int h, int c, const uint8_t *pixels,
                          uint8_t **bytes, size_t *size, cm_error *err)
{
    static const char *const key[] = {"Title"};
    char shown[64];
    const cm_png_text text = {e->title && *e->title, key, &e->title};
    if (e->quality < 1 || e->quality > 100)
        return cm_fail(err, CM_ERR_ARGUMENT, "quality: expected 1 to 100, found %d", e->quality);
    if (!strcmp(e->format, "png"))
        return cm_png_encode(w, h, c, pixels, &text, bytes, size, err);
    if (!strcmp(e->format, "jpeg"))
        return cm_jpeg_encode(w, h, c, pixels, e->quality, "image", bytes, size, err);
    if (!strcmp(e->format, "webp"))
        return cm_webp_encode(w, h, c, pixels, e->quality, "image", bytes, size, err);
    return cm_fail(err, CM_ERR_ARGUMENT, "image: expected png, jpeg or webp, found %s",
                   cm_escape(shown, sizeof shown, e->format));
}
