/* pickle.c - the machine that runs a pickle: its instructions, in one table */
#include "io/pickle.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "io/torch_values.h"

#include <stdio.h>
#include <string.h>

enum { WINDOW = 4096, MARK = 0 };

typedef struct machine {
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
    unsigned char window[WINDOW];
} machine;

__attribute__((format(printf, 3, 4))) static cm_status fail(machine *m, cm_status s,
                                                            const char *fmt, ...)
{
    char what[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return cm_fail(m->err, s, "%s: %s: byte %llu: %s: %s", m->source->path, m->name,
                   (unsigned long long)(m->where - m->begin), m->instruction, what);
}

static cm_status no_room(machine *m)
{
    return cm_pv_full(m->v) == CM_ERR_MEMORY
               ? fail(m, CM_ERR_MEMORY, "out of memory")
               : fail(m, CM_ERR_FORMAT,
                      "expected at most %d values and %d bytes of text, found more",
                      (int)CM_PV_MOST, (int)CM_PV_MOST_TEXT);
}

/* ---- bytes ------------------------------------------------------------------ */

/* The next n bytes of the pickle. */
static cm_status take(machine *m, void *dst, size_t n)
{
    unsigned char *p = dst;
    while (n) {
        if (m->at == m->filled) {
            const uint64_t left = m->end - m->next;
            const uint32_t some = left < WINDOW ? (uint32_t)left : WINDOW;
            if (!some)
                return fail(m, CM_ERR_FORMAT, "expected %zu more bytes, found the end", n);
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

/* Little-endian, of 1 to 4 bytes. */
static cm_status take_number(machine *m, int bytes, uint32_t *x)
{
    unsigned char raw[4] = {0};
    const cm_status s = take(m, raw, (size_t)bytes);
    *x = (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
    return s;
}

/* Up to the end of a line, which is not kept. */
static cm_status take_line(machine *m, char *line, size_t size)
{
    for (size_t n = 0; n < size; n++) {
        const cm_status s = take(m, line + n, 1);
        if (s)
            return s;
        if (line[n] == '\n') {
            line[n] = '\0';
            return CM_OK;
        }
    }
    return fail(m, CM_ERR_FORMAT, "expected a line of fewer than %zu bytes", size);
}

/* ---- stack and memo ----------------------------------------------------------- */

/* *list of *cap values has room for value n; what is new is 0. */
static cm_status make_room(machine *m, cm_pv **list, uint32_t *cap, uint32_t n, uint32_t most)
{
    uint32_t wanted = *cap ? *cap : 256;
    if (n >= most)
        return fail(m, CM_ERR_FORMAT,
                    "expected at most %u values on the stack and in the memo, found "
                    "more",
                    most);
    while (wanted <= n)
        wanted *= 2;
    if (wanted <= *cap)
        return CM_OK;
    cm_pv *bigger = cm_grow(*list, *cap * sizeof **list, wanted * sizeof **list);
    if (!bigger)
        return fail(m, CM_ERR_MEMORY, "out of memory");
    *list = bigger;
    *cap = wanted;
    return CM_OK;
}

static cm_status push(machine *m, cm_pv x)
{
    const cm_status s = make_room(m, &m->stack, &m->stack_cap, m->depth, CM_PICKLE_STACK);
    if (!s)
        m->stack[m->depth++] = x;
    return s;
}

/* What was made, or why it could not be. */
static cm_status push_new(machine *m, cm_pv x)
{
    return x ? push(m, x) : no_room(m);
}

static cm_status push_or_why(machine *m, cm_pv x, const cm_why *why)
{
    if (x)
        return push(m, x);
    return why->status ? fail(m, why->status, "%s", why->text) : no_room(m);
}

/* The value `below` the top, which must be of a kind, or of any with -1. */
static cm_status peek(machine *m, uint32_t below, int kind, cm_pv *x)
{
    *x = m->depth > below ? m->stack[m->depth - 1 - below] : MARK;
    if (*x == MARK)
        return fail(m, CM_ERR_FORMAT, "expected %s, found an empty stack or a mark",
                    kind < 0 ? "a value" : cm_pv_kind_name((cm_pv_kind)kind));
    const cm_pv_kind found = cm_pv_kind_of(m->v, *x);
    if (kind >= 0 && (int)found != kind)
        return fail(m, CM_ERR_FORMAT, "expected %s, found %s", cm_pv_kind_name((cm_pv_kind)kind),
                    cm_pv_kind_name(found));
    return CM_OK;
}

/* How many values are above the topmost mark. */
static cm_status above_mark(machine *m, uint32_t *n)
{
    for (*n = 0; *n < m->depth; ++*n)
        if (m->stack[m->depth - 1 - *n] == MARK)
            return CM_OK;
    return fail(m, CM_ERR_FORMAT, "expected a mark on the stack, found none");
}

/* ---- instructions: plain values ------------------------------------------------- */

static cm_status run_proto(machine *m, int version)
{
    uint32_t found;
    const cm_status s = take_number(m, 1, &found);
    return s || (int)found == version
               ? s
               : fail(m, CM_ERR_FORMAT, "expected protocol %d, torch.save's own, found %u", version,
                      found);
}

static cm_status run_new(machine *m, int kind)
{
    return push_new(m, cm_pv_new(m->v, (cm_pv_kind)kind));
}

static cm_status run_bool(machine *m, int value)
{
    return push_new(m, cm_pv_integer(m->v, CM_PV_BOOL, value));
}

/* Unsigned, of one or two bytes; signed, of four. */
static cm_status run_int(machine *m, int bytes)
{
    uint32_t x;
    const cm_status s = take_number(m, bytes, &x);
    return s ? s
             : push_new(m, cm_pv_integer(m->v, CM_PV_INT, bytes == 4 ? (int32_t)x : (int64_t)x));
}

/* Two's complement, of at most 8 bytes. */
static cm_status run_long(machine *m, int unused)
{
    unsigned char raw[8];
    uint32_t n;
    (void)unused;
    cm_status s = take_number(m, 1, &n);
    if (!s && n > sizeof raw)
        return fail(m, CM_ERR_FORMAT, "expected an integer of at most 8 bytes, found %u", n);
    if (s || (s = take(m, raw, n)))
        return s;
    uint64_t x = n && raw[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = n; i-- > 0;)
        x = x << 8 | raw[i];
    int64_t y;
    memcpy(&y, &x, sizeof y);
    return push_new(m, cm_pv_integer(m->v, CM_PV_INT, y));
}

static cm_status run_real(machine *m, int unused)
{
    unsigned char raw[8];
    uint64_t bits = 0;
    double x;
    (void)unused;
    const cm_status s = take(m, raw, sizeof raw);
    for (int i = 0; !s && i < 8; i++) /* the only number with the highest byte first */
        bits = bits << 8 | raw[i];
    memcpy(&x, &bits, sizeof x);
    return s ? s : push_new(m, cm_pv_real(m->v, x));
}

/* Its length has so many bytes. */
static cm_status run_text(machine *m, int bytes)
{
    uint32_t n;
    char *room = NULL;
    cm_status s = take_number(m, bytes, &n);
    if (s)
        return s;
    if (n > m->end - m->next + (m->filled - m->at))
        return fail(m, CM_ERR_FORMAT, "expected text of %u bytes, found the end", n);
    const cm_pv text = cm_pv_text(m->v, n, &room);
    if (!text)
        return no_room(m);
    if ((s = take(m, room, n)))
        return s;
    if (memchr(room, 0, n) || !cm_utf8_ok(room))
        return fail(m, CM_ERR_FORMAT, "expected UTF-8 without zeros, found other bytes");
    return push(m, text);
}

/* ---- instructions: the stack, the memo, containers ------------------------------ */

static cm_status run_mark(machine *m, int unused)
{
    (void)unused;
    return push(m, MARK);
}

static cm_status run_put(machine *m, int bytes)
{
    uint32_t i;
    cm_pv top;
    cm_status s;
    if ((s = take_number(m, bytes, &i)) || (s = peek(m, 0, -1, &top)) ||
        (s = make_room(m, &m->memo, &m->memo_cap, i, CM_PICKLE_MEMO)))
        return s;
    m->memo[i] = top;
    return CM_OK;
}

static cm_status run_get(machine *m, int bytes)
{
    uint32_t i;
    const cm_status s = take_number(m, bytes, &i);
    if (s)
        return s;
    if (i >= m->memo_cap || !m->memo[i])
        return fail(m, CM_ERR_FORMAT, "expected something in place %u of the memo, found nothing",
                    i);
    return push(m, m->memo[i]);
}

/* Of the n topmost, or of all above a mark with -1. */
static cm_status run_tuple(machine *m, int n)
{
    uint32_t count = (uint32_t)n;
    cm_pv item;
    cm_status s = n < 0 ? above_mark(m, &count) : CM_OK;
    const cm_pv tuple = s ? 0 : cm_pv_new(m->v, CM_PV_TUPLE);
    if (!s && !tuple)
        s = no_room(m);
    for (uint32_t i = count; !s && i-- > 0;)
        if (!(s = peek(m, i, -1, &item)) && cm_pv_append(m->v, tuple, 0, item))
            s = no_room(m);
    if (s)
        return s;
    m->depth -= count + (n < 0);
    return push(m, tuple);
}

/* To a list: the topmost, or all above a mark. */
static cm_status run_append(machine *m, int marked)
{
    uint32_t count = 1;
    cm_pv list, item;
    cm_status s = marked ? above_mark(m, &count) : CM_OK;
    if (!s)
        s = peek(m, count + (uint32_t)marked, CM_PV_LIST, &list);
    for (uint32_t i = count; !s && i-- > 0;)
        if (!(s = peek(m, i, -1, &item)) && cm_pv_append(m->v, list, 0, item))
            s = no_room(m);
    if (!s)
        m->depth -= count + (uint32_t)marked;
    return s;
}

/* To a dict: the topmost key and value, or all above a mark. */
static cm_status run_set(machine *m, int marked)
{
    uint32_t count = 2;
    cm_pv dict, key, item;
    cm_status s = marked ? above_mark(m, &count) : CM_OK;
    if (!s)
        s = peek(m, count + (uint32_t)marked, CM_PV_DICT, &dict);
    if (!s && count % 2)
        s = fail(m, CM_ERR_FORMAT, "expected keys and values, found %u of them", count);
    for (uint32_t i = count; !s && i > 0; i -= 2) {
        if ((s = peek(m, i - 1, -1, &key)) || (s = peek(m, i - 2, -1, &item)))
            return s;
        const cm_pv_kind kind = cm_pv_kind_of(m->v, key);
        if (kind != CM_PV_TEXT && kind != CM_PV_INT)
            return fail(m, CM_ERR_FORMAT, "expected text or integers for keys, found %s",
                        cm_pv_kind_name(kind));
        if (cm_pv_append(m->v, dict, key, item))
            return no_room(m);
    }
    if (!s)
        m->depth -= count + (uint32_t)marked;
    return s;
}

/* ---- instructions: PyTorch's ---------------------------------------------------- */

static cm_status run_global(machine *m, int unused)
{
    char module[128], name[128];
    cm_why why = {0};
    cm_status s;
    (void)unused;
    if ((s = take_line(m, module, sizeof module)) || (s = take_line(m, name, sizeof name)))
        return s;
    const cm_pv made = cm_torch_global(m->v, module, name, &why);
    return push_or_why(m, made, &why);
}

static cm_status run_persistent(machine *m, int unused)
{
    cm_why why = {0};
    cm_pv id;
    (void)unused;
    const cm_status s = peek(m, 0, CM_PV_TUPLE, &id);
    if (s)
        return s;
    m->depth--;
    const cm_pv made = cm_torch_persistent(m->v, id, &why);
    return push_or_why(m, made, &why);
}

static cm_status run_reduce(machine *m, int unused)
{
    cm_why why = {0};
    cm_pv args, function;
    cm_status s;
    (void)unused;
    if ((s = peek(m, 0, CM_PV_TUPLE, &args)) || (s = peek(m, 1, CM_PV_GLOBAL, &function)))
        return s;
    m->depth -= 2;
    const cm_pv made = cm_torch_reduce(m->v, function, args, &why);
    return push_or_why(m, made, &why);
}

/* Attributes of a state dict, `_metadata` with the versions of its modules: not needed. */
static cm_status run_build(machine *m, int unused)
{
    cm_pv state, object;
    cm_status s;
    (void)unused;
    if (!(s = peek(m, 0, CM_PV_DICT, &state)) && !(s = peek(m, 1, CM_PV_DICT, &object)))
        m->depth--;
    return s;
}

static cm_status run_stop(machine *m, int unused)
{
    (void)unused;
    m->stopped = 1;
    return m->depth == 1 && m->stack[0] != MARK
               ? CM_OK
               : fail(m, CM_ERR_FORMAT, "expected one value on the stack, found %u", m->depth);
}

/* ---- the table ------------------------------------------------------------------ */

static const struct instruction {
    const char *name;
    cm_status (*run)(machine *m, int argument);
    int argument;
} instructions[256] = {
    [0x80] = {"PROTO", run_proto, 2},
    ['N'] = {"NONE", run_new, CM_PV_NONE},
    [0x88] = {"NEWTRUE", run_bool, 1},
    [0x89] = {"NEWFALSE", run_bool, 0},
    ['K'] = {"BININT1", run_int, 1},
    ['M'] = {"BININT2", run_int, 2},
    ['J'] = {"BININT", run_int, 4},
    [0x8a] = {"LONG1", run_long, 0},
    ['G'] = {"BINFLOAT", run_real, 0},
    ['X'] = {"BINUNICODE", run_text, 4},
    ['T'] = {"BINSTRING", run_text, 4}, /* of Python 2 */
    ['U'] = {"SHORT_BINSTRING", run_text, 1},
    ['}'] = {"EMPTY_DICT", run_new, CM_PV_DICT},
    [']'] = {"EMPTY_LIST", run_new, CM_PV_LIST},
    [')'] = {"EMPTY_TUPLE", run_new, CM_PV_TUPLE},
    ['('] = {"MARK", run_mark, 0},
    ['t'] = {"TUPLE", run_tuple, -1},
    [0x85] = {"TUPLE1", run_tuple, 1},
    [0x86] = {"TUPLE2", run_tuple, 2},
    [0x87] = {"TUPLE3", run_tuple, 3},
    ['a'] = {"APPEND", run_append, 0},
    ['e'] = {"APPENDS", run_append, 1},
    ['s'] = {"SETITEM", run_set, 0},
    ['u'] = {"SETITEMS", run_set, 1},
    ['q'] = {"BINPUT", run_put, 1},
    ['r'] = {"LONG_BINPUT", run_put, 4},
    ['h'] = {"BINGET", run_get, 1},
    ['j'] = {"LONG_BINGET", run_get, 4},
    ['c'] = {"GLOBAL", run_global, 0},
    ['Q'] = {"BINPERSID", run_persistent, 0},
    ['R'] = {"REDUCE", run_reduce, 0},
    ['b'] = {"BUILD", run_build, 0},
    ['.'] = {"STOP", run_stop, 0},
};

static cm_status run(machine *m)
{
    while (!m->stopped) {
        unsigned char code;
        m->where = m->next - (m->filled - m->at);
        m->instruction = "instruction";
        cm_status s = take(m, &code, 1);
        if (s)
            return s;
        const struct instruction *i = &instructions[code];
        if (!i->run)
            return fail(m, CM_ERR_FORMAT, "expected one that torch.save writes, found 0x%02x",
                        code);
        m->instruction = i->name;
        if ((s = i->run(m, i->argument)))
            return s;
    }
    return CM_OK;
}

cm_status cm_pickle_read(const cm_source *source, const char *name, uint64_t *at, uint64_t end,
                         cm_pv_values *values, cm_pv *root, cm_error *err)
{
    machine *m = cm_alloc(sizeof *m);
    if (!m)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", source->path);
    m->source = source;
    m->name = name;
    m->begin = m->next = *at;
    m->end = end;
    m->v = values;
    m->err = err;
    const cm_status s = run(m);
    if (!s) {
        *root = m->stack[0];
        *at = m->next - (m->filled - m->at);
    }
    cm_free(m->stack);
    cm_free(m->memo);
    cm_free(m);
    return s;
}
