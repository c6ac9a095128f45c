/* classifier.c - a classifier of the data's own classes, whose features and verdicts judge
 * samples: the cross-entropy of its logits l with the label y,
 *
 *     log sum_k e^(l_k) - l_y
 *
 * It draws nothing; instead of grids of samples, a run logs how many of the pictures that it
 * keeps back from training the classifier recognises. */
#include "train/objective/objective.h"

#include "graph/op.h"

/* Row k has a 1 at k: f32 [classes,classes] */
static cm_node *identity(cm_graph *g, int64_t classes)
{
    const size_t n = (size_t)classes;
    float *values = cm_graph_alloc(g, n * n * sizeof *values); /* zeroed */
    for (size_t k = 0; values && k < n; k++)
        values[k * n + k] = 1.0f;
    return values ? cm_const(g, CM_TYPE(CM_F32, classes, classes), values) : NULL;
}

static cm_node *loss(const cm_loss_context *c)
{
    cm_graph *g = c->g;
    const cm_denoiser *student = &c->student;
    cm_node *log_p =
        cm_log_softmax(g, cm_net_apply(student->net, student->config, c->x0, NULL, NULL));
    cm_node *one = identity(g, student->config->num_classes);
    if (!one || cm_graph_check(g, NULL))
        return log_p;
    const int64_t n = cm_node_type(log_p)->dim[0];
    cm_node *of_label = cm_mul(g, cm_gather(g, one, student->y), log_p);
    cm_node *sum = cm_sum_to(g, of_label, CM_TYPE(CM_F32, n, 1));
    return CM_RESHAPE(g, cm_affine(g, sum, -1.0f, 0.0f), n);
}

static const cm_step_scalar scalars[] = {{0}};
static const char *const samplers[] = {NULL};

const cm_objective cm_objective_classifier = {.name = "classifier",
                                              .classifies = 1,
                                              .scalars = scalars,
                                              .loss = loss,
                                              .samplers = samplers,
                                              .options = "lr-decay score"};
