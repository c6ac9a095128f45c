/* graph.c - node storage, leaves, types, and the sticky error */
#include "graph/op.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct buffer {
    const char *name;
    unsigned flags;
};

struct cm_graph {
    cm_arena arena; /* nodes, names, constants */
    cm_node **node;
    int n, cap;
    struct buffer *buffer;
    int n_buffers, cap_buffers;
    int segment, n_segments; /* the open one, 0: none; begun so far */
    cm_error error;
    cm_node poison; /* what builders return after an error */
};

#define X(id, entry, help) [CM_OP_##id] = &(cm_op_##entry),
const cm_op *const cm_ops[CM_OP_COUNT] = {CM_OP_LIST(X)};
#undef X

static void aux_infer(cm_graph *g, const cm_node *n, cm_type *out)
{
    const cm_op *op = cm_ops[n->in[0]->op];
    if (op->aux)
        *out = op->aux(n->in[0]);
    else
        cm_graph_fail(g, CM_ERR_ARGUMENT, "%s has no auxiliary result", op->name);
}

const cm_op cm_op_leaf = {.name = "leaf"};
const cm_op cm_op_const = {.name = "const"};
const cm_op cm_op_aux = {.name = "aux", .n_in = 1, .infer = aux_infer, .alias = 1};
const cm_op cm_op_second = {.name = "second", .n_in = 1, .alias = 1};

cm_graph *cm_graph_new(void)
{
    return cm_alloc(sizeof(cm_graph));
}

void cm_graph_free(cm_graph *g)
{
    if (!g)
        return;
    cm_arena_free(&g->arena);
    cm_free(g->node);
    cm_free(g->buffer);
    cm_free(g);
}

cm_status cm_graph_check(const cm_graph *g, cm_error *err)
{
    if (g->error.status && err)
        *err = g->error;
    return g->error.status;
}

void cm_graph_fail(cm_graph *g, cm_status s, const char *fmt, ...)
{
    va_list ap;
    if (g->error.status)
        return; /* the first error is the one worth reading */
    g->error.status = s;
    va_start(ap, fmt);
    vsnprintf(g->error.message, sizeof g->error.message, fmt, ap);
    va_end(ap);
}

int cm_graph_size(const cm_graph *g)
{
    return g->n;
}

cm_node *cm_graph_node(const cm_graph *g, int id)
{
    return g->node[id];
}

const cm_type *cm_node_type(const cm_node *n)
{
    return &n->type;
}

void *cm_graph_alloc(cm_graph *g, size_t bytes)
{
    void *p = cm_arena_alloc(&g->arena, bytes);
    if (!p)
        cm_graph_fail(g, CM_ERR_MEMORY, "graph: out of memory");
    return p;
}

/* ---- types ---- */

cm_type cm_type_make(cm_dtype dtype, int rank, const int64_t *dim)
{
    cm_type t = {dtype, rank, {1, 1, 1, 1}};
    for (int i = 0; i < rank && i < CM_MAX_RANK; i++)
        t.dim[i] = dim[i];
    return t;
}

int cm_type_same_shape(const cm_type *a, const cm_type *b)
{
    return a->rank == b->rank && !memcmp(a->dim, b->dim, sizeof a->dim);
}

int cm_type_equal(const cm_type *a, const cm_type *b)
{
    return a->dtype == b->dtype && cm_type_same_shape(a, b);
}

int64_t cm_type_count(const cm_type *t)
{
    return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
}

size_t cm_dtype_bytes(cm_dtype d)
{
    return d == CM_BF16 ? 2 : 4;
}

size_t cm_type_bytes(const cm_type *t)
{
    return (size_t)cm_type_count(t) * cm_dtype_bytes(t->dtype);
}

const char *cm_dtype_name(cm_dtype d)
{
    return d == CM_F32 ? "f32" : d == CM_BF16 ? "bf16" : "i32";
}

const char *cm_type_text(char *buf, size_t size, const cm_type *t)
{
    int n = snprintf(buf, size, "[");
    for (int i = 0; i < t->rank && i < CM_MAX_RANK && n > 0 && (size_t)n < size; i++)
        n += snprintf(buf + n, size - (size_t)n, "%s%" PRId64, i ? "," : "", t->dim[i]);
    if (n > 0 && (size_t)n < size)
        snprintf(buf + n, size - (size_t)n, "]");
    return buf;
}

/* ---- nodes ---- */

static cm_node *append(cm_graph *g)
{
    if (g->n == g->cap) {
        const int cap = g->cap ? 2 * g->cap : 256;
        cm_node **bigger =
            cm_grow(g->node, (size_t)g->n * sizeof(cm_node *), (size_t)cap * sizeof(cm_node *));
        if (!bigger)
            return NULL;
        g->node = bigger;
        g->cap = cap;
    }
    cm_node *n = cm_arena_alloc(&g->arena, sizeof *n);
    if (n) {
        n->id = g->n;
        n->segment = g->segment;
        g->node[g->n++] = n;
    }
    return n;
}

/* What an op writes to is a leaf, or a leaf that an op before it wrote to. */
static void check_written(cm_graph *g, const cm_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const cm_node *leaf = n->in[i];
        if (!(cm_ops[n->op]->writes >> i & 1))
            continue;
        while (cm_ops[leaf->op]->writes)
            leaf = leaf->in[cm_ops[leaf->op]->writes & 1 ? 0 : 1];
        if (leaf->op != CM_OP_LEAF)
            cm_graph_fail(g, CM_ERR_ARGUMENT, "%s: input %d is not a leaf", cm_ops[n->op]->name, i);
        else if (g->buffer[leaf->attr.leaf.buffer].flags & CM_BUFFER_CONST)
            cm_graph_fail(g, CM_ERR_ARGUMENT, "%s: input %d, \"%s\", is in a constant buffer",
                          cm_ops[n->op]->name, i, leaf->name);
    }
}

cm_node *cm_node_new(cm_graph *g, cm_op_id op, cm_attr attr, int n_in, cm_node *const *in)
{
    if (g->error.status)
        return &g->poison;
    cm_node *n = append(g);
    if (!n) {
        cm_graph_fail(g, CM_ERR_MEMORY, "%s: out of memory", cm_ops[op]->name);
        return &g->poison;
    }
    n->op = op;
    n->attr = attr;
    n->n_in = n_in;
    for (int i = 0; i < n_in; i++)
        n->in[i] = in[i];
    if (cm_ops[op]->infer)
        cm_ops[op]->infer(g, n, &n->type);
    if (!g->error.status)
        check_written(g, n);
    return g->error.status ? &g->poison : n;
}

cm_node *cm_aux(cm_graph *g, cm_node *n)
{
    return cm_node_new(g, CM_OP_AUX, (cm_attr){0}, 1, &n);
}

const cm_node *cm_view_base(const cm_node *n)
{
    while (cm_ops[n->op]->alias)
        n = n->in[0];
    return n;
}

size_t cm_view_offset(const cm_node *view)
{
    const cm_node *n = view->in[0];
    return view->op == CM_OP_AUX      ? cm_aux_offset(n)
           : view->op == CM_OP_SECOND ? cm_type_bytes(&n->type) - cm_type_bytes(&view->type)
                                      : 0;
}

int cm_has_aux(const cm_node *n)
{
    return cm_ops[n->op]->aux && !n->aux_unused;
}

size_t cm_aux_offset(const cm_node *n)
{
    return (cm_type_bytes(&n->type) + 63) / 64 * 64;
}

size_t cm_results_bytes(const cm_node *n)
{
    if (!cm_has_aux(n))
        return cm_type_bytes(&n->type);
    const cm_type aux = cm_ops[n->op]->aux(n);
    return cm_aux_offset(n) + cm_type_bytes(&aux);
}

void cm_graph_begin_segment(cm_graph *g)
{
    g->segment = ++g->n_segments;
}

void cm_graph_end_segment(cm_graph *g)
{
    g->segment = 0;
}

int cm_graph_buffer(cm_graph *g, const char *name, unsigned flags)
{
    if (g->error.status)
        return 0;
    if (g->n_buffers == g->cap_buffers) {
        const int cap = g->cap_buffers ? 2 * g->cap_buffers : 16;
        struct buffer *bigger =
            cm_grow(g->buffer, (size_t)g->n_buffers * sizeof *bigger, (size_t)cap * sizeof *bigger);
        if (!bigger) {
            cm_graph_fail(g, CM_ERR_MEMORY, "buffer %s: out of memory", name);
            return 0;
        }
        g->buffer = bigger;
        g->cap_buffers = cap;
    }
    char *copy = cm_arena_strdup(&g->arena, name);
    if (!copy)
        cm_graph_fail(g, CM_ERR_MEMORY, "buffer: out of memory");
    g->buffer[g->n_buffers] = (struct buffer){copy, flags};
    return g->n_buffers++;
}

int cm_graph_buffer_count(const cm_graph *g)
{
    return g->n_buffers;
}

const char *cm_graph_buffer_name(const cm_graph *g, int buffer)
{
    return g->buffer[buffer].name;
}

unsigned cm_graph_buffer_flags(const cm_graph *g, int buffer)
{
    return g->buffer[buffer].flags;
}

cm_node *cm_leaf(cm_graph *g, int buffer, size_t offset, cm_type type, const char *name)
{
    const cm_attr attr = {.leaf = {buffer, offset}};
    cm_node *n = cm_node_new(g, CM_OP_LEAF, attr, 0, NULL);
    if (g->error.status)
        return n;
    n->type = type;
    n->name = cm_arena_strdup(&g->arena, name);
    if (!n->name)
        cm_graph_fail(g, CM_ERR_MEMORY, "leaf: out of memory");
    return n;
}

cm_node *cm_input(cm_graph *g, const char *name, cm_type type)
{
    return cm_leaf(g, cm_graph_buffer(g, name, CM_BUFFER_OWN), 0, type, name);
}

cm_node *cm_const(cm_graph *g, cm_type type, const float *values)
{
    const size_t bytes = (size_t)cm_type_count(&type) * sizeof(float);
    if (type.dtype != CM_F32)
        cm_graph_fail(g, CM_ERR_ARGUMENT, "const: %s, expected f32", cm_dtype_name(type.dtype));
    float *copy = cm_graph_alloc(g, bytes);
    if (copy)
        memcpy(copy, values, bytes);
    cm_node *n = cm_node_new(g, CM_OP_CONST, (cm_attr){.constant = {copy}}, 0, NULL);
    if (!g->error.status)
        n->type = type;
    return n;
}

cm_node *cm_scalar(cm_graph *g, int rank, float value)
{
    return cm_const(g, cm_type_make(CM_F32, rank, (int64_t[]){1, 1, 1, 1}), &value);
}
