/* trainer.h - the state of one training run, shared by setup.c (options to objects),
 * state.c (checkpoints), loop.c and what that calls */
#ifndef CM_TRAIN_TRAINER_H
#define CM_TRAIN_TRAINER_H

#include "data/loader.h"
#include "eval/scorer.h"
#include "model/model.h"
#include "run/folder.h"
#include "run/log.h"
#include "train/step.h"

typedef struct cm_trainer {
    cm_train_params config;         /* resolved: what config.json holds */
    cm_objective_settings settings; /* refers to config */
    cm_dataset *data;
    cm_dataset *held;  /* of a classifier: pictures it does not learn from */
    double accuracy;   /* on them; below 0: not measured yet */
    cm_scorer *scorer; /* NULL: samples are not scored */
    int64_t scored;    /* step of the last score in the log; 0: none */
    cm_group *group;   /* NULL: alone */
    cm_loader *loader;
    cm_model *teacher, *init; /* NULL: none */
    const cm_device *device;
    cm_net_config net;
    cm_params *params;
    cm_train_step *step;
    int n_ema;
    double ema_rate[CM_MAX_EMA];
    int threads;
    cm_dtype dtype;
    cm_frozen_weights frozen; /* what the distance looks through */
    uint64_t teacher_hash;    /* of the teacher's weights: noticed when it changes */
    uint64_t frozen_hash;     /* likewise */
    char *classes, *training; /* metadata of what is saved */
    int lock;
    cm_runlog *log;
    int64_t k;       /* steps done */
    double seconds;  /* that they took, over all resumes; as of the last log line or save */
    double loss_sum; /* since the last log line */
    int64_t loss_count;
} cm_trainer;

/* Open the data and the teacher, complete the options, build the network and compile the
 * step.  Weights are set to their first values.  resume: the network is that of the run's
 * newest checkpoint, and no first weights are looked for.  stop is asked while steps are timed
 * and at the end; where it is non-zero: CM_INTERRUPTED. */
cm_status cm_trainer_setup(cm_trainer *t, int resume, int (*stop)(void *user), void *user,
                           cm_error *err);
void cm_trainer_clear(cm_trainer *t);
cm_status cm_trainer_stopped(int resume, cm_error *err); /* CM_INTERRUPTED: before a step */

/* Before the first step of several processes.  Errors, which all agree on: CM_ERR_FORMAT names in
 * what one differs from process 0; CM_ERR_MEMORY. */
cm_status cm_trainer_check_alike(const cm_trainer *t, cm_error *err);

/* A model that borrows one of the trainer's weight arrays. */
cm_model cm_trainer_model(const cm_trainer *t, float *weights);

/* The first average, whole, up to the next step or save; all processes come. */
float *cm_trainer_average(const cm_trainer *t);
/* A checkpoint, by process 0; all come. */
cm_status cm_trainer_save(cm_trainer *t, char *where, size_t size, cm_error *err);
/* Go on from the newest checkpoint of config.out. */
cm_status cm_trainer_restore(cm_trainer *t, char *note, size_t size, cm_error *err);

/* Draw a grid of 8 images a class (or 64), always from the same noise, with this sampler from
 * these weights, into `path`, which it writes: RUN/samples/STEP_SAMPLER.png.  All processes share
 * it; process 0 writes.  progress and stop as those of a cm_request. */
cm_status cm_trainer_draw(const cm_trainer *t, float *weights, const char *sampler,
                          void (*progress)(void *user, int64_t done, int64_t all),
                          int (*stop)(void *user), void *user, char path[CM_RUN_PATH],
                          cm_error *err);

/* Of a classifier: measure t->accuracy of these weights on the pictures kept back, and
 * log it; event becomes a line that says so. */
cm_status cm_trainer_judge(cm_trainer *t, float *weights, char *event, size_t size, cm_error *err);

/* Where eval-every asks for scores: the network that judges, and the statistics of the reference.
 * After the set-up; `line` is told what the user should know, and gets the user of hooks.
 * Errors: those of cm_scorer_open and cm_scorer_take_reference. */
cm_status cm_trainer_scores_open(cm_trainer *t, const cm_eval_hooks *hooks,
                                 void (*line)(void *user, const char *text), cm_error *err);
/* Whether samples are to be scored at this step and have not been; last: of the run. */
int cm_trainer_score_due(const cm_trainer *t, int last);
/* Score those of these weights, which all processes share, and log it.  Training does not end for
 * want of a score: `line` is told why there is none, and where hooks asked to stop, nothing.
 * Errors: those of the log. */
cm_status cm_trainer_score(cm_trainer *t, float *weights, const cm_eval_hooks *hooks,
                           void (*line)(void *user, const char *text), cm_error *err);

#endif
