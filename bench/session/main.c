/* main.c - what a session costs beside the network: one image at a time of the shipped model,
 * whole requests and cm_bench's own runs in turn, so that a slow moment meets both.
 *
 * usage: session [MODEL [ROUNDS]] */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Milliseconds, the best of 200. */
static double time_requests(cm_sampler *sampler, cm_images **images, cm_error *err)
{
    cm_request request = cm_request_default();
    double best = 1e9;
    for (int i = 0; i < 200; i++) {
        const double start = now();
        request.first = i;
        if (cm_sampler_run(sampler, &request, images, err))
            return -1;
        const double ms = 1e3 * (now() - start);
        best = ms < best ? ms : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "models/fashion-mnist-cd.safetensors";
    const int rounds = argc > 2 ? atoi(argv[2]) : 5;
    cm_error err = {0};
    cm_model *model = NULL;
    cm_sampler *sampler = NULL;
    cm_images *images = NULL;
    cm_sample_params params = cm_sample_default_params();
    cm_work work = {.size = sizeof work, .kind = "onestep", .dtype = "auto", .batch = 1};
    cm_bench_result result = {.size = sizeof result};
    double network = 1e9, whole = 1e9;
    params.num = 1;
    if (!cm_model_open(path, &model, &err))
        cm_sampler_new(model, &params, &sampler, &err);
    for (int i = 0; i < rounds && !err.status; i++) {
        if (cm_bench(model, &work, &result, &err))
            break;
        network = result.ms < network ? result.ms : network;
        const double ms = time_requests(sampler, &images, &err);
        whole = ms < whole ? ms : whole;
    }
    if (err.status)
        fprintf(stderr, "session: %s\n", err.message);
    else
        printf("one image: network %.3f ms, request %.3f ms, ratio %.3f (goal: at most 1.15)\n",
               network, whole, whole / network);
    cm_images_free(images);
    cm_sampler_free(sampler);
    cm_model_free(model);
    return (int)err.status;
}
