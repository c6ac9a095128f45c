/* test_checkpoint.c - run folder: checkpoints written, found, skipped when damaged,
 * pruned; the lock; the log.  test_checkpoint_crash.c has kills and full disks. */
#include "checkpoint_content.h"

#include "io/file.h"
#include "run/folder.h"
#include "run/log.h"

#include <sys/wait.h>

enum { N = 1000 };

static const char *run(void)
{
    return in_dir("run");
}

static void fresh_with(int64_t first, int64_t last, int keep)
{
    cm_error err = {0};
    empty_run(run());
    for (int64_t step = first; step <= last; step++)
        CHECK_OK(content_save(run(), step, N, 10, keep, &err), err);
}

/* Expect this step, and a note that says so (NULL: an empty one). */
static void expect(int64_t step, const char *in_note)
{
    char note[1024] = "untouched";
    cm_error err = {0};
    const int64_t found = content_find(run(), CM_CKPT_RESUME, note, sizeof note, &err);
    CHECK(found == step, "found step %lld, expected %lld (%s)", (long long)found, (long long)step,
          err.message);
    CHECK(in_note ? strstr(note, in_note) != NULL : !note[0], "note \"%s\", expected \"%s\"", note,
          in_note ? in_note : "");
}

/* ---- write and find ----------------------------------------------------- */

static void round_trip(void)
{
    char path[1024], link[64] = "", small[8];
    cm_error err = {0};
    fresh_with(7, 7, 1);
    expect(7, NULL);
    CHECK_OK(cm_checkpoint_find(run(), CM_CKPT_LOOK, path, sizeof path, NULL, 0, &err), err);
    CHECK(!strcmp(path, in_dir("run/ckpt/00000007")), "path %s", path);
    CHECK(readlink(in_dir("run/ckpt/latest"), link, sizeof link - 1) == 8 &&
              !strcmp(link, "00000007"),
          "latest is %s", link);
    CHECK(count_begin(in_dir("run/ckpt"), "") == 4, "., .., latest and one checkpoint");
    CHECK(count_begin(path, "") == 6, "., .., 2 tensor files, state, manifest");
    CHECK(cm_checkpoint_find(run(), CM_CKPT_LOOK, small, sizeof small, NULL, 0, &err) ==
              CM_ERR_ARGUMENT,
          "a small buffer");
}

/* Against a manifest computed outside this program: sizes by hand from the format,
 * hash by the xxhash package of Python from the same bytes. */
static void manifest_content(void)
{
    static const char wanted[] = "{\n  \"version\": 1,\n  \"step\": 123456789,\n  \"files\": [\n"
                                 "    {\n      \"name\": \"state.json\",\n      \"size\": 39,\n"
                                 "      \"xxh3\": \"5e17183d5857a89a\"\n    }\n  ]\n}\n";
    static const char state_text[] = "{\n  \"step\": 123456789,\n  \"lr\": 0.125\n}\n";
    cm_error err = {0};
    char *text = NULL;
    size_t n = 0;
    empty_run(run());
    json_t *state = json_pack("{s:f, s:i}", "lr", 0.125, "step", 3);
    CHECK_OK(cm_checkpoint_write(run(), 123456789, 0, NULL, state, 1, &err), err);
    CHECK(json_integer_value(json_object_get(state, "step")) == 3, "the caller's state changed");
    json_decref(state);
    CHECK_OK(cm_file_read(in_dir("run/ckpt/123456789/state.json"), 9999, (void **)&text, &n, &err),
             err);
    CHECK(text && !strcmp(text, state_text), "state %s", text);
    cm_free(text);
    text = NULL;
    CHECK_OK(
        cm_file_read(in_dir("run/ckpt/123456789/manifest.json"), 9999, (void **)&text, &n, &err),
        err);
    CHECK(text && !strcmp(text, wanted), "manifest %s", text);
    cm_free(text);
}

static void nothing_there(void)
{
    char path[1024];
    cm_error err = {0};
    remove_tree(run(), 0);
    CHECK(cm_checkpoint_find(run(), CM_CKPT_RESUME, path, sizeof path, NULL, 0, &err) == CM_ERR_IO,
          "no run folder");
    has(&err, "run/ckpt: expected checkpoints, as a run of cm train has them");
    CHECK_OK(cm_make_dirs(in_dir("run/ckpt"), &err), err);
    CHECK(cm_checkpoint_find(run(), CM_CKPT_RESUME, path, sizeof path, NULL, 0, &err) == CM_ERR_IO,
          "an empty one");
    has(&err, "run/ckpt: expected a complete checkpoint, found none");
}

static void same_step_twice(void)
{
    struct stat before, after;
    cm_error err = {0};
    fresh_with(1, 2, 3);
    stat(in_dir("run/ckpt/00000002/state.json"), &before);
    CHECK_OK(content_save(run(), 2, N, 10, 3, &err), err);
    stat(in_dir("run/ckpt/00000002/state.json"), &after);
    CHECK(before.st_ino == after.st_ino, "a complete checkpoint was rewritten");
    CHECK(!truncate(in_dir("run/ckpt/00000002/state.json"), 3), "truncate");
    expect(1, "00000002");
    CHECK_OK(content_save(run(), 2, N, 10, 3, &err), err);
    expect(2, NULL);
    CHECK(count_begin(in_dir("run/ckpt"), ".") == 2, "hidden folders remain");
}

/* ---- damage ------------------------------------------------------------- */

static void flip(const char *path, off_t at)
{
    char byte = 0;
    const int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1, "cannot read %s", path);
    byte = (char)(byte ^ 1);
    CHECK(pwrite(fd, &byte, 1, at) == 1, "cannot write %s", path);
    close(fd);
}

static void corrupt_byte(void)
{
    fresh_with(1, 2, 5);
    flip(in_dir("run/ckpt/00000002/optimizer.safetensors"), 3000);
    expect(1, "skipped 00000002: ");
    expect(1, "optimizer.safetensors: damaged");
    flip(in_dir("run/ckpt/00000002/optimizer.safetensors"), 3000);
    expect(2, NULL);
    flip(in_dir("run/ckpt/00000002/state.json"), 20);
    expect(1, "state.json: damaged");
}

/* Every bit-0 flip of the manifest either changes white space or is noticed. */
static void corrupt_manifest(void)
{
    char path[1024];
    fresh_with(1, 2, 5);
    struct stat st;
    CHECK(!stat(in_dir("run/ckpt/00000002/manifest.json"), &st), "no manifest");
    int skipped = 0;
    for (off_t at = 0; at < st.st_size; at++) {
        cm_error err = {0};
        flip(in_dir("run/ckpt/00000002/manifest.json"), at);
        CHECK_OK(cm_checkpoint_find(run(), CM_CKPT_LOOK, path, sizeof path, NULL, 0, &err), err);
        skipped += path[strlen(path) - 1] == '1';
        flip(in_dir("run/ckpt/00000002/manifest.json"), at);
    }
    CHECK(skipped == (int)st.st_size, "%d of %d flips noticed", skipped, (int)st.st_size);
    expect(2, NULL);
}

static void manifest_says(const char *text, const char *in_note)
{
    put(in_dir("run/ckpt/00000002/manifest.json"), text, strlen(text));
    expect(1, in_note);
}

static void hostile_manifest(void)
{
    fresh_with(1, 2, 5);
    manifest_says("[]", "expected a JSON object");
    manifest_says("{\"version\": 2, \"step\": 2, \"files\": []}", "\"version\": expected");
    manifest_says("{\"version\": 1, \"step\": 1, \"files\": []}", "\"step\": expected");
    manifest_says("{\"version\": 1, \"step\": 2, \"files\": []}", "\"files\": expected a list");
    manifest_says("{\"version\": 1, \"step\": 2, \"files\": [3]}", "expected objects, found 3");
    manifest_says(
        "{\"version\": 1, \"step\": 2, \"files\": [{\"name\": \"../00000001/state.json\", "
        "\"size\": 1, \"xxh3\": \"0123456789abcdef\"}]}",
        "expected a plain file name");
    manifest_says("{\"version\": 1, \"step\": 2, \"files\": [{\"name\": \"state.json\", "
                  "\"size\": -1, \"xxh3\": \"0123456789abcdef\"}]}",
                  "\"size\": expected");
    manifest_says("{\"version\": 1, \"step\": 2, \"files\": [{\"name\": \"state.json\", "
                  "\"size\": 9223372036854775807, \"xxh3\": \"0123456789abcdef\"}]}",
                  "expected 9223372036854775807 bytes");
    manifest_says("{\"version\": 1, \"step\": 2, \"files\": [{\"name\": \"state.json\", "
                  "\"size\": 1, \"xxh3\": \"0123456789abcdeF\"}]}",
                  "\"xxh3\": expected 16 digits");
}

/* A manifest that is right in all it lists, but lists no state. */
static void manifest_without_state(void)
{
    cm_error err = {0};
    json_t *manifest = NULL;
    fresh_with(1, 2, 5);
    if (!CHECK_OK(cm_json_load(in_dir("run/ckpt/00000002/manifest.json"), &manifest, &err), err))
        return;
    json_array_remove(json_object_get(manifest, "files"), CONTENT_FILES);
    CHECK(!json_dump_file(manifest, in_dir("run/ckpt/00000002/manifest.json"), 0), "cannot write");
    json_decref(manifest);
    expect(1, "expected state.json once, found 0");
}

static void incomplete(void)
{
    char path[1024];
    cm_error err = {0};
    fresh_with(1, 3, 5);
    CHECK(!truncate(in_dir("run/ckpt/00000003/model.safetensors"), 3000), "truncate");
    expect(2, "model.safetensors: expected 41"); /* 4 N + 4 + a header */
    CHECK(!remove(in_dir("run/ckpt/00000002/manifest.json")), "remove");
    expect(1, "00000002/manifest.json: cannot open");
    CHECK(!remove(in_dir("run/ckpt/00000001/state.json")), "remove");
    CHECK(cm_checkpoint_find(run(), CM_CKPT_RESUME, path, sizeof path, NULL, 0, &err) ==
              CM_ERR_FORMAT,
          "none is complete");
    has(&err, "00000003/model.safetensors");
    has(&err, "00000001/state.json");
}

/* ---- cleaning and pruning ----------------------------------------------- */

static void stale_removed(void)
{
    cm_error err = {0};
    char note[64];
    fresh_with(1, 1, 5);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(
            cm_make_dirs(in_dir(i ? "run/ckpt/.del-00000000" : "run/ckpt/.tmp-00000009-1"), &err),
            err);
        put(in_dir(i ? "run/ckpt/.del-00000000/state.json" : "run/ckpt/.tmp-00000009-1/.tmp-7-0"),
            "x", 1);
    }
    put(in_dir("outside"), "x", 1);
    CHECK(!symlink(in_dir("outside"), in_dir("run/ckpt/.tmp-latest")), "symlink");
    put(in_dir("run/ckpt/notes.txt"), "x", 1);
    CHECK(content_find(run(), CM_CKPT_LOOK, note, sizeof note, &err) == 1, "%s", err.message);
    CHECK(count_begin(in_dir("run/ckpt"), ".") == 5, "looking removed something");
    expect(1, NULL);
    CHECK(count_begin(in_dir("run/ckpt"), ".") == 2, "stale folders remain");
    CHECK(exists(in_dir("run/ckpt/notes.txt")) && exists(in_dir("outside")), "too much removed");
    remove(in_dir("outside"));
}

static void pruning(void)
{
    cm_error err = {0};
    fresh_with(1, 6, 3);
    CHECK(count_begin(in_dir("run/ckpt"), "0") == 3, "expected 3 to remain");
    CHECK(exists(in_dir("run/ckpt/00000004")) && exists(in_dir("run/ckpt/00000006")), "wrong ones");
    /* Incomplete ones do not count towards keep. */
    CHECK(!truncate(in_dir("run/ckpt/00000006/model.safetensors"), 1), "truncate");
    CHECK_OK(content_save(run(), 7, N, 10, 2, &err), err);
    CHECK(!exists(in_dir("run/ckpt/00000004")) && exists(in_dir("run/ckpt/00000005")), "keep 2");
    /* A damaged newer one must not push out the one just written. */
    CHECK_OK(content_save(run(), 20, N, 10, 2, &err), err);
    flip(in_dir("run/ckpt/00000020/model.safetensors"), 3000);
    CHECK_OK(content_save(run(), 8, N, 10, 1, &err), err);
    expect(8, "00000020");
    CHECK(count_begin(in_dir("run/ckpt"), "0") == 2, "8 and the damaged 20");
}

/* ---- lock and log ------------------------------------------------------- */

static void lock(void)
{
    cm_error err = {0};
    int fd = -1, second = -1;
    remove_tree(run(), 0);
    if (!CHECK_OK(cm_run_lock(run(), CM_LOCK_MAKE, &fd, &err), err))
        return;
    CHECK(cm_run_lock(run(), CM_LOCK_MAKE, &second, &err) == CM_ERR_IO && second == -1,
          "a second lock");
    has(&err, run());
    has(&err, "another process is training in this folder");
    cm_run_unlock(fd);
    const pid_t child = fork(); /* a dead owner holds nothing */
    if (child == 0)
        _exit(cm_run_lock(run(), CM_LOCK_MAKE, &fd, NULL) != CM_OK);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child could not lock");
    if (CHECK_OK(cm_run_lock(run(), CM_LOCK_MAKE, &fd, &err), err))
        cm_run_unlock(fd);
}

static void log_is(const char *wanted)
{
    char *text = NULL;
    size_t n = 0;
    cm_error err = {0};
    if (CHECK_OK(cm_file_read(in_dir("run/log.jsonl"), 1 << 20, (void **)&text, &n, &err), err))
        CHECK(!strcmp(text, wanted), "log \"%s\", expected \"%s\"", text, wanted);
    cm_free(text);
}

static void log_step(cm_runlog *log, int step, double loss)
{
    cm_error err = {0};
    json_t *line = json_pack("{s:i, s:f}", "step", step, "loss", loss);
    CHECK_OK(cm_runlog_line(log, line, &err), err);
    json_decref(line);
}

static cm_runlog *log_open(int64_t offset)
{
    cm_error err = {0};
    cm_runlog *log = NULL;
    CHECK_OK(cm_make_dirs(run(), &err), err);
    CHECK_OK(cm_runlog_open(run(), offset, &log, &err), err);
    return log;
}

static void log_resumes(void)
{
    remove_tree(run(), 0);
    cm_runlog *log = log_open(0);
    log_step(log, 1, 0.1);
    log_step(log, 2, (double)(1.0f / 3));
    const int64_t offset = cm_runlog_offset(log);
    log_step(log, 3, 1e-9);
    log_is("{\"step\":1,\"loss\":0.1}\n{\"step\":2,\"loss\":0.3333333433}\n"
           "{\"step\":3,\"loss\":1e-9}\n");
    cm_runlog_close(log);
    log = log_open(offset);
    CHECK(cm_runlog_offset(log) == offset, "offset %lld", (long long)cm_runlog_offset(log));
    log_step(log, 3, 2);
    log_is("{\"step\":1,\"loss\":0.1}\n{\"step\":2,\"loss\":0.3333333433}\n"
           "{\"step\":3,\"loss\":2.0}\n");
    cm_runlog_close(log);
    log = log_open(0);
    log_is("");
    cm_runlog_close(log);
}

/* A log that a power cut or a person shortened: whole lines stay, no half ones. */
static void log_shortened(void)
{
    char text[9002];
    put(in_dir("run/log.jsonl"), "{\"step\":1}\n{\"st", 15);
    cm_runlog *log = log_open(99);
    CHECK(cm_runlog_offset(log) == 11, "offset %lld", (long long)cm_runlog_offset(log));
    log_is("{\"step\":1}\n");
    cm_runlog_close(log);
    memset(text, 'x', sizeof text); /* a half line longer than one block */
    text[0] = '\n';
    put(in_dir("run/log.jsonl"), text, sizeof text);
    log = log_open(9001);
    log_is("\n");
    cm_runlog_close(log);
    remove(in_dir("run/log.jsonl"));
    log = log_open(99);
    log_is("");
    cm_runlog_close(log);
}

static void log_errors(void)
{
    cm_error err = {0};
    cm_runlog *log = NULL;
    remove_tree(run(), 0);
    CHECK(cm_runlog_open(run(), 0, &log, &err) == CM_ERR_IO && !log, "no folder");
    has(&err, "run/log.jsonl: cannot open");
    CHECK_OK(cm_make_dirs(in_dir("run/log.jsonl"), &err), err);
    CHECK(cm_runlog_open(run(), 0, &log, &err) == CM_ERR_IO && !log, "a folder");
    remove_tree(run(), 0);
    log = log_open(0);
    CHECK(cm_runlog_line(log, NULL, &err) == CM_ERR_MEMORY, "a line that could not be built");
    log_is("");
    cm_runlog_close(log);
    cm_runlog_close(NULL);
    remove_tree(run(), 0);
}

static const check_test tests[] = {
    {"checkpoint round trip", round_trip},
    {"checkpoint manifest content", manifest_content},
    {"checkpoint nothing there", nothing_there},
    {"checkpoint same step twice", same_step_twice},
    {"checkpoint corrupt byte", corrupt_byte},
    {"checkpoint corrupt manifest", corrupt_manifest},
    {"checkpoint hostile manifest", hostile_manifest},
    {"checkpoint manifest without state", manifest_without_state},
    {"checkpoint incomplete", incomplete},
    {"checkpoint stale folders removed", stale_removed},
    {"checkpoint pruning", pruning},
    {"run lock", lock},
    {"run log resumes", log_resumes},
    {"run log shortened", log_shortened},
    {"run log errors", log_errors},
};
SCRATCH_MAIN(tests)
