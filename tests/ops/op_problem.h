/* op_problem.h - a case with its derivatives: built, compiled, filled and run.
 * All in a header, like kernel_check.h: failures are counted in the file that
 * includes check.h. */
#ifndef CM_TESTS_OP_PROBLEM_H
#define CM_TESTS_OP_PROBLEM_H

#include "check.h"
#include "op_cases.h"

#include "base/bf16.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/plan.h"

/* The tensors of a problem that are compared: Y, YDOT and one DX an input. */
enum { Y, YDOT, DX, OUTPUTS = DX + CASE_INPUTS };

typedef struct variant {
    unsigned mask; /* bit i: input i is a variable */
    int threads;
    int bf16;    /* the inputs that the case names are cast to bf16 */
    int guarded; /* all inputs and outputs are memory bound from outside, between guards */
} variant;

typedef struct guarded {
    const cm_node *leaf;
    unsigned char *block, *before; /* guard, data, guard; and a copy */
} guarded;

enum { MEMORIES = 2 * CASE_INPUTS + 2 + OUTPUTS };

typedef struct problem {
    const op_case *c;
    variant v;
    cm_graph *g;
    cm_plan *plan;
    int n; /* inputs */
    cm_node *x[CASE_INPUTS], *xdot[CASE_INPUTS], *dy;
    cm_node *out[OUTPUTS]; /* NULL: the derivative is zero */
    guarded memory[MEMORIES];
    int n_memory;
} problem;

enum { GUARD = 64, GUARD_BYTE = 0xA5 };

/* ops that occurred between the inputs and y of some problem */
static char op_differentiated[CM_OP_COUNT];

static inline int case_inputs(const op_case *c)
{
    int n = 0;
    while (n < CASE_INPUTS && c->dim[n][0])
        n++;
    return n;
}

/* ---- graph ---- */

static inline void build(problem *p)
{
    const op_case *c = p->c;
    cm_node *x[CASE_INPUTS] = {NULL};
    p->n = case_inputs(c);
    for (int i = 0; i < p->n; i++) {
        int rank = 0;
        while (rank < CM_MAX_RANK && c->dim[i][rank])
            rank++;
        const cm_type t = cm_type_make(CM_F32, rank, c->dim[i]);
        p->x[i] = cm_input(p->g, "x", t);
        p->xdot[i] = cm_input(p->g, "xdot", t);
        x[i] = p->v.bf16 && c->bf16 >> i & 1u ? cm_cast(p->g, p->x[i], CM_BF16) : p->x[i];
    }
    p->out[Y] = c->build(p->g, x, c);
    if (p->v.bf16)
        p->out[Y] = cm_cast(p->g, p->out[Y], CM_F32);
    for (int i = 0; i < cm_graph_size(p->g); i++)
        op_differentiated[cm_graph_node(p->g, i)->op] = 1;
}

static inline void differentiate(problem *p)
{
    cm_node *x[CASE_INPUTS], *xdot[CASE_INPUTS], *dx[CASE_INPUTS];
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (p->v.mask >> i & 1u) {
            x[n] = p->x[i];
            xdot[n++] = p->xdot[i];
        }
    p->dy = cm_input(p->g, "dy", p->out[Y]->type);
    p->out[YDOT] = cm_graph_jvp(p->g, p->out[Y], n, x, xdot);
    cm_graph_vjp(p->g, p->out[Y], p->dy, n, x, dx);
    for (int i = p->n; i-- > 0;)
        if (p->v.mask >> i & 1u)
            p->out[DX + i] = dx[--n];
}

/* Outputs become leaves, so that kernels write to the caller's memory directly. */
static inline void store_outputs(problem *p)
{
    for (int i = 0; i < OUTPUTS; i++)
        if (p->out[i]) {
            cm_node *leaf = cm_input(p->g, "out", p->out[i]->type);
            cm_store(p->g, p->out[i], leaf);
            p->out[i] = leaf;
        }
}

/* ---- memory between guards ---- */

static inline void bind_guarded(problem *p)
{
    for (int i = 0; i < cm_graph_size(p->g); i++) {
        const cm_node *n = cm_graph_node(p->g, i);
        if (n->op != CM_OP_LEAF)
            continue;
        const size_t all = cm_type_bytes(&n->type) + 2 * GUARD;
        guarded *m = &p->memory[p->n_memory++];
        *m = (guarded){n, cm_alloc(all), cm_alloc(all)};
        memset(m->block, GUARD_BYTE, all);
        cm_plan_bind(p->plan, n->attr.leaf.buffer, m->block + GUARD);
    }
}

static inline int is_output(const problem *p, const cm_node *leaf)
{
    for (int i = 0; i < OUTPUTS; i++)
        if (p->out[i] == leaf)
            return 1;
    return 0;
}

static inline void check_guarded(const problem *p)
{
    for (int i = 0; i < p->n_memory; i++) {
        const guarded *m = &p->memory[i];
        const size_t bytes = cm_type_bytes(&m->leaf->type);
        int intact = 1;
        for (size_t k = 0; k < GUARD; k++)
            intact &= m->block[k] == GUARD_BYTE && m->block[GUARD + bytes + k] == GUARD_BYTE;
        CHECK(intact, "%s: wrote outside %s", p->c->name, m->leaf->name);
        CHECK(is_output(p, m->leaf) || !memcmp(m->block, m->before, bytes + 2 * GUARD),
              "%s: changed its input %s", p->c->name, m->leaf->name);
    }
}

static inline void problem_free(problem *p)
{
    cm_plan_free(p->plan);
    cm_graph_free(p->g);
    for (int i = 0; i < p->n_memory; i++) {
        cm_free(p->memory[i].block);
        cm_free(p->memory[i].before);
    }
}

/* 0 and a failed CHECK where it cannot be built. */
static inline int problem_new(problem *p, const op_case *c, variant v)
{
    cm_error err = {0};
    cm_node *out[OUTPUTS];
    int n = 0;
    *p = (problem){.c = c, .v = v, .g = cm_graph_new()};
    build(p);
    if (!cm_graph_check(p->g, NULL))
        differentiate(p);
    if (v.guarded)
        store_outputs(p);
    for (int i = 0; i < OUTPUTS && !v.guarded; i++)
        if (p->out[i])
            out[n++] = p->out[i];
    const cm_status s = cm_plan_compile(p->g, n, out, cm_cpu_device(), v.threads, &p->plan, &err);
    CHECK(!s, "%s: %s", c->name, err.message);
    if (s)
        problem_free(p);
    else if (v.guarded)
        bind_guarded(p);
    return !s;
}

/* ---- values ---- */

static uint32_t problem_random;

static inline float uniform(float lo, float hi)
{
    problem_random = problem_random * 1664525u + 1013904223u;
    return lo + (hi - lo) * ((float)(problem_random >> 8) + 0.5f) * 0x1p-24f;
}

/* Numbers in lo..hi, none within gap of +-kink. */
static inline void fill(const problem *p, const cm_node *n, int slot, float lo, float hi,
                        float kink, float gap)
{
    void *data = cm_plan_data(p->plan, n);
    problem_random = (uint32_t)((p->c - op_cases) * 64 + slot + 1) * 2654435761u;
    for (int64_t i = 0; i < cm_type_count(&n->type); i++) {
        float v = uniform(lo, hi);
        while (fabsf(fabsf(v) - kink) < gap)
            v = uniform(lo, hi);
        const cm_bf16 h = cm_f32_to_bf16(v);
        if (n->type.dtype == CM_BF16)
            ((cm_bf16 *)data)[i] = h;
        else
            ((float *)data)[i] = p->c->bf16 ? cm_bf16_to_f32(h) : v;
    }
}

/* Fill every input: random numbers given by the case and the input alone, so the
 * same in every variant; and bf16 numbers where the case is to run in bf16 too, so
 * that both compute the same function. */
static inline void problem_fill(problem *p)
{
    const op_case *c = p->c;
    const int any = c->lo >= c->hi;
    for (int i = 0; i < p->n; i++) {
        fill(p, p->x[i], 2 * i, any ? -1.0f : c->lo, any ? 1.0f : c->hi, c->kink, c->gap);
        fill(p, p->xdot[i], 2 * i + 1, -1.0f, 1.0f, 0.0f, 0.0f);
    }
    for (int64_t k = 0; c->parted && k < cm_type_count(&p->x[0]->type); k++)
        /* multiples of 1/5 in another order in each window, so that steps of 1/16 keep theirs */
        ((float *)cm_plan_data(p->plan, p->x[0]))[k] =
            0.2f * (float)((k * 7919 + k / 61 * 31) % 257);
    fill(p, p->dy, 2 * p->n, -1.0f, 1.0f, 0.0f, 0.0f);
    for (int i = 0; i < cm_graph_size(p->g); i++) {
        const cm_node *n = cm_graph_node(p->g, i);
        if (n->op != CM_OP_LEAF || n->type.dtype != CM_I32)
            continue;
        int32_t *data = cm_plan_data(p->plan, n);
        for (int64_t k = 0; k < cm_type_count(&n->type); k++)
            data[k] = (int32_t)((3 * k * k + 2 * k + 1) % c->i[0]);
    }
}

/* Fill and run; where guarded, check the guards and that no input changed. */
static inline void problem_run(problem *p)
{
    problem_fill(p);
    for (int i = 0; i < p->n_memory; i++)
        memcpy(p->memory[i].before, p->memory[i].block,
               cm_type_bytes(&p->memory[i].leaf->type) + 2 * GUARD);
    cm_plan_run(p->plan);
    check_guarded(p);
}

static inline double problem_value(const problem *p, const cm_node *n, int64_t i)
{
    const void *data = cm_plan_data(p->plan, n);
    return (double)(n->type.dtype == CM_F32 ? ((const float *)data)[i]
                                            : cm_bf16_to_f32(((const cm_bf16 *)data)[i]));
}

/* sum a b in double, and sqrt(sum (a b)^2): how large the sum is when its terms do
 * not conspire */
static inline double problem_dot(const problem *p, const cm_node *a, const cm_node *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < cm_type_count(&a->type); i++)
        sum += problem_value(p, a, i) * problem_value(p, b, i);
    return sum;
}

static inline double problem_dot_size(const problem *p, const cm_node *a, const cm_node *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < cm_type_count(&a->type); i++) {
        const double t = problem_value(p, a, i) * problem_value(p, b, i);
        sum += t * t;
    }
    return sqrt(sum);
}

#endif
