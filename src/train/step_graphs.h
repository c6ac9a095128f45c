/* step_graphs.h - the two graphs of a training step, before they are compiled (step.c) */
#ifndef CM_TRAIN_STEP_GRAPHS_H
#define CM_TRAIN_STEP_GRAPHS_H

#include "train/step.h"

/* Loss and gradient of a part. */
typedef struct cm_part_graph {
    const cm_step_config *config;
    const cm_objective *objective;
    int parts, own;                                  /* in all, and of this process */
    int params, target, teacher, frozen, grad, loss; /* buffers */
    cm_net student, target_net, teacher_net, frozen_net;
    cm_loss_context context; /* graph, inputs, denoisers */
    cm_node *y, *end;        /* end of the forward pass: the loss */
} cm_part_graph;

/* What moves the parameters that are this process's own, and the target. */
typedef struct cm_update_graph {
    const cm_step_config *config;
    const cm_shard *shard;
    cm_graph *g;
    cm_node *hyper, *target_weight, *grad_squared;
    int params, m, v, grad, loss, squares, target, ema[CM_MAX_EMA]; /* buffers */
} cm_update_graph;

/* config, g and what is counted are set, the rest is found. */
void cm_part_graph_build(cm_part_graph *b);
void cm_update_graph_build(cm_update_graph *b);

#endif
