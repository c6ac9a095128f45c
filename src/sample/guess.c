/* guess.c */
#include "sample/guess.h"

#include "sample/noise.h"

#include <math.h>

enum {
    LEVELS = 2,
    MOST_AT_ONCE = 64,
    FEW = 32, /* classes, for which more noises are affordable */
    NOISES = 9,
    FEW_NOISES = 3,
};

/* Multiples of sigma_data, in turn, at which Fashion-MNIST is told apart best
 * (docs/editing.md): where little of the picture is left in the noise, the class says most. */
static const double levels[LEVELS] = {3, 5};

/* x[count] = the picture with noise of the level, the same in all. */
static void add_noise(const cm_editing *e, double sigma, int count, const float *z, double *x)
{
    for (int i = 0; i < count; i++)
        for (int64_t k = 0; k < e->image; k++)
            x[i * e->image + k] = e->seen[k] + sigma * (double)z[k];
}

int64_t cm_guess_class(cm_session *s, cm_editing *e, int64_t first, int classes, double *room,
                       float *z)
{
    const cm_noise_schedule *n = e->levels.schedule;
    const int noises = classes <= FEW ? NOISES : FEW_NOISES;
    const int most = s->batch < MOST_AT_ONCE ? s->batch : MOST_AT_ONCE;
    int64_t best = 0, labels[MOST_AT_ONCE];
    double least = INFINITY, *x = room, *D = room + s->batch * e->image;
    cm_editing_see(e, first, 1);
    for (int from = 0; from < classes; from += most) {
        const int count = classes - from < most ? classes - from : most;
        double misfit[MOST_AT_ONCE] = {0};
        for (int i = 0; i < count; i++)
            labels[i] = from + i;
        for (int k = 0; k < noises; k++) {
            const double sigma = fmin(levels[k % LEVELS] * n->sigma_data, n->sigma_max);
            cm_noise_draw(0, 0, k, e->image, z);
            add_noise(e, sigma, count, z, x);
            cm_session_denoise(s, count, x, sigma, labels, D);
            for (int i = 0; i < count; i++)
                misfit[i] += cm_editing_misfit(e, 0, D + i * e->image);
        }
        for (int i = 0; i < count; i++)
            if (misfit[i] < least) {
                least = misfit[i];
                best = from + i;
            }
    }
    return best;
}
