/* search_log.c */
#include "eval/search_log.h"

#include "base/memory.h"
#include "io/file.h"
#include "io/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a distance of sets that are alike, rounding. */
static const double LEAST = -1e-3;

enum { MOST_BYTES = 4 << 20, SIGMAS = 512, KEY = 17, PATH_BYTES = 4096 };

typedef struct entry {
    char sigmas[SIGMAS];
    int64_t seed;
    cm_search_score score;
} entry;

struct cm_search_log {
    char *path; /* NULL: in memory alone */
    int fd;     /* -1: none */
    char key[KEY];
    int n, room;
    entry *entries;
};

static cm_status fail_io(const cm_search_log *log, const char *what, cm_error *err)
{
    const int e = errno;
    char shown[512];
    return cm_fail(err, CM_ERR_IO, "%s: cannot %s: %s", cm_escape(shown, sizeof shown, log->path),
                   what, strerror(e));
}

static cm_status remember(cm_search_log *log, const char *sigmas, int64_t seed,
                          const cm_search_score *score, cm_error *err)
{
    if (log->n == log->room) {
        const int room = log->room ? 2 * log->room : 64;
        entry *more = cm_alloc_array((size_t)room, sizeof *more);
        if (!more)
            return cm_fail(err, CM_ERR_MEMORY, "search: out of memory for %d scores", room);
        if (log->n)
            memcpy(more, log->entries, (size_t)log->n * sizeof *more);
        cm_free(log->entries);
        log->entries = more;
        log->room = room;
    }
    entry *e = &log->entries[log->n++];
    snprintf(e->sigmas, sizeof e->sigmas, "%s", sigmas);
    e->seed = seed;
    e->score = *score;
    return CM_OK;
}

/* ---- what is there ---- */

/* In place of what the parser says, whose line is always the first. */
static cm_status fail_line(const char *name, const char *text, size_t n, cm_error *err)
{
    enum { SHOWN = 40 };
    char found[SHOWN + 1], shown[4 * SHOWN + 1];
    snprintf(found, sizeof found, "%.*s", (int)(n < SHOWN ? n : SHOWN), text);
    return cm_fail(err, CM_ERR_FORMAT, "%s: expected a score of a search, found '%s'", name,
                   cm_escape(shown, sizeof shown, found));
}

static cm_status read_entry(cm_search_log *log, const json_t *j, const char *name, cm_error *err)
{
    const char *key = NULL, *sigmas = NULL;
    int64_t seed = 0;
    cm_search_score score = {0, (double)NAN};
    cm_status s = cm_json_text(j, name, "search", CM_JSON_REQUIRED, &key, err);
    if (!s && !log->key[0])
        snprintf(log->key, sizeof log->key, "%s", key);
    if (!s && strcmp(key, log->key) != 0)
        return cm_fail(
            err, CM_ERR_ARGUMENT,
            "%s: is of another search, whose model, data, classifier or settings are not "
            "these: expected a new name for the log, or these of then",
            name);
    if (!s)
        s = cm_json_text(j, name, "sigmas", CM_JSON_REQUIRED, &sigmas, err);
    if (!s && strlen(sigmas) >= SIGMAS)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: \"sigmas\": expected at most %d bytes", name,
                    SIGMAS - 1);
    if (!s)
        s = cm_json_int(j, name, "seed", 0, INT64_MAX, CM_JSON_REQUIRED, &seed, err);
    if (!s)
        s = cm_json_real(j, name, "score", LEAST, 1e300, CM_JSON_REQUIRED, &score.score, err);
    if (!s)
        s = cm_json_real(j, name, "agreement", 0, 1, CM_JSON_OPTIONAL, &score.agreement, err);
    return s ? s : remember(log, sigmas, seed, &score, err);
}

/* Whole lines; *whole: the bytes of them. */
static cm_status read_lines(cm_search_log *log, const char *text, size_t size, size_t *whole,
                            cm_error *err)
{
    char name[600], shown[512];
    cm_status s = CM_OK;
    int line = 0;
    *whole = 0;
    cm_escape(shown, sizeof shown, log->path);
    for (const char *end; !s && (end = memchr(text + *whole, '\n', size - *whole));) {
        json_t *j = NULL;
        const size_t n = (size_t)(end - (text + *whole));
        snprintf(name, sizeof name, "%s: line %d", shown, ++line);
        s = cm_json_parse(text + *whole, n, name, &j, err);
        if (s == CM_ERR_FORMAT)
            s = fail_line(name, text + *whole, n, err);
        if (!s)
            s = read_entry(log, j, name, err);
        json_decref(j);
        *whole += n + 1;
    }
    return s;
}

/* What is behind the last whole line is the beginning of one of ours: else it is somebody's. */
static cm_status check_tail(const cm_search_log *log, const char *tail, size_t n, cm_error *err)
{
    static const char begins[] = "{\"search\":\"";
    const size_t known = n < sizeof begins - 1 ? n : sizeof begins - 1;
    char shown[512];
    if (!memcmp(tail, begins, known))
        return CM_OK;
    return cm_fail(err, CM_ERR_FORMAT,
                   "%s: expected lines of a search, found other text at its end, without a newline",
                   cm_escape(shown, sizeof shown, log->path));
}

/* flags: beside those for whatever the path may name */
static cm_status open_file(cm_search_log *log, int flags, size_t *half, cm_error *err)
{
    void *text = NULL;
    size_t size = 0, whole = 0;
    char shown[512];
    struct stat st;
    log->fd = open(log->path, flags | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (log->fd < 0)
        return fail_io(log, "open", err);
    if (fstat(log->fd, &st) || !S_ISREG(st.st_mode))
        return cm_fail(err, CM_ERR_IO, "%s: expected a regular file",
                       cm_escape(shown, sizeof shown, log->path));
    if (flock(log->fd, LOCK_EX | LOCK_NB))
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: is in use by another search",
                       cm_escape(shown, sizeof shown, log->path));
    cm_status s = cm_file_read(log->path, MOST_BYTES, &text, &size, err);
    if (!s)
        s = read_lines(log, text, size, &whole, err);
    if (!s && whole < size)
        s = check_tail(log, (const char *)text + whole, size - whole, err);
    *half = whole < size ? whole : SIZE_MAX;
    cm_free(text);
    return s;
}

/* A log that is not there yet can be made. */
static cm_status check_folder(const char *path, cm_error *err)
{
    char folder[PATH_BYTES], shown[512];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    if (n >= sizeof folder)
        return cm_fail(err, CM_ERR_ARGUMENT, "log: expected a path of at most %d bytes",
                       PATH_BYTES - 1);
    memcpy(folder, n ? path : "./", n ? n : 2);
    folder[n ? n : 2] = '\0';
    if (!access(folder, W_OK | X_OK))
        return CM_OK;
    const int e = errno;
    return cm_fail(err, CM_ERR_IO, "%s: cannot be made: %s", cm_escape(shown, sizeof shown, path),
                   strerror(e));
}

cm_status cm_search_log_check(const char *path, cm_error *err)
{
    cm_search_log log = {.fd = -1, .path = cm_strdup(path)};
    size_t half;
    cm_status s = CM_OK;
    if (!log.path)
        return cm_fail(err, CM_ERR_MEMORY, "search: out of memory");
    if (access(path, F_OK) && errno == ENOENT)
        s = check_folder(path, err);
    else
        s = open_file(&log, O_RDWR, &half, err); /* of whatever search */
    if (log.fd >= 0)
        close(log.fd);
    cm_free(log.path);
    cm_free(log.entries);
    return s;
}

cm_status cm_search_log_open(const char *path, uint64_t search, cm_search_log **out, cm_error *err)
{
    cm_search_log *log = cm_alloc(sizeof *log);
    if (!log)
        return cm_fail(err, CM_ERR_MEMORY, "search: out of memory");
    *log = (cm_search_log){.fd = -1};
    snprintf(log->key, sizeof log->key, "%016" PRIx64, search);
    cm_status s = CM_OK;
    if (*path && !(log->path = cm_strdup(path)))
        s = cm_fail(err, CM_ERR_MEMORY, "search: out of memory");
    size_t half = SIZE_MAX;
    if (!s && *path)
        s = open_file(log, O_RDWR | O_CREAT, &half, err);
    if (!s && half != SIZE_MAX && ftruncate(log->fd, (off_t)half))
        s = fail_io(log, "cut off half a line", err);
    if (s)
        cm_search_log_close(log);
    else
        *out = log;
    return s;
}

void cm_search_log_close(cm_search_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    cm_free(log->path);
    cm_free(log->entries);
    cm_free(log);
}

int cm_search_log_count(const cm_search_log *log)
{
    return log->n;
}

const cm_search_score *cm_search_log_find(const cm_search_log *log, const char *sigmas,
                                          int64_t seed)
{
    for (int i = 0; i < log->n; i++)
        if (log->entries[i].seed == seed && !strcmp(log->entries[i].sigmas, sigmas))
            return &log->entries[i].score;
    return NULL;
}

/* ---- what is new ---- */

/* "{...}\n", freed with cm_free; NULL: out of memory. */
static char *line_of(const cm_search_log *log, const char *sigmas, int64_t seed,
                     const cm_search_score *score)
{
    json_t *j = json_pack("{s:s,s:s,s:I,s:f}", "search", log->key, "sigmas", sigmas, "seed",
                          (json_int_t)seed, "score", score->score);
    const int failed = !j || (!isnan(score->agreement) &&
                              json_object_set_new(j, "agreement", json_real(score->agreement)));
    char *text = failed ? NULL : cm_json_dump(j, JSON_COMPACT | JSON_REAL_PRECISION(17));
    const size_t n = text ? strlen(text) : 0;
    char *line = text ? cm_alloc(n + 2) : NULL;
    if (line) {
        memcpy(line, text, n);
        memcpy(line + n, "\n", 2);
    }
    cm_free(text);
    json_decref(j);
    return line;
}

cm_status cm_search_log_add(cm_search_log *log, const char *sigmas, int64_t seed,
                            const cm_search_score *score, cm_error *err)
{
    const cm_status s = remember(log, sigmas, seed, score, err);
    if (s || log->fd < 0)
        return s;
    char *line = line_of(log, sigmas, seed, score);
    if (!line)
        return cm_fail(err, CM_ERR_MEMORY, "search: out of memory");
    const ssize_t n = (ssize_t)strlen(line), written = write(log->fd, line, (size_t)n);
    cm_free(line);
    if (written >= 0 && written < n)
        errno = ENOSPC;
    return written == n && !fsync(log->fd) ? CM_OK : fail_io(log, "write", err);
}
