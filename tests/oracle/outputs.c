/* outputs.c - the log of a run and the model it exports */
#include "oracle.h"

#include "base/memory.h"
#include "check.h"
#include "report.h"
#include "weights.h"

/* ---- log.jsonl ----------------------------------------------------------- */

/* The curves of the golden, [steps] each. */
typedef struct curves {
    double *loss, *grad_norm, *lr, *scales, *mu;
} curves;

static double number_in(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* The line of the steps after step - every, up to step. */
static void check_line(const golden_run *r, const curves *c, const json_t *line, int64_t step,
                       int64_t every)
{
    const int64_t k = step - 1;
    double mean = 0.0;
    for (int64_t i = step - every; i < step; i++)
        mean += c->loss[i] / (double)every;
    const long long at = (long long)step;
    report_deviation(relative(number_in(line, "loss"), mean), run_tolerance(r, "loss", ""),
                     "loss of step %lld", at);
    report_deviation(relative(number_in(line, "grad_norm"), c->grad_norm[k]),
                     run_tolerance(r, "grad_norm", ""), "grad_norm of step %lld", at);
    report_deviation(relative(number_in(line, "lr"), c->lr[k]), 1e-6, "lr of step %lld", at);
    if (c->scales[k] == 0.0) /* edm has no grid */
        return;
    report_deviation(fabs(number_in(line, "scales") - c->scales[k]), 0.5, "scales of step %lld",
                     at);
    if (c->mu[k] >= 0.0) /* pd has no target */
        report_deviation(relative(number_in(line, "mu"), c->mu[k]), 1e-6, "mu of step %lld", at);
}

static void check_lines(const golden_run *r, const curves *c, char *text)
{
    const int64_t every = (int64_t)option_number(r->args, "log-every", 50);
    int64_t step = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *j = json_loads(line, 0, NULL);
        step += every;
        const int ok = CHECK(step <= r->steps && number_in(j, "step") == (double)step,
                             "log.jsonl: %s: expected step %lld", line, (long long)step);
        if (ok)
            check_line(r, c, j, step, every);
        json_decref(j);
        if (!ok)
            return;
    }
    CHECK(step + every > r->steps, "log.jsonl: ends at step %lld of %lld", (long long)step,
          (long long)r->steps);
}

void check_log(const golden_run *r)
{
    char *text = read_text(in_scratch("run/log.jsonl"));
    curves c = {run_tensor(r, "", "loss", r->steps), run_tensor(r, "", "grad_norm", r->steps),
                run_tensor(r, "", "lr", r->steps), run_tensor(r, "", "scales", r->steps),
                run_tensor(r, "", "mu", r->steps)};
    if (CHECK(text, "no log.jsonl"))
        check_lines(r, &c, text);
    free(text);
    cm_free(c.loss);
    cm_free(c.grad_norm);
    cm_free(c.lr);
    cm_free(c.scales);
    cm_free(c.mu);
}

/* ---- model.safetensors --------------------------------------------------- */

/* To nearest, ties to even; v is a float. */
static double round_to_bf16(double v)
{
    const float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16 << 16;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    return (double)rounded;
}

static int64_t count_wrong(const cm_st_file *average, const cm_st_file *out)
{
    int64_t wrong = 0, n = 0, m = 0;
    for (int i = 0; i < cm_st_count(average); i++) {
        const char *name = cm_st_at(average, i)->name;
        double *a = weights_read(average, name, &n), *b = weights_read(out, name, &m);
        wrong += !a || !b || n != m;
        for (int64_t k = 0; a && b && n == m && k < n; k++)
            wrong += round_to_bf16(a[k]) != b[k];
        cm_free(a);
        cm_free(b);
    }
    return wrong;
}

static void expect(const char *file, const json_t *model, const char *key, double want)
{
    const double got = number_in(model, key);
    CHECK(got == want, "%s: %s is %.10g, expected %.10g", file, key, got, want);
}

/* The levels of the grid that N(k) ends with (paper, algorithm 3 and appendix C: s1 + 1 where it
 * grows), which of pd are the ends of its N steps; in continuous time there is none. */
static double levels_of(const golden_run *r, const char *method)
{
    const int is_ct = !strcmp(method, "ct");
    if (strstr(method, "-continuous"))
        return 0;
    if (!strcmp(method, "pd"))
        return option_number(r->args, "end-scales", 1) + 1;
    return strcmp(option_of(r->args, "scale-mode", is_ct ? "progressive" : "fixed"), "fixed")
               ? option_number(r->args, "end-scales", 150) + 1
               : option_number(r->args, "start-scales", is_ct ? 2 : 18);
}

/* The model says what it was trained as: the schedule of the options, and the levels. */
static void check_metadata(const golden_run *r, const cm_st_file *f, const char *file)
{
    const char *text = cm_st_metadata(f, "model"), *method = option_of(r->args, "method", "edm");
    json_t *model = text ? json_loads(text, 0, NULL) : NULL;
    const int is_edm = !strcmp(method, "edm"), is_pd = !strcmp(method, "pd");
    const char *kind = is_edm || is_pd ? "edm" : option_of(r->args, "boundary", "skip");
    const char *said = json_string_value(json_object_get(model, "kind"));
    CHECK(said && !strcmp(said, kind), "%s: kind is %s, expected %s", file, said ? said : "missing",
          kind);
    expect(file, model, "sigma_min", option_number(r->args, "sigma-min", 0.002));
    expect(file, model, "sigma_max", option_number(r->args, "sigma-max", 80));
    expect(file, model, "sigma_data", option_number(r->args, "sigma-data", 0.5));
    expect(file, model, "rho", option_number(r->args, "rho", 7));
    if (!is_edm)
        expect(file, model, "scales", levels_of(r, method));
    if (is_pd)
        expect(file, model, "steps", levels_of(r, method) - 1.0);
    json_decref(model);
}

void check_export(const golden_run *r)
{
    cm_error err = {0};
    cm_st_file *average = NULL, *out = NULL;
    const double rate = strtod(option_of(r->args, "ema-rates", ""), NULL); /* the first */
    const char *path =
        in_scratch("run/ckpt/%08lld/ema_%.10g.safetensors", (long long)r->steps, rate);
    if (CHECK_OK(cm_st_open(path, &average, &err), err) &&
        CHECK_OK(cm_st_open(in_scratch("run/model.safetensors"), &out, &err), err)) {
        const int64_t wrong = count_wrong(average, out);
        CHECK(!wrong, "model.safetensors is not ema_%.10g in bf16: %lld elements differ", rate,
              (long long)wrong);
        check_metadata(r, average, "ema");
        check_metadata(r, out, "model.safetensors");
    }
    cm_st_close(average);
    cm_st_close(out);
}
