/* model.h - a trained network: configuration, weights, noise schedule, and whether
 * it is a teacher or a consistency function.  On disk it is one safetensors file:
 * the tensors under their state-dict keys, and in __metadata__ the texts
 *   config    the network, JSON with the field names of the original code
 *   model     {"kind", "sigma_min", "sigma_max", "sigma_data", "rho", "scales"}
 *   classes   a JSON list of names, where the data had them
 *   training  the resolved options of the run that made it */
#ifndef CM_MODEL_MODEL_H
#define CM_MODEL_MODEL_H

#include "consistency/denoiser.h"
#include "graph/plan.h"
#include "nn/config.h"

struct cm_model {
    cm_net_config net;
    cm_params *params;
    float *flat; /* [cm_params_floats]; owned, unless borrowed is set */
    int borrowed;
    cm_precond_kind kind; /* EDM: a diffusion teacher */
    cm_noise_schedule schedule;
    int scales;               /* levels of the grid it was trained on */
    char *classes, *training; /* JSON texts or NULL; owned */
};

/* Read a model file.  config_json: a file with the network's configuration, for
 * weights that carry none (then the kind is a consistency model with the default
 * schedule); NULL: the metadata.  Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_model_read(const char *path, const char *config_json, cm_model **model, cm_error *err);
/* Write it, values as f32 or bf16. */
cm_status cm_model_write(const cm_model *model, const char *path, cm_dtype dtype, cm_error *err);

/* The metadata pairs of a model file; free with cm_model_metadata_free. */
enum { CM_MODEL_METADATA = 4 };
typedef struct cm_model_metadata {
    int n;
    const char *key[CM_MODEL_METADATA];
    char *value[CM_MODEL_METADATA]; /* malloc'd by jansson or ours */
} cm_model_metadata;
cm_status cm_model_metadata_make(const cm_model *model, cm_model_metadata *meta, cm_error *err);
void cm_model_metadata_free(cm_model_metadata *meta);

/* "auto", "f32" or "bf16"; auto is bf16 where the CPU computes in it.
 * Errors: CM_ERR_UNSUPPORTED (bf16 asked for where it does not). */
cm_status cm_dtype_resolve(const char *text, cm_dtype *dtype, cm_error *err);
/* 0: the cores this process may use. */
int cm_threads_resolve(int64_t threads);

/* D(x, sigma, y) compiled for a batch, which runs in parts of `micro` images; the last
 * part may have some to spare. */
typedef struct cm_denoiser_plan {
    cm_graph *g;
    cm_plan *plan; /* of a part */
    int batch, micro;
    int64_t image; /* floats an image */
    float *x, *sigma;
    int32_t *y; /* NULL: not class-conditional */
    const float *out;
} cm_denoiser_plan;
/* micro 0: as many images as the caches hold. */
cm_status cm_denoiser_plan_new(const cm_model *model, int batch, int micro, cm_dtype dtype,
                               int threads, cm_denoiser_plan **plan, cm_error *err);
int cm_denoiser_parts(const cm_denoiser_plan *plan);
void cm_denoiser_plan_free(cm_denoiser_plan *plan);

#endif
