/* cm_options.h - settings of training and sampling as plain structs, and the tables that
 * describe them.  Part of <cm.h>. */
#ifndef CM_OPTIONS_H
#define CM_OPTIONS_H

#include "cm_status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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
CM_API void cm_options_defaults(const cm_option *table, void *config);
/* Set one field from text; checks type, range and choices.
 * Errors: CM_ERR_ARGUMENT (unknown name: proposes the nearest one). */
CM_API cm_status cm_options_set(const cm_option *table, void *config, const char *name,
                                const char *value, cm_error *err);
/* The name of the table that a mistyped one is near to; NULL: there is none. */
CM_API const char *cm_options_nearest(const cm_option *table, const char *name);
/* Read a JSON object of name: value pairs over *config.  Unknown keys are
 * errors.  Errors: CM_ERR_IO, CM_ERR_FORMAT. */
CM_API cm_status cm_options_read(const cm_option *table, void *config, const char *path,
                                 cm_error *err);

/* Settings of a training run.  cm_train_options has the ranges and defaults; a field's name
 * there, on the command line and in config.json is the one here with - for _, or a longer
 * one.  NAME fields hold one of the choices listed there. */
/* clang-format off */
typedef struct cm_train_params {
    size_t size;              /* of this struct; set by cm_train_default_params */
    cm_text method;           /* edm: diffusion teacher; cd: distil a teacher; pd: likewise, to ever
                                 fewer steps; ct: training alone; two -continuous; classifier */
    cm_text data;             /* a folder of PNG, JPEG and WebP images, a packed set, an IDX
                                 file, or fashion-mnist */
    cm_text out;              /* run folder: config.json, log.jsonl, samples, checkpoints */
    cm_text teacher;          /* cd, pd: the diffusion teacher; it also gives the network and
                                 the first weights */
    cm_text init;             /* first weights, and their network (default: the teacher's with
                                 cd, else random) */
    int64_t steps;            /* training steps (0: as many as --minutes hold) */
    double minutes;           /* without --steps: choose as many as end in this time */
    int64_t batch;            /* images a step */
    int64_t accumulate;       /* parts of a batch, computed one after another or by several
                                 processes: memory of a part, gradients of the whole (1: with
                                 processes, one each) */
    int recompute;            /* compute activations again for the gradient: less memory, more
                                 time, same result */
    int shard;                /* with processes: each has its share alone of the optimizer's
                                 moments and of the averages: less memory, same result */
    double lr;                /* learning rate; methods in continuous time want less */
    int64_t lr_warmup;        /* steps over which the learning rate rises linearly from 0 */
    int lr_decay;             /* the learning rate falls linearly to 0 at the last step; pd:
                                 always, at that of each stage */
    cm_text optimizer;        /* optimizer */
    double beta1;             /* decay of the first moment */
    double beta2;             /* decay of the second moment */
    double weight_decay;      /* weight decay (decoupled with adamw, added to the gradient with
                                 radam) */
    cm_text ema_rates;        /* decay rates of the weight averages; samples and exports use
                                 the first (default: 1 - 20 / steps and 1 - 2 / steps; pd: 0) */
    cm_text loss_norm;        /* distance between student and target, or length of the tangent */
    double huber_c;           /* pseudo-huber: c (0: 0.00054 sqrt(d), d values an image) */
    cm_text loss_weights;     /* features: a classifier; lpips: VGG16's weights */
    cm_text loss_lpips_weights; /* lpips: what it adds to VGG16 */
    cm_text weighting;        /* loss weight over sigma (default: the method's) */
    cm_text stop_gradient;    /* cd-continuous: no gradient through the tangent */
    cm_text solver;           /* cd: one step of the teacher's ODE */
    cm_text boundary;         /* how a consistency model meets f(x, sigma-min) = x */
    cm_text target_ema_mode;  /* mu(k) of the target network (default: fixed for cd, adaptive
                                 for ct) */
    cm_text scale_mode;       /* N(k), the number of noise levels (default: fixed for cd,
                                 progressive for ct) */
    double start_ema;         /* mu at the first step */
    int64_t start_scales;     /* N at the first step (0: 18 for cd, 2 for ct, 32 for pd) */
    int64_t end_scales;       /* N at the last step (progressive, pd; 0: 150, of pd 1) */
    double sigma_min;         /* smallest noise level, epsilon of the paper */
    double sigma_max;         /* largest noise level, T of the paper */
    double sigma_data;        /* standard deviation of the data, which is scaled to [-1, 1] */
    double rho;               /* curvature of the noise-level grid */
    double p_mean;            /* mean of ln sigma (edm) */
    double p_std;             /* standard deviation of ln sigma (edm) */
    cm_text score;            /* classifier: what the distance of its features is called */
    cm_text classes;          /* auto: condition on the class where the data has labels */
    cm_text labels;           /* classes of a folder: its subfolders, names such as
                                 cat_0001.png, or none */
    cm_text image_size;       /* side, or WIDTHxHEIGHT, of the images (0: their own or the
                                 model's; 28 is padded to 32) */
    cm_text background;       /* what transparent images show: white, black or RRGGBB */
    int strict;               /* a damaged image is an error, else it is left out by name */
    int flip;                 /* mirror every second image, chosen at random */
    int64_t channels;         /* network: base width */
    cm_text channel_mult;     /* network: width of each resolution, in units of the base width */
    int64_t res_blocks;       /* network: residual blocks a resolution */
    cm_text attention;        /* network: image heights at which it attends, e.g. 16,8; 8?: where
                                 a level has it (empty: the middle only) */
    int64_t num_heads;        /* network: attention heads where head-channels is 0 */
    int64_t head_channels;    /* network: channels of an attention head */
    int scale_shift;          /* network: the embedding scales and shifts the second norm of a
                                 block */
    int resblock_updown;      /* network: residual blocks change the resolution, else plain
                                 convolutions */
    double dropout;           /* network: dropout probability (student and target share the
                                 mask) */
    int64_t seed;             /* seed of everything random */
    cm_text dtype;            /* activations and matrix operands; auto is bf16 where the CPU
                                 is faster in it */
    int64_t threads;          /* threads (0: the cores this process may use) */
    int64_t log_every;        /* steps between lines of log.jsonl */
    int64_t sample_every;     /* steps between sample grids (0: ten in a run) */
    int64_t sample_scale;     /* each pixel of the sample grids is drawn as N x N */
    int64_t eval_every;       /* steps between scores of samples in log.jsonl (0: none) */
    int64_t eval_num;         /* samples that are scored */
    cm_text eval_features;    /* whose features are compared: as of cm_eval_params */
    cm_text eval_weights;     /* weights of that network */
    cm_text eval_ref;         /* real images or statistics (default: the data) */
    int64_t save_every;       /* steps between checkpoints (0: ten in a run) */
    int64_t keep;             /* checkpoints to keep */
    double max_minutes;       /* stop after so long as if at the last step (0: no limit) */
} cm_train_params;

/* Settings of sampling; likewise cm_sample_options. */
typedef struct cm_sample_params {
    size_t size;              /* of this struct; set by cm_sample_default_params */
    cm_text sampler;          /* auto: onestep for consistency models, heun for teachers */
    int64_t steps;            /* of the grid (0: 18); of a consistency model evaluations */
    cm_text ts;               /* multistep: grid indices, 0 first, steps-1 last, e.g. 0,8,17 */
    cm_text sigmas;           /* multistep: noise levels instead of indices, falling, e.g. 80,5 */
    double s_churn;           /* heun, dpm2: fresh noise a run */
    double s_tmin;            /* heun, dpm2: churn only above this sigma */
    double s_tmax;            /* heun, dpm2: churn only below this sigma */
    double s_noise;           /* heun, dpm2: standard deviation of it */
    int64_t num;              /* images */
    cm_text label;            /* classes: names (which go before) or numbers, with commas; all (an
                                 equal share each, in order), random, auto (all; of an edit: told
                                 from the picture); :3, :all: no name */
    int64_t seed;             /* image i depends on the seed, its class and i only */
    int64_t first;            /* i of the first image */
    int64_t of;               /* they are a part of images 0 to of - 1 (0: of no larger set) */
    int64_t batch;            /* images sampled together */
    int64_t micro_batch;      /* of them in the network at a time (0: by the caches) */
    cm_text dtype;            /* activations and matrix operands */
    int64_t threads;          /* threads (0: the cores this process may use) */
} cm_sample_params;
/* clang-format on */

/* The table of each struct; it ends with a NULL name. */
CM_API const cm_option *cm_train_options(void);
CM_API const cm_option *cm_sample_options(void);
CM_API cm_train_params cm_train_default_params(void);
/* Set network and optimization to what goes together: "tiny" (a first look), "small" (hundreds
 * of pictures, an hour), "base" (more, a night).  Errors: CM_ERR_ARGUMENT (an unknown name). */
CM_API cm_status cm_train_preset(cm_train_params *params, const char *name, cm_error *err);
CM_API cm_sample_params cm_sample_default_params(void);

#ifdef __cplusplus
}
#endif

#endif
