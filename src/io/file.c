/* file.c - reading whole files, and the staged writer.
 *
 * A write is durable when, in this order, the temporary file was written and
 * fsynced, renamed onto its name, and the folder fsynced (see "All File Systems
 * Are Not Created Equal", Pillai et al., OSDI 2014). */
#include "io/file.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ------------------------------------------------------------ */

cm_status cm_file_open(const char *path, int *fd, uint64_t *size, cm_error *err)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO in place of a file must not hang us; it changes nothing
     * for a regular file. */
    const int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f < 0) {
        const int full = errno == ENOMEM || errno == EMFILE || errno == ENFILE;
        return cm_fail(err, full ? CM_ERR_MEMORY : CM_ERR_IO, "%s: cannot open: %s", path,
                       strerror(errno));
    }
    if (fstat(f, &st)) {
        const int e = errno;
        close(f);
        return cm_fail(err, CM_ERR_IO, "%s: cannot stat: %s", path, strerror(e));
    }
    if (!S_ISREG(st.st_mode)) {
        close(f);
        return cm_fail(err, CM_ERR_IO, "%s: expected a regular file, found %s", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "a special file");
    }
    *fd = f;
    *size = (uint64_t)st.st_size;
    return CM_OK;
}

cm_status cm_file_pread(int fd, const char *path, void *dst, size_t n, uint64_t offset,
                        cm_error *err)
{
    char *p = dst;
    while (n) {
        const ssize_t k = pread(fd, p, n, (off_t)offset);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return cm_fail(err, CM_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
        if (k == 0)
            return cm_fail(err, CM_ERR_IO,
                           "%s: expected %zu more bytes at offset %llu, found the end of the file",
                           path, n, (unsigned long long)offset);
        p += k;
        n -= (size_t)k;
        offset += (uint64_t)k;
    }
    return CM_OK;
}

cm_status cm_file_read(const char *path, size_t max_bytes, void **data, size_t *size, cm_error *err)
{
    int fd;
    uint64_t n;
    cm_status s = cm_file_open(path, &fd, &n, err);
    if (s)
        return s;
    void *p = NULL;
    if (n > max_bytes)
        s = cm_fail(err, CM_ERR_FORMAT, "%s: expected at most %zu bytes, found %llu", path,
                    max_bytes, (unsigned long long)n);
    else if (!(p = cm_alloc((size_t)n + 1)))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory for %llu bytes", path,
                    (unsigned long long)n);
    else
        s = cm_file_pread(fd, path, p, (size_t)n, 0, err);
    close(fd);
    if (s) {
        cm_free(p);
        return s;
    }
    *data = p;
    *size = (size_t)n;
    return CM_OK;
}

/* ---- folders ------------------------------------------------------------ */

/* The folder that holds path, as text in a new block; NULL: out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return cm_strdup(".");
    char *dir = cm_strdup(path);
    if (dir)
        dir[slash == path ? 1 : slash - path] = '\0';
    return dir;
}

cm_status cm_dir_sync(const char *path, cm_error *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cm_fail(err, CM_ERR_IO, "%s: cannot open the folder: %s", path, strerror(errno));
    /* Some network file systems cannot sync a folder and say EINVAL: nothing to do. */
    const int failed = fsync(fd) && errno != EINVAL && errno != ENOTSUP;
    const int e = errno;
    close(fd);
    return failed ? cm_fail(err, CM_ERR_IO, "%s: cannot sync the folder: %s", path, strerror(e))
                  : CM_OK;
}

cm_status cm_make_dir(const char *path, cm_error *err)
{
    struct stat st;
    if (mkdir(path, 0777)) {
        const int e = errno;
        if (stat(path, &st) == 0)
            return S_ISDIR(st.st_mode)
                       ? CM_OK
                       : cm_fail(err, CM_ERR_IO, "%s: expected a folder, found a file", path);
        return cm_fail(err, CM_ERR_IO, "%s: cannot make the folder: %s", path, strerror(e));
    }
    char *parent = folder_of(path);
    if (!parent)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    const cm_status s = cm_dir_sync(parent, err);
    cm_free(parent);
    return s;
}

cm_status cm_file_save(const char *path, const void *data, size_t n, cm_error *err)
{
    cm_file_writer *w = NULL;
    cm_status s = cm_file_create(path, &w, err);
    if (s)
        return s;
    s = cm_file_write(w, data, n, err);
    if (!s)
        return cm_file_commit(w, err);
    cm_file_abandon(w);
    return s;
}

cm_status cm_make_dirs(const char *path, cm_error *err)
{
    cm_status s = CM_OK;
    char *p = cm_strdup(path);
    if (!p)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    size_t n = strlen(p);
    while (n > 1 && p[n - 1] == '/')
        p[--n] = '\0';
    for (size_t i = 1; i < n && !s; i++) {
        if (p[i] != '/' || p[i - 1] == '/')
            continue;
        p[i] = '\0';
        s = cm_make_dir(p, err);
        p[i] = '/';
    }
    if (!s)
        s = cm_make_dir(p, err);
    cm_free(p);
    return s;
}

/* ---- staged writing ----------------------------------------------------- */

struct cm_file_writer {
    char *path, *folder, *temp;
    int fd;
    uint64_t at, end;  /* next byte, and one past the highest byte written */
    uint64_t reserved; /* size claimed on the disk, perhaps beyond end */
};

static cm_status write_failed(const cm_file_writer *w, const char *what, int e, uint64_t needed,
                              cm_error *err)
{
    if (e == ENOSPC || e == EDQUOT || e == EFBIG)
        return cm_fail(err, CM_ERR_IO, "%s: cannot %s: %s (needs %llu bytes)", w->path, what,
                       strerror(e), (unsigned long long)needed);
    return cm_fail(err, CM_ERR_IO, "%s: cannot %s: %s", w->path, what, strerror(e));
}

static void writer_free(cm_file_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    cm_free(w->path);
    cm_free(w->folder);
    cm_free(w->temp);
    cm_free(w);
}

/* Open a file that did not exist: FOLDER/.tmp-PID-K.  The short name fits even
 * where the final name is as long as the file system allows. */
static cm_status open_temp(cm_file_writer *w, cm_error *err)
{
    enum { ATTEMPTS = 10000 };
    const size_t size = strlen(w->folder) + 48;
    if (!(w->temp = cm_alloc(size)))
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", w->path);
    for (int k = 0; k < ATTEMPTS; k++) {
        snprintf(w->temp, size, "%s/.tmp-%ld-%d", w->folder, (long)getpid(), k);
        w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0)
            return CM_OK;
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return cm_fail(err, CM_ERR_IO, "%s: cannot create a file in %s: %s", w->path, w->folder,
                   strerror(errno));
}

cm_status cm_file_create(const char *path, cm_file_writer **out, cm_error *err)
{
    struct stat st;
    const size_t n = strlen(path);
    if (n == 0 || path[n - 1] == '/')
        return cm_fail(err, CM_ERR_IO, "\"%s\": expected the name of a file", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return cm_fail(err, CM_ERR_IO, "%s: expected a file to replace, found %s", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "a special file");
    cm_file_writer *w = cm_alloc(sizeof *w);
    if (!w)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    w->fd = -1;
    w->path = cm_strdup(path);
    w->folder = folder_of(path);
    const cm_status s = w->path && w->folder
                            ? open_temp(w, err)
                            : cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    if (s) {
        writer_free(w);
        return s;
    }
    *out = w;
    return CM_OK;
}

cm_status cm_file_check(const char *path, cm_error *err)
{
    cm_file_writer *w = NULL;
    const cm_status s = cm_file_create(path, &w, err);
    if (!s)
        cm_file_abandon(w);
    return s;
}

cm_status cm_file_write(cm_file_writer *w, const void *data, size_t n, cm_error *err)
{
    const char *p = data;
    while (n) {
        const ssize_t k = pwrite(w->fd, p, n, (off_t)w->at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return write_failed(w, "write", errno,
                                w->reserved > w->at + n ? w->reserved : w->at + n, err);
        p += k;
        n -= (size_t)k;
        w->at += (uint64_t)k;
        if (w->end < w->at)
            w->end = w->at;
    }
    return CM_OK;
}

void cm_file_seek(cm_file_writer *w, uint64_t offset)
{
    w->at = offset;
}

uint64_t cm_file_tell(const cm_file_writer *w)
{
    return w->at;
}

cm_status cm_file_reserve(cm_file_writer *w, uint64_t bytes, cm_error *err)
{
    if (bytes > INT64_MAX)
        return write_failed(w, "reserve room", EFBIG, bytes, err);
    if (bytes <= w->reserved)
        return CM_OK;
    int e;
    do
        e = posix_fallocate(w->fd, 0, (off_t)bytes);
    while (e == EINTR);
    if (e == ENOSPC || e == EDQUOT || e == EFBIG)
        return write_failed(w, "reserve room", e, bytes, err);
    if (!e) /* otherwise this file system cannot: the writes will tell */
        w->reserved = bytes;
    return CM_OK;
}

cm_status cm_file_commit(cm_file_writer *w, cm_error *err)
{
    cm_status s = CM_OK;
    if (w->reserved > w->end && ftruncate(w->fd, (off_t)w->end))
        s = write_failed(w, "set the size", errno, w->end, err);
    else if (fsync(w->fd))
        s = write_failed(w, "sync", errno, w->end, err);
    const int fd = w->fd;
    w->fd = -1;
    if (close(fd) && !s) /* a network file system may report a full disk only here */
        s = write_failed(w, "close", errno, w->end, err);
    if (!s && rename(w->temp, w->path))
        s = write_failed(w, "rename onto it", errno, w->end, err);
    if (s) {
        cm_file_abandon(w);
        return s;
    }
    s = cm_dir_sync(w->folder, err);
    writer_free(w);
    return s;
}

void cm_file_abandon(cm_file_writer *w)
{
    if (!w)
        return;
    unlink(w->temp);
    writer_free(w);
}
