/* model.h - a trained network: configuration, weights, noise schedule, and whether
 * it is a teacher, a consistency function or a classifier.  On disk it is one safetensors
 * file: the tensors under their state-dict keys, and in __metadata__ the texts
 *   config    the network, JSON with the field names of the original code
 *   model     {"kind", "sigma_min", "sigma_max", "sigma_data", "rho", "scales"}, and "steps"
 *             of a diffusion model distilled to so many; of a classifier {"kind", "score",
 *             "accuracy"}
 *   classes   a JSON list of names, where the data had them
 *   training  the resolved options of the run that made it
 *   edits     the noise levels that suit each edit (sample/edit_levels.h)
 *   sampling  those that suit so many evaluations an image (sample/own_levels.h)
 * A PyTorch checkpoint has no such texts: it is one of the released ones (released.h), told by
 * its name. */
#ifndef CM_MODEL_MODEL_H
#define CM_MODEL_MODEL_H

#include "consistency/denoiser.h"
#include "model/compute.h"

enum { CM_SCORE_NAME = 64 };

typedef struct cm_model cm_model;

struct cm_model {
    char *name;              /* of the file it was read from; owned */
    const cm_device *device; /* that it runs on */
    cm_net_config net;
    cm_params *params;
    float *flat; /* [cm_params_floats]; owned, unless borrowed is set */
    int borrowed;
    const cm_precondition *precondition;
    cm_noise_schedule schedule;
    int scales; /* levels of the grid it was trained on; 0: none, but all between its ends */
    int steps;  /* of sampling, from each of these levels to the next, that a diffusion model was
                 * distilled to: it knows no other levels; 0: any */
    /* Of a classifier, which has no meaning for the three above: */
    char score[CM_SCORE_NAME]; /* what the distance of its features is called: FD-... */
    double accuracy;           /* on pictures kept back from its training; below 0: not known */
    char *classes, *training, *edits, *sampling; /* JSON texts or NULL; owned */
};

static inline int cm_model_is_classifier(const cm_model *m)
{
    return m->net.arch->classifies;
}

/* A diffusion model, whose samplers follow an ODE; else a consistency function, or a classifier. */
static inline int cm_model_is_diffusion(const cm_model *m)
{
    return !m->precondition->meets_boundary && !cm_model_is_classifier(m);
}

/* A diffusion model that knows all noise levels. */
static inline int cm_model_is_teacher(const cm_model *m)
{
    return cm_model_is_diffusion(m) && !m->steps;
}

/* For messages. */
static inline const char *cm_model_name(const cm_model *m)
{
    return m->name ? m->name : "model";
}

/* "diffusion teacher", "few-step diffusion model" */
const char *cm_model_kind(const cm_model *m);
/* CM_ERR_ARGUMENT where it is a classifier; path is for the message. */
cm_status cm_model_check_draws(const cm_model *m, const char *path, cm_error *err);
/* "FD-" and letters, digits, dots and dashes; what the distance of a classifier's features is
 * called, so that nobody takes it for FID.  Errors: CM_ERR_ARGUMENT; what names the text. */
cm_status cm_score_name_check(const char *name, const char *what, cm_error *err);

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
enum { CM_MODEL_METADATA = 5 };
typedef struct cm_model_metadata {
    int n;
    const char *key[CM_MODEL_METADATA];
    char *value[CM_MODEL_METADATA];
} cm_model_metadata;
cm_status cm_model_metadata_make(const cm_model *model, cm_model_metadata *meta, cm_error *err);
void cm_model_metadata_free(cm_model_metadata *meta);

#endif
