/* pickle.h - reading one pickle of protocol 2 as PyTorch writes it: a program for a machine with
 * a stack and a memo, of which this runs 33 instructions, each with its operands' kinds
 * checked.  It builds the values of pickle_values.h and calls nothing.
 * Source: CPython, Lib/pickletools.py. */
#ifndef CM_IO_PICKLE_H
#define CM_IO_PICKLE_H

#include "io/pickle_values.h"
#include "io/source.h"

/* Values on the stack, and in the memo. */
enum { CM_PICKLE_STACK = 1 << 19, CM_PICKLE_MEMO = 1 << 20 };

/* The pickle from byte *at of the source, which must end before byte `end`; sets *at behind it.
 * Its values are added to `values`, the one that it is to *root.  name is what messages call the
 * place, before the byte in it: "data.pkl".  Takes at most 6 MB beside the values.
 * Errors: CM_ERR_FORMAT (`path: name: byte N: INSTRUCTION: expected, found`), CM_ERR_IO,
 * CM_ERR_MEMORY. */
cm_status cm_pickle_read(const cm_source *source, const char *name, uint64_t *at, uint64_t end,
                         cm_pv_values *values, cm_pv *root, cm_error *err);

#endif
