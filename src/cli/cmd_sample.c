/* cmd_sample.c - cm sample: images from a model, into a grid, an archive or a folder */
#include "cli/cli.h"
#include "cli/edit_place.h"
#include "cli/pipe.h"
#include "cli/processes.h"
#include "cli/progress.h"
#include "cli/sample_files.h"
#include "cli/trajectory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

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
    {"merge", CM_OPT_FLAG, offsetof(sample_files, merge), "false", NULL, 0, 1, NULL,
     "draw nothing: join .npz files with the parts of a set (--of), which follow, into one"},
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
    "  cm sample --model M --noise noise.safetensors --out again.png\n"
    "  cm sample --model M --first 500 --num 500 --of 1000 --out part-1.npz\n"
    "  cm sample --merge --out all.npz part-0.npz part-1.npz\n"
    "  mpirun -n 4 cm sample --model M --num 50000 --class random --out all.npz\n";

static const cli_group groups[] = {
    {"Common options", "model out num class seed sampler"},
    {"Sampler", "steps ts sigmas s-churn s-tmin s-tmax s-noise"},
    {"Noise", "noise save-noise"},
    {"Output", "columns scale captions heading trajectory first continue"},
    {"Parts of a set", "of merge"},
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

static int is_archive(const char *out)
{
    const char *dot = strrchr(out, '.');
    return dot && !strcasecmp(dot, ".npz");
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
    if (files->to_folder || is_archive(files->out))
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

/* ---- drawing ---- */

/* What the library tells and asks while it draws. */
typedef struct work {
    cli_progress progress;
    cm_eval_hooks hooks; /* of it */
    double start;
    cli_trajectory way;
    const char *folder; /* images go there as they are done; NULL: at the end */
    cm_layout layout;
    int64_t made, of; /* images done; of the set that they are a part of, 0: no larger one */
    int uses_seed;
    int failed; /* to write one, which the other processes do not know */
    cm_model *model;
    cm_sampler *sampler;
    cm_request request;
    cm_images *noise, *images;
    char *origin;
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
    work *w = user;
    cli_trajectory_step(&w->way, first, n, sigma, x, denoised);
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
    const cm_status status = cm_images_write(&part, w->folder, &w->layout, err);
    w->made += status ? 0 : n;
    w->failed = status != CM_OK;
    return status;
}

/* What is wanted of the sampler. */
static cm_status make_request(const cli_usage *usage, const sample_files *files,
                              const cm_sample_params *config, work *w, cm_error *err)
{
    cm_model_facts facts = {.size = sizeof facts};
    cm_request *r = &w->request;
    r->num = config->num;
    w->of = config->of;
    r->first = config->first;
    r->seed = config->seed;
    r->progress = show;
    r->stop = should_stop;
    r->step = w->way.view ? note_step : NULL;
    r->made = w->folder ? write_made : NULL;
    r->user = w;
    w->way.num = config->num;
    cm_status status = cm_model_get_facts(w->model, &facts, err);
    w->way.size = (int64_t)facts.height * facts.width * facts.channels;
    w->uses_seed = sample_uses_seed(usage, w->noise, w->sampler);
    if (!status && w->noise)
        status = sample_noise_use(usage, files, w->noise, w->sampler, r, err);
    if (!status && is_archive(files->out) && !w->noise)
        status = cm_sampler_origin(w->sampler, r, &w->origin, err);
    w->layout.origin = w->origin;
    return status;
}

/* Of a small number of images, too, each process draws some. */
static void share_batch(const cm_group *group, cm_sample_params *config)
{
    const int64_t size = cm_group_size(group), each = (config->num + size - 1) / size;
    if (each < config->batch)
        config->batch = each;
}

/* All before the first image. */
static cm_status prepare(const cli_usage *usage, const sample_files *files,
                         cm_sample_params *config, work *w, cm_error *err)
{
    const int writes = !cm_group_rank(w->request.group);
    cm_status status = cm_model_open(files->model, &w->model, err);
    if (!status)
        status = cli_check_sampling(usage, w->model, config, err);
    if (!status && files->captions)
        status = check_classes(w->model, err);
    if (!status)
        status = sample_noise_read(usage, files, w->model, config, &w->noise, err);
    w->layout.model = w->model;
    if (!status && writes && !cli_is_pipe(files->out))
        status = check_size(w->model, config->num, files->out, &w->layout, err);
    share_batch(w->request.group, config);
    if (!status)
        status = cm_sampler_new(w->model, config, &w->sampler, err);
    if (!status)
        status = make_request(usage, files, config, w, err);
    if (!status && writes && *files->save_noise)
        status = cm_sampler_save_noise(w->sampler, &w->request, NULL, files->save_noise, err);
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

/* What is drawn, into its file. */
static cm_status write_made_all(const sample_files *files, const work *w, double seconds,
                                cm_error *err)
{
    const drawing made = {w->images, &w->way, &w->layout};
    const int to_pipe = cli_is_pipe(files->out);
    cm_status status = CM_OK;
    if (*files->save_noise)
        status = cm_sampler_save_noise(w->sampler, &w->request, w->images, files->save_noise, err);
    if (!status && !w->folder)
        status = to_pipe ? cli_pipe_write(write_drawing, &made, err)
                         : write_drawing(&made, files->out, err);
    if (!status)
        say_drawn(files, w->images, w->uses_seed ? &w->request.seed : NULL, seconds);
    return status;
}

/* With what draws the rest: classes of all are shared out over the set. */
static cm_status fail_stopped(const sample_files *files, const work *w, cm_error *err)
{
    char of[32] = "";
    const cm_request *r = &w->request;
    const int64_t set = w->of ? w->of : r->first ? 0 : r->num;
    if (set)
        snprintf(of, sizeof of, " --of %" PRId64, set);
    return cli_fail(err, CM_INTERRUPTED,
                    "%s: stopped after %" PRId64 " of %" PRId64 " images; --continue --num %" PRId64
                    "%s draws the others%s",
                    w->folder, w->made, r->num, r->num - w->made, of,
                    *files->save_noise ? "; their noise is not saved" : "");
}

/* Draw the images, and note the way to them. */
static cm_status draw(const sample_files *files, work *w, cm_error *err)
{
    const cm_status status = cm_sampler_run(w->sampler, &w->request, &w->images, err);
    const double seconds = cli_seconds() - w->start;
    const int writes = !cm_group_rank(w->request.group);
    cli_progress_end(&w->progress);
    if (status == CM_INTERRUPTED && w->made && writes)
        return fail_stopped(files, w, err);
    return status || !writes ? status : write_made_all(files, w, seconds, err);
}

static cm_status generate(const cli_usage *usage, const sample_files *files, int quiet,
                          cm_sample_params *config, cm_group *group, cm_error *err)
{
    work w = {.way = {.view = find_view(files->trajectory)},
              .folder = files->to_folder ? files->out : NULL,
              .request = cm_request_default(),
              .layout = {.size = sizeof w.layout,
                         .columns = (int)files->columns,
                         .scale = (int)files->scale,
                         .captions = files->captions,
                         .heading = files->heading}};
    w.request.group = group;
    w.hooks = cli_progress_of_work(&w.progress, quiet || cm_group_rank(group));
    w.start = w.progress.last_line = cli_seconds(); /* a line, where lines go, after a while */
    cm_status status = cm_group_agree(group, prepare(usage, files, config, &w, err), err);
    if (!status)
        status = draw(files, &w, err);
    cli_progress_end(&w.progress);
    if (!w.failed)
        status = cm_group_agree(group, status, err);
    cli_trajectory_clear(&w.way);
    cm_string_free(w.origin);
    cm_sampler_free(w.sampler);
    cm_images_free(w.images);
    cm_images_free(w.noise);
    cm_model_free(w.model);
    return status;
}

/* What several processes do not do together. */
static cm_status check_processes(const sample_files *files, const cm_group *group, cm_error *err)
{
    const char *alone = files->merge ? "merge" : *files->trajectory ? "trajectory" : NULL;
    if (cm_group_size(group) == 1)
        return CM_OK;
    if (!alone && cli_is_pipe(files->out)) /* a terminal of the launcher's */
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'out': expected a file or a folder, '-' is that of one process");
    if (!alone)
        return CM_OK;
    return cli_fail(err, CM_ERR_ARGUMENT,
                    "option '%s': is the work of one process, found %d that draw together", alone,
                    cm_group_size(group));
}

/* Where process 0 alone writes, the others look at a folder only to go on in it. */
static cm_status check(const cli_usage *usage, sample_files *files, cm_sample_params *config,
                       const cm_group *group, cm_error *err)
{
    cm_status status = check_processes(files, group, err);
    if (!status && !files->merge)
        status = cli_require(usage, "model", files->model, err);
    if (!status)
        status = cli_require(usage, "out", files->out, err);
    if (!status && !files->merge && (!cm_group_rank(group) || files->go_on))
        status = check_out(usage, files, config, err);
    if (!status && cm_group_size(group) > 1)
        config->threads = cm_group_threads(group, config->threads);
    return status;
}

static cm_status sample(int argc, char **argv, cm_group *group, cm_error *err)
{
    static const char *parts[sample_most_parts + 1];
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
    cm_status status = cli_parse_several(&usage, argc, argv, parts, sample_most_parts, err);
    if (!status && *parts && !files.merge)
        status = cli_fail(err, CM_ERR_ARGUMENT,
                          "argument '%s': expected an option; see 'cm sample --help'", *parts);
    if (!status)
        status = check(&usage, &files, &config, group, err);
    status = cm_group_agree(group, status, err);
    if (status)
        return status;
    if (files.merge)
        return sample_merge(&usage, files.out, parts, err);
    if (!cm_group_rank(group))
        cli_warn_threads(config.threads);
    return generate(&usage, &files, own.quiet, &config, group, err);
}

cm_status cli_sample(int argc, char **argv, cm_error *err)
{
    cm_group *group = NULL;
    const cm_status status = cli_processes_join(&group, err);
    return status ? status : sample(argc, argv, group, err);
}
