/* differentiate.c - the two differentiation walks; both build nodes
 *
 * vjp walks backwards from y and applies each op's transpose to the cotangent;
 * jvp walks forwards from x and applies each op's tangent map (Griewank and
 * Walther, "Evaluating Derivatives").  Both visit only nodes between x and y:
 * what does not depend on x (a teacher, the noise, what is under stop_gradient) needs no
 * rule and costs nothing.
 *
 * Recomputation.  Before vjp applies the first rule of a segment it appends copies of
 * the segment's nodes, and then gives the rules the copies.  Cotangents belong to the
 * originals, which nothing of the backward pass reads any more: the planner lets their
 * memory go, and copies that no rule needs are not in the plan. */
#include "graph/op.h"

#include "base/memory.h"

/* A derivative passes v: an input of it depends on x. */
static int passes(const cm_node *v, const char *depends)
{
    int any = 0;
    for (int k = 0; k < v->n_in; k++)
        any |= depends[v->in[k]->id];
    return any && !cm_ops[v->op]->stops;
}

/* depends[i] := node i is one of x or is computed from one, other than by stop_gradient. */
static char *dependence(cm_graph *g, int n, cm_node *const *x)
{
    char *depends = cm_alloc((size_t)cm_graph_size(g) + 1);
    if (!depends) {
        cm_graph_fail(g, CM_ERR_MEMORY, "differentiation: out of memory");
        return NULL;
    }
    for (int i = 0; i < n; i++)
        depends[x[i]->id] = 1;
    for (int i = 0; i < cm_graph_size(g); i++)
        depends[i] |= (char)passes(cm_graph_node(g, i), depends);
    return depends;
}

/* Built from the record, not by ops/: graph/ calls nothing there. */
cm_node *cm_add_or_null(cm_graph *g, cm_node *a, cm_node *b)
{
    return a && b ? cm_node_new(g, CM_OP_ADD, (cm_attr){0}, 2, (cm_node *[]){a, b}) : a ? a : b;
}

/* A vjp walk; arrays by the id of nodes up to y. */
struct walk {
    cm_graph *g;
    cm_node *y;
    char *depends;
    cm_node **bar;  /* cotangents */
    cm_node **copy; /* of nodes of segments computed again */
    int nearest;    /* the segment the walk met first; 0: none yet */
};

/* What entered the segment, and what in it does not depend on x, is read as it is. */
static void copy_segment(struct walk *w, int segment)
{
    for (int i = 0; i <= w->y->id; i++) {
        const cm_node *v = cm_graph_node(w->g, i);
        cm_node *in[CM_MAX_IN];
        if (v->segment != segment || !passes(v, w->depends) || cm_ops[v->op]->writes)
            continue;
        for (int k = 0; k < v->n_in; k++) {
            cm_node *copy = w->copy[v->in[k]->id]; /* only of this segment: others came before */
            in[k] = copy ? copy : v->in[k];
        }
        w->copy[i] = cm_node_new(w->g, v->op, v->attr, v->n_in, in);
        w->copy[i]->original = i;
    }
}

/* The node whose inputs and output the rule of v may read.  The segment nearest to y is not
 * computed again: all of it is in memory when the walk begins. */
static cm_node *recomputed(struct walk *w, cm_node *v)
{
    if (!w->nearest)
        w->nearest = v->segment;
    if (!v->segment || v->segment == w->nearest)
        return v;
    if (!w->copy[v->id])
        copy_segment(w, v->segment);
    return w->copy[v->id] ? w->copy[v->id] : v;
}

static void vjp_walk(struct walk *w)
{
    cm_graph *g = w->g;
    cm_node **bar = w->bar;
    for (int i = w->y->id; i >= 0; i--) {
        cm_node *v = cm_graph_node(g, i), *part[CM_MAX_IN] = {NULL};
        if (!bar[i] || !passes(v, w->depends))
            continue;
        if (!cm_ops[v->op]->vjp) {
            cm_graph_fail(g, CM_ERR_UNSUPPORTED, "%s has no vjp", cm_ops[v->op]->name);
            return;
        }
        cm_ops[v->op]->vjp(g, recomputed(w, v), bar[i], part);
        if (cm_graph_check(g, NULL))
            return;
        for (int k = 0; k < v->n_in; k++)
            if (part[k] && w->depends[v->in[k]->id])
                bar[v->in[k]->id] = cm_add_or_null(g, bar[v->in[k]->id], part[k]);
    }
}

void cm_graph_vjp(cm_graph *g, cm_node *y, cm_node *dy, int n, cm_node *const *x, cm_node **dx)
{
    for (int k = 0; k < n; k++)
        dx[k] = NULL;
    if (cm_graph_check(g, NULL))
        return;
    if (!cm_type_equal(&dy->type, &y->type)) {
        char a[96], b[96];
        cm_graph_fail(g, CM_ERR_SHAPE, "vjp: dy is %s %s, y is %s %s",
                      cm_dtype_name(dy->type.dtype), cm_type_text(a, sizeof a, &dy->type),
                      cm_dtype_name(y->type.dtype), cm_type_text(b, sizeof b, &y->type));
        return;
    }
    const size_t size = (size_t)cm_graph_size(g);
    struct walk w = {.g = g,
                     .y = y,
                     .depends = dependence(g, n, x),
                     .bar = cm_alloc_array(size, sizeof *w.bar),
                     .copy = cm_alloc_array(size, sizeof *w.copy)};
    if (w.depends && w.bar && w.copy) {
        w.bar[y->id] = dy;
        vjp_walk(&w);
        for (int k = 0; k < n; k++)
            dx[k] = w.bar[x[k]->id];
    } else
        cm_graph_fail(g, CM_ERR_MEMORY, "vjp: out of memory");
    cm_free(w.depends);
    cm_free(w.bar);
    cm_free(w.copy);
}

/* reaches[i] := node i is one of y, or one is computed from it, other than by stop_gradient. */
static char *reach(const cm_graph *g, int n, cm_node *const *y)
{
    char *reaches = cm_alloc((size_t)cm_graph_size(g) + 1);
    for (int i = 0; reaches && i < n; i++)
        reaches[y[i]->id] = 1;
    for (int i = cm_graph_size(g) - 1; reaches && i >= 0; i--) {
        const cm_node *v = cm_graph_node(g, i);
        for (int k = 0; reaches[i] && !cm_ops[v->op]->stops && k < v->n_in; k++)
            reaches[v->in[k]->id] = 1;
    }
    return reaches;
}

/* dot[i] of nodes up to `last` that y is computed from */
static void jvp_walk(cm_graph *g, int last, const char *reaches, cm_node **dot)
{
    for (int i = 0; i <= last && !cm_graph_check(g, NULL); i++) {
        cm_node *v = cm_graph_node(g, i), *in[CM_MAX_IN] = {NULL};
        int any = 0;
        for (int k = 0; k < v->n_in; k++)
            any |= !!(in[k] = dot[v->in[k]->id]);
        if (!any || !reaches[i] || cm_ops[v->op]->stops)
            continue;
        if (!cm_ops[v->op]->jvp) {
            cm_graph_fail(g, CM_ERR_UNSUPPORTED, "%s has no jvp", cm_ops[v->op]->name);
            return;
        }
        /* dot[i] is set where v is itself one of x, computed from another */
        dot[i] = cm_add_or_null(g, dot[i], cm_ops[v->op]->jvp(g, v, in));
    }
}

void cm_graph_jvps(cm_graph *g, int n_y, cm_node *const *y, int n, cm_node *const *x,
                   cm_node *const *xdot, cm_node **ydot)
{
    for (int i = 0; i < n_y; i++)
        ydot[i] = NULL;
    if (cm_graph_check(g, NULL))
        return;
    const int last = cm_graph_size(g) - 1;
    cm_node **dot = cm_alloc_array((size_t)last + 1, sizeof *dot);
    char *reaches = reach(g, n_y, y);
    if (dot && reaches) {
        for (int k = 0; k < n; k++)
            dot[x[k]->id] = xdot[k];
        jvp_walk(g, last, reaches, dot);
        for (int i = 0; i < n_y; i++)
            ydot[i] = dot[y[i]->id];
    } else
        cm_graph_fail(g, CM_ERR_MEMORY, "jvp: out of memory");
    cm_free(dot);
    cm_free(reaches);
}

cm_node *cm_graph_jvp(cm_graph *g, cm_node *y, int n, cm_node *const *x, cm_node *const *xdot)
{
    cm_node *ydot = NULL;
    cm_graph_jvps(g, 1, &y, n, x, xdot, &ydot);
    return ydot;
}
