/* pickle_machine.c - the bytes of a pickle, the stack and the memo */
#include "io/pickle_machine.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

cm_status cm_pm_fail(cm_pm *m, cm_status s, const char *fmt, ...)
{
    char what[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return cm_fail(m->err, s, "%s: %s: byte %llu: %s: %s", m->source->path, m->name,
                   (unsigned long long)(m->where - m->begin), m->instruction, what);
}

cm_status cm_pm_no_room(cm_pm *m)
{
    return cm_pv_full(m->v) == CM_ERR_MEMORY
               ? cm_pm_fail(m, CM_ERR_MEMORY, "out of memory")
               : cm_pm_fail(m, CM_ERR_FORMAT,
                            "expected at most %d values and %d bytes of text, found more",
                            (int)CM_PV_MOST, (int)CM_PV_MOST_TEXT);
}

/* ---- bytes ------------------------------------------------------------------ */

cm_status cm_pm_take(cm_pm *m, void *dst, size_t n)
{
    unsigned char *p = dst;
    while (n) {
        if (m->at == m->filled) {
            const uint64_t left = m->end - m->next;
            const uint32_t some = left < CM_PM_WINDOW ? (uint32_t)left : CM_PM_WINDOW;
            if (!some)
                return cm_pm_fail(m, CM_ERR_FORMAT, "expected %zu more bytes, found the end", n);
            const cm_status s = cm_source_read(m->source, m->window, some, m->next, m->err);
            if (s)
                return s;
            m->next += some;
            m->at = 0;
            m->filled = some;
        }
        const size_t here = m->filled - m->at, some = n < here ? n : here;
        memcpy(p, m->window + m->at, some);
        m->at += (uint32_t)some;
        p += some;
        n -= some;
    }
    return CM_OK;
}

cm_status cm_pm_take_number(cm_pm *m, int bytes, uint32_t *x)
{
    unsigned char raw[4] = {0};
    const cm_status s = cm_pm_take(m, raw, (size_t)bytes);
    *x = (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
    return s;
}

cm_status cm_pm_take_line(cm_pm *m, char *line, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        const cm_status s = cm_pm_take(m, line + n, 1);
        if (s)
            return s;
        if (line[n] == '\n') {
            line[n] = '\0';
            return CM_OK;
        }
    }
    return cm_pm_fail(m, CM_ERR_FORMAT, "expected a line of fewer than %zu bytes", size);
}

/* ---- stack and memo ----------------------------------------------------------- */

/* *list of *cap values has room for value n; what is new is 0. */
static cm_status make_room(cm_pm *m, cm_pv **list, uint32_t *cap, uint32_t n, uint32_t most)
{
    uint32_t wanted = *cap ? *cap : 256;
    if (n >= most)
        return cm_pm_fail(m, CM_ERR_FORMAT,
                          "expected at most %u values on the stack and in the memo, found "
                          "more",
                          most);
    while (wanted <= n)
        wanted *= 2;
    if (wanted <= *cap)
        return CM_OK;
    cm_pv *bigger = cm_grow(*list, *cap * sizeof **list, wanted * sizeof **list);
    if (!bigger)
        return cm_pm_fail(m, CM_ERR_MEMORY, "out of memory");
    *list = bigger;
    *cap = wanted;
    return CM_OK;
}

cm_status cm_pm_memo_room(cm_pm *m, uint32_t i)
{
    return make_room(m, &m->memo, &m->memo_cap, i, CM_PICKLE_MEMO);
}

cm_status cm_pm_push(cm_pm *m, cm_pv x)
{
    const cm_status s = make_room(m, &m->stack, &m->stack_cap, m->depth, CM_PICKLE_STACK);
    if (!s)
        m->stack[m->depth++] = x;
    return s;
}

cm_status cm_pm_push_new(cm_pm *m, cm_pv x)
{
    return x ? cm_pm_push(m, x) : cm_pm_no_room(m);
}

cm_status cm_pm_push_or_why(cm_pm *m, cm_pv x, const cm_why *why)
{
    if (x)
        return cm_pm_push(m, x);
    return why->status ? cm_pm_fail(m, why->status, "%s", why->text) : cm_pm_no_room(m);
}

cm_status cm_pm_peek(cm_pm *m, uint32_t below, int kind, cm_pv *x)
{
    *x = m->depth > below ? m->stack[m->depth - 1 - below] : CM_PM_MARK;
    if (*x == CM_PM_MARK)
        return cm_pm_fail(m, CM_ERR_FORMAT, "expected %s, found an empty stack or a mark",
                          kind < 0 ? "a value" : cm_pv_kind_name((cm_pv_kind)kind));
    const cm_pv_kind found = cm_pv_kind_of(m->v, *x);
    if (kind >= 0 && (int)found != kind)
        return cm_pm_fail(m, CM_ERR_FORMAT, "expected %s, found %s",
                          cm_pv_kind_name((cm_pv_kind)kind), cm_pv_kind_name(found));
    return CM_OK;
}

cm_status cm_pm_above_mark(cm_pm *m, uint32_t *n)
{
    for (*n = 0; *n < m->depth; ++*n)
        if (m->stack[m->depth - 1 - *n] == CM_PM_MARK)
            return CM_OK;
    return cm_pm_fail(m, CM_ERR_FORMAT, "expected a mark on the stack, found none");
}
