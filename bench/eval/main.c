/* main.c - how long the scores take once the features are there
 *
 *     bench_eval [IMAGES FEATURES THREADS [PREFIX]]
 *
 * Two sets of 10,000 images with 2,048 features, made up: correlated, not negative, of falling
 * variance, as those of Inception are.  PREFIX: statistics are written to PREFIXa.npz and
 * PREFIXb.npz, to compare the distance with another program's. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/philox.h"
#include "base/threads.h"
#include "eval/class_score.h"
#include "eval/frechet.h"
#include "eval/kid.h"
#include "eval/neighbours.h"
#include "io/npz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { CLASSES = 1008 };

typedef struct set {
    float *rows, *logits;
    cm_statistics statistics;
    cm_feature_set kept;
    cm_neighbours near;
} set;

typedef struct bench {
    int64_t n, d;
    int threads;
    cm_linear linear;
    set set[2];
    double began, processor;
    cm_error err;
} bench;

static double processor_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void lap(bench *b, const char *what)
{
    printf("%-28s %7.2f s   %7.2f s of processor\n", what, cm_seconds() - b->began,
           processor_seconds() - b->processor);
    fflush(stdout);
    b->began = cm_seconds();
    b->processor = processor_seconds();
}

static void need(bench *b, cm_status s)
{
    if (!s)
        return;
    fprintf(stderr, "bench_eval: %s\n", b->err.message);
    exit(EXIT_FAILURE);
}

static void make(bench *b, int which)
{
    set *s = &b->set[which];
    const int64_t d = b->d;
    s->rows = cm_alloc_array((size_t)(b->n * d), sizeof *s->rows);
    s->logits = cm_alloc_array((size_t)(b->n * CLASSES), sizeof *s->logits);
    float *z = cm_alloc_array((size_t)d + CLASSES + 4, sizeof *z);
    if (!s->rows || !s->logits || !z)
        need(b, cm_fail(&b->err, CM_ERR_MEMORY, "out of memory"));
    for (int64_t i = 0; i < b->n; i++) {
        for (int64_t k = 0; k < d + CLASSES; k += 4)
            cm_normal4(cm_philox((uint64_t)which, (uint32_t)k, (uint32_t)i, 0, 0), z + k);
        for (int64_t k = 0; k < d; k++) {
            const float mixed = 0.6f * z[k] + 0.5f * z[k / 2] + 0.6f * z[k / 16];
            const float scale = 2 / sqrtf((float)(k + 4)) * (which ? 1.1f : 1);
            s->rows[i * d + k] = fmaxf(0, scale * (mixed + 0.5f));
        }
        for (int64_t k = 0; k < CLASSES; k++)
            s->logits[i * CLASSES + k] = 2 * z[d + k];
    }
    cm_free(z);
}

/* ---- the scores ---- */

static void statistics(bench *b)
{
    for (int i = 0; i < 2; i++) {
        cm_moments *m = NULL;
        need(b, cm_moments_new(&b->linear, (int)b->d, &m, &b->err));
        cm_moments_add(m, b->n, b->set[i].rows);
        need(b, cm_moments_finish(m, &b->set[i].statistics, &b->err));
        cm_moments_free(m);
    }
    lap(b, "mean and covariance, twice");
}

static void frechet(bench *b)
{
    double d;
    need(b, cm_frechet(&b->linear, &b->set[0].statistics, "a", &b->set[1].statistics, "b", &d,
                       &b->err));
    lap(b, "Frechet distance");
    printf("  %.12g\n", d);
}

static void class_score(bench *b)
{
    cm_class_score s;
    need(b, cm_class_score_start(&s, CLASSES, &b->err));
    cm_class_score_add(&s, b->n, b->set[1].logits);
    const double score = cm_class_score_finish(&s);
    cm_class_score_clear(&s);
    lap(b, "Inception score");
    printf("  %.6g\n", score);
}

static void pairs(bench *b)
{
    cm_products *p = NULL;
    cm_kid kid;
    cm_overlap overlap;
    double mean, deviation;
    need(b, cm_products_new(b->d, b->threads, &p, &b->err));
    need(b, cm_kid_start(&kid, b->n, b->n, 0, &b->err));
    for (int i = 0; i < 2; i++) {
        set *s = &b->set[i];
        need(b, cm_feature_set_add(&s->kept, b->d, b->n, s->rows, &b->err));
        need(b, cm_feature_set_centre(&s->kept, b->set[0].statistics.mean, &b->err));
        need(b, cm_neighbours_start(&s->near, b->n, &b->err));
        const cm_tile_visitor visitors[] = {{cm_neighbours_visit, &s->near},
                                            {i ? cm_kid_visit_samples : cm_kid_visit_real, &kid},
                                            {0}};
        need(b, cm_products_each(p, &s->kept, &s->kept, visitors, NULL, NULL, &b->err));
        lap(b, i ? "pairs of samples" : "pairs of real images");
    }
    need(b, cm_overlap_start(&overlap, &b->set[0].near, &b->set[1].near, &b->err));
    const cm_tile_visitor visitors[] = {
        {cm_overlap_visit, &overlap}, {cm_kid_visit_both, &kid}, {0}};
    need(b, cm_products_each(p, &b->set[0].kept, &b->set[1].kept, visitors, NULL, NULL, &b->err));
    const cm_overlap_scores o = cm_overlap_finish(&overlap);
    cm_kid_finish(&kid, &mean, &deviation);
    lap(b, "pairs of both");
    printf("  precision %.4f  recall %.4f  density %.4f  coverage %.4f  KID %.6g +- %.2g\n",
           o.precision, o.recall, o.density, o.coverage, mean, deviation);
    cm_overlap_clear(&overlap);
    cm_kid_clear(&kid);
    cm_products_free(p);
}

static void save(bench *b, const char *prefix)
{
    char path[512];
    for (int i = 0; i < 2; i++) {
        const cm_statistics *s = &b->set[i].statistics;
        const cm_npz_array arrays[] = {{"mu", CM_NPZ_F64, 1, {b->d}, s->mean},
                                       {"sigma", CM_NPZ_F64, 2, {b->d, b->d}, s->covariance},
                                       {"rows", CM_NPZ_F32, 2, {b->n, b->d}, b->set[i].rows}};
        snprintf(path, sizeof path, "%s%c.npz", prefix, 'a' + i);
        need(b, cm_npz_write(path, 3, arrays, &b->err));
    }
}

int main(int argc, char **argv)
{
    bench b = {.n = argc > 1 ? atoll(argv[1]) : 10000, .d = argc > 2 ? atoll(argv[2]) : 2048};
    b.threads = argc > 3 ? atoi(argv[3]) : cm_threads_available();
    printf("%lld images, %lld features, %d threads\n", (long long)b.n, (long long)b.d, b.threads);
    make(&b, 0);
    make(&b, 1);
    need(&b, cm_linear_open(b.threads, &b.linear, &b.err));
    const double began = b.began = cm_seconds(), processor = b.processor = processor_seconds();
    statistics(&b);
    frechet(&b);
    class_score(&b);
    pairs(&b);
    b.began = began;
    b.processor = processor;
    lap(&b, "all scores");
    if (argc > 4)
        save(&b, argv[4]);
    for (int i = 0; i < 2; i++) {
        cm_free(b.set[i].rows);
        cm_free(b.set[i].logits);
        cm_statistics_clear(&b.set[i].statistics);
        cm_feature_set_clear(&b.set[i].kept);
        cm_neighbours_clear(&b.set[i].near);
    }
    cm_linear_close(&b.linear);
    return EXIT_SUCCESS;
}
