/* evaluate.h - how good samples are: all scores of a set of images beside a reference */
#ifndef CM_EVAL_EVALUATE_H
#define CM_EVAL_EVALUATE_H

#include "cm.h"
#include "eval/extractor.h"

enum { CM_SCORE_NOTES = 12, CM_SCORE_NOTE = 480 };

/* What was found; NaN: this was not asked for, or cannot be told. */
typedef struct cm_scores {
    cm_score_names names;
    char ref[512], samples[512]; /* where they are from; empty: none */
    int64_t n_ref, n_samples;    /* n_ref 0: not known */
    int64_t kept_ref, kept_samples;
    double frechet, spatial, inception;
    double precision, recall, density, coverage;
    double kid, kid_deviation;
    double agreement, agreement_ref; /* shares of the images that are taken for their class */
    double nearest, nearest_test;    /* median distances to the nearest training image */
    double nearer; /* share of (sample, test image) of which the sample is nearer */
    double lpips, lpips_deviation, lpips_least, lpips_most; /* of the pairs */
    char notes[CM_SCORE_NOTES][CM_SCORE_NOTE];
    int n_notes;
} cm_scores;

cm_scores cm_scores_none(void); /* nothing was asked for */
__attribute__((format(printf, 2, 3))) void cm_scores_note(cm_scores *scores, const char *fmt, ...);
/* A text that is a note, once; empty: none. */
void cm_scores_note_of(cm_scores *scores, const char *text);

/* As cm_eval (cm.h), whose arguments are in range. */
cm_status cm_evaluate(const cm_eval_params *params, const cm_sample_params *sampling,
                      const cm_eval_hooks *hooks, cm_scores *scores, cm_error *err);

/* The scores as lines for people, or as a JSON object; freed with cm_free.
 * NULL: out of memory. */
char *cm_scores_text(const cm_scores *scores);
char *cm_scores_json(const cm_scores *scores);

#endif
