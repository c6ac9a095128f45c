/* cmd_edit.c - cm edit: pictures changed by a model that was not trained for it */
#include "cli/edit_place.h"
#include "cli/edit_tasks.h"
#include "cli/pipe.h"
#include "cli/signals.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const cm_option file_options[] = {
    {"model", CM_OPT_TEXT, offsetof(edit_files, model), "", NULL, 0, 0, "MODEL",
     "a .safetensors model or a run folder"},
    {"image", CM_OPT_TEXT, offsetof(edit_files, image), "", NULL, 0, 0, "IN",
     "a picture (PNG, JPEG, WebP) of any size, or a folder with them; of a subfolder called as a "
     "class of the model the pictures have that class, unless --class says"},
    {"to", CM_OPT_TEXT, offsetof(edit_files, to), "", NULL, 0, 0, "IN",
     "interpolate: the picture at the other end"},
    {"mask", CM_OPT_TEXT, offsetof(edit_files, mask), "", NULL, 0, 0, "FILE",
     "inpaint: a picture of any size, white where to fill"},
    {"box", CM_OPT_TEXT, offsetof(edit_files, box), "", NULL, 0, 0, "X,Y,W,H",
     "inpaint: fill these pixels of the picture"},
    {"fit", CM_OPT_TEXT, offsetof(edit_files, fit), "crop", "crop|pad|stretch", 0, 0, "HOW",
     "how a picture gets the model's size"},
    {"teacher", CM_OPT_TEXT, offsetof(edit_files, teacher), "", NULL, 0, 0, "MODEL",
     "invert, interpolate: the diffusion teacher whose ODE leads pictures to noise, where the "
     "model is a consistency model"},
    {"frames", CM_OPT_INT, offsetof(edit_files, frames), "8", NULL, 2, 10000, "N",
     "interpolate: images from end to end"},
    {"out", CM_OPT_TEXT, offsetof(edit_files, out), "", NULL, 0, 0, "X",
     "X.png, X.jpg or X.webp is the picture, or a grid of several; X.npz and X.safetensors hold "
     "arrays; - is that picture or grid as PNG to standard output; else a folder, with the "
     "subfolders of IN"},
    {"strip", CM_OPT_FLAG, offsetof(edit_files, strip), "false", NULL, 0, 1, NULL,
     "show the input, what the model sees of it and the results side by side"},
    {"columns", CM_OPT_INT, offsetof(edit_files, columns), "0", NULL, 0, 1e6, "N",
     "columns of a grid (0: square; a row a picture)"},
    {"scale", CM_OPT_INT, offsetof(edit_files, scale), "1", NULL, 1, 32, "N",
     "each pixel is drawn as N x N"},
    {"heading", CM_OPT_TEXT, offsetof(edit_files, heading), "", NULL, 0, 0, "TEXT",
     "a line above a grid or strip, and the Title of a PNG file; at most 511 bytes"},
    {0},
};

static const char *const of_sampling[] = {
    "num",    "class",  "seed",    "sampler", "steps", "ts",          "sigmas",  "s-churn",
    "s-tmin", "s-tmax", "s-noise", "dtype",   "batch", "micro-batch", "threads", NULL};
static const char *const of_edits[] = {"factor", "sigma", "strength", "to-seed", NULL};

static const char text[] =
    "Edit pictures with a model that was trained on such, but not for it.\n"
    "\n"
    "  inpaint      fill what --mask or --box covers; the rest stays byte for byte\n"
    "  colorize     give a gray picture colour; the luminance stays\n"
    "  upscale      enlarge a small picture; its pixels are the means of patches\n"
    "  denoise      take noise off, by --sigma or as much as there seems to be\n"
    "  stroke       make a picture of a rough drawing, as free as --strength says\n"
    "  vary         draw neighbours of a picture, as near as --strength says\n"
    "  interpolate  go from --image to --to, or from --seed to --to-seed\n"
    "  invert       find the noise that leads to a picture, and go back\n"
    "\n"
    "  cm edit inpaint --model M --image boot.png --box 8,8,12,12 --out whole.png\n"
    "  cm edit inpaint --model M --image photos --mask m.png --num 4 --out filled\n"
    "  cm edit upscale --model M --image tiny.png --num 4 --strip --out large.png\n"
    "  cm edit stroke --model M --image sketch.png --strength 0.6 --out x.png\n"
    "  cm edit interpolate --model M --class 9 --seed 1 --to-seed 2 --out way.png\n"
    "  cm edit invert --model TEACHER --image boot.png --out noise.safetensors\n";

static const cli_group groups[] = {
    {"Common options", "model image out num class seed strip"},
    {"Of one task", "mask box factor sigma strength to to-seed frames teacher"},
    {"Sampler", "sigmas ts sampler steps s-churn s-tmin s-tmax s-noise"},
    {"Output", "fit columns scale heading"},
    {"Machine", "dtype batch micro-batch threads"},
    {0},
};

/* ---- the tasks --------------------------------------------------------------- */

static const char *const of_one_task[] = {"mask",   "box",      "num", "factor",
                                          "sigma",  "strength", "to",  "to-seed",
                                          "frames", "teacher",  NULL};

static const edit_kind kinds[] = {
    {"inpaint", "mask box num", edit_run_pictures},
    {"colorize", "num", edit_run_pictures},
    {"upscale", "factor num", edit_run_pictures},
    {"denoise", "sigma", edit_run_denoise},
    {"stroke", "strength num", edit_run_pictures},
    {"vary", "strength num", edit_run_pictures},
    {"interpolate", "to to-seed frames teacher", edit_run_interpolate},
    {"invert", "teacher", edit_run_invert},
    {0},
};

static int is_word_of(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && (!at[n] || at[n] == ' '))
            return 1;
    return 0;
}

/* ---- before the work --------------------------------------------------------- */

/* 0 stands for what is not given, and would read as a value of its own. */
static cm_status check_not_zero(const edit_run *r, cm_error *err)
{
    const cm_edit *e = &r->edit;
    const struct {
        const char *name, *expected;
        int is_zero;
    } values[] = {
        {"factor", "2 or more", !e->factor},
        {"sigma", "the noise of the picture, more than 0", e->sigma <= 0},
        {"strength", "more than 0, which would change nothing, and at most 1", e->strength <= 0}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i].is_zero && cli_was_given(r->usage, values[i].name))
            return cli_fail(err, CM_ERR_ARGUMENT, "option '%s': expected %s, found 0",
                            values[i].name, values[i].expected);
    return CM_OK;
}

/* Of the options that some tasks take, those that are given are for this one. */
static cm_status check_task(const edit_run *r, cm_error *err)
{
    char tasks[128];
    for (const char *const *name = of_one_task; *name; name++) {
        size_t at = 0;
        if (!cli_was_given(r->usage, *name) || is_word_of(r->kind->takes, *name))
            continue;
        for (const edit_kind *k = kinds; k->task && at < sizeof tasks; k++)
            if (is_word_of(k->takes, *name))
                at += (size_t)snprintf(tasks + at, sizeof tasks - at, "%s%s", at ? ", " : "",
                                       k->task);
        return cli_fail(err, CM_ERR_ARGUMENT, "option '%s': has no effect here, it is for %s",
                        *name, tasks);
    }
    return CM_OK;
}

/* What the user gives has an effect. */
static cm_status check_used(const edit_run *r, cm_error *err)
{
    const edit_files *f = &r->files;
    const cm_status s = check_task(r, err);
    if (s)
        return s;
    if (*f->mask && *f->box)
        return cli_fail(err, CM_ERR_ARGUMENT, "options 'mask' and 'box': give one of them");
    if (cli_was_given(r->usage, "strength") && (*r->params.ts || *r->params.sigmas))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'strength': has no effect here, --ts or --sigmas give the noise "
                        "levels");
    if (f->strip && !*f->image)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'strip': has no effect here, it is for --image");
    if (f->strip && cli_was_given(r->usage, "columns"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'columns': has no effect here, a strip is a row a picture");
    return check_not_zero(r, err);
}

/* Of a task with one picture or more. */
static cm_status check_given(const edit_run *r, cm_error *err)
{
    const edit_files *f = &r->files;
    const int between = is_word_of(r->kind->takes, "to");
    if (is_word_of(r->kind->takes, "mask") && !*f->mask && !*f->box)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'mask': expected a picture that is white where to fill, or --box "
                        "x,y,w,h; found none");
    if (between && !*f->image != !*f->to)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "options 'image' and 'to': expected a picture at each end, found one");
    if (between && *f->to && cli_was_given(r->usage, "to-seed"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'to-seed': has no effect here, --to is the other end");
    if (between && !*f->to && *f->teacher)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'teacher': has no effect here, it is for --image and --to");
    return between ? CM_OK : cli_require(r->usage, "image", f->image, err);
}

static cm_status check_out(edit_run *r, cm_error *err)
{
    static const char *const of_picture[] = {"columns", "heading", "strip", NULL};
    const char *out = r->files.out, *dot = strrchr(out, '.');
    int64_t next = -1;
    const cm_status s =
        cli_is_pipe(out) ? cli_pipe_check(err) : cm_images_check_path(out, NULL, NULL, &next, err);
    if (s)
        return s;
    r->to_folder = next >= 0;
    const int arrays = dot && (!strcasecmp(dot, ".npz") || !strcasecmp(dot, ".safetensors"));
    for (int i = 0; of_picture[i]; i++)
        if (cli_was_given(r->usage, of_picture[i]) && (r->to_folder || arrays))
            return cli_fail(err, CM_ERR_ARGUMENT,
                            "option '%s': has no effect here, it is for a picture (.png)",
                            of_picture[i]);
    if (arrays && cli_was_given(r->usage, "scale"))
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'scale': has no effect here, it is for pictures");
    if (r->files.strip && dot && !strcasecmp(dot, ".gif") && cli_was_given(r->usage, "heading"))
        return cli_fail(
            err, CM_ERR_ARGUMENT,
            "option 'heading': has no effect here, the frames of a strip have their own");
    return edit_place_check(out, r->files.image, r->files.to, r->files.mask, err);
}

/* ---- all of it --------------------------------------------------------------- */

static cm_status open_models(edit_run *r, cm_error *err)
{
    cm_model_facts facts = {.size = sizeof facts};
    cm_status s = cm_model_open(r->files.model, &r->model, err);
    r->facts.size = sizeof r->facts;
    if (!s)
        s = cm_model_get_facts(r->model, &r->facts, err);
    if (!s && !*r->files.teacher) /* of two models what is given may be for the other */
        s = cli_check_sampling(r->usage, r->model, &r->params, err);
    if (s || !*r->files.teacher)
        return s;
    if (!r->facts.is_consistency && !r->facts.steps) /* else the task says what it needs */
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "option 'teacher': has no effect here, the model is a teacher itself");
    s = cm_model_open(r->files.teacher, &r->teacher, err);
    if (!s)
        s = cm_model_get_facts(r->teacher, &facts, err);
    if (!s && (facts.is_consistency || facts.steps))
        return cli_fail(
            err, CM_ERR_ARGUMENT, "option 'teacher': %s: expected a diffusion teacher, found a %s",
            r->files.teacher, facts.steps ? "few-step diffusion model" : "consistency model");
    if (!s && (facts.height != r->facts.height || facts.width != r->facts.width ||
               facts.channels != r->facts.channels || facts.classes != r->facts.classes))
        return cli_fail(
            err, CM_ERR_ARGUMENT,
            "option 'teacher': %s: expected images of %d x %d channels and classes %d and "
            "%d, as the model has, found %d x %d, %d and %d",
            r->files.teacher, r->facts.width, r->facts.height, r->facts.channels, r->facts.classes,
            facts.width, facts.height, facts.channels, facts.classes);
    return s;
}

static cm_status read_pictures(edit_run *r, cm_error *err)
{
    const edit_files *f = &r->files;
    const edit_wish wish = {.image = f->image,
                            .to = f->to,
                            .mask = f->mask,
                            .box = f->box,
                            .fit = f->fit,
                            .takes_factor = is_word_of(r->kind->takes, "factor"),
                            .factor = r->edit.factor,
                            .model = r->model,
                            .facts = r->facts};
    if (!*f->image)
        return CM_OK;
    cm_status s = edit_pictures_read(&wish, &r->pictures, err);
    if (!s && *f->to && r->pictures.n != 2)
        return cli_fail(err, CM_ERR_ARGUMENT, "option 'image': expected one picture with --to");
    const size_t bytes =
        (size_t)r->facts.height * (size_t)r->facts.width * (size_t)r->facts.channels;
    r->seen = s ? NULL : calloc((size_t)r->pictures.n, bytes);
    return s || r->seen ? s : cli_fail(err, CM_ERR_MEMORY, "pictures: out of memory");
}

/* All that is known of the results before they are made. */
static cm_status prepare_results(edit_run *r, cm_error *err)
{
    const edit_files *f = &r->files;
    const int between = is_word_of(r->kind->takes, "frames");
    r->result.each = between ? f->frames : is_word_of(r->kind->takes, "num") ? r->params.num : 1;
    r->result.pictures = &r->pictures;
    r->result.seen = r->seen;
    r->result.out = f->out;
    r->result.strip = f->strip;
    r->result.layout = cm_layout_default();
    r->result.layout.columns = (int)f->columns;
    r->result.layout.scale = (int)f->scale;
    r->result.layout.heading = f->heading;
    r->result.layout.model = r->model;
    return edit_output_check(&r->result, between ? f->frames : r->pictures.n * r->result.each,
                             &r->facts, err);
}

static cm_status make_results(edit_run *r, cm_error *err)
{
    const edit_files *f = &r->files;
    edit_place place = {.lock = -1};
    cm_status s = r->to_folder ? edit_place_take(&place, f->out, err) : CM_OK;
    const double start = cli_seconds();
    if (!s)
        s = r->kind->run(r, err);
    if (s == CM_INTERRUPTED)
        cli_fail(err, s, "%s: stopped, nothing was written", f->out);
    const double seconds = cli_seconds() - start;
    r->result.images = r->images;
    if (!s)
        s = edit_write(&r->result, err);
    if (!s)
        cli_say(cli_is_pipe(f->out) ? stderr : stdout,
                "%s: %s, %lld image%s in %.3f s%s, seed %lld", f->out, r->kind->task,
                (long long)r->images->n, r->images->n == 1 ? "" : "s", seconds, r->note,
                (long long)r->params.seed);
    edit_place_leave(&place);
    return s;
}

static cm_status edit_all(edit_run *r, cm_error *err)
{
    cm_status s = open_models(r, err);
    if (!s)
        s = read_pictures(r, err);
    if (!s)
        s = prepare_results(r, err);
    if (!s)
        s = make_results(r, err);
    cm_images_free(r->images);
    edit_pictures_free(&r->pictures);
    free(r->seen);
    free(r->labels);
    cm_model_free(r->model);
    cm_model_free(r->teacher);
    return s;
}

static cm_status find_kind(edit_run *r, const char *task, cm_error *err)
{
    cm_error why = {0};
    if (!task)
        return cli_fail(err, CM_ERR_ARGUMENT,
                        "argument TASK: expected one, such as inpaint, found none; see '%s --help'",
                        r->usage->command);
    if (cm_options_set(cm_edit_options(), &r->edit, "task", task, &why))
        return cli_fail(err, CM_ERR_ARGUMENT, "argument %s", why.message + strlen("option "));
    for (r->kind = kinds; strcmp(r->kind->task, task) != 0;)
        r->kind++;
    return CM_OK;
}

/* "inpaint|colorize|... --model MODEL --image IN --out X" */
static void list_tasks(char *line, size_t size)
{
    size_t at = 0;
    for (const edit_kind *k = kinds; k->task && at < size; k++)
        at += (size_t)snprintf(line + at, size - at, "%s%s", at ? "|" : "", k->task);
    if (at < size)
        snprintf(line + at, size - at, " --model MODEL --image IN --out X");
}

static cm_option *option_of(cm_option *table, const char *name)
{
    while (table->name && strcmp(table->name, name) != 0)
        table++;
    return table->name ? table : NULL;
}

/* Those of sampling and of edits, of which some mean another thing here or begin elsewhere. */
static void take_options(cm_option sampling[cli_most_taken], cm_option edits[cli_most_taken],
                         cm_sample_params *params)
{
    static const struct {
        const char *name, *initial, *metavar, *help;
    } ours[] = {
        {"num", "1", "K", "candidates of each picture"},
        {"class", ":auto", "C|all|random|auto",
         "a class by name or number, a list of them or all (shared out over the candidates), "
         "random, or auto: the one that the picture looks like to the model"},
        {"seed", "0", "N",
         "the k-th candidate depends on the seed, its picture, its class and k only"},
        {"sigmas", "", "LIST",
         "noise levels of a consistency model, falling, e.g. 80,24,8 (default: "
         "those that suit the task)"},
        {"factor", "", "N",
         "upscale: sides of the result over those of the picture, which say it where it is not "
         "given"},
        {"sigma", "", "X",
         "denoise: noise of the picture, of values in [-1, 1] (default: estimated)"},
        {"strength", "", "X",
         "stroke, vary: how much is made anew, above 0 and up to 1 (default: 0.59, 0.4)"},
    };
    cli_take_options(sampling, cm_sample_options(), of_sampling);
    cli_take_options(edits, cm_edit_options(), of_edits);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        cm_option *o = option_of(sampling, ours[i].name);
        o = o ? o : option_of(edits, ours[i].name);
        o->initial = ours[i].initial;
        o->metavar = ours[i].metavar;
        o->help = ours[i].help;
    }
    params->num = 1;
    snprintf(params->label, sizeof params->label, ":auto");
}

cm_status cli_edit(int argc, char **argv, cm_error *err)
{
    edit_run r = {.edit = cm_edit_default(""), .params = cm_sample_default_params()};
    cm_option sampling[cli_most_taken], edits[cli_most_taken];
    unsigned char given[3][cli_max_options] = {{0}};
    const char *task = NULL;
    const cli_table tables[] = {{file_options, &r.files, given[0]},
                                {edits, &r.edit, given[1]},
                                {sampling, &r.params, given[2]}};
    char arguments[256];
    const cli_usage usage = {"cm edit", arguments, text, tables, 3, groups};
    list_tasks(arguments, sizeof arguments);
    r.usage = &usage;
    r.result.seen_as = "seen";
    cm_options_defaults(file_options, &r.files);
    take_options(sampling, edits, &r.params);
    cm_status s = cli_parse(&usage, argc, argv, &task, err);
    if (!s)
        s = find_kind(&r, task, err);
    if (!s)
        s = cli_require(&usage, "model", r.files.model, err);
    if (!s)
        s = cli_require(&usage, "out", r.files.out, err);
    if (!s)
        s = check_used(&r, err);
    if (!s)
        s = check_given(&r, err);
    if (!s)
        s = check_out(&r, err);
    if (s)
        return s;
    cli_warn_threads(r.params.threads);
    cli_catch_signals();
    return edit_all(&r, err);
}
