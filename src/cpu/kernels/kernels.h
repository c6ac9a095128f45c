/* kernels.h - the hand-written CPU kernels of one instruction set.
 *
 * Every file of this folder is compiled once for each instruction set, with
 * CM_ISA_SUFFIX = avx512_bf16, avx512, avx2 or plain; external names carry the suffix, and
 * the only ones used from outside are the tables cm_kernels_<suffix> (cpu/cpu.h) and
 * cm_attention_<suffix> (cpu/attention.h), and cm_multiply_adds_<suffix> (cpu/speeds.h).
 *
 * Rules that all kernels keep:
 *  - all workers call them, and each does its share: what is not shared out, worker 0
 *    alone may write, and what one writes and another reads has a barrier between;
 *  - a result does not depend on the number of workers: elements are
 *    independent, and sums are split into parts given by the shape alone;
 *  - arithmetic and sums are f32 or double, whatever the storage type;
 *  - elementwise kernels may be called with the output in the memory of an
 *    input of the same type. */
#ifndef CM_CPU_KERNELS_KERNELS_H
#define CM_CPU_KERNELS_KERNELS_H

#include "cpu/cpu.h"

#define CM_K_PASTE(name, suffix)  cm_run_##name##_##suffix
#define CM_K_EXPAND(name, suffix) CM_K_PASTE(name, suffix)
#define CM_K(name)                CM_K_EXPAND(name, CM_ISA_SUFFIX)

/* RUN: a kernel alone.  PREPARED: one that wants workspace, asked for by
 * the function named third.  MATMUL and the convolutions are in the table by hand. */
/* clang-format off */
#define CM_KERNEL_LIST(RUN, PREPARED)                                                              \
    RUN(ADD, add)                                                                                  \
    RUN(MUL, mul)                                                                                  \
    RUN(AFFINE, affine)                                                                            \
    RUN(SILU, silu)                                                                                \
    RUN(SILU_GRAD, silu_grad)                                                                      \
    RUN(EXP, exp)                                                                                  \
    RUN(LOG, log)                                                                                  \
    RUN(SIN, sin)                                                                                  \
    RUN(COS, cos)                                                                                  \
    RUN(ATAN, atan)                                                                                \
    RUN(ABS, abs)                                                                                  \
    RUN(SIGN, sign)                                                                                \
    RUN(FLOOR, floor)                                                                              \
    RUN(POW, pow)                                                                                  \
    RUN(CLAMP, clamp)                                                                              \
    RUN(CLAMP_GRAD, clamp_grad)                                                                    \
    RUN(CAST, cast)                                                                                \
    RUN(BROADCAST_TO, broadcast_to)                                                                \
    PREPARED(SUM_TO, sum_to, sum_to_prepare)                                                       \
    RUN(CONCAT, concat)                                                                            \
    RUN(SLICE, slice)                                                                              \
    RUN(PAD, pad)                                                                                  \
    RUN(SWAP12, swap12)                                                                            \
    RUN(UPSAMPLE2, upsample2)                                                                      \
    RUN(SUMPOOL2, sumpool2)                                                                        \
    RUN(AVG_POOL2D, avg_pool2d)                                                                    \
    RUN(AVG_POOL2D_GRAD, avg_pool2d_grad)                                                          \
    RUN(MAX_POOL2D, max_pool2d)                                                                    \
    RUN(MAX_POOL2D_GRAD, max_pool2d_grad)                                                          \
    RUN(MAX_POOL2D_JVP, max_pool2d_jvp)                                                            \
    RUN(RESIZE_BILINEAR, resize_bilinear)                                                          \
    RUN(RESIZE_BILINEAR_GRAD, resize_bilinear_grad)                                                \
    PREPARED(SOFTMAX, softmax, softmax_prepare)                                                    \
    PREPARED(SOFTMAX_GRAD, softmax_grad, softmax_prepare)                                          \
    PREPARED(LOG_SOFTMAX, log_softmax, softmax_prepare)                                            \
    PREPARED(GROUP_NORM, group_norm, group_norm_prepare)                                           \
    PREPARED(GROUP_NORM_GRAD, group_norm_grad, group_norm_prepare)                                 \
    PREPARED(GROUP_NORM_JVP, group_norm_jvp, group_norm_prepare)                                   \
    PREPARED(GROUP_NORM_JVP_GRAD, group_norm_jvp_grad, group_norm_prepare)                         \
    RUN(GATHER, gather)                                                                            \
    RUN(SCATTER_ADD, scatter_add)                                                                  \
    RUN(NORMAL, normal)                                                                            \
    RUN(UNIFORM, uniform)                                                                          \
    RUN(DROPOUT, dropout)                                                                          \
    RUN(STORE, store)                                                                              \
    RUN(SUM_SQUARES, sum_squares)                                                                  \
    RUN(RADAM, radam)                                                                              \
    RUN(ADAMW, adamw)                                                                              \
    RUN(EMA, ema)
/* clang-format on */

void CM_K(matmul)(const cm_call *c);
void CM_K(matmul_pack)(const cm_call *c);
int CM_K(matmul_suits)(const cm_node *n);
int CM_K(matmul_same_packed)(const void *a, const void *b);
int CM_K(narrow_suits)(const cm_node *n);
cm_status CM_K(narrow_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
void CM_K(narrow_pack)(const cm_call *c);
void CM_K(narrow)(const cm_call *c);
int CM_K(narrow_same_packed)(const void *a, const void *b);
int CM_K(narrow_weight_suits)(const cm_node *n);
cm_status CM_K(narrow_weight_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
void CM_K(narrow_weight)(const cm_call *c);
cm_status CM_K(conv_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
void CM_K(conv_pack)(const cm_call *c);
void CM_K(conv)(const cm_call *c);
int CM_K(conv_suits)(const cm_node *n);
int CM_K(conv_same_packed)(const void *a, const void *b);
cm_status CM_K(conv_weight_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
void CM_K(conv_weight)(const cm_call *c);
int CM_K(conv_weight_suits)(const cm_node *n);

#define X(id, name)          void CM_K(name)(const cm_call *c);
#define Y(id, name, prepare) X(id, name)
CM_KERNEL_LIST(X, Y)
#undef X
#undef Y

cm_status CM_K(sum_to_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
cm_status CM_K(matmul_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
cm_status CM_K(softmax_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);
cm_status CM_K(group_norm_prepare)(const cm_node *n, int threads, cm_prepared *p, cm_error *err);

#endif
