/* test_image.c - pictures of other programs (libjpeg's cjpeg, libwebp's cwebp), all of one
 * motif of 24 x 16 pixels: red, blue / green, nearly white, a quarter each; what is refused
 * says what it is */
#include "scratch.h"

#include "base/memory.h"
#include "io/file.h"
#include "io/image.h"

#define CORPUS "tests/fuzz/corpus/image/"

static const uint8_t white[] = {255, 255, 255}, black[] = {0, 0, 0};
static const uint8_t red[] = {220, 30, 30}, blue[] = {30, 30, 220}, green[] = {30, 200, 30},
                     pale[] = {240, 240, 240};

static void expect_colour(const cm_image *im, int x, int y, const uint8_t colour[3],
                          const char *where)
{
    const uint8_t *p = im->pixels + (y * im->w + x) * im->c;
    for (int k = 0; k < 3; k++)
        CHECK(abs(p[k] - colour[k]) <= 16, "%s: pixel %d %d: channel %d: expected %d, found %d",
              where, x, y, k, colour[k], p[k]);
}

/* The middles of the four quarters. */
static void expect_quarters(const char *file, const uint8_t *background, int w, int h,
                            const uint8_t *const colours[4])
{
    char path[256];
    cm_error err = {0};
    cm_image im = {0};
    snprintf(path, sizeof path, CORPUS "%s", file);
    if (!CHECK_OK(cm_image_read(path, background, &im, &err), err))
        return;
    if (CHECK(im.w == w && im.h == h && im.c == 3, "%s: %d x %d x %d", file, im.w, im.h, im.c))
        for (int k = 0; k < 4; k++)
            expect_colour(&im, w / 4 + k % 2 * w / 2, h / 4 + k / 2 * h / 2, colours[k], file);
    cm_image_clear(&im);
}

static void every_kind(void)
{
    const uint8_t *const upright[] = {red, blue, green, pale};
    expect_quarters("progressive.jpg", white, 24, 16, upright);
    expect_quarters("cmyk.jpg", white, 24, 16, upright);
    expect_quarters("lossy.webp", white, 24, 16, upright);
    expect_quarters("lossless.webp", white, 24, 16, upright);
}

/* Orientation 6 was taken with the camera turned: its first row is the right side.  3 is
 * upside down. */
static void orientation(void)
{
    expect_quarters("exif6.jpg", white, 16, 24, (const uint8_t *const[]){green, red, pale, blue});
    expect_quarters("exif3.jpg", white, 24, 16, (const uint8_t *const[]){pale, green, blue, red});
}

static void transparency(void)
{
    expect_quarters("alpha.webp", white, 24, 16,
                    (const uint8_t *const[]){red, white, green, white});
    expect_quarters("alpha.webp", black, 24, 16,
                    (const uint8_t *const[]){red, black, green, black});
    expect_quarters("alpha.webp", blue, 24, 16, (const uint8_t *const[]){red, blue, green, blue});
}

static void round_trips(void)
{
    static const char *const formats[] = {"png", "jpeg", "webp"};
    uint8_t pixels[20 * 10 * 3], *bytes;
    size_t n;
    cm_error err = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i / 60 * 20 + i % 60 / 3 * 3);
    for (int f = 0; f < 3; f++)
        for (int c = 1; c <= 3; c += 2) {
            cm_image im = {0};
            if (!CHECK_OK(cm_image_encode(&(cm_encoding){formats[f], 95, NULL}, 20, 10, c, pixels,
                                          &bytes, &n, &err),
                          err) ||
                !CHECK_OK(cm_image_decode(bytes, n, formats[f], white, &im, &err), err))
                continue;
            const int stored = f == 2 ? 3 : c; /* WebP has no grey */
            CHECK(im.w == 20 && im.h == 10 && im.c == stored, "%d x %d x %d", im.w, im.h, im.c);
            for (int i = 0; i < 20 * 10 * c && im.c == stored; i++) {
                const int got = im.pixels[c == 1 ? i * stored : i];
                CHECK(abs(got - pixels[i]) <= (f ? 12 : 0), "%s: byte %d: expected %d, found %d",
                      formats[f], i, pixels[i], got);
            }
            cm_image_clear(&im);
            cm_free(bytes);
        }
    CHECK(cm_image_encode(&(cm_encoding){"gif", 90, NULL}, 20, 10, 3, pixels, &bytes, &n, &err) ==
              CM_ERR_ARGUMENT,
          "gif");
    CHECK(cm_image_encode(&(cm_encoding){"jpeg", 0, NULL}, 20, 10, 3, pixels, &bytes, &n, &err) ==
              CM_ERR_ARGUMENT,
          "0");
    CHECK(cm_image_encode(&(cm_encoding){"webp", 9, NULL}, 20, 10, 2, pixels, &bytes, &n, &err) ==
              CM_ERR_ARGUMENT,
          "2");
}

static void refuse(const void *data, size_t n, const char *says)
{
    cm_error err = {0};
    cm_image im = {0};
    CHECK(cm_image_decode(data, n, "x", white, &im, &err) == CM_ERR_FORMAT, "accepted: %s", says);
    CHECK(!im.pixels, "pixels on failure: %s", says);
    has(&err, says);
}

static void true_kinds(void)
{
    refuse("", 0, "x: expected a PNG, JPEG or WebP image, found: empty");
    refuse("GIF89a......", 12, "found: a GIF image");
    refuse("hello, world\n", 13, "found: text");
    refuse("<svg xmlns=", 11, "found: an SVG drawing");
    refuse("\0\0\0\x18"
           "ftypheic",
           12, "found: a HEIC image");
    refuse("\1\2\3", 3, "found: of no known kind");
}

static void damage(void)
{
    static const char *const files[] = {"progressive.jpg", "lossy.webp", "lossless.webp"};
    for (int i = 0; i < 3; i++) {
        char path[256], says[64];
        cm_error err = {0};
        uint8_t *data = NULL;
        size_t n = 0;
        snprintf(path, sizeof path, CORPUS "%s", files[i]);
        if (!CHECK_OK(cm_file_read(path, 1 << 20, (void **)&data, &n, &err), err))
            continue;
        snprintf(says, sizeof says, "%s is cut short", i ? "WebP" : "JPEG");
        refuse(data, n / 2, says);
        cm_free(data);
    }
    /* 40000 x 40000 claimed by the frame header of a short file */
    static const uint8_t claim[] = "\xff\xd8\xff\xc0\0\x0b\x08\x9c\x40\x9c\x40\1\1\x11\0\xff\xda\0"
                                   "\x08\1\1\0\0\x3f\0";
    refuse(claim, sizeof claim - 1,
           "size: expected at most 16384 a side and 67108864 pixels, found 40000 x 40000");
}

static const check_test tests[] = {
    {"every kind", every_kind},
    {"EXIF orientation", orientation},
    {"transparency shows the background", transparency},
    {"round trips", round_trips},
    {"what is not a picture is named", true_kinds},
    {"damaged, cut short, too large", damage},
};

SCRATCH_MAIN(tests)
