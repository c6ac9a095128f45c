/* test_sharing.c - where the results of a plan live must not be seen in what they
 * are: placement, and sharing memory by aliases, in place and in leaves */
#include "plan_check.h"

#include "graph/planner.h"

/* ---- the planner ---- */

static int alive_together(const cm_block *a, const cm_block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The most bytes alive at one time. */
static size_t peak_of(const cm_block *b, int n, int steps)
{
    size_t peak = 0;
    for (int t = 0; t < steps; t++) {
        size_t sum = 0;
        for (int i = 0; i < n; i++)
            sum += b[i].first <= t && t <= b[i].last ? (b[i].bytes + 63) / 64 * 64 : 0;
        peak = sum > peak ? sum : peak;
    }
    return peak;
}

static void test_planner(void)
{
    enum { MOST = 80, STEPS = 60 };
    cm_error err = {0};
    for (int seed = 0; seed < 300; seed++) {
        cm_block b[MOST] = {{0}};
        size_t total = 0, sum = 0, asked[MOST];
        plan_random = (uint32_t)seed;
        const int n = below(MOST + 1), largest = 1 << below(16);
        for (int i = 0; i < n; i++) {
            b[i].first = below(STEPS);
            b[i].last = below(4) ? b[i].first + below(STEPS - b[i].first) : b[i].first;
            b[i].bytes = asked[i] = (size_t)below(largest);
            sum += (asked[i] + 63) / 64 * 64;
        }
        const size_t peak = peak_of(b, n, STEPS);
        CHECK_OK(cm_planner_place(b, n, &total, &err), err);
        CHECK(total >= peak && total <= sum, "seed %d: total %zu, peak %zu, sum %zu", seed, total,
              peak, sum);
        for (int i = 0; i < n; i++) {
            CHECK(b[i].offset % 64 == 0 && b[i].offset + asked[i] <= total,
                  "seed %d: block %d at %zu + %zu of %zu", seed, i, b[i].offset, asked[i], total);
            for (int k = 0; k < i; k++)
                CHECK(!alive_together(&b[i], &b[k]) || b[i].offset + asked[i] <= b[k].offset ||
                          b[k].offset + asked[k] <= b[i].offset,
                      "seed %d: blocks %d and %d overlap", seed, i, k);
        }
    }
}

/* A chain of equal blocks, each needed for the next: two places are enough. */
static void test_planner_reuses(void)
{
    cm_block b[20] = {{0}};
    cm_error err = {0};
    size_t total = 0;
    for (int i = 0; i < 20; i++)
        b[i] = (cm_block){i, i + 1, 1000, 0};
    CHECK_OK(cm_planner_place(b, 20, &total, &err), err);
    CHECK(total == 2 * 1024, "total %zu", total);
}

/* ---- random graphs ---- */

enum { ROWS = 4, COLS = 6, STATE_ROWS = 10, POOL = 64, MAX_NODES = 512 };

typedef struct random_graph {
    cm_graph *g;
    cm_node *x[2], *fixed, *whole, *pool[POOL];
    cm_node *view[3]; /* rows 0.., 6.. and 3.. of the state: the last overlaps both */
    int n;
} random_graph;

static cm_node *pick(random_graph *r)
{
    return r->pool[below(r->n)];
}

static cm_node *random_op(random_graph *r)
{
    const cm_type type = CM_TYPE(CM_F32, ROWS, COLS);
    cm_graph *g = r->g;
    cm_node *a = pick(r), *b = pick(r);
    switch (below(15)) {
    case 0:
        return cm_affine(g, cm_add(g, a, b), 0.5f, 0.1f);
    case 1:
        return cm_clamp(g, cm_mul(g, a, b), -2.0f, 2.0f);
    case 2:
        return cm_sin(g, a);
    case 3:
        return cm_silu(g, cm_sin(g, a));
    case 4: /* several aliases of one block */
        a = CM_RESHAPE(g, cm_affine(g, CM_RESHAPE(g, a, 2, 12), -0.5f, 0.0f), 24);
        return CM_RESHAPE(g, cm_cos(g, a), ROWS, COLS);
    case 5:
        return cm_affine(g, cm_add(g, a, cm_sum_to(g, b, CM_TYPE(CM_F32, 1, COLS))), 0.2f, 0.0f);
    case 6:
        return cm_concat(g, cm_slice(g, a, 0, 2), cm_slice(g, b, 1, 4));
    case 7:
        return cm_broadcast_to(g, cm_affine(g, cm_sum_to(g, a, CM_TYPE(CM_F32, ROWS, 1)), 0.1f, 0),
                               type);
    case 8:
        return cm_sub(g, a, CM_RESHAPE(g, CM_RESHAPE(g, b, 24), ROWS, COLS));
    case 9:
    case 10: /* some stores of a fresh value, some of one that lives on */
        if (a->op == CM_OP_STORE || below(2)) /* never of a view onto an overlapping one */
            a = cm_affine(g, a, 0.5f, 0.25f);
        b = r->view[below(3)];
        return cm_store(g, a, below(2) ? b : cm_store(g, cm_affine(g, a, 2, 0), b));
    case 11: /* an op with two results */
    case 12:
        b = CM_RESHAPE(g, cm_affine(g, cm_slice(g, CM_RESHAPE(g, b, 24), 0, COLS), 1, 1), 1, COLS);
        a = cm_group_norm(g, CM_RESHAPE(g, a, ROWS, 1, 1, COLS), b, b, 2, 1e-2f, 1);
        b = cm_affine(g, cm_aux(g, a), 0.5f, 0.0f); /* not over the first result */
        b = cm_slice(g, b, below(COLS), COLS);
        return below(2) ? cm_affine(g, b, 0.1f, 0.0f)
                        : cm_add(g, CM_RESHAPE(g, a, ROWS, COLS), cm_affine(g, b, 0.1f, 0.0f));
    case 13:
        return cm_affine(g, r->view[below(3)], 0.5f, 0.0f);
    default:
        return cm_cos(g, r->view[below(3)]);
    }
}

static random_graph random_graph_new(int seed)
{
    const cm_type type = CM_TYPE(CM_F32, ROWS, COLS);
    random_graph r = {.g = cm_graph_new()};
    plan_random = (uint32_t)seed * 2654435761u + 1u;
    r.pool[r.n++] = r.x[0] = cm_input(r.g, "x", type);
    r.pool[r.n++] = r.x[1] = cm_input(r.g, "y", type);
    r.pool[r.n++] = r.fixed = cm_leaf(
        r.g, cm_graph_buffer(r.g, "fixed", CM_BUFFER_CONST | CM_BUFFER_OWN), 0, type, "fixed");
    const int state = cm_graph_buffer(r.g, "state", CM_BUFFER_OWN);
    r.whole = cm_leaf(r.g, state, 0, CM_TYPE(CM_F32, STATE_ROWS, COLS), "state");
    for (int i = 0; i < 3; i++) {
        const size_t row = i == 0 ? 0 : i == 1 ? 6 : 3;
        r.view[i] = cm_leaf(r.g, state, row * COLS * sizeof(float), type, "view");
    }
    while (r.n < 40)
        r.pool[r.n] = random_op(&r), r.n++;
    return r;
}

static void random_graph_run(random_graph *r, cm_plan *p)
{
    plan_random = 7;
    fill(data(p, r->x[0]), ROWS * COLS);
    fill(data(p, r->x[1]), ROWS * COLS);
    fill(data(p, r->fixed), ROWS * COLS);
    for (int run = 0; run < 2; run++) { /* the second must not see the first */
        plan_random = 11;
        fill(data(p, r->whole), STATE_ROWS * COLS);
        cm_plan_run(p);
    }
}

static void check_equal(random_graph *r, cm_plan *p, cm_plan *q, const cm_node *n, int seed,
                        int out)
{
    CHECK(!memcmp(cm_plan_data(p, n), cm_plan_data(q, n), cm_type_bytes(&n->type)),
          "seed %d: node %d (%s) of %d differs when the output is node %d", seed, n->id,
          cm_ops[n->op]->name, cm_graph_size(r->g), out);
}

/* Every node's value, computed in a plan that keeps all of them and so shares no
 * memory, and in a plan where it is the only one kept. */
static void test_sharing_is_invisible(void)
{
    int fewer_steps = 0;
    for (int seed = 0; seed < 40; seed++) {
        random_graph r = random_graph_new(seed);
        cm_error err = {0};
        cm_node *node[MAX_NODES];
        const int n = cm_graph_size(r.g);
        if (!CHECK_OK(cm_graph_check(r.g, &err), err) || !CHECK(n <= MAX_NODES, "%d nodes", n))
            exit(EXIT_FAILURE);
        for (int i = 0; i < n; i++)
            node[i] = cm_graph_node(r.g, i);
        cm_plan *all = compile(r.g, n, node);
        random_graph_run(&r, all);
        for (int i = -1; i < n; i += 1 + below(3)) {
            cm_plan *p = compile(r.g, i >= 0, &node[i >= 0 ? i : 0]);
            random_graph_run(&r, p);
            check_equal(&r, all, p, r.whole, seed, i);
            check_equal(&r, all, p, r.x[0], seed, i);
            check_equal(&r, all, p, r.x[1], seed, i);
            check_equal(&r, all, p, r.fixed, seed, i);
            if (i >= 0)
                check_equal(&r, all, p, node[i], seed, i);
            CHECK(cm_plan_get_memory(p).activations <= cm_plan_get_memory(all).activations,
                  "seed %d: more memory for fewer outputs", seed);
            fewer_steps += cm_plan_steps(p) < cm_plan_steps(all);
            cm_plan_free(p);
        }
        cm_plan_free(all);
        cm_graph_free(r.g);
    }
    CHECK(fewer_steps > 100, "only %d plans had fewer steps", fewer_steps);
}

/* A chain of overwriting ops has one block. */
static void test_in_place(void)
{
    cm_graph *g = cm_graph_new();
    cm_node *x = cm_input(g, "x", CM_TYPE(CM_F32, 1000)), *y = x;
    for (int i = 0; i < 10; i++)
        y = cm_affine(g, CM_RESHAPE(g, cm_affine(g, y, 1, 1), 1000), 1, 1);
    cm_plan *p = compile(g, 1, &y);
    set(p, x, 2.0f);
    cm_plan_run(p);
    expect(p, y, 22.0f, "y");
    expect(p, x, 2.0f, "the input");
    CHECK(cm_plan_get_memory(p).activations == 4032, "%zu bytes",
          cm_plan_get_memory(p).activations);
    cm_plan_free(p);
    cm_graph_free(g);
}

static const check_test tests[] = {
    {"planner: random lifetimes", test_planner},
    {"planner: a chain takes two blocks", test_planner_reuses},
    {"sharing memory changes no value", test_sharing_is_invisible},
    {"a chain of overwriting ops has one block", test_in_place},
};

CHECK_MAIN(tests)
