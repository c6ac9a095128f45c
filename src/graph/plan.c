/* plan.c - compile a graph: live nodes, memory owners, lifetimes, placement
 *
 * Memory.  A node's *owner* is the node whose block holds its result: itself, or
 * what it aliases (reshape), or the leaf it writes (optimizers), or an input it
 * may overwrite that nobody reads later.  Owners with a lifetime go to one
 * arena.  A value that is only stored to a leaf is computed there directly.  verify.c holds
 * the result against the graph.
 *
 * The plan has a copy of the nodes, which fusion rewrites (fuse.c); the graph stays as
 * it was built. */
#include "graph/plan_internal.h"

#include "base/memory.h"
#include "graph/fuse.h"
#include "graph/planner.h"

#include <limits.h>
#include <string.h>

struct compile {
    cm_plan *plan;
    cm_graph *g;
    int n;            /* nodes */
    unsigned without; /* CM_PLAN_NO_... */
    char *live, *constant;
    char *kept;      /* an output */
    uint64_t *reads; /* the constant buffers that a constant node depends on */
    int *owner;      /* node id */
    int *last;       /* last step that reads the block of this owner; INT_MAX: keep */
    int *stored;     /* leaf id where the owner's block is placed, or -1 */
};

static cm_node *node(const struct compile *c, int i)
{
    return &c->plan->node[i];
}

static void copy_nodes(struct compile *c)
{
    for (int i = 0; i < c->n; i++) {
        cm_node *v = node(c, i);
        *v = *cm_graph_node(c->g, i);
        for (int k = 0; k < v->n_in; k++)
            v->in[k] = node(c, v->in[k]->id);
    }
}

static int is_memory(const cm_node *v) /* has memory before any step runs */
{
    return v->op == CM_OP_LEAF || v->op == CM_OP_CONST;
}

static void mark_live(struct compile *c, int n_out, cm_node *const *out)
{
    for (int i = 0; i < n_out; i++)
        c->live[out[i]->id] = c->kept[out[i]->id] = 1;
    for (int i = c->n - 1; i >= 0; i--) {
        const cm_node *v = node(c, i);
        c->live[i] |= cm_ops[v->op]->writes != 0;
        for (int k = 0; c->live[i] && k < v->n_in; k++)
            c->live[v->in[k]->id] = 1;
    }
}

static void mark_unused_aux(struct compile *c)
{
    for (int i = 0; i < c->n; i++)
        node(c, i)->aux_unused = 1;
    for (int i = 0; i < c->n; i++)
        if (c->live[i] && node(c, i)->op == CM_OP_AUX)
            node(c, i)->in[0]->aux_unused = 0;
}

static void mark_constant(struct compile *c)
{
    for (int i = 0; i < c->n && !(c->without & CM_PLAN_NO_CONSTANTS); i++) {
        const cm_node *v = node(c, i);
        if (v->op == CM_OP_LEAF)
            c->constant[i] = !!(cm_graph_buffer_flags(c->g, v->attr.leaf.buffer) & CM_BUFFER_CONST);
        else
            c->constant[i] = !cm_ops[v->op]->writes;
        c->reads[i] = v->op == CM_OP_LEAF ? cm_buffer_bit(v->attr.leaf.buffer) : 0;
        for (int k = 0; k < v->n_in; k++) {
            c->constant[i] &= c->constant[v->in[k]->id];
            c->reads[i] |= c->reads[v->in[k]->id];
        }
        if (!v->n_in && v->op != CM_OP_LEAF)
            c->reads[i] = UINT64_C(1) << 63; /* fixed values: done once */
    }
}

static int written_input(const cm_node *v)
{
    return __builtin_ctz(cm_ops[v->op]->writes);
}

/* Leaf ranges [offset, offset + bytes) of one buffer overlap. */
static int overlap(const cm_node *a, const cm_node *b)
{
    return a->attr.leaf.buffer == b->attr.leaf.buffer &&
           a->attr.leaf.offset < b->attr.leaf.offset + cm_type_bytes(&b->type) &&
           b->attr.leaf.offset < a->attr.leaf.offset + cm_type_bytes(&a->type);
}

/* Nothing between the making of `value` and the store touches the leaf. */
static int may_compute_in_leaf(const struct compile *c, int value, const cm_node *store)
{
    const cm_node *leaf = node(c, c->owner[store->in[1]->id]);
    if (is_memory(node(c, value)) || c->constant[value] || c->stored[value] >= 0 ||
        c->last[value] != store->id)
        return 0;
    if (cm_has_aux(node(c, value)) || node(c, value)->split) /* a leaf has room for one part */
        return 0;
    for (int i = value; i < store->id; i++)
        for (int k = 0; c->live[i] && k < node(c, i)->n_in; k++) {
            const cm_node *in = node(c, c->owner[node(c, i)->in[k]->id]);
            if (in->op == CM_OP_LEAF && overlap(in, leaf))
                return 0;
        }
    return 1;
}

static void own_alias(struct compile *c, const cm_node *v)
{
    if (cm_ops[v->op]->alias)
        c->owner[v->id] = c->owner[v->in[0]->id];
    else if (cm_ops[v->op]->writes)
        c->owner[v->id] = c->owner[v->in[written_input(v)]->id];
}

/* An auxiliary result or a second part, or a view of one. */
static int is_behind(const cm_node *v)
{
    while (cm_ops[v->op]->alias && !cm_view_offset(v))
        v = v->in[0];
    return cm_ops[v->op]->alias;
}

/* v writes only what its kernel has read: each input in this block, except what is behind its
 * first part, is read element by element before the output is written. */
static int may_overwrite(const struct compile *c, const cm_node *v, int block)
{
    for (int k = 0; k < v->n_in; k++)
        if (c->owner[v->in[k]->id] == block && !is_behind(v->in[k]) &&
            (!(cm_ops[v->op]->inplace >> k & 1) || !cm_type_equal(&v->in[k]->type, &v->type)))
            return 0;
    return 1;
}

/* The step of v ends the life of an input's block that has the right size. */
static void own_in_place(struct compile *c, const cm_node *v)
{
    for (int k = 0; k < v->n_in && !cm_has_aux(v); k++) {
        const int r = c->owner[v->in[k]->id];
        if (is_behind(v->in[k]) || is_memory(node(c, r)) || c->constant[r] || c->constant[v->id] ||
            c->last[r] != v->id || c->stored[r] >= 0 || !may_overwrite(c, v, r))
            continue;
        c->owner[v->id] = r;
        c->last[r] = c->last[v->id];
        return;
    }
}

static void compute_in_leaves(struct compile *c)
{
    for (int i = 0; i < c->n; i++) {
        const cm_node *v = node(c, i);
        if (c->live[i] && v->op == CM_OP_STORE &&
            node(c, c->owner[v->in[1]->id])->op == CM_OP_LEAF) {
            const int value = c->owner[v->in[0]->id];
            if (may_compute_in_leaf(c, value, v))
                c->stored[value] = c->owner[v->in[1]->id];
        }
    }
}

/* In program order, so that a chain of overwriting ops shares one block. */
static void share_blocks(struct compile *c)
{
    for (int i = 0; i < c->n; i++) {
        const cm_node *v = node(c, i);
        if (!c->live[i] || is_memory(v))
            continue;
        own_alias(c, v);
        if (c->owner[i] == i && c->stored[i] < 0)
            own_in_place(c, v);
    }
}

static void find_owners(struct compile *c, int n_out, cm_node *const *out)
{
    for (int i = 0; i < c->n; i++) {
        c->owner[i] = c->last[i] = i;
        c->stored[i] = -1;
        own_alias(c, node(c, i));
        for (int k = 0; c->live[i] && k < node(c, i)->n_in; k++)
            c->last[c->owner[node(c, i)->in[k]->id]] = i;
    }
    for (int i = 0; i < n_out; i++)
        c->last[c->owner[out[i]->id]] = INT_MAX;
    if (c->without & CM_PLAN_NO_SHARING) {
        for (int i = 0; i < c->n; i++)
            c->last[i] = INT_MAX;
        return;
    }
    compute_in_leaves(c);
    share_blocks(c);
}

/* Nodes without a block of their own are in their owner's, or behind its beginning. */
static void locate_views(struct compile *c)
{
    cm_location *location = c->plan->location;
    for (int i = 0; i < c->n; i++) {
        const cm_node *v = node(c, i);
        if (!c->live[i])
            continue;
        location[i] = location[cm_ops[v->op]->alias ? v->in[0]->id : c->owner[i]];
        if (cm_ops[v->op]->alias)
            location[i].offset += cm_view_offset(v);
    }
}

static cm_status place(struct compile *c, cm_error *err)
{
    cm_plan *p = c->plan;
    cm_block *block = cm_alloc_array((size_t)c->n + 1, sizeof *block);
    int m = 0;
    if (!block)
        return cm_fail(err, CM_ERR_MEMORY, "plan: out of memory");
    for (int i = 0; i < c->n; i++) {
        const cm_node *v = node(c, i);
        cm_location *at = &p->location[i];
        if (c->owner[i] != i || (!c->live[i] && !is_memory(v)))
            continue; /* a leaf that nobody reads may still be filled */
        if (v->op == CM_OP_CONST)
            at->place = CM_PLACE_VALUES;
        else if (v->op == CM_OP_LEAF || c->stored[i] >= 0) {
            const cm_node *leaf = v->op == CM_OP_LEAF ? v : node(c, c->stored[i]);
            *at = (cm_location){CM_PLACE_BUFFER, leaf->attr.leaf.buffer, leaf->attr.leaf.offset};
        } else if (c->constant[i]) {
            *at = (cm_location){CM_PLACE_CONSTANTS, 0, p->constant_bytes};
            p->constant_bytes += (cm_results_bytes(v) + 63) / 64 * 64;
        } else {
            at->place = CM_PLACE_ARENA;
            block[m++] = (cm_block){i, c->last[i], cm_results_bytes(v), 0};
        }
    }
    const cm_status s = cm_planner_place(block, m, &p->arena_bytes, err);
    for (int i = 0; i < m; i++)
        p->location[block[i].first].offset = block[i].offset;
    locate_views(c);
    cm_free(block);
    return s;
}

/* An earlier step whose packed weights serve s too; NULL: none. */
static const cm_step *same_packed(const struct compile *c, const cm_step *s)
{
    const int weights = c->owner[s->node->in[s->prepared.packs]->id];
    if (c->without & CM_PLAN_NO_SHARING || !s->kernel->same_packed)
        return NULL;
    for (const cm_step *t = c->plan->step; t < s; t++)
        if (t->pack_once && c->owner[t->node->in[t->prepared.packs]->id] == weights &&
            t->kernel->pack == s->kernel->pack &&
            s->kernel->same_packed(t->prepared.state, s->prepared.state))
            return t;
    return NULL;
}

static void place_packed(struct compile *c, cm_step *s)
{
    cm_plan *p = c->plan;
    const size_t bytes = (s->prepared.packed + 63) / 64 * 64;
    const cm_node *weights = s->node->in[s->prepared.packs];
    const int each = s->prepared.pack_each || (c->without & CM_PLAN_NO_PACKED && s->prepared.large);
    s->pack_once = bytes && c->constant[weights->id] && !each;
    if (!s->pack_once) { /* packed weights used at once: before the workspace */
        p->scratch_bytes = bytes > p->scratch_bytes ? bytes : p->scratch_bytes;
        return;
    }
    const cm_step *before = same_packed(c, s);
    s->packed_before = before != NULL;
    s->packed_offset = before ? before->packed_offset : p->constant_bytes;
    if (before)
        return;
    s->reads |= c->reads[weights->id];
    p->constant_bytes += bytes;
    p->packed_bytes += bytes;
}

static cm_status add_step(struct compile *c, const cm_device *device, cm_node *v, cm_error *err)
{
    cm_plan *p = c->plan;
    cm_step *s = &p->step[p->n_steps];
    s->node = v;
    s->kernel = device->kernel(v);
    s->constant = c->constant[v->id];
    if (s->constant)
        s->reads = c->reads[v->id];
    if (!s->kernel)
        return cm_fail(err, CM_ERR_UNSUPPORTED, "%s has no kernel on %s", cm_ops[v->op]->name,
                       device->name);
    p->n_steps++;
    if (s->kernel->prepare) {
        const cm_status status = s->kernel->prepare(v, p->threads, &s->prepared, err);
        if (status)
            return status;
    }
    if (s->prepared.packed)
        place_packed(c, s);
    const size_t scratch = (s->prepared.workspace + 63) / 64 * 64;
    if (scratch > p->workspace_bytes)
        p->workspace_bytes = scratch;
    return CM_OK;
}

static cm_status add_steps(struct compile *c, const cm_device *device, cm_error *err)
{
    cm_plan *p = c->plan;
    cm_status s = CM_OK;
    p->step = cm_alloc_array((size_t)c->n + 1, sizeof *p->step);
    if (!p->step)
        return cm_fail(err, CM_ERR_MEMORY, "plan: out of memory");
    for (int i = 0; i < c->n && !s; i++) {
        cm_node *v = node(c, i);
        const int in_place_store =
            v->op == CM_OP_STORE &&
            !memcmp(&p->location[v->in[0]->id], &p->location[i], sizeof(cm_location));
        if (c->live[i] && !is_memory(v) && !cm_ops[v->op]->alias && !in_place_store)
            s = add_step(c, device, v, err);
    }
    return s;
}

static cm_status size_buffers(struct compile *c, cm_error *err)
{
    cm_plan *p = c->plan;
    const size_t n = (size_t)cm_graph_buffer_count(c->g) + 1;
    p->buffer = cm_alloc_array(n, sizeof *p->buffer);
    p->own = cm_alloc(n);
    p->buffer_bytes = cm_alloc_array(n, sizeof *p->buffer_bytes);
    if (!p->buffer || !p->own || !p->buffer_bytes)
        return cm_fail(err, CM_ERR_MEMORY, "plan: out of memory");
    for (int i = 0; i < c->n; i++) {
        const cm_node *v = node(c, i);
        if (v->op != CM_OP_LEAF)
            continue;
        const size_t end = v->attr.leaf.offset + cm_type_bytes(&v->type);
        if (end > p->buffer_bytes[v->attr.leaf.buffer])
            p->buffer_bytes[v->attr.leaf.buffer] = end;
    }
    return CM_OK;
}

static cm_status allocate(struct compile *c, cm_error *err)
{
    cm_plan *p = c->plan;
    p->arena = cm_alloc(p->arena_bytes);
    p->workspace = cm_alloc(p->scratch_bytes + p->workspace_bytes);
    p->constants = cm_alloc(p->constant_bytes);
    if (!p->arena || !p->workspace || !p->constants)
        return cm_fail(err, CM_ERR_MEMORY,
                       "plan: out of memory (%zu bytes of activations, %zu of workspace)",
                       p->arena_bytes, p->workspace_bytes);
    for (int i = 0; i < cm_graph_buffer_count(c->g); i++) {
        if (!p->buffer_bytes[i] || !(cm_graph_buffer_flags(c->g, i) & CM_BUFFER_OWN))
            continue;
        if (!(p->buffer[i] = cm_alloc(p->buffer_bytes[i])))
            return cm_fail(err, CM_ERR_MEMORY, "plan: out of memory (%zu bytes of \"%s\")",
                           p->buffer_bytes[i], cm_graph_buffer_name(c->g, i));
        p->own[i] = 1;
    }
    return CM_OK;
}

static cm_status compile(struct compile *c, int n_out, cm_node *const *out, const cm_device *device,
                         cm_error *err)
{
    const size_t n = (size_t)c->n + 1;
    c->plan->node = cm_alloc_array(n, sizeof(cm_node));
    c->live = cm_alloc(n);
    c->kept = cm_alloc(n);
    c->constant = cm_alloc(n);
    c->reads = cm_alloc_array(n, sizeof *c->reads);
    c->owner = cm_alloc_array(n, sizeof(int));
    c->last = cm_alloc_array(n, sizeof(int));
    c->stored = cm_alloc_array(n, sizeof(int));
    c->plan->location = cm_alloc_array(n, sizeof(cm_location));
    if (!c->plan->node || !c->live || !c->kept || !c->constant || !c->reads || !c->owner ||
        !c->last || !c->stored || !c->plan->location)
        return cm_fail(err, CM_ERR_MEMORY, "plan: out of memory");
    copy_nodes(c);
    mark_live(c, n_out, out);
    if (!(c->without & CM_PLAN_NO_FUSION))
        cm_fuse(c->plan->node, c->n, c->live, c->kept, c->owner); /* owner: not yet in use */
    mark_unused_aux(c);
    mark_constant(c);
    find_owners(c, n_out, out);
    cm_status s = place(c, err);
    if (!s)
        s = add_steps(c, device, err);
    if (!s)
        s = size_buffers(c, err);
    if (!s && !(c->without & CM_PLAN_NO_MEMORY))
        s = allocate(c, err);
    if (!s)
        s = cm_plan_verify(c->plan, n_out, out, err);
    return s;
}

cm_status cm_plan_compile_without(unsigned transformations, cm_graph *g, int n_out,
                                  cm_node *const *out, const cm_device *device, int threads,
                                  cm_plan **plan, cm_error *err)
{
    cm_status s = cm_graph_check(g, err);
    if (s)
        return s;
    cm_plan *p = cm_alloc(sizeof *p);
    if (!p)
        return cm_fail(err, CM_ERR_MEMORY, "plan: out of memory");
    p->graph = g;
    p->n_nodes = cm_graph_size(g);
    p->threads = threads;
    p->device = device->name;
    struct compile c = {.plan = p, .g = g, .n = p->n_nodes, .without = transformations};
    s = cm_pool_new(threads, &p->pool, err);
    if (!s)
        s = compile(&c, n_out, out, device, err);
    cm_free(c.live);
    cm_free(c.kept);
    cm_free(c.constant);
    cm_free(c.reads);
    cm_free(c.owner);
    cm_free(c.last);
    cm_free(c.stored);
    if (s) {
        cm_plan_free(p);
        return s;
    }
    *plan = p;
    return CM_OK;
}

cm_status cm_plan_compile(cm_graph *g, int n_out, cm_node *const *out, const cm_device *device,
                          int threads, cm_plan **plan, cm_error *err)
{
    return cm_plan_compile_without(0, g, n_out, out, device, threads, plan, err);
}

void cm_plan_free(cm_plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_steps; i++)
        if (p->step[i].kernel && p->step[i].kernel->release && p->step[i].prepared.state)
            p->step[i].kernel->release(p->step[i].prepared.state);
    for (int i = 0; p->own && i < cm_graph_buffer_count(p->graph); i++)
        if (p->own[i])
            cm_free(p->buffer[i]);
    cm_pool_free(p->pool);
    cm_free(p->step);
    cm_free(p->node);
    cm_free(p->location);
    cm_free(p->buffer);
    cm_free(p->own);
    cm_free(p->buffer_bytes);
    cm_free(p->arena);
    cm_free(p->workspace);
    cm_free(p->constants);
    cm_free(p);
}
