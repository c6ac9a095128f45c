/* checkpoint.c - staged writing, finding and pruning of checkpoints.
 *
 * A checkpoint is made in a folder of a temporary name: every file is written and
 * fsynced, the manifest last; the folder is fsynced, renamed to its step, and the
 * rename fsynced.  Only then are older ones touched.  rename(2) replaces no folder
 * that has something in it, so a complete checkpoint is never overwritten. */
#include "run/checkpoint.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/file.h"
#include "io/json.h"
#include "run/folder.h"
#include "run/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_DIGITS = 8, MAX_STEP_DIGITS = 15, STEP_TEXT = 24 };

static const char *step_name(char *text, int64_t step)
{
    snprintf(text, STEP_TEXT, "%0*lld", (int)STEP_DIGITS, (long long)step);
    return text;
}

/* 1 and *step where name is what step_name makes of a step. */
static int parse_step(const char *name, int64_t *step)
{
    const size_t n = strlen(name);
    return n >= STEP_DIGITS && n <= MAX_STEP_DIGITS && strspn(name, "0123456789") == n &&
           (n == STEP_DIGITS || name[0] != '0') && cm_text_to_int(name, step);
}

/* ---- the folder of checkpoints ------------------------------------------ */

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* The steps that have a folder, complete or not.  *steps is freed with cm_free. */
static cm_status list_steps(const char *ckpt, int64_t **steps, size_t *n, cm_error *err)
{
    cm_arena arena = {0};
    const cm_name *names = NULL;
    int64_t *list = NULL, step;
    size_t most = 1;
    *n = 0;
    cm_status s = cm_folder_names(ckpt, &arena, &names, err);
    for (const cm_name *e = names; e; e = e->next)
        most++;
    if (!s && !(list = cm_alloc_array(most, sizeof *list)))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", ckpt);
    for (const cm_name *e = names; e && list; e = e->next)
        if (parse_step(e->text, &step))
            list[(*n)++] = step;
    cm_arena_free(&arena);
    if (s)
        return s;
    if (*n)
        qsort(list, *n, sizeof *list, newest_first);
    *steps = list;
    return CM_OK;
}

/* Take a checkpoint out of the list at once, then remove its files.  What is no folder is not
 * one of ours. */
static cm_status discard(const char *ckpt, int64_t step, cm_error *err)
{
    struct stat st;
    char name[STEP_TEXT], hidden[STEP_TEXT + 8], from[CM_RUN_PATH], to[CM_RUN_PATH];
    snprintf(hidden, sizeof hidden, ".del-%s", step_name(name, step));
    cm_status s = cm_run_path(from, ckpt, name, err);
    if (!s)
        s = cm_run_path(to, ckpt, hidden, err);
    if (s)
        return s;
    if (!lstat(from, &st) && !S_ISDIR(st.st_mode))
        return cm_folder_set_aside(from, err);
    if (rename(from, to))
        return cm_fail(err, CM_ERR_IO, "%s: cannot rename to %s: %s", from, hidden,
                       strerror(errno));
    return cm_folder_remove(to, err);
}

/* ---- writing ------------------------------------------------------------ */

static cm_status write_state(const char *folder, int64_t step, json_t *state, cm_error *err)
{
    char path[CM_RUN_PATH];
    cm_status s = cm_run_path(path, folder, "state.json", err);
    if (s)
        return s;
    json_t *copy = json_object(); /* the order of keys: step first */
    if (json_object_set_new(copy, "step", json_integer(step)) ||
        json_object_update_missing(copy, state))
        s = cm_fail(err, CM_ERR_MEMORY, "%s: out of memory", path);
    else
        s = cm_run_json_write(path, copy, err);
    json_decref(copy);
    return s;
}

/* Fill the new folder; the manifest, last, makes it complete. */
static cm_status write_staged(const char *folder, int64_t step, int n, const cm_ckpt_file *files,
                              json_t *state, cm_error *err)
{
    const char *names[CM_MANIFEST_MAX_FILES];
    char path[CM_RUN_PATH];
    cm_status s = CM_OK;
    if (mkdir(folder, 0777))
        return cm_fail(err, CM_ERR_IO, "%s: cannot make the folder: %s", folder, strerror(errno));
    for (int i = 0; i < n && !s; i++) {
        const cm_ckpt_file *f = &files[i];
        names[i] = f->name;
        s = cm_run_path(path, folder, f->name, err);
        if (!s)
            s = cm_st_write_made(path, f->n, f->entries, f->maker, f->n_meta, f->meta_keys,
                                 f->meta_values, err);
    }
    names[n] = "state.json";
    if (!s)
        s = write_state(folder, step, state, err);
    return s ? s : cm_manifest_write(folder, step, n + 1, names, err);
}

/* Give the staged folder its final name, in place of a damaged one. */
static cm_status publish(const char *ckpt, const char *staged, const char *final, int64_t step,
                         cm_error *err)
{
    struct stat st;
    if (!lstat(final, &st)) {
        const cm_status s = discard(ckpt, step, err);
        if (s)
            return s;
    }
    if (rename(staged, final))
        return cm_fail(err, CM_ERR_IO, "%s: cannot rename to %s: %s", staged, final,
                       strerror(errno));
    return cm_dir_sync(ckpt, err);
}

/* Write and publish, unless a complete checkpoint of the step is there. */
static cm_status make(const char *ckpt, int64_t step, int n, const cm_ckpt_file *files,
                      json_t *state, cm_error *err)
{
    struct stat st;
    char name[STEP_TEXT], hidden[STEP_TEXT + 40], staged[CM_RUN_PATH], final[CM_RUN_PATH];
    snprintf(hidden, sizeof hidden, ".tmp-%s-%ld", step_name(name, step), (long)getpid());
    cm_status s = cm_run_path(final, ckpt, name, err);
    if (!s)
        s = cm_run_path(staged, ckpt, hidden, err);
    if (s)
        return s;
    if (!lstat(final, &st)) {
        s = cm_manifest_check(final, step, CM_MANIFEST_HASHES, err);
        if (s == CM_OK || s == CM_ERR_MEMORY)
            return s;
    }
    s = write_staged(staged, step, n, files, state, err);
    if (!s)
        s = publish(ckpt, staged, final, step, err);
    if (s)
        cm_folder_remove(staged, NULL); /* else the next write or resume does it */
    return s;
}

/* Only people miss the link, where it cannot be or something of theirs has its name. */
static cm_status link_latest(const char *ckpt, int64_t step, cm_error *err)
{
    struct stat st;
    char name[STEP_TEXT], temp[CM_RUN_PATH], latest[CM_RUN_PATH];
    cm_status s = cm_run_path(temp, ckpt, ".tmp-latest", err);
    if (!s)
        s = cm_run_path(latest, ckpt, "latest", err);
    if (s || (!lstat(latest, &st) && !S_ISLNK(st.st_mode)))
        return s;
    if (symlink(step_name(name, step), temp)) {
        if (errno == EPERM || errno == ENOTSUP || errno == ENOSYS)
            return CM_OK; /* a file system without links */
        return cm_fail(err, CM_ERR_IO, "%s: cannot make the link: %s", latest, strerror(errno));
    }
    if (rename(temp, latest))
        return cm_fail(err, CM_ERR_IO, "%s: cannot replace the link: %s", latest, strerror(errno));
    return cm_dir_sync(ckpt, err);
}

/* Newer folders than the step just written are damaged ones a resume skipped:
 * they neither count nor go.  Completeness is judged by sizes here: hashing would
 * read gigabytes at every save. */
static cm_status prune(const char *ckpt, int64_t step, int keep, cm_error *err)
{
    int64_t *steps;
    size_t n;
    int complete = 0;
    cm_status s = list_steps(ckpt, &steps, &n, err);
    if (s)
        return s;
    for (size_t i = 0; i < n && !s; i++) {
        char name[STEP_TEXT], path[CM_RUN_PATH];
        if (steps[i] > step)
            continue;
        if (complete >= keep)
            s = discard(ckpt, steps[i], err);
        else if (!(s = cm_run_path(path, ckpt, step_name(name, steps[i]), err)))
            complete += !cm_manifest_check(path, steps[i], CM_MANIFEST_SIZES, NULL);
    }
    cm_free(steps);
    return s;
}

cm_status cm_checkpoint_write(const char *run, int64_t step, int n_files, const cm_ckpt_file *files,
                              json_t *state, int keep, cm_error *err)
{
    char ckpt[CM_RUN_PATH];
    cm_error after = {0};
    cm_assert(step >= 0 && step <= CM_CKPT_MAX_STEP && keep >= 1 && json_is_object(state));
    cm_assert(n_files >= 0 && n_files < CM_MANIFEST_MAX_FILES); /* one more is state.json */
    cm_status s = cm_run_subfolder(run, "ckpt", ckpt, err);
    if (!s)
        s = cm_folder_clean(ckpt, err);
    if (!s)
        s = make(ckpt, step, n_files, files, state, err);
    if (s)
        return s;
    if ((s = link_latest(ckpt, step, &after)) || (s = prune(ckpt, step, keep, &after)))
        return cm_fail(err, s, "step %lld is saved, but: %s", (long long)step, after.message);
    return CM_OK;
}

/* ---- reading ------------------------------------------------------------ */

cm_status cm_checkpoint_any(const char *run, int *any, cm_error *err)
{
    char ckpt[CM_RUN_PATH];
    struct stat st;
    int64_t *steps = NULL;
    size_t n = 0;
    *any = 0;
    cm_status s = cm_run_path(ckpt, run, "ckpt", err);
    if (s || (lstat(ckpt, &st) && errno == ENOENT))
        return s;
    s = list_steps(ckpt, &steps, &n, err);
    cm_free(steps);
    *any = n > 0;
    return s;
}

/* Find among the listed steps; what is skipped goes to note, as one line.  *gone: one of
 * them was taken away meanwhile. */
static cm_status find_complete(const char *ckpt, const int64_t *steps, size_t n, char *found,
                               int *gone, char *note, size_t note_size, cm_error *err)
{
    struct stat st;
    size_t used = 0;
    note[0] = '\0';
    *gone = 0;
    for (size_t i = 0; i < n; i++) {
        char name[STEP_TEXT];
        cm_error why = {0};
        cm_status s = cm_run_path(found, ckpt, step_name(name, steps[i]), err);
        if (s)
            return s;
        s = cm_manifest_check(found, steps[i], CM_MANIFEST_HASHES, &why);
        if (s == CM_ERR_MEMORY) /* no verdict: an older one must not be taken for it */
            return cm_fail(err, s, "%s", why.message);
        if (!s)
            return CM_OK;
        if (lstat(found, &st) && errno == ENOENT) {
            *gone = 1;
            continue;
        }
        const int k = snprintf(note + used, note_size - used, "%sskipped %s: %s", used ? "; " : "",
                               name, why.message);
        used = k < 0 || (size_t)k >= note_size - used ? note_size - 1 : used + (size_t)k;
    }
    return cm_fail(err, n ? CM_ERR_FORMAT : CM_ERR_IO,
                   "%s: expected a complete checkpoint, found none%s%s%s", ckpt, n ? " (" : "",
                   note, n ? ")" : "");
}

/* List and look, again where a writer pruned what was listed: it made a newer one first. */
static cm_status list_and_find(const char *ckpt, char *found, char *note, size_t note_size,
                               cm_error *err)
{
    enum { ATTEMPTS = 1000 };
    cm_status s = CM_OK;
    for (int i = 0, gone = 1; i < ATTEMPTS && gone; i++) {
        int64_t *steps;
        size_t n;
        if ((s = list_steps(ckpt, &steps, &n, err)))
            return s;
        s = find_complete(ckpt, steps, n, found, &gone, note, note_size, err);
        cm_free(steps);
    }
    return s;
}

cm_status cm_checkpoint_find(const char *run, cm_ckpt_access use, char *path, size_t size,
                             char *note, size_t note_size, cm_error *err)
{
    char ckpt[CM_RUN_PATH], found[CM_RUN_PATH], skipped[sizeof((cm_error){0}.message)];
    struct stat st;
    cm_status s = cm_run_path(ckpt, run, "ckpt", err);
    if (!s && stat(ckpt, &st))
        s = cm_fail(err, CM_ERR_IO,
                    "%s: expected checkpoints, as a run of cm train has them, found nothing: %s%s",
                    ckpt, strerror(errno),
                    use == CM_CKPT_RESUME ? " (before its first one a run is begun again: without "
                                            "--resume)"
                                          : "");
    if (!s && use == CM_CKPT_RESUME)
        s = cm_run_subfolder(run, "ckpt", ckpt, err);
    if (!s && use == CM_CKPT_RESUME)
        s = cm_folder_clean(ckpt, err);
    if (!s)
        s = list_and_find(ckpt, found, skipped, sizeof skipped, err);
    if (s)
        return s;
    if (strlen(found) >= size)
        return cm_fail(err, CM_ERR_ARGUMENT, "%s: expected a path below %zu bytes", found, size);
    memcpy(path, found, strlen(found) + 1);
    if (note_size)
        snprintf(note, note_size, "%s", skipped);
    return CM_OK;
}

cm_status cm_checkpoint_state(const char *path, json_t **state, cm_error *err)
{
    char file[CM_RUN_PATH];
    const cm_status s = cm_run_path(file, path, "state.json", err);
    return s ? s : cm_json_load(file, state, err);
}
