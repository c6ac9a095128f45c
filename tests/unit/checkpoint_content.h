/* checkpoint_content.h - checkpoints whose every value tells their step, so that a
 * test can see whether one holds together */
#ifndef CM_TESTS_CHECKPOINT_CONTENT_H
#define CM_TESTS_CHECKPOINT_CONTENT_H

#include "scratch.h"

#include "base/memory.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "run/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { CONTENT_FILES = 2, CONTENT_MAX = 1 << 18 };
static const char *const content_name[CONTENT_FILES] = {"model.safetensors",
                                                        "optimizer.safetensors"};

/* Two files of n floats and a state with text of pad bytes; silent, for child processes. */
static inline cm_status content_save(const char *run, int64_t step, size_t n, size_t pad, int keep,
                                     cm_error *err)
{
    static float w[CONTENT_MAX];
    static char text[CONTENT_MAX];
    for (size_t i = 0; i < n; i++)
        w[i] = (float)step;
    memset(text, 'x', pad);
    const cm_st_entry entry[] = {{"w", CM_ST_F32, 1, {(int64_t)n}, w}, {"v", CM_ST_F32, 1, {1}, w}};
    cm_ckpt_file files[CONTENT_FILES];
    for (int k = 0; k < CONTENT_FILES; k++)
        files[k] = (cm_ckpt_file){content_name[k], 2, entry, NULL, 0, NULL, NULL};
    json_t *state = json_pack("{s:I, s:s%}", "value", (json_int_t)step, "pad", text, pad);
    const cm_status s = cm_checkpoint_write(run, step, CONTENT_FILES, files, state, keep, err);
    json_decref(state);
    return s;
}

/* The step of the checkpoint at path when everything in it agrees, else -1. */
static inline int64_t content_step(const char *path)
{
    static float w[CONTENT_MAX];
    cm_error err = {0};
    json_t *state = NULL;
    int64_t step = -1, value = -2;
    if (!CHECK_OK(cm_checkpoint_state(path, &state, &err), err))
        return -1;
    CHECK_OK(cm_json_int(state, path, "step", 0, INT64_MAX, CM_JSON_REQUIRED, &step, &err), err);
    CHECK_OK(cm_json_int(state, path, "value", 0, INT64_MAX, CM_JSON_REQUIRED, &value, &err), err);
    json_decref(state);
    int bad = step != value || step != strtoll(strrchr(path, '/') + 1, NULL, 10);
    for (int k = 0; k < CONTENT_FILES; k++) {
        cm_st_file *f = NULL;
        char name[1200];
        snprintf(name, sizeof name, "%s/%s", path, content_name[k]);
        if (!CHECK_OK(cm_st_open(name, &f, &err), err))
            return -1;
        const cm_st_tensor *t = cm_st_find(f, "w");
        if (!t || t->bytes > sizeof w || cm_st_read(f, t, w, &err))
            bad++;
        for (uint64_t i = 0; t && i < t->bytes / sizeof *w; i++)
            bad += w[i] != (float)step;
        cm_st_close(f);
    }
    CHECK(!bad, "%s: step %lld, value %lld, %d wrong", path, (long long)step, (long long)value,
          bad);
    return bad ? -1 : step;
}

/* The step that is found in the run, checked; -1 when none is. */
static inline int64_t content_find(const char *run, cm_ckpt_access use, char *note, size_t size,
                                   cm_error *err)
{
    char path[1024];
    return cm_checkpoint_find(run, use, path, sizeof path, note, size, err) ? -1
                                                                            : content_step(path);
}

/* Entries of a folder that begin so. */
static inline int count_begin(const char *folder, const char *begin)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        n += !strncmp(e->d_name, begin, strlen(begin));
    if (d)
        closedir(d);
    return n;
}

static inline int exists(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

/* rm -r of a tree two levels deep below path, as a run is. */
static inline void remove_tree(const char *path, int depth)
{
    char child[2048];
    struct stat st;
    DIR *d = !lstat(path, &st) && S_ISDIR(st.st_mode) && depth < 4 ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(child, sizeof child, "%.1500s/%.255s", path, e->d_name);
        remove_tree(child, depth + 1);
    }
    if (d)
        closedir(d);
    remove(path);
}

/* The folder of a new run, as its trainer makes it. */
static inline void empty_run(const char *path)
{
    remove_tree(path, 0);
    CHECK(!mkdir(path, 0777), "mkdir %s", path);
}

#endif
