/* course.h - how far a training run is, what it tells of that, and what is wished of it: shared
 * by loop.c and the files named below */
#ifndef CM_TRAIN_COURSE_H
#define CM_TRAIN_COURSE_H

#include "train/trainer.h"

/* Speed over the last stretch, the time that pictures took, the hooks, and what they ask. */
typedef struct cm_loop {
    cm_trainer *t;
    const cm_train_hooks *hooks;
    double start, since; /* of this part of the run; of the last log line */
    double before;       /* seconds of the parts before it */
    int64_t first, since_k;
    double drawing; /* seconds */
    int drawings;
    int64_t drawn, to_draw;   /* of the grid that is being drawn */
    int wish_stop, wish_save; /* of this process: what the hooks asked for */
    int stopping, saving;     /* of all; saving: and not done yet */
    int time_is_up, picture_due;
    cm_group_times times; /* as of the last log line */
} cm_loop;

/* Whether this process writes: the log, checkpoints, pictures. */
int cm_loop_writes(const cm_loop *l);

/* ---- course.c: what is told, by the process that writes ---- */

/* Where the run is, to the hooks; event NULL: nothing happened. */
void cm_loop_report(const cm_loop *l, const char *event);
void cm_loop_report_line(void *loop, const char *text);
void cm_loop_report_file(const cm_loop *l, const char *done, const char *path);
/* Before the first step: the data, memory, and what may be amiss. */
void cm_loop_report_beginning(cm_loop *l);
/* After the last step, if there were to be more. */
void cm_loop_report_early_end(const cm_loop *l);

/* Count the time up to now in the trainer's seconds; returns now. */
double cm_loop_count_seconds(cm_loop *l);
/* A line of log.jsonl, of the steps since the last one. */
cm_status cm_loop_log(cm_loop *l, cm_error *err);

/* ---- wishes.c: what all processes do after the same step ---- */

/* every 0: ten times in a run. */
int cm_loop_due(const cm_trainer *t, int64_t k, int64_t every);

/* Ask the hooks: between steps, and between runs of the network on the way to a picture or to the
 * number of steps. */
int cm_loop_wants_stop(void *loop);
/* Before a step: what this process wishes goes to all with it. */
void cm_loop_say_wishes(cm_loop *l);
/* After it: stopping, saving, time_is_up and picture_due are those of all. */
void cm_loop_hear_wishes(cm_loop *l);

/* ---- after_step.c: what follows a step now and then, and the last: all processes come ---- */

/* A line of the log, scores, a checkpoint, pictures, where they are due; last: of the run. */
cm_status cm_loop_after_step(cm_loop *l, int last, cm_error *err);
cm_status cm_loop_score(cm_loop *l, cm_error *err);
/* RUN/model.safetensors: the first average in bf16, the file to ship. */
cm_status cm_loop_export(cm_loop *l, cm_error *err);

#endif
