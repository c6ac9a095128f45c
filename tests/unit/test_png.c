/* test_png.c - PNG: round trips, text, and images of every kind made with libpng
 * directly, which the reader must bring to 8-bit grey or RGB */
#include "scratch.h"

#include "base/memory.h"
#include "io/file.h"
#include "io/image.h"
#include "io/png.h"

#include <png.h>

/* Write rows as they are, of any PNG kind. */
typedef struct kind {
    int w, h, depth, type, interlace;
    const png_color *palette;
    int n_palette;
    const png_byte *alpha;
    int n_alpha;
    size_t row;
} kind;

static void make(const char *path, const kind *k, const uint8_t *rows)
{
    FILE *f = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)k->w, (png_uint_32)k->h, k->depth, k->type, k->interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (k->palette)
        png_set_PLTE(png, info, k->palette, k->n_palette);
    if (k->alpha)
        png_set_tRNS(png, info, k->alpha, k->n_alpha, NULL);
    png_write_info(png, info);
    const int passes = png_set_interlace_handling(png);
    for (int p = 0; p < passes; p++)
        for (int y = 0; y < k->h; y++)
            png_write_row(png, rows + (size_t)y * k->row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(f);
}

static const uint8_t black[3];

static void expect(const char *path, int w, int h, int c, const uint8_t *pixels)
{
    cm_error err = {0};
    cm_image got = {0};
    if (!CHECK_OK(cm_image_read(path, black, &got, &err), err))
        return;
    CHECK(got.w == w && got.h == h && got.c == c, "%d x %d x %d", got.w, got.h, got.c);
    for (int i = 0; i < w * h * c && got.w * got.h * got.c == w * h * c; i++)
        CHECK(got.pixels[i] == pixels[i], "byte %d: expected %d, found %d", i, pixels[i],
              got.pixels[i]);
    cm_image_clear(&got);
}

static void round_trip(void)
{
    uint8_t pixels[7 * 5 * 3];
    cm_error err = {0};
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    for (int c = 1; c <= 3; c += 2) {
        CHECK_OK(cm_png_write(in_dir("a.png"), 7, 5, c, pixels, NULL, &err), err);
        expect(in_dir("a.png"), 7, 5, c, pixels);
    }
    CHECK(scratch_count(1) == 1, "extra files");
}

static void every_kind(void)
{
    static const uint8_t rgba[] = {1, 2, 3, 0, 4, 5, 6, 255}, rgb[] = {0, 0, 0, 4, 5, 6};
    make(in_dir("k"), &(kind){.w = 2, .h = 1, .depth = 8, .type = PNG_COLOR_TYPE_RGBA, .row = 8},
         rgba);
    expect(in_dir("k"), 2, 1, 3, rgb);
    static const uint8_t ga[] = {9, 0, 200, 128}, g[] = {0, 100};
    make(in_dir("k"),
         &(kind){.w = 2, .h = 1, .depth = 8, .type = PNG_COLOR_TYPE_GRAY_ALPHA, .row = 4}, ga);
    expect(in_dir("k"), 2, 1, 1, g);
    /* 16 bits: 0x8100 * 255 / 65535 is 128.498, so 128, though its upper byte is 129 */
    static const uint8_t deep[] = {0x81, 0x00, 0xff, 0xff}, shallow[] = {128, 255};
    make(in_dir("k"), &(kind){.w = 2, .h = 1, .depth = 16, .type = PNG_COLOR_TYPE_GRAY, .row = 4},
         deep);
    expect(in_dir("k"), 2, 1, 1, shallow);
    /* 1 bit, ten pixels: 1100 0000 01 */
    static const uint8_t bits[] = {0xc0, 0x40}, wide[] = {255, 255, 0, 0, 0, 0, 0, 0, 0, 255};
    make(in_dir("k"), &(kind){.w = 10, .h = 1, .depth = 1, .type = PNG_COLOR_TYPE_GRAY, .row = 2},
         bits);
    expect(in_dir("k"), 10, 1, 1, wide);
    /* 2-bit palette with transparency, interlaced: 2 1 0 / 0 0 1 */
    static const png_color palette[] = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}};
    static const png_byte alpha[] = {0, 128};
    static const uint8_t index[] = {0x90, 0x04};
    static const uint8_t colour[] = {70, 80, 90, 20, 25, 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 25, 30};
    make(in_dir("k"),
         &(kind){.w = 3,
                 .h = 2,
                 .depth = 2,
                 .type = PNG_COLOR_TYPE_PALETTE,
                 .interlace = PNG_INTERLACE_ADAM7,
                 .palette = palette,
                 .n_palette = 3,
                 .alpha = alpha,
                 .n_alpha = 2,
                 .row = 1},
         index);
    expect(in_dir("k"), 3, 2, 3, colour);
}

static void text_chunks(void)
{
    static const uint8_t pixel[3] = {1, 2, 3};
    static const char *const keys[] = {"seed", "title"}, *const values[] = {"42",
                                                                            "d\xc3\xa9j\xc3\xa0"};
    cm_error err = {0};
    CHECK_OK(cm_png_write(in_dir("t"), 1, 1, 3, pixel, &(cm_png_text){2, keys, values}, &err), err);
    FILE *f = fopen(in_dir("t"), "rb");
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_textp t = NULL;
    int n = 0;
    png_init_io(png, f);
    png_read_info(png, info);
    png_get_text(png, info, &t, &n);
    if (CHECK(n == 2, "%d texts", n))
        for (int i = 0; i < 2; i++)
            CHECK(!strcmp(t[i].key, keys[i]) && !strcmp(t[i].text, values[i]) &&
                      t[i].compression ==
                          (i ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE),
                  "%s = %s (%d)", t[i].key, t[i].text, t[i].compression);
    png_destroy_read_struct(&png, &info, NULL);
    fclose(f);
}

static void refusals(void)
{
    static const uint8_t pixels[64] = {0};
    static const char *const key[] = {" k"}, *const value[] = {"v"};
    cm_error err = {0};
    cm_image im = {0};
    uint8_t *file = NULL;
    size_t n = 0;
    scratch_count(1);
    CHECK(cm_png_write(in_dir("x"), 0, 1, 1, pixels, NULL, &err) == CM_ERR_ARGUMENT, "0");
    CHECK(cm_png_write(in_dir("x"), 1, 1, 2, pixels, NULL, &err) == CM_ERR_ARGUMENT, "2");
    CHECK(cm_png_write(in_dir("x"), 1, 1, 1, pixels, &(cm_png_text){1, key, value}, &err) ==
              CM_ERR_ARGUMENT,
          "key");
    CHECK(cm_png_write(in_dir("no/x"), 1, 1, 1, pixels, NULL, &err) == CM_ERR_IO, "no");
    has(&err, "no/x");
    CHECK(scratch_count(0) == 0, "%d files left", scratch_count(0));
    CHECK(cm_image_read(in_dir("x"), black, &im, &err) == CM_ERR_IO, "missing");
    put(in_dir("x"), "GIF89a", 6);
    CHECK(cm_image_read(in_dir("x"), black, &im, &err) == CM_ERR_FORMAT, "a GIF");
    has(&err, in_dir("x"));
    /* A header that claims 8000 x 8000 pixels in 60 bytes allocates nothing. */
    CHECK_OK(cm_png_write(in_dir("x"), 1, 1, 1, pixels, NULL, &err), err);
    CHECK_OK(cm_file_read(in_dir("x"), 4096, (void **)&file, &n, &err), err);
    memcpy(file + 16, "\0\0\x1f\x40\0\0\x1f\x40", 8);
    uint32_t crc = 0xffffffffu; /* of "IHDR" and its 13 bytes: PNG, annex D */
    for (int i = 12; i < 29; i++) {
        crc ^= file[i];
        for (int b = 0; b < 8; b++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    for (int i = 0; i < 4; i++)
        file[29 + i] = (uint8_t)(~crc >> (24 - 8 * i));
    CHECK(cm_image_decode(file, n, "big", black, &im, &err) == CM_ERR_FORMAT, "too large");
    has(&err, "big: size: 8000 x 8000 pixels cannot fit");
    CHECK(!im.w && !im.pixels, "outputs changed on failure");
    cm_free(file);
}

static const check_test tests[] = {
    {"round trip", round_trip},
    {"every kind comes out as 8-bit grey or RGB", every_kind},
    {"text chunks", text_chunks},
    {"refusals", refusals},
};

SCRATCH_MAIN(tests)
