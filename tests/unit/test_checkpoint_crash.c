/* test_checkpoint_crash.c - whatever happens while a checkpoint is written, a
 * complete one is found afterwards: killed at random times, killed at every system
 * call, each call failing, a full disk, an unwritable folder; and a power cut, for
 * which the order of fsync and rename is checked.
 *
 * The library's calls that change files land in the functions below, which count
 * them and can strike; they do the real work through sister calls. */
#include "checkpoint_content.h"

#include "base/clock.h"
#include "io/file.h"
#include "run/log.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static const char *run(void)
{
    return in_dir("run");
}

/* ---- what a power cut would lose ---------------------------------------- */

/* Files and folders with changes that are not on the disk yet, and what was renamed
 * too early.  On while watching. */
static struct {
    int on, renames, n, early;
    char path[64][512], first[2048];
} unsynced;

static int is_in(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    return !strncmp(path, folder, n) && (path[n] == '/' || !path[n]);
}

static void mark(const char *path)
{
    for (int i = 0; i < unsynced.n; i++)
        if (!strcmp(unsynced.path[i], path))
            return;
    if (unsynced.n < 64)
        snprintf(unsynced.path[unsynced.n++], sizeof unsynced.path[0], "%s", path);
}

static void mark_folder_of(const char *path)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    mark(folder);
}

static void unmark(const char *path)
{
    for (int i = 0; i < unsynced.n; i++)
        if (!strcmp(unsynced.path[i], path))
            memcpy(unsynced.path[i--], unsynced.path[--unsynced.n], sizeof unsynced.path[0]);
}

static void expect_synced(const char *path, const char *before)
{
    for (int i = 0; i < unsynced.n; i++)
        if (is_in(unsynced.path[i], path) && !unsynced.early++)
            snprintf(unsynced.first, sizeof unsynced.first, "%s before %s", unsynced.path[i],
                     before);
}

static const char *path_of(int fd)
{
    static char path[512];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return path;
}

/* ---- the calls ---------------------------------------------------------- */

enum { PASS, KILL, FAIL_ONCE, FAIL_ON };
static int strike_mode, strike_at, sync_off;

static int strikes(void)
{
    if (strike_mode == PASS || strike_at == 0 || --strike_at > 0)
        return 0;
    if (strike_mode == KILL)
        _exit(99);
    if (strike_mode == FAIL_ON)
        strike_at = 1;
    errno = EIO;
    return 1;
}

int fsync(int fd)
{
    if (strikes())
        return -1;
    if (unsynced.on)
        unmark(path_of(fd));
    return sync_off ? 0 : (int)syscall(SYS_fsync, fd);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    struct iovec v = {NULL, n / 2};
    memcpy(&v.iov_base, &data, sizeof data);   /* it takes no const */
    if (strike_mode == KILL && strike_at == 1) /* die half way */
        (void)!pwritev(fd, &v, 1, at);
    if (strikes())
        return -1;
    if (unsynced.on)
        mark(path_of(fd));
    v.iov_len = n;
    return pwritev(fd, &v, 1, at);
}

int rename(const char *from, const char *to)
{
    if (strikes())
        return -1;
    if (unsynced.on) {
        /* What gets a name must be on the disk; so must the new checkpoint before the
         * link moves to it and an older one goes. */
        const int after = strstr(to, "/.del-") || strstr(to, "/latest");
        expect_synced(after ? in_dir("run/ckpt") : from, to);
        unsynced.renames++;
        mark_folder_of(to);
    }
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int mkdir(const char *path, mode_t mode)
{
    /* Failing on a folder that is there is what mkdir does anyway. */
    return !exists(path) && strikes() ? -1 : mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int folder, const char *path, int flags)
{
    return strikes() ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int symlink(const char *to, const char *path)
{
    return strikes() ? -1 : symlinkat(to, AT_FDCWD, path);
}

/* ---- tests -------------------------------------------------------------- */

enum { N = 3000 };

/* Steps 1 and 2, and perhaps a damaged 3. */
static void two_checkpoints(int damaged)
{
    cm_error err = {0};
    empty_run(run());
    for (int64_t step = 1; step <= 2 + damaged; step++)
        CHECK_OK(content_save(run(), step, N, 10, 3, &err), err);
    if (damaged)
        CHECK(!truncate(in_dir("run/ckpt/00000003/model.safetensors"), 999), "truncate");
}

static int64_t find(cm_ckpt_access use)
{
    cm_error err = {0};
    const int64_t step = content_find(run(), use, NULL, 0, &err);
    CHECK(step > 0, "no checkpoint: %s", err.message);
    return step;
}

static int hidden(void)
{
    return count_begin(in_dir("run/ckpt"), ".") - 2;
}

/* Step 3 can be written now, and leaves nothing hidden. */
static void recovers(const char *after, int n)
{
    cm_error err = {0};
    CHECK_OK(content_save(run(), 3, N, 10, 2, &err), err);
    CHECK(find(CM_CKPT_RESUME) == 3 && !hidden(), "%s %d", after, n);
    CHECK(count_begin(in_dir("run/ckpt"), "0") == 2, "%s %d: pruning", after, n);
}

/* Write step 3 in a child that dies at its n-th call; non-zero while it did. */
static int killed_at(int n)
{
    int status = -1;
    const pid_t child = fork();
    if (child == 0) {
        strike_mode = KILL;
        strike_at = n;
        _exit(content_save(run(), 3, N, 10, 2, NULL) != CM_OK);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status), "waitpid");
    CHECK(WEXITSTATUS(status) != 1, "the child could not write");
    return WEXITSTATUS(status) == 99;
}

static void kill_everywhere(int damaged)
{
    int n = 1, older = 0, newer = 0, more = 1;
    for (; more && n < 1000 && !check_failures; n++) {
        two_checkpoints(damaged);
        more = killed_at(n);
        const int64_t step = find(CM_CKPT_LOOK);
        CHECK(step == 3 || (step == 2 && !newer), "call %d: step %d", n, (int)step);
        step == 3 ? newer++ : older++;
        CHECK(find(CM_CKPT_RESUME) == step && !hidden(), "call %d: resume", n);
        recovers("killed at call", n);
    }
    CHECK(older > 15 && newer > 5 && !more, "%d before and %d after the rename", older, newer);
}

static void killed_at_every_call(void)
{
    sync_off = 1;
    kill_everywhere(0);
    kill_everywhere(1);
    sync_off = 0;
}

/* What must hold after writing step 3 over 1 and 2 ended with s. */
static void nothing_lost(int n, cm_status s, int mode, const cm_error *err)
{
    const int64_t step = find(CM_CKPT_LOOK);
    if (s == CM_OK || strstr(err->message, "is saved, but"))
        CHECK(step == 3, "call %d: lost: %s", n, err->message);
    else
        CHECK(exists(in_dir("run/ckpt/00000001")) && exists(in_dir("run/ckpt/00000002")),
              "call %d: pruned too early: %s", n, err->message);
    if (s) {
        has(err, in_dir("run"));
        has(err, strerror(EIO));
    }
    if (mode == FAIL_ONCE && step == 2)
        CHECK(!hidden(), "call %d: temporary folder left: %s", n, err->message);
}

static void fail_everywhere(int mode)
{
    int n = 1, more = 1;
    for (; more && n < 1000 && !check_failures; n++) {
        cm_error err = {0};
        two_checkpoints(0);
        strike_mode = mode;
        strike_at = n;
        const cm_status s = content_save(run(), 3, N, 10, 2, &err);
        more = mode == FAIL_ON ? s != CM_OK : strike_at == 0;
        strike_mode = PASS;
        CHECK(s == (more ? CM_ERR_IO : CM_OK), "call %d: status %d: %s", n, (int)s, err.message);
        nothing_lost(n, s, mode, &err);
        recovers("failed at call", n);
    }
    CHECK(n > 30 && !more, "only %d calls", n);
}

static void every_call_fails(void)
{
    sync_off = 1;
    fail_everywhere(FAIL_ONCE);
    fail_everywhere(FAIL_ON);
    sync_off = 0;
}

static void synced_in_order(void)
{
    char real[512];
    cm_error err = {0};
    if (access("/proc/self/fd", X_OK))
        CHECK_SKIP("no /proc/self/fd to name open files by");
    CHECK(realpath(scratch_dir, real) != NULL, "realpath");
    memcpy(scratch_dir, real, sizeof scratch_dir);
    two_checkpoints(0);
    memset(&unsynced, 0, sizeof unsynced);
    unsynced.on = 1;
    CHECK_OK(content_save(run(), 3, N, 10, 2, &err), err);
    unsynced.on = 0;
    /* Tensor files, state, manifest; the checkpoint, the link, the removal of step 1. */
    CHECK(unsynced.renames == CONTENT_FILES + 2 + 3, "%d renames", unsynced.renames);
    CHECK(!unsynced.early, "not on the disk: %s", unsynced.first);
}

/* ---- random kills ------------------------------------------------------- */

enum { KILLS = 80, BIG = 40000 };

static void save_for_ever(int64_t step, int report)
{
    for (;; step++)
        if (content_save(run(), step, BIG, 1000, 2, NULL) != CM_OK ||
            write(report, &step, sizeof step) != sizeof step)
            _exit(1);
}

/* Kill a writer after so many seconds; the last step it reported as saved. */
static int64_t kill_after(double seconds, int64_t first)
{
    int64_t step, last = first - 1;
    int pipes[2], status;
    const long ns = (long)(seconds * 1e9);
    const struct timespec delay = {ns / 1000000000, ns % 1000000000};
    CHECK(!pipe(pipes), "pipe");
    const pid_t child = fork();
    if (child == 0)
        save_for_ever(first, pipes[1]);
    close(pipes[1]);
    nanosleep(&delay, NULL);
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "the writer stopped itself");
    while (read(pipes[0], &step, sizeof step) == sizeof step)
        last = step;
    close(pipes[0]);
    return last;
}

static void killed_at_random(void)
{
    unsigned short seed[3] = {1, 2, 3};
    cm_error err = {0};
    int mid_write = 0;
    empty_run(run());
    const double start = cm_seconds();
    for (int64_t step = 1; step <= 3; step++)
        CHECK_OK(content_save(run(), step, BIG, 1000, 2, &err), err);
    double range = cm_seconds() - start; /* up to three saves */
    if (range > 0.2)
        range = 0.2; /* a slow disk: most kills then hit the first save */
    int64_t step = 3;
    /* Beside other work few kills may find a write; then more are tried. */
    int kills = 0;
    for (; (kills < KILLS || (mid_write < KILLS / 5 && kills < 10 * KILLS)) && !check_failures;
         kills++) {
        const int64_t saved = kill_after(range * erand48(seed), step + 1);
        mid_write += hidden() > 0;
        step = find(CM_CKPT_RESUME);
        CHECK(step >= saved && step <= saved + 1, "kill %d: found %lld, saved %lld", kills,
              (long long)step, (long long)saved);
        CHECK(!hidden(), "kill %d: stale folders", kills);
    }
    CHECK(mid_write >= KILLS / 5, "only %d of %d kills hit a write", mid_write, kills);
}

/* ---- the disk says no --------------------------------------------------- */

/* Write step 3 in a child after prepare(); it must fail with a message that says so. */
static void refused(void (*prepare)(void), size_t n, size_t pad, const char *file, const char *why)
{
    int status = -1;
    two_checkpoints(0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        cm_error err = {0};
        prepare();
        const cm_status s = content_save(run(), 3, n, pad, 1, &err);
        const int good = s == CM_ERR_IO && strstr(err.message, file) && strstr(err.message, why);
        if (!good && write(1, err.message, strlen(err.message)) < 0)
            _exit(2);
        _exit(!good);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "%s: wrong message", file);
    CHECK(!chmod(in_dir("run/ckpt"), 0755), "chmod");
    CHECK(!hidden(), "%s: temporary folder left", file);
    CHECK(exists(in_dir("run/ckpt/00000001")), "%s: pruned", file);
    CHECK(find(CM_CKPT_LOOK) == 2, "%s: lost", file);
}

static void limit(rlim_t bytes)
{
    const struct rlimit most = {bytes, bytes};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &most))
        _exit(3);
}

static void limit_large(void)
{
    limit(65536);
}

static void limit_small(void)
{
    limit(300);
}

static void disk_full(void)
{
    refused(limit_large, BIG, 10, "model.safetensors: cannot ", "(needs 160");
    refused(limit_large, 10, 70000, "state.json: cannot ", "bytes)");
    refused(limit_small, 1, 10, "manifest.json: cannot ", "bytes)");
}

/* A line that only half fits is taken back; the next one, which fits, follows. */
static void log_disk_full(void)
{
    static const char wanted[] = "{\"step\":1}\n{\"step\":3}\n";
    int status = -1;
    size_t n = 0;
    char *text = NULL;
    cm_error err = {0};
    empty_run(run());
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        cm_runlog *log;
        limit(30);
        int bad = cm_runlog_open(run(), 0, &log, &err) != CM_OK;
        bad = bad || cm_runlog_line(log, json_pack("{s:i}", "step", 1), &err);
        bad = bad || cm_runlog_line(log, json_pack("{s:s}", "text", "longer than 30 bytes"),
                                    &err) != CM_ERR_IO;
        bad =
            bad || !strstr(err.message, "log.jsonl: cannot write: ") || cm_runlog_offset(log) != 11;
        _exit(bad || cm_runlog_line(log, json_pack("{s:i}", "step", 3), &err));
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child saw something else");
    CHECK_OK(cm_file_read(in_dir("run/log.jsonl"), 999, (void **)&text, &n, &err), err);
    CHECK(text && !strcmp(text, wanted), "log %s", text);
    cm_free(text);
}

static void make_unwritable(void)
{
    /* Root may write anywhere: become nobody. */
    if (chmod(scratch_dir, 0755) || chmod(in_dir("run/ckpt"), 0555) ||
        (geteuid() == 0 && setuid(65534)))
        _exit(3);
}

static void unwritable(void)
{
    refused(make_unwritable, 10, 10, "run/ckpt/.tmp-00000003-", strerror(EACCES));
}

static void clean_up(void)
{
    remove_tree(run(), 0);
}

static const check_test tests[] = {
    {"checkpoint killed at every call", killed_at_every_call},
    {"checkpoint every call fails", every_call_fails},
    {"checkpoint synced in order", synced_in_order},
    {"checkpoint killed at random", killed_at_random},
    {"checkpoint disk full", disk_full},
    {"run log disk full", log_disk_full},
    {"checkpoint unwritable folder", unwritable},
    {"checkpoint folder removed", clean_up},
};
SCRATCH_MAIN(tests)
