/* test_damage.c - a run that something happened to: a byte flipped, a file cut, emptied or
 * gone, in its newest checkpoint.  Resuming it takes a whole checkpoint, says which it
 * skipped, and ends with the weights of a run left alone; beginning anew is refused.  And a
 * reader beside a trainer that prunes never fails.  What someone put beside our files ends no
 * run and is not lost. */
#include "tiny_run.h"

#include "run/checkpoint.h"
#include "run/log.h"

/* ---- damage ------------------------------------------------------------------ */

typedef enum damage { FLIP_FIRST, FLIP_MIDDLE, FLIP_LAST, CUT, EMPTY, GONE, DAMAGES } damage;

static void do_damage(const char *path, damage kind)
{
    struct stat st;
    char byte = 0;
    if (!CHECK(!stat(path, &st) && st.st_size > 2, "no %s", path))
        return;
    if (kind <= FLIP_LAST) {
        const off_t at = kind == FLIP_FIRST    ? 0
                         : kind == FLIP_MIDDLE ? st.st_size / 2
                                               : st.st_size - 1;
        const int fd = open(path, O_RDWR);
        CHECK(pread(fd, &byte, 1, at) == 1, "read");
        byte = (char)(byte ^ 4);
        CHECK(pwrite(fd, &byte, 1, at) == 1, "write");
        close(fd);
    } else if (kind == CUT || kind == EMPTY) {
        CHECK(!truncate(path, kind == CUT ? st.st_size / 2 : 0), "truncate");
    } else {
        CHECK(!unlink(path), "unlink");
    }
}

static int64_t noted_step;
static char noted[1200];

static void note(void *user, const cm_train_progress *p)
{
    (void)user;
    if (p->event && !noted[0] && strstr(p->event, "skipped")) {
        noted_step = p->step;
        snprintf(noted, sizeof noted, "%s", p->event);
    }
}

static cm_status train(int64_t steps, int resume, cm_error *err)
{
    const cm_train_hooks hooks = {.size = sizeof hooks, .progress = note};
    cm_train_params p = tiny_params("ct", "run", steps);
    cm_status s = CM_OK;
    p.save_every = 2;
    p.keep = 3;
    snprintf(p.scale_mode, sizeof p.scale_mode, "fixed"); /* else N(k) asks how long it will be */
    snprintf(p.target_ema_mode, sizeof p.target_ema_mode, "fixed");
    noted[0] = '\0';
    if (resume)
        s = cm_options_read(cm_train_options(), &p, in_dir("run/config.json"), err);
    p.steps = steps;
    return s ? s : cm_train(&p, resume, &hooks, err);
}

/* The run of 4 steps, saved at 2 and 4, damaged in one file of the newest. */
static void one(const char *file, damage kind)
{
    char path[1200];
    cm_error err = {0};
    tiny_remove(in_dir("run"));
    CHECK_OK(train(4, 0, &err), err);
    snprintf(path, sizeof path, "%s/%s", in_dir("run/ckpt/00000004"), file);
    do_damage(path, kind);
    CHECK(train(4, 0, &err) == CM_ERR_ARGUMENT, "%s, %d: begun anew", file, (int)kind);
    CHECK_OK(train(6, 1, &err), err);
    /* A manifest accuses another file where the byte was in its hash. */
    const int named = strstr(noted, file) || !strcmp(file, "manifest.json");
    CHECK(noted_step == 2 && strstr(noted, "skipped 00000004: ") && named,
          "%s, %d: step %d, \"%s\"", file, (int)kind, (int)noted_step, noted);
    CHECK(tiny_same_checkpoint(in_dir("run"), in_dir("straight"), 6), "%s, %d: differs", file,
          (int)kind);
}

static void damaged_checkpoint(void)
{
    static const char *const files[] = {"model.safetensors",  "ema_0.9.safetensors",
                                        "target.safetensors", "optimizer.safetensors",
                                        "state.json",         "manifest.json"};
    cm_error err = {0};
    tiny_data();
    CHECK_OK(train(6, 0, &err), err);
    CHECK(!rename(in_dir("run"), in_dir("straight")), "rename");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int kind = 0; kind < DAMAGES && !check_failures; kind++)
            one(files[i], (damage)kind);
}

/* Both checkpoints: nothing to resume, and still no place for a new run. */
static void all_damaged(void)
{
    cm_error err = {0};
    tiny_remove(in_dir("run"));
    CHECK_OK(train(4, 0, &err), err);
    do_damage(in_dir("run/ckpt/00000004/model.safetensors"), FLIP_MIDDLE);
    do_damage(in_dir("run/ckpt/00000002/state.json"), EMPTY);
    CHECK(train(6, 1, &err) == CM_ERR_FORMAT, "resumed");
    has(&err, "00000004/model.safetensors: damaged");
    has(&err, "00000002/state.json");
    CHECK(train(6, 0, &err) == CM_ERR_ARGUMENT, "begun anew");
    has(&err, "holds a run already");
    CHECK(tiny_exists(in_dir("run/ckpt/00000004")) && tiny_exists(in_dir("run/ckpt/00000002")),
          "removed");
}

/* What is around the checkpoints is no reason to lose one. */
static void damaged_surroundings(void)
{
    cm_error err = {0};
    tiny_remove(in_dir("run"));
    CHECK_OK(train(4, 0, &err), err);
    CHECK(!unlink(in_dir("run/ckpt/latest")) && !symlink("/etc", in_dir("run/ckpt/latest")),
          "link");
    CHECK(!mkdir(in_dir("run/ckpt/99999999"), 0777), "mkdir");
    put(in_dir("run/ckpt/00000009"), "x", 1);
    put(in_dir("run/log.jsonl"), "\0\0\0\n\xff", 5);
    CHECK_OK(train(6, 1, &err), err);
    CHECK(tiny_same_checkpoint(in_dir("run"), in_dir("straight"), 6), "differs");
}

/* A folder, a link, a pipe and a text in a checkpoint, which is then replaced because it is
 * damaged, or pruned: they stay, the files of the checkpoint go, and later saves are made. */
static void put_guests(const char *step)
{
    char path[2048];
    static const char *const names[] = {"folder", "folder/inner", "notes", "pipe", "link"};
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", in_dir("run/ckpt"), step, names[i]);
        if (i == 0)
            CHECK(!mkdir(path, 0777), "mkdir");
        else if (i < 3)
            put(path, "mine", 4);
        else
            CHECK(!(i == 3 ? mkfifo(path, 0666) : symlink("/etc", path)), "%s", path);
    }
}

static void guests_are_kept(const char *kept)
{
    char path[2048];
    static const char *const names[] = {"folder/inner",      "notes",        "pipe", "link",
                                        "model.safetensors", "manifest.json"};
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", in_dir("run/ckpt"), kept, names[i]);
        CHECK(tiny_exists(path) == (i < 4), "%s", path);
    }
}

static void guests(void)
{
    cm_error err = {0};
    tiny_remove(in_dir("run"));
    CHECK_OK(train(4, 0, &err), err);
    put_guests("00000002");
    put_guests("00000004");
    do_damage(in_dir("run/ckpt/00000004/state.json"), CUT);
    CHECK(!unlink(in_dir("run/ckpt/latest")) && !mkdir(in_dir("run/ckpt/latest"), 0777), "latest");
    put(in_dir("run/ckpt/00000001"), "mine", 4);
    put(in_dir("run/ckpt/kept-00000002"), "mine", 4);
    CHECK(!mkdir(in_dir("run/ckpt/.tmp-00000004-1"), 0777) &&
              !mkdir(in_dir("run/ckpt/.tmp-00000004-1/folder"), 0777),
          "mkdir");
    CHECK_OK(train(10, 1, &err), err);
    CHECK(tiny_newest(in_dir("run")) == 10, "step %d", (int)tiny_newest(in_dir("run")));
    CHECK(tiny_same_checkpoint(in_dir("run"), in_dir("straight"), 6), "differs");
    guests_are_kept("kept-00000004");
    guests_are_kept("kept-00000002-1");
    CHECK(tiny_exists(in_dir("run/ckpt/kept-00000001")) &&
              tiny_exists(in_dir("run/ckpt/kept-00000002")) &&
              tiny_exists(in_dir("run/ckpt/kept-00000004-1/folder")),
          "lost");
    CHECK(!tiny_exists(in_dir("run/ckpt/00000002")) && !tiny_exists(in_dir("run/ckpt/00000004")) &&
              !tiny_exists(in_dir("run/ckpt/00000001")),
          "not pruned");
    tiny_remove(in_dir("run"));
    CHECK_OK(train(4, 0, &err), err); /* for the next test */
}

/* ---- a reader beside a writer ------------------------------------------------- */

/* Save the tensors of a checkpoint over and over as later steps, keeping one. */
static void save_for_ever(void)
{
    enum { MOST = 256 };
    static cm_st_entry entry[2][MOST];
    static const char *const names[] = {"model.safetensors", "ema_0.9.safetensors"};
    static const char *const keys[] = {"config", "model"};
    cm_ckpt_file files[2];
    const char *values[2][2];
    for (int k = 0; k < 2; k++) {
        char path[1200];
        cm_st_file *f = NULL;
        snprintf(path, sizeof path, "%s/%s", in_dir("straight/ckpt/00000006"), names[k]);
        if (cm_st_open(path, &f, NULL) || cm_st_count(f) > MOST)
            _exit(1);
        for (int i = 0; i < cm_st_count(f); i++) {
            const cm_st_tensor *t = cm_st_at(f, i);
            void *data = cm_alloc(t->bytes);
            entry[k][i] = (cm_st_entry){t->name, t->dtype, t->rank, {0}, data};
            memcpy(entry[k][i].dim, t->dim, sizeof t->dim);
            if (cm_st_read(f, t, data, NULL))
                _exit(1);
        }
        for (int i = 0; i < 2; i++)
            values[k][i] = cm_st_metadata(f, keys[i]);
        files[k] = (cm_ckpt_file){names[k], cm_st_count(f), entry[k], NULL, 2, keys, values[k]};
    }
    for (int64_t step = 7;; step++)
        if (cm_checkpoint_write(in_dir("run"), step, 2, files, json_object(), 1, NULL))
            _exit(2);
}

static void reader_beside_writer(void)
{
    enum { READS = 1000 };
    int status = 0, failed = 0, noted_reads = 0;
    cm_error err = {0};
    fflush(stdout);
    tiny_remove(in_dir("run/ckpt/99999999"));
    tiny_remove(in_dir("run/ckpt/00000009"));
    const pid_t child = fork();
    if (child == 0)
        save_for_ever();
    const int64_t first = tiny_newest(in_dir("run"));
    for (int i = 0; i < READS; i++) {
        cm_model *model = NULL;
        char *text = NULL;
        const cm_status s = i % 10 ? cm_model_open(in_dir("run"), &model, &err)
                                   : cm_describe(in_dir("run"), &text, &err);
        failed += s != CM_OK;
        CHECK(s == CM_OK || failed > 3, "read %d: %s", i, err.message);
        noted_reads += text && strstr(text, "\nnote ");
        cm_model_free(model);
        cm_string_free(text);
    }
    const int64_t last = tiny_newest(in_dir("run"));
    CHECK(!waitpid(child, &status, WNOHANG), "the writer stopped: %d", WEXITSTATUS(status));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    CHECK(!noted_reads, "%d descriptions speak of damage", noted_reads);
    CHECK(last - first > 100, "only %d checkpoints in between", (int)(last - first));
    printf("    %d reads beside %d checkpoints, of which one is kept: %d failed\n", READS,
           (int)(last - first), failed);
    for (int i = 0; i < 2; i++)
        tiny_remove(in_dir(i ? "straight" : "run"));
}

static const check_test tests[] = {
    {"damaged checkpoint", damaged_checkpoint},
    {"all checkpoints damaged", all_damaged},
    {"damaged surroundings", damaged_surroundings},
    {"what is not ours in a checkpoint", guests},
    {"a reader beside a writer that prunes", reader_beside_writer},
};
SCRATCH_MAIN(tests)
