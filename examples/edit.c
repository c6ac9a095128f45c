/* edit.c - inpaint: a boot of which a square is filled in again.  Writes edit.png. */
#include <cm.h>
#include <stdio.h>

int main(void)
{
    static uint8_t white[32 * 32]; /* where it is filled */
    int64_t label = 9;             /* an ankle boot */
    cm_error err = {CM_OK, ""};
    cm_model *model = NULL;
    cm_sampler *sampler = NULL;
    cm_images *picture = NULL, *image = NULL, *out = NULL;
    cm_images mask = {sizeof mask, 1, 32, 32, 1, white, NULL, NULL, &label, 0, 0};
    cm_sample_params params = cm_sample_default_params();
    cm_edit edit = cm_edit_default("inpaint");
    cm_request request = cm_request_default();
    cm_layout bare = cm_layout_default();
    for (int i = 0; i < 12 * 12; i++)
        white[(10 + i / 12) * 32 + 10 + i % 12] = 255;
    params.num = 1;
    bare.columns = -1; /* the image itself, without gaps */
    request.labels = &label;
    request.edit = &edit;
    edit.mask = &mask;
    if (!cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err) &&
        !cm_sampler_new(model, &params, &sampler, &err) &&
        !cm_images_read("docs/edit/boot.png", &picture, &err) &&
        !cm_images_resize(picture, 32, 32, 1, "crop", 0, &image, &err) &&
        (edit.image = image, !cm_sampler_run(sampler, &request, &out, &err)))
        cm_images_write(out, "edit.png", &bare, &err);
    if (err.status)
        fprintf(stderr, "%s\n", err.message);
    cm_images_free(picture);
    cm_images_free(image);
    cm_images_free(out);
    cm_sampler_free(sampler);
    cm_model_free(model);
    return (int)err.status;
}
