/* ticks.h - where an axis has its marks, and what is written at them */
#ifndef CM_DRAW_TICKS_H
#define CM_DRAW_TICKS_H

enum { CM_TICKS_MOST = 16, CM_TICK_LABEL = 48 };

typedef struct cm_tick {
    double at;
    char label[CM_TICK_LABEL];
} cm_tick;

/* Multiples of 1, 2 or 5 times a power of ten within [low, high], low < high, about `wanted`
 * (2 to 8) of them; whole: no others than whole numbers.  Returns how many. */
int cm_ticks_linear(double low, double high, int wanted, int whole, cm_tick ticks[CM_TICKS_MOST]);

/* For an axis of logarithms, 0 < low < high: powers of ten; where there are fewer than three,
 * also 2 and 5 times those, and where there are too few of these, as a linear axis. */
int cm_ticks_log(double low, double high, int wanted, cm_tick ticks[CM_TICKS_MOST]);

#endif
