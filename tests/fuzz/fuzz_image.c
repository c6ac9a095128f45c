/* fuzz_image.c - libFuzzer's target for one image reader: FORMAT is png, jpeg or webp.  The
 * first bytes, which tell the kind, are put right, and the checksums of a PNG, so that damage
 * comes to the decoder.  ./run fuzz FORMAT */
#include "io/image.h"
#include "png_checksums.h"
#include "require.h"

#include <stdlib.h>
#include <string.h>

/* The first bytes of each; a dot is any byte. */
static const struct first {
    const char *format, *bytes;
} firsts[] = {
    {"png", "\x89PNG\r\n\x1a\n"},
    {"jpeg", "\xff\xd8\xff"},
    {"webp", "RIFF....WEBP"},
};

static void sign(uint8_t *file, size_t n)
{
    const struct first *f = firsts;
    while (strcmp(f->format, FORMAT) != 0)
        f++;
    for (size_t i = 0; f->bytes[i] && i < n; i++)
        if (f->bytes[i] != '.')
            file[i] = (uint8_t)f->bytes[i];
    if (f == firsts)
        repair_png(file, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint8_t background[] = {200, 100, 50};
    static volatile unsigned sum;
    cm_image im;
    cm_error err = {0};
    uint8_t *file = malloc(n); /* of exactly this size: a sanitizer sees its end */
    if (!file)
        return 0;
    memcpy(file, bytes, n);
    sign(file, n);
    const cm_status s = cm_image_decode(file, n, "fed", background, &im, &err);
    free(file);
    if (s) {
        require(s == CM_ERR_FORMAT && err.status == s && err.message[0]);
        return 0;
    }
    require(im.w >= 1 && im.h >= 1 && (im.c == 1 || im.c == 3));
    for (size_t i = 0; i < (size_t)im.w * (size_t)im.h * (size_t)im.c; i++)
        sum += im.pixels[i];
    cm_image_clear(&im);
    return 0;
}
