/* pickle_machine.h - inside of pickle.c: the machine that a pickle is run on, which its
 * instructions take bytes and values from and give values to.  Errors are told with the byte and
 * the name of the instruction that runs. */
#ifndef CM_IO_PICKLE_MACHINE_H
#define CM_IO_PICKLE_MACHINE_H

#include "io/pickle.h"
#include "io/torch_values.h"

enum { CM_PM_WINDOW = 4096, CM_PM_MARK = 0 };

typedef struct cm_pm {
    const cm_source *source;
    const char *name;
    uint64_t begin, end; /* of the pickle, and where it must have ended */
    uint64_t next;       /* byte of the source that the window ends at */
    uint32_t at, filled; /* in the window */
    uint64_t where;      /* of the instruction that runs */
    const char *instruction;
    cm_pv_values *v;
    cm_pv *stack, *memo; /* grown by doubling */
    uint32_t depth, stack_cap, memo_cap;
    int stopped;
    cm_error *err;
    unsigned char window[CM_PM_WINDOW];
} cm_pm;

__attribute__((format(printf, 3, 4))) cm_status cm_pm_fail(cm_pm *m, cm_status s, const char *fmt,
                                                           ...);
/* No more values, or no more memory: which of them. */
cm_status cm_pm_no_room(cm_pm *m);

/* The next n bytes of the pickle. */
cm_status cm_pm_take(cm_pm *m, void *dst, size_t n);
/* Little-endian, of 1 to 4 bytes. */
cm_status cm_pm_take_number(cm_pm *m, int bytes, uint32_t *x);
/* Up to the end of a line, which is not kept. */
cm_status cm_pm_take_line(cm_pm *m, char *line, size_t size);

/* The stack.  What was made, 0: it could not be, because of `why` where that says so. */
cm_status cm_pm_push(cm_pm *m, cm_pv x);
cm_status cm_pm_push_new(cm_pm *m, cm_pv x);
cm_status cm_pm_push_or_why(cm_pm *m, cm_pv x, const cm_why *why);
/* The value `below` the top, which must be of a kind, or of any with -1. */
cm_status cm_pm_peek(cm_pm *m, uint32_t below, int kind, cm_pv *x);
/* How many values are above the topmost mark. */
cm_status cm_pm_above_mark(cm_pm *m, uint32_t *n);

/* The memo has place i, where a new one is 0. */
cm_status cm_pm_memo_room(cm_pm *m, uint32_t i);

#endif
