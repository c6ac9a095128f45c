/* log.c - the append-only log of a run */
#include "run/log.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/file.h"
#include "run/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cm_runlog {
    int fd;
    int64_t size;
    char path[CM_RUN_PATH];
};

/* The end of the last whole line within the first `end` bytes. */
static cm_status last_line_end(const cm_runlog *log, int64_t end, int64_t *at, cm_error *err)
{
    char bytes[4096];
    while (end > 0) {
        size_t n = end < (int64_t)sizeof bytes ? (size_t)end : sizeof bytes;
        const cm_status s =
            cm_file_pread(log->fd, log->path, bytes, n, (uint64_t)end - (uint64_t)n, err);
        if (s)
            return s;
        for (; n && bytes[n - 1] != '\n'; n--)
            end--;
        if (n)
            break;
    }
    *at = end;
    return CM_OK;
}

static cm_status open_and_cut(cm_runlog *log, int64_t offset, cm_error *err)
{
    struct stat st;
    log->fd =
        open(log->path,
             O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0666);
    if (log->fd < 0 && errno == ELOOP)
        return cm_fail(err, CM_ERR_IO, "%s: is a link (a run does not write through links)",
                       log->path);
    if (log->fd < 0)
        return cm_fail(err, CM_ERR_IO, "%s: cannot open: %s", log->path, strerror(errno));
    if (fstat(log->fd, &st))
        return cm_fail(err, CM_ERR_IO, "%s: cannot stat: %s", log->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cm_fail(err, CM_ERR_IO, "%s: expected a regular file, found a special file",
                       log->path);
    const int64_t size = (int64_t)st.st_size;
    const cm_status s = last_line_end(log, offset < size ? offset : size, &log->size, err);
    if (s)
        return s;
    if (log->size < size && ftruncate(log->fd, (off_t)log->size))
        return cm_fail(err, CM_ERR_IO, "%s: cannot cut to %lld bytes: %s", log->path,
                       (long long)log->size, strerror(errno));
    return CM_OK;
}

cm_status cm_runlog_open(const char *run, int64_t resume_offset, cm_runlog **out, cm_error *err)
{
    cm_runlog *log = cm_alloc(sizeof *log);
    if (!log)
        return cm_fail(err, CM_ERR_MEMORY, "%s: log: out of memory", run);
    log->fd = -1;
    cm_status s = cm_run_path(log->path, run, "log.jsonl", err);
    if (!s)
        s = open_and_cut(log, resume_offset, err);
    if (s) {
        cm_runlog_close(log);
        return s;
    }
    *out = log;
    return CM_OK;
}

/* Append n bytes or nothing. */
static cm_status append(cm_runlog *log, const char *text, size_t n, cm_error *err)
{
    size_t done = 0;
    while (done < n) {
        const ssize_t k = write(log->fd, text + done, n - done);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            const int e = errno;
            /* Should this fail too, the next open cuts the half line off. */
            const int kept = done && ftruncate(log->fd, (off_t)log->size);
            return cm_fail(err, CM_ERR_IO, "%s: cannot write: %s%s", log->path, strerror(e),
                           kept ? " (half a line remains)" : "");
        }
        done += (size_t)k;
    }
    log->size += (int64_t)n;
    return CM_OK;
}

cm_status cm_runlog_line(cm_runlog *log, const json_t *object, cm_error *err)
{
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(10); /* 9 tell any two floats apart */
    const size_t n = object ? json_dumpb(object, NULL, 0, flags) : 0;
    char *text = n ? cm_alloc(n + 1) : NULL;
    if (!text || json_dumpb(object, text, n, flags) != n) {
        cm_free(text);
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for a line", log->path);
    }
    text[n] = '\n';
    const cm_status s = append(log, text, n + 1, err);
    cm_free(text);
    return s;
}

int64_t cm_runlog_offset(const cm_runlog *log)
{
    /* A log that cannot be synced is no reason to lose the checkpoint: opening it
     * again copes with one that is too short. */
    (void)fsync(log->fd);
    return log->size;
}

void cm_runlog_close(cm_runlog *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    cm_free(log);
}
