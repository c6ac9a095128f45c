/* explain.c - what a plan does, as text; and its lower bound in time */
#include "graph/plan_internal.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

double cm_node_flops(const cm_node *n)
{
    const cm_type *t = &n->type, *w;
    switch (n->op) {
    case CM_OP_MATMUL:
        w = &n->in[0]->type;
        return 2.0 * (double)cm_type_count(t) *
               (double)w->dim[w->rank - (n->attr.matmul.ta ? 2 : 1)];
    case CM_OP_CONV2D:
        w = &n->in[1]->type;
        break;
    case CM_OP_CONV2D_GRAD_INPUT:
        t = &n->in[0]->type;
        w = &n->in[1]->type;
        break;
    case CM_OP_CONV2D_GRAD_WEIGHT:
        t = &n->in[0]->type;
        w = &n->type;
        break;
    default:
        return 0.0;
    }
    return 2.0 * (double)cm_type_count(t) * (double)(w->dim[1] * w->dim[2] * w->dim[3]);
}

static double bytes_moved(const cm_node *n)
{
    double bytes = (double)cm_type_bytes(&n->type);
    for (int k = 0; k < n->n_in; k++)
        bytes += (double)cm_type_bytes(&n->in[k]->type);
    return bytes;
}

static double sum_over_steps(const cm_plan *p, double (*of)(const cm_node *n))
{
    double sum = 0.0;
    for (int i = 0; i < p->n_steps; i++)
        if (!p->step[i].constant)
            sum += of(p->step[i].node);
    return sum;
}

double cm_plan_bytes_moved(const cm_plan *p)
{
    return sum_over_steps(p, bytes_moved);
}

double cm_plan_flops(const cm_plan *p)
{
    return sum_over_steps(p, cm_node_flops);
}

/* Seconds that the machine would take at its speed, of arithmetic or of memory. */
static double least_seconds(const cm_node *n, const cm_speeds *speeds)
{
    const double flops = cm_node_flops(n);
    return flops > 0.0 ? flops / speeds->flops : bytes_moved(n) / speeds->bytes;
}

static double profile(cm_plan *p, int runs)
{
    double total = 0.0;
    cm_plan_run(p);
    for (int i = 0; i < p->n_steps; i++)
        p->step[i].seconds = 0.0;
    for (int r = 0; r < runs; r++)
        for (int i = 0; i < p->n_steps; i++) {
            if (p->step[i].constant)
                continue;
            const double start = cm_seconds();
            cm_step_run(p, &p->step[i]);
            p->step[i].seconds += (cm_seconds() - start) / runs;
        }
    for (int i = 0; i < p->n_steps; i++)
        total += p->step[i].seconds;
    return total;
}

static const char *place_text(const cm_plan *p, const cm_node *n, char *buf, size_t size)
{
    const cm_location *at = &p->location[n->id];
    if (at->place == CM_PLACE_BUFFER)
        snprintf(buf, size, "%s+%zu", cm_graph_buffer_name(p->graph, at->buffer), at->offset);
    else
        snprintf(buf, size, "%s%zu", at->place == CM_PLACE_CONSTANTS ? "const+" : "", at->offset);
    return buf;
}

/* The op and what fusion added to it. */
static const char *op_text(const cm_node *n, char *buf, size_t size)
{
    const int residual = n->attr.conv.residual && n->op == CM_OP_CONV2D;
    const int full = n->op == CM_OP_GROUP_NORM_GRAD && n->n_in == 6;
    const int relu = n->attr.conv.relu && n->op == CM_OP_CONV2D;
    snprintf(buf, size, "%s%s%s%s", cm_ops[n->op]->name,
             residual || full                        ? " + r"
             : n->op == CM_OP_MATMUL && n->n_in == 3 ? " + bias"
                                                     : "",
             relu ? ", relu" : "", n->split ? ", split" : "");
    return buf;
}

/* Milliseconds, their share of all, speed, its share of the machine's. */
static void print_times(FILE *f, const cm_step *s, double total, const cm_speeds *speeds)
{
    const double flops = cm_node_flops(s->node);
    fprintf(f, " %8.3f %5.1f%%", 1e3 * s->seconds, 100.0 * s->seconds / total);
    if (s->seconds > 0.0) {
        fprintf(f, flops > 0.0 ? " %7.0f GFLOP/s" : " %7.1f GB/s   ",
                1e-9 * (flops > 0.0 ? flops : bytes_moved(s->node)) / s->seconds);
        fprintf(f, " %5.2f", least_seconds(s->node, speeds) / s->seconds);
    }
}

static void print_step(FILE *f, cm_plan *p, int i, double total, const cm_speeds *speeds)
{
    const cm_step *s = &p->step[i];
    char type[96], place[96], op[64];
    fprintf(f, "%5d %-22s %-18s %-4s %-18s %-32s", i, op_text(s->node, op, sizeof op),
            cm_type_text(type, sizeof type, &s->node->type), cm_dtype_name(s->node->type.dtype),
            place_text(p, s->node, place, sizeof place),
            s->prepared.impl ? s->prepared.impl : s->kernel->name);
    if (speeds)
        print_times(f, s, total, speeds);
    fprintf(f, "\n");
}

/* By op, and what is not bound by arithmetic. */
static void print_ops(FILE *f, const cm_plan *p, double total, const cm_speeds *speeds)
{
    double seconds[CM_OP_COUNT] = {0}, least[CM_OP_COUNT] = {0}, other = 0.0, other_least = 0.0;
    int count[CM_OP_COUNT] = {0};
    for (int i = 0; i < p->n_steps; i++) {
        const cm_node *n = p->step[i].node;
        const double s = p->step[i].seconds, l = s > 0.0 ? least_seconds(n, speeds) : 0.0;
        seconds[n->op] += s;
        least[n->op] += l;
        count[n->op]++;
        if (cm_node_flops(n) <= 0.0) {
            other += s;
            other_least += l;
        }
    }
    for (int op = 0; op < CM_OP_COUNT; op++)
        if (count[op])
            fprintf(f, "  %-24s x %-4d %9.3f ms %5.1f%% %5.2f\n", cm_ops[op]->name, count[op],
                    1e3 * seconds[op], 100.0 * seconds[op] / total,
                    seconds[op] > 0.0 ? least[op] / seconds[op] : 0.0);
    fprintf(f, "  %-24s %16.3f ms\n", "total", 1e3 * total);
    fprintf(f, "  %-24s %16.3f ms %5.1f%% %5.2f\n", "all but conv and matmul", 1e3 * other,
            100.0 * other / total, other > 0.0 ? other_least / other : 0.0);
}

/* Times by op, and the limits. */
static void print_totals(FILE *f, cm_plan *p, int runs, double total, const cm_speeds *speeds)
{
    const double flops = cm_plan_flops(p), bytes = cm_plan_bytes_moved(p);
    print_ops(f, p, total, speeds);
    fprintf(f,
            "  matrix floor %.3f ms; %.1f MB read and written\n"
            "  machine: %.0f GFLOP/s of f32 multiply-adds, of which all steps together use %.2f; "
            "%.1f GB/s copied, %.2f\n",
            1e3 * cm_plan_matrix_floor(p, runs), 1e-6 * bytes, 1e-9 * speeds->flops,
            flops / speeds->flops / total, 1e-9 * speeds->bytes, bytes / speeds->bytes / total);
}

char *cm_plan_explain(cm_plan *p, int runs, const cm_speeds *speeds)
{
    char *text = NULL;
    size_t size = 0;
    const double total = speeds ? profile(p, runs) : 0.0, mib = 1.0 / 1048576.0;
    const cm_speeds *limits = total > 0.0 ? speeds : NULL; /* NULL: no times */
    const cm_plan_memory m = cm_plan_get_memory(p);
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    fprintf(f,
            " step op                     shape              type offset             "
            "implementation                  %s\n",
            limits ? "      ms share   speed         of machine's" : "");
    for (int i = 0; i < p->n_steps; i++)
        print_step(f, p, i, total, limits);
    fprintf(f,
            "%d step%s on %s, %d thread%s; activations %.1f MiB, workspace %.1f MiB, "
            "constants %.1f MiB, packed weights (in these two) %.1f MiB\n",
            p->n_steps, cm_plural(p->n_steps), p->device, p->threads, cm_plural(p->threads),
            (double)m.activations * mib, (double)m.workspace * mib, (double)m.constants * mib,
            (double)m.packed * mib);
    if (limits)
        print_totals(f, p, runs, total, limits);
    if (fclose(f))
        return NULL;
    char *copy = cm_strdup(text);
    free(text);
    return copy;
}

double cm_plan_matrix_floor(cm_plan *p, int runs)
{
    double sum = 0.0;
    cm_plan_run(p);
    for (int i = 0; i < p->n_steps; i++) {
        cm_step *s = &p->step[i];
        if (s->constant || cm_node_flops(s->node) <= 0.0)
            continue;
        cm_step_pack(p, s); /* the workspace is another step's by now */
        for (int r = 0; r < runs; r++) {
            const double start = cm_seconds();
            cm_step_compute(p, s);
            const double t = cm_seconds() - start;
            s->best = s->best <= 0.0 || t < s->best ? t : s->best;
        }
        sum += s->best;
    }
    return sum;
}

/* ---- memory ---- */

typedef struct range {
    size_t begin, end; /* in the arena */
} range;

static int by_begin(const void *a, const void *b)
{
    const size_t x = ((const range *)a)->begin, y = ((const range *)b)->begin;
    return x < y ? -1 : x > y;
}

/* Ranges overlap where views of one result are read. */
static size_t united(range *r, int n)
{
    size_t bytes = 0, end = 0;
    qsort(r, (size_t)n, sizeof *r, by_begin);
    for (int i = 0; i < n; i++) {
        const size_t begin = r[i].begin > end ? r[i].begin : end;
        bytes += r[i].end > begin ? r[i].end - begin : 0;
        end = r[i].end > end ? r[i].end : end;
    }
    return bytes;
}

size_t cm_plan_kept_bytes(const cm_plan *p, const cm_node *last)
{
    range *r = cm_alloc_array((size_t)p->n_steps * CM_MAX_IN, sizeof *r);
    int n = 0;
    for (int i = 0; r && i < p->n_steps; i++) {
        const cm_node *reader = p->step[i].node;
        for (int k = 0; reader->id > last->id && k < reader->n_in; k++) {
            const cm_node *in = reader->in[k];
            const cm_location *at = &p->location[in->id];
            if (at->place == CM_PLACE_ARENA && cm_view_base(in)->id <= last->id)
                r[n++] = (range){at->offset, at->offset + cm_type_bytes(&in->type)};
        }
    }
    const size_t bytes = r ? united(r, n) : 0;
    cm_free(r);
    return bytes;
}
