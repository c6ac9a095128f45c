/* sample.c - the public functions that make images */
#include "api/door.h"
#include "base/pool.h"
#include "sample/generate.h"
#include "sample/recipe.h"
#include "sample/tensors.h"

cm_status cm_sampler_new(const cm_model *model, const cm_sample_params *params,
                         cm_sampler **sampler, cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", model}, {"sampler", sampler});
    if (!s)
        s = cm_door_sample_params(params, err);
    return s ? s : cm_sampler_make(model, params, sampler, err);
}

void cm_sampler_free(cm_sampler *sampler)
{
    cm_sampler_release(sampler);
}

int64_t cm_sampler_draws(const cm_sampler *sampler)
{
    return sampler ? cm_sampler_draws_of(sampler) : 0;
}

cm_request cm_request_default(void)
{
    return (cm_request){.size = sizeof(cm_request), .num = 1};
}

cm_status cm_sampler_run(cm_sampler *sampler, const cm_request *request, cm_images **images,
                         cm_error *err)
{
    cm_status s = cm_door_need(err, {"sampler", sampler}, {"images", images});
    if (!s)
        s = cm_door_request(request, err);
    return s ? s : cm_sampler_draw(sampler, request, images, err);
}

cm_status cm_sampler_origin(const cm_sampler *sampler, const cm_request *request, char **text,
                            cm_error *err)
{
    cm_status s = cm_door_need(err, {"sampler", sampler}, {"text", text});
    if (!s)
        s = cm_door_request(request, err);
    if (s)
        return s;
    const cm_drawing drawing = cm_sampler_drawing(sampler);
    return cm_origin_of(&drawing, request, text, err);
}

cm_status cm_images_merge(int n, const char *const *paths, cm_images **images, char **origin,
                          cm_error *err)
{
    cm_status s = cm_door_need(err, {"paths", paths}, {"images", images}, {"origin", origin});
    if (!s)
        s = cm_door_range("n", n, 1, INT32_MAX, err);
    for (int i = 0; i < n && !s; i++)
        s = cm_door_text("paths", paths[i], err);
    return s ? s : cm_merge(n, paths, images, origin, err);
}

cm_status cm_sampler_save_noise(const cm_sampler *sampler, const cm_request *request,
                                const cm_images *images, const char *path, cm_error *err)
{
    cm_status s = cm_door_need(err, {"sampler", sampler});
    if (!s)
        s = cm_door_request(request, err);
    if (!s && images)
        s = cm_door_shape(images, err);
    if (!s)
        s = cm_door_text("path", path, err);
    return s ? s : cm_sampler_noise_to_file(sampler, request, images, path, err);
}

cm_status cm_sample(const cm_model *model, const cm_sample_params *params, cm_images **images,
                    cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", model}, {"images", images});
    if (!s)
        s = cm_door_sample_params(params, err);
    return s ? s : cm_generate(model, params, images, err);
}

cm_status cm_sample_check_used(const cm_model *model, const cm_sample_params *params,
                               const char *name, cm_error *err)
{
    cm_status s = cm_door_need(err, {"model", model});
    if (!s)
        s = cm_door_sample_params(params, err);
    if (!s)
        s = cm_door_option(cm_sample_options(), "sampling", name, err);
    return s ? s : cm_recipe_check_used(model, params, name, err);
}

cm_status cm_forward(const char *weights, const char *config_json, const char *input,
                     const char *output, const char *dtype, int threads, cm_error *err)
{
    cm_status s = cm_door_text("weights", weights, err);
    if (!s && config_json)
        s = cm_door_text("config_json", config_json, err);
    if (!s)
        s = cm_door_text("input", input, err);
    if (!s)
        s = cm_door_text("output", output, err);
    if (!s)
        s = cm_door_text("dtype", dtype, err);
    if (!s)
        s = cm_door_range("threads", threads, 0, CM_POOL_MOST, err);
    return s ? s : cm_forward_file(weights, config_json, input, output, dtype, threads, err);
}
