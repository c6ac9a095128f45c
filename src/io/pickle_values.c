/* pickle_values.c - values of a pickle in one array */
#include "io/pickle_values.h"

#include "base/error.h"
#include "base/memory.h"

/* 16 bytes.  number: of a container its size, of a cell the next one, of a text where it is. */
typedef struct value {
    uint32_t kind, number;
    union {
        int64_t integer;
        double real;
        struct {
            cm_pv b, c; /* the first and last cell, or key and value, or what was made of them */
        };
    };
} value;

struct cm_pv_values {
    value *list; /* [0] is not used */
    char *text;
    uint32_t n, cap, text_n, text_cap;
    cm_status full;
};

cm_status cm_pv_values_new(const char *path, cm_pv_values **values, cm_error *err)
{
    *values = cm_alloc(sizeof **values);
    return *values ? CM_OK : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
}

void cm_pv_values_free(cm_pv_values *v)
{
    if (!v)
        return;
    cm_free(v->list);
    cm_free(v->text);
    cm_free(v);
}

uint32_t cm_pv_count(const cm_pv_values *v)
{
    return v->n;
}

cm_status cm_pv_full(const cm_pv_values *v)
{
    return v->full;
}

/* Room for n more of so many bytes; non-zero: none. */
static int grow(cm_pv_values *v, void *list, uint32_t used, uint32_t *cap, size_t n, uint32_t most,
                size_t bytes)
{
    void **p = list;
    uint32_t wanted = *cap ? *cap : 1024;
    if (n > most - used) {
        v->full = CM_ERR_FORMAT;
        return -1;
    }
    while (wanted < used + n)
        wanted = wanted > most / 2 ? most : 2 * wanted;
    if (wanted <= *cap)
        return 0;
    void *bigger = cm_grow(*p, used * bytes, wanted * bytes);
    if (!bigger) {
        v->full = CM_ERR_MEMORY;
        return -1;
    }
    *p = bigger;
    *cap = wanted;
    return 0;
}

cm_pv cm_pv_new(cm_pv_values *v, cm_pv_kind kind)
{
    const uint32_t used = v->n + 1;
    if (grow(v, &v->list, used, &v->cap, 1, CM_PV_MOST, sizeof *v->list))
        return 0;
    v->list[used] = (value){.kind = (uint32_t)kind};
    return v->n = used;
}

cm_pv cm_pv_integer(cm_pv_values *v, cm_pv_kind kind, int64_t x)
{
    const cm_pv made = cm_pv_new(v, kind);
    if (made)
        v->list[made].integer = x;
    return made;
}

cm_pv cm_pv_real(cm_pv_values *v, double x)
{
    const cm_pv made = cm_pv_new(v, CM_PV_REAL);
    if (made)
        v->list[made].real = x;
    return made;
}

cm_pv cm_pv_text(cm_pv_values *v, size_t n, char **room)
{
    if (grow(v, &v->text, v->text_n, &v->text_cap, n + 1, CM_PV_MOST_TEXT, 1))
        return 0;
    const cm_pv made = cm_pv_new(v, CM_PV_TEXT);
    if (!made)
        return 0;
    v->list[made].number = v->text_n;
    *room = v->text + v->text_n;
    (*room)[n] = '\0';
    v->text_n += (uint32_t)n + 1;
    return made;
}

cm_pv cm_pv_made(cm_pv_values *v, cm_pv_kind kind, uint32_t number, cm_pv b, cm_pv c)
{
    const cm_pv made = cm_pv_new(v, kind);
    if (made) {
        v->list[made].number = number;
        v->list[made].b = b;
        v->list[made].c = c;
    }
    return made;
}

int cm_pv_append(cm_pv_values *v, cm_pv container, cm_pv key, cm_pv x)
{
    const cm_pv cell = cm_pv_made(v, CM_PV_CELL, 0, key, x);
    if (!cell)
        return -1;
    value *c = &v->list[container];
    if (c->number)
        v->list[c->c].number = cell;
    else
        c->b = cell;
    c->c = cell;
    c->number++;
    return 0;
}

/* ---- looking --------------------------------------------------------------- */

cm_pv_kind cm_pv_kind_of(const cm_pv_values *v, cm_pv x)
{
    return (cm_pv_kind)v->list[x].kind;
}

const char *cm_pv_kind_name(cm_pv_kind kind)
{
    static const char *const names[] = {
#define X(id, text) text,
        CM_PV_KIND_LIST(X)
#undef X
    };
    return names[kind];
}

int64_t cm_pv_as_integer(const cm_pv_values *v, cm_pv x)
{
    return v->list[x].integer;
}

const char *cm_pv_as_text(const cm_pv_values *v, cm_pv x)
{
    return v->text + v->list[x].number;
}

uint32_t cm_pv_number(const cm_pv_values *v, cm_pv x)
{
    return v->list[x].number;
}

cm_pv cm_pv_b(const cm_pv_values *v, cm_pv x)
{
    return v->list[x].b;
}

cm_pv cm_pv_c(const cm_pv_values *v, cm_pv x)
{
    return v->list[x].c;
}

uint32_t cm_pv_size(const cm_pv_values *v, cm_pv container)
{
    return v->list[container].number;
}

cm_pv cm_pv_first(const cm_pv_values *v, cm_pv container)
{
    return v->list[container].b;
}

cm_pv cm_pv_next(const cm_pv_values *v, cm_pv cell)
{
    return v->list[cell].number;
}

cm_pv cm_pv_key(const cm_pv_values *v, cm_pv cell)
{
    return v->list[cell].b;
}

cm_pv cm_pv_value(const cm_pv_values *v, cm_pv cell)
{
    return v->list[cell].c;
}

cm_pv cm_pv_item(const cm_pv_values *v, cm_pv container, uint32_t i)
{
    if (i >= cm_pv_size(v, container))
        return 0;
    cm_pv cell = cm_pv_first(v, container);
    while (i--)
        cell = cm_pv_next(v, cell);
    return cm_pv_value(v, cell);
}
