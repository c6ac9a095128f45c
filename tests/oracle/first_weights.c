/* first_weights.c - what a seed makes of a network: the values of the golden, and by
 * themselves zeros, ones, bounds, moments, and nothing in common between two seeds */
#include "oracle.h"

#include "base/memory.h"
#include "check.h"
#include "report.h"
#include "weights.h"

/* Elements that are uniform in [-1, 1) once scaled, or normal, of two seeds. */
typedef struct sample {
    double *a, *b;
    int64_t n;
} sample;

static const char *owner_of(const char *name, const char *field)
{
    static char owner[512];
    const char *dot = strrchr(name, '.');
    const int length = dot ? (int)(dot - name) : 0;
    snprintf(owner, sizeof owner, "%.*s.%s", length, name, field);
    return owner;
}

static double largest_from(const double *w, int64_t n, double from)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(w[i] - from));
    return most;
}

static void moments(const double *w, int64_t n, double *mean, double *square)
{
    *mean = *square = 0.0;
    for (int64_t i = 0; i < n; i++) {
        *mean += w[i] / (double)n;
        *square += w[i] * w[i] / (double)n;
    }
}

static void keep(sample *s, const double *a, const double *b, int64_t n, double scale)
{
    for (int64_t i = 0; i < n; i++) {
        s->a[s->n] = a[i] / scale;
        s->b[s->n++] = b[i] / scale;
    }
}

/* Bounds are of five standard deviations of what is estimated. */
static void check_random(const char *name, double bound, const double *w, int64_t n)
{
    double mean, square;
    moments(w, n, &mean, &square);
    report_deviation(fmax(0.0, largest_from(w, n, 0.0) / bound - 1.0), 1e-6,
                     "init %s beyond its bound", name);
    report_deviation(fabs(square / (bound * bound / 3.0) - 1.0), 5.0 * sqrt(0.8 / (double)n),
                     "init %s: second moment", name);
    report_deviation(fabs(mean) / bound, 5.0 * sqrt(1.0 / 3.0 / (double)n), "init %s: mean", name);
}

static void check_tensor(const cm_st_file *f, const char *name, const double *a, const double *b,
                         int64_t n, sample *s)
{
    const cm_st_tensor *weight = cm_st_find(f, owner_of(name, "weight"));
    double mean, square;
    if (!CHECK(weight, "%s: no weight beside it", name))
        return;
    if (strstr(name, "out_layers.3.") || strstr(name, "proj_out.") || strstr(name, "out.2.")) {
        report_deviation(largest_from(a, n, 0.0), 1e-30, "init %s is 0", name);
    } else if (weight->rank == 1) {
        const int one = !strcmp(strrchr(name, '.'), ".weight");
        report_deviation(largest_from(a, n, one), 1e-30, "init %s is %d", name, one);
    } else if (!strcmp(name, "label_emb.weight")) {
        moments(a, n, &mean, &square);
        report_deviation(fabs(sqrt(square - mean * mean) - 1.0), 5.0 / sqrt(2.0 * (double)n),
                         "init %s: deviation from 1", name);
        keep(s, a, b, n, 1.0);
    } else {
        const double bound = 1.0 / sqrt((double)cm_st_elements(weight) / (double)weight->dim[0]);
        check_random(name, bound, a, n);
        keep(s, a, b, n, bound);
    }
}

static double correlation(const double *a, const double *b, int64_t n)
{
    double ma, mb, unused, ab = 0.0, aa = 0.0, bb = 0.0;
    moments(a, n, &ma, &unused);
    moments(b, n, &mb, &unused);
    for (int64_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return fabs(ab) / sqrt(aa * bb);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_sample(sample *s)
{
    const double allowed = 5.0 / sqrt((double)s->n);
    report_deviation(correlation(s->a, s->b, s->n), allowed, "init of two seeds: correlation");
    report_deviation(correlation(s->a + 1, s->a, s->n - 1), allowed,
                     "init: correlation of neighbours");
    int64_t equal = 0;
    qsort(s->a, (size_t)s->n, sizeof *s->a, by_value);
    for (int64_t i = 1; i < s->n; i++)
        equal += (float)s->a[i] == (float)s->a[i - 1];
    report_deviation((double)equal / (double)(s->n - 1), 0.2, "init: equal values");
}

static void check_by_themselves(const golden_run *r, const cm_st_file *f, const cm_st_file *other)
{
    int64_t room = 0, n = 0, m = 0;
    for (int i = 0; i < cm_st_count(f); i++)
        room += cm_st_elements(cm_st_at(f, i));
    sample s = {cm_alloc_array((size_t)room, sizeof(double)),
                cm_alloc_array((size_t)room, sizeof(double)), 0};
    for (size_t i = 0; i < json_array_size(r->names); i++) {
        const char *name = json_string_value(json_array_get(r->names, i));
        double *a = weights_read(f, name, &n), *b = weights_read(other, name, &m);
        if (a && b && CHECK(n == m, "%s: another shape with another seed", name))
            check_tensor(f, name, a, b, n, &s);
        cm_free(a);
        cm_free(b);
    }
    check_sample(&s);
    cm_free(s.a);
    cm_free(s.b);
}

void check_first_weights(const golden_run *r)
{
    char path[2][1024];
    cm_st_file *f[2] = {NULL, NULL};
    cm_error err = {0};
    const int64_t seed = (int64_t)option_number(r->args, "seed", 1);
    for (int i = 0; i < 2; i++) { /* one step at rate 0 leaves them as they are */
        if (!command_works("train %s --steps 1 --lr 0 --no-lr-decay --out init%d --seed %lld",
                           r->args, i, (long long)(seed + i)))
            return;
        snprintf(path[i], sizeof path[i], "%s",
                 in_scratch("init%d/ckpt/00000001/model.safetensors", i));
    }
    const weights_test test = {
        .label = "init", .tolerance = 1e-5, .pooled = 1e-5, .floor = 1.0, .ignore_null = 1};
    weights_check(r, &test, path[0]);
    if (CHECK_OK(cm_st_open(path[0], &f[0], &err), err) &&
        CHECK_OK(cm_st_open(path[1], &f[1], &err), err))
        check_by_themselves(r, f[0], f[1]);
    cm_st_close(f[0]);
    cm_st_close(f[1]);
}
