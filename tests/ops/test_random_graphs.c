/* test_random_graphs.c - what the planner does must not be seen in the values
 *
 * usage: test_random_graphs [FIRST [COUNT]]
 *
 * The graph of each seed (random_graph.h) is compiled three times: as always (P), without
 * sharing memory and without constants (Q), and without fusion either (R).  Memory of R and
 * Q is written once a run.  Leaves are filled, the plans run, and both once more with other
 * numbers: the second run must not see the first.
 *
 *   P == Q   in every bit of every output and leaf.
 *   P ~  R   within a bound; in every bit where no fused addition is upstream.
 *
 * The bound.  u = 2^-24 is half a unit of f32, h = 2^-9 of bf16.  Let E(n) bound |P - R| and M(n)
 * be the largest |element| in R, measured.  A sum of k products computed in f32 in any order,
 * with or without fused multiply-adds, is within k u S / (1 - k u) of the exact one, S the sum of
 * the sizes of its terms (Higham, Accuracy and Stability, section 3.1), so two orders differ by
 * 2.1 k u S.  Where an addition may be fused into a convolution or a product of depth K, P
 * sums products, bias and addend in one and R in two; so
 *   E(v) = E(a) + E(b) + 2.1 (K + 3) u (K Ma Mb + M(bias) + M(r)) [+ 2h (M(product) + 2 M(v)),
 * bf16] From there on E is propagated: a function of Lipschitz constant L gives L E plus its own
 * error on both sides, 2^-21 M in f32 (kernels are held to that in tests/unit), and 2h M for a
 * result in bf16; a bilinear one gives K (Ma Eb + Mb Ea + Ea Eb), and 2.1 k u S.  Functions that
 * jump, and those with no handy constant (norms, attention, optimizers), give infinity: behind them
 * only P == Q is asked for, and the output is counted as such. */
#include "random_graph.h"

#include "base/bf16.h"
#include "graph/plan_internal.h"

enum { MOST_OUTPUTS = 6 };

typedef struct trial {
    int seed;
    random_graph r;
    cm_node *out[MOST_OUTPUTS];
    int n_out;
    cm_plan *p, *q, *plain;
} trial;

static int exact, bounded_by, unbounded, wrong;
static char planned[CM_OP_COUNT];

/* ---- running ---- */

static cm_plan *compile_for(trial *t, unsigned without)
{
    cm_plan *p = NULL;
    cm_error err = {0};
    const cm_status s =
        cm_plan_compile_without(without, t->r.g, t->n_out, t->out, cm_cpu_device(), 1, &p, &err);
    CHECK(!s, "seed %d: %s", t->seed, err.message);
    return p;
}

/* Numbers that depend on the leaf and the run alone. */
static void fill_leaf(const trial *t, cm_plan *p, const cm_node *leaf, int run)
{
    union {
        float f[2048];
        int32_t i[4];
    } v = {{0}};
    cm_assert(cm_type_count(&leaf->type) <= 2048);
    plan_random = (uint32_t)(leaf->id * 8 + run) * 2654435761u + 5u;
    for (int64_t k = 0; k < cm_type_count(&leaf->type); k++)
        if (leaf->type.dtype == CM_I32)
            v.i[k] = below(CLASSES);
        else
            v.f[k] = ((float)below(2001) * 1e-3f - 1.0f) * (leaf->type.dim[2] == 3 ? 0.25f : 1.0f);
    if (leaf == t->r.whole) /* second moments are not negative */
        for (int k = 0; k < C * C; k++)
            v.f[2 * ROWS * C + 2 * C * C + k] *= v.f[2 * ROWS * C + 2 * C * C + k];
    if (leaf == t->r.hyper) {
        v.f[0] = 0.01f;
        v.f[1] = 1.0f + (float)below(9);
    }
    cm_plan_write(p, leaf, v.f);
}

static int is_filled(const trial *t, const cm_node *n)
{
    return n->op == CM_OP_LEAF &&
           (n->attr.leaf.buffer != t->r.whole->attr.leaf.buffer || n == t->r.whole);
}

static void run_plan(const trial *t, cm_plan *p)
{
    for (int run = 0; run < 2; run++) {
        for (int i = 0; i < cm_graph_size(t->r.g); i++)
            if (is_filled(t, cm_graph_node(t->r.g, i)))
                fill_leaf(t, p, cm_graph_node(t->r.g, i), run);
        if (run)
            cm_plan_refresh(p);
        cm_plan_run(p);
    }
}

/* ---- the bound ---- */

typedef struct analysis {
    const trial *t;
    double *m, *e;                 /* by node */
    double m_state[2], e_state[2]; /* of the views and of the parameters, up to the present node */
    double *e_aux;
} analysis;

static double value(cm_plan *p, const cm_node *n, int64_t i)
{
    const void *d = cm_plan_data(p, n);
    return (double)(n->type.dtype == CM_BF16  ? cm_bf16_to_f32(((const cm_bf16 *)d)[i])
                    : n->type.dtype == CM_F32 ? ((const float *)d)[i]
                                              : (float)((const int32_t *)d)[i]);
}

static double largest(cm_plan *p, const cm_node *n)
{
    double m = 0.0;
    for (int64_t i = 0; i < cm_type_count(&n->type); i++) {
        const double v = fabs(value(p, n, i));
        m = v <= m ? m : v; /* NaN stays */
    }
    return isnan(m) ? (double)INFINITY : m;
}

/* Terms of each sum of a bilinear op, else 0. */
static double depth(const cm_node *n)
{
    const cm_type *w = n->n_in > 1 ? &n->in[1]->type : NULL, *dy = n->n_in ? &n->in[0]->type : NULL;
    switch (n->op) {
    case CM_OP_MATMUL:
        return (double)dy->dim[dy->rank - 1 - n->attr.matmul.ta];
    case CM_OP_CONV2D:
        return (double)(w->dim[1] * w->dim[2] * w->dim[3]);
    case CM_OP_CONV2D_GRAD_INPUT:
        return (double)(w->dim[0] * w->dim[2] * w->dim[3]);
    case CM_OP_CONV2D_GRAD_WEIGHT:
        return (double)(dy->dim[0] * dy->dim[1] * dy->dim[2]);
    default:
        return 0.0;
    }
}

static const double U = 0x1p-24, HALF = 0x1p-9;

/* Where v = a + b may be fused into a. */
static double fused(const analysis *x, const cm_node *v, const cm_node *a, const cm_node *b)
{
    const double k = depth(a), m = x->m[v->id];
    const int half = v->type.dtype == CM_BF16;
    if (a->op == CM_OP_GROUP_NORM_GRAD) /* the same f32 numbers are added */
        return half ? 2 * HALF * (x->m[a->id] + 2 * m) : 4 * U * m;
    if (a->op != CM_OP_CONV2D && a->op != CM_OP_MATMUL)
        return 0.0;
    const double bias = a->n_in == 3 ? x->m[a->in[2]->id] : 0.0;
    const double size = k * x->m[a->in[0]->id] * x->m[a->in[1]->id] + bias + x->m[b->id];
    return 2.1 * (k + 3) * U * size + (half ? 2 * HALF * (x->m[a->id] + 2 * m) : 0.0);
}

/* 0: n is in the views of the buffer that is written, 1: in its parameters, -1: elsewhere. */
static int state_of(const trial *t, const cm_node *n)
{
    for (; cm_ops[n->op]->alias || cm_ops[n->op]->writes;
         n = n->in[cm_ops[n->op]->writes ? __builtin_ctz(cm_ops[n->op]->writes) : 0])
        ;
    if (n->op != CM_OP_LEAF || n->attr.leaf.buffer != t->r.whole->attr.leaf.buffer)
        return -1;
    return n->attr.leaf.offset >= t->r.param[0]->attr.leaf.offset;
}

static void write_state(analysis *x, const cm_node *n)
{
    const cm_node *v = n->in[n->op == CM_OP_EMA ? 1 : 0];
    const int at = state_of(x->t, n);
    double *m = &x->m_state[at], *e = &x->e_state[at], other = 0.0;
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] != v && !(cm_ops[n->op]->writes >> k & 1))
            other = fmax(other, x->e[n->in[k]->id]);
    if (n->op == CM_OP_RADAM || n->op == CM_OP_ADAMW) {
        *m = (double)INFINITY; /* not known */
        *e = other > 0.0 || x->e[v->id] > 0.0 || *e > 0.0 ? (double)INFINITY : *e;
        return;
    }
    *m = fmax(*m, x->m[v->id]);
    *e = fmax(*e, x->e[v->id]);
    if (n->op == CM_OP_EMA && other > 0.0) /* of the rate or the gate */
        *e = (double)INFINITY;
    if (*e > 0.0 && n->op != CM_OP_STORE)
        *e += 0x1p-21 * *m;
}

/* The slope is a x^p, x > 0: steepest at one end. */
static double steepest(const analysis *x, const cm_node *n, double a, double p)
{
    const cm_node *in = n->in[0];
    const double e = x->e[in->id], high = x->m[in->id] + e;
    double low = high;
    for (int64_t i = 0; i < cm_type_count(&in->type); i++)
        low = fmin(low, value(x->t->plain, in, i) - e);
    return low > 0.0 ? fabs(a) * fmax(pow(low, p), pow(high, p)) * e : (double)INFINITY;
}

/* xh = (x - mean) / s, s >= sqrt(eps), of m values: |xh| <= sqrt(m).  x - mean moves by at most
 * 2 E, and s, a norm of it, by as much. */
static double norm_spread(const analysis *x, const cm_node *n)
{
    const double e = x->e[n->in[0]->id], a = x->m[n->in[1]->id], ea = x->e[n->in[1]->id];
    const double s = sqrt((double)n->attr.norm.eps), d = 2.0 * e / s;
    const double most = sqrt((double)(H * W * C / n->attr.norm.groups));
    const double xh = d < 0.5 ? d * (1.0 + most) / (1.0 - d) : (double)INFINITY;
    const double rounding = 16 * U * (x->m[n->in[0]->id] / s + most);
    return 1.1 * ((a + ea) * (xh + rounding) + ea * most + x->e[n->in[2]->id]);
}

/* S = Q K^T / sqrt(d) moves by D = sqrt(d) (2 M E + E^2) and its rounding; the rows of softmax(S)
 * by D in the sum of sizes, and 2^-20 for e^S and the division; V by E. */
static double attention_spread(const analysis *x, const cm_node *n)
{
    const double e = x->e[n->in[0]->id], m = x->m[n->in[0]->id];
    const double d = (double)(n->type.dim[2] / n->attr.attention.heads);
    const double s = sqrt(d) * (2.0 * m * e + e * e + 2.1 * (d + 2.0) * U * m * m);
    if (n->type.dtype == CM_BF16) /* P is rounded in between */
        return (double)INFINITY;
    return e + (m + e) * (s + 0x1p-20);
}

/* How far inputs that are E apart take the exact function. */
static double spread(const analysis *x, const cm_node *n)
{
    const cm_node *const *in = (const cm_node *const *)n->in;
    const double ea = x->e[in[0]->id], ma = x->m[in[0]->id], k = depth(n);
    const double eb = n->n_in > 1 ? x->e[in[1]->id] : 0.0, mb = n->n_in > 1 ? x->m[in[1]->id] : 0.0;
    const double ratio = (double)cm_type_count(&in[0]->type) / (double)cm_type_count(&n->type);
    if (k > 0.0)
        return k * (ma * eb + mb * ea + ea * eb) + 2.1 * (k + 2) * U * k * ma * mb +
               (n->n_in > 2 ? x->e[in[2]->id] : 0.0);
    switch (n->op) {
    case CM_OP_ADD:
        return ea + eb;
    case CM_OP_MUL:
        return ma * eb + mb * ea + ea * eb;
    case CM_OP_AFFINE:
    case CM_OP_UPSAMPLE2:
        return fabs((double)n->attr.affine.scale) * ea;
    case CM_OP_SUMPOOL2:
        return 4.0 * fabs((double)n->attr.affine.scale) * (ea + 4 * U * ma);
    case CM_OP_SILU:
        return 1.1 * ea; /* its slope is at most 1.0998 */
    case CM_OP_SILU_GRAD:
        return 1.1 * ea + 0.5 * (ma + ea) * eb; /* its second derivative at most 1/2 */
    case CM_OP_EXP:
        return exp(ma + ea) * ea;
    case CM_OP_SIN:
    case CM_OP_COS:
    case CM_OP_ABS:
    case CM_OP_CLAMP:
    case CM_OP_CAST:
    case CM_OP_RESHAPE:
    case CM_OP_STOP_GRADIENT:
    case CM_OP_SLICE:
    case CM_OP_PAD:
    case CM_OP_SWAP12:
    case CM_OP_GATHER:
    case CM_OP_BROADCAST_TO:
        return ea;
    case CM_OP_CONCAT:
        return fmax(ea, eb);
    case CM_OP_CLAMP_GRAD:
        return eb > 0.0 ? (double)INFINITY : ea;
    case CM_OP_SUM_TO:
        return ratio * (ea + 2.1 * ratio * U * ma);
    case CM_OP_SOFTMAX:
        return 0.5 * ea;       /* sum_j |dy_i/dx_j| = 2 y_i (1 - y_i) */
    case CM_OP_SOFTMAX_GRAD: { /* y (dy - <y,dy>), 0 < y < 1 */
        const double t = (double)n->type.dim[n->type.rank - 1];
        return 2.0 * ea * (1.0 + t * eb) + (2.0 + t) * eb * ma;
    }
    case CM_OP_SUM_SQUARES:
        return ratio * (2.0 * ma * ea + ea * ea);
    case CM_OP_LOG:
        return steepest(x, n, 1.0, -1.0);
    case CM_OP_POW:
        return steepest(x, n, (double)n->attr.pow.p, (double)n->attr.pow.p - 1.0);
    case CM_OP_GROUP_NORM:
        return norm_spread(x, n);
    case CM_OP_ATTENTION:
        return attention_spread(x, n);
    case CM_OP_SCATTER_ADD:
        return (double)in[0]->type.dim[0] * (ea + 4 * U * ma);
    case CM_OP_DROPOUT:
        return ea / (1.0 - (double)n->attr.random.p);
    default:
        return (double)INFINITY;
    }
}

/* What is in that buffer is, for each reader, what was written so far. */
static void read_state(analysis *x, const cm_node *n)
{
    const int at = state_of(x->t, n);
    if (at >= 0) {
        x->m[n->id] = x->m_state[at];
        x->e[n->id] = x->e_state[at];
    }
}

static void analyse(analysis *x, const cm_node *n)
{
    const int id = n->id;
    double any = 0.0;
    for (int k = 0; k < n->n_in; k++)
        any = fmax(any, x->e[n->in[k]->id]);
    x->m[id] = largest(x->t->plain, n);
    if (cm_ops[n->op]->writes)
        write_state(x, n);
    else if (n->op == CM_OP_AUX)
        x->e[id] = x->e_aux[n->in[0]->id];
    else if (any > 0.0) {
        x->e[id] = spread(x, n);
        if (!cm_ops[n->op]->alias)
            x->e[id] += (n->type.dtype == CM_BF16 ? 2 * HALF : 0x1p-21) * (x->m[id] + x->e[id]);
    }
    x->e_aux[id] = any > 0.0 ? (double)INFINITY : 0.0;
    if (n->op == CM_OP_ADD)
        x->e[id] += fused(x, n, n->in[0], n->in[1]) + fused(x, n, n->in[1], n->in[0]);
    read_state(x, n);
    if (isnan(x->e[id]))
        x->e[id] = (double)INFINITY;
}

/* ---- comparing ---- */

static void compare_bits(trial *t, const cm_node *n)
{
    if (!CHECK(!memcmp(cm_plan_data(t->p, n), cm_plan_data(t->q, n), cm_type_bytes(&n->type)),
               "seed %d: node %d (%s) of %d is not what it is in memory of its own", t->seed, n->id,
               cm_ops[n->op]->name, cm_graph_size(t->r.g)))
        wrong++;
}

static void compare_bound(trial *t, const cm_node *n, double e)
{
    double worst = 0.0;
    const size_t bytes = cm_type_bytes(&n->type);
    const int equal = !memcmp(cm_plan_data(t->p, n), cm_plan_data(t->plain, n), bytes);
    for (int64_t i = 0; i < cm_type_count(&n->type); i++)
        worst = fmax(worst, fabs(value(t->p, n, i) - value(t->plain, n, i)));
    /* a bound beyond a tenth of the values would find nothing */
    if (e > 0.1 * largest(t->plain, n)) {
        unbounded++;
        return;
    }
    e > 0.0 ? bounded_by++ : exact++;
    if (!CHECK(e > 0.0 ? worst <= e : equal,
               "seed %d: node %d (%s) of %d is %.3g from what it is without fusion, bound %.3g",
               t->seed, n->id, cm_ops[n->op]->name, cm_graph_size(t->r.g), worst, e))
        wrong++;
}

static void compare(trial *t)
{
    const int n = cm_graph_size(t->r.g);
    analysis x = {.t = t,
                  .m = cm_alloc_array((size_t)n, sizeof *x.m),
                  .e = cm_alloc_array((size_t)n, sizeof *x.e),
                  .e_aux = cm_alloc_array((size_t)n, sizeof *x.e),
                  .m_state = {1.0, 1.0}};
    for (int i = 0; i < n; i++)
        if (t->plain->location[i].place != CM_PLACE_NONE) {
            planned[t->plain->node[i].op] = 1;
            for (int k = 0; k < t->plain->node[i].n_in; k++)
                read_state(&x, t->plain->node[i].in[k]);
            analyse(&x, &t->plain->node[i]);
        }
    for (int i = 0; i < n; i++)
        if (is_filled(t, cm_graph_node(t->r.g, i)))
            compare_bits(t, cm_graph_node(t->r.g, i));
    for (int i = 0; i < t->n_out; i++) {
        const int at = state_of(t, t->out[i]);
        compare_bits(t, t->out[i]);
        if (t->out[i] != t->r.whole)
            compare_bound(t, t->out[i], at >= 0 ? x.e_state[at] : x.e[t->out[i]->id]);
    }
    for (int i = 0; i < 2; i++)
        compare_bound(t, t->r.view[i], x.e_state[0]);
    for (int i = 0; i < 4; i++)
        compare_bound(t, t->r.param[i], x.e_state[1]);
    cm_free(x.m);
    cm_free(x.e);
    cm_free(x.e_aux);
}

/* The last of the pool, and some of all nodes. */
static void choose_outputs(trial *t)
{
    t->out[t->n_out++] = t->r.pool[t->r.n - 1];
    while (t->n_out < MOST_OUTPUTS && below(4))
        t->out[t->n_out++] =
            below(2) ? pick(&t->r) : cm_graph_node(t->r.g, below(cm_graph_size(t->r.g)));
}

static void check_seed(int seed)
{
    static trial t;
    cm_error err = {0};
    t = (trial){.seed = seed};
    random_graph_new(&t.r, seed);
    if (CHECK(!cm_graph_check(t.r.g, &err), "seed %d: %s", seed, err.message)) {
        choose_outputs(&t);
        t.p = compile_for(&t, 0);
        t.q = compile_for(&t, CM_PLAN_NO_SHARING | CM_PLAN_NO_CONSTANTS);
        t.plain = compile_for(&t, CM_PLAN_NO_SHARING | CM_PLAN_NO_CONSTANTS | CM_PLAN_NO_FUSION);
    }
    if (t.p && t.q && t.plain) {
        run_plan(&t, t.p);
        run_plan(&t, t.q);
        run_plan(&t, t.plain);
        compare(&t);
    } else
        wrong++;
    cm_plan_free(t.p);
    cm_plan_free(t.q);
    cm_plan_free(t.plain);
    cm_graph_free(t.r.g);
}

static int first, count = 5000;

static void test_seeds(void)
{
    for (int seed = first; seed < first + count; seed++)
        check_seed(seed);
    printf(
        "    %d graphs from seed %d; against no fusion: %d results equal, %d within the bound, %d "
        "without one; %d wrong\n",
        count, first, exact, bounded_by, unbounded, wrong);
    for (int op = 0; op < CM_OP_COUNT && count >= 1000; op++)
        CHECK(planned[op] || op == CM_OP_SECOND /* by fusion alone: test_fuse.c */,
              "%s is in no plan", cm_ops[op]->name);
    CHECK(count < 100 || (exact > count && bounded_by > count / 4), "too little was compared");
}

int main(int argc, char **argv)
{
    static const check_test tests[] = {{"random graphs", test_seeds}};
    first = argc > 1 ? atoi(argv[1]) : 0;
    count = argc > 2 ? atoi(argv[2]) : argc > 1 ? 1 : count;
    return check_main(tests, 1);
}
