/* isa.c - which instruction set to run, and the kernel tables */
#include "cpu/attention.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#define CM_X86 1
#else
#define CM_X86 0
#endif

static cm_isa best_isa(void)
{
#if CM_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma"))
        return __builtin_cpu_supports("avx512bf16") ? CM_ISA_AVX512_BF16 : CM_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return CM_ISA_AVX2;
#endif
    return CM_ISA_PLAIN;
}

cm_isa cm_cpu_isa(void)
{
    const cm_isa best = best_isa();
    const char *wish = getenv("CM_ISA");
    for (cm_isa isa = CM_ISA_PLAIN; wish && isa < best; isa++)
        if (!strcmp(wish, cm_isa_name(isa)))
            return isa;
    return best;
}

const char *cm_isa_name(cm_isa isa)
{
    switch (isa) {
    case CM_ISA_PLAIN:
        return "plain";
    case CM_ISA_AVX2:
        return "avx2";
    case CM_ISA_AVX512:
        return "avx512";
    case CM_ISA_AVX512_BF16:
        return "avx512_bf16";
    }
    return "unknown";
}

int cm_cpu_has_bf16(void)
{
    return cm_cpu_isa() == CM_ISA_AVX512_BF16; /* what has AMX has this too */
}

const cm_kernel *cm_cpu_kernel(cm_op_id op, cm_isa isa)
{
    const cm_kernel *table = cm_kernels_plain;
#if CM_X86
    if (isa == CM_ISA_AVX512_BF16)
        table = cm_kernels_avx512_bf16;
    else if (isa == CM_ISA_AVX512)
        table = cm_kernels_avx512;
    else if (isa == CM_ISA_AVX2)
        table = cm_kernels_avx2;
#else
    (void)isa;
#endif
    if (table[op].run)
        return &table[op];
    if (cm_kernels_attention[op].run)
        return &cm_kernels_attention[op];
    return cm_kernels_dnnl[op].run ? &cm_kernels_dnnl[op] : NULL;
}

const cm_attention_kernels *cm_cpu_attention(cm_isa isa)
{
#if CM_X86
    if (isa == CM_ISA_AVX512_BF16)
        return &cm_attention_avx512_bf16;
    if (isa == CM_ISA_AVX512)
        return &cm_attention_avx512;
    if (isa == CM_ISA_AVX2)
        return &cm_attention_avx2;
#else
    (void)isa;
#endif
    return &cm_attention_plain;
}
