/* dnnl_help.h - the few oneDNN calls the kernels need, behind names of our own.
 * Versions 2 and 3 differ in how memory is described and primitives are made; the
 * difference stays in dnnl_help.c.
 *
 * Every primitive is made for one thread and runs in the one that calls it; our workers
 * each have their own, for a slice of the work. */
#ifndef CM_CPU_DNNL_HELP_H
#define CM_CPU_DNNL_HELP_H

#include "cpu/cpu.h"

#include <dnnl.h>

enum { CM_DNNL_ARGS = 5 };

/* A primitive with its memory objects and stream; all zero: none. */
typedef struct cm_dnnl {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    int n;
    int scratch; /* index of the scratchpad argument, or -1 */
    dnnl_exec_arg_t arg[CM_DNNL_ARGS];
    const char *impl; /* a literal inside the library */
    size_t scratch_bytes;
    /* Convolutions: the layout of weights (or their gradient) that it chose. */
    size_t weights_bytes;
    dnnl_memory_desc_t weights;
} cm_dnnl;

typedef enum cm_conv_pass { CM_CONV_FORWARD, CM_CONV_INPUT, CM_CONV_WEIGHT } cm_conv_pass;

typedef struct cm_dnnl_conv_spec {
    cm_conv_pass pass;
    const cm_type *x, *w, *y; /* [N,H,W,I], f32 [O,I,kh,kw], [N,H',W',O] */
    int bias, stride;
    int pad_top, pad_left; /* rows above x; columns to its left */
    int residual;          /* y += instead of y = */
    int relu;              /* then what is below 0 becomes 0 */
} cm_dnnl_conv_spec;

/* y = op(a) op(b) [+ bias f32 [N], to each row] */
typedef struct cm_dnnl_matmul_spec {
    const cm_type *a, *b, *y;
    int ta, tb; /* read transposed */
    int bias;
    int residual; /* y += instead of y = */
} cm_dnnl_matmul_spec;

/* Each writes *out, which is released with cm_dnnl_release also on an error.
 * Errors: CM_ERR_UNSUPPORTED, CM_ERR_MEMORY. */
cm_status cm_dnnl_conv(const cm_dnnl_conv_spec *spec, cm_dnnl *out, cm_error *err);
/* Reorders between plain f32 weights [O,I,kh,kw] and the layout a convolution chose. */
cm_status cm_dnnl_pack(const cm_dnnl *of, const cm_type *w, cm_dnnl *out, cm_error *err);
cm_status cm_dnnl_unpack(const cm_dnnl *of, const cm_type *w, cm_dnnl *out, cm_error *err);
/* Two convolutions chose the same layout and dtype of weights. */
int cm_dnnl_same_weights(const cm_dnnl *a, const cm_dnnl *b);
cm_status cm_dnnl_matmul(const cm_dnnl_matmul_spec *spec, cm_dnnl *out, cm_error *err);

/* Execute on the given memory, in the order the arguments were made:
 * forward: x, w, [bias], y; input: y, w, x; weight: x, y, w; matmul: a, b, [bias], y;
 * reorder: from, to; the scratchpad apart. */
void cm_dnnl_run(const cm_dnnl *d, const void *const *memory, void *scratch);
void cm_dnnl_release(cm_dnnl *d);

#endif
