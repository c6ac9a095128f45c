/* op_references.c - the ops again, from their definitions, in double and without
 * a thought for speed */
#include "op_cases.h"

#include <math.h>
#include <string.h>

static void clear(const cm_node *y, double *want)
{
    memset(want, 0, (size_t)cm_type_count(&y->type) * sizeof *want);
}

/* ---- convolution: one trilinear form, sum of dy x w ---- */

typedef struct term {
    int64_t x, w, y; /* positions of the three factors */
} term;

/* Call f for each triple of elements that the convolution of x with w brings
 * together. */
static void each_term(const cm_type *x, const cm_type *w, const cm_type *y, const cm_attr *a,
                      void (*f)(term t, const double *const *in, double *want),
                      const double *const *in, double *want)
{
    const int stride = a->conv.stride;
    const int64_t *X = x->dim, *W = w->dim, *Y = y->dim;
    for (int64_t at = 0; at < cm_type_count(y); at++) {
        const int64_t o = at % Y[3], col = at / Y[3] % Y[2], row = at / Y[3] / Y[2] % Y[1];
        const int64_t n = at / Y[3] / Y[2] / Y[1];
        for (int64_t k = 0; k < W[1] * W[2] * W[3]; k++) {
            const int64_t i = k / W[3] / W[2], r = row * stride - a->conv.pad_h + k / W[3] % W[2],
                          c = col * stride - a->conv.pad_w + k % W[3];
            if (r >= 0 && r < X[1] && c >= 0 && c < X[2])
                f((term){((n * X[1] + r) * X[2] + c) * X[3] + i, o * W[1] * W[2] * W[3] + k, at},
                  in, want);
        }
    }
}

static void add_to_y(term t, const double *const *in, double *want)
{
    want[t.y] += in[0][t.x] * in[1][t.w];
}

static void add_to_x(term t, const double *const *in, double *want)
{
    want[t.x] += in[0][t.y] * in[1][t.w];
}

static void add_to_w(term t, const double *const *in, double *want)
{
    want[t.w] += in[0][t.y] * in[1][t.x];
}

void reference_conv2d(const cm_node *y, const double *const *x, double *want)
{
    clear(y, want);
    each_term(&y->in[0]->type, &y->in[1]->type, &y->type, &y->attr, add_to_y, x, want);
    for (int64_t i = 0; y->n_in == 3 && i < cm_type_count(&y->type); i++)
        want[i] += x[2][i % y->type.dim[3]];
}

void reference_conv2d_grad_input(const cm_node *y, const double *const *x, double *want)
{
    clear(y, want);
    each_term(&y->type, &y->in[1]->type, &y->in[0]->type, &y->attr, add_to_x, x, want);
}

void reference_conv2d_grad_weight(const cm_node *y, const double *const *x, double *want)
{
    clear(y, want);
    each_term(&y->in[1]->type, &y->type, &y->in[0]->type, &y->attr, add_to_w, x, want);
}

/* ---- windows of pixels ---- */

/* The mean and the largest of each window. */
static void pool(const cm_node *y, const double *x, double *mean, double *most)
{
    const int64_t *X = y->in[0]->type.dim, *Y = y->type.dim;
    for (int64_t at = 0; at < cm_type_count(&y->type); at++) {
        const int64_t ch = at % Y[3], col = at / Y[3] % Y[2], row = at / Y[3] / Y[2] % Y[1];
        double sum = 0.0, large = -INFINITY;
        int count = 0;
        for (int k = 0; k < y->attr.pool.k * y->attr.pool.k; k++) {
            const int64_t r = row * y->attr.pool.stride - y->attr.pool.pad + k / y->attr.pool.k;
            const int64_t c = col * y->attr.pool.stride - y->attr.pool.pad + k % y->attr.pool.k;
            if (r < 0 || r >= X[1] || c < 0 || c >= X[2])
                continue;
            const double v = x[((at / Y[3] / Y[2] / Y[1] * X[1] + r) * X[2] + c) * X[3] + ch];
            sum += v;
            large = fmax(large, v);
            count++;
        }
        if (mean)
            mean[at] = sum / count;
        if (most)
            most[at] = large;
    }
}

void reference_avg_pool(const cm_node *y, const double *const *x, double *want)
{
    pool(y, x[0], want, NULL);
}

void reference_max_pool(const cm_node *y, const double *const *x, double *want)
{
    pool(y, x[0], NULL, want);
}

/* The share of pixel i of `from` in pixel k of `to`: a triangle around where k reads. */
static double share(int64_t i, int64_t from, int64_t k, int64_t to, int half_pixel)
{
    const double scale = (double)from / (double)to, most = (double)from - 1.0;
    const double at = half_pixel ? ((double)k + 0.5) * scale - 0.5 : (double)k * scale;
    return fmax(0.0, 1.0 - fabs(fmin(fmax(at, 0.0), most) - (double)i));
}

void reference_resize(const cm_node *y, const double *const *x, double *want)
{
    const int64_t *X = y->in[0]->type.dim, *Y = y->type.dim;
    const int half = y->attr.resize.half_pixel;
    clear(y, want);
    for (int64_t at = 0; at < cm_type_count(&y->type); at++)
        for (int64_t k = 0; k < X[1] * X[2]; k++)
            want[at] += share(k / X[2], X[1], at / Y[3] / Y[2] % Y[1], Y[1], half) *
                        share(k % X[2], X[2], at / Y[3] % Y[2], Y[2], half) *
                        x[0][(at / Y[3] / Y[2] / Y[1] * X[1] * X[2] + k) * X[3] + at % Y[3]];
}

/* ---- the others ---- */

void reference_matmul(const cm_node *y, const double *const *x, double *want)
{
    const cm_type *a = &y->in[0]->type, *t = &y->type;
    const int ta = y->attr.matmul.ta, tb = y->attr.matmul.tb, r = t->rank;
    const int64_t m = t->dim[r - 2], n = t->dim[r - 1], depth = a->dim[ta ? r - 2 : r - 1];
    for (int64_t at = 0; at < cm_type_count(t); at++) {
        const int64_t batch = at / (m * n), i = at / n % m, j = at % n;
        const double *A = x[0] + batch * m * depth, *B = x[1] + batch * depth * n;
        want[at] = 0.0;
        for (int64_t k = 0; k < depth; k++)
            want[at] += A[ta ? k * m + i : i * depth + k] * B[tb ? j * depth + k : k * n + j];
    }
}

void reference_group_norm(const cm_node *y, const double *const *x, double *want)
{
    const int64_t *d = y->type.dim, rows = d[1] * d[2], ch = d[3];
    const int64_t size = ch / y->attr.norm.groups, count = rows * size;
    const int64_t pitch = y->in[1]->type.dim[0] == 1 ? 0 : ch; /* of a and b */
    for (int64_t s = 0; s < d[0]; s++)
        for (int64_t first = 0; first < ch; first += size) {
            double mean = 0.0, var = 0.0;
            const double *in = x[0] + s * rows * ch + first;
            for (int64_t k = 0; k < count; k++)
                mean += in[k / size * ch + k % size] / (double)count;
            for (int64_t k = 0; k < count; k++)
                var += pow(in[k / size * ch + k % size] - mean, 2.0) / (double)count;
            for (int64_t k = 0; k < count; k++) {
                const int64_t at = k / size * ch + k % size, c = s * pitch + first + k % size;
                const double z =
                    x[1][c] * (in[at] - mean) / sqrt(var + (double)y->attr.norm.eps) + x[2][c];
                want[s * rows * ch + first + at] = y->attr.norm.silu ? z / (1.0 + exp(-z)) : z;
            }
        }
}

void reference_softmax(const cm_node *y, const double *const *x, double *want)
{
    const int64_t n = y->type.dim[y->type.rank - 1];
    for (int64_t row = 0; row < cm_type_count(&y->type); row += n) {
        double sum = 0.0;
        for (int64_t i = 0; i < n; i++)
            sum += exp(x[0][row + i]);
        for (int64_t i = 0; i < n; i++)
            want[row + i] = exp(x[0][row + i]) / sum;
    }
}

void reference_log_softmax(const cm_node *y, const double *const *x, double *want)
{
    const int64_t n = y->type.dim[y->type.rank - 1];
    for (int64_t row = 0; row < cm_type_count(&y->type); row += n) {
        double sum = 0.0;
        for (int64_t i = 0; i < n; i++)
            sum += exp(x[0][row + i]);
        for (int64_t i = 0; i < n; i++)
            want[row + i] = x[0][row + i] - log(sum);
    }
}

/* Query i of a head: q, k and v are at qkv, qkv + ch and qkv + 2 ch in each row. */
static void attend(const double *qkv, int64_t i, int64_t rows, int64_t ch, int64_t d, double *y)
{
    double sum = 0.0;
    for (int64_t c = 0; c < d; c++)
        y[c] = 0.0;
    for (int64_t j = 0; j < rows; j++) {
        double score = 0.0;
        for (int64_t c = 0; c < d; c++)
            score += qkv[i * 3 * ch + c] * qkv[j * 3 * ch + ch + c];
        const double e = exp(score / sqrt((double)d));
        for (int64_t c = 0; c < d; c++)
            y[c] += e * qkv[j * 3 * ch + 2 * ch + c];
        sum += e;
    }
    for (int64_t c = 0; c < d; c++)
        y[c] /= sum;
}

void reference_attention(const cm_node *y, const double *const *x, double *want)
{
    const int64_t rows = y->type.dim[1], ch = y->type.dim[2], d = ch / y->attr.attention.heads;
    for (int64_t n = 0; n < y->type.dim[0]; n++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < ch; c += d)
                attend(x[0] + n * rows * 3 * ch + c, i, rows, ch, d,
                       want + (n * rows + i) * ch + c);
}

/* Element `at` of large falls on this element of small. */
static int64_t project(const cm_type *large, const cm_type *small, int64_t at)
{
    int64_t to = 0, pitch = 1;
    for (int i = large->rank - 1; i >= 0; i--) {
        to += small->dim[i] == 1 ? 0 : at % large->dim[i] * pitch;
        pitch *= small->dim[i];
        at /= large->dim[i];
    }
    return to;
}

void reference_sum_to(const cm_node *y, const double *const *x, double *want)
{
    clear(y, want);
    for (int64_t i = 0; i < cm_type_count(&y->in[0]->type); i++)
        want[project(&y->in[0]->type, &y->type, i)] += x[0][i];
}

void reference_broadcast_to(const cm_node *y, const double *const *x, double *want)
{
    for (int64_t i = 0; i < cm_type_count(&y->type); i++)
        want[i] = x[0][project(&y->type, &y->in[0]->type, i)];
}
