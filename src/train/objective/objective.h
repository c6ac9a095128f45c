/* objective.h - what a training step minimises: one record a method.
 *
 * To add one: a file with its record, and a line in objectives.c.  The step, the set-up, the
 * bench and the command line read the table. */
#ifndef CM_TRAIN_OBJECTIVE_H
#define CM_TRAIN_OBJECTIVE_H

#include "cm.h"
#include "consistency/curriculum.h"
#include "consistency/solver.h"
#include "consistency/weighting.h"
#include "nn/features/embedding.h"
#include "options/options.h"
#include "train/objective/frozen.h"

/* Philox streams of a step; dropout layers count up from the last. */
enum { CM_STREAM_NOISE = 1, CM_STREAM_SIGMA = 2, CM_STREAM_INDEX = 3, CM_STREAM_DROPOUT = 1000 };
enum { CM_MAX_SCALARS = 4 };

typedef struct cm_objective cm_objective;
typedef struct cm_distance cm_distance;

/* An objective with its options resolved. */
typedef struct cm_objective_settings {
    const cm_objective *objective;
    const cm_train_params *options; /* complete; the caller's, which outlives this */
    cm_noise_schedule schedule;
    cm_noise_schedule teacher_schedule;  /* what the teacher was trained with */
    int teacher_steps;                   /* that it was distilled to; 0: any number */
    const cm_precondition *precondition; /* of the student, hence of the model that comes out */
    const cm_weighting *weighting;
    const cm_distance *distance;
    const cm_solver *solver;
    cm_curriculum curriculum; /* where the objective has a target */
} cm_objective_settings;

/* The network of the distance in a graph; net NULL: it needs none. */
typedef struct cm_frozen {
    cm_net *net;
    const cm_net_config *config; /* of a classifier */
} cm_frozen;

/* What a loss is built from.  A denoiser that the method has not is all zero. */
typedef struct cm_loss_context {
    const cm_objective_settings *settings;
    cm_graph *g;
    cm_node *x0;                     /* a batch of data, f32 [N,H,W,C] */
    cm_node *rng;                    /* of the random ops, i32 [4] */
    cm_node *scalar[CM_MAX_SCALARS]; /* f32 [1], in the order of the record */
    cm_denoiser student, target, teacher;
    cm_frozen frozen; /* of the distance */
} cm_loss_context;

/* A number of step k that the loop feeds and logs. */
typedef struct cm_step_scalar {
    const char *name;
    int whole; /* logged as an integer */
} cm_step_scalar;

typedef struct cm_step_scalars {
    double value[CM_MAX_SCALARS];
    double mu; /* of the target network */
} cm_step_scalars;

/* A part of a run at whose end the first average becomes teacher and student, and moments,
 * averages and learning rate start anew: its steps are first to first + steps - 1. */
typedef struct cm_stage {
    int64_t number, first, steps; /* number counts from 0 */
    int64_t scales;               /* N of a method in stages */
} cm_stage;

struct cm_objective {
    const char *name;  /* --method */
    int needs_teacher; /* distils --teacher, which also gives network and first weights */
    int has_target;    /* compares with an average of the student, of rate mu(k) */
    int wants_weights; /* is known to diverge from random first weights */
    int classifies;    /* trains a classifier, which has no noise, and keeps pictures back */
    const cm_precondition *precondition; /* of the student; NULL: as --boundary says */
    /* Of the options that the user left empty (text) or 0 (numbers), where not the usual ones
     * (objectives.c); ends with a NULL name.  NULL: none. */
    const cm_option_value *defaults;
    const cm_step_scalar *scalars; /* ends with a NULL name */
    void (*at)(const cm_objective_settings *s, int64_t k, cm_step_scalars *out); /* NULL: none */
    cm_node *(*loss)(const cm_loss_context *c); /* one value a sample, f32 [N] */
    /* Of the grid that the model after k steps is for; NULL: none. */
    int64_t (*levels)(const cm_objective_settings *s, int64_t k);
    /* That of step k; NULL: the run is one, whose model takes any number of steps of sampling.
     * Else it takes one step from each level to the next. */
    cm_stage (*stage)(const cm_objective_settings *s, int64_t k);
    /* Whether the values, and the teacher once it is known, fit each other; NULL: they do. */
    cm_status (*check)(const cm_objective_settings *s, cm_error *err);
    const char *const *samplers; /* that draw grids during training; ends with NULL */
    const char *options;         /* that not every method looks at, parted by spaces */
};

/* Those of distances, of scores of samples, and of the methods that train denoisers. */
#define CM_DISTANCE_OPTIONS "loss-norm huber-c loss-weights loss-lpips-weights "
#define CM_SCORE_OPTIONS    "eval-every eval-num eval-features eval-weights eval-ref"
#define CM_DENOISER_OPTIONS                                                                 \
    "weighting sigma-min sigma-max sigma-data rho classes attention-resolutions num-heads " \
    "head-channels scale-shift-norm resblock-updown sample-scale " CM_SCORE_OPTIONS " "

/* All there are; ends with NULL. */
extern const cm_objective *const cm_objectives[];
/* NULL: none of that name. */
const cm_objective *cm_objective_find(const char *name);

/* Complete the options with the objective's defaults, and look every name up; the teacher's
 * schedule is the student's until the caller says otherwise.
 * Errors: CM_ERR_ARGUMENT (values that do not fit each other). */
cm_status cm_objective_resolve(cm_train_params *options, cm_objective_settings *settings,
                               cm_error *err);
/* Once teacher and steps are known.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_objective_check(const cm_objective_settings *settings, cm_error *err);
/* The stage of step k, counted from 0; of a method without stages, the whole run. */
cm_stage cm_objective_stage(const cm_objective_settings *settings, int64_t k);

/* ---- distances between images ---- */

struct cm_distance {
    const char *name; /* --loss-norm */
    /* A squared distance of embeddings adds here the parts of x f32 [N,H,W,C]; NULL: it is none,
     * and has `between` of a, b f32 [N,H,W,C] -> [N]. */
    void (*embed)(const cm_loss_context *c, cm_node *x, cm_embedding *e);
    cm_node *(*between)(const cm_loss_context *c, cm_node *a, cm_node *b);
    const cm_frozen_kind *frozen; /* the network it looks through; NULL: none */
    const char *options;          /* that not every distance looks at; NULL: none */
};

/* d(a, b) of each sample: a, b f32 [N,H,W,C] -> [N] */
cm_node *cm_distance_between(const cm_distance *d, const cm_loss_context *c, cm_node *a,
                             cm_node *b);
/* All there are; the last has a NULL name. */
extern const cm_distance cm_distances[];
const cm_distance *cm_distance_find(const char *name);

/* ---- losses on given noise and levels, for the records and their tests ---- */

/* w(sigma) mean (D(x0 + sigma z, sigma) - x0)^2: EDM; Vincent 2011.  z as x0, sigma [N]. */
cm_node *cm_loss_dsm(const cm_loss_context *c, cm_node *z, cm_node *sigma);
/* w(t) d( f(x_t, t), f-(x_t2, t2) ), t > t2 f32 [N]: see consistency.c */
cm_node *cm_loss_consistency(const cm_loss_context *c, cm_node *z, cm_node *t, cm_node *t2);
/* w(t) d( D(x_t, t), x^ ), x^ from two teacher's steps t > t2 > t3, f32 [N]: see progressive.c */
cm_node *cm_loss_progressive(const cm_loss_context *c, cm_node *z, cm_node *t, cm_node *t2,
                             cm_node *t3);
/* w(t) |g|_d^2, g the tangent of f along the ODE at x0 + t z, t f32 [N]: see continuous.c */
cm_node *cm_loss_continuous(const cm_loss_context *c, cm_node *z, cm_node *t);
/* x0 + t z */
cm_node *cm_noisy(cm_graph *g, cm_node *x0, cm_node *z, cm_node *t);

#endif
