/* test_speeds.c - what the machine is said to do at most is what its instruction set can: in
 * bounds that no processor of our day leaves, and counted right */
#include "check.h"

#include "cpu/speeds.h"

/* f32 numbers in a vector */
static int lanes_of(cm_isa isa)
{
    return isa == CM_ISA_PLAIN ? 4 : isa == CM_ISA_AVX2 ? 8 : 16;
}

static cm_isa best_isa(void)
{
    unsetenv("CM_ISA");
    return cm_cpu_isa();
}

/* x_i = i becomes 2 + (i - 2) / 2^3 in three rounds: exact in f32, in every lane. */
static void test_chains(void)
{
    const cm_isa best = best_isa();
    for (cm_isa isa = CM_ISA_PLAIN; isa <= best; isa++) {
        float x[CM_MULTIPLY_ADDS_LANES] = {0};
        const int chains = 12, lanes = lanes_of(isa);
        const int64_t done = cm_cpu_multiply_adds(isa)(3, x);
        CHECK(done == (int64_t)3 * chains * lanes, "%s: %lld multiply-adds", cm_isa_name(isa),
              (long long)done);
        for (int i = 0; i < CM_MULTIPLY_ADDS_LANES; i++)
            CHECK(x[i] == (i < lanes ? 29.25f : 0.0f), "%s: lane %d is %g", cm_isa_name(isa), i,
                  (double)x[i]);
    }
}

static cm_speeds measured(int threads)
{
    cm_error err = {0};
    cm_speeds s = {0};
    CHECK_OK(cm_cpu_device()->measure(threads, &s, &err), err);
    return s;
}

/* At most two multiply-adds a cycle of 6 GHz. */
static void test_bounds(void)
{
    const cm_isa best = best_isa();
    for (cm_isa isa = CM_ISA_PLAIN; isa <= best; isa++) {
        setenv("CM_ISA", cm_isa_name(isa), 1);
        const double most = 2.0 * 2.0 * lanes_of(isa) * 6e9;
        const cm_speeds one = measured(1);
        CHECK(one.flops <= most && one.flops >= most / 100, "%s: %g flop/s of %g", cm_isa_name(isa),
              one.flops, most);
        CHECK(one.bytes >= 1e8 && one.bytes <= 1e12, "%g bytes/s", one.bytes);
    }
    unsetenv("CM_ISA");
}

/* Two beside each other are no slower than one: nearly, as others use the machine. */
static void test_two(void)
{
    const double most = 2.0 * 2.0 * lanes_of(best_isa()) * 6e9;
    const cm_speeds one = measured(1), two = measured(2);
    CHECK(two.flops <= 2 * most && two.flops >= 0.6 * one.flops,
          "%g flop/s of two threads, %g of one", two.flops, one.flops);
    CHECK(two.bytes <= 1e12 && two.bytes >= 0.5 * one.bytes, "%g bytes/s of two threads, %g of one",
          two.bytes, one.bytes);
}

static void test_threads(void)
{
    cm_error err = {0};
    cm_speeds s;
    CHECK(cm_cpu_device()->measure(0, &s, &err) == CM_ERR_ARGUMENT, "no threads");
}

static const check_test tests[] = {
    {"chains of multiply-adds", test_chains},
    {"speeds in bounds", test_bounds},
    {"two threads", test_two},
    {"no threads", test_threads},
};

CHECK_MAIN(tests)
