/* narrow.h - convolutions of side > 1 to few channels, and what they have in common with the
 * gradients of their weights
 *
 * A panel is wider than the channels that come out, so all taps are columns of it: what takes
 * part is the matrix [c][tap][few], and the wide tensor is read once, as it lies, not for each
 * tap.  From an image `in` to an image `out`,
 *
 *     stride in = out + tap - pad         (of rows, and of columns)
 *
 * with stride 1 and pads as they are for a convolution to few channels; for the gradient of the
 * input of one from few, the taps turned round, tap' = side - 1 - tap, pad' = side - 1 - pad. */
#ifndef CM_CPU_KERNELS_NARROW_H
#define CM_CPU_KERNELS_NARROW_H

#include "cpu/kernels/panel.h"

enum {
    FEW = 4,        /* channels */
    MOST_TAPS = 25, /* 5 x 5 */
    DEPTH = 256,    /* terms of a sum before it is added to the others: its error grows with them */
};

#define NARROW_TEXT(suffix)  #suffix
#define NARROW_NAMED(suffix) "narrow " NARROW_TEXT(suffix)
#define NARROW_NAME          NARROW_NAMED(CM_ISA_SUFFIX)

typedef struct taps {
    int64_t h, w, pad_h, pad_w;
} taps;

static inline int64_t taps_of(const taps *t)
{
    return t->h * t->w;
}

/* w: type of the weights. */
static inline taps make_taps(const cm_node *n, const cm_type *w, int turned)
{
    taps t = {w->dim[2], w->dim[3], n->attr.conv.pad_h, n->attr.conv.pad_w};
    if (turned) {
        t.pad_h = t.h - 1 - t.pad_h;
        t.pad_w = t.w - 1 - t.pad_w;
    }
    return t;
}

/* `few`: channels of the narrow side.  Where there are tiles for bf16 (AMX), those are faster. */
static inline int is_narrow(const cm_node *n, const cm_type *w, int64_t few)
{
    return !cm_cpu_direct_only() && (n->in[0]->type.dtype == CM_F32 || !cm_cpu_has_amx()) &&
           few <= FEW && w->dim[2] * w->dim[3] > 1 && w->dim[2] * w->dim[3] <= MOST_TAPS;
}

#endif
