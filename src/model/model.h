/* model.h - a trained network: configuration, weights, noise schedule, and whether
 * it is a teacher or a consistency function.  On disk it is one safetensors file:
 * the tensors under their state-dict keys, and in __metadata__ the texts
 *   config    the network, JSON with the field names of the original code
 *   model     {"kind", "sigma_min", "sigma_max", "sigma_data", "rho", "scales"}
 *   classes   a JSON list of names, where the data had them
 *   training  the resolved options of the run that made it
 * A PyTorch checkpoint has no such texts: it is one of the released ones (released.h), told by
 * its name. */
#ifndef CM_MODEL_MODEL_H
#define CM_MODEL_MODEL_H

#include "consistency/denoiser.h"
#include "model/compute.h"

typedef struct cm_model cm_model;

struct cm_model {
    const cm_device *device; /* that it runs on */
    cm_net_config net;
    cm_params *params;
    float *flat; /* [cm_params_floats]; owned, unless borrowed is set */
    int borrowed;
    const cm_precondition *precondition;
    cm_noise_schedule schedule;
    int scales;               /* levels of the grid it was trained on */
    char *classes, *training; /* JSON texts or NULL; owned */
};

/* A diffusion teacher; else a consistency function. */
static inline int cm_model_is_teacher(const cm_model *m)
{
    return !m->precondition->meets_boundary;
}

/* Read a model file.  config_json: a file with the network's configuration, for
 * weights that carry none (then the kind is a consistency model with the default
 * schedule); NULL: the metadata, or the name of a released checkpoint.  Takes the parameters as
 * f32 and, beside the 64 MB and 16 times its header that opening may take, a tensor's bytes where
 * it is stored out of order.  Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_model_read(const char *path, const char *config_json, cm_model **model, cm_error *err);
/* The same for a file in memory, which is no longer needed afterwards; name stands for the
 * path in messages. */
cm_status cm_model_read_memory(const void *bytes, size_t n, const char *name, cm_model **model,
                               cm_error *err);
/* The network of a configuration file with random first weights, as a consistency model
 * with the default schedule.  Errors: CM_ERR_IO, CM_ERR_FORMAT, CM_ERR_MEMORY. */
cm_status cm_model_make_random(const char *config_json, uint64_t seed, cm_model **model,
                               cm_error *err);
void cm_model_release(cm_model *model); /* NULL is allowed */
/* Write it, values as f32 or bf16. */
cm_status cm_model_write(const cm_model *model, const char *path, cm_dtype dtype, cm_error *err);

/* The metadata pairs of a model file; free with cm_model_metadata_free. */
enum { CM_MODEL_METADATA = 4 };
typedef struct cm_model_metadata {
    int n;
    const char *key[CM_MODEL_METADATA];
    char *value[CM_MODEL_METADATA];
} cm_model_metadata;
cm_status cm_model_metadata_make(const cm_model *model, cm_model_metadata *meta, cm_error *err);
void cm_model_metadata_free(cm_model_metadata *meta);

#endif
