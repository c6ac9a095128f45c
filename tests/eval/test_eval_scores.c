/* test_eval_scores.c - the scores of src/eval/ against SciPy's numbers, closed forms, and the
 * definitions written down plainly in double precision */
#include "base/philox.h"
#include "eval/class_score.h"
#include "eval/frechet.h"
#include "eval/kid.h"
#include "eval/neighbours.h"
#include "golden.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

static cm_linear linear;

/* rows [n,d] of N(offset, scale^2) */
static float *normal_rows(int64_t n, int64_t d, uint64_t seed, float offset, float scale)
{
    float *x = cm_alloc_array((size_t)(n * d + 4), sizeof *x);
    for (int64_t i = 0; i < n * d; i += 4) {
        float z[4];
        cm_normal4(cm_philox(seed, (uint32_t)(i / 4), 0, 0, 0), z);
        for (int k = 0; k < 4; k++)
            x[i + k] = offset + scale * z[k];
    }
    return x;
}

/* ---- statistics and the Frechet distance ---- */

static cm_statistics statistics_of(const double *values, int64_t n, int d)
{
    cm_error err = {0};
    cm_moments *m = NULL;
    cm_statistics s = {0};
    float *row = cm_alloc_array((size_t)d, sizeof *row);
    CHECK_OK(cm_moments_new(&linear, d, &m, &err), err);
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < d; j++)
            row[j] = (float)values[i * d + j];
        cm_moments_add(m, 1, row);
    }
    CHECK_OK(cm_moments_finish(m, &s, &err), err);
    cm_moments_free(m);
    cm_free(row);
    return s;
}

/* In double all the way, as the golden was made. */
static cm_statistics exact_statistics(const double *x, int64_t n, int64_t d)
{
    cm_statistics s = {.n = n, .d = d};
    s.mean = cm_alloc_array((size_t)d, sizeof(double));
    s.covariance = cm_alloc_array((size_t)(d * d), sizeof(double));
    for (int64_t i = 0; i < n * d; i++)
        s.mean[i % d] += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t a = 0; a < d; a++)
            for (int64_t b = 0; b < d; b++)
                s.covariance[a * d + b] +=
                    (x[i * d + a] - s.mean[a]) * (x[i * d + b] - s.mean[b]) / (double)(n - 1);
    return s;
}

static double distance_of(const cm_statistics *a, const cm_statistics *b)
{
    cm_error err = {0};
    double d = NAN;
    CHECK_OK(cm_frechet(&linear, a, "a", b, "b", &d, &err), err);
    return d;
}

static void relative(double got, double want, double tolerance)
{
    CHECK(fabs(got - want) <= tolerance * fabs(want), "found %.12g, expected %.12g", got, want);
}

static void test_golden(void)
{
    enum { D = 64 };
    cm_st_file *f = golden_open("frechet.safetensors");
    size_t n[3], one;
    const char *const names[] = {"a", "b", "c"};
    cm_statistics s[3], streamed[3];
    for (int i = 0; i < 3; i++) {
        double *x = golden_read(f, names[i], &n[i]);
        s[i] = exact_statistics(x, (int64_t)n[i] / D, D);
        streamed[i] = statistics_of(x, (int64_t)n[i] / D, D);
        for (int k = 0; k < D * D; k++)
            CHECK_CLOSE(streamed[i].covariance[k], s[i].covariance[k], 1e-6);
        for (int k = 0; k < D; k++)
            CHECK_CLOSE(streamed[i].mean[k], s[i].mean[k], 1e-6);
        cm_free(x);
    }
    double *ab = golden_read(f, "fd_ab", &one), *bc = golden_read(f, "fd_bc", &one);
    double *aa = golden_read(f, "fd_aa", &one);
    relative(distance_of(&s[0], &s[1]), *ab, 1e-6);
    relative(distance_of(&s[1], &s[2]), *bc, 1e-6);
    relative(distance_of(&streamed[0], &streamed[1]), *ab, 1e-6);
    relative(distance_of(&streamed[1], &streamed[2]), *bc, 1e-6);
    CHECK(distance_of(&s[0], &s[0]) < 1e-10, "of equal sets: %g (SciPy: %g)",
          distance_of(&s[0], &s[0]), *aa);
    CHECK(distance_of(&s[2], &s[2]) < 1e-10, "of equal sets: %g", distance_of(&s[2], &s[2]));
    cm_free(ab);
    cm_free(bc);
    cm_free(aa);
    for (int i = 0; i < 3; i++) {
        cm_statistics_clear(&s[i]);
        cm_statistics_clear(&streamed[i]);
    }
    cm_st_close(f);
}

/* Commuting matrices: sum (mu - nu)^2 + (sqrt a - sqrt b)^2, also where a or b are zero. */
static void test_closed_form(void)
{
    enum { D = 5 };
    const double a[D] = {1, 4, 9, 0, 1e-12}, b[D] = {16, 4, 0, 0, 4}, apart[D] = {1, -2, 0, 3, 0};
    double mean[2][D] = {{0}}, matrix[2][D * D] = {{0}}, expected = 0;
    for (int i = 0; i < D; i++) {
        mean[1][i] = apart[i];
        /* turned by a reflection H = 1 - 2 v v^T, v = (1,1,1,1,1)/sqrt 5 */
        for (int r = 0; r < D; r++)
            for (int c = 0; c < D; c++) {
                const double h = ((r == i) - 2.0 / D) * ((c == i) - 2.0 / D);
                matrix[0][r * D + c] += a[i] * h;
                matrix[1][r * D + c] += b[i] * h;
            }
        expected += apart[i] * apart[i] + pow(sqrt(a[i]) - sqrt(b[i]), 2);
    }
    const cm_statistics s = {0, D, mean[0], matrix[0]}, t = {0, D, mean[1], matrix[1]};
    relative(distance_of(&s, &t), expected, 1e-6);
    relative(distance_of(&t, &s), expected, 1e-6);
}

static void test_not_a_covariance(void)
{
    cm_error err = {0};
    double mean[2] = {0}, good[4] = {1, 0, 0, 1}, bad[4] = {1, 2, 2, 1}, d = 0, more[3] = {0};
    double large[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const cm_statistics s = {0, 2, mean, good}, t = {0, 2, mean, bad}, u = {0, 3, more, large};
    CHECK(cm_frechet(&linear, &s, "good.npz", &t, "bad.npz", &d, &err) == CM_ERR_FORMAT &&
              strstr(err.message, "bad.npz: sigma"),
          "%s", err.message);
    CHECK(cm_frechet(&linear, &s, "good.npz", &u, "u.npz", &d, &err) == CM_ERR_ARGUMENT, "%s",
          err.message);
}

/* The same bits by one worker and by three, and blocks that are not full. */
static void test_workers(void)
{
    enum { N = 1300, D = 300 };
    cm_error err = {0};
    cm_linear other = {0};
    cm_moments *m[2] = {NULL};
    cm_statistics s[2];
    float *x = normal_rows(N, D, 5, 100, 1); /* far from 0: sums of squares would cancel */
    CHECK_OK(cm_linear_open(3, &other, &err), err);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(cm_moments_new(i ? &other : &linear, D, &m[i], &err), err);
        cm_moments_add(m[i], i ? N : 700, x);
        cm_moments_add(m[i], i ? 0 : N - 700, x + (size_t)700 * D);
        CHECK_OK(cm_moments_finish(m[i], &s[i], &err), err);
        cm_moments_free(m[i]);
    }
    CHECK(!memcmp(s[0].covariance, s[1].covariance, sizeof(double) * D * D), "other bits");
    double exact = 0, mean[2] = {0};
    for (int64_t i = 0; i < N; i++) {
        mean[0] += (double)x[i * D + 7] / N;
        mean[1] += (double)x[i * D + 290] / N;
    }
    for (int64_t i = 0; i < N; i++)
        exact += ((double)x[i * D + 7] - mean[0]) * ((double)x[i * D + 290] - mean[1]) / (N - 1);
    CHECK(fabs(exact - s[0].covariance[7 * D + 290]) < 1e-13, "%g, expected %g",
          s[0].covariance[7 * D + 290], exact);
    cm_statistics_clear(&s[0]);
    cm_statistics_clear(&s[1]);
    cm_linear_close(&other);
    cm_free(x);
}

/* Whether the outer product of rows is as a loop computes it. */
static int is_outer(const cm_linear *l)
{
    enum { ROWS = 40, SIDE = 200 };
    static double x[ROWS * SIDE], c[SIDE * SIDE];
    int wrong = 0;
    memset(c, 0, sizeof c);
    for (int i = 0; i < ROWS * SIDE; i++)
        x[i] = (i * 7919 % 101) / 64.0; /* exact in products and sums */
    cm_linear_add_outer(l, SIDE, ROWS, x, c);
    for (int a = 0; a < SIDE; a++)
        for (int b = a; b < SIDE; b++) {
            double sum = 0;
            for (int i = 0; i < ROWS; i++)
                sum += x[i * SIDE + a] * x[i * SIDE + b];
            wrong |= c[a * SIDE + b] != sum;
        }
    return !wrong;
}

/* Nobody sees its names, its threads or that it was there; a child of a fork computes too. */
static void test_in_private(void)
{
    cm_error err = {0};
    cm_linear other;
    void *seen = dlopen(NULL, RTLD_NOW);
    CHECK(seen && !dlsym(seen, "cblas_dgemm") && !dlsym(seen, "dgesdd_"), "its names are seen");
    dlclose(seen);
    for (int i = 0; i < 20; i++) {
        CHECK_OK(cm_linear_open(2, &other, &err), err);
        if (!i) {
            CHECK(is_outer(&other), "before the fork");
            const pid_t child = fork();
            if (!child)
                _exit(is_outer(&other) ? 0 : 1);
            int status = -1;
            waitpid(child, &status, 0);
            CHECK(status == 0, "in the child: status %d", status);
            CHECK(is_outer(&other), "after the fork");
        }
        cm_linear_close(&other);
    }
}

static void test_few(void)
{
    cm_error err = {0};
    cm_moments *m = NULL;
    cm_statistics s;
    const float row[2] = {1, NAN};
    CHECK_OK(cm_moments_new(&linear, 2, &m, &err), err);
    cm_moments_add(m, 1, row);
    CHECK(cm_moments_finish(m, &s, &err) == CM_ERR_ARGUMENT, "%s", err.message);
    cm_moments_add(m, 1, row);
    CHECK(cm_moments_finish(m, &s, &err) == CM_ERR_NUMERIC, "%s", err.message);
    cm_moments_free(m);
}

/* ---- the Inception score ---- */

static void test_inception_score(void)
{
    enum { N = 5100, C = 7 };
    cm_error err = {0};
    cm_class_score score;
    float *x = normal_rows(N, C, 9, 0, 3);
    double expected = 0;
    for (int first = 0; first < N; first += CM_CLASS_SCORE_SPLIT) {
        static double p[N][C];
        double q[C] = {0}, kl = 0;
        const int n = N - first < CM_CLASS_SCORE_SPLIT ? N - first : CM_CLASS_SCORE_SPLIT;
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int k = 0; k < C; k++)
                sum += p[i][k] = exp((double)x[(first + i) * C + k]);
            for (int k = 0; k < C; k++)
                q[k] += (p[i][k] /= sum) / n;
        }
        for (int i = 0; i < n; i++)
            for (int k = 0; k < C; k++)
                kl += p[i][k] * (log(p[i][k]) - log(q[k])) / n;
        expected += exp(kl) / 2;
    }
    CHECK_OK(cm_class_score_start(&score, C, &err), err);
    cm_class_score_add(&score, 17, x);
    cm_class_score_add(&score, N - 17, x + (size_t)17 * C);
    relative(cm_class_score_finish(&score), expected, 1e-12);
    cm_class_score_clear(&score);
    cm_free(x);
}

/* Sure and even: as many as there are classes.  All alike: 1. */
static void test_inception_extremes(void)
{
    cm_error err = {0};
    cm_class_score score;
    CHECK_OK(cm_class_score_start(&score, 4, &err), err);
    CHECK(isnan(cm_class_score_finish(&score)), "of no image");
    for (int i = 0; i < 400; i++) {
        float logits[4] = {-1000, -1000, -1000, -1000};
        logits[i % 4] = 1000;
        cm_class_score_add(&score, 1, logits);
    }
    relative(cm_class_score_finish(&score), 4, 1e-12);
    cm_class_score_clear(&score);
    CHECK_OK(cm_class_score_start(&score, 4, &err), err);
    cm_class_score_add(&score, 1, (const float[]){1, 2, 3, 4});
    cm_class_score_add(&score, 1, (const float[]){1, 2, 3, 4});
    relative(cm_class_score_finish(&score), 1, 1e-12);
    cm_class_score_clear(&score);
}

/* ---- what compares images in pairs ---- */

enum { N = 1500, M = 1100, D = 9 }; /* more than a tile, less than two */

typedef struct sets {
    cm_feature_set x, y;
    float *raw_x, *raw_y;
    cm_neighbours near_x, near_y;
    cm_overlap overlap;
    cm_kid kid;
} sets;

static void compare(sets *s, int threads)
{
    cm_error err = {0};
    cm_products *p = NULL;
    double centre[D];
    for (int k = 0; k < D; k++)
        centre[k] = 5;
    CHECK_OK(cm_feature_set_add(&s->x, D, 1000, s->raw_x, &err), err);
    CHECK_OK(cm_feature_set_add(&s->x, D, N - 1000, s->raw_x + (size_t)1000 * D, &err), err);
    CHECK_OK(cm_feature_set_add(&s->y, D, M, s->raw_y, &err), err);
    CHECK_OK(cm_feature_set_centre(&s->x, centre, &err), err);
    CHECK_OK(cm_feature_set_centre(&s->y, centre, &err), err);
    CHECK_OK(cm_products_new(D, threads, &p, &err), err);
    CHECK_OK(cm_neighbours_start(&s->near_x, N, &err), err);
    CHECK_OK(cm_neighbours_start(&s->near_y, M, &err), err);
    CHECK_OK(cm_kid_start(&s->kid, N, M, 3, &err), err);
    const cm_tile_visitor of_x[] = {
        {cm_neighbours_visit, &s->near_x}, {cm_kid_visit_real, &s->kid}, {0}};
    const cm_tile_visitor of_y[] = {
        {cm_neighbours_visit, &s->near_y}, {cm_kid_visit_samples, &s->kid}, {0}};
    CHECK_OK(cm_products_each(p, &s->x, &s->x, of_x, NULL, NULL, &err), err);
    CHECK_OK(cm_products_each(p, &s->y, &s->y, of_y, NULL, NULL, &err), err);
    CHECK_OK(cm_overlap_start(&s->overlap, &s->near_x, &s->near_y, &err), err);
    const cm_tile_visitor both[] = {
        {cm_overlap_visit, &s->overlap}, {cm_kid_visit_both, &s->kid}, {0}};
    CHECK_OK(cm_products_each(p, &s->x, &s->y, both, NULL, NULL, &err), err);
    cm_products_free(p);
}

static sets sets_new(int threads)
{
    sets s = {.raw_x = normal_rows(N, D, 1, 5, 1), .raw_y = normal_rows(M, D, 2, 5.2f, 0.8f)};
    compare(&s, threads);
    return s;
}

static void sets_free(sets *s)
{
    cm_feature_set_clear(&s->x);
    cm_feature_set_clear(&s->y);
    cm_neighbours_clear(&s->near_x);
    cm_neighbours_clear(&s->near_y);
    cm_overlap_clear(&s->overlap);
    cm_kid_clear(&s->kid);
    cm_free(s->raw_x);
    cm_free(s->raw_y);
}

static double d2(const float *a, const float *b)
{
    double sum = 0;
    for (int k = 0; k < D; k++)
        sum += pow((double)a[k] - (double)b[k], 2);
    return sum;
}

static int smaller(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The k-th smallest distance from row i to the others of its set, squared. */
static double kth(const float *x, int n, int i, int k)
{
    static double all[N];
    int count = 0;
    for (int j = 0; j < n; j++)
        if (j != i)
            all[count++] = d2(x + (size_t)i * D, x + (size_t)j * D);
    qsort(all, (size_t)count, sizeof *all, smaller);
    return all[k - 1];
}

static cm_overlap_scores plain_overlap(const sets *s)
{
    static double x3[N], x5[N], y3[M];
    static char precise[M], recalled[N], covered[N];
    double inside = 0;
    cm_overlap_scores r = {0};
    for (int i = 0; i < N; i++) {
        x3[i] = kth(s->raw_x, N, i, 3);
        x5[i] = kth(s->raw_x, N, i, 5);
    }
    for (int j = 0; j < M; j++)
        y3[j] = kth(s->raw_y, M, j, 3);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            const double d = d2(s->raw_x + (size_t)i * D, s->raw_y + (size_t)j * D);
            precise[j] |= d <= x3[i];
            recalled[i] |= d <= y3[j];
            covered[i] |= d < x5[i];
            inside += d < x5[i];
        }
    for (int i = 0; i < N; i++) {
        r.recall += recalled[i] / (double)N;
        r.coverage += covered[i] / (double)N;
    }
    for (int j = 0; j < M; j++)
        r.precision += precise[j] / (double)M;
    r.density = inside / (5.0 * M);
    return r;
}

static void test_overlap(void)
{
    sets s = sets_new(2);
    const cm_overlap_scores got = cm_overlap_finish(&s.overlap), want = plain_overlap(&s);
    /* A pair in a million lies on the edge of a ball to single precision. */
    CHECK(fabs(got.precision - want.precision) <= 1.5 / M, "precision %g, expected %g",
          got.precision, want.precision);
    CHECK(fabs(got.recall - want.recall) <= 1.5 / N, "recall %g, expected %g", got.recall,
          want.recall);
    CHECK(fabs(got.density - want.density) <= 2e-4, "density %g, expected %g", got.density,
          want.density);
    CHECK(fabs(got.coverage - want.coverage) <= 1.5 / N, "coverage %g, expected %g", got.coverage,
          want.coverage);
    for (int i = 0; i < N; i += 97)
        CHECK_CLOSE(s.near_x.distance2[i * CM_NEIGHBOURS + 2], kth(s.raw_x, N, i, 3), 1e-5);
    sets_free(&s);
}

/* The estimate by its formula, over the members drawn. */
static double plain_kernel(const float *a, const float *b)
{
    double dot = 0;
    for (int k = 0; k < D; k++)
        dot += (double)a[k] * (double)b[k];
    return pow(dot / D + 1, 3);
}

static double plain_kid(const sets *s, int subset)
{
    const int64_t m = s->kid.size, *x = s->kid.real + subset * m, *y = s->kid.own + subset * m;
    double same = 0, across = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++) {
            if (i != j)
                same += plain_kernel(s->raw_x + x[i] * D, s->raw_x + x[j] * D) +
                        plain_kernel(s->raw_y + y[i] * D, s->raw_y + y[j] * D);
            across += plain_kernel(s->raw_x + x[i] * D, s->raw_y + y[j] * D);
        }
    return same / (double)(m * (m - 1)) - 2 * across / (double)(m * m);
}

static void test_kid(void)
{
    sets s = sets_new(1);
    const double m = (double)s.kid.size;
    double mean, deviation, sum = 0;
    CHECK(s.kid.size == CM_KID_SIZE, "size %lld", (long long)s.kid.size);
    for (int k = 0; k < CM_KID_SUBSETS; k += 33) {
        const double got = s.kid.same[k] / (m * (m - 1)) - 2 * s.kid.across[k] / (m * m);
        relative(got, plain_kid(&s, k), 1e-5);
    }
    for (int k = 0; k < CM_KID_SUBSETS; k++) {
        int64_t *x = s.kid.real + k * s.kid.size;
        for (int64_t i = 1; i < s.kid.size; i++)
            CHECK(x[i] > x[i - 1], "drawn twice");
        sum += s.kid.same[k] / (m * (m - 1)) - 2 * s.kid.across[k] / (m * m);
    }
    cm_kid_finish(&s.kid, &mean, &deviation);
    relative(mean, sum / CM_KID_SUBSETS, 1e-12);
    CHECK(deviation > 0, "deviation %g", deviation);
    sets_free(&s);
}

/* One worker or three: the same. */
static void test_pair_workers(void)
{
    sets s = sets_new(1), t = sets_new(3);
    const cm_overlap_scores a = cm_overlap_finish(&s.overlap), b = cm_overlap_finish(&t.overlap);
    CHECK(!memcmp(&a, &b, sizeof a), "precision and recall depend on the threads");
    CHECK(!memcmp(s.kid.same, t.kid.same, sizeof s.kid.same) &&
              !memcmp(s.kid.across, t.kid.across, sizeof s.kid.across),
          "KID depends on the threads");
    sets_free(&s);
    sets_free(&t);
}

/* A sample that is a copy of a real image: it is found, at distance 0. */
static void test_nearest(void)
{
    enum { T = 2100, Q = 30 };
    cm_error err = {0};
    cm_feature_set train = {0}, query = {0};
    cm_products *p = NULL;
    cm_neighbours nn;
    float *x = normal_rows(T, D, 4, 50, 1), *q = normal_rows(Q, D, 6, 50, 1);
    double centre[D];
    for (int k = 0; k < D; k++) {
        centre[k] = 50;
        q[7 * D + k] = x[2000 * D + k];
    }
    CHECK_OK(cm_feature_set_add(&train, D, T, x, &err), err);
    CHECK_OK(cm_feature_set_add(&query, D, Q, q, &err), err);
    CHECK_OK(cm_feature_set_centre(&train, centre, &err), err);
    CHECK_OK(cm_feature_set_centre(&query, centre, &err), err);
    CHECK_OK(cm_products_new(D, 2, &p, &err), err);
    CHECK_OK(cm_neighbours_start(&nn, Q, &err), err);
    const cm_tile_visitor visitors[] = {{cm_neighbours_visit, &nn}, {0}};
    CHECK_OK(cm_products_each(p, &query, &train, visitors, NULL, NULL, &err), err);
    cm_neighbours_refine(&nn, &query, &train);
    CHECK(nn.index[7 * CM_NEIGHBOURS] == 2000 && nn.distance2[7 * CM_NEIGHBOURS] == 0,
          "image %lld at %g", (long long)nn.index[7 * CM_NEIGHBOURS],
          nn.distance2[7 * CM_NEIGHBOURS]);
    for (int i = 0; i < Q; i++) {
        double least = HUGE_VAL;
        for (int j = 0; j < T; j++)
            least = fmin(least, d2(q + (size_t)i * D, x + (size_t)j * D));
        CHECK(fabs(nn.distance2[i * CM_NEIGHBOURS] - least) < 1e-5, "image %d: %g, expected %g", i,
              nn.distance2[i * CM_NEIGHBOURS], least);
    }
    cm_neighbours_clear(&nn);
    cm_products_free(p);
    cm_feature_set_clear(&train);
    cm_feature_set_clear(&query);
    cm_free(x);
    cm_free(q);
}

int main(void)
{
    static const check_test tests[] = {
        {"frechet: the golden of SciPy", test_golden},
        {"frechet: matrices that commute", test_closed_form},
        {"frechet: what is no covariance is refused", test_not_a_covariance},
        {"statistics: the same bits by any number of workers", test_workers},
        {"linear: in private, again and again, after a fork", test_in_private},
        {"statistics: too few images, not a number", test_few},
        {"inception score: its formula", test_inception_score},
        {"inception score: its extremes", test_inception_extremes},
        {"precision, recall, density, coverage: their definitions", test_overlap},
        {"kid: its formula", test_kid},
        {"pairs: the same by any number of workers", test_pair_workers},
        {"nearest: a copy is found", test_nearest},
    };
    cm_error err = {0};
    if (cm_linear_open(1, &linear, &err)) {
        printf("FAIL %s\n", err.message);
        return EXIT_FAILURE;
    }
    const int status = check_main(tests, sizeof tests / sizeof *tests);
    cm_linear_close(&linear);
    return status;
}
