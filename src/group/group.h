/* group.h - the processes that do one run together
 *
 * mpirun starts the same command several times.  Each process has a rank, 0 to size - 1, and all
 * call the functions below in the same order.  NULL stands for a process alone, everywhere.
 *
 * The engine that moves the data is a module (engine.h), loaded by cm_group_join: a program that
 * runs alone links nothing of it. */
#ifndef CM_GROUP_GROUP_H
#define CM_GROUP_GROUP_H

#include "base/error.h"
#include "cm.h"
#include "group/order.h"

#include <stdint.h>

/* Joining, leaving, rank, size, threads and cm_group_agree: cm.h. */

/* The parts of a batch that each process has; before the first sum. */
cm_status cm_group_share(cm_group *g, int parts, cm_span *own, cm_error *err);
/* Begin to add up x[n] over the processes, each the sum of its own parts, in the order of order.h;
 * room [cm_group_room(n)].  Both are the group's until cm_group_sum_end, which waits for all
 * that was begun, at most CM_GROUP_SUMS. */
void cm_group_sum_begin(cm_group *g, float *x, float *room, size_t n);
void cm_group_sum_end(cm_group *g);
/* The two halves of it.  Each process gets the sums of its own slice of x alone (reduce-scatter);
 * each gets the slices of all others (all-gather). */
void cm_group_add_begin(cm_group *g, float *x, float *room, size_t n);
void cm_group_spread_begin(cm_group *g, float *x, size_t n);
/* The slice of n floats that is this process's own, begin to end-1: whole blocks of
 * CM_GROUP_BLOCK, but for the last. */
void cm_group_slice(const cm_group *g, size_t n, size_t *begin, size_t *end);
/* Seconds so far in which sums were under way, and in which cm_group_sum_end waited for them: the
 * rest was hidden behind the work in between.  0 alone. */
typedef struct cm_group_times {
    double sums, waits;
} cm_group_times;
cm_group_times cm_group_get_times(const cm_group *g);
/* The sums that the last cm_group_sum_end waited for, in their order: of how many floats, when they
 * were begun and done (cm_seconds).  Returns how many. */
enum { CM_GROUP_SUMS = 128, CM_GROUP_BLOCK = 1024 };
typedef struct cm_group_sum {
    size_t floats;
    double begun, done;
} cm_group_sum;
int cm_group_get_sums(const cm_group *g, cm_group_sum sum[CM_GROUP_SUMS]);
size_t cm_group_room(const cm_group *g, size_t n);

/* How long a sum of n floats takes process 0; each is the median of several.  All processes call it
 * alike and get the same.  Errors: CM_ERR_MEMORY, agreed on. */
typedef struct cm_group_speed {
    double alone;  /* seconds of one */
    double in_row; /* of each where several are begun at once: one travels while others are added */
    double cpu;    /* of the processor, user and system, for each of those */
} cm_group_speed;
cm_status cm_group_time_sum(cm_group *g, size_t n, cm_group_speed *speed, cm_error *err);

/* x [bytes] becomes that of process 0. */
cm_status cm_group_broadcast(cm_group *g, void *x, size_t bytes, cm_error *err);
/* all [size][bytes] = mine [bytes] of each process, in process 0; the others' all may be NULL. */
void cm_group_collect(cm_group *g, const void *mine, void *all, size_t bytes);
/* After an error that all agreed on (cm_group_agree): this one does not end the run. */
void cm_group_go_on(cm_group *g);
/* What should be the same everywhere, by a hash of it. */
typedef struct cm_alike {
    const char *what;
    uint64_t hash;
} cm_alike;
/* Whether n such are.  Errors, which all agree on: CM_ERR_FORMAT names the first of them in which
 * a process differs from process 0; CM_ERR_MEMORY. */
cm_status cm_group_same(cm_group *g, int n, const cm_alike *list, cm_error *err);

#endif
