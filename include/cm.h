/* cm.h - consistency models in C: train, distil and sample one-step image
 * generators.
 *
 *     #include <cm.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         cm_error err = {0};
 *         cm_model *model = NULL;
 *         cm_images *images = NULL;
 *         cm_sample_config config;
 *         cm_sample_defaults(&config);
 *         config.num = 16;
 *         if (cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err) ||
 *             cm_sample(model, &config, &images, &err) || cm_images_write(images, "out.png", 0,
 * &err)) fprintf(stderr, "%s\n", err.message); cm_images_free(images); cm_model_free(model); return
 * (int)err.status;
 *     }
 *
 * Conventions.  A call that can fail returns a cm_status and, when that is not
 * CM_OK, one line in *err (NULL allowed) that names the file and the field.
 * Out-parameters are written only on success.  Every object has one owner and
 * one _free function, which accepts NULL.  The library prints nothing, never
 * exits and keeps no global mutable state: objects may be used from any thread,
 * each by one thread at a time.
 *
 * Source: Song, Dhariwal, Chen, Sutskever 2023, "Consistency Models"
 * (arXiv 2303.01469); Karras et al. 2022, "EDM" (arXiv 2206.00364). */
#ifndef CM_H
#define CM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CM_VERSION "0.1.0"

/* ---- status ------------------------------------------------------------- */

/* clang-format off */
#define CM_STATUS_LIST(X)                                                     \
    X(OK,              "ok")                                                  \
    X(ERR_ARGUMENT,    "wrong argument")        /* usage: exit code 2 */      \
    X(ERR_MEMORY,      "out of memory")                                       \
    X(ERR_SHAPE,       "shapes do not fit")                                   \
    X(ERR_UNSUPPORTED, "not supported here")                                  \
    X(ERR_IO,          "input/output error")    /* the system said no */      \
    X(ERR_FORMAT,      "bad input file")        /* exit code 4 */             \
    X(ERR_NUMERIC,     "not a number")          /* exit code 3 */             \
    X(INTERRUPTED,     "interrupted")           /* saved first; exit 130 */    \
    X(ERR_INTERNAL,    "fault of this program") /* please report it */
/* clang-format on */

#define X(id, name) CM_##id,
typedef enum cm_status { CM_STATUS_LIST(X) } cm_status;
#undef X

/* A fixed English phrase, never NULL. */
const char *cm_status_name(cm_status s);

/* One line, no newline, control characters escaped. */
typedef struct cm_error {
    cm_status status;
    char message[1024];
} cm_error;

/* ---- options ------------------------------------------------------------ */

/* Settings are plain structs described by a table, so that the command line,
 * --help, config.json and its check are one list. */
typedef char cm_text[512];

typedef enum cm_option_type { CM_OPT_TEXT, CM_OPT_INT, CM_OPT_REAL, CM_OPT_FLAG } cm_option_type;

typedef struct cm_option {
    const char *name;    /* long option and JSON key, e.g. "ema-rates" */
    cm_option_type type; /* cm_text, int64_t, double, int */
    size_t offset;       /* of the field in its struct */
    const char *initial; /* default, as text */
    const char *choices; /* "a|b|c" for CM_OPT_TEXT, else NULL */
    double min, max;     /* range for INT and REAL, inclusive */
    const char *metavar; /* for --help */
    const char *help;    /* one line */
} cm_option;

/* Set every field to its default. */
void cm_options_defaults(const cm_option *table, void *config);
/* Set one field from text; checks type, range and choices.
 * Errors: CM_ERR_ARGUMENT (unknown name: proposes the nearest one). */
cm_status cm_options_set(const cm_option *table, void *config, const char *name, const char *value,
                         cm_error *err);
/* Read a JSON object of name: value pairs over *config.  Unknown keys are
 * errors.  Errors: CM_ERR_IO, CM_ERR_FORMAT. */
cm_status cm_options_read(const cm_option *table, void *config, const char *path, cm_error *err);

/* clang-format off */
/*    type, field,           name,             default, choices or NULL, min, max, metavar, help */
#define CM_TRAIN_OPTIONS(X)                                                                       \
    X(TEXT, method,          "method",          "edm", "edm|cd|ct", 0, 0, "METHOD",               \
      "edm: diffusion teacher; cd: distil a teacher; ct: consistency training alone")             \
    X(TEXT, data,            "data",            "", NULL, 0, 0, "DATA",                           \
      "fashion-mnist, an IDX images file (.gz too), or a folder of PNG images")                   \
    X(TEXT, out,             "out",             "", NULL, 0, 0, "RUN",                            \
      "run folder: config.json, log.jsonl, samples, checkpoints")                                 \
    X(TEXT, teacher,         "teacher",         "", NULL, 0, 0, "MODEL",                          \
      "cd: the diffusion teacher; it also gives the network and the first weights")               \
    X(TEXT, init,            "init",            "", NULL, 0, 0, "MODEL",                          \
      "first weights (default: the teacher's with cd, else random)")                              \
    X(INT,  steps,           "steps",           "20000", NULL, 1, 1e9, "N",                       \
      "training steps")                                                                           \
    X(INT,  batch,           "batch",           "128", NULL, 1, 65536, "N",                       \
      "images a step")                                                                            \
    X(INT,  accumulate,      "accumulate",      "1", NULL, 1, 65536, "N",                         \
      "parts of a batch, computed one after another: memory of a part, gradients of the whole")   \
    X(FLAG, recompute,       "recompute",       "false", NULL, 0, 1, NULL,                        \
      "compute activations again for the gradient: less memory, more time, same result")          \
    X(REAL, lr,              "lr",              "1e-3", NULL, 0, 10, "X",                         \
      "learning rate")                                                                            \
    X(INT,  lr_warmup,       "lr-warmup",       "0", NULL, 0, 1e9, "N",                           \
      "steps over which the learning rate rises linearly from 0")                                 \
    X(FLAG, lr_decay,        "lr-decay",        "false", NULL, 0, 1, NULL,                        \
      "let the learning rate fall linearly to 0 at the last step")                                \
    X(TEXT, optimizer,       "optimizer",       "radam", "radam|adamw", 0, 0, "NAME",             \
      "optimizer")                                                                                \
    X(REAL, beta1,           "beta1",           "0.9", NULL, 0, 1, "X",                           \
      "decay of the first moment")                                                                \
    X(REAL, beta2,           "beta2",           "0.999", NULL, 0, 1, "X",                         \
      "decay of the second moment")                                                               \
    X(REAL, weight_decay,    "weight-decay",    "0", NULL, 0, 1, "X",                             \
      "weight decay (decoupled with adamw, added to the gradient with radam)")                    \
    X(TEXT, ema_rates,       "ema-rates",       "0.999,0.9999", NULL, 0, 0, "LIST",               \
      "decay rates of the weight averages; samples and exports use the first")                    \
    X(TEXT, loss_norm,       "loss-norm",       "l2", "l1|l2", 0, 0, "NAME",                      \
      "distance between student and target (cd, ct)")                                             \
    X(TEXT, weighting,       "weighting",       "", "|uniform|snr|snr+1|karras|truncated-snr",    \
      0, 0, "NAME", "loss weight over sigma (default: karras for edm, uniform for cd and ct)")    \
    X(TEXT, solver,          "solver",          "heun", "heun|euler", 0, 0, "NAME",               \
      "cd: one step of the teacher's ODE")                                                        \
    X(TEXT, boundary,        "boundary",        "skip", "skip|piecewise", 0, 0, "NAME",           \
      "how f(x, sigma-min) = x is met (cd, ct)")                                                  \
    X(TEXT, target_ema_mode, "target-ema-mode", "", "|fixed|adaptive", 0, 0, "MODE",              \
      "mu(k) of the target network (default: fixed for cd, adaptive for ct)")                     \
    X(TEXT, scale_mode,      "scale-mode",      "", "|fixed|progressive|progdist", 0, 0, "MODE",  \
      "N(k), the number of noise levels (default: fixed for cd, progressive for ct)")             \
    X(REAL, start_ema,       "start-ema",       "0.95", NULL, 0, 1, "X",                          \
      "mu at the first step")                                                                     \
    X(INT,  start_scales,    "start-scales",    "0", NULL, 0, 1e6, "N",                           \
      "N at the first step (0: 18 for cd, 2 for ct)")                                             \
    X(INT,  end_scales,      "end-scales",      "150", NULL, 2, 1e6, "N",                         \
      "N at the last step (progressive)")                                                         \
    X(INT,  distill_steps,   "distill-steps-per-iter", "50000", NULL, 1, 1e9, "N",                \
      "steps a stage (progdist schedule)")                                                        \
    X(REAL, sigma_min,       "sigma-min",       "0.002", NULL, 1e-6, 1, "X",                      \
      "smallest noise level, epsilon of the paper")                                               \
    X(REAL, sigma_max,       "sigma-max",       "80", NULL, 1, 1e6, "X",                          \
      "largest noise level, T of the paper")                                                      \
    X(REAL, sigma_data,      "sigma-data",      "0.5", NULL, 1e-3, 100, "X",                      \
      "standard deviation of the data, which is scaled to [-1, 1]")                               \
    X(REAL, rho,             "rho",             "7", NULL, 0.1, 100, "X",                         \
      "curvature of the noise-level grid")                                                        \
    X(REAL, p_mean,          "p-mean",          "-1.2", NULL, -20, 20, "X",                       \
      "mean of ln sigma (edm)")                                                                   \
    X(REAL, p_std,           "p-std",           "1.2", NULL, 0, 20, "X",                          \
      "standard deviation of ln sigma (edm)")                                                     \
    X(TEXT, classes,         "classes",         "auto", "auto|none", 0, 0, "MODE",                \
      "auto: condition on the class where the data has labels")                                   \
    X(INT,  image_size,      "image-size",      "0", NULL, 0, 4096, "N",                          \
      "side of the images (0: the data's own; 28 is padded to 32)")                               \
    X(FLAG, flip,            "flip",            "false", NULL, 0, 1, NULL,                        \
      "mirror every second image, chosen at random")                                              \
    X(INT,  channels,        "channels",        "32", NULL, 1, 4096, "N",                         \
      "network: base width")                                                                      \
    X(TEXT, channel_mult,    "channel-mult",    "1,2,2", NULL, 0, 0, "LIST",                      \
      "network: width of each resolution, in units of the base width")                            \
    X(INT,  res_blocks,      "res-blocks",      "1", NULL, 1, 64, "N",                            \
      "network: residual blocks a resolution")                                                    \
    X(TEXT, attention,       "attention-resolutions", "8", NULL, 0, 0, "LIST",                    \
      "network: image sides at which it attends, e.g. 16,8 (empty: the middle only)")             \
    X(INT,  num_heads,       "num-heads",       "4", NULL, 1, 1024, "N",                          \
      "network: attention heads where head-channels is 0")                                        \
    X(INT,  head_channels,   "head-channels",   "0", NULL, 0, 1024, "N",                          \
      "network: channels of an attention head")                                                   \
    X(FLAG, scale_shift,     "scale-shift-norm","true", NULL, 0, 1, NULL,                         \
      "network: the embedding scales and shifts the second norm of a block")                      \
    X(FLAG, resblock_updown, "resblock-updown", "true", NULL, 0, 1, NULL,                         \
      "network: residual blocks change the resolution, else plain convolutions")                  \
    X(REAL, dropout,         "dropout",         "0", NULL, 0, 0.95, "X",                          \
      "network: dropout probability (student and target share the mask)")                         \
    X(INT,  seed,            "seed",            "1", NULL, 0, 9e15, "N",                          \
      "seed of everything random")                                                                \
    X(TEXT, dtype,           "dtype",           "auto", "auto|f32|bf16", 0, 0, "TYPE",            \
      "activations and matrix operands; auto is bf16 where the CPU computes in it")               \
    X(INT,  threads,         "threads",         "0", NULL, 0, 4096, "N",                          \
      "threads (0: the cores this process may use)")                                              \
    X(INT,  log_every,       "log-every",       "50", NULL, 1, 1e9, "N",                          \
      "steps between lines of log.jsonl")                                                         \
    X(INT,  sample_every,    "sample-every",    "2000", NULL, 0, 1e9, "N",                        \
      "steps between sample grids (0: only the last)")                                            \
    X(INT,  save_every,      "save-every",      "2000", NULL, 0, 1e9, "N",                        \
      "steps between checkpoints (0: only the last)")                                             \
    X(INT,  keep,            "keep",            "2", NULL, 1, 1e6, "N",                           \
      "checkpoints to keep")                                                                      \
    X(REAL, max_minutes,     "max-minutes",     "0", NULL, 0, 1e6, "X",                           \
      "stop after this long as if it had been the last step (0: no limit)")

#define CM_SAMPLE_OPTIONS(X)                                                                      \
    X(TEXT, sampler,         "sampler",         "auto", "auto|onestep|multistep|euler|heun", 0, 0,\
      "NAME", "auto: onestep for consistency models, heun for teachers")                          \
    X(INT,  steps,           "steps",           "0", NULL, 0, 10000, "N",                         \
      "noise levels of the grid (0: 18 for euler and heun, the model's own for --ts)")            \
    X(TEXT, ts,              "ts",              "", NULL, 0, 0, "LIST",                           \
      "multistep: grid indices, 0 first, steps-1 last, e.g. 0,22,39")                             \
    X(TEXT, sigmas,          "sigmas",          "", NULL, 0, 0, "LIST",                           \
      "multistep: noise levels instead of indices, falling, e.g. 80,5")                         \
    X(REAL, s_churn,         "s-churn",         "0", NULL, 0, 1e6, "X",                           \
      "heun: fresh noise a run")                                                                  \
    X(REAL, s_tmin,          "s-tmin",          "0", NULL, 0, 1e6, "X",                           \
      "heun: churn only above this sigma")                                                        \
    X(REAL, s_tmax,          "s-tmax",          "1e6", NULL, 0, 1e9, "X",                         \
      "heun: churn only below this sigma")                                                        \
    X(REAL, s_noise,         "s-noise",         "1", NULL, 0, 10, "X",                            \
      "heun: standard deviation of the fresh noise")                                              \
    X(INT,  num,             "num",             "16", NULL, 1, 1e7, "N",                          \
      "images")                                                                                   \
    X(TEXT, label,           "class",           "all", NULL, 0, 0, "C|all|random",                \
      "a class index, all (an equal share each, in order) or random")                                                   \
    X(INT,  seed,            "seed",            "0", NULL, 0, 9e15, "N",                          \
      "image i depends on the seed and i only")                                                   \
    X(INT,  batch,           "batch",           "64", NULL, 1, 65536, "N",                        \
      "images sampled together")                                                                  \
    X(INT,  micro_batch,     "micro-batch",     "0", NULL, 0, 65536, "N",                         \
      "of them in the network at a time (0: as many as the caches hold)")                         \
    X(TEXT, dtype,           "dtype",           "auto", "auto|f32|bf16", 0, 0, "TYPE",            \
      "activations and matrix operands")                                                          \
    X(INT,  threads,         "threads",         "0", NULL, 0, 4096, "N",                          \
      "threads (0: the cores this process may use)")
/* clang-format on */

#define CM_FIELD_TEXT                                                   cm_text
#define CM_FIELD_INT                                                    int64_t
#define CM_FIELD_REAL                                                   double
#define CM_FIELD_FLAG                                                   int
#define X(type, field, name, initial, choices, min, max, metavar, help) CM_FIELD_##type field;
typedef struct cm_train_config {
    CM_TRAIN_OPTIONS(X)
} cm_train_config;
typedef struct cm_sample_config {
    CM_SAMPLE_OPTIONS(X)
} cm_sample_config;
#undef X

extern const cm_option cm_train_options[];  /* ends with a NULL name */
extern const cm_option cm_sample_options[]; /* ends with a NULL name */
void cm_train_defaults(cm_train_config *config);
void cm_sample_defaults(cm_sample_config *config);

/* ---- models ------------------------------------------------------------- */

/* A network with its weights, noise schedule and kind (teacher or consistency
 * model), read from a .safetensors file whose metadata holds the configuration,
 * or from a run folder (its newest checkpoint, first weight average). */
typedef struct cm_model cm_model;

/* Errors: CM_ERR_IO, CM_ERR_FORMAT (what was expected and found), CM_ERR_MEMORY. */
cm_status cm_model_open(const char *path, cm_model **model, cm_error *err);
/* The network of a configuration file (JSON, the field names of the original code)
 * with random first weights, as a consistency model: for timing.
 * Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_model_random(const char *config_json, int64_t seed, cm_model **model, cm_error *err);
void cm_model_free(cm_model *model);

/* Facts about a model. */
typedef struct cm_model_facts {
    int height, width, channels; /* of the images */
    int classes;                 /* 0: not class-conditional */
    int is_consistency;          /* 0: a diffusion teacher */
    int64_t parameters;
} cm_model_facts;
void cm_model_get_facts(const cm_model *model, cm_model_facts *facts);

/* Describe a model, a run folder or any .safetensors file as text of several
 * lines.  *text is freed with cm_text_free. */
cm_status cm_describe(const char *path, char **text, cm_error *err);
void cm_text_free(char *text);

/* Run the raw network F on tensors from a file: x f32 [N,C,H,W], timesteps f32
 * [N] (already rescaled: 250 ln sigma), y int64 [N] for class-conditional
 * networks; writes out f32 [N,C,H,W].  config_json may be NULL when the weights
 * carry their configuration.  dtype is "f32" or "bf16". */
cm_status cm_forward(const char *weights, const char *config_json, const char *input,
                     const char *output, const char *dtype, int threads, cm_error *err);

/* ---- sampling ----------------------------------------------------------- */

/* uint8 pixels [n,h,w,c], 0..255, and one class label an image (-1: none). */
typedef struct cm_images {
    int64_t n;
    int h, w, c;
    uint8_t *pixels;
    int64_t *labels;
} cm_images;
void cm_images_free(cm_images *images);

/* Generate config->num images.  Image i is a function of (model, sampler, seed,
 * i) only: not of batch size or threads.  Errors: CM_ERR_ARGUMENT (class out of
 * range, time points that do not fit), CM_ERR_NUMERIC, CM_ERR_MEMORY. */
cm_status cm_sample(cm_model *model, const cm_sample_config *config, cm_images **images,
                    cm_error *err);

/* Write a grid (.png), arr_0 and arr_1 (.npz), or one PNG an image (a folder,
 * made when missing).  A file appears whole or not at all.  columns 0: square. */
cm_status cm_images_write(const cm_images *images, const char *path, int columns, cm_error *err);

/* ---- training ----------------------------------------------------------- */

typedef struct cm_train_progress {
    int64_t step, steps; /* done, in all */
    double loss;         /* mean since the last report */
    double images_per_s, eta_s;
    int scales;        /* N(k), 0 for edm */
    const char *event; /* NULL, or what just happened: "saved runs/x/ckpt/00002000" */
} cm_train_progress;

typedef struct cm_train_hooks {
    void (*progress)(void *user, const cm_train_progress *p); /* NULL allowed */
    int (*stop)(void *user); /* polled each step; non-zero: save and return CM_INTERRUPTED */
    void *user;
} cm_train_hooks;

/* Train a model into config->out.  resume continues the run found there bit for
 * bit (same number of threads).  Its settings are then those of RUN/config.json
 * (cm_options_read), of which steps, threads, recompute, max-minutes, keep, the
 * *-every settings and paths may be changed; another difference is CM_ERR_ARGUMENT, as is a
 * run that is there already without resume.  Errors: CM_ERR_NUMERIC names the step
 * and the first node that was not finite; nothing of it is saved.  CM_INTERRUPTED:
 * hooks->stop said so, and a checkpoint was saved. */
cm_status cm_train(const cm_train_config *config, int resume, const cm_train_hooks *hooks,
                   cm_error *err);

/* ---- looking inside ----------------------------------------------------- */

/* One-step sampling ("onestep") of a batch, or a training step ("edm", "cd", "ct"). */
typedef struct cm_work {
    const char *kind, *dtype; /* dtype: "auto", "f32" or "bf16" */
    int batch;                /* images, at least 1 */
    int micro_batch;          /* sampling: images in the network at a time; 0: by the caches */
    int recompute;            /* as the option of training */
    int threads;              /* 0: the cores this process may use */
} cm_work;

/* The compiled plan of this work: step, op, shape, dtype, offset, implementation; with
 * profile also milliseconds and share.  *text is freed with cm_text_free.
 * Errors: CM_ERR_ARGUMENT, CM_ERR_UNSUPPORTED (dtype), CM_ERR_MEMORY. */
cm_status cm_explain(cm_model *model, const cm_work *work, int profile, char **text, cm_error *err);

/* What one kind of work costs. */
typedef struct cm_bench_result {
    double ms, images_per_s; /* best of at least five runs */
    double matrix_floor_ms;  /* the best isolated times of its convolutions and matrix
                                products, added up */
    double memory_floor_ms;  /* what its steps read and write, at the speed of a copy */
    int threads;
    int64_t peak_bytes;   /* weights, optimizer state, averages and the plan's memory */
    int64_t needed_bytes; /* of a training step: weights, moments, averages and the
                             activations that the gradient reads; sampling: 0 */
} cm_bench_result;

/* Time it.  Errors: as cm_explain. */
cm_status cm_bench(cm_model *model, const cm_work *work, cm_bench_result *result, cm_error *err);

/* The processor, the cores used, kernels and oneDNN version, as one line; cut to
 * size. */
void cm_machine(char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
