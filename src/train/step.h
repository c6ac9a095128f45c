/* step.h - a whole training step, compiled: noise, networks, loss, gradients,
 * optimizer, averages.  Running it allocates nothing and decides nothing.
 *
 * A step is two plans.  `part` computes the loss and gradient of a part of the
 * batch; `update` moves the parameters and their averages.  With
 * one part the two run once each; with more, memory is that of a part and the
 * result is the same up to the order of sums, since random numbers are functions of
 * a sample's number in the batch.  Weights are packed for the convolutions once a
 * step, the teacher's once.
 *
 * Parts are added up in the order of group/order.h, whether they come one after another or in
 * several processes, whose sums travel while the last part's gradient is still computed: in
 * buckets, ranges of the gradient, as soon as no step of the plan changes them any more.
 *
 * All arrays of floats have the layout of the parameter table (nn/params.h).
 *
 * Sharded (--shard; ZeRO stage 1, Rajbhandari et al. 2020, arXiv 1910.02054), a process has moments
 * and averages of its own slice of each bucket alone.  It gets the sums of those slices of the
 * gradient and of no others, updates them, and the weights are gathered from all.  What is not
 * elementwise is the norm of the gradient: each process adds up the squares of its slices in runs
 * of CM_SQUARES, and the sums of runs travel. */
#ifndef CM_TRAIN_STEP_H
#define CM_TRAIN_STEP_H

#include "graph/plan.h"
#include "group/group.h"
#include "train/ema_rates.h"
#include "train/objective/objective.h"

typedef struct cm_step_config {
    const cm_objective_settings *settings; /* with the options: batch, accumulate, optimizer, ... */
    const cm_net_config *net;
    cm_params *params;
    int n_ema;
    double ema_rate[CM_MAX_EMA];
    const cm_device *device;
    cm_dtype dtype;
    int threads;
    const cm_frozen_weights *frozen; /* of the distance, NULL: it needs none; outlives the step */
    cm_group *group;                 /* with whom the parts are shared, NULL: alone; likewise */
} cm_step_config;

/* Numbers that travel with the gradient, behind it: the loss, and what a process has to say to all,
 * each the sum over processes. */
enum { CM_STEP_LOSS, CM_STEP_STOP, CM_STEP_SAVE, CM_STEP_LAST, CM_STEP_DRAW, CM_STEP_TAIL = 16 };
enum { CM_STEP_PENDING = 24, CM_STEP_BUCKETS = 64 };

/* A range of gradient and tail. */
typedef struct cm_step_bucket {
    size_t begin, end;
    int steps; /* of the plan until it is done */
} cm_step_bucket;

/* What of the flat arrays this process updates: all, or its slice of each bucket.  Arrays of its
 * own have these pieces one after another. */
typedef struct cm_piece {
    size_t begin, floats; /* in the whole array */
    size_t at;            /* in one of its own */
} cm_piece;

typedef struct cm_shard {
    int shared; /* with other processes, which have the rest */
    int n;
    cm_piece piece[CM_STEP_BUCKETS];
    size_t floats;
} cm_shard;

/* Sums of squares of n floats. */
static inline size_t cm_squares_runs(size_t n)
{
    return (n + CM_SQUARES - 1) / CM_SQUARES;
}

typedef struct cm_train_step {
    cm_graph *part_graph, *update_graph;
    cm_plan *part, *update;
    int batch, parts;
    cm_group *group;
    cm_span own;   /* parts of this process; x and y have their samples alone */
    size_t floats; /* of each whole array */
    size_t image;  /* floats of an image */
    size_t frozen; /* floats of the network that the distance looks through; 0: none */
    float *params, *grad;
    float *target, *teacher; /* NULL where the method has none */
    cm_shard shard;
    float *m, *v, *ema[CM_MAX_EMA]; /* [shard.floats] */
    float *squares;                 /* of runs of the gradient, and the tail; NULL: not shared */
    int squares_done, weights_done; /* steps of update until then */
    /* Inputs of a step. */
    float *x;                /* [own.count * batch / parts,H,W,C] in [-1,1] */
    int32_t *y;              /* likewise; NULL without classes */
    float say[CM_STEP_TAIL]; /* all but the loss */
    int32_t rng[3];          /* seed low, seed high, step */
    float hyper[2];          /* learning rate, k = 1,2,.. */
    cm_step_scalars scalars; /* of the objective */
    /* Results. */
    float *loss;                     /* mean over the batch, and behind it what was said */
    float grad_squared;              /* not finite: nothing was updated */
    float *pending[CM_STEP_PENDING]; /* sums of parts that wait (order.h) */
    float *room;                     /* of the group's sums */
    cm_step_bucket bucket[CM_STEP_BUCKETS];
    int n_buckets;
    /* Where they go. */
    const cm_node *part_x, *part_y, *part_rng, *part_scalar[CM_MAX_SCALARS];
    const cm_node *part_loss; /* of a part, where its forward pass ends */
    const cm_node *update_hyper, *update_target_weight, *update_grad_squared;
    int params_buffer, target_buffer, teacher_buffer; /* of part; -1: none */
    int n_scalars;
} cm_train_step;

/* The step owns all its arrays, zeroed.  Errors: CM_ERR_ARGUMENT (options that no network
 * can have), CM_ERR_UNSUPPORTED, CM_ERR_MEMORY. */
cm_status cm_train_step_new(const cm_step_config *config, cm_train_step **step, cm_error *err);
void cm_train_step_free(cm_train_step *s);

void cm_train_step_run(cm_train_step *s);
/* The first average becomes the teacher, and the student with its averages and target; moments
 * are 0 again.  The plans stay. */
void cm_train_step_restart(cm_train_step *s);
/* An array of this process's own, of all processes: itself where they share nothing, else it is
 * valid up to the next call or step.  All processes come. */
float *cm_train_step_whole(cm_train_step *s, float *own);
/* What of a whole array is this process's own. */
void cm_train_step_take(const cm_train_step *s, const float *whole, float *own);
/* Compute the step once more: the first node that is not finite, as text in buf;
 * returns 0 when all are finite. */
int cm_train_step_find_nonfinite(cm_train_step *s, char *buf, size_t size);

/* Bytes of the arrays and of both plans. */
size_t cm_train_step_bytes(const cm_train_step *s);
/* Of these, what no training step does without: weights, moments, averages and the
 * activations that the gradient reads. */
size_t cm_train_step_needed_bytes(const cm_train_step *s);
/* Of the activations, those that the gradient reads. */
size_t cm_train_step_kept_bytes(const cm_train_step *s);
/* Moments and averages, which processes can share. */
size_t cm_train_step_own_bytes(const cm_train_step *s);

#endif
