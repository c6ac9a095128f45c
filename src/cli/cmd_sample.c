/* cmd_sample.c - cm sample: images from a model, into a grid, an archive or a folder */
#include "cli/cli.h"
#include "cli/edit_place.h"
#include "cli/pipe.h"
#include "cli/progress.h"
#include "cli/trajectory.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

typedef struct sample_files {
    cm_text model, out, heading, trajectory, noise, save_noise;
    int64_t columns, scale;
    int captions, go_on;
    int to_folder; /* what out is */
} sample_files;

static const cm_option file_options[] = {
    {"model", CM_OPT_TEXT, offsetof(sample_files, model), "", NULL, 0, 0, "MODEL",
     "a .safetensors model, a released .pt checkpoint or a run folder"},
    {"out", CM_OPT_TEXT, offsetof(sample_files, out), "", NULL, 0, 0, "X",
     "X.png, X.jpg or X.webp is a grid, X.gif an animation, X.npz holds arr_0 (pixels) and arr_1 "
     "(labels), - is a grid "
     "as PNG to "
     "standard output, else a folder of PNG images, which are there as soon as they are drawn"},
    {"columns", CM_OPT_INT, offsetof(sample_files, columns), "0", NULL, 0, CM_MOST_COLUMNS, "N",
     "columns of the grid (0: square)"},
    {"scale", CM_OPT_INT, offsetof(sample_files, scale), "1", NULL, 1, CM_MOST_SCALE, "N",
     "each pixel of the grid is drawn as N x N"},
    {"captions", CM_OPT_FLAG, offsetof(sample_files, captions), "false", NULL, 0, 1, NULL,
     "write the class below each image of the grid"},
    {"heading", CM_OPT_TEXT, offsetof(sample_files, heading), "", NULL, 0, 0, "TEXT",
     "a line above the grid, and the Title of a PNG file; at most 511 bytes"},
    {"trajectory", CM_OPT_TEXT, offsetof(sample_files, trajectory), "", "|state|estimate|both", 0,
     0, "VIEW",
     "show the way from noise: x at each noise level, the image that it leads to, or both; a row "
     "an "
     "image, of X.gif a frame a level"},
    {"noise", CM_OPT_TEXT, offsetof(sample_files, noise), "", NULL, 0, 0, "FILE",
     "noise of image i from a .safetensors file that --save-noise or cm edit invert has written, "
     "as "
     "many images and of the classes that it has, unless --num and --class say; a file with x_T "
     "alone leaves to the seed what is added later"},
    {"save-noise", CM_OPT_TEXT, offsetof(sample_files, save_noise), "", NULL, 0, 0, "FILE",
     "write x_T and all that is added later, and the classes: --noise draws the same again"},
    {"continue", CM_OPT_FLAG, offsetof(sample_files, go_on), "false", NULL, 0, 1, NULL,
     "go on in a folder that holds samples: --first is the number after its last"},
    {0},
};

static const char text[] =
    "Generate images from a model.\n"
    "\n"
    "  cm sample --model models/fashion-mnist-cd.safetensors --out clothes.png\n"
    "  cm sample --model M --num 100 --class all --columns 10 --out grid.png\n"
    "  cm sample --model M --class cat,dog --scale 4 --captions --out pets.png\n"
    "  cm sample --model M --steps 2 --out x.png\n"
    "  cm sample --model T --num 4 --trajectory both --scale 2 --out way.png\n"
    "  cm sample --model M --num 10000 --class random --out samples.npz\n"
    "  cm sample --model M --save-noise noise.safetensors --out once.png\n"
    "  cm sample --model M --noise noise.safetensors --out again.png\n";

static const cli_group groups[] = {
    {"Common options", "model out num class seed sampler"},
    {"Sampler", "steps ts sigmas s-churn s-tmin s-tmax s-noise"},
    {"Noise", "noise save-noise"},
    {"Output", "columns scale captions heading trajectory first continue"},
    {"Machine", "dtype batch micro-batch threads quiet"},
    {0},
};

/* ---- where it goes --------------------------------------------------------- */

/* Of these options none is given. */
static cm_status refuse_given(const cli_usage *usage, const char *const *names, const char *why,
                              cm_error *err)
{
    for (; *names; names++)
        if (cli_was_given(usage, *names))
            return cli_fail(err, CM_ERR_ARGUMENT, "option '%s': has no effect here, %s", *names,
                            why);
    return CM_OK;
}

/* What has an effect depends on where it goes and what is drawn. */
static cm_status check_used(const cli_usage *usage, const sample_files *files, cm_error *err)
{
    static const char *const of_grid[] = {"columns", "scale",      "captions",
                                          "heading", "trajectory", NULL};
    static const char *const not_of_way[] = {"columns", "captions", NULL};
    static const char *const not_of_film[] = {"heading", NULL};
    const char *dot = strrchr(files->out, '.');
    if (*files->trajectory && dot && !strcasecmp(dot, ".gif")) {
        const cm_status s =
            refuse_given(usage, not_of_film, "the frames of a trajectory have their own", err);
        if (s)
            return s;
    }
    if (files->to_folder || (dot && !strcasecmp(dot, ".npz")))
        return refuse_given(usage, of_grid, "it is for a grid (.png)", err);
    return *files->trajectory
               ? refuse_given(usage, not_of_way,
                              "a trajectory has a row an image, its noise levels below", err)
               : CM_OK;
}

/* All that can be known before the work: --continue sets --first. */
static cm_status check_out(const cli_usage *usage, sample_files *files, cm_sample_params *config,
                           cm_error *err)
{
    const char *out = files->out;
    int64_t next = -1;
    cm_status status =
        cli_is_pipe(out) ? cli_pipe_check(err) : cm_images_check_path(out, NULL, NULL, &next, err);
    files->to_folder = next >= 0;
    if (!status)
        status = check_used(usage, files, err);
    if (status)
        return status;
    if (edit_is_same_file(files->noise, out))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "%s: is the noise itself: the images would replace it", out);
    if (*files->save_noise &&
        (edit_is_same_file(files->noise, files->save_noise) ||
         edit_is_same_file(out, files->save_noise) || !strcmp(out, files->save_noise)))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'save-noise': expected another file than --noise and --out, found "
                        "'%s'",
                        files->save_noise);
    if (files->go_on && *files->save_noise && !access(files->save_noise, F_OK))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'save-noise': with --continue expected a new name, found '%s', "
                        "which may hold the noise of the images before",
                        files->save_noise);
    if (files->go_on && next < 0)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'continue': expected a folder as --out, found '%s'", out);
    if (files->go_on && cli_was_given(usage, "first"))
        return cli_fail(err, CM_ERR_ARGUMENT, "options 'first' and 'continue': give one of them");
    if (next > config->first && !files->go_on)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "%s: holds samples up to number %lld; --continue goes on after it", out,
                        (long long)next - 1);
    if (files->go_on)
        config->first = next;
    return CM_OK;
}

/* The images, or the way to them. */
typedef struct drawing {
    const cm_images *images;
    const cli_trajectory *way;
    const cm_layout *layout;
} drawing;

static cm_status write_drawing(const void *what, const char *path, cm_error *err)
{
    const drawing *d = what;
    return d->way->view ? cli_trajectory_write(d->way, d->images, path, d->layout, err)
                        : cm_images_write(d->images, path, d->layout, err);
}

/* ---- the work ---------------------------------------------------------------- */

/* Captions are of classes. */
static cm_status check_classes(const cm_model *model, cm_error *err)
{
    cm_model_facts facts = {.size = sizeof facts};
    const cm_status status = cm_model_get_facts(model, &facts, err);
    if (status || facts.classes)
        return status;
    return cli_fail(err, CM_ERR_ARGUMENT,
                    "option 'captions': has no effect here, this model has no classes");
}

/* Whether the images that are to come fit their file. */
static cm_status check_size(const cm_model *model, int64_t num, const char *out,
                            const cm_layout *layout, cm_error *err)
{
    cm_model_facts facts = {.size = sizeof facts};
    int64_t next;
    const cm_status status = cm_model_get_facts(model, &facts, err);
    const cm_images expected = {.size = sizeof expected,
                                .n = num,
                                .h = facts.height,
                                .w = facts.width,
                                .c = facts.channels};
    return status ? status : cm_images_check_path(out, &expected, layout, &next, err);
}

/* NULL: no trajectory is wanted. */
static const cli_trajectory_view *find_view(const char *name)
{
    for (const cli_trajectory_view *v = cli_trajectory_views; v->name; v++)
        if (!strcmp(v->name, name))
            return v;
    return NULL;
}

/* What is found in the file of --noise; without it *noise stays NULL. */
static cm_status read_noise(const cli_usage *usage, const sample_files *files,
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

/* Draws of the file, and the classes that it was found for, if there are, unless --class is given.
 * x_T alone may go before what the seed adds, but not some of several draws. */
static cm_status use_noise(const cli_usage *usage, const sample_files *files, cm_images *noise,
                           const cm_sampler *sampler, cm_request *request, cm_error *err)
{
    const int64_t draws = cm_sampler_draws(sampler);
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

/* For the noise that is not in a file, and random classes. */
static int uses_seed(const cli_usage *usage, const cm_images *noise, const cm_sampler *sampler)
{
    return !noise || cli_was_given(usage, "class") || cm_sampler_draws(sampler) > noise->draws;
}

static cm_status check_seed(const cli_usage *usage, const cm_images *noise,
                            const cm_sampler *sampler, cm_error *err)
{
    if (!cli_was_given(usage, "seed") || uses_seed(usage, noise, sampler))
        return CM_OK;
    return cli_fail(err, CM_ERR_ARGUMENT,
                    "option 'seed': has no effect here, all noise of this sampler is in --noise");
}

/* ---- drawing ---- */

/* What the library tells and asks while it draws. */
typedef struct work {
    cli_progress progress;
    cm_eval_hooks hooks; /* of it */
    double start;
    cli_trajectory *way;
    const char *folder; /* images go there as they are done; NULL: at the end */
    const cm_layout *layout;
    int64_t num, made;
    int uses_seed;
} work;

/* Of what takes a while. */
static void show(void *user, int64_t done, int64_t all)
{
    work *w = user;
    const double elapsed = cli_seconds() - w->start, part = (double)done / (double)all;
    if (elapsed > 1)
        w->hooks.progress(w->hooks.user, "drawing", part, elapsed * (1 - part) / part);
}

static int should_stop(void *user)
{
    const work *w = user;
    return w->hooks.stop(w->hooks.user);
}

static void note_step(void *user, int64_t first, int64_t n, double sigma, const double *x,
                      const double *denoised)
{
    const work *w = user;
    cli_trajectory_step(w->way, first, n, sigma, x, denoised);
}

static cm_status write_made(void *user, const cm_images *images, int64_t first, int64_t n,
                            cm_error *err)
{
    work *w = user;
    cm_images part = *images;
    part.n = n;
    part.first += first;
    part.pixels += first * part.h * part.w * part.c;
    part.labels += part.labels ? first : 0;
    const cm_status status = cm_images_write(&part, w->folder, w->layout, err);
    w->made += status ? 0 : n;
    return status;
}

/* Draw the images, and note the way to them. */
static cm_status sample(const cli_usage *usage, const sample_files *files, const cm_model *model,
                        const cm_sample_params *config, cm_images *noise, work *w,
                        cm_images **images, cm_error *err)
{
    cm_model_facts facts = {.size = sizeof facts};
    cm_sampler *sampler = NULL;
    cm_request request = cm_request_default();
    request.num = w->num = config->num;
    request.first = config->first;
    request.seed = config->seed;
    request.progress = show;
    request.stop = should_stop;
    request.step = w->way->view ? note_step : NULL;
    request.made = w->folder ? write_made : NULL;
    request.user = w;
    cm_status status = cm_model_get_facts(model, &facts, err);
    w->way->num = config->num;
    w->way->size = (int64_t)facts.height * facts.width * facts.channels;
    if (!status)
        status = cm_sampler_new(model, config, &sampler, err);
    if (!status)
        status = check_seed(usage, noise, sampler, err);
    w->uses_seed = !status && uses_seed(usage, noise, sampler);
    if (!status && noise)
        status = use_noise(usage, files, noise, sampler, &request, err);
    if (!status && *files->save_noise)
        status = cm_sampler_save_noise(sampler, &request, NULL, files->save_noise, err);
    if (!status)
        status = cm_sampler_run(sampler, &request, images, err);
    if (!status && *files->save_noise)
        status = cm_sampler_save_noise(sampler, &request, *images, files->save_noise, err);
    cm_sampler_free(sampler);
    if (status == CM_INTERRUPTED && w->made)
        return cli_fail(err, status,
                        "%s: stopped after %lld of %lld images; --continue goes on after them%s",
                        w->folder, (long long)w->made, (long long)w->num,
                        *files->save_noise ? "; their noise is not saved" : "");
    return status;
}

/* seed NULL: nothing came from one. */
static void say_drawn(const sample_files *files, const cm_images *images, const int64_t *seed,
                      double seconds)
{
    char from[2 * sizeof(cm_text)] = "";
    size_t n = 0;
    if (*files->noise)
        n = (size_t)snprintf(from, sizeof from, ", noise of %s", files->noise);
    if (seed)
        snprintf(from + n, sizeof from - n, ", seed %lld", (long long)*seed);
    cli_say(cli_is_pipe(files->out) ? stderr : stdout,
            "%s: %lld image%s in %.3f s (%.1f images/s)%s", files->out, (long long)images->n,
            images->n == 1 ? "" : "s", seconds, (double)images->n / seconds, from);
}

static cm_status generate(const cli_usage *usage, const sample_files *files, int quiet,
                          cm_sample_params *config, cm_error *err)
{
    cm_model *model = NULL;
    cm_images *images = NULL, *noise = NULL;
    cli_trajectory way = {.view = find_view(files->trajectory)};
    work w = {.way = &way, .folder = files->to_folder ? files->out : NULL};
    const int to_pipe = cli_is_pipe(files->out);
    cm_status status = cm_model_open(files->model, &model, err);
    if (!status)
        status = cli_check_sampling(usage, model, config, err);
    if (!status && files->captions)
        status = check_classes(model, err);
    if (!status)
        status = read_noise(usage, files, model, config, &noise, err);
    const cm_layout layout = {.size = sizeof layout,
                              .columns = (int)files->columns,
                              .scale = (int)files->scale,
                              .captions = files->captions,
                              .heading = files->heading,
                              .model = model};
    if (!status && !to_pipe)
        status = check_size(model, config->num, files->out, &layout, err);
    w.layout = &layout;
    w.hooks = cli_progress_of_work(&w.progress, quiet);
    w.start = w.progress.last_line = cli_seconds(); /* a line, where lines go, after a while */
    if (!status)
        status = sample(usage, files, model, config, noise, &w, &images, err);
    const double seconds = cli_seconds() - w.start;
    cli_progress_end(&w.progress);
    const drawing made = {images, &way, &layout};
    if (!status && !w.folder)
        status = to_pipe ? cli_pipe_write(write_drawing, &made, err)
                         : write_drawing(&made, files->out, err);
    if (!status && images)
        say_drawn(files, images, w.uses_seed ? &config->seed : NULL, seconds);
    cli_trajectory_clear(&way);
    cm_images_free(images);
    cm_images_free(noise);
    cm_model_free(model);
    return status;
}

cm_status cli_sample(int argc, char **argv, cm_error *err)
{
    sample_files files;
    cm_sample_params config;
    cli_quiet own;
    unsigned char given[2][cli_max_options] = {{0}};
    const cli_table tables[] = {{file_options, &files, given[0]},
                                {cm_sample_options(), &config, given[1]},
                                {cli_quiet_options, &own, NULL}};
    const cli_usage usage = {"cm sample", "--model MODEL --out X", text, tables, 3, groups};
    cm_options_defaults(file_options, &files);
    cm_options_defaults(cli_quiet_options, &own);
    files.to_folder = 0;
    config = cm_sample_default_params();
    cm_status status = cli_parse(&usage, argc, argv, NULL, err);
    if (!status)
        status = cli_require(&usage, "model", files.model, err);
    if (!status)
        status = cli_require(&usage, "out", files.out, err);
    if (!status)
        status = check_out(&usage, &files, &config, err);
    if (status)
        return status;
    cli_warn_threads(config.threads);
    return generate(&usage, &files, own.quiet, &config, err);
}
