/* table.c - the kernel table of one instruction set */
#include "base/memory.h"
#include "cpu/kernels/kernels.h"

#define TABLE_PASTE(suffix)  cm_kernels_##suffix
#define TABLE_EXPAND(suffix) TABLE_PASTE(suffix)

#define TABLE_TEXT(suffix) #suffix
#define TABLE_NAME(suffix) TABLE_TEXT(suffix)

/* clang-format off */
#define X(id, kernel) \
    [CM_OP_##id] = {.name = TABLE_NAME(CM_ISA_SUFFIX), .run = CM_K(kernel)},
#define Y(id, kernel, wanted) \
    [CM_OP_##id] = {.name = TABLE_NAME(CM_ISA_SUFFIX), .prepare = CM_K(wanted), .run = CM_K(kernel)},

/* Those for some nodes, without weights to pack and with. */
#define SOME(kernel)                        \
    .name = TABLE_NAME(CM_ISA_SUFFIX),      \
    .prepare = CM_K(kernel##_prepare),      \
    .run = CM_K(kernel),                    \
    .release = cm_free,                     \
    .suits = CM_K(kernel##_suits)
#define PACKED(kernel)                      \
    SOME(kernel),                           \
    .pack = CM_K(kernel##_pack),            \
    .same_packed = CM_K(kernel##_same_packed)

static const cm_kernel narrow = {PACKED(narrow)};
static const cm_kernel narrow_weight = {SOME(narrow_weight)};

const cm_kernel TABLE_EXPAND(CM_ISA_SUFFIX)[CM_OP_COUNT] = {
    CM_KERNEL_LIST(X, Y)
    [CM_OP_MATMUL] = {PACKED(matmul)},
    [CM_OP_CONV2D] = {PACKED(conv), .next = &narrow},
    [CM_OP_CONV2D_GRAD_INPUT] = {PACKED(conv), .next = &narrow},
    [CM_OP_CONV2D_GRAD_WEIGHT] = {SOME(conv_weight), .next = &narrow_weight},
};
/* clang-format on */
