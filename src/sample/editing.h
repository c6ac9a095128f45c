/* editing.h - a request's edit, checked and ready for the samplers: which picture an image goes
 * by, where it starts, what it keeps */
#ifndef CM_SAMPLE_EDITING_H
#define CM_SAMPLE_EDITING_H

#include "sample/edit_levels.h"

typedef struct cm_editing {
    const cm_edit_task *task;
    const cm_edit *edit;
    cm_known known; /* but the mask, which is a picture's */
    int64_t image;  /* values of one */
    int64_t num;    /* images */
    int64_t each;   /* of a picture */
    const cm_sampling_method *method;
    cm_levels levels;
    double *seen;      /* [batch,image] */
    double *picture;   /* [image]: room */
    int64_t first;     /* of the batch that seen is of */
    int count;         /* of it */
    const float *ends; /* [2,image] of interpolate */
} cm_editing;

/* Fill in task, known, image, num, each, method and levels (whose sigma is room already) of an
 * edit for a model of h x w x c.  Errors: CM_ERR_ARGUMENT names the field. */
cm_status cm_editing_begin(cm_editing *e, const cm_recipe *recipe, const cm_edit_search *search,
                           const cm_request *request, int h, int w, int c, cm_error *err);

/* Of `count` images from `first` on: what the model is told. */
void cm_editing_see(cm_editing *e, int64_t first, int count);
/* A cm_constraint of what cm_editing_see was told; user is the cm_editing. */
void cm_editing_constrain(void *user, double *x0, int is_last);
/* How far an estimate x0[image] of image i of the batch is from what is known of it. */
double cm_editing_misfit(const cm_editing *e, int i, const double *x0);
/* cm_edit.seen. */
void cm_editing_show(cm_editing *e);

/* The number of image i in the noise of its seed: the k-th images of all pictures share it. */
int64_t cm_editing_number(const cm_editing *e, int64_t i);
/* Its share of the way between the ends. */
double cm_editing_share(const cm_editing *e, int64_t i);
/* Evaluations of the denoiser, an image each. */
int64_t cm_editing_evaluations(const cm_editing *e);

#endif
