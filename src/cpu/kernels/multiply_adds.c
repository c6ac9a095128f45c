/* multiply_adds.c - the most f32 multiply-adds that this instruction set does: chains in
 * registers,
 *
 *   x_i = x_i / 2 + 1,   i < CHAINS
 *
 * each of which waits for its own last result only.  Units are busy all the time where there are
 * as many chains as results under way: latency (4 or 5 cycles) times units (2).  All tend to 2, so
 * no number is slow to compute with, and they start differently, so no two are one to a compiler.
 */
#include "cpu/kernels/panel.h"

#include "cpu/speeds.h"

enum { CHAINS = 12 }; /* with the two constants at most 16 registers */

#define NAME_PASTE(suffix)  cm_multiply_adds_##suffix
#define NAME_EXPAND(suffix) NAME_PASTE(suffix)

int64_t NAME_EXPAND(CM_ISA_SUFFIX)(int64_t times, float *x)
{
    const vec half = splat(0.5f), one = splat(1.0f);
    vec chain[CHAINS], sum = splat(0.0f);
    for (int i = 0; i < CHAINS; i++)
        chain[i] = load(x) + splat((float)i);
    for (int64_t t = 0; t < times; t++)
        for (int i = 0; i < CHAINS; i++)
            chain[i] = FMA(chain[i], half, one);
    for (int i = 0; i < CHAINS; i++)
        sum += chain[i];
    store(x, sum);
    return times * CHAINS * WIDTH;
}
