/* cpu.h - the CPU.
 *
 * Kernels are hand-written C that compilers vectorise (kernels/), compiled once for each
 * instruction set and chosen at run time.  Convolutions that are neither 3 x 3 of stride 1 nor
 * to few channels, and the matrix products of gradients and of attention, come from oneDNN
 * (dnnl_*.c). */
#ifndef CM_CPU_CPU_H
#define CM_CPU_CPU_H

#include "graph/device.h"

/* The hand-written kernels of one instruction set; NULL run = not here. */
extern const cm_kernel cm_kernels_avx512_bf16[CM_OP_COUNT];
extern const cm_kernel cm_kernels_avx512[CM_OP_COUNT];
extern const cm_kernel cm_kernels_avx2[CM_OP_COUNT];
extern const cm_kernel cm_kernels_plain[CM_OP_COUNT];
/* What those leave. */
extern const cm_kernel cm_kernels_dnnl[CM_OP_COUNT];
/* Attention, which uses both. */
extern const cm_kernel cm_kernels_attention[CM_OP_COUNT];

/* What this CPU runs, or less where CM_ISA=avx512|avx2|plain in the environment says so
 * and cm_cpu_check() holds; asked when a plan is compiled, never while it runs. */
typedef enum cm_isa { CM_ISA_PLAIN, CM_ISA_AVX2, CM_ISA_AVX512, CM_ISA_AVX512_BF16 } cm_isa;
cm_isa cm_cpu_isa(void);
const char *cm_isa_name(cm_isa isa);
/* CM_ERR_ARGUMENT where CM_ISA is set to what is no instruction set of this CPU. */
cm_status cm_cpu_check(cm_error *err);
/* The same for any name, and a CPU that has those up to `best`. */
cm_status cm_isa_from_name(const char *name, cm_isa best, cm_isa *isa, cm_error *err);
/* All convolutions by oneDNN, by CM_CONV=direct in the environment: to compare. */
int cm_cpu_direct_only(void);
int cm_cpu_has_amx(void);         /* in tiles: far faster than vectors can be */
int cm_cpu_has_bf16(void);        /* matrix products in bf16 run in hardware */
int cm_cpu_prefers_bf16(void);    /* and a network as a whole is faster with them */
const char *cm_cpu_library(void); /* "oneDNN 2.6.3" */
/* The first that suits n: hand-written, else oneDNN's; NULL where the op is not supported. */
const cm_kernel *cm_cpu_kernel(const cm_node *n, cm_isa isa);

/* The device for cm_plan_compile(). */
const cm_device *cm_cpu_device(void);

#endif
