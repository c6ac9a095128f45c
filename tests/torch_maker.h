/* torch_maker.h - archives and pickles as PyTorch writes them, for tests that need them with
 * anything inside, or of any size: zeros are holes in the file. */
#ifndef CM_TESTS_TORCH_MAKER_H
#define CM_TESTS_TORCH_MAKER_H

#include "check.h"

#include <stdint.h>
#include <zlib.h>

/* ---- a zip archive of stored entries ------------------------------------------- */

enum { MAKER_ENTRIES = 2048, MAKER_NAME = 64 };

typedef struct zip_maker {
    FILE *f;
    int n;
    struct {
        char name[MAKER_NAME];
        uint32_t crc, bytes, at;
    } list[MAKER_ENTRIES];
} zip_maker;

static inline void maker_number(FILE *f, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++, x >>= 8)
        fputc((int)(x & 255), f);
}

/* What the two headers of an entry have in common, from the version on. */
static inline void maker_header(zip_maker *z, int i)
{
    const uint32_t values[] = {z->list[i].crc, z->list[i].bytes, z->list[i].bytes};
    maker_number(z->f, 10, 4); /* version 1.0, no flags */
    maker_number(z->f, 0, 6);  /* stored, no time */
    for (int k = 0; k < 3; k++)
        maker_number(z->f, values[k], 4);
    maker_number(z->f, strlen(z->list[i].name), 4); /* and no extra field */
}

/* data NULL: zeros */
static inline void zip_maker_add(zip_maker *z, const char *name, const void *data, uint32_t n)
{
    static const uint8_t zeros[1 << 16];
    uLong crc = crc32(0, NULL, 0);
    const int i = z->n++;
    if (data)
        crc = crc32(crc, data, n);
    for (uint32_t left = data ? 0 : n; left;) {
        const uint32_t some = left < sizeof zeros ? left : (uint32_t)sizeof zeros;
        crc = crc32(crc, zeros, some);
        left -= some;
    }
    snprintf(z->list[i].name, MAKER_NAME, "%s", name);
    z->list[i].crc = (uint32_t)crc;
    z->list[i].bytes = n;
    z->list[i].at = (uint32_t)ftell(z->f);
    fputs("PK\3\4", z->f);
    maker_header(z, i);
    fputs(z->list[i].name, z->f);
    if (data)
        fwrite(data, 1, n, z->f);
    else
        fseek(z->f, n, SEEK_CUR);
}

static inline void zip_maker_end(zip_maker *z)
{
    const long at = ftell(z->f);
    for (int i = 0; i < z->n; i++) {
        fputs("PK\1\2", z->f);
        maker_number(z->f, 10, 2);
        maker_header(z, i);
        maker_number(z->f, 0, 10); /* comment, disk, attributes */
        maker_number(z->f, z->list[i].at, 4);
        fputs(z->list[i].name, z->f);
    }
    const long bytes = ftell(z->f) - at;
    fputs("PK\5\6", z->f);
    maker_number(z->f, 0, 4);
    maker_number(z->f, (uint64_t)z->n, 2);
    maker_number(z->f, (uint64_t)z->n, 2);
    maker_number(z->f, (uint64_t)bytes, 4);
    maker_number(z->f, (uint64_t)at, 4);
    maker_number(z->f, 0, 2);
}

/* ---- a pickle of a state dict ---------------------------------------------------- */

static inline void pickle_text(FILE *f, const char *text)
{
    fputc('X', f);
    maker_number(f, strlen(text), 4);
    fputs(text, f);
}

static inline void pickle_integers(FILE *f, int n, const int64_t *x)
{
    fputc('(', f);
    for (int i = 0; i < n; i++) {
        fputc('J', f);
        maker_number(f, (uint64_t)x[i], 4);
    }
    fputc('t', f);
}

/* "NAME": a row-major f32 tensor, the whole of storage KEY. */
static inline void pickle_tensor(FILE *f, const char *name, const char *key, int rank,
                                 const int64_t *dim)
{
    int64_t stride[8], count = 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = count;
        count *= dim[i];
    }
    pickle_text(f, name);
    fputs("ctorch._utils\n_rebuild_tensor_v2\n((", f);
    pickle_text(f, "storage");
    fputs("ctorch\nFloatStorage\n", f);
    pickle_text(f, key);
    pickle_text(f, "cpu");
    fputc('J', f);
    maker_number(f, (uint64_t)count, 4);
    fputs("tQK", f);
    fputc(0, f);
    pickle_integers(f, rank, dim);
    pickle_integers(f, rank, stride);
    fputs("\x89"
          "ccollections\nOrderedDict\n)RtR",
          f);
}

/* ---- a checkpoint ----------------------------------------------------------------- */

enum { MAKER_RANK = 4 };

typedef struct maker_tensor {
    const char *name;
    int rank;
    int64_t dim[MAKER_RANK];
    const float *data; /* NULL: zeros */
} maker_tensor;

/* A state dict of n tensors, as torch.save writes it. */
static inline void torch_maker_write(const char *path, int n, const maker_tensor *list)
{
    static zip_maker z;
    char *pickle = NULL, key[16], name[32];
    size_t size = 0;
    FILE *f = open_memstream(&pickle, &size);
    fputs("\x80\2ccollections\nOrderedDict\n)R(", f);
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%d", i);
        pickle_tensor(f, list[i].name, key, list[i].rank, list[i].dim);
    }
    fputs("u.", f);
    fclose(f);
    z = (zip_maker){.f = fopen(path, "wb")};
    zip_maker_add(&z, "made/data.pkl", pickle, (uint32_t)size);
    for (int i = 0; i < n; i++) {
        uint32_t bytes = sizeof(float);
        for (int k = 0; k < list[i].rank; k++)
            bytes *= (uint32_t)list[i].dim[k];
        snprintf(name, sizeof name, "made/data/%d", i);
        zip_maker_add(&z, name, list[i].data, bytes);
    }
    zip_maker_end(&z);
    fclose(z.f);
    free(pickle);
}

#endif
