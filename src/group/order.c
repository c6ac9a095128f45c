/* order.c - the tree of order.h */
#include "group/order.h"

#include <string.h>

/* Of a node of n >= 2 parts, those on its left. */
static int left_of(int n)
{
    int half = 1;
    while (2 * half < n)
        half *= 2;
    return half;
}

void cm_order_split(int parts, int processes, cm_span *span)
{
    span[0] = (cm_span){0, parts};
    for (int n = 1; n < processes; n++) {
        int largest = 0;
        for (int i = 1; i < n; i++)
            if (span[i].count > span[largest].count)
                largest = i;
        memmove(span + largest + 2, span + largest + 1, (size_t)(n - largest - 1) * sizeof *span);
        const int left = left_of(span[largest].count);
        span[largest + 1] = (cm_span){span[largest].first + left, span[largest].count - left};
        span[largest].count = left;
    }
}

enum { CHUNK = 512 }; /* floats: a sum waits for its other half on the stack */

struct sum {
    const cm_span *span;
    const float *const *x;
    size_t at, count; /* of the elements */
};

/* The node of `parts` parts whose first is that of span i; returns the span behind it. */
static int add_node(const struct sum *s, int i, int parts, float *out)
{
    float right[CHUNK];
    if (s->span[i].count == parts) {
        memcpy(out, s->x[i] + s->at, s->count * sizeof *out);
        return i + 1;
    }
    const int left = left_of(parts);
    i = add_node(s, i, left, out);
    i = add_node(s, i, parts - left, right);
    for (size_t k = 0; k < s->count; k++)
        out[k] += right[k];
    return i;
}

void cm_order_sum(const cm_span *span, int n, const float *const *x, float *sum, size_t count)
{
    const int parts = span[n - 1].first + span[n - 1].count - span[0].first;
    for (size_t at = 0; at < count; at += CHUNK) {
        const size_t left = count - at;
        add_node(&(struct sum){span, x, at, left < CHUNK ? left : CHUNK}, 0, parts, sum + at);
    }
}

unsigned cm_order_merges(int i, int count)
{
    const unsigned bits = (unsigned)i;
    return i + 1 == count ? bits : bits & ~(bits + 1); /* all that wait; trailing ones */
}

int cm_order_waits(int i)
{
    int k = 0;
    for (; i & 1; i /= 2)
        k++;
    return k;
}

int cm_order_pending(int count)
{
    int n = 0;
    for (int last = count - 1; last > 0; last /= 2)
        n++;
    return n;
}
