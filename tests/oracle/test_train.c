/* test_train.c - whole runs of `cm train` against those of an independent
 * implementation: losses, gradient norms, rates, N and mu of each step, and the
 * weights, averages and targets after the last (tests/golden/data/train/README.md).
 *
 * usage: test_train CM FOLDER [RUN...] */
#include "oracle.h"

#include "base/memory.h"
#include "check.h"
#include "formula_model.h"
#include "report.h"
#include "weights.h"

#include <limits.h>
#include <unistd.h>

enum { MAX_RUNS = 64 };

static char folder[PATH_MAX];
static json_t *runs;
static const char *names[MAX_RUNS]; /* of the runs to replay */
static int now;

/* ---- replay -------------------------------------------------------------- */

static int prepare(const json_t *list)
{
    size_t i;
    json_t *step;
    json_array_foreach(list, i, step)
    {
        const char *args = json_string_value(json_object_get(step, "args")),
                   *salt = json_string_value(json_object_get(step, "salt"));
        if (!command_works("train %s", args))
            return 0;
        if (salt)
            formula_model_write(
                in_scratch("%s/ckpt/00000001/model.safetensors", option_of(args, "out", "")), salt,
                in_scratch("%s", json_string_value(json_object_get(step, "file"))));
    }
    return 1;
}

static int replay(const golden_run *r)
{
    if (symlink(folder, in_scratch("golden")) || symlink("golden/data", in_scratch("data")))
        return CHECK(0, "cannot link the data");
    if (!prepare(r->prepare) || !command_works("train %s", r->args))
        return 0;
    if (r->drop) { /* as if it had been killed: only checkpoints up to this step are left */
        for (int64_t step = r->drop + 1; step <= r->steps; step++)
            remove_tree(in_scratch("run/ckpt/%08lld", (long long)step));
        remove_tree(in_scratch("run/model.safetensors"));
    }
    return !r->resume || command_works("train %s", r->resume);
}

/* ---- comparison ---------------------------------------------------------- */

static void check_weights(const golden_run *r)
{
    size_t i;
    json_t *group;
    double *lr = run_tensor(r, "", "lr", r->steps);
    weights_test t = {.floor = 3e-4};
    for (int64_t k = 0; k < r->steps; k++)
        t.rate_sum += lr[k];
    cm_free(lr);
    json_array_foreach(r->groups, i, group)
    {
        t.label = json_string_value(group);
        if (!strcmp(t.label, "init"))
            continue;
        t.tolerance = run_tolerance(r, t.label, "");
        t.pooled = run_tolerance(r, t.label, "(pooled)");
        weights_check(r, &t,
                      in_scratch("run/ckpt/%08lld/%s.safetensors", (long long)r->steps, t.label));
    }
}

static void replay_next(void)
{
    const char *name = names[now++];
    const json_t *spec = json_object_get(runs, name);
    if (!CHECK(spec, "runs.json: no run %s", name))
        return;
    golden_run r = run_open(folder, name, spec);
    scratch_clear();
    report_begin();
    if (replay(&r)) {
        check_log(&r);
        check_weights(&r);
        check_export(&r);
        if (cm_st_find(r.gold, "init.stat"))
            check_first_weights(&r);
        report_end();
    }
    run_close(&r);
}

int main(int argc, char **argv)
{
    check_test tests[MAX_RUNS];
    size_t n = 0;
    const char *name;
    json_t *spec;
    if (argc < 3 || !realpath(argv[2], folder)) {
        printf("usage: test_train CM FOLDER [RUN...]\n");
        return EXIT_FAILURE;
    }
    runs = runs_read(folder);
    for (int i = 3; i < argc && n < MAX_RUNS; i++)
        names[n++] = argv[i];
    if (argc == 3)
        json_object_foreach(runs, name, spec)
        {
            (void)spec;
            if (n < MAX_RUNS)
                names[n++] = name;
        }
    for (size_t i = 0; i < n; i++)
        tests[i] = (check_test){names[i], replay_next};
    command_start(argv[1]);
    const int status = check_main(tests, n);
    command_end();
    json_decref(runs);
    return status;
}
