/* cm.h - consistency models in C: train, distil and sample one-step image
 * generators.
 *
 *     #include <cm.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         cm_error err = {CM_OK, ""};
 *         cm_model *model = NULL;
 *         cm_images *images = NULL;
 *         cm_sample_params params = cm_sample_default_params();
 *         params.num = 1;
 *         params.seed = 7;
 *         if (cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err) ||
 *             cm_sample(model, &params, &images, &err) ||
 *             cm_images_write(images, "one_image.png", NULL, &err))
 *             fprintf(stderr, "%s\n", err.message);
 *         cm_images_free(images);
 *         cm_model_free(model);
 *         return (int)err.status;
 *     }
 *
 * Conventions.  A call that can fail returns a cm_status and, when that is not CM_OK, one
 * line in *err (NULL allowed) that names the file or the field, what was expected and what
 * was found.  Every value is checked before anything is begun: pointers are not NULL unless
 * a comment allows it, texts end, numbers are finite and in range; else CM_ERR_ARGUMENT.
 * Out-parameters are written only on success.  Every object has one owner and one _free
 * function, which accepts NULL.
 *
 * A struct begins with its size, from which the library knows the version of this header
 * that a program was compiled with: cm_..._default sets it, and `x.size = sizeof x` does.
 *
 * Threads.  A model is never changed after it was opened: any number of threads share it.  A
 * sampler and all other objects are used by one thread at a time.  The library prints
 * nothing, never exits, keeps no global mutable state and leaves signals, locale and
 * environment alone; it works in the child of a fork and within OpenMP regions.
 *
 * Source: Song, Dhariwal, Chen, Sutskever 2023, "Consistency Models"
 * (arXiv 2303.01469); Karras et al. 2022, "EDM" (arXiv 2206.00364). */
#ifndef CM_H
#define CM_H

#include "cm_options.h"
#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CM_VERSION "0.1.0"

/* ---- models ------------------------------------------------------------- */

/* A network with its weights, noise schedule and kind (teacher or consistency
 * model), read from a .safetensors file whose metadata holds the configuration, a
 * released PyTorch checkpoint, which its name tells (cd_imagenet64_l2.pt; docs/models.md),
 * or a run folder (its newest checkpoint, first weight average). */
typedef struct cm_model cm_model;

/* Errors: CM_ERR_IO, CM_ERR_FORMAT (what was expected and found), CM_ERR_MEMORY. */
CM_API cm_status cm_model_open(const char *path, cm_model **model, cm_error *err);
/* The bytes of a .safetensors file; they are not needed afterwards. */
CM_API cm_status cm_model_open_memory(const void *bytes, size_t size, cm_model **model,
                                      cm_error *err);
/* The network of a configuration file (JSON, the field names of the original code)
 * with random first weights, as a consistency model: for timing.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
CM_API cm_status cm_model_random(const char *config_json, int64_t seed, cm_model **model,
                                 cm_error *err);
CM_API void cm_model_free(cm_model *model);

typedef struct cm_model_facts {
    size_t size;                 /* of this struct; set by the caller */
    int height, width, channels; /* of the images */
    int classes;                 /* 0: not class-conditional */
    int is_consistency;          /* 0: a diffusion model */
    int steps;                   /* of sampling, that it was distilled to (pd); 0: any */
    int64_t parameters;          /* numbers that were trained */
} cm_model_facts;
CM_API cm_status cm_model_get_facts(const cm_model *model, cm_model_facts *facts, cm_error *err);
/* The number of the class of this name, which of a model without names is the number; -1: none. */
CM_API int64_t cm_model_class(const cm_model *model, const char *name);

/* Describe a model, a run folder, any .safetensors or PyTorch file, as lines for people or as a
 * JSON object.  *text is freed with cm_string_free. */
CM_API cm_status cm_describe(const char *path, char **text, cm_error *err);
CM_API cm_status cm_describe_json(const char *path, char **text, cm_error *err);
CM_API void cm_string_free(char *text);

/* Check a model, a run folder, any .safetensors or PyTorch file before use: the header against
 * the rules of the format, every size, and of a model that its weights are finite and those of its
 * configuration; of a run, that a checkpoint is whole and holds a model.  CM_OK: all is well.
 * Errors: CM_ERR_FORMAT says what is wrong, CM_ERR_IO, CM_ERR_MEMORY. */
CM_API cm_status cm_validate(const char *path, cm_error *err);

/* Run the raw network F on tensors from a file: x f32 [N,C,H,W], timesteps f32
 * [N] (already rescaled: 250 ln sigma), y int64 [N] for class-conditional
 * networks; writes out f32 [N,C,H,W].  config_json may be NULL when the weights
 * carry their configuration.  dtype is "f32" or "bf16". */
CM_API cm_status cm_forward(const char *weights, const char *config_json, const char *input,
                            const char *output, const char *dtype, int threads, cm_error *err);

/* Look at the data that config would train on: each line of the summary goes to `line`
 * (images by kind, classes, size, warnings, each file left out and why; mean and standard
 * deviation, copies; the presets and which is nearest).  pack: NULL, or the safetensors file to
 * write the decoded set to, which trains without decoding.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
CM_API cm_status cm_data(const cm_train_params *config, const char *pack,
                         void (*line)(void *user, const char *text), void *user, cm_error *err);

typedef struct cm_group cm_group; /* several processes, below */

/* ---- sampling ----------------------------------------------------------- */

/* n images.  Those that the library gives are freed with cm_images_free; a program may fill
 * in a struct of its own and have that written. */
typedef struct cm_images {
    size_t size;     /* of this struct */
    int64_t n;       /* images */
    int h, w, c;     /* height, width, channels: 1 gray, 3 RGB */
    uint8_t *pixels; /* [n,h,w,c], 0..255 */
    float *values;   /* the same within [-1,1], not rounded; NULL: not asked for */
    float *noise; /* [draws,n,h,w,c] of a file of noise, or of invert, what leads to them; NULL */
    int64_t *labels;      /* [n], the class of each, -1: none; NULL: none of all (a caller's own) */
    int64_t first, draws; /* index of the first, also in a folder; of noise that was read, else 0 */
} cm_images;
CM_API void cm_images_free(cm_images *images);

/* A prepared session: the network compiled for batches, packed weights and all memory, so
 * that a request costs little more than the network.  It keeps the model, which must outlive
 * it, and does not keep params; of these batches are min(num, batch) images, and num and
 * seed have no other meaning here.  It is used by one thread at a time.
 * Errors: CM_ERR_ARGUMENT (settings that do not fit the model), CM_ERR_UNSUPPORTED (dtype),
 * CM_ERR_MEMORY. */
typedef struct cm_sampler cm_sampler;
CM_API cm_status cm_sampler_new(const cm_model *model, const cm_sample_params *params,
                                cm_sampler **sampler, cm_error *err);
CM_API void cm_sampler_free(cm_sampler *sampler);

/* What of pictures an edit keeps, from which the model makes the rest (docs/editing.md): image i
 * of n goes by picture i * pictures / n, and k-th images of all pictures have the same noise.
 * cm_edit_options describes the fields down to to_seed; each is refused where its task has no
 * use for it.  The session's sigmas or ts are the noise levels; without them they are the
 * model's own for the task. */
typedef struct cm_edit {
    size_t size;     /* of this struct; set by cm_edit_default */
    cm_text task;    /* inpaint colorize upscale denoise stroke vary interpolate invert */
    int64_t factor;  /* upscale: sides of the model's images over those of the picture */
    double sigma;    /* denoise: noise of the picture, of values in [-1,1] (cm_images_noise) */
    double strength; /* stroke, vary: 0 to 1, how much is made anew (0: as the task does) */
    int64_t to_seed; /* interpolate: where it leads from the request's seed, without ends */
    const cm_images *image; /* the pictures, of the model's shape; NULL for interpolate */
    const cm_images *mask;  /* inpaint: 1 channel, one for each or one for all; from 128 filled */
    const float *ends;      /* interpolate: noises [2,h,w,c], such as the cm_images.noise of two */
    uint8_t *seen;          /* [pictures,h,w,c] gets what the model is told; NULL allowed */
} cm_edit;
CM_API const cm_option *cm_edit_options(void);
CM_API cm_edit cm_edit_default(const char *task);

/* What is wanted of a session. */
typedef struct cm_request {
    size_t size;           /* of this struct; set by cm_request_default */
    int64_t num;           /* images, 1 to 1e7; cm_request_default: 1 */
    int64_t first;         /* index of the first: image i of a seed is the same in any request */
    int64_t seed;          /* 0 to 9e15 */
    const int64_t *labels; /* [num], a class each, or -1 of an edit: told from its picture; NULL:
                              as the params of the session say */
    const float *noise;    /* [draws,num,h,w,c] from N(0, 1): draw 0, times the first sigma, is
                              x_T, the others are added later; NULL: from the seed */
    int64_t draws;         /* of noise: 1 to cm_sampler_draws, further ones are from the seed; 0
                              without noise */
    int as_float;          /* 1: give cm_images.values too */
    const cm_edit *edit;   /* NULL: images of noise alone */
    /* Told after each run of the network, in runs on one image; NULL allowed. */
    void (*progress)(void *user, int64_t done, int64_t all);
    /* Asked before each; non-zero: CM_INTERRUPTED.  NULL allowed. */
    int (*stop)(void *user);
    /* Told each step of the way of images first to first + n - 1 of the request: x at a noise
     * level and what D(x, sigma) makes of it, both [n,h,w,c].  NULL allowed. */
    void (*step)(void *user, int64_t first, int64_t n, double sigma, const double *x,
                 const double *denoised);
    void *user; /* handed to all */
    /* Told as images are done, in order: first to first + n - 1 of the request, all of which are
     * in images.  What it answers but CM_OK ends the call with it.  NULL allowed. */
    cm_status (*made)(void *user, const cm_images *images, int64_t first, int64_t n, cm_error *err);
    /* Who draws together, each a share of the images; all make the same request, of pixels without
     * edit and step.  Process 0 gets the images and is told of them; an error of `made` is its own,
     * any other has been agreed on (cm_group_agree).  NULL: this process alone. */
    cm_group *group;
} cm_request;
CM_API cm_request cm_request_default(void);

/* Draws of noise an image that the session's sampler takes; 0: sampler is NULL. */
CM_API int64_t cm_sampler_draws(const cm_sampler *sampler);

/* Generate request->num images.  *images is NULL or images that the library gave, which are
 * filled again where their shape fits, so that nothing is allocated, and else freed; after an error
 * they are still the caller's, their pixels of no use.  Image i is a function of (model,
 * sampler and its settings, dtype, seed, the class of image i, i) only: the same bits for
 * every num, batch, micro_batch and number of threads.  That holds for one instruction set
 * and one oneDNN; another of either gives images that are equal to rounding.  Errors:
 * CM_ERR_ARGUMENT (class out of range, noise that is not finite), CM_ERR_NUMERIC,
 * CM_ERR_MEMORY, CM_INTERRUPTED. */
CM_API cm_status cm_sampler_run(cm_sampler *sampler, const cm_request *request, cm_images **images,
                                cm_error *err);

/* What the images of a request are, as JSON: their model (a hash of its weights), sampler, noise
 * levels, dtype, seed, classes, first, num and the set of which they are a part; *text is freed
 * with cm_string_free.  In files it says which images cm_images_merge may join. Errors:
 * CM_ERR_ARGUMENT (of a request with noise, labels or an edit), CM_ERR_MEMORY. */
CM_API cm_status cm_sampler_origin(const cm_sampler *sampler, const cm_request *request,
                                   char **text, cm_error *err);

/* Write all noise of a request and the labels of its images (NULL: only see whether path can be
 * written) for cm_images_read_noise.  Errors: CM_ERR_ARGUMENT, CM_ERR_IO, CM_ERR_MEMORY. */
CM_API cm_status cm_sampler_save_noise(const cm_sampler *sampler, const cm_request *request,
                                       const cm_images *images, const char *path, cm_error *err);

/* All in one call: params->num images, from index 0 on, of params->seed.  Errors: as of
 * cm_sampler_new and cm_sampler_run. */
CM_API cm_status cm_sample(const cm_model *model, const cm_sample_params *params,
                           cm_images **images, cm_error *err);

/* Whether the setting of this name (of cm_sample_options) changes anything beside the others, with
 * this model; else as cm_train_check_used. */
CM_API cm_status cm_sample_check_used(const cm_model *model, const cm_sample_params *params,
                                      const char *name, cm_error *err);

/* How images are put into files. */
enum { CM_MOST_COLUMNS = 1000000, CM_MOST_SCALE = 32 };
typedef struct cm_layout {
    size_t size;  /* of this struct; set by cm_layout_default */
    int columns;  /* of a grid; 0: square; -1 (cm_images_encode): one image, no gaps */
    int scale;    /* of a grid: each pixel becomes scale x scale, at least 1 */
    int captions; /* of a grid: 1: the class below each image, cut where it is too long */
    const char *const *texts; /* [n], UTF-8: captions in place of the classes; NULL: none */
    const char *heading;   /* of a grid: a line above, and the Title of a PNG; UTF-8; NULL: none */
    const cm_model *model; /* has the names of the classes; NULL: they are numbers */
    const char *origin;    /* of .npz: what cm_sampler_origin says of the images; NULL: nothing */
} cm_layout;
CM_API cm_layout cm_layout_default(void);

/* Ask this before the work: whether cm_images_write can write to path, and whether what is
 * expected (its n, h, w, c; NULL: not known) fits.  *next: of a folder the number after its
 * last sample, 0 where it has none; of a file -1.
 * Errors: CM_ERR_ARGUMENT (no kind that is known, too large), CM_ERR_IO. */
CM_API cm_status cm_images_check_path(const char *path, const cm_images *expected,
                                      const cm_layout *layout, int64_t *next, cm_error *err);

/* Write a grid (.png, .jpg, .webp), an animation (.gif: a frame a column of the grid, headed by
 * its first text; columns 0: a frame an image), arr_0 and arr_1 (.npz), or one PNG an image (a
 * folder, made when missing: 000012_cat.png, the index and the class).  A file appears whole or
 * not at all, and replaces pictures only (.npz: archives).  layout NULL: as cm_layout_default.
 * Errors: also CM_ERR_ARGUMENT (a label below -1 or that layout->model has no class for). */
CM_API cm_status cm_images_write(const cm_images *images, const char *path, const cm_layout *layout,
                                 cm_error *err);
/* That grid in memory.  kind: "png", "jpeg", "webp" or "gif".  *bytes is freed with cm_bytes_free.
 */
CM_API cm_status cm_images_encode(const cm_images *images, const char *kind,
                                  const cm_layout *layout, void **bytes, size_t *size,
                                  cm_error *err);
CM_API void cm_bytes_free(void *bytes);
/* One image from the bytes of a file, or from a file: gray or RGB, label -1; its kind is
 * known by the first bytes.  *images as of cm_sampler_run.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
CM_API cm_status cm_images_decode(const void *bytes, size_t size, cm_images **images,
                                  cm_error *err);
CM_API cm_status cm_images_read(const char *path, cm_images **images, cm_error *err);
/* The n .npz files of the parts of a set (of: docs/many-machines.md), in any order, as the set:
 * *images and *origin (freed with cm_string_free) are what drawing it at once gives.  Errors:
 * CM_ERR_FORMAT (no part of a set, of another set than the first, images that two have or none),
 * CM_ERR_IO, CM_ERR_MEMORY. */
CM_API cm_status cm_images_merge(int n, const char *const *paths, cm_images **images, char **origin,
                                 cm_error *err);
/* The noise of a .safetensors file (docs/methods.md) for images of the model: finite, labels all
 * classes or all -1; pixels are black.  Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
CM_API cm_status cm_images_read_noise(const cm_model *model, const char *path, cm_images **images,
                                      cm_error *err);
/* The files of a folder and of those in it, as cm_data finds them, sorted folder by folder: `file`
 * is told the path of each, its class (the subfolder of `folder` that it is in; NULL: none) and
 * why it is not to be read (NULL: it is, and may be a picture).  Where it returns another status
 * than CM_OK the list ends with that.  Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
CM_API cm_status cm_images_list(const char *folder,
                                cm_status (*file)(void *user, const char *path, const char *name,
                                                  const char *why_not, cm_error *err),
                                void *user, cm_error *err);

/* The images as h x w with c channels, 1 or 3.  fit is "crop" (cover, cut out the centre),
 * "pad" (fit within, the border as the corners are) or "stretch"; 28 x 28 in 32 x 32 get a border
 * of zeros, as in training.  nearest 1: pixels are picked, as of masks. */
CM_API cm_status cm_images_resize(const cm_images *images, int h, int w, int c, const char *fit,
                                  int nearest, cm_images **resized, cm_error *err);
/* The noise level of image i, estimated from its pixels; docs/editing.md says how well. */
CM_API cm_status cm_images_noise(const cm_images *images, int64_t i, double *sigma, cm_error *err);

/* ---- several processes -------------------------------------------------- */

/* The processes that mpirun or srun started together: each calls these functions, and cm_train,
 * cm_sampler_run and cm_eval, in the same order.  NULL is a process alone.  docs/many-machines.md
 */
/* Meet the others.  Errors: CM_ERR_UNSUPPORTED (there is no MPI for it), CM_ERR_MEMORY. */
CM_API cm_status cm_group_join(cm_group **group, cm_error *err);
CM_API int cm_group_rank(const cm_group *group); /* 0 to size - 1 */
CM_API int cm_group_size(const cm_group *group);
/* The threads of this process where so many are asked for; 0: the cores that it may use, which
 * processes on the same ones share. */
CM_API int cm_group_threads(const cm_group *group, int64_t asked);
/* Each returns the error of the first process that has one.  Its message, which names the process
 * where that is not 0, is in process 0's err; that of others is empty.  After an error all that is
 * left to do is to leave. */
CM_API cm_status cm_group_agree(cm_group *group, cm_status status, cm_error *err);
/* The last call, with the status of this process; frees the group.  Where all agreed on that, or
 * it is CM_OK, it waits for the others; an error of this one alone ends them all. */
CM_API void cm_group_leave(cm_group *group, cm_status status);

/* ---- training ----------------------------------------------------------- */

typedef struct cm_train_progress {
    size_t size;                /* of this struct; set by the library */
    int64_t step, steps;        /* done, in all */
    double loss;                /* mean since the last report */
    double images_per_s, eta_s; /* speed; seconds left */
    int scales;                 /* N(k), 0 for edm */
    int64_t drawn, to_draw;     /* while samples are drawn: runs of the network on one image,
                                   done and in all; else 0 */
    const char *event;          /* NULL, or what just happened: "saved runs/x/ckpt/00002000" */
} cm_train_progress;

/* What cm_train_hooks.stop answers. */
enum {
    CM_TRAIN_GO_ON,
    CM_TRAIN_STOP, /* save and return CM_INTERRUPTED */
    CM_TRAIN_SAVE  /* save and go on */
};

typedef struct cm_train_hooks {
    size_t size;                                              /* of this struct */
    void (*progress)(void *user, const cm_train_progress *p); /* NULL allowed */
    int (*stop)(void *user); /* asked after each step, and between runs of the network in
                                pictures and before the first step; NULL allowed */
    void *user;              /* handed to both */
    cm_group *group;         /* who trains together; NULL: this process alone */
} cm_train_hooks;

/* Train a model into params->out.  The same settings, data and instruction set give the same
 * bits, run to run, with any number of threads; batch and accumulate are part of the result,
 * since they order the sums over samples.  resume continues the run found there bit for bit.
 * Its settings are then those of RUN/config.json
 * (cm_options_read), of which steps, threads, recompute, shard, max-minutes, keep, sample-scale,
 * the eval-* and *-every settings and paths may be changed; another difference is CM_ERR_ARGUMENT,
 * as is a run that is there already without resume.  Errors: CM_ERR_NUMERIC names the step and the
 * first node that was not finite; nothing of it is saved.  CM_INTERRUPTED: hooks->stop said so, and
 * the steps that were done are saved.  hooks may be NULL. */
CM_API cm_status cm_train(const cm_train_params *params, int resume, const cm_train_hooks *hooks,
                          cm_error *err);

/* Whether the setting of this name (of cm_train_options) changes anything beside the others:
 * for a program whose user has given it.  Errors: CM_ERR_ARGUMENT says what it is for. */
CM_API cm_status cm_train_check_used(const cm_train_params *config, int resume, const char *name,
                                     cm_error *err);

/* ---- evaluation --------------------------------------------------------- */

/* Settings; likewise cm_eval_options.  docs/evaluation.md has the scores and their sources. */
typedef struct cm_eval_params {
    size_t size;               /* of this struct; set by cm_eval_default_params */
    cm_text ref;               /* real images, or statistics of some: a path */
    cm_text samples, model;    /* images to judge, or the model that draws them */
    cm_text features, weights; /* the network whose features are compared; its file */
    int lpips;                 /* instead LPIPS of pairs: the i-th of samples and of ref */
    cm_text lpips_weights;     /* VGG16 is in weights, what LPIPS adds to it in this */
    cm_text train, test;       /* images that samples may be copies of; images that are none */
    cm_text nearest;           /* a PNG of samples beside the nearest of train */
    cm_text save_stats;        /* where the statistics of ref are written */
    int64_t kept;              /* images of each set that are compared in pairs */
    int json;                  /* the text is a JSON object */
} cm_eval_params;
CM_API const cm_option *cm_eval_options(void);
CM_API cm_eval_params cm_eval_default_params(void);
typedef struct cm_eval_hooks { /* functions may be NULL */
    size_t size;               /* of this struct */
    void (*progress)(void *user, const char *what, double done, double eta_s); /* done: 0 to 1 */
    int (*stop)(void *user); /* non-zero: CM_INTERRUPTED */
    void *user;              /* handed to both */
    cm_group *group;         /* of cm_eval: who looks at the images together; NULL: this alone */
} cm_eval_hooks;

/* Score samples; *text is freed with cm_string_free.  sampling also has the batch and
 * threads; hooks may be NULL.  With a group *text is NULL in all processes but 0; errors are to be
 * agreed on.  Errors: also CM_ERR_UNSUPPORTED (no OpenBLAS), CM_INTERRUPTED. */
CM_API cm_status cm_eval(const cm_eval_params *params, const cm_sample_params *sampling,
                         const cm_eval_hooks *hooks, char **text, cm_error *err);

/* Settings of a search for noise levels; likewise cm_tune_options. */
typedef struct cm_tune_params {
    size_t size;                  /* of this struct; set by cm_tune_default_params */
    cm_text model, data, weights; /* a file; real pictures; the classifier that judges */
    cm_text task;                 /* list of inpaint, colorize, upscale (empty: those), or sample */
    cm_text classes;              /* of the pictures: auto, as cm edit tells them, or the data's */
    cm_text out, log, plot; /* where the model is written with them; of sample: scores; a picture */
    int64_t num, most, factor, evaluations; /* pictures; at most an edit; upscale; of sample */
    int64_t seed, batch, threads;
} cm_tune_params;
CM_API const cm_option *cm_tune_options(void);
CM_API cm_tune_params cm_tune_default_params(void);

/* Edit pictures, or sample, with one noise level after another and more of them, and judge that
 * (docs/editing.md, docs/methods.md); each row of a table goes to `line`, NULL allowed.  out, a new
 * file or a model to replace, appears whole or not at all and has the weights of the model.  The
 * same settings give the same table.  hooks may be NULL.  Errors: as of cm_eval. */
CM_API cm_status cm_tune(const cm_tune_params *params, const cm_eval_hooks *hooks,
                         void (*line)(void *user, const char *text), void *user, cm_error *err);

/* ---- pictures of runs --------------------------------------------------- */

/* Settings of a plot; likewise cm_plot_options. */
typedef struct cm_plot_params {
    size_t size;   /* of this struct; set by cm_plot_default_params */
    cm_text out;   /* the file: .png or .svg */
    cm_text x;     /* steps, or time (of training) */
    cm_text what;  /* list of loss, grad-norm, lr, N, mu, images/s, scores (all other numbers) and
                      keys of log.jsonl, a panel each; empty: all that is logged */
    double smooth; /* part of the x axis over which noisy lines are averaged; 0: they are not */
} cm_plot_params;
CM_API const cm_option *cm_plot_options(void);
CM_API cm_plot_params cm_plot_default_params(void);

/* Draw what n runs logged (folders, or files like log.jsonl), 1 to 28, in one picture, which
 * appears whole or not at all and is a function of the logs and their names.  Lines of a log
 * that are none are skipped, and `line` (NULL allowed) is told how many.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_IO, CM_ERR_FORMAT (nothing to draw), CM_ERR_MEMORY. */
CM_API cm_status cm_plot(const char *const *runs, int n, const cm_plot_params *params,
                         void (*line)(void *user, const char *text), void *user, cm_error *err);

/* ---- looking inside ----------------------------------------------------- */

/* One-step sampling ("onestep") of a batch, or a training step ("edm", "cd", ...). */
typedef struct cm_work {
    size_t size;              /* of this struct */
    const char *kind, *dtype; /* dtype: "auto", "f32" or "bf16" */
    int batch;                /* images, 1 to 65536 */
    int micro_batch; /* of sampling only: images in the network at a time; 0: by the caches */
    int recompute;   /* of training only: as its option */
    int threads;     /* 0: the cores this process may use */
} cm_work;

/* The compiled plan of this work: step, op, shape, dtype, offset, implementation; with
 * profile also milliseconds, share and speed, and its share of the machine's.  *text is freed with
 * cm_string_free. Errors: CM_ERR_ARGUMENT, CM_ERR_UNSUPPORTED (dtype), CM_ERR_MEMORY. */
CM_API cm_status cm_explain(const cm_model *model, const cm_work *work, int profile, char **text,
                            cm_error *err);

typedef struct cm_bench_result {
    size_t size;             /* of this struct; set by the caller */
    double ms, images_per_s; /* best of at least five runs */
    double matrix_floor_ms;  /* the best isolated times of its convolutions and matrix
                                products, added up */
    double memory_floor_ms;  /* what its steps read and write, at the speed of a copy */
    double gflop;            /* 10^9 operations of its convolutions and products, two a
                                multiply-add, as they are defined (Winograd's are fewer) */
    double peak_gflops;      /* those a second that this instruction set does in f32, in
                                registers, with these threads; measured before the work */
    double peak_share;       /* gflop / seconds / peak_gflops: above 1 is possible by Winograd,
                                and by the products of bf16 instructions */
    double memory_gb_s;      /* 10^9 bytes read and written a second by a copy, likewise */
    double memory_share;     /* memory_floor_ms / ms: above 1 where caches hold much of it */
    int threads;
    int64_t peak_bytes;   /* weights, optimizer state, averages and the plan's memory */
    int64_t needed_bytes; /* of a training step: weights, moments, averages and the
                             activations that the gradient reads; sampling: 0 */
} cm_bench_result;

/* Time it.  Errors: as cm_explain. */
CM_API cm_status cm_bench(const cm_model *model, const cm_work *work, cm_bench_result *result,
                          cm_error *err);

/* How long the sum of an array over the processes of a group takes, as gradients are added up:
 * median of several, of process 0. */
typedef struct cm_bench_sum {
    size_t size;   /* of this struct; set by the caller */
    double ms;     /* one alone */
    double row_ms; /* each of eight that were begun at once */
    double cpu_ms; /* processor time of a process for each of those */
} cm_bench_sum;

/* All processes call it alike.  Errors: CM_ERR_ARGUMENT (bytes: 4 to 2^30), CM_ERR_MEMORY. */
CM_API cm_status cm_bench_sums(cm_group *group, int64_t bytes, cm_bench_sum *result, cm_error *err);

/* A training step that processes share, and where its time goes. */
enum { CM_BENCH_BUCKETS = 64 };
typedef struct cm_bench_shared_result {
    size_t size; /* of this struct; set by the caller */
    double ms;   /* of the step: the median of at least five; the rest is of that one */
    double images_per_s;
    double update_ms; /* optimizer and averages, timed apart */
    double sums_ms;   /* in which sums were under way */
    double waits_ms;  /* in which there was nothing to do but wait for them */
    int parts;        /* of the batch */
    int threads;
    int buckets; /* ranges of the gradient that were sent on their way; alone: none */
    struct {
        double mib, begin_ms, end_ms; /* begun when the gradient's last change was made */
    } bucket[CM_BENCH_BUCKETS];
} cm_bench_shared_result;

/* Time it, with the batch in so many parts (accumulate; 0: one a process), all processes alike;
 * group NULL: alone.  Errors: as cm_explain, of any process. */
CM_API cm_status cm_bench_shared(cm_group *group, const cm_model *model, const cm_work *work,
                                 int parts, cm_bench_shared_result *result, cm_error *err);

/* The processor, the cores used, kernels and oneDNN version, as one line; cut to
 * size. */
CM_API void cm_machine(char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
