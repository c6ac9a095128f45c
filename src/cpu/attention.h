/* attention.h - what attention needs beside matrix products; compiled for each
 * instruction set (kernels/attention_rows.c) */
#ifndef CM_CPU_ATTENTION_H
#define CM_CPU_ATTENTION_H

#include "cpu/cpu.h"

/* Rows of scores: n of them, each of `padded` numbers (a multiple of 16), of which the
 * last ones from `length` on are no keys and get probability 0. */
typedef struct cm_attention_rows {
    int64_t n, length, padded;
    float scale;
    int bf16;       /* p and w; else f32 */
    float *s;       /* in: scores before scaling; overwritten */
    float *u;       /* softmax_grad, in: vectors to multiply with the Jacobian; overwritten */
    void *p;        /* out; may be s, where f32 */
    void *w;        /* softmax_grad, out; may be u, where f32 */
    float *inverse; /* softmax, out: one a row */
} cm_attention_rows;

/* Where rows of n heads next to each other are in a tensor, [rows, pitch], and in the
 * dense matrices that the products want, [n, padded, d]. */
typedef struct cm_attention_heads {
    int64_t n, rows, padded, d, pitch;
    int bf16; /* the tensor; else f32 */
} cm_attention_heads;

typedef struct cm_attention_kernels {
    /* p = e^(scale (s - max)), inverse = 1 / sum of the row */
    void (*softmax)(const cm_attention_rows *r);
    /* p = softmax(scale s), w = scale p (u - <p,u>) */
    void (*softmax_grad)(const cm_attention_rows *r);
    /* from a tensor to matrices, of its dtype; rows from h->rows on become 0 */
    void (*gather)(const cm_attention_heads *h, void *dst, const void *src);
    /* from f32 matrices to a tensor, each row times its factor; NULL: 1 */
    void (*scatter)(const cm_attention_heads *h, void *dst, const float *src, const float *factor);
} cm_attention_kernels;

extern const cm_attention_kernels cm_attention_avx512_bf16, cm_attention_avx512, cm_attention_avx2,
    cm_attention_plain;

const cm_attention_kernels *cm_cpu_attention(cm_isa isa);

#endif
