/* test_kills.c - a training killed (SIGKILL) at random moments and resumed loses nothing and
 * changes nothing: after every kill the run's newest checkpoint is at least the last one that
 * was reported as saved, and its weights, averages, target, teacher and moments are byte for byte
 * those of a run that was left alone; of progressive distillation also where a stage ends, which
 * is at steps that are saved, and the models of its stages.
 *
 * usage: test_kills [KILLS]; the default is a short form for the suite */
#include "tiny_run.h"

#include "base/clock.h"

#include <time.h>

enum { STEPS = 60, SAVE_EVERY = 4 };

static int kills_wanted = 24;

typedef struct campaign {
    const char *method;
    unsigned short seed[3];
    double range;  /* seconds within which a kill comes */
    int64_t saved; /* the last step that was reported */
    int kills, runs, staged, early;
} campaign;

/* ---- the trainer, in a process of its own --------------------------------- */

static void report(void *user, const cm_train_progress *p)
{
    const int *pipe_end = user;
    if (p->event && !strncmp(p->event, "saved ", 6) &&
        write(*pipe_end, &p->step, sizeof p->step) != sizeof p->step)
        _exit(3);
}

static void train_and_exit(const char *method, const char *name, int64_t keep, int resume,
                           int pipe_end)
{
    cm_train_params p = tiny_params(method, name, STEPS);
    const cm_train_hooks hooks = {.size = sizeof hooks, .progress = report, .user = &pipe_end};
    cm_error err = {0};
    char config[1100];
    p.save_every = SAVE_EVERY;
    if (!strcmp(method, "pd"))
        p.start_scales = 4; /* stages end at steps 12 and 36 */
    p.keep = keep;
    snprintf(config, sizeof config, "%s/config.json", in_dir(name));
    if ((resume && cm_options_read(cm_train_options(), &p, config, &err)) ||
        cm_train(&p, resume, &hooks, &err)) {
        printf("    %s: %s\n", name, err.message);
        fflush(stdout);
        _exit(1);
    }
    _exit(0);
}

/* Start it, wait until it ends or for so many seconds, then kill it; non-zero: it was
 * killed.  The steps it reported raise *saved. */
static int train(const char *method, const char *name, int64_t keep, int resume, double seconds,
                 int64_t *saved)
{
    int pipes[2], status = 0;
    int64_t step;
    CHECK(!pipe(pipes), "pipe");
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        train_and_exit(method, name, keep, resume, pipes[1]);
    close(pipes[1]);
    const double end = cm_seconds() + seconds;
    const struct timespec nap = {0, 200000};
    while (cm_seconds() < end && waitpid(child, &status, WNOHANG) == 0)
        nanosleep(&nap, NULL);
    if (kill(child, SIGKILL) == 0)
        waitpid(child, &status, 0);
    while (read(pipes[0], &step, sizeof step) == sizeof step)
        *saved = step;
    close(pipes[0]);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "the trainer failed");
    return WIFSIGNALED(status);
}

/* ---- after a kill ---------------------------------------------------------- */

static int is_staged(const char *run)
{
    char ckpt[1100];
    int n = 0;
    snprintf(ckpt, sizeof ckpt, "%s/ckpt", run);
    for (int i = 0; i < 2; i++) {
        DIR *d = opendir(i ? ckpt : run);
        for (struct dirent *e; d && (e = readdir(d));)
            n += !strncmp(e->d_name, ".tmp-", 5) || !strncmp(e->d_name, ".del-", 5);
        if (d)
            closedir(d);
    }
    return n > 0;
}

/* The run can be opened, has what was saved, and equals the one left alone. */
static void examine(campaign *c)
{
    cm_error err = {0};
    cm_model *model = NULL;
    const int64_t step = tiny_newest(in_dir("killed"));
    CHECK(step >= c->saved, "%s: lost: step %lld was saved, %lld is there", c->method,
          (long long)c->saved, (long long)step);
    c->staged += is_staged(in_dir("killed"));
    if (step < 0) {
        c->early++;
        return;
    }
    CHECK_OK(cm_model_open(in_dir("killed"), &model, &err), err);
    cm_model_free(model);
    CHECK(tiny_same_checkpoint(in_dir("killed"), in_dir("straight"), step),
          "%s: kill %d: step %lld differs from the run left alone", c->method, c->kills,
          (long long)step);
}

static void finish(campaign *c)
{
    const int resume = tiny_newest(in_dir("killed")) >= 0;
    CHECK(!train(c->method, "killed", 2, resume, 600.0, &c->saved) &&
              tiny_newest(in_dir("killed")) == STEPS,
          "%s: it does not end", c->method);
    CHECK(tiny_same_checkpoint(in_dir("killed"), in_dir("straight"), STEPS), "%s: the last step",
          c->method);
    CHECK(
        tiny_same_tensors(in_dir("killed/model.safetensors"), in_dir("straight/model.safetensors")),
        "%s: the exported model differs", c->method);
    for (int i = 0; i < 2 && !strcmp(c->method, "pd"); i++) {
        char straight[1100];
        snprintf(straight, sizeof straight, "%s",
                 in_dir(i ? "straight/stages/2-steps.safetensors"
                          : "straight/stages/4-steps.safetensors"));
        CHECK(tiny_same_tensors(straight, in_dir(i ? "killed/stages/2-steps.safetensors"
                                                   : "killed/stages/4-steps.safetensors")),
              "pd: stage %d", i);
    }
    CHECK(!is_staged(in_dir("killed")), "%s: half-written files remain", c->method);
    tiny_remove(in_dir("killed"));
    c->saved = -1;
    c->runs++;
}

/* Kill runs until there were enough kills; each goes on till it is done. */
static void campaign_of(const char *method, unsigned short seed)
{
    campaign c = {.method = method, .seed = {seed, 2, 3}, .saved = -1};
    int64_t saved = -1;
    const double start = cm_seconds();
    CHECK(!train(method, "straight", 1000, 0, 600.0, &saved) && saved == STEPS, "%s: straight",
          method);
    c.range = 0.6 * (cm_seconds() - start); /* kills also hit set-up and end */
    while (c.kills < kills_wanted / 4 && !check_failures) {
        const int resume = tiny_newest(in_dir("killed")) >= 0;
        if (train(method, "killed", 2, resume, c.range * erand48(c.seed), &c.saved)) {
            c.kills++;
            examine(&c);
        } else if (!check_failures) {
            finish(&c);
        }
    }
    if (!check_failures)
        finish(&c);
    printf(
        "    %s: %d kills over %d runs, %d of them in a write, %d before the first checkpoint%s\n",
        method, c.kills, c.runs, c.staged, c.early, check_failures ? "" : ": 0 lost, 0 different");
    if (strcmp(method, "edm") != 0)
        tiny_remove(in_dir("straight"));
    else
        CHECK(!rename(in_dir("straight"), in_dir("teacher")), "rename");
}

static void edm(void)
{
    tiny_data();
    campaign_of("edm", 1);
}

static void cd(void)
{
    campaign_of("cd", 2);
}

static void pd(void)
{
    campaign_of("pd", 4);
}

static void ct(void)
{
    campaign_of("ct", 3);
    tiny_remove(in_dir("teacher"));
}

static const check_test tests[] = {
    {"killed and resumed: edm", edm},
    {"killed and resumed: cd", cd},
    {"killed and resumed: pd", pd},
    {"killed and resumed: ct", ct},
};

int main(int argc, char **argv)
{
    if (argc > 1)
        kills_wanted = atoi(argv[1]);
    return scratch_main(tests, sizeof tests / sizeof *tests);
}
