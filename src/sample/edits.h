/* edits.h - the tasks of cm edit as records: what of a picture is known, where the noise
 * starts, and what each estimate must keep of it.
 *
 * Consistency Models, algorithm 4, with an invertible linear A and a mask of what is missing:
 *
 *     y  <- A^-1[(A y) known + 0 missing]              what the model is told: seen
 *     x  ~  N(y, t_1^2 I)
 *     x  <- f(x, t_n);  x <- A^-1[(A y) known + (A x) missing];  x ~ N(x, t_{n+1}^2 - eps^2)
 *
 * The missing part of A x is x projected, so A need not be known (closed forms below).  A
 * diffusion teacher takes the same projection of its estimate D wherever the ODE asks for
 * one: its samplers then follow dx/dsigma = (x - P(D(x, sigma))) / sigma. */
#ifndef CM_SAMPLE_EDITS_H
#define CM_SAMPLE_EDITS_H

#include <stdint.h>

/* What a task takes beside the picture. */
enum {
    CM_EDIT_MASK = 1,
    CM_EDIT_FACTOR = 2,
    CM_EDIT_SIGMA = 4,
    CM_EDIT_STRENGTH = 8,
    CM_EDIT_ENDS = 16,    /* noise in place of a picture */
    CM_EDIT_COLOUR = 32,  /* a model of three channels */
    CM_EDIT_TEACHER = 64, /* a model with an ODE to follow */
};

/* x_T. */
typedef enum cm_edit_start {
    CM_START_NOISE,   /* seen + sigma z */
    CM_START_PICTURE, /* seen: its noise is there already */
    CM_START_BETWEEN, /* sigma z, z on the arc between two noises */
    CM_START_INVERTED /* sigma z, z where the ODE leads from seen */
} cm_edit_start;

/* The shape of an image, and which of it is known. */
typedef struct cm_known {
    int h, w, c;
    const uint8_t *mask; /* [h,w]: from 128 on missing */
    int factor;          /* sides of a patch of which the mean is known */
} cm_known;

typedef struct cm_edit_task {
    const char *name;
    unsigned needs;
    cm_edit_start start;
    /* Noise levels of a consistency model, by default: even on the grid from the one that leaves the
     * share 1 - strength of it undone down to the one that leaves 1 - last, as far apart as n
     * from sigma_max are. */
    double strength, last;
    int n;
    /* seen[h,w,c] of the picture y[h,w,c]; with CM_EDIT_FACTOR y is [h/factor,w/factor,c]. */
    void (*see)(const cm_known *k, const double *y, double *seen);
    /* x0 becomes the nearest image that agrees with seen; NULL: any does. */
    void (*keep)(const cm_known *k, const double *seen, double *x0);
    /* x0, which agrees, still does and is within [-1, 1]; NULL with keep. */
    void (*settle)(const cm_known *k, const double *seen, double *x0);
} cm_edit_task;

/* All there are; the last has a NULL name. */
extern const cm_edit_task cm_edit_tasks[];
/* NULL: none of that name. */
const cm_edit_task *cm_edit_task_find(const char *name);

/* z = the point at share a of the way from z0 to z1 on the arc between them (slerp), n values:
 * noise between two noises is as long as they are. */
void cm_slerp(const float *z0, const float *z1, double a, int64_t n, double *z);

#endif
