/* resize.c - separable resampling, padding and centre crop of 8-bit images.
 *
 * Output o of an axis that goes from n_in to n_out samples is
 *     sum_i k((i + 1/2 - centre) / s) in[i] / sum_i k((i + 1/2 - centre) / s),
 *     centre = (o + 1/2) n_in / n_out,  s = max(1, n_in / n_out),
 * over the i inside the image.  k is the box on [-1/2, 1/2] or the cubic of Keys
 * 1981, "Cubic convolution interpolation", with a = -1/2, which is exact on
 * quadratics when enlarging.  Weights are rounded to 2^-22, so that a result is
 * the same bytes on every machine. */
#include "data/resize.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { MAX_TAPS = 16, FIXED_BITS = 22, PAD_FROM = 28, PAD_TO = 32 };
#define MAX_BYTES ((size_t)1 << 30) /* of an image between the passes */

typedef struct kernel {
    double radius;
    double (*value)(double x);
} kernel;

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double cubic(double x)
{
    x = fabs(x);
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static const kernel box_kernel = {0.5, box}, cubic_kernel = {2, cubic};

/* The weights of output o, in units of 2^-FIXED_BITS; returns their number and
 * the first input they apply to. */
static int axis_weights(kernel k, int n_in, int n_out, int o, int32_t weight[MAX_TAPS], int *first)
{
    const double scale = (double)n_in / n_out, wide = scale > 1 ? scale : 1;
    const double centre = (o + 0.5) * scale, radius = k.radius * wide;
    double w[MAX_TAPS] = {0}, sum = 0;
    int lo = (int)floor(centre - radius + 0.5), hi = (int)floor(centre + radius + 0.5);
    lo = lo > 0 ? lo : 0;
    hi = hi < n_in ? hi : n_in;
    /* Callers shrink by at most 3 with the box and about 2 with the cubic. */
    cm_assert(hi > lo && hi - lo <= MAX_TAPS);
    for (int i = lo; i < hi; i++)
        sum += w[i - lo] = k.value((i + 0.5 - centre) / wide);
    for (int i = lo; i < hi; i++)
        weight[i - lo] = (int32_t)lround(w[i - lo] / sum * (1 << FIXED_BITS));
    *first = lo;
    return hi - lo;
}

/* src [outer,n_in,inner] to dst [outer,n_out,inner]. */
static void resample_axis(kernel k, const uint8_t *src, size_t outer, int n_in, size_t inner,
                          int n_out, uint8_t *dst)
{
    for (int o = 0; o < n_out; o++) {
        int32_t weight[MAX_TAPS] = {0};
        int first;
        const int taps = axis_weights(k, n_in, n_out, o, weight, &first);
        for (size_t a = 0; a < outer; a++) {
            const uint8_t *in = src + (a * (size_t)n_in + (size_t)first) * inner;
            uint8_t *out = dst + (a * (size_t)n_out + (size_t)o) * inner;
            for (size_t b = 0; b < inner; b++) {
                int32_t v = 1 << (FIXED_BITS - 1); /* rounds to nearest */
                for (int t = 0; t < taps; t++)
                    v += weight[t] * in[(size_t)t * inner + b];
                v >>= FIXED_BITS;
                out[b] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
}

typedef struct image {
    int h, w, c;
    uint8_t *pixels; /* owned */
} image;

/* Replace *im by itself at h x w, rows first. */
static cm_status resample(const char *path, image *im, int h, int w, kernel k, cm_error *err)
{
    const size_t c = (size_t)im->c, old_h = (size_t)im->h, new_h = (size_t)h, new_w = (size_t)w;
    size_t bytes;
    int over = __builtin_mul_overflow(new_w * c, new_h > old_h ? new_h : old_h, &bytes);
    if (over || bytes > MAX_BYTES)
        return cm_fail(err, CM_ERR_UNSUPPORTED,
                       "%s: shape: expected an image of at most 1 GiB when resized, found %d x %d "
                       "to become %d x %d",
                       path, im->h, im->w, h, w);
    uint8_t *rows = cm_alloc(old_h * new_w * c), *both = cm_alloc(new_h * new_w * c);
    if (!rows || !both) {
        cm_free(rows);
        cm_free(both);
        return cm_fail(err, CM_ERR_MEMORY, "%s: resize: out of memory", path);
    }
    resample_axis(k, im->pixels, old_h, im->w, c, w, rows);
    resample_axis(k, rows, 1, im->h, new_w * c, h, both);
    cm_free(rows);
    cm_free(im->pixels);
    *im = (image){h, w, im->c, both};
    return CM_OK;
}

/* The smallest image of its shape that covers h x w. */
static cm_status resize(const char *path, image *im, int h, int w, cm_error *err)
{
    cm_status s = CM_OK;
    while (s == CM_OK && im->h / 2 >= h && im->w / 2 >= w)
        s = resample(path, im, im->h / 2, im->w / 2, box_kernel, err);
    if (s == CM_OK && ((im->h != h || im->w < w) && (im->w != w || im->h < h))) {
        const double by_h = (double)h / im->h, by_w = (double)w / im->w;
        const double scale = by_h > by_w ? by_h : by_w;
        const double new_h = rint(im->h * scale), new_w = rint(im->w * scale);
        if (new_h > 1e9 || new_w > 1e9)
            return cm_fail(err, CM_ERR_UNSUPPORTED,
                           "%s: shape: expected an image less narrow than %d x %d to resize to "
                           "%d x %d",
                           path, im->h, im->w, h, w);
        s = resample(path, im, (int)new_h, (int)new_w, cubic_kernel, err);
    }
    return s;
}

static void copy_rows(const uint8_t *src, size_t src_stride, uint8_t *dst, size_t dst_stride,
                      int rows, size_t bytes)
{
    for (int y = 0; y < rows; y++)
        memcpy(dst + (size_t)y * dst_stride, src + (size_t)y * src_stride, bytes);
}

void cm_image_fit_shape(int h, int w, int size_h, int size_w, int *out_h, int *out_w)
{
    const int pad = !size_h && h == PAD_FROM && w == PAD_FROM;
    *out_h = pad ? PAD_TO : size_h ? size_h : h;
    *out_w = pad ? PAD_TO : size_w ? size_w : w;
}

cm_status cm_image_fit(const char *path, const uint8_t *src, int h, int w, int c, int size_h,
                       int size_w, uint8_t *dst, cm_error *err)
{
    int out_h, out_w;
    cm_image_fit_shape(h, w, size_h, size_w, &out_h, &out_w);
    const size_t pixel = (size_t)c, stride = (size_t)w * pixel, out_stride = (size_t)out_w * pixel;
    if (out_h == h && out_w == w) {
        memcpy(dst, src, (size_t)h * stride);
        return CM_OK;
    }
    if (h == PAD_FROM && w == PAD_FROM && out_h == PAD_TO && out_w == PAD_TO) {
        const size_t border = (PAD_TO - PAD_FROM) / 2;
        memset(dst, 0, (size_t)out_h * out_stride);
        copy_rows(src, stride, dst + border * (out_stride + pixel), out_stride, h, stride);
        return CM_OK;
    }
    image im = {h, w, c, cm_alloc((size_t)h * stride)};
    if (!im.pixels)
        return cm_fail(err, CM_ERR_MEMORY, "%s: resize: out of memory", path);
    memcpy(im.pixels, src, (size_t)h * stride);
    const cm_status s = resize(path, &im, out_h, out_w, err);
    if (s == CM_OK) {
        const size_t top = (size_t)(im.h - out_h) / 2, left = (size_t)(im.w - out_w) / 2;
        const size_t im_stride = (size_t)im.w * pixel;
        copy_rows(im.pixels + top * im_stride + left * pixel, im_stride, dst, out_stride, out_h,
                  out_stride);
    }
    cm_free(im.pixels);
    return s;
}

/* ---- other ways ---- */

static void scale_by(double scale, int h, int w, double *to_h, double *to_w)
{
    *to_h = fmax(1, rint(h * scale));
    *to_w = fmax(1, rint(w * scale));
}

static void cover(int h, int w, int size_h, int size_w, double *to_h, double *to_w)
{
    scale_by(fmax((double)size_h / h, (double)size_w / w), h, w, to_h, to_w);
}

static void fit_within(int h, int w, int size_h, int size_w, double *to_h, double *to_w)
{
    scale_by(fmin((double)size_h / h, (double)size_w / w), h, w, to_h, to_w);
}

static void stretch(int h, int w, int size_h, int size_w, double *to_h, double *to_w)
{
    (void)h, (void)w;
    *to_h = size_h;
    *to_w = size_w;
}

static const cm_fit fits[] = {{"crop", cover}, {"pad", fit_within}, {"stretch", stretch}, {0}};

const cm_fit *cm_fit_find(const char *name)
{
    for (const cm_fit *f = fits; f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

static int has_border(int h, int w, int size_h, int size_w)
{
    return h == PAD_FROM && w == PAD_FROM && size_h == PAD_TO && size_w == PAD_TO;
}

/* Each axis halved with the box as often as that does not go below its size, then the cubic. */
static cm_status resize_to(const char *path, image *im, int h, int w, cm_error *err)
{
    cm_status s = CM_OK;
    while (!s && (im->h / 2 >= h || im->w / 2 >= w))
        s = resample(path, im, im->h / 2 >= h ? im->h / 2 : im->h,
                     im->w / 2 >= w ? im->w / 2 : im->w, box_kernel, err);
    return !s && (im->h != h || im->w != w) ? resample(path, im, h, w, cubic_kernel, err) : s;
}

static void fill_with_corners(const image *im, size_t n, uint8_t *dst)
{
    const int last_x = im->w - 1, last_y = im->h - 1;
    for (int k = 0; k < im->c; k++) {
        int sum = 2; /* rounds to nearest */
        for (int i = 0; i < 4; i++)
            sum += im->pixels[((i / 2 ? last_y : 0) * im->w + (i % 2 ? last_x : 0)) * im->c + k];
        for (size_t i = 0; i < n; i++)
            dst[i * (size_t)im->c + (size_t)k] = (uint8_t)(sum / 4);
    }
}

cm_status cm_image_fit_as(const cm_fit *fit, const char *path, const cm_image *src, int size_h,
                          int size_w, uint8_t *dst, cm_error *err)
{
    double to_h, to_w;
    const size_t pixel = (size_t)src->c, n = (size_t)src->h * (size_t)src->w * pixel;
    fit->scaled(src->h, src->w, size_h, size_w, &to_h, &to_w);
    if (has_border(src->h, src->w, size_h, size_w) || to_h > size_h || to_w > size_w)
        return cm_image_fit(path, src->pixels, src->h, src->w, src->c, size_h, size_w, dst, err);
    image im = {src->h, src->w, src->c, cm_alloc(n)};
    if (!im.pixels)
        return cm_fail(err, CM_ERR_MEMORY, "%s: resize: out of memory", path);
    memcpy(im.pixels, src->pixels, n);
    const cm_status s = resize_to(path, &im, (int)to_h, (int)to_w, err);
    if (!s) {
        const size_t top = (size_t)(size_h - im.h) / 2, left = (size_t)(size_w - im.w) / 2;
        const size_t stride = (size_t)size_w * pixel, bytes = (size_t)im.w * pixel;
        fill_with_corners(&im, (size_t)size_h * (size_t)size_w, dst);
        copy_rows(im.pixels, bytes, dst + top * stride + left * pixel, stride, im.h, bytes);
    }
    cm_free(im.pixels);
    return s;
}

/* The place in n that is nearest to the middle of place i of `size`, which shows the middle of
 * n scaled to `to`; -1: beyond it. */
static int nearest(int i, int size, double to, int n)
{
    const double at = (i + 0.5 - floor((size - to) / 2)) / to;
    return at < 0 || at >= 1 ? -1 : (int)(at * n);
}

void cm_image_fit_nearest(const cm_fit *fit, const cm_image *src, int size_h, int size_w,
                          uint8_t *dst)
{
    const int h = src->h, w = src->w, c = src->c;
    double to_h = h, to_w = w;
    if (!has_border(h, w, size_h, size_w))
        fit->scaled(h, w, size_h, size_w, &to_h, &to_w);
    for (int i = 0; i < size_h * size_w; i++) {
        const int y = nearest(i / size_w, size_h, to_h, h);
        const int x = nearest(i % size_w, size_w, to_w, w);
        const int beyond = x < 0 || y < 0;
        const size_t at = beyond ? 0 : ((size_t)y * (size_t)w + (size_t)x) * (size_t)c;
        for (int k = 0; k < c; k++)
            dst[i * c + k] = beyond ? 0 : src->pixels[at + (size_t)k];
    }
}
