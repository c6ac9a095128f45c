/* folder.c - names, lock, listing and removal in a run folder */
#include "run/folder.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/file.h"
#include "io/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

cm_status cm_run_path(char *path, const char *folder, const char *name, cm_error *err)
{
    const size_t length = strlen(folder);
    const int slash = length > 0 && folder[length - 1] == '/';
    const int n = snprintf(path, CM_RUN_PATH, "%s%s%s", folder, slash ? "" : "/", name);
    if (n < 0 || n >= CM_RUN_PATH)
        return cm_fail(err, CM_ERR_ARGUMENT, "%.200s.../%s: expected a path below %d bytes", folder,
                       name, (int)CM_RUN_PATH);
    return CM_OK;
}

const char *cm_run_ema_name(char name[CM_EMA_NAME], double rate)
{
    char text[CM_REAL_TEXT];
    snprintf(name, CM_EMA_NAME, "ema_%s.safetensors", cm_text_from_real(text, rate));
    return name;
}

cm_status cm_run_ema_path(char *path, const char *folder, double rate, cm_error *err)
{
    char name[CM_EMA_NAME], text[CM_REAL_TEXT], old[CM_RUN_PATH];
    double rounded = rate;
    struct stat st;
    const cm_status s = cm_run_path(path, folder, cm_run_ema_name(name, rate), err);
    if (s || !stat(path, &st) || !cm_text_to_real(cm_text_rounded(text, rate, 10), &rounded))
        return s;
    if (!cm_run_path(old, folder, cm_run_ema_name(name, rounded), NULL) && !stat(old, &st))
        memcpy(path, old, sizeof old);
    return CM_OK;
}

cm_status cm_run_json_write(const char *path, const json_t *json, cm_error *err)
{
    cm_file_writer *w;
    char *text = cm_json_dump(json, JSON_INDENT(2)); /* 17 digits: reals are exact */
    if (!text)
        return cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    cm_status s = cm_file_create(path, &w, err);
    if (!s) {
        s = cm_file_write(w, text, strlen(text), err);
        if (!s)
            s = cm_file_write(w, "\n", 1, err);
        if (!s)
            s = cm_file_commit(w, err);
        else
            cm_file_abandon(w);
    }
    cm_free(text);
    return s;
}

/* ---- lock --------------------------------------------------------------- */

static const char mark[] = "The lock of a run of cm; it stays here.\n";

/* Whether the open lock has the mark.  An empty one is new, or of an earlier version. */
static cm_status read_mark(int fd, const char *path, int *marked, cm_error *err)
{
    struct stat st;
    char text[sizeof mark] = "";
    if (fstat(fd, &st))
        return cm_fail(err, CM_ERR_IO, "%s: cannot stat: %s", path, strerror(errno));
    const ssize_t n = S_ISREG(st.st_mode) ? pread(fd, text, sizeof text - 1, 0) : -1;
    *marked = n > 0;
    if (n == 0 || (n == (ssize_t)sizeof mark - 1 && st.st_size == n && !strcmp(text, mark)))
        return CM_OK;
    return cm_fail(err, CM_ERR_IO, "%s: expected the lock of a run, found another file", path);
}

cm_status cm_run_marked(const char *run, int *marked, cm_error *err)
{
    char path[CM_RUN_PATH];
    *marked = 0;
    cm_status s = cm_run_path(path, run, "lock", err);
    if (s)
        return s;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT
                   ? CM_OK
                   : cm_fail(err, CM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    s = read_mark(fd, path, marked, err);
    close(fd);
    return s;
}

cm_status cm_run_mark(const char *run, int fd, cm_error *err)
{
    /* All of it or nothing: it is shorter than a block. */
    const ssize_t n = pwrite(fd, mark, sizeof mark - 1, 0);
    if (n == (ssize_t)sizeof mark - 1)
        return CM_OK;
    const int e = n < 0 ? errno : ENOSPC;
    if (n > 0 && ftruncate(fd, 0))
        return cm_fail(err, CM_ERR_IO, "%s/lock: cannot empty: %s", run, strerror(errno));
    return cm_fail(err, CM_ERR_IO, "%s/lock: cannot write: %s", run, strerror(e));
}

cm_status cm_run_lock(const char *run, cm_lock_use use, int *fd, cm_error *err)
{
    char path[CM_RUN_PATH];
    int marked;
    cm_status s = cm_run_path(path, run, "lock", err);
    if (!s && use == CM_LOCK_MAKE)
        s = cm_make_dirs(run, err);
    if (s)
        return s;
    /* The file stays for good: removing it would let two trainers each lock their own. */
    const int f =
        open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0666);
    if (f < 0)
        return cm_fail(err, CM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    int failed;
    do
        failed = flock(f, LOCK_EX | LOCK_NB);
    while (failed && errno == EINTR);
    if (failed)
        s = errno == EWOULDBLOCK
                ? cm_fail(err, CM_ERR_IO, "%s: another process is training in this folder", run)
                : cm_fail(err, CM_ERR_IO, "%s: cannot lock: %s", path, strerror(errno));
    else
        s = read_mark(f, path, &marked, err);
    if (s) {
        close(f);
        return s;
    }
    *fd = f;
    return CM_OK;
}

void cm_run_unlock(int fd)
{
    close(fd);
}

cm_status cm_run_held(const char *run, int fd, cm_error *err)
{
    char path[CM_RUN_PATH];
    struct stat ours, there;
    const cm_status s = cm_run_path(path, run, "lock", err);
    if (s || (!fstat(fd, &ours) && !lstat(path, &there) && ours.st_dev == there.st_dev &&
              ours.st_ino == there.st_ino))
        return s;
    return cm_fail(err, CM_ERR_IO,
                   "%s: this folder was moved, removed or replaced while its run went on, which "
                   "ends here (its lock is gone); the steps since its last checkpoint are lost: "
                   "continue from that, if there was one, with --resume, --out where it is now",
                   run);
}

/* ---- folders ------------------------------------------------------------ */

static cm_status folder_failed(const char *path, const char *what, cm_error *err)
{
    const int e = errno;
    const cm_status s = e == ENOMEM || e == EMFILE || e == ENFILE ? CM_ERR_MEMORY : CM_ERR_IO;
    return cm_fail(err, s, "%s: cannot %s: %s", path, what, strerror(e));
}

cm_status cm_run_subfolder(const char *run, const char *name, char *path, cm_error *err)
{
    struct stat st;
    cm_status s = cm_run_path(path, run, name, err);
    if (!s)
        s = cm_make_dir(path, err);
    if (s)
        return s;
    if (lstat(path, &st))
        return folder_failed(path, "stat", err);
    return S_ISDIR(st.st_mode) ? CM_OK
                               : cm_fail(err, CM_ERR_IO,
                                         "%s: expected a folder, found a link (a run does not "
                                         "write through links)",
                                         path);
}

cm_status cm_folder_names(const char *folder, cm_arena *arena, const cm_name **names, cm_error *err)
{
    const cm_name *list = NULL;
    DIR *dir = opendir(folder);
    if (!dir)
        return folder_failed(folder, "open the folder", err);
    cm_status s = CM_OK;
    errno = 0; /* readdir tells an error from the end by it */
    for (struct dirent *e; !s && (e = readdir(dir)); errno = 0) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        cm_name *one = cm_arena_alloc(arena, sizeof *one);
        const char *text = cm_arena_strdup(arena, e->d_name);
        if (one && text) {
            *one = (cm_name){list, text};
            list = one;
        } else {
            s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", folder);
        }
    }
    if (!s && errno)
        s = folder_failed(folder, "read the folder", err);
    closedir(dir);
    if (!s)
        *names = list;
    return s;
}

/* ---- removal ------------------------------------------------------------ */

/* begin, then numbers with a dash between them */
static int has_pattern(const char *name, const char *begin, int numbers)
{
    const size_t n = strlen(begin);
    if (strncmp(name, begin, n) != 0)
        return 0;
    for (const char *p = name + n;; p++) {
        const size_t digits = strspn(p, "0123456789");
        p += digits;
        if (!digits || (--numbers > 0 ? *p != '-' : *p != '\0'))
            return 0;
        if (!numbers)
            return 1;
    }
}

static int is_half_written(const char *name)
{
    return has_pattern(name, ".tmp-", 2) || !strcmp(name, ".tmp-latest");
}

/* Whether a trainer gives a file of a checkpoint such a name. */
static int is_ours(const char *name)
{
    static const char ending[] = ".safetensors";
    const size_t n = strlen(name), most = sizeof ending - 1;
    return !strcmp(name, "state.json") || !strcmp(name, "manifest.json") || is_half_written(name) ||
           (n > most && !strcmp(name + n - most, ending));
}

cm_status cm_folder_set_aside(const char *path, cm_error *err)
{
    enum { ATTEMPTS = 10000 };
    char to[CM_RUN_PATH];
    struct stat st;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *number = *name == '.' ? strchr(name, '-') : NULL; /* .del-00000007 */
    for (int i = 0; i < ATTEMPTS; i++) {
        char again[16] = "";
        if (i)
            snprintf(again, sizeof again, "-%d", i);
        const int n = snprintf(to, sizeof to, "%.*skept-%s%s", (int)(name - path), path,
                               number ? number + 1 : name, again);
        if (n < 0 || n >= CM_RUN_PATH)
            break;
        if (lstat(to, &st) && errno == ENOENT)
            return rename(path, to) ? folder_failed(path, "rename", err) : CM_OK;
    }
    return cm_fail(err, CM_ERR_IO, "%s: cannot find a name to keep it under", path);
}

/* Errors that are about the thing itself and will stay. */
static int is_refusal(int e)
{
    return e == EISDIR || e == ENOTEMPTY || e == EEXIST || e == EACCES || e == EPERM;
}

/* Remove what is ours of an open folder's content; what refuses to go stays. */
static cm_status remove_content(int folder, const char *path, const cm_name *names, cm_error *err)
{
    for (const cm_name *e = names; e; e = e->next)
        if (is_ours(e->text) && unlinkat(folder, e->text, 0) && errno != ENOENT &&
            !is_refusal(errno)) {
            char inner[CM_RUN_PATH];
            const int why = errno;
            const cm_status s = cm_run_path(inner, path, e->text, err);
            errno = why;
            return s ? s : folder_failed(inner, "remove", err);
        }
    return CM_OK;
}

static cm_status empty_folder(const char *path, cm_error *err)
{
    cm_arena arena = {0};
    const cm_name *names = NULL;
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return is_refusal(errno) ? CM_OK : folder_failed(path, "open the folder", err);
    cm_status s = cm_folder_names(path, &arena, &names, err);
    if (!s)
        s = remove_content(folder, path, names, err);
    close(folder);
    cm_arena_free(&arena);
    return s;
}

cm_status cm_folder_remove(const char *path, cm_error *err)
{
    struct stat st;
    if (lstat(path, &st))
        return errno == ENOENT ? CM_OK : folder_failed(path, "remove", err);
    const int is_folder = S_ISDIR(st.st_mode);
    const cm_status s = is_folder ? empty_folder(path, err) : CM_OK;
    if (s || !unlinkat(AT_FDCWD, path, is_folder ? AT_REMOVEDIR : 0) || errno == ENOENT)
        return s;
    return is_folder && is_refusal(errno) ? cm_folder_set_aside(path, err)
                                          : folder_failed(path, "remove", err);
}

cm_status cm_folder_clean(const char *folder, cm_error *err)
{
    cm_arena arena = {0};
    const cm_name *names = NULL;
    char path[CM_RUN_PATH];
    cm_status s = cm_folder_names(folder, &arena, &names, err);
    for (const cm_name *e = names; e && !s; e = e->next) {
        if (!is_half_written(e->text) && !has_pattern(e->text, ".del-", 1))
            continue;
        s = cm_run_path(path, folder, e->text, err);
        if (!s)
            s = cm_folder_remove(path, err);
    }
    cm_arena_free(&arena);
    return s;
}
