/* webp.c - WebP from and to memory with libwebp */
#include "io/webp.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/encode.h>

enum {
    MAX_GAIN = 4096
}; /* pixels a byte: lossless files of one colour have more, no picture has */

/* libwebp calls a picture damaged when there was no memory for its alpha, or for some tables;
 * malloc leaves its mark in errno, which the callers set to 0. */
static cm_status failed(VP8StatusCode code, const char *name, cm_error *err)
{
    if (errno == ENOMEM)
        code = VP8_STATUS_OUT_OF_MEMORY;
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return cm_fail(err, CM_ERR_MEMORY, "%s: WebP: out of memory", name);
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return cm_fail(err, CM_ERR_FORMAT, "%s: WebP is cut short", name);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return cm_fail(err, CM_ERR_FORMAT, "%s: WebP: of a kind that libwebp does not read", name);
    default:
        return cm_fail(err, CM_ERR_FORMAT, "%s: WebP is damaged", name);
    }
}

/* Rows straight into the image's memory. */
static cm_status decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                        cm_error *err)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return cm_fail(err, CM_ERR_UNSUPPORTED, "%s: WebP: another libwebp than compiled with",
                       name);
    const int stride = im->w * im->c;
    config.output.colorspace = im->c == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){im->pixels, stride, (size_t)stride * (size_t)im->h};
    errno = 0;
    const VP8StatusCode code = WebPDecode(data, size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? CM_OK : failed(code, name, err);
}

cm_status cm_webp_decode(const uint8_t *data, size_t size, const char *name, cm_image *im,
                         cm_error *err)
{
    WebPBitstreamFeatures f;
    cm_image made = {0};
    errno = 0;
    const VP8StatusCode code = WebPGetFeatures(data, size, &f);
    if (code != VP8_STATUS_OK)
        return failed(code, name, err);
    if (f.has_animation)
        return cm_fail(err, CM_ERR_FORMAT, "%s: WebP: expected a still picture, found an animation",
                       name);
    cm_status s =
        cm_image_new(&made, f.width, f.height, f.has_alpha ? 4 : 3, size, MAX_GAIN, name, err);
    if (!s)
        s = decode(data, size, name, &made, err);
    if (s)
        cm_image_clear(&made);
    else
        *im = made;
    return s;
}

cm_status cm_webp_encode(int w, int h, int c, const uint8_t *pixels, int quality, const char *name,
                         uint8_t **bytes, size_t *size, cm_error *err)
{
    if (w < 1 || h < 1 || w > WEBP_MAX_DIMENSION || h > WEBP_MAX_DIMENSION || (c != 1 && c != 3))
        return cm_fail(
            err, CM_ERR_ARGUMENT,
            "%s: WebP: expected 1 or 3 channels of at most %d a side, found %d x %d x %d", name,
            WEBP_MAX_DIMENSION, w, h, c);
    const size_t n = (size_t)w * (size_t)h;
    uint8_t *rgb = cm_alloc_array(n, 3), *made = NULL, *copy = NULL;
    for (size_t i = 0; rgb && i < 3 * n; i++)
        rgb[i] = pixels[c == 3 ? i : i / 3];
    const size_t n_made = rgb ? WebPEncodeRGB(rgb, w, h, 3 * w, (float)quality, &made) : 0;
    if (n_made && (copy = cm_alloc(n_made)))
        memcpy(copy, made, n_made);
    WebPFree(made);
    cm_free(rgb);
    if (!copy)
        return cm_fail(err, CM_ERR_MEMORY, "%s: WebP: out of memory", name);
    *bytes = copy;
    *size = n_made;
    return CM_OK;
}
