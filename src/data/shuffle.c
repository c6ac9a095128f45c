/* shuffle.c - format-preserving shuffle.
 *
 * A Feistel network (Luby and Rackoff 1988) permutes the 2b-bit numbers:
 *     (left, right) -> (right, left ^ f(right)),   round by round,
 * whatever f is; here f is Philox.  Positions that land at or above n are sent
 * through again until they land below ("cycle walking", Black and Rogaway 2002),
 * which leaves a permutation of 0..n-1.  As 2^2b < 4n (or 64 for small n), that
 * takes less than four passes on average (64 / n for small n). */
#include "data/shuffle.h"

#include "base/error.h"
#include "base/philox.h"

/* Four rounds are enough for wide halves.  Narrow ones need more: 40000
 * permutations of 7 show a bias with 2-bit halves after 6, with 3-bit ones after
 * 4 rounds. */
enum { ROUNDS = 8, MIN_HALF = 3 };

uint64_t cm_shuffle_index(uint64_t key, uint64_t epoch, uint64_t n, uint64_t i)
{
    cm_assert(i < n && n <= (uint64_t)1 << 40);
    unsigned half = MIN_HALF; /* bits */
    while (((uint64_t)1 << 2 * half) < n)
        half++;
    const uint32_t mask = (1u << half) - 1;
    do {
        uint32_t left = (uint32_t)(i >> half), right = (uint32_t)i & mask;
        for (uint32_t r = 0; r < ROUNDS; r++) {
            const cm_philox_block f =
                cm_philox(key, right, r, (uint32_t)epoch, (uint32_t)(epoch >> 32));
            const uint32_t next = left ^ (f.v[0] & mask);
            left = right;
            right = next;
        }
        i = (uint64_t)left << half | right;
    } while (i >= n);
    return i;
}
