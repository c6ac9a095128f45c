/* op_problem.h - a case with its derivatives, as a compiled plan and its inputs */
#ifndef CM_TESTS_OP_PROBLEM_H
#define CM_TESTS_OP_PROBLEM_H

#include "check.h"
#include "op_cases.h"

#include "graph/plan.h"

/* The tensors of a problem that are compared: Y, YDOT and one DX an input. */
enum { Y, YDOT, DX, OUTPUTS = DX + CASE_INPUTS };

typedef struct variant {
    unsigned mask; /* bit i: input i is a variable */
    int threads;
    int bf16;    /* the inputs that the case names are cast to bf16 */
    int guarded; /* all inputs and outputs are memory bound from outside, between guards */
} variant;

typedef struct guarded {
    const cm_node *leaf;
    unsigned char *block, *before; /* guard, data, guard; and a copy */
} guarded;

enum { MEMORIES = 2 * CASE_INPUTS + 2 + OUTPUTS };

typedef struct problem {
    const op_case *c;
    variant v;
    cm_graph *g;
    cm_plan *plan;
    int n; /* inputs */
    cm_node *x[CASE_INPUTS], *xdot[CASE_INPUTS], *dy;
    cm_node *out[OUTPUTS]; /* NULL: the derivative is zero */
    guarded memory[MEMORIES];
    int n_memory;
} problem;

int case_inputs(const op_case *c);
/* 0 and a failed CHECK where it cannot be built. */
int problem_new(problem *p, const op_case *c, variant v);
void problem_free(problem *p);

/* Fill every input: random numbers given by the case and the input alone, so the
 * same in every variant; and bf16 numbers where the case is to run in bf16 too, so
 * that both compute the same function. */
void problem_fill(problem *p);
/* Fill and run; where guarded, check the guards and that no input changed. */
void problem_run(problem *p);

/* ops that occurred between the inputs and y of some problem */
extern char op_differentiated[CM_OP_COUNT];

double problem_value(const problem *p, const cm_node *n, int64_t i);
/* sum a b in double, and sqrt(sum (a b)^2): how large the sum is when its terms do
 * not conspire */
double problem_dot(const problem *p, const cm_node *a, const cm_node *b);
double problem_dot_size(const problem *p, const cm_node *a, const cm_node *b);

#endif
