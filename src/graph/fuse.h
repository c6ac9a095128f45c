/* fuse.h - additions and relus that disappear into the op that made an operand */
#ifndef CM_GRAPH_FUSE_H
#define CM_GRAPH_FUSE_H

#include "graph/op.h"

/* Rewrite node[0..n), the nodes of a graph in program order, of which only those
 * marked live run and those marked kept are read from outside.  One that is fused
 * becomes an alias of the op that took it over. */
void cm_fuse(cm_node *node, int n, const char *live, const char *kept, int *readers);

#endif
