/* pickle.c - the instructions of a pickle, in one table, and how they are run */
#include "io/pickle_machine.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <string.h>

/* ---- instructions: plain values ------------------------------------------------- */

static cm_status run_proto(cm_pm *m, int version)
{
    uint32_t found;
    const cm_status s = cm_pm_take_number(m, 1, &found);
    return s || (int)found == version
               ? s
               : cm_pm_fail(m, CM_ERR_FORMAT, "expected protocol %d, torch.save's own, found %u",
                            version, found);
}

static cm_status run_new(cm_pm *m, int kind)
{
    return cm_pm_push_new(m, cm_pv_new(m->v, (cm_pv_kind)kind));
}

static cm_status run_bool(cm_pm *m, int value)
{
    return cm_pm_push_new(m, cm_pv_integer(m->v, CM_PV_BOOL, value));
}

/* Unsigned, of one or two bytes; signed, of four. */
static cm_status run_int(cm_pm *m, int bytes)
{
    uint32_t x;
    const cm_status s = cm_pm_take_number(m, bytes, &x);
    return s ? s
             : cm_pm_push_new(m,
                              cm_pv_integer(m->v, CM_PV_INT, bytes == 4 ? (int32_t)x : (int64_t)x));
}

/* Two's complement, of at most 8 bytes. */
static cm_status run_long(cm_pm *m, int unused)
{
    unsigned char raw[8];
    uint32_t n;
    (void)unused;
    cm_status s = cm_pm_take_number(m, 1, &n);
    if (!s && n > sizeof raw)
        return cm_pm_fail(m, CM_ERR_FORMAT, "expected an integer of at most 8 bytes, found %u", n);
    if (s || (s = cm_pm_take(m, raw, n)))
        return s;
    uint64_t x = n && raw[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = n; i-- > 0;)
        x = x << 8 | raw[i];
    int64_t y;
    memcpy(&y, &x, sizeof y);
    return cm_pm_push_new(m, cm_pv_integer(m->v, CM_PV_INT, y));
}

static cm_status run_real(cm_pm *m, int unused)
{
    unsigned char raw[8];
    uint64_t bits = 0;
    double x;
    (void)unused;
    const cm_status s = cm_pm_take(m, raw, sizeof raw);
    for (int i = 0; !s && i < 8; i++) /* the only number with the highest byte first */
        bits = bits << 8 | raw[i];
    memcpy(&x, &bits, sizeof x);
    return s ? s : cm_pm_push_new(m, cm_pv_real(m->v, x));
}

/* Its length has so many bytes. */
static cm_status run_text(cm_pm *m, int bytes)
{
    uint32_t n;
    char *room = NULL;
    cm_status s = cm_pm_take_number(m, bytes, &n);
    if (s)
        return s;
    if (n > m->end - m->next + (m->filled - m->at))
        return cm_pm_fail(m, CM_ERR_FORMAT, "expected text of %u bytes, found the end", n);
    const cm_pv text = cm_pv_text(m->v, n, &room);
    if (!text)
        return cm_pm_no_room(m);
    if ((s = cm_pm_take(m, room, n)))
        return s;
    if (memchr(room, 0, n) || !cm_utf8_ok(room))
        return cm_pm_fail(m, CM_ERR_FORMAT, "expected UTF-8 without zeros, found other bytes");
    return cm_pm_push(m, text);
}

/* ---- instructions: the stack, the memo, containers ------------------------------ */

static cm_status run_mark(cm_pm *m, int unused)
{
    (void)unused;
    return cm_pm_push(m, CM_PM_MARK);
}

static cm_status run_put(cm_pm *m, int bytes)
{
    uint32_t i;
    cm_pv top;
    cm_status s;
    if ((s = cm_pm_take_number(m, bytes, &i)) || (s = cm_pm_peek(m, 0, -1, &top)) ||
        (s = cm_pm_memo_room(m, i)))
        return s;
    m->memo[i] = top;
    return CM_OK;
}

static cm_status run_get(cm_pm *m, int bytes)
{
    uint32_t i;
    const cm_status s = cm_pm_take_number(m, bytes, &i);
    if (s)
        return s;
    if (i >= m->memo_cap || !m->memo[i])
        return cm_pm_fail(m, CM_ERR_FORMAT,
                          "expected something in place %u of the memo, found nothing", i);
    return cm_pm_push(m, m->memo[i]);
}

/* Of the n topmost, or of all above a mark with -1. */
static cm_status run_tuple(cm_pm *m, int n)
{
    uint32_t count = (uint32_t)n;
    cm_pv item;
    cm_status s = n < 0 ? cm_pm_above_mark(m, &count) : CM_OK;
    const cm_pv tuple = s ? 0 : cm_pv_new(m->v, CM_PV_TUPLE);
    if (!s && !tuple)
        s = cm_pm_no_room(m);
    for (uint32_t i = count; !s && i-- > 0;)
        if (!(s = cm_pm_peek(m, i, -1, &item)) && cm_pv_append(m->v, tuple, 0, item))
            s = cm_pm_no_room(m);
    if (s)
        return s;
    m->depth -= count + (n < 0);
    return cm_pm_push(m, tuple);
}

/* To a list: the topmost, or all above a mark. */
static cm_status run_append(cm_pm *m, int marked)
{
    uint32_t count = 1;
    cm_pv list, item;
    cm_status s = marked ? cm_pm_above_mark(m, &count) : CM_OK;
    if (!s)
        s = cm_pm_peek(m, count + (uint32_t)marked, CM_PV_LIST, &list);
    for (uint32_t i = count; !s && i-- > 0;)
        if (!(s = cm_pm_peek(m, i, -1, &item)) && cm_pv_append(m->v, list, 0, item))
            s = cm_pm_no_room(m);
    if (!s)
        m->depth -= count + (uint32_t)marked;
    return s;
}

/* To a dict: the topmost key and value, or all above a mark. */
static cm_status run_set(cm_pm *m, int marked)
{
    uint32_t count = 2;
    cm_pv dict, key, item;
    cm_status s = marked ? cm_pm_above_mark(m, &count) : CM_OK;
    if (!s)
        s = cm_pm_peek(m, count + (uint32_t)marked, CM_PV_DICT, &dict);
    if (!s && count % 2)
        s = cm_pm_fail(m, CM_ERR_FORMAT, "expected keys and values, found %u of them", count);
    for (uint32_t i = count; !s && i > 0; i -= 2) {
        if ((s = cm_pm_peek(m, i - 1, -1, &key)) || (s = cm_pm_peek(m, i - 2, -1, &item)))
            return s;
        const cm_pv_kind kind = cm_pv_kind_of(m->v, key);
        if (kind != CM_PV_TEXT && kind != CM_PV_INT)
            return cm_pm_fail(m, CM_ERR_FORMAT, "expected text or integers for keys, found %s",
                              cm_pv_kind_name(kind));
        if (cm_pv_append(m->v, dict, key, item))
            return cm_pm_no_room(m);
    }
    if (!s)
        m->depth -= count + (uint32_t)marked;
    return s;
}

/* ---- instructions: PyTorch's ---------------------------------------------------- */

static cm_status run_global(cm_pm *m, int unused)
{
    char module[128], name[128];
    cm_why why = {0};
    cm_status s;
    (void)unused;
    if ((s = cm_pm_take_line(m, module, sizeof module)) ||
        (s = cm_pm_take_line(m, name, sizeof name)))
        return s;
    const cm_pv made = cm_torch_global(m->v, module, name, &why);
    return cm_pm_push_or_why(m, made, &why);
}

static cm_status run_persistent(cm_pm *m, int unused)
{
    cm_why why = {0};
    cm_pv id;
    (void)unused;
    const cm_status s = cm_pm_peek(m, 0, CM_PV_TUPLE, &id);
    if (s)
        return s;
    m->depth--;
    const cm_pv made = cm_torch_persistent(m->v, id, &why);
    return cm_pm_push_or_why(m, made, &why);
}

static cm_status run_reduce(cm_pm *m, int unused)
{
    cm_why why = {0};
    cm_pv args, function;
    cm_status s;
    (void)unused;
    if ((s = cm_pm_peek(m, 0, CM_PV_TUPLE, &args)) ||
        (s = cm_pm_peek(m, 1, CM_PV_GLOBAL, &function)))
        return s;
    m->depth -= 2;
    const cm_pv made = cm_torch_reduce(m->v, function, args, &why);
    return cm_pm_push_or_why(m, made, &why);
}

/* Attributes of a state dict, `_metadata` with the versions of its modules: not needed. */
static cm_status run_build(cm_pm *m, int unused)
{
    cm_pv state, object;
    cm_status s;
    (void)unused;
    if (!(s = cm_pm_peek(m, 0, CM_PV_DICT, &state)) && !(s = cm_pm_peek(m, 1, CM_PV_DICT, &object)))
        m->depth--;
    return s;
}

static cm_status run_stop(cm_pm *m, int unused)
{
    (void)unused;
    m->stopped = 1;
    return m->depth == 1 && m->stack[0] != CM_PM_MARK
               ? CM_OK
               : cm_pm_fail(m, CM_ERR_FORMAT, "expected one value on the stack, found %u",
                            m->depth);
}

/* ---- the table ------------------------------------------------------------------ */

static const struct instruction {
    const char *name;
    cm_status (*run)(cm_pm *m, int argument);
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

static cm_status run(cm_pm *m)
{
    while (!m->stopped) {
        unsigned char code;
        m->where = m->next - (m->filled - m->at);
        m->instruction = "instruction";
        cm_status s = cm_pm_take(m, &code, 1);
        if (s)
            return s;
        const struct instruction *i = &instructions[code];
        if (!i->run)
            return cm_pm_fail(m, CM_ERR_FORMAT, "expected one that torch.save writes, found 0x%02x",
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
    cm_pm *m = cm_alloc(sizeof *m);
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
