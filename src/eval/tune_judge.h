/* tune_judge.h - how good edits with some noise levels are: real pictures are edited, and a
 * classifier looks at what came of them and at the pictures themselves.
 *
 *     score      the Frechet distance of its features between the two sets
 *     agreement  the share of pictures that it takes for their class, where the data has classes
 *                and they are those of the classifier, else for what it takes the untouched ones
 * for
 *
 * inpaint fills the middle half of each side, upscale has the means of patches, colorize the
 * gray.  Each picture has noise of its own: with one for all, as cm edit draws it, a seed would
 * count as one draw, however many pictures there are.  They are edited for the classes that cm
 * edit finds (--class auto), found once a task, or for those of the data. */
#ifndef CM_EVAL_TUNE_JUDGE_H
#define CM_EVAL_TUNE_JUDGE_H

#include "data/summary.h"
#include "eval/extractor.h"
#include "eval/moments.h"
#include "eval/plain_edits.h"
#include "sample/edits.h"
#include "sample/images.h"

enum { CM_TUNE_FACTOR = 4 }; /* of upscale where none is given */

/* Noise levels of a consistency model, or steps of a teacher. */
typedef struct cm_tune_list {
    cm_text sigmas; /* as cm edit --sigmas; of a teacher empty */
    int64_t steps;  /* as --steps; else 0 */
    int evaluations;
} cm_tune_list;

typedef struct cm_tune_judge {
    const cm_tune_params *params;
    const cm_eval_hooks *hooks; /* NULL: nobody looks */
    const cm_model *model;
    cm_extractor *extractor;
    cm_linear linear;
    cm_images *pictures;        /* untouched */
    char left_out[CM_LEFT_OUT]; /* files that are none of them; empty: none */
    cm_statistics untouched;
    int64_t *classes;                        /* [num], those to agree with */
    int classes_are_given, labels_are_given; /* by the data */
    double agreement_untouched;
    float *features, *logits;
    cm_images *small, *mask, *edited; /* of the task; NULL: none */
    cm_edit edit;
    int64_t *labels; /* [num], to edit for: of the data, or of the task once they are found */
    int has_labels;
    int64_t first; /* picture of the batch that is edited now */
    char what[64]; /* for progress */
    double begun;
} cm_tune_judge;

/* Of a model that outlives it; the pictures get its size.  j is all zero.
 * Errors: those of cm_extractor_open and cm_dataset_open, CM_ERR_ARGUMENT (fewer than two
 * pictures; no classes of the model's in the data), CM_ERR_UNSUPPORTED (no OpenBLAS). */
cm_status cm_tune_judge_open(cm_tune_judge *j, const cm_model *model, const cm_tune_params *params,
                             const cm_eval_hooks *hooks, cm_error *err);
void cm_tune_judge_close(cm_tune_judge *j); /* also of one that is all zero */

/* Whether upscale by the factor of the settings fits the model.  Errors: CM_ERR_ARGUMENT. */
cm_status cm_tune_judge_check_factor(const cm_tune_params *params, const cm_model *model,
                                     cm_error *err);
/* What is scored from now on; of upscale with a factor that fits.  Errors: CM_ERR_MEMORY. */
cm_status cm_tune_judge_take(cm_tune_judge *j, const cm_edit_task *task, cm_error *err);
/* Of what an edit of the task without a network makes of them. */
cm_status cm_tune_judge_plain(cm_tune_judge *j, const cm_plain_edit *plain, double *score,
                              double *agreement, cm_error *err);
/* With the noise of a seed.  Errors: those of cm_sampler_run, CM_INTERRUPTED. */
cm_status cm_tune_judge_score(cm_tune_judge *j, const cm_tune_list *list, int64_t seed,
                              double *score, double *agreement, cm_error *err);

#endif
