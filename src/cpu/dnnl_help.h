/* dnnl_help.h - the few oneDNN calls the kernels need, behind names of our own,
 * so that a change of its API (v2 has operation descriptors, v3 has not) stays
 * in dnnl_help.c. */
#ifndef CM_CPU_DNNL_HELP_H
#define CM_CPU_DNNL_HELP_H

#include "cpu/cpu.h"

#include <dnnl.h>

enum { CM_DNNL_ARGS = 5 };

/* A primitive with its memory objects; reorders in and out are primitives too. */
typedef struct cm_dnnl {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    dnnl_status_t status; /* of making the parts below */
    int n;
    int scratch; /* index of the scratchpad argument, or -1 */
    dnnl_exec_arg_t arg[CM_DNNL_ARGS];
} cm_dnnl;

dnnl_engine_t cm_dnnl_engine(void); /* the CPU; made once */
dnnl_data_type_t cm_dnnl_dtype(cm_dtype d);

/* [N,H,W,C] as oneDNN sees it: dims N,C,H,W in nhwc order. */
dnnl_memory_desc_t cm_dnnl_image(const cm_type *t);
/* weights [O,I,kh,kw]: as stored, and in whatever layout the primitive wants */
dnnl_memory_desc_t cm_dnnl_weights(const cm_type *t);
dnnl_memory_desc_t cm_dnnl_weights_any(const cm_type *t, cm_dtype compute);

typedef enum cm_conv_pass { CM_CONV_FORWARD, CM_CONV_INPUT, CM_CONV_WEIGHT } cm_conv_pass;

/* Make the convolution primitive of a pass; x, w, y describe the three tensors,
 * bias may be NULL.  *w receives the chosen layout. */
cm_status cm_dnnl_conv(cm_conv_pass pass, const dnnl_memory_desc_t *x, dnnl_memory_desc_t *w,
                       const dnnl_memory_desc_t *bias, const dnnl_memory_desc_t *y, int stride,
                       int pad, cm_dnnl *out, size_t *scratch, const char **impl, cm_error *err);
cm_status cm_dnnl_matmul(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b,
                         const dnnl_memory_desc_t *y, cm_dnnl *out, size_t *scratch,
                         const char **impl, cm_error *err);
cm_status cm_dnnl_reorder(const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                          cm_dnnl *out, cm_error *err);

/* Execute on the given memory, in the order the arguments were made:
 * forward: x, w, [bias], y; input: y, w, x; weight: x, y, w; matmul: a, b, y;
 * reorder: from, to; then the scratchpad. */
void cm_dnnl_run(const cm_dnnl *d, int threads, const void *const *memory, void *scratch);
void cm_dnnl_release(cm_dnnl *d);

#endif
