/* safetensors.h - named tensors in one file: a JSON header, then their bytes.
 *
 *     8 bytes   N, little-endian: length of the header
 *     N bytes   {"__metadata__": {text: text}, name: {"dtype", "shape",
 *               "data_offsets": [begin, end]}, ...}, padded with white space
 *     the rest  little-endian row-major data, tiled exactly by the tensors
 *
 * The reader trusts nothing: a file that opens has no duplicate name, no hole,
 * no overlap, no trailing byte, and every shape times dtype equals its bytes.  Opening
 * takes at most 64 MB and 16 times the size of the file.
 * Source: github.com/huggingface/safetensors, README "Format". */
#ifndef CM_IO_SAFETENSORS_H
#define CM_IO_SAFETENSORS_H

#include "io/source.h"

#include <stddef.h>
#include <stdint.h>

/* In the order of the format: by alignment, which the writer sorts by.  Bits an element. */
/* clang-format off */
#define CM_ST_DTYPE_LIST(X)                                                                   \
    X(BOOL, 8) X(F4, 4) X(F6_E2M3, 6) X(F6_E3M2, 6) X(U8, 8) X(I8, 8) X(F8_E5M2, 8)           \
    X(F8_E4M3, 8) X(F8_E8M0, 8) X(F8_E4M3FNUZ, 8) X(F8_E5M2FNUZ, 8) X(I16, 16) X(U16, 16)     \
    X(F16, 16) X(BF16, 16) X(I32, 32) X(U32, 32) X(F32, 32) X(C64, 64) X(F64, 64) X(I64, 64)  \
    X(U64, 64)
/* clang-format on */

#define X(id, bits) CM_ST_##id,
typedef enum cm_st_dtype { CM_ST_DTYPE_LIST(X) } cm_st_dtype;
#undef X

enum {
    CM_ST_MAX_RANK = 16,
    CM_ST_MAX_HEADER = 100000000, /* bytes; the format's own limit */
    CM_ST_MAX_TENSORS = 100000,
    CM_ST_MAX_NAME = 4096 /* bytes */
};
#define CM_ST_MAX_INTEGER ((int64_t)0xffffffffffff) /* 2^48-1: dimensions and offsets */

const char *cm_st_dtype_name(cm_st_dtype t); /* "F32" */
int cm_st_dtype_bits(cm_st_dtype t);
int cm_st_dtype_find(const char *name, cm_st_dtype *t); /* non-zero: no such dtype */

/* Elements (*count) and bytes of a shape; fail (non-zero) on a negative dimension, on
 * overflow, or when the bits do not fill whole bytes.  No dimension of zero hides
 * an overflow of the others. */
int cm_st_shape_bytes(cm_st_dtype dtype, int rank, const int64_t *dim, int64_t *count,
                      uint64_t *bytes);

/* ---- reading ------------------------------------------------------------ */

typedef struct cm_st_file cm_st_file;

typedef struct cm_st_tensor {
    const char *name; /* owned by the file; UTF-8, not empty; escape before printing */
    cm_st_dtype dtype;
    int rank;
    int64_t dim[CM_ST_MAX_RANK];
    uint64_t begin, bytes; /* in the data part; begin need not be aligned */
    /* [rank] in elements, owned by the file: those of a PyTorch view or transpose, of which
     * `bytes` counts the elements alone.  NULL: row-major. */
    const int64_t *stride;
} cm_st_tensor;

/* Open and check the whole header; the file stays open for reading.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT (`path: tensor "name": field: expected, found`),
 * CM_ERR_MEMORY. */
cm_status cm_st_open(const char *path, cm_st_file **file, cm_error *err);
/* The same for n bytes in memory, which must outlive the file and stay as they are; name
 * stands for the path in messages. */
cm_status cm_st_open_memory(const void *bytes, size_t n, const char *name, cm_st_file **file,
                            cm_error *err);
/* The same for a source, which is taken over, also where it fails. */
cm_status cm_st_open_source(cm_source *source, cm_st_file **file, cm_error *err);
void cm_st_close(cm_st_file *file); /* NULL is allowed */

const char *cm_st_path(const cm_st_file *file);
int cm_st_count(const cm_st_file *file);
const cm_st_tensor *cm_st_at(const cm_st_file *file, int i); /* in order of their data */
const cm_st_tensor *cm_st_find(const cm_st_file *file, const char *name); /* NULL: absent */

const char *cm_st_metadata(const cm_st_file *file, const char *key); /* NULL: absent */
int cm_st_metadata_count(const cm_st_file *file);
/* Entry i in the order of the header.  Returns 0, or non-zero when i is out of range. */
int cm_st_metadata_at(const cm_st_file *file, int i, const char **key, const char **value);

/* "[3,128,3,3]"; returns buf. */
enum { CM_ST_SHAPE_TEXT = 20 * CM_ST_MAX_RANK + 3 };
const char *cm_st_shape_text(char buf[CM_ST_SHAPE_TEXT], const cm_st_tensor *t);

/* Elements of a tensor of an open file (cannot overflow). */
int64_t cm_st_elements(const cm_st_tensor *t);

/* Copy the bytes of t, a tensor of this file, to dst (t->bytes of them).  The
 * reading calls may run in several threads on one file.  Errors: CM_ERR_IO. */
cm_status cm_st_read(const cm_st_file *file, const cm_st_tensor *t, void *dst, cm_error *err);

/* The same for n bytes of t, row-major, from byte offset on. */
cm_status cm_st_read_part(const cm_st_file *file, const cm_st_tensor *t, uint64_t offset, size_t n,
                          void *dst, cm_error *err);

/* Read and convert to cm_st_elements(t) values.  f32 and f64 take F32 F64 BF16 F16
 * I64 I32 U8 and round to nearest; i64 takes I64 I32 U8.  Others: CM_ERR_FORMAT. */
cm_status cm_st_read_f32(const cm_st_file *file, const cm_st_tensor *t, float *dst, cm_error *err);
cm_status cm_st_read_f64(const cm_st_file *file, const cm_st_tensor *t, double *dst, cm_error *err);
cm_status cm_st_read_i64(const cm_st_file *file, const cm_st_tensor *t, int64_t *dst,
                         cm_error *err);

/* ---- writing ------------------------------------------------------------ */

typedef struct cm_st_entry {
    const char *name;
    cm_st_dtype dtype;
    int rank;
    int64_t dim[CM_ST_MAX_RANK];
    const void *data; /* NULL is allowed for zero bytes */
} cm_st_entry;

/* Write n tensors and n_meta text pairs; the file appears whole, on the disk, or
 * not at all.  Tensors are laid out by falling alignment, then name (as the
 * reference does), whatever their order here, so the same content gives the same
 * bytes.  Errors: CM_ERR_ARGUMENT (a name twice or not UTF-8, a bad shape),
 * CM_ERR_IO, CM_ERR_MEMORY. */
cm_status cm_st_write(const char *path, int n, const cm_st_entry *entries, int n_meta,
                      const char *const *meta_keys, const char *const *meta_values, cm_error *err);

/* Of tensors whose bytes are made while they are written, and are never all in memory. */
typedef struct cm_st_maker {
    /* n bytes of a tensor without data, from byte offset on: n is part, or what is left. */
    void (*make)(void *user, const cm_st_entry *entry, uint64_t offset, size_t n, void *bytes);
    void *user;
    size_t part;
} cm_st_maker;

/* As cm_st_write; a tensor with data NULL is made. */
cm_status cm_st_write_made(const char *path, int n, const cm_st_entry *entries,
                           const cm_st_maker *maker, int n_meta, const char *const *meta_keys,
                           const char *const *meta_values, cm_error *err);

#endif
