/* two_threads.c - two threads share a model; each has a sampler and a class of its own.
 * Writes class3.png and class7.png. */
#include <cm.h>
#include <pthread.h>
#include <stdio.h>

static cm_model *model; /* opened once, never changed */

static void *draw(void *label)
{
    char path[32];
    cm_error err = {CM_OK, ""};
    cm_sampler *sampler = NULL;
    cm_images *images = NULL;
    cm_sample_params params = cm_sample_default_params();
    cm_request request = cm_request_default();
    params.num = 1;
    params.threads = 1;
    request.seed = 7;
    request.labels = label;
    snprintf(path, sizeof path, "class%d.png", (int)*(const int64_t *)label);
    if (cm_sampler_new(model, &params, &sampler, &err) ||
        cm_sampler_run(sampler, &request, &images, &err) ||
        cm_images_write(images, path, NULL, &err))
        fprintf(stderr, "%s\n", err.message);
    cm_images_free(images);
    cm_sampler_free(sampler);
    return err.status ? label : NULL;
}

int main(void)
{
    int64_t labels[2] = {3, 7};
    void *failed[2] = {NULL, NULL};
    pthread_t thread[2];
    cm_error err = {CM_OK, ""};
    if (cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (int i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, draw, &labels[i]))
            return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], &failed[i]);
    cm_model_free(model);
    return failed[0] || failed[1];
}
