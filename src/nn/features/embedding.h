/* embedding.h - what a network sees in images, as points whose distance is a sum of squares:
 *
 *     d(a, b) = sum over parts p of scale_p sum of w_p (e_p(a) - e_p(b))^2
 *
 * The sums run over all that belongs to one image.  Such a distance has, where a = b, the
 * Hessian 2 J^T W J in a, with J the derivative of e: tangents of losses are made of it. */
#ifndef CM_NN_FEATURES_EMBEDDING_H
#define CM_NN_FEATURES_EMBEDDING_H

#include "graph/graph.h"

typedef struct cm_embedded {
    cm_node *value;  /* f32 [N,H,W,C] */
    cm_node *weight; /* of the channels, f32 [1,1,1,C]; NULL: 1 */
    float scale;
} cm_embedded;

enum { CM_MOST_EMBEDDED = 9 };

typedef struct cm_embedding {
    int n;
    cm_embedded part[CM_MOST_EMBEDDED];
} cm_embedding;

void cm_embedding_add(cm_embedding *e, cm_node *value, cm_node *weight, float scale);
/* f of any dtype [N,H,W,C], as a part the way LPIPS has it: brought to unit length over the
 * channels of a place, but where there is nothing; the mean over places counts. */
void cm_embedding_add_unit(cm_graph *g, cm_embedding *e, cm_node *f, cm_node *weight);
/* Of two that were built alike: f32 [N] */
cm_node *cm_embedding_distance(cm_graph *g, const cm_embedding *a, const cm_embedding *b);

#endif
