/* sample_noise.c - cm sample --noise: which of the noises of a file are used, and for what */
#include "cli/sample_files.h"

#include <stdio.h>
#include <string.h>

cm_status sample_noise_read(const cli_usage *usage, const sample_files *files,
                            const cm_model *model, cm_sample_params *config, cm_images **noise,
                            cm_error *err)
{
    if (!*files->noise)
        return CM_OK;
    const cm_status status = cm_images_read_noise(model, files->noise, noise, err);
    if (status)
        return status;
    char from[64] = "";
    if (!files->go_on && !cli_was_given(usage, "first"))
        config->first = (*noise)->first;
    const int64_t skip = config->first - (*noise)->first, left = (*noise)->n - skip;
    if ((*noise)->first)
        snprintf(from, sizeof from, " from image %lld on", (long long)(*noise)->first);
    if (skip < 0 || left < 1)
        return cli_fail(
            err, CM_ERR_ARGUMENT,
            "%s: expected noise for image %lld, the first to draw, found %lld noise%s%s",
            files->noise, (long long)config->first, (long long)(*noise)->n,
            (*noise)->n == 1 ? "" : "s", from);
    if (!cli_was_given(usage, "num"))
        config->num = left;
    if (config->num > left)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'num': expected at most %lld, the noises of %s from %lld on, found "
                        "%lld",
                        (long long)left, files->noise, (long long)config->first,
                        (long long)config->num);
    return CM_OK;
}

/* What is drawn from now on is noise->n images: those of the file that are wanted. */
static void take_part(cm_images *noise, int64_t first, int64_t num)
{
    const int64_t size = (int64_t)noise->h * noise->w * noise->c, skip = first - noise->first;
    for (int64_t d = 0; d < noise->draws; d++)
        memmove(noise->noise + d * num * size, noise->noise + (d * noise->n + skip) * size,
                (size_t)(num * size) * sizeof *noise->noise);
    memmove(noise->labels, noise->labels + skip, (size_t)num * sizeof *noise->labels);
    noise->first = first;
    noise->n = num;
}

int sample_uses_seed(const cli_usage *usage, const cm_images *noise, const cm_sampler *sampler)
{
    return !noise || cli_was_given(usage, "class") || cm_sampler_draws(sampler) > noise->draws;
}

static cm_status check_seed(const cli_usage *usage, const cm_images *noise,
                            const cm_sampler *sampler, cm_error *err)
{
    if (!cli_was_given(usage, "seed") || sample_uses_seed(usage, noise, sampler))
        return CM_OK;
    return cli_fail(err, CM_ERR_ARGUMENT,
                    "option 'seed': has no effect here, all noise of this sampler is in --noise");
}

cm_status sample_noise_use(const cli_usage *usage, const sample_files *files, cm_images *noise,
                           const cm_sampler *sampler, cm_request *request, cm_error *err)
{
    const int64_t draws = cm_sampler_draws(sampler);
    const cm_status status = check_seed(usage, noise, sampler, err);
    if (status)
        return status;
    if (noise->draws > 1 && noise->draws < draws)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "%s: expected the %lld draws that this sampler takes, noise and draw.1 to "
                        "draw.%lld, found %lld",
                        files->noise, (long long)draws, (long long)draws - 1,
                        (long long)noise->draws);
    take_part(noise, request->first, request->num);
    request->noise = noise->noise;
    request->draws = noise->draws < draws ? noise->draws : draws;
    if (noise->labels[0] >= 0 && !cli_was_given(usage, "class"))
        request->labels = noise->labels;
    return CM_OK;
}
