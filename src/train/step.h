/* step.h - a whole training step, compiled: noise, networks, loss, gradients,
 * optimizer, averages.  Running it allocates nothing and decides nothing.
 *
 * A step is two plans.  `part` computes the loss and gradient of a part of the
 * batch and adds them up; `update` moves the parameters and their averages.  With
 * one part the two run once each; with more, memory is that of a part and the
 * result is the same up to the order of sums, since random numbers are functions of
 * a sample's number in the batch.  Weights are packed for the convolutions once a
 * step, the teacher's once.
 *
 * All arrays of floats have the layout of the parameter table (nn/net.h). */
#ifndef CM_TRAIN_STEP_H
#define CM_TRAIN_STEP_H

#include "consistency/loss.h"
#include "graph/plan.h"

enum { CM_MAX_EMA = 8 };

typedef enum cm_method { CM_METHOD_EDM, CM_METHOD_CD, CM_METHOD_CT } cm_method;

typedef struct cm_step_config {
    cm_method method;
    const cm_net_config *net;
    cm_params *params;
    cm_noise_schedule schedule;
    cm_noise_schedule teacher_schedule; /* what the teacher was trained with (cd) */
    cm_precond_kind boundary;           /* of student and target (cd, ct) */
    cm_weighting weighting;
    cm_distance distance;
    cm_solver solver;
    double p_mean, p_std; /* of ln sigma (edm) */
    int adamw;            /* else RAdam */
    cm_optimizer_attr optimizer;
    int n_ema;
    double ema_rate[CM_MAX_EMA];
    int batch;
    int parts;     /* divides batch; 0 is 1 */
    int recompute; /* compute the student's activations again for the gradient */
    cm_dtype dtype;
    int threads;
} cm_step_config;

typedef struct cm_train_step {
    cm_graph *part_graph, *update_graph;
    cm_plan *part, *update;
    int batch, parts;
    size_t floats;            /* of each array below */
    const cm_node *loss_node; /* of a part, where its forward pass ends */
    float *params, *m, *v, *grad;
    float *target, *teacher; /* NULL where the method has none */
    float *ema[CM_MAX_EMA];
    /* Inputs of a step. */
    float *x;           /* [batch,H,W,C] in [-1,1] */
    int32_t *y;         /* [batch]; NULL without classes */
    int32_t rng[3];     /* seed low, seed high, step */
    float *hyper;       /* [2] learning rate, k = 1,2,.. */
    float *scales, *mu; /* [1] N(k) and mu(k) (cd, ct) */
    /* Results. */
    float *loss;               /* [1] mean over the batch */
    const float *grad_squared; /* [1]; not finite: nothing was updated */
    /* Inputs of a part. */
    size_t image; /* floats */
    float *part_x;
    int32_t *part_y, *part_rng;
    int params_buffer, target_buffer; /* of part; target -1: none */
} cm_train_step;

/* The step owns all its arrays, zeroed. */
cm_status cm_train_step_new(const cm_step_config *config, cm_train_step **step, cm_error *err);
void cm_train_step_free(cm_train_step *s);

void cm_train_step_run(cm_train_step *s);
/* Compute the step once more: the first node that is not finite, as text in buf;
 * returns 0 when all are finite. */
int cm_train_step_find_nonfinite(cm_train_step *s, char *buf, size_t size);

/* Bytes of the arrays and of both plans. */
size_t cm_train_step_bytes(const cm_train_step *s);
/* Of these, what no training step does without: weights, moments, averages and the
 * activations that the gradient reads. */
size_t cm_train_step_needed_bytes(const cm_train_step *s);

#endif
