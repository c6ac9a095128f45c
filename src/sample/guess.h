/* guess.h - the class of a picture, told by the model itself
 *
 * The class under which the denoiser, given the picture with noise, errs least about what is
 * known of it: sum over some levels of |P(D(x + sigma z, sigma, class)) - D|^2, P the
 * projection of the edit, with the same z for all classes.
 * Source: Li et al. 2023, "Your Diffusion Model is Secretly a Zero-Shot Classifier". */
#ifndef CM_SAMPLE_GUESS_H
#define CM_SAMPLE_GUESS_H

#include "sample/editing.h"
#include "sample/session.h"

/* Of the picture that image `first` goes by.  room is [2,batch,image], z [image]. */
int64_t cm_guess_class(cm_session *session, cm_editing *editing, int64_t first, int classes,
                       double *room, float *z);

#endif
