/* server_loop.c - a small server: lines "seed class" on standard input; for each the length
 * of a PNG in decimal, a newline and its bytes on standard output. */
#include <cm.h>
#include <inttypes.h>
#include <stdio.h>

static cm_status answer(cm_sampler *sampler, const cm_request *request, cm_images **images,
                        cm_error *err)
{
    void *bytes = NULL;
    size_t size = 0;
    cm_layout layout = cm_layout_default();
    layout.columns = -1; /* the image itself, without gaps */
    cm_status status = cm_sampler_run(sampler, request, images, err);
    if (!status)
        status = cm_images_encode(*images, "png", &layout, &bytes, &size, err);
    if (!status) {
        printf("%zu\n", size);
        fwrite(bytes, 1, size, stdout);
        fflush(stdout);
    }
    cm_bytes_free(bytes);
    return status;
}

int main(void)
{
    int64_t label;
    char line[64];
    cm_error err = {CM_OK, ""};
    cm_model *model = NULL;
    cm_sampler *sampler = NULL;
    cm_images *images = NULL; /* filled again by each request */
    cm_sample_params params = cm_sample_default_params();
    cm_request request = cm_request_default();
    params.num = 1;
    request.labels = &label;
    if (cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err) ||
        cm_sampler_new(model, &params, &sampler, &err)) {
        fprintf(stderr, "%s\n", err.message);
        cm_model_free(model);
        return 1;
    }
    while (fgets(line, sizeof line, stdin))
        if (sscanf(line, "%" SCNd64 " %" SCNd64, &request.seed, &label) != 2)
            fprintf(stderr, "expected \"seed class\"\n");
        else if (answer(sampler, &request, &images, &err)) /* a bad request ends nothing */
            fprintf(stderr, "%s\n", err.message);
    cm_images_free(images);
    cm_sampler_free(sampler);
    cm_model_free(model);
    return 0;
}
