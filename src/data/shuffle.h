/* shuffle.h - a random permutation of 0..n-1 that is computed, not stored */
#ifndef CM_DATA_SHUFFLE_H
#define CM_DATA_SHUFFLE_H

#include <stdint.h>

/* Where position i goes in the permutation of 0..n-1 numbered (key, epoch).
 * n is 1 to 2^40, i below n. */
uint64_t cm_shuffle_index(uint64_t key, uint64_t epoch, uint64_t n, uint64_t i);

#endif
