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
#define Z(id, kernel)                                     \
    [CM_OP_##id] = {.name = TABLE_NAME(CM_ISA_SUFFIX),    \
                    .prepare = CM_K(kernel##_prepare),    \
                    .pack = CM_K(kernel##_pack),          \
                    .run = CM_K(kernel),                  \
                    .release = cm_free,                   \
                    .same_packed = CM_K(kernel##_same_packed), \
                    .suits = CM_K(kernel##_suits)},
const cm_kernel TABLE_EXPAND(CM_ISA_SUFFIX)[CM_OP_COUNT] = {
    CM_KERNEL_LIST(X, Y)
    Z(MATMUL, matmul)
    Z(CONV2D, conv)
    Z(CONV2D_GRAD_INPUT, conv)
    [CM_OP_CONV2D_GRAD_WEIGHT] = {.name = TABLE_NAME(CM_ISA_SUFFIX),
                                  .prepare = CM_K(conv_weight_prepare),
                                  .run = CM_K(conv_weight),
                                  .release = cm_free,
                                  .suits = CM_K(conv_weight_suits)},
};
/* clang-format on */
