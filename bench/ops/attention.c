/* attention.c - the attention op against the same function made of matrix products
 * and softmax, over lengths of sequences: time and memory
 *
 *     attention [THREADS] */
#include "composed_attention.h"

#include "base/bf16.h"
#include "base/clock.h"
#include "base/threads.h"
#include "cpu/cpu.h"
#include "graph/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct shape {
    int64_t n, t, heads, d;
} shape;

/* The shipped network's; ImageNet-64's three; one longer. */
static const shape shapes[] = {
    {64, 64, 4, 16}, {8, 64, 12, 64}, {8, 256, 9, 64}, {8, 1024, 6, 64}, {1, 4096, 4, 64},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };
static const double SECONDS = 1.5; /* for each pair */

typedef enum mode { FORWARD, GRADIENT, TANGENT, MODES } mode;
static const char *const mode_names[] = {"forward", "vjp", "jvp"};

typedef struct side {
    cm_graph *g;
    cm_plan *plan;
    double best;
} side;

static void fill(cm_plan *p, const cm_node *n)
{
    const cm_type *t = cm_node_type(n);
    uint32_t random = 1;
    for (int64_t i = 0; i < cm_type_count(t); i++) {
        random = random * 1664525u + 1013904223u;
        const float value = (float)(random >> 8) * 0x1p-23f - 1.0f;
        if (t->dtype == CM_F32)
            ((float *)cm_plan_data(p, n))[i] = value;
        else
            ((cm_bf16 *)cm_plan_data(p, n))[i] = cm_f32_to_bf16(value);
    }
}

static side side_new(int composed, shape s, mode m, cm_dtype dtype, int threads)
{
    const int64_t ch = s.heads * s.d;
    side a = {.g = cm_graph_new(), .best = 1e9};
    cm_node *x = cm_input(a.g, "x", CM_TYPE(dtype, s.n, s.t, 3 * ch)), *out;
    cm_node *v = cm_input(a.g, "v", CM_TYPE(dtype, s.n, s.t, m == GRADIENT ? ch : 3 * ch));
    cm_node *y = composed ? composed_attention(a.g, x, s.heads) : cm_attention(a.g, x, s.heads);
    out = y;
    if (m == GRADIENT)
        cm_graph_vjp(a.g, y, v, 1, &x, &out);
    else if (m == TANGENT)
        out = cm_graph_jvp(a.g, y, 1, &x, &v);
    cm_error err = {0};
    if (cm_plan_compile(a.g, 1, &out, cm_cpu_device(), threads, &a.plan, &err)) {
        fprintf(stderr, "attention: %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    fill(a.plan, x);
    fill(a.plan, v);
    cm_plan_run(a.plan);
    return a;
}

static void compare(shape s, mode m, cm_dtype dtype, int threads)
{
    side a[2];
    double mib[2];
    for (int i = 0; i < 2; i++) {
        a[i] = side_new(!i, s, m, dtype, threads);
        const cm_plan_memory memory = cm_plan_get_memory(a[i].plan);
        mib[i] = (double)(memory.activations + memory.workspace) / 1048576.0;
    }
    for (const double end = cm_seconds() + SECONDS; cm_seconds() < end;)
        for (int i = 0; i < 2; i++) { /* in turn, so that both meet the same noise */
            const double start = cm_seconds();
            cm_plan_run(a[i].plan);
            const double t = cm_seconds() - start;
            a[i].best = t < a[i].best ? t : a[i].best;
        }
    printf("%-8s %-5s %3" PRId64 " %5" PRId64 " %5" PRId64 " %3" PRId64
           " %9.3f %9.3f %6.2f %9.1f %9.1f\n",
           mode_names[m], cm_dtype_name(dtype), s.n, s.t, s.heads, s.d, 1e3 * a[0].best,
           1e3 * a[1].best, a[0].best / a[1].best, mib[0], mib[1]);
    for (int i = 0; i < 2; i++) {
        cm_plan_free(a[i].plan);
        cm_graph_free(a[i].g);
    }
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : cm_threads_available();
    printf("%-8s %-5s %3s %5s %5s %3s %9s %9s %6s %9s %9s\n", "", "", "N", "T", "heads", "d",
           "matmul ms", "op ms", "ratio", "MiB", "op MiB");
    for (cm_dtype dtype = CM_F32; dtype <= (cm_cpu_has_bf16() ? CM_BF16 : CM_F32); dtype++)
        for (int i = 0; i < SHAPES; i++)
            for (mode m = FORWARD; m < MODES; m++)
                compare(shapes[i], m, dtype, threads);
    return 0;
}
