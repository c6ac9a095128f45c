/* test_kernels_update.c - store, sum_squares, optimizers and averages: against
 * PyTorch's results and a reference in double. */
#include "io/safetensors.h"
#include "kernel_check.h"

static void test_store_and_squares(void)
{
    enum { RUNS = 69 };
    for (int t = 0; t < 2; t++) {
        tensor *in[2] = {tensor_random(CM_TYPE(floats[t], 70001), 0, 3),
                         tensor_new(CM_TYPE(floats[t], 70001))};
        double sum[RUNS] = {0};
        for (int64_t i = 0; i < in[0]->n; i++)
            sum[i / CM_SQUARES] += in[0]->v[i] * in[0]->v[i];
        expect(CM_OP_STORE, (cm_attr){0}, in[0]->node.type, 2, in, in[0]->v, 0);
        expect(CM_OP_SUM_SQUARES, (cm_attr){0}, CM_TYPE(CM_F32, RUNS), 1, in, sum, 6e-8);
        set_value(in[0], 50000, (double)NAN);
        sum[50000 / CM_SQUARES] = (double)NAN;
        expect(CM_OP_SUM_SQUARES, (cm_attr){0}, CM_TYPE(CM_F32, RUNS), 1, in, sum, 6e-8);
        tensor_free(in[0]);
        tensor_free(in[1]);
    }
}

/* In place: call by hand, since the inputs change. */
static void update(cm_op_id op, cm_attr attr, cm_isa isa, int threads, int n, tensor *const *in)
{
    const cm_node node = node_make(op, attr, in[0]->node.type, n, in);
    const void *data[CM_MAX_IN] = {0};
    for (int i = 0; i < n; i++)
        data[i] = in[i]->block + GUARD;
    call(&node, isa, threads, data, in[0]->block + GUARD);
    for (int i = 0; i < n; i++)
        CHECK(guards_hold(in[i]->block, tensor_bytes(in[i])), "%s: wrote outside input %d",
              cm_ops[op]->name, i);
}

static const double *golden(cm_st_file *f, const char *name, double *buffer)
{
    cm_error err;
    const cm_st_tensor *t = cm_st_find(f, name);
    if (CHECK(t && cm_st_elements(t) <= 700, "optimizers.safetensors: %s", name))
        CHECK_OK(cm_st_read_f64(f, t, buffer, &err), err);
    return buffer;
}

/* 20 steps of torch.optim.RAdam and AdamW on 35 parameters. */
static void test_optimizers(void)
{
    static double p0[700], grads[700], want[700];
    cm_st_file *f = NULL;
    cm_error err;
    if (!CHECK_OK(cm_st_open(check_golden("optimizers.safetensors"), &f, &err), err))
        return;
    golden(f, "p0", p0);
    golden(f, "grads", grads);
    for (int adam = 0; adam < 2; adam++)
        for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++) {
            const cm_optimizer_attr o = adam ? (cm_optimizer_attr){0.9f, 0.99f, 1e-8f, 0.05f}
                                             : (cm_optimizer_attr){0.9f, 0.999f, 1e-8f, 0.0f};
            tensor *in[6];
            for (int i = 0; i < 6; i++)
                in[i] = tensor_random(CM_TYPE(CM_F32, i < 4 ? 35 : i == 4 ? 2 : 1), 0, 0);
            for (int i = 0; i < 35; i++)
                set_value(in[0], i, p0[i]);
            golden(f, adam ? "adamw" : "radam", want);
            for (int k = 0; k < 20; k++) {
                for (int i = 0; i < 35; i++)
                    set_value(in[3], i, grads[35 * k + i]);
                set_value(in[4], 0, 1e-2);
                set_value(in[4], 1, k + 1);
                update(adam ? CM_OP_ADAMW : CM_OP_RADAM, (cm_attr){.optimizer = o}, isa, 2, 6, in);
                check_values(adam ? "adamw" : "radam", in[0]->block + GUARD, CM_F32, 35,
                             want + 35 * k, 1e-5, 1.0);
            }
            for (int i = 0; i < 6; i++)
                tensor_free(in[i]);
        }
    cm_st_close(f);
}

/* One step in double: RAdam with weight decay, step k. */
static void radam_step(double *p, double *m, double *v, double g, double k)
{
    const double b1 = (double)0.9f, b2 = (double)0.99f, lr = (double)1e-2f;
    const double inf = 2.0 / (1.0 - b2) - 1.0, b2k = pow(b2, k);
    const double rho = inf - 2.0 * k * b2k / (1.0 - b2k);
    g += 0.25 * *p;
    *m = b1 * *m + (1.0 - b1) * g;
    *v = b2 * *v + (1.0 - b2) * g * g;
    const double hat = *m / (1.0 - pow(b1, k));
    if (rho > 5.0)
        *p -= lr * hat * sqrt(1.0 - b2k) / (sqrt(*v) + (double)1e-6f) *
              sqrt((rho - 4) * (rho - 2) * inf / ((inf - 4) * (inf - 2) * rho));
    else
        *p -= lr * hat;
}

/* A large array, weight decay, and a gate that is not finite. */
static void test_update_gate(void)
{
    enum { N = 20003 };
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++)
        for (int k = 3; k < 60; k += 50) {
            tensor *in[6] = {tensor_random(CM_TYPE(CM_F32, N), 0, 1),
                             tensor_random(CM_TYPE(CM_F32, N), 0, 1),
                             tensor_random(CM_TYPE(CM_F32, N), 1, 0.9),
                             tensor_random(CM_TYPE(CM_F32, N), 0, 1),
                             tensor_random(CM_TYPE(CM_F32, 2), 0, 0),
                             tensor_random(CM_TYPE(CM_F32, 1), (double)NAN, 0)};
            const cm_attr attr = {.optimizer = {0.9f, 0.99f, 1e-6f, 0.25f}};
            set_value(in[4], 0, 1e-2);
            set_value(in[4], 1, k);
            update(CM_OP_RADAM, attr, isa, 2, 6, in);
            update(CM_OP_ADAMW, attr, isa, 2, 6, in);
            for (int i = 0; i < 3; i++)
                check_values("closed gate", in[i]->block + GUARD, CM_F32, N, in[i]->v, 0, 0);
            set_value(in[5], 0, 2.0);
            update(CM_OP_RADAM, attr, isa, 2, 6, in);
            for (int i = 0; i < N; i++)
                radam_step(&in[0]->v[i], &in[1]->v[i], &in[2]->v[i], in[3]->v[i], k);
            for (int i = 0; i < 3; i++)
                check_values("radam", in[i]->block + GUARD, CM_F32, N, in[i]->v, 1e-6, 1.0);
            for (int i = 0; i < 6; i++)
                tensor_free(in[i]);
        }
}

static void test_ema(void)
{
    enum { N = 20003 };
    for (cm_isa isa = CM_ISA_PLAIN; isa <= cm_cpu_isa(); isa++) {
        tensor *in[4] = {tensor_random(CM_TYPE(CM_F32, N), 0, 1),
                         tensor_random(CM_TYPE(CM_F32, N), 0, 1),
                         tensor_random(CM_TYPE(CM_F32, 1), 0.75, 0),
                         tensor_random(CM_TYPE(CM_F32, 1), (double)INFINITY, 0)};
        set_value(in[3], 0, (double)INFINITY);
        update(CM_OP_EMA, (cm_attr){0}, isa, 2, 4, in);
        check_values("ema, closed gate", in[0]->block + GUARD, CM_F32, N, in[0]->v, 0, 0);
        set_value(in[3], 0, 1.0);
        update(CM_OP_EMA, (cm_attr){0}, isa, 2, 4, in);
        for (int i = 0; i < N; i++)
            in[0]->v[i] = 0.25 * in[0]->v[i] + 0.75 * in[1]->v[i];
        check_values("ema", in[0]->block + GUARD, CM_F32, N, in[0]->v, 2e-7, 1.0);
        set_value(in[2], 0, 0.125); /* from the other end */
        update(CM_OP_EMA, (cm_attr){0}, isa, 2, 4, in);
        for (int i = 0; i < N; i++)
            in[0]->v[i] = 0.875 * in[0]->v[i] + 0.125 * in[1]->v[i];
        check_values("ema, weight 1/8", in[0]->block + GUARD, CM_F32, N, in[0]->v, 4e-7, 1.0);
        set_value(in[2], 0, 1.0); /* weight 1 copies */
        update(CM_OP_EMA, (cm_attr){0}, isa, 1, 4, in);
        check_values("ema, weight 1", in[0]->block + GUARD, CM_F32, N, in[1]->v, 0, 0);
        for (int i = 0; i < 4; i++)
            tensor_free(in[i]);
    }
}

static const check_test tests[] = {
    {"store, sum_squares", test_store_and_squares},
    {"optimizers against PyTorch", test_optimizers},
    {"optimizers, gate", test_update_gate},
    {"ema", test_ema},
};

CHECK_MAIN(tests)
