/* log_read.c - lines of JSON to columns */
#include "run/log_read.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "io/json.h"
#include "run/folder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_FILE = 256 << 20, MOST_LINE = 1 << 16, FIRST_ROOM = 256 };

/* log->n: there is none. */
static int index_of(const cm_log *log, const char *key)
{
    int i = 0;
    while (i < log->n && strcmp(log->columns[i].key, key) != 0)
        i++;
    return i;
}

const cm_log_column *cm_log_find(const cm_log *log, const char *key)
{
    const int i = index_of(log, key);
    return i < log->n ? &log->columns[i] : NULL;
}

void cm_log_clear(cm_log *log)
{
    for (int i = 0; i < log->n; i++)
        cm_free(log->columns[i].points);
    *log = (cm_log){0};
}

/* NULL: a key that is too long, or one too many. */
static cm_log_column *column_of(cm_log *log, const char *key)
{
    const int i = index_of(log, key);
    if (i == CM_LOG_MOST_COLUMNS || !*key || strlen(key) >= CM_LOG_KEY)
        return NULL;
    if (i == log->n) {
        snprintf(log->columns[i].key, CM_LOG_KEY, "%s", key);
        log->n++;
    }
    return &log->columns[i];
}

static void forget_from(cm_log_column *c, double step)
{
    while (c->n && c->points[c->n - 1].step >= step)
        c->n--;
}

/* Zero: out of memory. */
static int append(cm_log_column *c, struct cm_log_point p)
{
    if (c->n == c->room) {
        const size_t room = c->room ? 2 * c->room : FIRST_ROOM;
        void *grown = cm_grow(c->points, c->room * sizeof p, room * sizeof p);
        if (!grown)
            return 0;
        c->points = grown;
        c->room = room;
    }
    c->points[c->n++] = p;
    return 1;
}

/* Whether it is a number that can be drawn. */
static int take_number(const json_t *value, double *x)
{
    if (!json_is_number(value) || fabs(json_number_value(value)) > CM_LOG_MOST)
        return 0;
    *x = json_number_value(value);
    *x = fabs(*x) < 1 / CM_LOG_MOST ? 0 : *x;
    return 1;
}

/* Zero: out of memory. */
static int take(cm_log *log, json_t *line, double *last_step)
{
    const char *key;
    json_t *value;
    struct cm_log_point p = {0, -1, 0};
    take_number(json_object_get(line, "step"), &p.step);
    take_number(json_object_get(line, "seconds"), &p.seconds);
    for (int i = 0; p.step < *last_step && i < log->n; i++)
        forget_from(&log->columns[i], p.step);
    *last_step = p.step;
    json_object_foreach(line, key, value)
    {
        if (!strcmp(key, "step") || !strcmp(key, "seconds") || !json_is_number(value))
            continue;
        cm_log_column *c = take_number(value, &p.value) ? column_of(log, key) : NULL;
        if (!c) {
            log->left_out++;
            continue;
        }
        forget_from(c, p.step);
        if (!append(c, p))
            return 0;
    }
    return 1;
}

static cm_status read_lines(const char *path, char *text, size_t size, cm_log *log, cm_error *err)
{
    double last_step = -1;
    cm_error why;
    for (char *end; size; size -= (size_t)(end - text), text = end) {
        json_t *line = NULL;
        char *newline = memchr(text, '\n', size);
        end = newline ? newline + 1 : text + size;
        const size_t n = (size_t)(end - text);
        log->lines++;
        if (n <= MOST_LINE && cm_json_parse(text, n, path, &line, &why) == CM_ERR_MEMORY)
            return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
        const json_t *step = json_object_get(line, "step");
        const int good = json_is_integer(step) && json_integer_value(step) >= 0;
        const int taken = !good || take(log, line, &last_step);
        json_decref(line);
        if (!taken)
            return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %zu lines", path, log->lines);
        log->skipped += !good;
    }
    return CM_OK;
}

cm_status cm_log_read(const char *path, cm_log *log, cm_error *err)
{
    char file[CM_RUN_PATH];
    struct stat st;
    void *text = NULL;
    size_t size = 0;
    cm_status s = CM_OK;
    *log = (cm_log){0};
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
        s = cm_run_path(file, path, "log.jsonl", err);
        path = file;
    }
    if (!s)
        s = cm_file_read(path, MOST_FILE, &text, &size, err);
    if (!s)
        s = read_lines(path, text, size, log, err);
    cm_free(text);
    if (s)
        cm_log_clear(log);
    return s;
}
