/* loader.c - a ring of batches between one thread that fills and one that takes */
#include "data/loader.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/philox.h"
#include "base/text.h"
#include "data/shuffle.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { SLOTS = 3 };

/* Sub-streams of the seed. */
#define ORDER_STREAM UINT64_C(0x6f72646572) /* "order" */
#define FLIP_STREAM  UINT64_C(0x666c6970)   /* "flip" */

struct cm_loader {
    const cm_dataset *data;
    size_t batch, first, count, image; /* images a batch, those that are read; values an image */
    uint64_t order_key, flip_key;
    int flip;
    float *x;   /* [SLOTS,count,h,w,c] */
    int32_t *y; /* [SLOTS,count] */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ready, room;
    /* Under the lock.  Steps taken..made-1 wait in slots step % SLOTS; the
     * thread writes slot `made` and next() reads slot `taken` without it. */
    uint64_t made, taken;
    int stop;
};

static float to_float(uint8_t v)
{
    return (float)v / 127.5f - 1.0f;
}

static void image_to_float(const cm_dataset *d, const uint8_t *src, int mirrored, float *dst)
{
    const size_t h = (size_t)d->h, w = (size_t)d->w, c = (size_t)d->c;
    if (!mirrored) {
        for (size_t i = 0; i < h * w * c; i++)
            dst[i] = to_float(src[i]);
        return;
    }
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++)
            for (size_t k = 0; k < c; k++)
                dst[(y * w + x) * c + k] = to_float(src[(y * w + (w - 1 - x)) * c + k]);
}

static void fill(cm_loader *l, uint64_t step)
{
    const cm_dataset *d = l->data;
    const uint64_t n = (uint64_t)d->n;
    const size_t slot = (size_t)(step % SLOTS);
    for (size_t j = 0; j < l->count; j++) {
        const uint64_t p = step * l->batch + l->first + j;
        const uint64_t i = cm_shuffle_index(l->order_key, p / n, n, p % n);
        const cm_philox_block coin = cm_philox(l->flip_key, (uint32_t)p, (uint32_t)(p >> 32), 0, 0);
        const size_t at = slot * l->count + j;
        image_to_float(d, d->pixels + i * l->image, l->flip && (coin.v[0] & 1),
                       l->x + at * l->image);
        l->y[at] = d->labels ? d->labels[i] : -1;
    }
}

static void *work(void *arg)
{
    cm_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && l->made - l->taken == SLOTS)
            pthread_cond_wait(&l->room, &l->lock);
        if (l->stop)
            break;
        const uint64_t step = l->made;
        pthread_mutex_unlock(&l->lock);
        fill(l, step);
        pthread_mutex_lock(&l->lock);
        l->made++;
        pthread_cond_signal(&l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* With every signal blocked in it: those are the program's, not the library's. */
static int start_thread(cm_loader *l)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int failed = pthread_create(&l->thread, NULL, work, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed;
}

static void release(cm_loader *l)
{
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->room);
    pthread_mutex_destroy(&l->lock);
    cm_free(l->x);
    cm_free(l->y);
    cm_free(l);
}

static cm_status check_arguments(int batch, int64_t first_step, cm_error *err)
{
    if (batch < 1)
        return cm_fail(err, CM_ERR_ARGUMENT, "loader: batch: expected at least 1, found %d", batch);
    /* Positions step * batch + j stay far from wrapping. */
    if (first_step < 0 || first_step > INT64_MAX / 2 / batch)
        return cm_fail(err, CM_ERR_ARGUMENT, "loader: first step: expected 0 to %lld, found %lld",
                       (long long)(INT64_MAX / 2 / batch), (long long)first_step);
    return CM_OK;
}

cm_status cm_loader_new(const cm_dataset *data, int batch, cm_loader_slice slice, uint64_t seed,
                        int flip, int64_t first_step, cm_loader **out, cm_error *err)
{
    const cm_status s = check_arguments(batch, first_step, err);
    if (s != CM_OK)
        return s;
    cm_loader *l = cm_alloc(sizeof *l);
    if (!l)
        return cm_fail(err, CM_ERR_MEMORY, "loader: out of memory");
    l->data = data;
    l->batch = (size_t)batch;
    l->first = (size_t)slice.first;
    l->count = (size_t)slice.count;
    l->image = (size_t)data->h * (size_t)data->w * (size_t)data->c;
    l->order_key = cm_stream_key(seed, ORDER_STREAM);
    l->flip_key = cm_stream_key(seed, FLIP_STREAM);
    l->flip = flip;
    l->made = l->taken = (uint64_t)first_step;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->room, NULL);
    l->x = cm_alloc_array(SLOTS * l->count, l->image * sizeof *l->x);
    l->y = cm_alloc_array(SLOTS * l->count, sizeof *l->y);
    if (!l->x || !l->y) {
        release(l);
        return cm_fail(err, CM_ERR_MEMORY, "loader: out of memory for %d batches of %d image%s",
                       SLOTS, slice.count, cm_plural(slice.count));
    }
    const int failed = start_thread(l);
    if (failed) {
        release(l);
        return cm_fail(err, CM_ERR_IO, "loader: thread: %s", strerror(failed));
    }
    *out = l;
    return CM_OK;
}

void cm_loader_next(cm_loader *l, float *x, int32_t *y)
{
    pthread_mutex_lock(&l->lock);
    while (l->made == l->taken)
        pthread_cond_wait(&l->ready, &l->lock);
    const size_t slot = (size_t)(l->taken % SLOTS);
    pthread_mutex_unlock(&l->lock);
    memcpy(x, l->x + slot * l->count * l->image, l->count * l->image * sizeof *x);
    if (y)
        memcpy(y, l->y + slot * l->count, l->count * sizeof *y);
    pthread_mutex_lock(&l->lock);
    l->taken++;
    pthread_cond_signal(&l->room);
    pthread_mutex_unlock(&l->lock);
}

void cm_loader_free(cm_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = 1;
    pthread_cond_signal(&l->room);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    release(l);
}
