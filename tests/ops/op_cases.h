/* op_cases.h - the functions that test_ops.c differentiates, one line each */
#ifndef CM_TESTS_OP_CASES_H
#define CM_TESTS_OP_CASES_H

#include "graph/op.h"

enum { CASE_INPUTS = 3 };

typedef struct op_case op_case;
struct op_case {
    const char *name;
    cm_node *(*build)(cm_graph *g, cm_node *const *x, const op_case *c);
    int64_t dim[CASE_INPUTS][CM_MAX_RANK + 1]; /* of each f32 input; ends at 0 */
    int64_t i[3];                              /* attributes, as the builder reads them */
    float f[2];
    int64_t to[CM_MAX_RANK + 1]; /* a shape the builder wants */
    float lo, hi;                /* inputs are in here; both 0: in -1..1 */
    float kink, gap;             /* and not within gap of +-kink */
    int parted;                  /* the first input's values: none near another, see op_problem.h */
    float step, tol;             /* of the differences, where not the usual ones */
    float error;                 /* of values, where more than 2e-6 of their size */
    unsigned bf16;               /* bit i: also with input i in bf16, expecting nearly the same */
    /* The value in double from the inputs' values; NULL: tests/unit has it. */
    void (*reference)(const cm_node *y, const double *const *x, double *want);
};

extern const op_case op_cases[];
extern const int op_case_count;

/* References, for the ops of the same name. */
void reference_conv2d(const cm_node *y, const double *const *x, double *want);
void reference_conv2d_grad_input(const cm_node *y, const double *const *x, double *want);
void reference_conv2d_grad_weight(const cm_node *y, const double *const *x, double *want);
void reference_avg_pool(const cm_node *y, const double *const *x, double *want);
void reference_max_pool(const cm_node *y, const double *const *x, double *want);
void reference_resize(const cm_node *y, const double *const *x, double *want);
void reference_matmul(const cm_node *y, const double *const *x, double *want);
void reference_group_norm(const cm_node *y, const double *const *x, double *want);
void reference_softmax(const cm_node *y, const double *const *x, double *want);
void reference_log_softmax(const cm_node *y, const double *const *x, double *want);
void reference_attention(const cm_node *y, const double *const *x, double *want);
void reference_sum_to(const cm_node *y, const double *const *x, double *want);
void reference_broadcast_to(const cm_node *y, const double *const *x, double *want);

#endif
