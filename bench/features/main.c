/* main.c - images a second through the Inception network of cm eval, weights at random
 *
 *     features [BATCH [SIDE [SECONDS]]]
 *
 * BATCH images of SIDE x SIDE at once (16, 32); prints the best and the median of the passes
 * within that time (20), and where the time of one goes. */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "graph/plan.h"
#include "model/compute.h"
#include "nn/features/inception.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 1000 };

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(cm_plan *plan, int batch, double seconds)
{
    double time[MOST];
    int n = 0;
    cm_plan_run(plan); /* packs the weights */
    const clock_t before = clock();
    for (const double start = cm_seconds();
         n < MOST && (n < 3 || cm_seconds() - start < seconds);) {
        const double begin = cm_seconds();
        cm_plan_run(plan);
        time[n++] = cm_seconds() - begin;
    }
    const double busy = (double)(clock() - before) / CLOCKS_PER_SEC / n;
    qsort(time, (size_t)n, sizeof *time, ascending);
    printf("inception, batch %d: best %.2f images/s, median %.2f, of %d passes; processor time "
           "%.3f s a pass\n",
           batch, batch / time[0], batch / time[n / 2], n, busy);
}

int main(int argc, char **argv)
{
    const int batch = argc > 1 ? atoi(argv[1]) : 16, side = argc > 2 ? atoi(argv[2]) : 32;
    const double seconds = argc > 3 ? atof(argv[3]) : 20.0;
    cm_error err = {0};
    cm_params *params = NULL;
    cm_plan *plan = NULL;
    cm_graph *g = cm_graph_new();
    cm_status s = cm_inception_params(&params, &err);
    float *flat = s ? NULL : cm_alloc_array(cm_params_floats(params), sizeof *flat);
    if (s || !flat || !g || batch < 1 || side < 1) {
        fprintf(stderr, "features: %s\n", s ? err.message : "out of memory, or no such batch");
        return EXIT_FAILURE;
    }
    cm_params_init(params, 1, flat);
    const int buffer = cm_graph_buffer(g, "params", CM_BUFFER_CONST);
    cm_net net = cm_net_new(g, params, buffer, CM_F32);
    cm_node *x = cm_input(g, "pixels", CM_TYPE(CM_F32, batch, side, side, 3));
    cm_feature_nodes out = cm_inception_features(&net, CM_INCEPTION_TENSORFLOW, x, NULL);
    cm_node *all[] = {out.features, out.spatial, out.logits};
    s = cm_plan_compile(g, 3, all, cm_cpu_device(), cm_threads_resolve(0), &plan, &err);
    cm_speeds speeds;
    if (!s)
        s = cm_cpu_device()->measure(cm_threads_resolve(0), &speeds, &err);
    if (!s) {
        cm_plan_bind(plan, buffer, flat);
        measure(plan, batch, seconds);
        char *text = cm_plan_explain(plan, 3, &speeds);
        puts(text ? text : "out of memory");
        cm_free(text);
    } else
        fprintf(stderr, "features: %s\n", err.message);
    cm_plan_free(plan);
    cm_graph_free(g);
    cm_params_free(params);
    cm_free(flat);
    return s ? EXIT_FAILURE : EXIT_SUCCESS;
}
