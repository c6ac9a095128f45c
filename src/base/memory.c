/* memory.c - checked, aligned, zeroed allocation */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BLOCK = 64 * 1024 };

void *cm_alloc(size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGN)
        return NULL;
    const size_t rounded = (bytes + ALIGN) / ALIGN * ALIGN; /* at least one byte */
    void *p = aligned_alloc(ALIGN, rounded);
    if (p)
        memset(p, 0, rounded);
    return p;
}

void *cm_alloc_array(size_t count, size_t elem)
{
    size_t bytes;
    return __builtin_mul_overflow(count, elem, &bytes) ? NULL : cm_alloc(bytes);
}

void *cm_grow(void *p, size_t old_bytes, size_t new_bytes)
{
    void *q = cm_alloc(new_bytes);
    if (!q)
        return NULL;
    if (p)
        memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    cm_free(p);
    return q;
}

void cm_free(void *p)
{
    free(p);
}

char *cm_strdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *p = cm_alloc(n);
    return p ? memcpy(p, s, n) : NULL;
}

struct cm_arena_block {
    struct cm_arena_block *next;
    size_t used, size;
};

enum { HEADER = (sizeof(struct cm_arena_block) + ALIGN - 1) / ALIGN * ALIGN };

void *cm_arena_alloc(cm_arena *a, size_t bytes)
{
    struct cm_arena_block *b = a->head;
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + 15) / 16 * 16;
    if (!b || b->size - b->used < bytes) {
        const size_t size = bytes > BLOCK ? bytes : BLOCK;
        b = cm_alloc(HEADER + size);
        if (!b)
            return NULL;
        b->next = a->head;
        b->size = size;
        a->head = b;
    }
    void *p = (char *)b + HEADER + b->used;
    b->used += bytes;
    return p;
}

char *cm_arena_strdup(cm_arena *a, const char *s)
{
    const size_t n = strlen(s) + 1;
    char *p = cm_arena_alloc(a, n);
    return p ? memcpy(p, s, n) : NULL;
}

void cm_arena_free(cm_arena *a)
{
    for (struct cm_arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        cm_free(b);
    }
    a->head = NULL;
}
