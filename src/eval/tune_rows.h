/* tune_rows.h - what the searches for noise levels share: rows of their tables, lists of levels as
 * text, and how far apart two scores of one list are */
#ifndef CM_EVAL_TUNE_ROWS_H
#define CM_EVAL_TUNE_ROWS_H

#include "cm.h"
#include "consistency/schedule.h"

/* Who is told the rows. */
typedef struct cm_tune_rows {
    void (*line)(void *user, const char *text); /* NULL: nobody */
    void *user;
} cm_tune_rows;

__attribute__((format(printf, 2, 3))) void cm_tune_say(const cm_tune_rows *rows, const char *fmt,
                                                       ...);

/* One level more in the list "80,5", with so many digits: short enough to be read, but all of them
 * where the rounded one is above sigma_max. */
void cm_tune_append_level(const cm_noise_schedule *schedule, double sigma, int digits,
                          cm_text list);

/* With four digits, as it goes into the file of a model. */
double cm_tune_rounded(double value);

/* Over the lists that were judged with two noises each: begin with all zero. */
typedef struct cm_tune_spread {
    double squares;
    int n;
} cm_tune_spread;

void cm_tune_spread_add(cm_tune_spread *spread, const double score[2]);
/* What a mean of two scores differs by from another: the root of the mean of (score_1 - score_2)^2
 * / 2 over the lists so far, at least one. */
double cm_tune_deviation(const cm_tune_spread *spread);

#endif
