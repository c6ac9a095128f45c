/* speeds.h - what this machine can do at most, measured; kernels/multiply_adds.c */
#ifndef CM_CPU_SPEEDS_H
#define CM_CPU_SPEEDS_H

#include "cpu/cpu.h"

enum { CM_MULTIPLY_ADDS_LANES = 16 }; /* of the widest vectors */
/* Computes with x [CM_MULTIPLY_ADDS_LANES] in `times` rounds, and returns the number of its f32
 * multiply-adds. */
typedef int64_t cm_multiply_adds(int64_t times, float *x);
extern cm_multiply_adds cm_multiply_adds_avx512_bf16, cm_multiply_adds_avx512,
    cm_multiply_adds_avx2, cm_multiply_adds_plain;

cm_multiply_adds *cm_cpu_multiply_adds(cm_isa isa);

/* As cm_device.measure, with the instruction set of cm_cpu_isa(). */
cm_status cm_cpu_measure(int threads, cm_speeds *speeds, cm_error *err);

#endif
