/* planner.c - first fit, largest block first (Pisarchyk and Lee 2020, "greedy by
 * size"): each block goes to the lowest gap left by the already placed blocks
 * whose lifetimes cross its own. */
#include "graph/planner.h"

#include "base/memory.h"

#include <stdlib.h>

enum { ALIGN = 64 };

static int by_size(const void *a, const void *b)
{
    const cm_block *p = *(cm_block *const *)a, *q = *(cm_block *const *)b;
    if (p->bytes != q->bytes)
        return p->bytes < q->bytes ? 1 : -1;
    return p < q ? -1 : p > q;
}

/* placed[0..n) is sorted by offset. */
static size_t lowest_gap(cm_block *const *placed, int n, const cm_block *b)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const cm_block *p = placed[i];
        if (p->last < b->first || b->last < p->first)
            continue;
        if (at + b->bytes <= p->offset)
            return at;
        if (p->offset + p->bytes > at)
            at = p->offset + p->bytes;
    }
    return at;
}

cm_status cm_planner_place(cm_block *blocks, int n, size_t *total, cm_error *err)
{
    cm_block **order = cm_alloc_array((size_t)n + 1, sizeof *order);
    cm_block **placed = cm_alloc_array((size_t)n + 1, sizeof *placed);
    *total = 0;
    if (!order || !placed) {
        cm_free(order);
        cm_free(placed);
        return cm_fail(err, CM_ERR_MEMORY, "memory plan: out of memory");
    }
    for (int i = 0; i < n; i++) {
        blocks[i].bytes = (blocks[i].bytes + ALIGN - 1) / ALIGN * ALIGN;
        order[i] = &blocks[i];
    }
    qsort(order, (size_t)n, sizeof *order, by_size);
    for (int i = 0; i < n; i++) {
        cm_block *b = order[i];
        b->offset = lowest_gap(placed, i, b);
        int k = i;
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--)
            placed[k] = placed[k - 1];
        placed[k] = b;
        if (b->offset + b->bytes > *total)
            *total = b->offset + b->bytes;
    }
    cm_free(order);
    cm_free(placed);
    return CM_OK;
}
