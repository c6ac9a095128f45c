/* test_kernels_random.c - uniform, normal and dropout: known answers of Philox,
 * every number against the scalar generator, and the moments of many. */
#include "base/philox.h"
#include "kernel_check.h"

static cm_type rank4(cm_dtype t, const int64_t *dim)
{
    return cm_type_make(t, 4, dim);
}

static void test_philox(void)
{
    static const uint32_t zero[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    static const uint32_t ones[4] = {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu};
    const uint32_t all = 0xffffffffu;
    const cm_philox_block a = cm_philox(0, 0, 0, 0, 0);
    const cm_philox_block b = cm_philox(UINT64_MAX, all, all, all, all);
    for (int i = 0; i < 4; i++) {
        CHECK(a.v[i] == zero[i], "word %d of block 0: %08x", i, a.v[i]);
        CHECK(b.v[i] == ones[i], "word %d of the last block: %08x", i, b.v[i]);
    }
}

/* The number the kernels must give, uniform or normal. */
static double counted(const int32_t rng[4], uint32_t stream, int64_t s, int64_t e, int normal)
{
    const uint64_t seed = (uint32_t)rng[0] | (uint64_t)(uint32_t)rng[1] << 32;
    const cm_philox_block b =
        cm_philox(seed, (uint32_t)(e / 4), (uint32_t)(rng[3] + s), (uint32_t)rng[2], stream);
    const double u = (double)cm_uniform(b.v[e % 4]);
    if (!normal)
        return u;
    const double u0 = (double)cm_uniform(b.v[e % 4 / 2 * 2]);
    const double u1 = (double)cm_uniform(b.v[e % 4 / 2 * 2 + 1]);
    const double r = sqrt(-2.0 * log(u0)), turn = 6.283185307179586 * u1;
    return r * (e % 2 ? sin(turn) : cos(turn));
}

static void check_same_bits(cm_op_id op, cm_attr attr, cm_type type, tensor *rng)
{
    const cm_node node = node_make(op, attr, type, 1, &rng);
    unsigned char *plain = kernel_run(&node, CM_ISA_PLAIN, 1, &rng);
    for (cm_isa isa = CM_ISA_AVX2; isa <= cm_cpu_isa(); isa++) {
        unsigned char *y = kernel_run(&node, isa, 1, &rng);
        CHECK(!memcmp(plain + GUARD, y + GUARD, cm_type_bytes(&type)), "%s %s: not as plain",
              cm_ops[op]->name, cm_isa_name(isa));
        free(y);
    }
    free(plain);
}

static void test_random(void)
{
    static const int64_t dims[][4] = {{1, 1, 1, 1}, {3, 1, 1, 3}, {5, 32, 33, 3}, {1, 40, 41, 3}};
    const int32_t words[4] = {-123456789, 77, 1000, 13};
    tensor *rng = tensor_new(CM_TYPE(CM_I32, 4));
    for (int i = 0; i < 4; i++)
        set_value(rng, i, words[i]);
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++)
        for (int normal = 0; normal < 2; normal++) {
            const cm_type t = rank4(CM_F32, dims[k]);
            const int64_t n = cm_type_count(&t), each = n / t.dim[0];
            const cm_attr attr = {.random = {t, 9, 0.0f}};
            double *want = doubles(n);
            for (int64_t i = 0; i < n; i++)
                want[i] = counted(words, 9, i / each, i % each, normal);
            const cm_op_id op = normal ? CM_OP_NORMAL : CM_OP_UNIFORM;
            expect(op, attr, t, 1, &rng, want, normal ? 1e-6 : 0);
            check_same_bits(op, attr, t, rng);
            free(want);
        }
    tensor_free(rng);
}

/* Mean, variance and fourth moment of many normals, to four standard errors. */
static void test_normal_moments(void)
{
    const cm_type t = CM_TYPE(CM_F32, 16, 65536);
    tensor *rng = tensor_new(CM_TYPE(CM_I32, 4));
    for (int i = 0; i < 4; i++)
        set_value(rng, i, 42 + i);
    const cm_node node = node_make(CM_OP_NORMAL, (cm_attr){.random = {t, 0, 0}}, t, 1, &rng);
    unsigned char *x = kernel_run(&node, cm_cpu_isa(), 1, &rng);
    const int64_t n = cm_type_count(&t);
    double m[5] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int k = 1; k <= 4; k++)
            m[k] += pow(value_at(x + GUARD, CM_F32, i), k) / (double)n;
    const double e = 4.0 / sqrt((double)n);
    CHECK(fabs(m[1]) < e, "mean %g", m[1]);
    CHECK(fabs(m[2] - 1.0) < e * sqrt(2.0), "variance %g", m[2]);
    CHECK(fabs(m[3]) < e * sqrt(15.0), "third moment %g", m[3]);
    CHECK(fabs(m[4] - 3.0) < e * sqrt(96.0), "fourth moment %g", m[4]);
    free(x);
    tensor_free(rng);
}

static void test_dropout(void)
{
    const int32_t words[4] = {1, 2, 3, 40};
    for (int t = 0; t < 2; t++) {
        tensor *in[2] = {tensor_random(CM_TYPE(floats[t], 3, 17, 500), 0, 1),
                         tensor_new(CM_TYPE(CM_I32, 4))};
        const double keep = 1.0 - (double)0.3f;
        double *want = doubles(in[0]->n);
        for (int i = 0; i < 4; i++)
            set_value(in[1], i, words[i]);
        for (int64_t i = 0; i < in[0]->n; i++)
            want[i] =
                counted(words, 5, i / 8500, i % 8500, 0) >= (double)0.3f ? in[0]->v[i] / keep : 0.0;
        expect(CM_OP_DROPOUT, (cm_attr){.random = {in[0]->node.type, 5, 0.3f}}, in[0]->node.type, 2,
               in, want, 3e-7);
        tensor_free(in[0]);
        tensor_free(in[1]);
        free(want);
    }
}

static const check_test tests[] = {
    {"philox known answers", test_philox},
    {"uniform, normal", test_random},
    {"moments of normal", test_normal_moments},
    {"dropout", test_dropout},
};

CHECK_MAIN(tests)
