/* test_verify.c - the verifier of plans: each test compiles a plan, which is right, spoils
 * one decision of the planner, and must see it refused with the nodes named */
#include "plan_check.h"

#include "graph/plan_internal.h"

typedef struct subject {
    cm_graph *g;
    cm_node *x, *out[3];
    int n_out;
    cm_plan *p;
} subject;

static subject subject_new(cm_type type)
{
    subject s = {.g = cm_graph_new()};
    s.x = cm_input(s.g, "x", type);
    return s;
}

static void subject_compile(subject *s, int n, cm_node *const *out)
{
    memcpy(s->out, out, (size_t)n * sizeof *out);
    s->n_out = n;
    s->p = compile(s->g, n, out);
}

static void subject_free(subject *s)
{
    cm_plan_free(s->p);
    cm_graph_free(s->g);
}

static void check_refused(const subject *s, const char *fault, const char *word, const char *other)
{
    cm_error err = {0};
    const cm_status status = cm_plan_verify(s->p, s->n_out, s->out, &err);
    CHECK(status == CM_ERR_INTERNAL, "%s: accepted", fault);
    CHECK(strstr(err.message, "internal error: plan: ") == err.message &&
              strstr(err.message, word) && strstr(err.message, other),
          "%s: \"%s\" does not say \"%s\" and \"%s\"", fault, err.message, word, other);
}

static cm_location *location(const subject *s, const cm_node *n)
{
    return &s->p->location[n->id];
}

static cm_step *step_of(const subject *s, const cm_node *n)
{
    for (int i = 0; i < s->p->n_steps; i++)
        if (s->p->step[i].node->id == n->id)
            return &s->p->step[i];
    CHECK(0, "node %d has no step", n->id);
    exit(EXIT_FAILURE);
}

/* ---- over an input ---- */

enum { CHANNELS = 16 };

/* h + conv(h), h = silu(x), where the residual may be in place but for its other reader */
static subject residual_new(cm_node **h, cm_node **y)
{
    subject s = subject_new(CM_TYPE(CM_F32, 2, 8, 8, CHANNELS));
    cm_node *w = cm_input(s.g, "w", CM_TYPE(CM_F32, CHANNELS, CHANNELS, 3, 3));
    *h = cm_silu(s.g, s.x);
    cm_node *conv = cm_conv2d(s.g, *h, w, NULL, 1, 1);
    *y = cm_add(s.g, *h, conv);
    subject_compile(&s, 1, y);
    CHECK(location(&s, conv)->offset == location(&s, *y)->offset, "not fused");
    *y = conv;
    return s;
}

static void test_input(void)
{
    cm_node *h, *y;
    subject s = residual_new(&h, &y);
    CHECK(location(&s, y)->offset != location(&s, h)->offset, "in place of what is read as x");
    for (int i = 0; i < s.p->n_nodes; i++)
        if (cm_view_base(&s.p->node[i])->id == y->id)
            s.p->location[i] = *location(&s, h);
    check_refused(&s, "the old rule", "conv2d", "overwrites its input node 2 (silu");
    for (int i = 0; i < s.p->n_nodes; i++) /* partly, in another order */
        if (cm_view_base(&s.p->node[i])->id == y->id)
            s.p->location[i].offset += 64;
    s.p->arena_bytes += 64;
    check_refused(&s, "shifted", "conv2d", "overwrites its input node 2 (silu");
    subject_free(&s);
}

/* In place where it is declared: exactly there, and in every operand. */
static void test_in_place(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 64, 64));
    cm_node *a = cm_exp(s.g, s.x), *b = cm_sin(s.g, s.x), *y = cm_silu_grad(s.g, a, b);
    cm_error err = {0};
    subject_compile(&s, 1, &y);
    for (int i = 0; i < 2; i++) {
        *location(&s, y) = *location(&s, i ? a : b);
        CHECK_OK(cm_plan_verify(s.p, 1, s.out, &err), err);
    }
    location(&s, y)->offset += 64;
    s.p->arena_bytes += 64;
    check_refused(&s, "a shift in place", "silu_grad", "overwrites its input");
    subject_free(&s);
    s = subject_new(CM_TYPE(CM_F32, 64, 64));
    a = cm_exp(s.g, s.x);
    y = cm_silu_grad(s.g, a, a);
    subject_compile(&s, 1, &y);
    CHECK(location(&s, y)->offset == location(&s, a)->offset, "not in place");
    subject_free(&s);
}

/* All that shows the block of this node, moved to an offset. */
static void move(const subject *s, const cm_node *n, size_t offset)
{
    const size_t from = location(s, n)->offset;
    for (int i = 0; i < s->p->n_nodes; i++)
        if (s->p->location[i].place == CM_PLACE_ARENA && cm_view_base(&s->p->node[i])->id == n->id)
            s->p->location[i].offset += offset - from;
}

/* The auxiliary result behind an output, over an input that the output itself leaves alone. */
static void test_auxiliary_over_input(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 2, 8, 8, CHANNELS));
    cm_node *a = cm_input(s.g, "a", CM_TYPE(CM_F32, 1, CHANNELS)),
            *b = cm_input(s.g, "b", CM_TYPE(CM_F32, 1, CHANNELS));
    cm_node *h = cm_silu(s.g, s.x), *y = cm_group_norm(s.g, h, a, b, 4, 1e-5f, 0), *dx = NULL;
    cm_graph_vjp(s.g, y, y, 1, &s.x, &dx);
    cm_node *out[] = {dx, h};
    cm_error err = {0};
    subject_compile(&s, 2, out);
    const cm_node *norm = &s.p->node[y->id];
    CHECK(cm_has_aux(norm), "the statistics are not kept");
    const size_t end = (s.p->arena_bytes + 63) / 64 * 64, room = end;
    s.p->arena_bytes += 4 * room;
    move(&s, y, end);
    move(&s, h, end + 2 * room);
    CHECK_OK(cm_plan_verify(s.p, s.n_out, s.out, &err), err);
    move(&s, h, end + cm_aux_offset(norm));
    check_refused(&s, "statistics over an input", "group_norm", "overwrites its input");
    subject_free(&s);
}

/* The second part of a split result is read where it was written, and nowhere else. */
static void test_second_part(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 2, 8, 8, CHANNELS));
    cm_node *a = cm_input(s.g, "a", CM_TYPE(CM_F32, 1, CHANNELS)), *dx = NULL;
    cm_node *y = cm_group_norm(s.g, s.x, a, a, 4, 1e-5f, 0);
    cm_graph_vjp(s.g, y, s.x, 1, &s.x, &dx);
    cm_node *first = cm_slice(s.g, dx, 0, 4), *second = cm_slice(s.g, dx, 4, CHANNELS - 4);
    cm_node *out[] = {cm_sin(s.g, first), cm_sin(s.g, second)};
    subject_compile(&s, 2, out);
    CHECK(s.p->node[second->id].op == CM_OP_SECOND, "not split");
    location(&s, second)->offset += 64;
    check_refused(&s, "a second part one block off", "second", "not in the memory");
    location(&s, second)->offset -= 64;
    s.p->node[dx->id].split = 8;
    check_refused(&s, "split elsewhere", "sin", "reads");
    s.p->node[dx->id].split = 0;
    check_refused(&s, "not split", "sin", "reads");
    subject_free(&s);
}

/* ---- over what lives ---- */

/* a = exp x; b = sin a; c = a + b; an output: b + c */
static void test_lifetimes(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 64, 64));
    cm_node *a = cm_exp(s.g, s.x), *b = cm_sin(s.g, a), *m = cm_concat(s.g, a, b);
    cm_node *c = cm_slice(s.g, m, 32, 64), *y = cm_concat(s.g, c, b);
    cm_node *out[] = {y, m};
    subject_compile(&s, 2, out);
    s.p->arena_bytes *= 2; /* so that nothing is wrong but what is meant */
    const cm_node *made[] = {a, b, m, c, y};
    for (int i = 0; i < 5; i++) {
        cm_location *at = location(&s, made[i]);
        const cm_location right = *at;
        for (int k = 0; k < 5; k++) {
            const int alive = k < i && (made[k] == m || made[k] == b || (made[k] == a && i == 1) ||
                                        (made[k] == a && i == 2) || made[k] == c);
            if (!alive || (made[k] == b && made[i] == y))
                continue;
            *at = *location(&s, made[k]);
            check_refused(&s, "a value placed over a live one", cm_ops[made[i]->op]->name,
                          cm_ops[made[k]->op]->name);
        }
        at->offset = right.offset + 64;
        if (made[i] == b)
            check_refused(&s, "one block off", "slice", "reads");
        *at = right;
        at->offset += 4;
        check_refused(&s, "not aligned", "not aligned", cm_ops[made[i]->op]->name);
        *at = right;
        at->offset = s.p->arena_bytes;
        check_refused(&s, "beyond the end", "ends at byte", cm_ops[made[i]->op]->name);
        *at = right;
    }
    CHECK(cm_plan_verify(s.p, 2, s.out, NULL) == CM_OK, "not put right again");
    const cm_step moved = s.p->step[1]; /* b before a */
    s.p->step[1] = s.p->step[0];
    s.p->step[0] = moved;
    CHECK(cm_plan_verify(s.p, 2, s.out, NULL) == CM_ERR_INTERNAL, "steps exchanged: accepted");
    s.p->step[0] = s.p->step[1];
    s.p->step[1] = moved;
    s.p->n_steps--;
    check_refused(&s, "no last step", "the end of the run reads node 5 (concat", "(exp");
    s.p->n_steps++;
    subject_free(&s);
}

/* Every block of a chain one place down: the planner forgot that a step has both its input
 * and its output. */
static void test_off_by_one_block(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 64, 64));
    cm_node *y = s.x;
    for (int i = 0; i < 6; i++)
        y = cm_softmax(s.g, y);
    subject_compile(&s, 1, &y);
    for (int i = 0; i < s.p->n_steps; i++)
        location(&s, s.p->step[i].node)->offset = 0;
    check_refused(&s, "one block for a chain", "overwrites its input", "softmax");
    subject_free(&s);
}

static void test_auxiliary(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 2, 8, 8, 32));
    cm_node *a = cm_input(s.g, "a", CM_TYPE(CM_F32, 1, 32)), *u = cm_exp(s.g, s.x), *da;
    cm_node *y = cm_group_norm(s.g, u, a, a, 4, 1e-5f, 1);
    cm_graph_vjp(s.g, y, s.x, 1, &a, &da);
    cm_node *out[] = {y, da};
    subject_compile(&s, 2, out);
    s.p->node[y->id].aux_unused = 1;
    check_refused(&s, "statistics not made", "reads", "(aux [2,64]), which is not there");
    s.p->node[y->id].aux_unused = 0;
    location(&s, u)->offset = location(&s, y)->offset + 4096; /* half over, half behind */
    s.p->arena_bytes *= 2;
    check_refused(&s, "output over a part of an input", "group_norm", "overwrites its input");
    subject_free(&s);
}

/* ---- leaves ---- */

static void test_leaves(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 64));
    cm_node *leaf = cm_input(s.g, "leaf", s.x->type), *v = cm_exp(s.g, s.x);
    cm_node *between = cm_affine(s.g, leaf, 2, 0), *store = cm_store(s.g, v, leaf);
    subject_compile(&s, 1, &between);
    *location(&s, v) = *location(&s, leaf); /* computed in the leaf, which is read before */
    check_refused(&s, "too early in the leaf", "reads", "before it is stored");
    subject_free(&s);

    s = subject_new(CM_TYPE(CM_F32, 64));
    leaf = cm_input(s.g, "leaf", s.x->type);
    v = cm_exp(s.g, s.x);
    store = cm_store(s.g, v, leaf);
    subject_compile(&s, 1, &store);
    CHECK(location(&s, v)->place == CM_PLACE_BUFFER && s.p->n_steps == 1, "not in the leaf");
    location(&s, v)->buffer = s.x->attr.leaf.buffer; /* exactly over x, which it may */
    check_refused(&s, "in another leaf", "has no step", "store");
    location(&s, v)->place = CM_PLACE_ARENA;
    s.p->arena_bytes = 4096;
    check_refused(&s, "not in the leaf", "has no step", "store");
    subject_free(&s);

    s = subject_new(CM_TYPE(CM_F32, 64));
    leaf = cm_input(s.g, "leaf", s.x->type);
    v = cm_exp(s.g, s.x);
    subject_compile(&s, 1, &v);
    *location(&s, v) = *location(&s, leaf);
    check_refused(&s, "in a leaf without a store", "nothing stores it", "exp");
    subject_free(&s);
}

/* What is wrong with the graph is not called our fault. */
static void test_overlapping_operands(void)
{
    cm_graph *g = cm_graph_new();
    cm_error err = {0};
    cm_plan *p = NULL;
    const int b = cm_graph_buffer(g, "state", CM_BUFFER_OWN);
    cm_node *low = cm_leaf(g, b, 0, CM_TYPE(CM_F32, 8), "low");
    cm_node *high = cm_leaf(g, b, 16, CM_TYPE(CM_F32, 8), "high"),
            *mean = cm_ema(g, low, high, cm_scalar(g, 1, 0.5f), cm_scalar(g, 1, 0.0f));
    CHECK(cm_plan_compile(g, 1, &mean, cm_cpu_device(), 1, &p, &err) == CM_ERR_ARGUMENT &&
              strstr(err.message, "ema: operands 1 and 0 overlap in buffer \"state\""),
          "%s", err.message);
    cm_graph_free(g);
}

/* ---- constants and workspace ---- */

static void test_constants(void)
{
    subject s = subject_new(CM_TYPE(CM_F32, 2, 4, 4, 16));
    const int fixed = cm_graph_buffer(s.g, "fixed", CM_BUFFER_CONST | CM_BUFFER_OWN);
    const cm_type weights = CM_TYPE(CM_F32, 16, 16, 3, 3);
    cm_node *w = cm_leaf(s.g, fixed, 0, weights, "w"), *v = cm_sin(s.g, w);
    cm_node *y = cm_conv2d(s.g, s.x, w, NULL, 1, 1), *z = cm_conv2d(s.g, y, v, NULL, 1, 1);
    cm_node *u = cm_conv2d(s.g, z, w, NULL, 1, 1);
    subject_compile(&s, 1, &u);
    cm_step *first = step_of(&s, y), *second = step_of(&s, z), *third = step_of(&s, u);
    CHECK(third->packed_before && !second->packed_before, "not the plan meant");
    const size_t offset = second->packed_offset;
    second->packed_offset = first->packed_offset;
    check_refused(&s, "packed over others", "conv2d", "overwrites the constant");
    second->packed_offset = offset;
    third->packed_offset = offset;
    check_refused(&s, "packed from others", "reads the packed weights of another", "conv2d");
    third->packed_offset = first->packed_offset;
    *location(&s, v) = (cm_location){CM_PLACE_CONSTANTS, 0, first->packed_offset};
    check_refused(&s, "a constant over packed weights", "overwrites the constant", "conv2d");
    *location(&s, v) = (cm_location){CM_PLACE_ARENA, 0, 0};
    check_refused(&s, "a constant in the arena", "sin", "another kind");
    subject_free(&s);

    cm_node *h;
    s = residual_new(&h, &y);
    CHECK(s.p->scratch_bytes > 0, "nothing is packed");
    s.p->scratch_bytes -= 64;
    check_refused(&s, "no room for packed weights", "beyond the workspace", "conv2d");
    s.p->scratch_bytes += 64;
    step_of(&s, y)->prepared.workspace = s.p->workspace_bytes + 1;
    check_refused(&s, "no room to work", "more workspace", "conv2d");
    subject_free(&s);
}

static const check_test tests[] = {
    {"an auxiliary result over an input", test_auxiliary_over_input},
    {"second part of a split result", test_second_part},
    {"over an input", test_input},
    {"in place", test_in_place},
    {"over what is read later, misplaced, out of order", test_lifetimes},
    {"one block too few", test_off_by_one_block},
    {"auxiliary results", test_auxiliary},
    {"leaves", test_leaves},
    {"operands that overlap", test_overlapping_operands},
    {"constants, packed weights, workspace", test_constants},
};

CHECK_MAIN(tests)
