/* isa.c - which instruction set to run, and the kernel tables */
#include "base/error.h"
#include "cpu/attention.h"
#include "cpu/speeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define CM_X86 1
#else
#define CM_X86 0
#endif

/* What is compiled for each instruction set has a name that ends with it. */
#if CM_X86
#define OF_ISA(isa, name)                                \
    (*((isa) == CM_ISA_AVX512_BF16 ? &name##_avx512_bf16 \
       : (isa) == CM_ISA_AVX512    ? &name##_avx512      \
       : (isa) == CM_ISA_AVX2      ? &name##_avx2        \
                                   : &name##_plain))
#else
#define OF_ISA(isa, name) (*((void)(isa), &name##_plain))
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

/* NULL: none. */
static const char *wish(void)
{
    const char *text = getenv("CM_ISA");
    return text && *text ? text : NULL;
}

cm_isa cm_cpu_isa(void)
{
    cm_isa isa = best_isa();
    if (wish())
        cm_isa_from_name(wish(), isa, &isa, NULL);
    return isa;
}

int cm_cpu_direct_only(void)
{
    const char *text = getenv("CM_CONV");
    return text && !strcmp(text, "direct");
}

static cm_status check_conv(cm_error *err)
{
    const char *text = getenv("CM_CONV");
    char shown[64];
    if (!text || !*text || cm_cpu_direct_only())
        return CM_OK;
    return cm_fail(err, CM_ERR_ARGUMENT, "CM_CONV: expected direct, or nothing, found '%s'",
                   cm_escape(shown, sizeof shown, text));
}

cm_status cm_cpu_check(cm_error *err)
{
    cm_isa isa;
    const cm_status s = wish() ? cm_isa_from_name(wish(), best_isa(), &isa, err) : CM_OK;
    return s ? s : check_conv(err);
}

cm_status cm_isa_from_name(const char *name, cm_isa best, cm_isa *isa, cm_error *err)
{
    char names[64] = "", shown[64];
    size_t used = 0;
    for (cm_isa i = CM_ISA_PLAIN; i <= best; i++) {
        if (!strcmp(name, cm_isa_name(i))) {
            *isa = i;
            return CM_OK;
        }
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                 i == CM_ISA_PLAIN ? ""
                                 : i == best       ? " or "
                                                   : ", ",
                                 cm_isa_name(i));
    }
    return cm_fail(err, CM_ERR_ARGUMENT, "CM_ISA: expected %s (what this CPU has), found '%s'",
                   names, cm_escape(shown, sizeof shown, name));
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

int cm_cpu_has_amx(void)
{
#if CM_X86
    enum { AMX_BF16 = 1 << 22 }; /* leaf 7, EDX */
    unsigned a, b, c, d;
    return cm_cpu_has_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16);
#else
    return 0;
#endif
}

/* Where the instruction set ends at AVX-512 BF16, AMD's processors gain by it (Zen 4: one step
 * 1.8 times faster), Intel's lose (two products an instruction at less than half the rate, and
 * the conversions: 0.7 times); with AMX bf16 is far ahead.  Measured in docs/speed.md. */
int cm_cpu_prefers_bf16(void)
{
#if CM_X86
    return cm_cpu_has_amx() || (cm_cpu_has_bf16() && __builtin_cpu_is("amd"));
#else
    return 0;
#endif
}

const cm_kernel *cm_cpu_kernel(const cm_node *n, cm_isa isa)
{
    const cm_kernel *const tables[] = {OF_ISA(isa, cm_kernels), cm_kernels_attention,
                                       cm_kernels_dnnl};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const cm_kernel *k = &tables[i][n->op]; k; k = k->next)
            if (k->run && (!k->suits || k->suits(n)))
                return k;
    return NULL;
}

const cm_attention_kernels *cm_cpu_attention(cm_isa isa)
{
    return &OF_ISA(isa, cm_attention);
}

cm_multiply_adds *cm_cpu_multiply_adds(cm_isa isa)
{
    return OF_ISA(isa, cm_multiply_adds);
}
