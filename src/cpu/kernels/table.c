/* table.c - the kernel table of one instruction set */
#include "cpu/kernels/kernels.h"

#define TABLE_PASTE(suffix)  cm_kernels_##suffix
#define TABLE_EXPAND(suffix) TABLE_PASTE(suffix)

#define X(id, name)         [CM_OP_##id] = {.run = CM_K(name)},
#define Y(id, name, wanted) [CM_OP_##id] = {.run = CM_K(name), .prepare = CM_K(wanted)},
const cm_kernel TABLE_EXPAND(CM_ISA_SUFFIX)[CM_OP_COUNT] = {CM_KERNEL_LIST(X, Y)};
