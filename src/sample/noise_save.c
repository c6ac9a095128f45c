/* noise_save.c - the noise of a request to a file (noise_file.c says what is in it), from which the
 * same images come again, here or in another framework.  What is not the caller's own is a function
 * of the seed, so a file of any size takes the memory of one image.  For the other framework
 * __metadata__ names the sampler and the noise levels of its grid. */
#include "sample/generate.h"

#include "base/error.h"
#include "base/memory.h"
#include "io/replace.h"
#include "io/safetensors.h"
#include "sample/noise.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct noise_save {
    const cm_request *request;
    int64_t image;    /* numbers an image */
    cm_st_entry *all; /* tensors: that of a draw at its number, then labels */
} noise_save;

/* One image of a draw. */
static void make_noise(void *user, const cm_st_entry *e, uint64_t offset, size_t n, void *bytes)
{
    const noise_save *save = user;
    const cm_request *r = save->request;
    const int draw = (int)(e - save->all);
    const int64_t i = (int64_t)(offset / (sizeof(float) * (uint64_t)save->image));
    if (r->noise && draw < r->draws)
        memcpy(bytes, r->noise + (draw * r->num + i) * save->image, n);
    else
        cm_noise_draw((uint64_t)r->seed, r->first + i, draw, save->image, bytes);
}

static cm_status write_noise(const cm_sampler *s, noise_save *save, int draws,
                             char (*names)[CM_DRAW_NAME], const char *levels, const char *path,
                             const cm_images *images, cm_error *err)
{
    const cm_request *r = save->request;
    char first[24];
    int n = draws;
    for (int d = 0; d < draws; d++)
        save->all[d] = (cm_st_entry){cm_draw_name(names[d], d),
                                     CM_ST_F32,
                                     4,
                                     {r->num, images->h, images->w, images->c},
                                     NULL};
    if (images->labels && images->labels[0] >= 0)
        save->all[n++] = (cm_st_entry){"labels", CM_ST_I64, 1, {r->num}, images->labels};
    snprintf(first, sizeof first, "%" PRId64, r->first);
    const char *const keys[] = {"first", "sampler", "sigmas"};
    const char *const values[] = {first, cm_sampler_recipe(s)->method->name, levels};
    const cm_st_maker maker = {make_noise, save, sizeof(float) * (size_t)save->image};
    return cm_st_write_made(path, n, save->all, &maker, 3, keys, values, err);
}

static cm_status check_path(const char *path, cm_error *err)
{
    const cm_status s = cm_replace_ending("save-noise", path, ".safetensors", err);
    return s ? s : cm_replace_check(path, &cm_replaced_noise, err);
}

cm_status cm_sampler_noise_to_file(const cm_sampler *s, const cm_request *r,
                                   const cm_images *images, const char *path, cm_error *err)
{
    const int draws = cm_sampler_draws_of(s);
    noise_save save = {.request = r};
    cm_status status = r->edit ? cm_fail(err, CM_ERR_ARGUMENT, "request: edit: expected none")
                               : check_path(path, err);
    if (status || !images)
        return status;
    if (images->n != r->num)
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "images: n: expected the %" PRId64 " of the request, found %" PRId64, r->num,
                       images->n);
    save.image = (int64_t)images->h * images->w * images->c;
    save.all = cm_alloc_array((size_t)draws + 1, sizeof *save.all);
    char(*names)[CM_DRAW_NAME] = cm_alloc_array((size_t)draws, sizeof *names);
    char *levels = cm_recipe_levels(cm_sampler_recipe(s));
    status = save.all && names && levels
                 ? write_noise(s, &save, draws, names, levels, path, images, err)
                 : cm_fail(err, CM_ERR_MEMORY, "%.400s: out of memory for %d draws", path, draws);
    cm_free(save.all);
    cm_free(names);
    cm_free(levels);
    return status;
}
