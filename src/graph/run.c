/* run.c - bind memory to a plan and run it */
#include "graph/plan_internal.h"

#include "base/bf16.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void *address(cm_plan *p, const cm_node *n)
{
    const cm_location *at = &p->location[n->id];
    switch (at->place) {
    case CM_PLACE_BUFFER:
        return (char *)p->buffer[at->buffer] + at->offset;
    case CM_PLACE_ARENA:
        return p->arena + at->offset;
    case CM_PLACE_CONSTANTS:
        return p->constants + at->offset;
    case CM_PLACE_VALUES: {
        union {
            const float *values;
            void *memory;
        } u = {cm_view_base(n)->attr.constant.values}; /* kernels do not write inputs */
        return u.memory;
    }
    case CM_PLACE_NONE:
        break;
    }
    return NULL;
}

void cm_plan_resolve(cm_plan *p)
{
    if (p->resolved)
        return;
    for (int i = 0; i < cm_graph_buffer_count(p->graph); i++)
        cm_assert(p->buffer[i] || !p->buffer_bytes[i]); /* else cm_plan_bind() was forgotten */
    for (int i = 0; i < p->n_steps; i++) {
        cm_step *s = &p->step[i];
        for (int k = 0; k < s->node->n_in; k++)
            s->in[k] = address(p, s->node->in[k]);
        s->out = address(p, s->node);
        s->packed = s->pack_once ? p->constants + s->packed_offset : p->workspace;
    }
    p->resolved = 1;
}

void cm_plan_bind(cm_plan *p, int buffer, void *memory)
{
    if (p->own[buffer]) {
        cm_free(p->buffer[buffer]);
        p->own[buffer] = 0;
    }
    p->buffer[buffer] = memory;
    p->resolved = p->fresh = 0;
}

void *cm_plan_data(cm_plan *p, const cm_node *n)
{
    cm_plan_resolve(p);
    return address(p, n);
}

static size_t part(const cm_node *n, int64_t first, int64_t count)
{
    cm_assert(first >= 0 && count >= 0 && first + count <= cm_type_count(&n->type));
    return (size_t)count * cm_dtype_bytes(n->type.dtype);
}

void cm_plan_write_part(cm_plan *p, const cm_node *leaf, int64_t first, int64_t count,
                        const void *values)
{
    const size_t bytes = part(leaf, first, count);
    cm_assert(leaf->op == CM_OP_LEAF);
    memcpy((char *)cm_plan_data(p, leaf) + part(leaf, 0, first), values, bytes);
}

void cm_plan_read_part(cm_plan *p, const cm_node *n, int64_t first, int64_t count, void *values)
{
    const size_t bytes = part(n, first, count);
    memcpy(values, (const char *)cm_plan_data(p, n) + part(n, 0, first), bytes);
}

void cm_plan_write(cm_plan *p, const cm_node *leaf, const void *values)
{
    cm_plan_write_part(p, leaf, 0, cm_type_count(&leaf->type), values);
}

void cm_plan_read(cm_plan *p, const cm_node *n, void *values)
{
    cm_plan_read_part(p, n, 0, cm_type_count(&n->type), values);
}

/* ---- running: all workers walk the steps together ---- */

enum { PACK = 1, COMPUTE = 2 };

typedef struct walk {
    cm_plan *plan;
    int begin, end; /* of the steps */
    int what;       /* PACK, COMPUTE or both, of steps that are done in each run */
    int refresh;    /* else: what is done once */
    uint64_t buffers;
} walk;

static cm_call call_of(cm_plan *p, cm_step *s, int worker, int workers)
{
    return (cm_call){
        s->node, s->in,   s->out, s->prepared.state, s->packed, p->workspace + p->scratch_bytes,
        worker,  workers, p->pool};
}

/* What depends on the buffers of the walk. */
static void refresh_step(const walk *w, cm_step *s, const cm_call *c)
{
    if (!(s->reads & w->buffers))
        return;
    if (s->kernel->pack && s->pack_once && !s->packed_before) {
        s->kernel->pack(c);
        cm_pool_barrier(c->pool);
    }
    if (s->constant) {
        s->kernel->run(c);
        cm_pool_barrier(c->pool);
    }
}

static void run_step(const walk *w, cm_step *s, const cm_call *c)
{
    if ((w->what & PACK) && s->kernel->pack && !s->pack_once) {
        s->kernel->pack(c);
        cm_pool_barrier(c->pool);
    }
    if (w->what & COMPUTE) {
        s->kernel->run(c);
        cm_pool_barrier(c->pool);
    }
}

static void walk_steps(void *context, int worker, int workers)
{
    const walk *w = context;
    for (int i = w->begin; i < w->end; i++) {
        cm_step *s = &w->plan->step[i];
        const cm_call c = call_of(w->plan, s, worker, workers);
        if (w->refresh)
            refresh_step(w, s, &c);
        else if (!s->constant)
            run_step(w, s, &c);
    }
}

static void run_walk(walk w)
{
    cm_pool_run(w.plan->pool, walk_steps, &w);
}

static void run_one(cm_plan *p, const cm_step *s, int what)
{
    const int i = (int)(s - p->step);
    run_walk((walk){.plan = p, .begin = i, .end = i + 1, .what = what});
}

void cm_step_pack(cm_plan *p, cm_step *s)
{
    run_one(p, s, PACK);
}

void cm_step_compute(cm_plan *p, cm_step *s)
{
    run_one(p, s, COMPUTE);
}

void cm_step_run(cm_plan *p, cm_step *s)
{
    run_one(p, s, PACK | COMPUTE);
}

static void refresh(cm_plan *p, uint64_t buffers)
{
    cm_plan_resolve(p);
    run_walk((walk){.plan = p, .end = p->n_steps, .refresh = 1, .buffers = buffers});
    p->fresh = 1;
}

void cm_plan_refresh(cm_plan *p)
{
    refresh(p, UINT64_MAX);
}

void cm_plan_refresh_buffer(cm_plan *p, int buffer)
{
    refresh(p, p->fresh ? cm_buffer_bit(buffer) : UINT64_MAX);
}

void cm_plan_run_steps(cm_plan *p, int from, int to)
{
    if (!p->fresh)
        cm_plan_refresh(p);
    if (from < to)
        run_walk((walk){.plan = p, .begin = from, .end = to, .what = PACK | COMPUTE});
}

void cm_plan_run(cm_plan *p)
{
    cm_plan_run_steps(p, 0, p->n_steps);
}

int cm_plan_steps_until(const cm_plan *p, int buffer, size_t begin, size_t end)
{
    for (int i = p->n_steps; i > 0; i--) {
        const cm_node *n = p->step[i - 1].node;
        const cm_location *at = &p->location[n->id];
        if (at->place == CM_PLACE_BUFFER && at->buffer == buffer && at->offset < end &&
            at->offset + cm_results_bytes(n) > begin)
            return i;
    }
    return 0;
}

static int all_finite(const cm_type *t, const void *data)
{
    const int64_t n = cm_type_count(t);
    for (int64_t i = 0; i < n && t->dtype == CM_F32; i++)
        if (!isfinite(((const float *)data)[i]))
            return 0;
    for (int64_t i = 0; i < n && t->dtype == CM_BF16; i++)
        if (!isfinite(cm_bf16_to_f32(((const cm_bf16 *)data)[i])))
            return 0;
    return 1;
}

static void describe(char *buf, size_t size, const cm_node *v)
{
    char type[96];
    snprintf(buf, size, "node %d, %s %s %s%s%s", v->id, cm_ops[v->op]->name,
             cm_dtype_name(v->type.dtype), cm_type_text(type, sizeof type, &v->type),
             v->name ? " " : "", v->name ? v->name : "");
}

/* The first leaf that the step reads and that is not finite; NULL: none. */
static const cm_node *nonfinite_leaf(const cm_step *s)
{
    for (int k = 0; k < s->node->n_in; k++) {
        const cm_node *in = cm_view_base(s->node->in[k]);
        const int overwritten = s->node->op == CM_OP_STORE && k == 1;
        if (in->op == CM_OP_LEAF && !overwritten && !all_finite(&in->type, s->in[k]))
            return in;
    }
    return NULL;
}

int cm_plan_find_nonfinite(cm_plan *p, char *buf, size_t size)
{
    if (!p->fresh)
        cm_plan_refresh(p);
    for (int i = 0; i < p->n_steps; i++) {
        cm_step *s = &p->step[i];
        /* Just before it is read: what an earlier run left in a leaf that this
         * one writes first is not a cause. */
        const cm_node *bad = nonfinite_leaf(s);
        if (!bad && !s->constant)
            cm_step_run(p, s);
        if (!bad && !all_finite(&s->node->type, s->out))
            bad = s->node;
        if (bad) {
            describe(buf, size, bad);
            return 1;
        }
    }
    return 0;
}

cm_plan_memory cm_plan_get_memory(const cm_plan *p)
{
    return (cm_plan_memory){p->arena_bytes, p->scratch_bytes + p->workspace_bytes,
                            p->constant_bytes, p->packed_bytes + p->scratch_bytes};
}

int cm_plan_steps(const cm_plan *p)
{
    return p->n_steps;
}
