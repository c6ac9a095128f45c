/* folder.c - names, lock, listing and removal in a run folder */
#include "run/folder.h"

#include "base/error.h"
#include "base/text.h"
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

cm_status cm_run_path(char *path, const char *folder, const char *name, cm_error *err)
{
    const int n = snprintf(path, CM_RUN_PATH, "%s/%s", folder, name);
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
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL; /* 17 digits: reals are exact */
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
    free(text);
    return s;
}

/* ---- lock --------------------------------------------------------------- */

cm_status cm_run_lock(const char *run, int *fd, cm_error *err)
{
    char path[CM_RUN_PATH];
    cm_status s = cm_run_path(path, run, "lock", err);
    if (!s)
        s = cm_make_dirs(run, err);
    if (s)
        return s;
    /* The file stays for good: removing it would let two trainers each lock their own. */
    const int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (f < 0)
        return cm_fail(err, CM_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    int failed;
    do
        failed = flock(f, LOCK_EX | LOCK_NB);
    while (failed && errno == EINTR);
    if (failed) {
        const int e = errno;
        close(f);
        return e == EWOULDBLOCK
                   ? cm_fail(err, CM_ERR_IO, "%s: another process is training in this folder", run)
                   : cm_fail(err, CM_ERR_IO, "%s: cannot lock: %s", path, strerror(e));
    }
    *fd = f;
    return CM_OK;
}

void cm_run_unlock(int fd)
{
    close(fd);
}

/* ---- folders ------------------------------------------------------------ */

cm_status cm_folder_names(const char *folder, cm_arena *arena, const cm_name **names, cm_error *err)
{
    const cm_name *list = NULL;
    DIR *dir = opendir(folder);
    if (!dir)
        return cm_fail(err, CM_ERR_IO, "%s: cannot open the folder: %s", folder, strerror(errno));
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
        s = cm_fail(err, CM_ERR_IO, "%s: cannot read the folder: %s", folder, strerror(errno));
    closedir(dir);
    if (!s)
        *names = list;
    return s;
}

static cm_status remove_failed(const char *path, cm_error *err)
{
    return cm_fail(err, CM_ERR_IO, "%s: cannot remove: %s", path, strerror(errno));
}

static cm_status remove_content(const char *folder, cm_error *err)
{
    cm_arena arena = {0};
    const cm_name *names = NULL;
    char path[CM_RUN_PATH];
    cm_status s = cm_folder_names(folder, &arena, &names, err);
    for (const cm_name *e = names; e && !s; e = e->next) {
        s = cm_run_path(path, folder, e->text, err);
        if (!s && unlink(path) && errno != ENOENT)
            s = remove_failed(path, err);
    }
    cm_arena_free(&arena);
    return s;
}

cm_status cm_folder_remove(const char *path, cm_error *err)
{
    struct stat st;
    if (lstat(path, &st))
        return errno == ENOENT ? CM_OK : remove_failed(path, err);
    if (!S_ISDIR(st.st_mode))
        return unlink(path) && errno != ENOENT ? remove_failed(path, err) : CM_OK;
    const cm_status s = remove_content(path, err);
    if (s)
        return s;
    return rmdir(path) && errno != ENOENT ? remove_failed(path, err) : CM_OK;
}

cm_status cm_folder_clean(const char *folder, cm_error *err)
{
    cm_arena arena = {0};
    const cm_name *names = NULL;
    char path[CM_RUN_PATH];
    cm_status s = cm_folder_names(folder, &arena, &names, err);
    for (const cm_name *e = names; e && !s; e = e->next) {
        if (strncmp(e->text, ".tmp-", 5) != 0 && strncmp(e->text, ".del-", 5) != 0)
            continue;
        s = cm_run_path(path, folder, e->text, err);
        if (!s)
            s = cm_folder_remove(path, err);
    }
    cm_arena_free(&arena);
    return s;
}
