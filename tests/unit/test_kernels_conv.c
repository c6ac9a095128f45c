/* test_kernels_conv.c - convolutions and their two gradients against sums of products in double.
 *
 * Winograd's transforms cost digits: what is asked of them is an error of at most 1.5e-6 of the
 * result's root mean square in the root mean square, and 2e-5 at most, with inputs of any mean
 * and sides of any length (direct convolutions have 4e-7 and 3e-6).  Narrow convolutions keep to
 * the same.  All instruction sets, and 1, 2 and 3 workers, which must give the same bits
 * (kernel_check.h).  Passes that are oneDNN's are left out, and must be those that the list says.
 */
#include "kernel_check.h"

#include <string.h>

enum { FORWARD = 1, INPUT = 2, WEIGHT = 4, ALL = 7 };

typedef struct problem {
    const char *what;
    int64_t n, h, w, c, k;
    double mean; /* of x and dy, in their deviations */
    int bias, residual, relu;
    cm_dtype dtype;
    int side_h, side_w; /* 0: 3 */
    int stride;         /* 0: 1 */
    int pad_h, pad_w;   /* of sides that are given */
    int ours;           /* passes; 0: all */
} problem;

static const problem problems[] = {
    {"as in the shipped network", 2, 32, 32, 32, 32, .bias = 1},
    {"a residual", 2, 8, 8, 64, 64, .bias = 1, .residual = 1},
    {"a residual alone", 1, 8, 8, 16, 16, .residual = 1},
    {"to zero", 1, 6, 9, 16, 32, .bias = 1, .relu = 1},
    {"sides of no whole tile", 3, 7, 5, 48, 80, .bias = 1},
    {"a row of three", 2, 1, 3, 16, 16, .mean = 0},
    {"one pixel", 1, 1, 1, 32, 16, .mean = 0},
    {"tall", 1, 33, 2, 16, 48, .mean = 0},
    {"far from 0", 2, 16, 16, 64, 64, .mean = 10},
    {"far from 0, odd sides", 2, 13, 9, 96, 32, .mean = 10, .bias = 1},
    {"256 channels", 1, 8, 8, 256, 256, .mean = 0},
    {"256 channels, far from 0", 1, 9, 9, 256, 64, .mean = -10},
    {"more than a run of channels", 1, 8, 8, 528, 16, .mean = 0},
    {"many channels out", 1, 4, 4, 16, 528, .mean = 0},
    {"two blocks of channels", 1, 8, 8, 144, 80, .mean = 0},
    {"bf16", 2, 16, 16, 64, 32, .bias = 1, .residual = 1, .dtype = CM_BF16},
    {"bf16, odd sides", 3, 7, 9, 48, 16, .mean = 10, .dtype = CM_BF16},
    {"one tile beyond whole blocks", 1, 4, 100, 16, 16, .mean = 0},
    {"more tiles beside each other, and channels, than together", 1, 9, 41, 144, 32, .mean = 10},
    {"parts of more than a block", 9, 32, 32, 16, 16, .mean = 0},
    {"to one channel", 2, 32, 32, 32, 1, .bias = 1, .ours = FORWARD | WEIGHT},
    {"to one, odd sides", 3, 7, 13, 33, 1, .bias = 1, .residual = 1, .ours = FORWARD | WEIGHT},
    {"to three, far from 0", 2, 9, 17, 64, 3, .mean = 10, .bias = 1, .ours = FORWARD | WEIGHT},
    {"to three, 300 channels", 1, 5, 6, 300, 3, .bias = 1, .relu = 1, .ours = FORWARD | WEIGHT},
    {"to four, below 0", 1, 1, 5, 24, 4, .mean = -10, .ours = FORWARD | WEIGHT},
    {"to two, one pixel", 1, 1, 1, 17, 2, .bias = 1, .ours = FORWARD | WEIGHT},
    {"to three in bf16", 3, 6, 11, 40, 3, .bias = 1, .residual = 1, .dtype = CM_BF16,
     .ours = FORWARD | WEIGHT},
    {"from one channel", 2, 32, 32, 1, 32, .bias = 1, .ours = INPUT},
    {"from three, far from 0", 3, 7, 13, 3, 70, .mean = 10, .ours = INPUT},
    {"from two in bf16", 1, 8, 5, 2, 48, .dtype = CM_BF16, .ours = INPUT},
    {"from two to three", 2, 6, 7, 2, 3, .bias = 1, .ours = ALL},
    {"5 x 5", 2, 9, 12, 20, 4, .bias = 1, .side_h = 5, .side_w = 5, .pad_h = 2, .pad_w = 2,
     .ours = FORWARD | WEIGHT},
    {"1 x 7, no pad above", 2, 9, 12, 20, 3, .side_h = 1, .side_w = 7, .pad_w = 3,
     .ours = FORWARD | WEIGHT},
    {"without pads", 2, 9, 12, 20, 1, .side_h = 3, .side_w = 2, .ours = FORWARD | WEIGHT},
    {"more pad than taps", 1, 3, 4, 20, 1, .side_h = 2, .side_w = 2, .pad_h = 3, .pad_w = 2,
     .ours = FORWARD | WEIGHT},
    {"stride 2, from three", 2, 15, 12, 3, 40, .side_h = 3, .side_w = 3, .stride = 2, .pad_h = 1,
     .pad_w = 1, .ours = INPUT},
    {"stride 2 without pads", 3, 9, 14, 3, 40, .side_h = 3, .side_w = 3, .stride = 2,
     .ours = INPUT},
    {"stride 3 of two rows", 2, 11, 10, 1, 16, .side_h = 2, .side_w = 4, .stride = 3, .pad_h = 1,
     .pad_w = 2, .ours = INPUT},
};

/* With what is 0 for the usual. */
static problem whole(problem p)
{
    if (!p.side_h) {
        p.side_h = p.side_w = 3;
        p.pad_h = p.pad_w = 1;
    }
    p.stride += !p.stride;
    p.ours = p.ours ? p.ours : ALL;
    return p;
}

static cm_attr attr_of(const problem *p)
{
    return (cm_attr){.conv = {.stride = p->stride, .pad_h = p->pad_h, .pad_w = p->pad_w}};
}

/* x [n,h,w,c], weights [k,c,side_h,side_w], y [n,h',w',k]. */
typedef struct setup {
    tensor *x, *w, *y, *bias, *residual;
} setup;

static setup setup_new(const problem *p)
{
    const double width = sqrt(3.0); /* of a deviation of 1 */
    const int64_t h = (p->h + 2 * p->pad_h - p->side_h) / p->stride + 1;
    const int64_t w = (p->w + 2 * p->pad_w - p->side_w) / p->stride + 1;
    return (setup){
        .x = tensor_random(CM_TYPE(p->dtype, p->n, p->h, p->w, p->c), p->mean, width),
        .w = tensor_random(CM_TYPE(CM_F32, p->k, p->c, p->side_h, p->side_w), 0, 0.1),
        .y = tensor_random(CM_TYPE(p->dtype, p->n, h, w, p->k), p->mean, width),
        .bias = tensor_random(CM_TYPE(CM_F32, p->k), 0, 1),
        .residual = tensor_random(CM_TYPE(p->dtype, p->n, h, w, p->k), 0, 1),
    };
}

static void setup_free(setup *s)
{
    tensor *all[] = {s->x, s->w, s->y, s->bias, s->residual};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tensor_free(all[i]);
}

/* Each of the three is one of the sums of x[i] w[t] y[o] over all products there are. */
static void sum_products(const problem *p, const setup *s, double *to_x, double *to_w, double *to_y)
{
    const int64_t h = s->y->node.type.dim[1], w = s->y->node.type.dim[2];
    const int taps = p->side_h * p->side_w;
    for (int64_t o = 0; o < p->n * h * w; o++)
        for (int t = 0; t < taps; t++) {
            const int64_t row = o / w % h * p->stride + t / p->side_w - p->pad_h;
            const int64_t column = o % w * p->stride + t % p->side_w - p->pad_w;
            const int64_t i = (o / w / h * p->h + row) * p->w + column;
            if (row < 0 || row >= p->h || column < 0 || column >= p->w)
                continue;
            for (int64_t k = 0; k < p->k; k++)
                for (int64_t c = 0; c < p->c; c++) {
                    const int64_t at_x = i * p->c + c, at_w = (k * p->c + c) * taps + t,
                                  at_y = o * p->k + k;
                    if (to_y)
                        to_y[at_y] += s->x->v[at_x] * s->w->v[at_w];
                    if (to_x)
                        to_x[at_x] += s->y->v[at_y] * s->w->v[at_w];
                    if (to_w)
                        to_w[at_w] += s->x->v[at_x] * s->y->v[at_y];
                }
        }
}

static void check_error(const problem *p, const cm_node *node, cm_isa isa, const void *got,
                        const double *want)
{
    const int64_t n = cm_type_count(&node->type);
    const cm_dtype dtype = node->type.dtype;
    double size = 0, error = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        const double rounding = dtype == CM_BF16 ? fabs(want[i]) / 256 : 0;
        const double e = fmax(0, fabs(value_at(got, dtype, i) - want[i]) - rounding);
        size += want[i] * want[i] / (double)n;
        error += e * e / (double)n;
        worst = fmax(worst, fabs(e));
    }
    CHECK(sqrt(error / size) <= 1.5e-6 && worst <= 2e-5 * sqrt(size),
          "%s, %s, %s: error %.3g, at most %.3g of the rms", p->what, cm_ops[node->op]->name,
          cm_isa_name(isa), sqrt(error / size), worst / sqrt(size));
}

static void check_all(const problem *p, int pass, cm_attr attr, int n, tensor *const *in,
                      cm_type type, const double *want)
{
    const cm_op_id op = pass == FORWARD ? CM_OP_CONV2D
                        : pass == INPUT ? CM_OP_CONV2D_GRAD_INPUT
                                        : CM_OP_CONV2D_GRAD_WEIGHT;
    const cm_node node = node_make(op, attr, type, n, in);
    const int ours = cm_cpu_kernel(&node, cm_cpu_isa()) != &cm_kernels_dnnl[op];
    unsigned char *before = NULL;
    CHECK(ours == !!(p->ours & pass), "%s, %s: %s", p->what, cm_ops[op]->name,
          ours ? "not by oneDNN" : "by oneDNN");
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa() && ours; isa++) {
        unsigned char *out = kernel_run(&node, isa, n, in);
        check_error(p, &node, isa, out + GUARD, want);
        CHECK(isa < CM_ISA_AVX512 || !memcmp(before + GUARD, out + GUARD, cm_type_bytes(&type)),
              "%s, %s: not the bits of avx2", p->what, cm_ops[op]->name);
        free(before);
        before = out;
    }
    free(before);
}

static void check_forward(const problem *p, setup *s)
{
    tensor *in[4] = {s->x, s->w};
    int n = 2;
    double *want = doubles(s->y->n);
    cm_attr attr = attr_of(p);
    attr.conv.residual = p->residual;
    attr.conv.relu = p->relu;
    if (p->bias)
        in[n++] = s->bias;
    if (p->residual)
        in[n++] = s->residual;
    sum_products(p, s, NULL, NULL, want);
    for (int64_t i = 0; i < s->y->n; i++) {
        want[i] += (p->bias ? s->bias->v[i % p->k] : 0) + (p->residual ? s->residual->v[i] : 0);
        want[i] = p->relu && want[i] < 0 ? 0 : want[i];
    }
    check_all(p, FORWARD, attr, n, in, s->y->node.type, want);
    free(want);
}

static void check_gradients(const problem *p, const setup *s)
{
    double *to_x = doubles(s->x->n), *to_w = doubles(s->w->n);
    cm_attr attr = attr_of(p);
    sum_products(p, s, to_x, to_w, NULL);
    attr.conv.type = s->x->node.type;
    check_all(p, INPUT, attr, 2, (tensor *[]){s->y, s->w}, s->x->node.type, to_x);
    attr.conv.type = s->w->node.type;
    check_all(p, WEIGHT, attr, 2, (tensor *[]){s->y, s->x}, s->w->node.type, to_w);
    free(to_x);
    free(to_w);
}

static void test_passes(void)
{
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        if (problems[i].dtype == CM_BF16 && cm_cpu_has_amx()) /* it is oneDNN's */
            continue;
        const problem p = whole(problems[i]);
        setup s = setup_new(&p);
        check_forward(&p, &s);
        check_gradients(&p, &s);
        setup_free(&s);
    }
}

/* An image is the same bits beside any others, though blocks of tiles go across images. */
static void check_batch(problem p)
{
    setup s = setup_new(&p);
    const cm_attr attr = attr_of(&p);
    const cm_node all = node_make(CM_OP_CONV2D, attr, s.y->node.type, 2, (tensor *[]){s.x, s.w});
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++) {
        unsigned char *five =
            call(&all, isa, 2, (const void *[]){s.x->block + GUARD, s.w->block + GUARD}, NULL);
        const size_t in = tensor_bytes(s.x) / 5, out = tensor_bytes(s.y) / 5;
        for (size_t i = 0; i < 5; i++) {
            tensor one = *s.x;
            one.node.type.dim[0] = 1;
            cm_type type = s.y->node.type;
            type.dim[0] = 1;
            const cm_node node = node_make(CM_OP_CONV2D, attr, type, 2, (tensor *[]){&one, s.w});
            unsigned char *alone =
                call(&node, isa, 2,
                     (const void *[]){s.x->block + GUARD + i * in, s.w->block + GUARD}, NULL);
            CHECK(!memcmp(five + GUARD + i * out, alone + GUARD, out), "%s: image %zu of five",
                  cm_isa_name(isa), i);
            free(alone);
        }
        free(five);
    }
    setup_free(&s);
}

static void test_batches(void)
{
    check_batch(whole((problem){"", 5, 12, 12, 32, 48, .mean = 0}));
    check_batch(whole((problem){"", 5, 5, 41, 144, 16, .mean = 0}));
    check_batch(whole((problem){"", 5, 12, 11, 32, 1, .mean = 0}));
}

static const check_test tests[] = {{"passes", test_passes}, {"batches", test_batches}};

CHECK_MAIN(tests)
