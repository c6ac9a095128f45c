/* weights.c - sets of weights against the compact form in which a golden holds them:
 * for each tensor its sum, its norm, a random projection, the first 16 elements, and
 * all elements of a few small ones. */
#include "weights.h"

#include "base/memory.h"
#include "check.h"
#include "formula.h"
#include "report.h"

enum { FIRST = 16 };

static int ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* Elements whose gradient may not vanish but for rounding: of the biases of attention
 * those of the queries.  A constant added to all keys has no effect, and one added to
 * all values may have none. */
static int64_t alive(const char *name, int64_t n)
{
    return ends_with(name, "qkv.bias") ? n / 3 : n;
}

double *weights_read(const cm_st_file *f, const char *name, int64_t *n)
{
    cm_error err = {0};
    const cm_st_tensor *t = cm_st_find(f, name);
    if (!CHECK(t, "%s: no tensor %s", cm_st_path(f), name))
        return NULL;
    *n = cm_st_elements(t);
    double *w = cm_alloc_array((size_t)*n, sizeof *w);
    if (w && !cm_st_read_f64(f, t, w, &err))
        return w;
    CHECK(0, "%s: %s", name, err.message);
    cm_free(w);
    return NULL;
}

/* Sum, norm and projection. */
static void statistics(const char *name, const double *w, int64_t n, double stat[3])
{
    char key[512];
    snprintf(key, sizeof key, "proj:%s", name);
    const uint32_t seed = formula_seed(key);
    double sum = 0.0, squares = 0.0, projection = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += w[i];
        squares += w[i] * w[i];
        projection += formula_at(seed, i) * w[i];
    }
    stat[0] = sum;
    stat[1] = sqrt(squares);
    stat[2] = projection;
}

/* What the golden says of one tensor. */
typedef struct expected {
    const char *label, *name;
    const double *stat, *first; /* [3], [16] */
    double moved;
    int null; /* no gradient but for rounding */
} expected;

/* The root mean square of the difference, where all elements are in the golden. */
static double deviation_of_all(const golden_run *r, const expected *e, const double *w, int64_t n)
{
    char what[512];
    double squares = 0.0;
    snprintf(what, sizeof what, "full.%s", e->name);
    double *full = run_tensor(r, e->label, what, -1);
    for (int64_t i = 0; full && i < n; i++)
        squares += (w[i] - full[i]) * (w[i] - full[i]);
    cm_free(full);
    return full ? sqrt(squares / (double)n) : 0.0;
}

/* The worst of the deviations, in units of `scale` for an element. */
static double deviation(const golden_run *r, const expected *e, const double *w, int64_t all,
                        double scale)
{
    const int64_t n = alive(e->name, all);
    const double root = sqrt((double)n);
    double mine[3], squares = 0.0;
    for (int i = 0; i < FIRST; i++) {
        const double d = (i < all ? w[i] : 0.0) - e->first[i];
        squares += d * d;
    }
    statistics(e->name, w, n, mine);
    double worst = sqrt(squares / (double)(n < FIRST ? n : FIRST)) / scale;
    worst = fmax(worst, fabs(mine[0] - e->stat[0]) / (root * scale));
    worst = fmax(worst, fabs(mine[1] - e->stat[1]) / (root * scale));
    worst = fmax(worst, fabs(mine[2] - e->stat[2]) / (root * scale * sqrt(1.0 / 3.0)));
    worst = fmax(worst, deviation_of_all(r, e, w, all) / scale);
    for (int i = 0; i < 3; i++) /* fmax forgets a NaN */
        if (isnan(mine[i]))
            return mine[i];
    return worst;
}

/* Adam makes full steps of a gradient that is only rounding. */
static void check_null(const expected *e, const weights_test *t, const double *w, int64_t n)
{
    double most = 0.0;
    for (int i = 0; i < FIRST; i++)
        most = fmax(most, fabs((i < n ? w[i] : 0.0) - e->first[i]));
    report_deviation(most / (2.0 * t->rate_sum + 1e-6), 1.0, "%s %s (no gradient)", e->label,
                     e->name);
}

typedef struct pool {
    double squares, weight;
} pool;

static void check_tensor(const golden_run *r, const expected *e, const weights_test *t,
                         const double *w, int64_t all, pool *p)
{
    if (e->null && !t->ignore_null) {
        check_null(e, t, w, all);
        return;
    }
    const double n = (double)alive(e->name, all);
    double scale = hypot(e->moved / sqrt(n), t->floor * e->stat[1] / sqrt(n));
    scale = scale > 0.0 ? scale : 1e-7;
    const double d = deviation(r, e, w, all, scale);
    report_deviation(d, t->tolerance, "%s %s", e->label, e->name);
    p->squares += n * scale * scale * d * d;
    p->weight += n * scale * scale;
}

void weights_check(const golden_run *r, const weights_test *t, const char *path)
{
    cm_error err = {0};
    cm_st_file *f = NULL;
    if (!CHECK(!cm_st_open(path, &f, &err), "%s", err.message))
        return;
    const int n = (int)json_array_size(r->names);
    double *stat = run_tensor(r, t->label, "stat", 3 * n),
           *first = run_tensor(r, t->label, "first", FIRST * n),
           *moved = run_tensor(r, t->label, "moved", n), *null = run_tensor(r, "", "null", n);
    pool p = {0};
    CHECK(cm_st_count(f) == n, "%s: %d tensors, expected %d", path, cm_st_count(f), n);
    for (int i = 0; i < n; i++) {
        const expected e = {t->label,     json_string_value(json_array_get(r->names, (size_t)i)),
                            stat + 3 * i, first + FIRST * i,
                            moved[i],     null[i] != 0.0};
        int64_t elements = 0;
        double *w = weights_read(f, e.name, &elements);
        if (w)
            check_tensor(r, &e, t, w, elements, &p);
        cm_free(w);
    }
    report_deviation(sqrt(p.squares / p.weight), t->pooled, "%s(pooled) all tensors", t->label);
    cm_free(stat);
    cm_free(first);
    cm_free(moved);
    cm_free(null);
    cm_st_close(f);
}
