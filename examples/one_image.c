#include <cm.h>
#include <stdio.h>

int main(void)
{
    cm_error err = {CM_OK, ""};
    cm_model *model = NULL;
    cm_images *images = NULL;
    cm_sample_params params = cm_sample_default_params();
    params.num = 1;
    params.seed = 7;
    if (cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err) ||
        cm_sample(model, &params, &images, &err) ||
        cm_images_write(images, "one_image.png", NULL, &err))
        fprintf(stderr, "%s\n", err.message);
    cm_images_free(images);
    cm_model_free(model);
    return (int)err.status;
}
