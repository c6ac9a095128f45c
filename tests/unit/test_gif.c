/* test_gif.c - animations read back with giflib, which did not choose their colours: frames of
 * few colours exactly, of many closely; what GIF cannot hold is refused */
#include "scratch.h"

#include "base/memory.h"
#include "io/gif.h"
#include "io/palette.h"

#include <gif_lib.h>

enum { W = 37, H = 29, COUNT = W * H, MOST_FRAMES = 4 };

typedef struct film {
    const uint8_t *bytes;
    size_t size, at;
} film;

static int feed(GifFileType *file, GifByteType *to, int n)
{
    film *f = file->UserData;
    const size_t left = f->size - f->at, k = left < (size_t)n ? left : (size_t)n;
    memcpy(to, f->bytes + f->at, k);
    f->at += k;
    return (int)k;
}

/* Frames of c channels, frame i shown for 10 i hundredths, written and read again. */
static GifFileType *round_trip(int n, int c, uint8_t frames[][COUNT * 3])
{
    static uint8_t *bytes;
    static film f;
    cm_error err = {0};
    cm_gif *gif = NULL;
    int code = 0;
    cm_free(bytes);
    bytes = NULL;
    cm_status s = cm_gif_new(W, H, c, "film", &gif, &err);
    for (int i = 0; i < n && !s; i++)
        s = cm_gif_frame(gif, frames[i], 10 * i, &err);
    if (!s)
        s = cm_gif_end(gif, &bytes, &f.size, &err);
    cm_gif_free(gif);
    CHECK_OK(s, err);
    f.bytes = bytes;
    f.at = 0;
    GifFileType *read = s ? NULL : DGifOpen(&f, feed, &code);
    if (!s && CHECK(read && DGifSlurp(read) == GIF_OK, "giflib: error %d", code) &&
        CHECK(f.at == f.size, "%zu of %zu bytes are read", f.at, f.size) &&
        CHECK(read->SWidth == W && read->SHeight == H && read->ImageCount == n,
              "%d frames of %d x %d", read->ImageCount, read->SWidth, read->SHeight))
        return read;
    DGifCloseFile(read, &code);
    return NULL;
}

static GifColorType colour_at(const GifFileType *read, int frame, int i)
{
    const SavedImage *im = &read->SavedImages[frame];
    return im->ImageDesc.ColorMap->Colors[im->RasterBits[i]];
}

static int error_at(const GifFileType *read, int frame, int i, const uint8_t rgb[3])
{
    const GifColorType got = colour_at(read, frame, i);
    const int r = abs(got.Red - rgb[0]), g = abs(got.Green - rgb[1]), b = abs(got.Blue - rgb[2]);
    return r > g ? (r > b ? r : b) : g > b ? g : b;
}

static int worst_error(const GifFileType *read, int frame, const uint8_t *pixels, int c)
{
    int worst = 0;
    for (int i = 0; i < COUNT; i++) {
        const uint8_t *p = pixels + i * c;
        const int e = error_at(read, frame, i, (uint8_t[]){p[0], p[c / 2], p[c - 1]});
        worst = e > worst ? e : worst;
    }
    return worst;
}

/* Frames of 1, 2, 3 and 256 colours, far apart and near. */
static void few_colours_are_exact(void)
{
    static uint8_t frames[MOST_FRAMES][COUNT * 3];
    static const int colours[MOST_FRAMES] = {1, 2, 3, 256};
    for (int c = 1; c <= 3; c += 2) {
        for (int f = 0; f < MOST_FRAMES; f++)
            for (int i = 0; i < COUNT; i++)
                for (int k = 0; k < c; k++)
                    frames[f][i * c + k] = (uint8_t)(i % colours[f] * (2 * k + 1) + 17 * f);
        GifFileType *read = round_trip(MOST_FRAMES, c, frames);
        for (int f = 0; read && f < MOST_FRAMES; f++)
            CHECK(!worst_error(read, f, frames[f], c), "%d colours of %d channels: error %d",
                  colours[f], c, worst_error(read, f, frames[f], c));
        int code;
        DGifCloseFile(read, &code);
    }
}

static void times_and_loop(void)
{
    static uint8_t frames[3][COUNT * 3];
    GifFileType *read = round_trip(3, 1, frames);
    for (int f = 0; read && f < 3; f++) {
        GraphicsControlBlock control;
        CHECK(DGifSavedExtensionToGCB(read, f, &control) == GIF_OK && control.DelayTime == 10 * f &&
                  control.TransparentColor == -1,
              "frame %d: %d hundredths, transparent %d", f, control.DelayTime,
              control.TransparentColor);
    }
    const ExtensionBlock *e = read ? read->SavedImages[0].ExtensionBlocks : NULL;
    CHECK(e && e[0].Function == APPLICATION_EXT_FUNC_CODE && e[0].ByteCount == 11 &&
              !memcmp(e[0].Bytes, "NETSCAPE2.0", 11) && e[1].ByteCount == 3 &&
              !memcmp(e[1].Bytes, "\1\0\0", 3),
          "no loop for ever");
    int code;
    DGifCloseFile(read, &code);
}

/* A plane of 37 reds and 29 greens in 256 cells: one of two by two has its mean half a step of
 * 255/28 away, one of three by two a whole step. */
static void many_colours_are_near(void)
{
    static uint8_t frames[1][COUNT * 3];
    for (int i = 0; i < COUNT; i++) {
        frames[0][i * 3] = (uint8_t)(i % W * 255 / (W - 1));
        frames[0][i * 3 + 1] = (uint8_t)(i / W * 255 / (H - 1));
        frames[0][i * 3 + 2] = 90;
    }
    GifFileType *read = round_trip(1, 3, frames);
    const int worst = read ? worst_error(read, 0, frames[0], 3) : 255;
    CHECK(worst <= 10, "error %d", worst);
    for (int i = 0; read && i < COUNT; i++)
        if (!CHECK(colour_at(read, 0, i).Blue == 90, "pixel %d: blue %d", i,
                   colour_at(read, 0, i).Blue))
            break;
    int code;
    DGifCloseFile(read, &code);
}

/* Each entry is the mean of the pixels that it stands for. */
static void palette_is_of_means(void)
{
    static uint8_t pixels[COUNT], index[COUNT * 3], rgb[COUNT * 3];
    cm_palette p;
    double sum[CM_PALETTE_MOST][3] = {{0}}, n[CM_PALETTE_MOST] = {0};
    uint32_t x = 1;
    for (int i = 0; i < COUNT * 3; i++)
        rgb[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    if (!CHECK(cm_palette_make(rgb, COUNT, 3, &p, index), "out of memory") ||
        !CHECK(p.n == CM_PALETTE_MOST, "%d colours", p.n))
        return;
    for (int i = 0; i < COUNT; i++) {
        n[index[i]]++;
        for (int k = 0; k < 3; k++)
            sum[index[i]][k] += rgb[i * 3 + k];
    }
    for (int j = 0; j < p.n; j++)
        for (int k = 0; k < 3; k++)
            CHECK(n[j] > 0 && fabs(sum[j][k] / n[j] - p.rgb[j][k]) <= 0.5,
                  "colour %d: %d, the mean of %g pixels is %g", j, p.rgb[j][k], n[j],
                  sum[j][k] / n[j]);
    CHECK(cm_palette_make(pixels, COUNT, 1, &p, index) && p.n == 1 && !p.rgb[0][0], "of black");
}

static void refuses(void)
{
    cm_error err = {0};
    cm_gif *gif = NULL;
    uint8_t pixel[3] = {0}, *bytes = NULL;
    size_t size = 0;
    CHECK(cm_gif_new(65536, 1, 3, "x.gif", &gif, &err) == CM_ERR_ARGUMENT &&
              !strcmp(err.message, "x.gif: GIF: expected 1 or 3 channels of at most 65535 a side, "
                                   "found 65536 x 1 x 3"),
          "%s", err.message);
    CHECK(cm_gif_new(1, 1, 2, "x.gif", &gif, &err) == CM_ERR_ARGUMENT && !gif, "%s", err.message);
    if (!CHECK_OK(cm_gif_new(1, 1, 3, "x.gif", &gif, &err), err))
        return;
    CHECK(cm_gif_frame(gif, pixel, 65536, &err) == CM_ERR_ARGUMENT &&
              strstr(err.message, "found 65536"),
          "%s", err.message);
    CHECK(cm_gif_end(gif, &bytes, &size, &err) == CM_ERR_ARGUMENT &&
              strstr(err.message, "at least one frame") && !bytes,
          "%s", err.message);
    cm_gif_free(gif);
}

static const check_test tests[] = {
    {"few colours are exact", few_colours_are_exact},
    {"frames have their times, and the film loops", times_and_loop},
    {"many colours are near", many_colours_are_near},
    {"a palette is of means", palette_is_of_means},
    {"what GIF cannot hold is refused", refuses},
};
CHECK_MAIN(tests)
