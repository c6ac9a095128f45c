/* memory.h - the only malloc of the project, and an arena on top of it.
 * Blocks are 64-byte aligned (one cache line, one AVX-512 register) and zeroed. */
#ifndef CM_BASE_MEMORY_H
#define CM_BASE_MEMORY_H

#include <stddef.h>

void *cm_alloc(size_t bytes);                    /* NULL when out of memory */
void *cm_alloc_array(size_t count, size_t elem); /* NULL also when count*elem overflows */
void *cm_grow(void *p, size_t old_bytes, size_t new_bytes); /* like realloc; p is kept on NULL */
void cm_free(void *p);                                      /* NULL is allowed */
char *cm_strdup(const char *s);

/* Many small things with one lifetime. */
typedef struct cm_arena {
    struct cm_arena_block *head;
} cm_arena;
void *cm_arena_alloc(cm_arena *a, size_t bytes); /* zeroed; NULL when out of memory */
char *cm_arena_strdup(cm_arena *a, const char *s);
void cm_arena_free(cm_arena *a);

#endif
