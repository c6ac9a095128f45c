/* optimizer.h - the table of optimizers */
#ifndef CM_TRAIN_OPTIMIZER_H
#define CM_TRAIN_OPTIMIZER_H

#include "graph/graph.h"

typedef struct cm_optimizer {
    const char *name; /* --optimizer */
    /* The op: p, m, v, grad f32 [P]; hyper and gate as in graph.h. */
    cm_node *(*build)(cm_graph *g, cm_node *p, cm_node *m, cm_node *v, cm_node *grad,
                      cm_node *hyper, cm_node *gate, cm_optimizer_attr a);
} cm_optimizer;

/* All there are; the last has a NULL name. */
extern const cm_optimizer cm_optimizers[];
/* NULL: none of that name. */
const cm_optimizer *cm_optimizer_find(const char *name);

#endif
