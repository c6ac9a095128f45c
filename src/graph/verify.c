/* verify.c - hold a compiled plan against what the graph means
 *
 * A simulation of one refresh and one run in which memory holds names instead of
 * numbers: a write labels a range of bytes with the node whose value is there, and a
 * read must find the value it wants, whole.  Owners and lifetimes, by which plan.c placed
 * the results, are not consulted: only steps, the inputs of their nodes, and locations.
 * So it is refused
 *  - that a step reads what is not there yet, not there any more, or somewhere else;
 *  - that it writes over one of its own inputs, unless the op declares that each element is
 *    read before it is written (cm_op.inplace);
 *  - that anything is written over an output, a constant or packed weights;
 *  - that a leaf holds anything at a read, or in the end, but what the ops before, in program
 *    order, wrote to it: a value computed in a leaf early is *pending* until its store;
 *  - that something reaches beyond its memory, or is not aligned.
 *
 * Labels are disjoint ranges in order of address: a step costs a binary search for each
 * operand and a move of the labels behind. */
#include "graph/plan_internal.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULT, SECOND, AUXILIARY, PACKED };     /* parts; RESULT: the first, where it is split */
enum { VALUES = -1, ARENA, CONSTANTS, BUFFER }; /* spaces; BUFFER + i: buffer i */

typedef struct range {
    int space;
    size_t begin, end;
} range;

/* What is in a range: a part of the results of a node, or the weights packed for the step of
 * that node.  In a buffer only what is pending has a label. */
typedef struct label {
    range at;
    int node, part;
} label;

typedef struct verifier {
    const cm_plan *p;
    const cm_step *step; /* the present one; NULL: the end of the run */
    label *label;
    int n, capacity;
    cm_status status;
    cm_error *err;
} verifier;

/* ---- messages ---- */

typedef struct text {
    char s[160];
} text;

static text node_text(const verifier *v, int id)
{
    const cm_node *n = &v->p->node[id];
    text t;
    char type[96];
    snprintf(t.s, sizeof t.s, "node %d (%s %s%s%.40s)", id, cm_ops[n->op]->name,
             cm_type_text(type, sizeof type, &n->type), n->name ? " " : "", n->name ? n->name : "");
    return t;
}

static text step_text(const verifier *v)
{
    text t = {"the end of the run"};
    if (v->step)
        snprintf(t.s, sizeof t.s, "step %d, %.120s", (int)(v->step - v->p->step),
                 node_text(v, v->step->node->id).s);
    return t;
}

/* The first fault is reported. */
#define REFUSE(v, ...)                                                                    \
    do {                                                                                  \
        if (!(v)->status)                                                                 \
            (v)->status =                                                                 \
                cm_fail((v)->err, CM_ERR_INTERNAL, "internal error: plan: " __VA_ARGS__); \
    } while (0)

/* ---- labels ---- */

static int before(const range *a, const range *b)
{
    return a->space != b->space ? a->space < b->space : a->end <= b->begin;
}

static int overlap(const range *a, const range *b)
{
    return !before(a, b) && !before(b, a);
}

static int same(const range *a, const range *b)
{
    return a->space == b->space && a->begin == b->begin && a->end == b->end;
}

/* The first label not before r. */
static int find(const verifier *v, const range *r)
{
    int low = 0, high = v->n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (before(&v->label[middle].at, r))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const label *found(const verifier *v, const range *r)
{
    const int i = find(v, r);
    return i < v->n && overlap(&v->label[i].at, r) ? &v->label[i] : NULL;
}

/* Labels [from, to) become the `count` of put. */
static void splice(verifier *v, int from, int to, const label *put, int count)
{
    if (!count && from == to)
        return;
    const int n = v->n + count - (to - from);
    if (n > v->capacity) {
        const int capacity = 2 * n + 64;
        label *bigger =
            cm_grow(v->label, (size_t)v->n * sizeof *bigger, (size_t)capacity * sizeof *bigger);
        if (!bigger) {
            v->status = cm_fail(v->err, CM_ERR_MEMORY, "plan: out of memory");
            return;
        }
        v->label = bigger;
        v->capacity = capacity;
    }
    memmove(v->label + from + count, v->label + to, (size_t)(v->n - to) * sizeof *v->label);
    memcpy(v->label + from, put, (size_t)count * sizeof *put);
    v->n = n;
}

/* r holds part of node, and nothing of what it held; node < 0: nothing at all. */
static void write_label(verifier *v, range r, int node, int part)
{
    label put[3];
    int count = 0;
    const int from = find(v, &r);
    int to = from;
    while (to < v->n && overlap(&v->label[to].at, &r))
        to++;
    if (to > from && v->label[from].at.begin < r.begin) {
        put[count] = v->label[from];
        put[count++].at.end = r.begin;
    }
    if (node >= 0)
        put[count++] = (label){r, node, part};
    if (to > from && v->label[to - 1].at.end > r.end) {
        put[count] = v->label[to - 1];
        put[count++].at.begin = r.end;
    }
    if (r.begin < r.end)
        splice(v, from, to, put, count);
}

/* ---- nodes ---- */

static range range_at(const verifier *v, const cm_node *n, size_t bytes)
{
    const cm_location *at = &v->p->location[n->id];
    const int space = at->place == CM_PLACE_ARENA       ? ARENA
                      : at->place == CM_PLACE_CONSTANTS ? CONSTANTS
                      : at->place == CM_PLACE_BUFFER    ? BUFFER + at->buffer
                                                        : VALUES;
    return (range){space, at->offset, at->offset + bytes};
}

static range range_of(const verifier *v, const cm_node *n)
{
    return range_at(v, n, cm_type_bytes(&n->type));
}

/* The bytes between the output and the auxiliary result are nobody's. */
static range aux_range(const verifier *v, const cm_node *n)
{
    range r = range_at(v, n, cm_results_bytes(n));
    r.begin += cm_aux_offset(n);
    return r;
}

static range second_range(const cm_node *n, range all)
{
    const size_t channels = (size_t)n->type.dim[n->type.rank - 1];
    all.begin += cm_type_bytes(&n->type) / channels * (size_t)n->split;
    return all;
}

static int part_of(const cm_node *view)
{
    while (view->op != CM_OP_AUX && view->op != CM_OP_SECOND && cm_ops[view->op]->alias)
        view = view->in[0];
    return view->op == CM_OP_AUX ? AUXILIARY : view->op == CM_OP_SECOND ? SECOND : RESULT;
}

/* What an op writes is a leaf, read and written in place. */
static int is_leaf(const cm_node *base)
{
    return base->op == CM_OP_LEAF || cm_ops[base->op]->writes;
}

static size_t space_bytes(const verifier *v, int space)
{
    return space == ARENA       ? v->p->arena_bytes
           : space == CONSTANTS ? v->p->constant_bytes
                                : v->p->buffer_bytes[space - BUFFER];
}

/* Views are where they show, leaves where they were declared, the rest fits. */
static void check_location(verifier *v, const cm_node *n)
{
    const cm_op *op = cm_ops[n->op];
    const range r = range_at(v, n, cm_results_bytes(n));
    range want = r;
    if (op->alias) {
        want = range_of(v, n->in[0]);
        want.begin += cm_view_offset(n);
    } else if (op->writes)
        want = range_of(v, n->in[__builtin_ctz(op->writes)]);
    else if (n->op == CM_OP_LEAF)
        want = (range){BUFFER + n->attr.leaf.buffer, n->attr.leaf.offset, 0};
    if (r.space != want.space || (r.space != VALUES && r.begin != want.begin))
        REFUSE(v, "%s is not in the memory that it is a view of", node_text(v, n->id).s);
    else if (r.space != VALUES && r.end > space_bytes(v, r.space))
        REFUSE(v, "%s ends at byte %zu of %zu", node_text(v, n->id).s, r.end,
               space_bytes(v, r.space));
    else if ((r.space == ARENA || r.space == CONSTANTS) && r.begin % 64)
        REFUSE(v, "%s begins at byte %zu, which is not aligned", node_text(v, n->id).s, r.begin);
}

/* ---- reads ---- */

static void check_read(verifier *v, const cm_node *n)
{
    const cm_node *base = cm_view_base(n);
    const range r = range_of(v, n);
    const label *l = found(v, &r);
    const int part = part_of(n);
    if (base->op == CM_OP_CONST || (is_leaf(base) && !l) || r.begin == r.end)
        return;
    if (is_leaf(base))
        REFUSE(v, "%s reads %s, where %s is before it is stored", step_text(v).s,
               node_text(v, n->id).s, node_text(v, l->node).s);
    else if (!l)
        REFUSE(v, "%s reads %s, which is not there", step_text(v).s, node_text(v, n->id).s);
    else if (l->node != base->id || l->part != part)
        REFUSE(v, "%s reads %s, where %s is", step_text(v).s, node_text(v, n->id).s,
               node_text(v, l->node).s);
    else if (!same(&l->at, &r))
        REFUSE(v, "%s reads %s, which %s has overwritten in part", step_text(v).s,
               node_text(v, n->id).s,
               l + 1 < v->label + v->n ? node_text(v, l[1].node).s : "another");
}

static int by_node(const void *id, const void *step)
{
    const int a = *(const int *)id, b = ((const cm_step *)step)->node->id;
    return a < b ? -1 : a > b;
}

static const cm_step *step_of(const verifier *v, int node)
{
    return bsearch(&node, v->p->step, (size_t)v->p->n_steps, sizeof *v->p->step, by_node);
}

static void check_packed(verifier *v)
{
    const cm_step *s = v->step;
    const range r = {CONSTANTS, s->packed_offset, s->packed_offset + s->prepared.packed};
    const label *l = found(v, &r);
    const cm_step *by = l && l->part == PACKED ? step_of(v, l->node) : NULL;
    if (!by || !same(&l->at, &r))
        REFUSE(v, "%s reads packed weights that are not there", step_text(v).s);
    else if (by != s && (by->kernel->pack != s->kernel->pack ||
                         cm_view_base(by->node->in[by->prepared.packs]) !=
                             cm_view_base(s->node->in[s->prepared.packs]) ||
                         !s->kernel->same_packed(by->prepared.state, s->prepared.state)))
        REFUSE(v, "%s reads the packed weights of another, %s", step_text(v).s,
               node_text(v, by->node->id).s);
}

/* ---- writes ---- */

/* Input k may be in the range that is written: its elements are read in time. */
static int is_in_place(const verifier *v, const cm_node *n, int k, const range *written,
                       const cm_type *type)
{
    const range r = range_of(v, n->in[k]);
    return (cm_ops[n->op]->inplace >> k & 1) && cm_type_equal(&n->in[k]->type, type) &&
           same(&r, written);
}

/* The step writes r, which holds a tensor of this type or, NULL, one of no input. */
static void check_write(verifier *v, range r, const cm_type *type, int written)
{
    const cm_node *n = v->step->node;
    for (int k = 0; k < n->n_in && !v->status; k++) {
        const range in = range_of(v, n->in[k]);
        if (k == written || !overlap(&in, &r) || (type && is_in_place(v, n, k, &r, type)))
            continue;
        if (written >= 0 && is_leaf(cm_view_base(n->in[k])))
            v->status =
                cm_fail(v->err, CM_ERR_ARGUMENT, "%s: operands %d and %d overlap in buffer \"%s\"",
                        cm_ops[n->op]->name, k, written,
                        cm_graph_buffer_name(v->p->graph, r.space - BUFFER));
        else
            REFUSE(v, "%s overwrites its input %s", step_text(v).s, node_text(v, n->in[k]->id).s);
    }
}

static void write_results(verifier *v)
{
    const cm_node *n = v->step->node;
    const unsigned writes = cm_ops[n->op]->writes;
    const range out = range_of(v, n);
    for (int k = 0; k < n->n_in; k++)
        if (writes >> k & 1) {
            const range leaf = range_of(v, n->in[k]);
            check_write(v, leaf, &n->in[k]->type, k);
            write_label(v, leaf, -1, RESULT);
        }
    if (writes)
        return;
    if ((out.space == CONSTANTS) != v->step->constant || out.space == VALUES)
        REFUSE(v, "%s writes to memory of another kind", step_text(v).s);
    check_write(v, out, &n->type, -1);
    write_label(v, out, n->id, RESULT);
    if (n->split)
        write_label(v, second_range(n, out), n->id, SECOND);
    if (cm_has_aux(n)) {
        check_write(v, aux_range(v, n), NULL, -1);
        write_label(v, aux_range(v, n), n->id, AUXILIARY);
    }
}

/* ---- the walk ---- */

static void check_step(verifier *v)
{
    const cm_node *n = v->step->node;
    for (int k = 0; k < n->n_in; k++)
        if (!(n->op == CM_OP_STORE && k == 1))
            check_read(v, n->in[k]);
    if (v->step->pack_once)
        check_packed(v);
    else if (v->step->prepared.packed > v->p->scratch_bytes)
        REFUSE(v, "%s packs its weights beyond the workspace", step_text(v).s);
    if (v->step->prepared.workspace > v->p->workspace_bytes)
        REFUSE(v, "%s wants more workspace than there is", step_text(v).s);
    write_results(v);
}

/* In refresh a range of constants is written once: any part of it may be done again. */
static void write_constant(verifier *v, range r)
{
    const label *l = found(v, &r);
    if (l)
        REFUSE(v, "%s overwrites the constant %s", step_text(v).s, node_text(v, l->node).s);
}

static int is_constant(const verifier *v, const cm_node *base)
{
    return base->op == CM_OP_LEAF
               ? !!(cm_graph_buffer_flags(v->p->graph, base->attr.leaf.buffer) & CM_BUFFER_CONST)
               : base->op == CM_OP_CONST || v->p->location[base->id].place == CM_PLACE_CONSTANTS;
}

static void refresh_step(verifier *v)
{
    const cm_step *s = v->step;
    if (s->pack_once && !s->packed_before) {
        const range r = {CONSTANTS, s->packed_offset, s->packed_offset + s->prepared.packed};
        if (r.end > v->p->constant_bytes || r.begin % 64 ||
            !is_constant(v, cm_view_base(s->node->in[s->prepared.packs])))
            REFUSE(v, "%s packs what is not constant, or to the wrong place", step_text(v).s);
        check_read(v, s->node->in[s->prepared.packs]);
        write_constant(v, r);
        write_label(v, r, s->node->id, PACKED);
    }
    if (!s->constant)
        return;
    for (int k = 0; k < s->node->n_in; k++)
        if (!is_constant(v, cm_view_base(s->node->in[k])))
            REFUSE(v, "%s is constant but reads %s", step_text(v).s,
                   node_text(v, s->node->in[k]->id).s);
    write_constant(v, range_of(v, s->node));
    if (cm_has_aux(s->node))
        write_constant(v, aux_range(v, s->node));
    check_step(v);
}

/* A store without a step: its value was computed in the leaf. */
static void settle(verifier *v, const cm_node *store)
{
    const range leaf = range_of(v, store);
    const cm_node *base = cm_view_base(store->in[0]);
    const label *l = found(v, &leaf);
    const range value = range_of(v, store->in[0]);
    if (store->op != CM_OP_STORE || !same(&value, &leaf) ||
        (!is_leaf(base) && (!l || l->node != base->id || !same(&l->at, &leaf))))
        REFUSE(v, "%s has no step, and its value is not in the leaf", node_text(v, store->id).s);
    write_label(v, leaf, -1, RESULT);
}

static void refresh(verifier *v)
{
    for (int i = 0; i < v->p->n_steps && !v->status; i++) {
        v->step = &v->p->step[i];
        refresh_step(v);
    }
}

/* What is read from outside is there, and nothing was left where it does not belong. */
static void check_end(verifier *v, int n_out, cm_node *const *out)
{
    for (int i = 0; i < n_out && !v->status; i++)
        check_read(v, &v->p->node[out[i]->id]);
    for (int i = 0; i < v->n; i++)
        if (v->label[i].at.space >= BUFFER)
            REFUSE(v, "%s is left in a leaf to which nothing stores it",
                   node_text(v, v->label[i].node).s);
}

static void run(verifier *v)
{
    const cm_plan *p = v->p;
    int next = 0;
    for (int i = 0; i < p->n_nodes && !v->status; i++) {
        const cm_node *n = &p->node[i];
        v->step = next < p->n_steps && p->step[next].node == n ? &p->step[next++] : NULL;
        if (p->location[i].place != CM_PLACE_NONE)
            check_location(v, n);
        if (v->step && !v->step->constant && !v->status)
            check_step(v);
        else if (!v->step && cm_ops[n->op]->writes)
            settle(v, n);
    }
    v->step = NULL;
    if (next < p->n_steps)
        REFUSE(v, "step %d is not in program order", next);
}

cm_status cm_plan_verify(const cm_plan *p, int n_out, cm_node *const *out, cm_error *err)
{
    verifier v = {.p = p, .err = err, .capacity = 256};
    if (!(v.label = cm_alloc_array((size_t)v.capacity, sizeof *v.label)))
        return cm_fail(err, CM_ERR_MEMORY, "plan: out of memory");
    refresh(&v);
    run(&v);
    check_end(&v, n_out, out);
    cm_free(v.label);
    return v.status;
}
