/* test_distances.c - the distances of losses that look through no network: derivatives of both
 * kinds, in both images (of those that do: test_classifier.c, golden/test_lpips.c); l2-32 against
 * its formula in double; and distances of nothing. */
#include "distance_graph.h"

#include "base/philox.h"

enum { N = 3, H = 12, W = 20, C = 3, VALUES = H * W * C };

/* Smooth ones, and directions along which d changes. */
static void make_images(float *a, float *b, float *va, float *vb)
{
    for (int i = 0; i < N * VALUES; i++) {
        const cm_philox_block r = cm_philox(9, (uint32_t)i, 0, 0, 0);
        a[i] = 2.0f * cm_uniform(r.v[0]) - 1.0f;
        b[i] = 2.0f * cm_uniform(r.v[1]) - 1.0f;
        va[i] = a[i] - b[i] + 0.5f * cm_uniform(r.v[2]);
        vb[i] = 0.3f * cm_uniform(r.v[3]);
    }
}

static void test_derivatives(void)
{
    static float a[N * VALUES], b[N * VALUES], va[N * VALUES], vb[N * VALUES];
    distance_graph q;
    make_images(a, b, va, vb);
    for (const cm_distance *d = cm_distances; d->name; d++) {
        if (d->frozen)
            continue;
        if (distance_graph_make(&q, d->name, CM_TYPE(CM_F32, N, H, W, C), NULL, CM_F32))
            distance_graph_check(&q, d->name, a, b, va, vb, 1e-2, 2e-3);
        distance_graph_clear(&q);
    }
}

/* Bilinear, centres of pixels on each other: weights of the sources of row r of `to` */
static void source(int r, int from, int to, int at[2], double share[2])
{
    const double x = fmax((r + 0.5) * from / to - 0.5, 0.0);
    at[0] = (int)x;
    at[1] = at[0] + 1 < from ? at[0] + 1 : from - 1;
    share[1] = x - at[0];
    share[0] = 1.0 - share[1];
}

/* Of one sample, and its gradient in a. */
static double l2_32(const float *a, const float *b, double *grad)
{
    enum { SIDE = 32 };
    double sum = 0.0, share[2][2];
    int at[2][2];
    memset(grad, 0, VALUES * sizeof *grad);
    for (int i = 0; i < SIDE * SIDE * C; i++) {
        double d = 0.0;
        source(i / C / SIDE, H, SIDE, at[0], share[0]);
        source(i / C % SIDE, W, SIDE, at[1], share[1]);
        for (int pass = 0; pass < 2; pass++)
            for (int k = 0; k < 4; k++) {
                const int j = (at[0][k / 2] * W + at[1][k % 2]) * C + i % C;
                const double weight = share[0][k / 2] * share[1][k % 2];
                if (!pass)
                    d += weight * ((double)a[j] - (double)b[j]);
                else
                    grad[j] += 2.0 * d * weight / (SIDE * SIDE * C);
            }
        sum += d * d / (SIDE * SIDE * C);
    }
    return sum;
}

static void test_l2_32(void)
{
    static float a[N * VALUES], b[N * VALUES], va[N * VALUES], vb[N * VALUES], got[N * VALUES];
    float d[N];
    distance_graph q;
    make_images(a, b, va, vb);
    if (distance_graph_make(&q, "l2-32", CM_TYPE(CM_F32, N, H, W, C), NULL, CM_F32)) {
        distance_graph_run(&q, a, b, NULL, NULL, 0.0, d);
        cm_plan_read(q.plan, q.out[1], got);
        for (int n = 0; n < N; n++) {
            double grad[VALUES];
            CHECK_CLOSE((double)d[n], l2_32(a + n * VALUES, b + n * VALUES, grad), 1e-6);
            for (int i = 0; i < VALUES; i++)
                CHECK(fabs((double)got[n * VALUES + i] - grad[i]) <= 1e-8, "gradient of %d: %g, %g",
                      i, (double)got[n * VALUES + i], grad[i]);
        }
    }
    distance_graph_clear(&q);
}

/* Of 32 x 32 it is l2. */
static void test_at_32(void)
{
    enum { SIZE = 32 * 32 };
    static float a[SIZE], b[SIZE];
    float d[2];
    for (int i = 0; i < SIZE; i++) {
        a[i] = sinf((float)i);
        b[i] = cosf((float)(3 * i));
    }
    for (int k = 0; k < 2; k++) {
        distance_graph q;
        if (distance_graph_make(&q, k ? "l2-32" : "l2", CM_TYPE(CM_F32, 1, 32, 32, 1), NULL,
                                CM_F32))
            distance_graph_run(&q, a, b, NULL, NULL, 0.0, &d[k]);
        distance_graph_clear(&q);
    }
    CHECK(d[0] == d[1], "%.9g and %.9g", (double)d[0], (double)d[1]);
}

static const check_test tests[] = {
    {"gradients and tangents against differences", test_derivatives},
    {"l2-32 in double", test_l2_32},
    {"of 32 x 32 it is l2", test_at_32},
};

CHECK_MAIN(tests)
