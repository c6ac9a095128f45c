/* sample.c - the public functions that make images */
#include "cm.h"
#include "options/options.h"
#include "sample/generate.h"
#include "sample/tensors.h"

cm_status cm_sample(cm_model *model, const cm_sample_params *config, cm_images **images,
                    cm_error *err)
{
    const cm_status s = cm_options_check(cm_sample_options(), config, err);
    return s ? s : cm_generate(model, config, images, err);
}

cm_status cm_images_check_path(const char *path, int64_t *next, cm_error *err)
{
    return cm_images_check(path, next, err);
}

cm_status cm_images_write(const cm_images *images, const char *path, int columns, cm_error *err)
{
    return cm_images_save(images, path, columns, err);
}

void cm_images_free(cm_images *images)
{
    cm_images_release(images);
}

cm_status cm_forward(const char *weights, const char *config_json, const char *input,
                     const char *output, const char *dtype, int threads, cm_error *err)
{
    return cm_forward_file(weights, config_json, input, output, dtype, threads, err);
}
