/* cache.h - how much the processor keeps close */
#ifndef CM_BASE_CACHE_H
#define CM_BASE_CACHE_H

#include <stddef.h>

/* Bytes of the last cache before memory, as the system tells; 0: it does not. */
size_t cm_cache_bytes(void);

#endif
