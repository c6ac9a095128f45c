/* pickle_values.h - what a pickle builds: values in one array, named by their index, so that a
 * value which stands in many places is there once.  Numbers, texts, tuples, lists, dicts; and of
 * PyTorch's the names of functions, storages and tensors (torch_values.h).  The array and the
 * texts have fixed limits: a pickle of any size takes at most 40 MB here. */
#ifndef CM_IO_PICKLE_VALUES_H
#define CM_IO_PICKLE_VALUES_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

enum { CM_PV_MOST = 1 << 20, CM_PV_MOST_TEXT = 8 << 20 };

/* A cell is a link of a container: a key (0 but in a dict), a value, and the next one. */
/* clang-format off */
#define CM_PV_KIND_LIST(X)                                                                 \
    X(NONE, "None") X(BOOL, "a truth value") X(INT, "an integer") X(REAL, "a real number") \
    X(TEXT, "text") X(TUPLE, "a tuple") X(LIST, "a list") X(DICT, "a dict")                \
    X(GLOBAL, "a function") X(STORAGE, "a storage") X(TENSOR, "a tensor") X(CELL, "a link")
/* clang-format on */
#define X(id, text) CM_PV_##id,
typedef enum cm_pv_kind { CM_PV_KIND_LIST(X) } cm_pv_kind;
#undef X

typedef uint32_t cm_pv; /* of a value; 0: none */

typedef struct cm_pv_values cm_pv_values;

/* Errors: CM_ERR_MEMORY; path is for the message. */
cm_status cm_pv_values_new(const char *path, cm_pv_values **values, cm_error *err);
void cm_pv_values_free(cm_pv_values *v);     /* NULL is allowed */
uint32_t cm_pv_count(const cm_pv_values *v); /* values 1 to this are there */

/* What makes a value gives 0 where there is no room for it, and then this tells: the limit,
 * CM_ERR_FORMAT, or CM_ERR_MEMORY. */
cm_status cm_pv_full(const cm_pv_values *v);

cm_pv cm_pv_new(cm_pv_values *v, cm_pv_kind kind);
cm_pv cm_pv_integer(cm_pv_values *v, cm_pv_kind kind, int64_t x); /* INT or BOOL */
cm_pv cm_pv_real(cm_pv_values *v, double x);
/* Room for n bytes at *room, valid up to the next text, and a zero after them. */
cm_pv cm_pv_text(cm_pv_values *v, size_t n, char **room);
/* Two values and a number behind one: a storage or a tensor (torch_values.c). */
cm_pv cm_pv_made(cm_pv_values *v, cm_pv_kind kind, uint32_t number, cm_pv b, cm_pv c);
/* Add to the end of a tuple, list or dict (key); non-zero: no room. */
int cm_pv_append(cm_pv_values *v, cm_pv container, cm_pv key, cm_pv x);

cm_pv_kind cm_pv_kind_of(const cm_pv_values *v, cm_pv x);
const char *cm_pv_kind_name(cm_pv_kind kind); /* "a tuple" */
int64_t cm_pv_as_integer(const cm_pv_values *v, cm_pv x);
const char *cm_pv_as_text(const cm_pv_values *v, cm_pv x); /* valid up to the next text */
uint32_t cm_pv_number(const cm_pv_values *v, cm_pv x);     /* of what was made */
cm_pv cm_pv_b(const cm_pv_values *v, cm_pv x);
cm_pv cm_pv_c(const cm_pv_values *v, cm_pv x);

uint32_t cm_pv_size(const cm_pv_values *v, cm_pv container);
cm_pv cm_pv_first(const cm_pv_values *v, cm_pv container); /* its first cell; 0: empty */
cm_pv cm_pv_next(const cm_pv_values *v, cm_pv cell);
cm_pv cm_pv_key(const cm_pv_values *v, cm_pv cell);
cm_pv cm_pv_value(const cm_pv_values *v, cm_pv cell);
/* Item i of a tuple or list; 0: there is none. */
cm_pv cm_pv_item(const cm_pv_values *v, cm_pv container, uint32_t i);

#endif
