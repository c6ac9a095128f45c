/* kernel_check.h - call one kernel by hand and compare it with a double
 * precision reference.
 *
 * kernel_run() runs a kernel for every instruction set of this CPU and with 1, 2
 * and 3 workers, with guard words around the output and the workspace; in place
 * too where the op allows it.  All thread counts must give the same bytes. */
#ifndef CM_TESTS_KERNEL_CHECK_H
#define CM_TESTS_KERNEL_CHECK_H

#include "base/bf16.h"
#include "check.h"
#include "cpu/cpu.h"

#include <stdint.h>

enum { GUARD = 64, GUARD_BYTE = 0xA5 };

/* A tensor, and its values as doubles after rounding to its dtype. */
typedef struct tensor {
    cm_node node;
    unsigned char *block; /* GUARD bytes, data, GUARD bytes */
    double *v;
    int64_t n;
} tensor;

static const cm_dtype floats[] = {CM_F32, CM_BF16};

static inline double *doubles(int64_t n)
{
    return calloc((size_t)n + 1, sizeof(double));
}

static uint32_t random_state = 1;

static inline double random_unit(void) /* in (-1, 1) */
{
    random_state = random_state * 1664525u + 1013904223u;
    return ((double)(random_state >> 8) + 0.5) / (double)(1 << 23) - 1.0;
}

static inline void *guarded(size_t bytes)
{
    unsigned char *p = NULL;
    if (posix_memalign((void **)&p, 64, bytes + 2 * GUARD))
        abort();
    memset(p, GUARD_BYTE, bytes + 2 * GUARD); /* also between two results */
    return p;
}

static inline int guards_hold(const unsigned char *block, size_t bytes)
{
    for (size_t i = 0; i < GUARD; i++)
        if (block[i] != GUARD_BYTE || block[GUARD + bytes + i] != GUARD_BYTE)
            return 0;
    return 1;
}

static inline double value_at(const void *data, cm_dtype t, int64_t i)
{
    if (t == CM_F32)
        return (double)((const float *)data)[i];
    if (t == CM_BF16)
        return (double)cm_bf16_to_f32(((const cm_bf16 *)data)[i]);
    return ((const int32_t *)data)[i];
}

static inline void set_value(tensor *x, int64_t i, double v)
{
    void *data = x->block + GUARD;
    if (x->node.type.dtype == CM_F32)
        ((float *)data)[i] = (float)v;
    else if (x->node.type.dtype == CM_BF16)
        ((cm_bf16 *)data)[i] = cm_f32_to_bf16((float)v);
    else
        ((int32_t *)data)[i] = (int32_t)v;
    x->v[i] = value_at(data, x->node.type.dtype, i);
}

static inline tensor *tensor_new(cm_type type)
{
    tensor *x = calloc(1, sizeof *x);
    x->node.type = type;
    x->n = cm_type_count(&type);
    x->block = guarded(cm_type_bytes(&type));
    x->v = calloc((size_t)x->n + 1, sizeof *x->v);
    return x;
}

/* Uniform in center +- width. */
static inline tensor *tensor_random(cm_type type, double center, double width)
{
    tensor *x = tensor_new(type);
    for (int64_t i = 0; i < x->n; i++)
        set_value(x, i, center + width * random_unit());
    return x;
}

static inline void tensor_free(tensor *x)
{
    free(x->block);
    free(x->v);
    free(x);
}

static inline size_t tensor_bytes(const tensor *x)
{
    return cm_type_bytes(&x->node.type);
}

static inline cm_node node_make(cm_op_id op, cm_attr attr, cm_type out, int n, tensor *const *in)
{
    cm_node node = {.op = op, .n_in = n, .type = out, .attr = attr};
    for (int i = 0; i < n; i++)
        node.in[i] = &in[i]->node;
    return node;
}

/* What all workers call. */
typedef struct team_call {
    const cm_kernel *kernel;
    cm_call call;
} team_call;

static inline void work_on(void *context, int worker, int workers)
{
    const team_call *t = context;
    cm_call c = t->call;
    c.worker = worker;
    c.workers = workers;
    if (t->kernel->pack) {
        t->kernel->pack(&c);
        cm_pool_barrier(c.pool);
    }
    t->kernel->run(&c);
}

/* One call; `out` NULL: make the output here and return it (guarded). */
static inline unsigned char *call(const cm_node *node, cm_isa isa, int threads,
                                  const void *const *in, void *out)
{
    const cm_kernel *k = cm_cpu_kernel(node, isa);
    const size_t bytes = cm_results_bytes(node);
    cm_prepared p = {0};
    cm_error err;
    unsigned char *block = out ? NULL : guarded(bytes);
    if (k->prepare)
        CHECK_OK(k->prepare(node, threads, &p, &err), err);
    unsigned char *work = guarded(p.workspace), *packed = guarded(p.packed);
    team_call t = {.kernel = k,
                   .call = {.node = node,
                            .in = in,
                            .out = out ? out : block + GUARD,
                            .state = p.state,
                            .packed = packed + GUARD,
                            .workspace = work + GUARD}};
    CHECK_OK(cm_pool_new(threads, &t.call.pool, &err), err);
    cm_pool_run(t.call.pool, work_on, &t);
    cm_pool_free(t.call.pool);
    if (k->release)
        k->release(p.state);
    CHECK(guards_hold(packed, p.packed), "%s %s: packed beyond its memory", cm_ops[node->op]->name,
          cm_isa_name(isa));
    CHECK(guards_hold(work, p.workspace), "%s %s: wrote outside its workspace",
          cm_ops[node->op]->name, cm_isa_name(isa));
    if (!out)
        CHECK(guards_hold(block, bytes), "%s %s: wrote outside its output", cm_ops[node->op]->name,
              cm_isa_name(isa));
    free(work);
    free(packed);
    return block;
}

static inline void check_in_place(const cm_node *node, cm_isa isa, int n, tensor *const *in,
                                  const void *const *data, const unsigned char *want)
{
    const size_t bytes = cm_type_bytes(&node->type);
    cm_node lone = *node; /* behind an input there is no room for a auxiliary result */
    lone.aux_unused = 1;
    for (int i = 0; i < n; i++) {
        if (!(cm_ops[node->op]->inplace >> i & 1u) ||
            !cm_type_equal(&in[i]->node.type, &node->type))
            continue;
        unsigned char *copy = guarded(bytes);
        const void *args[CM_MAX_IN] = {0};
        memcpy(args, data, (size_t)n * sizeof *args);
        memcpy(copy + GUARD, in[i]->block + GUARD, bytes);
        args[i] = copy + GUARD;
        call(&lone, isa, 2, args, copy + GUARD);
        CHECK(!memcmp(copy + GUARD, want + GUARD, bytes), "%s %s: in place of input %d differs",
              cm_ops[node->op]->name, cm_isa_name(isa), i);
        CHECK(guards_hold(copy, bytes), "%s: in place wrote outside", cm_ops[node->op]->name);
        free(copy);
    }
}

/* Without its auxiliary result the op gives the same output and writes nothing behind it. */
static inline void check_without_aux(const cm_node *node, cm_isa isa, const void *const *data,
                                     const unsigned char *want)
{
    cm_node lone = *node;
    lone.aux_unused = 1;
    unsigned char *out = call(&lone, isa, 2, data, NULL);
    CHECK(!memcmp(out + GUARD, want + GUARD, cm_type_bytes(&node->type)),
          "%s %s: differs without its auxiliary result", cm_ops[node->op]->name, cm_isa_name(isa));
    free(out);
}

/* The output for one instruction set, with all the checks of the header. */
static inline unsigned char *kernel_run(const cm_node *node, cm_isa isa, int n, tensor *const *in)
{
    const void *data[CM_MAX_IN] = {0};
    unsigned char *before[CM_MAX_IN] = {0};
    for (int i = 0; i < n; i++) {
        data[i] = in[i]->block + GUARD;
        before[i] = malloc(tensor_bytes(in[i]) + 2 * GUARD);
        memcpy(before[i], in[i]->block, tensor_bytes(in[i]) + 2 * GUARD);
    }
    unsigned char *out = call(node, isa, 1, data, NULL);
    for (int threads = 2; threads <= 3; threads++) {
        unsigned char *other = call(node, isa, threads, data, NULL);
        CHECK(!memcmp(out + GUARD, other + GUARD, cm_results_bytes(node)),
              "%s %s: %d threads differ from 1", cm_ops[node->op]->name, cm_isa_name(isa), threads);
        free(other);
    }
    check_in_place(node, isa, n, in, data, out);
    if (cm_has_aux(node))
        check_without_aux(node, isa, data, out);
    for (int i = 0; i < n; i++) {
        CHECK(!memcmp(before[i], in[i]->block, tensor_bytes(in[i]) + 2 * GUARD),
              "%s %s: changed input %d", cm_ops[node->op]->name, cm_isa_name(isa), i);
        free(before[i]);
    }
    return out;
}

/* |got - want| <= tol (scale + |want|), and half a unit of bf16 more where that is
 * the type.  tol 0: equal. */
static inline void check_values(const char *what, const void *data, cm_dtype t, int64_t n,
                                const double *want, double tol, double scale)
{
    double worst = 0.0;
    int64_t at = -1;
    for (int64_t i = 0; i < n; i++) {
        const double got = value_at(data, t, i), size = fabs(want[i]);
        const double allow = tol * (scale + size) + (t == CM_BF16 && tol > 0 ? size / 250.0 : 0.0);
        const double over = isnan(want[i])   ? (isnan(got) ? 0.0 : (double)INFINITY)
                            : got == want[i] ? 0.0
                                             : fabs(got - want[i]) / (allow > 0 ? allow : 1e-300);
        if (!(over <= worst)) {
            worst = over;
            at = i;
        }
    }
    CHECK(worst <= 1.0, "%s: element %d of %d is %.9g, expected %.9g", what, (int)at, (int)n,
          value_at(data, t, at < 0 ? 0 : at), want[at < 0 ? 0 : at]);
}

/* Run on every instruction set and compare with `want`, and the auxiliary result with
 * `aux` where that is not NULL; AVX2 and both of AVX-512 must give the same bytes
 * (cpu/kernels/vec.h). */
static inline void expect_both(cm_op_id op, cm_attr attr, cm_type out, int n, tensor *const *in,
                               const double *want, const double *aux, double tol, double scale)
{
    const cm_node node = node_make(op, attr, out, n, in);
    const size_t bytes = cm_results_bytes(&node);
    unsigned char *before = NULL;
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++) {
        char what[128], shape[96];
        snprintf(what, sizeof what, "%s %s %s %s", cm_ops[op]->name, cm_isa_name(isa),
                 cm_dtype_name(out.dtype), cm_type_text(shape, sizeof shape, &out));
        unsigned char *y = kernel_run(&node, isa, n, in);
        check_values(what, y + GUARD, out.dtype, cm_type_count(&out), want, tol, scale);
        if (aux) {
            const cm_type t = cm_ops[op]->aux(&node);
            strcat(what, ", auxiliary");
            check_values(what, y + GUARD + cm_aux_offset(&node), t.dtype, cm_type_count(&t), aux,
                         tol, scale);
        }
        CHECK(isa < CM_ISA_AVX512 || !memcmp(before + GUARD, y + GUARD, bytes),
              "%s: not the bits of avx2", what);
        free(before);
        before = y;
    }
    free(before);
}

static inline void expect_scaled(cm_op_id op, cm_attr attr, cm_type out, int n, tensor *const *in,
                                 const double *want, double tol, double scale)
{
    expect_both(op, attr, out, n, in, want, NULL, tol, scale);
}

static inline void expect(cm_op_id op, cm_attr attr, cm_type out, int n, tensor *const *in,
                          const double *want, double tol)
{
    expect_scaled(op, attr, out, n, in, want, tol, 1.0);
}

#endif
