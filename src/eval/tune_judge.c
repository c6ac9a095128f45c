/* tune_judge.c */
#include "eval/tune_judge.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/dataset.h"
#include "eval/agreement.h"
#include "eval/frechet.h"
#include "model/class_names.h"
#include "sample/generate.h"
#include "sample/noise.h"

#include <inttypes.h>
#include <string.h>

/* ---- the pictures, untouched ---- */

static cm_status out_of_memory(const cm_tune_judge *j, cm_error *err)
{
    return cm_fail(err, CM_ERR_MEMORY, "out of memory for %" PRId64 " pictures", j->params->num);
}

/* Where one of the two has no names, the number tells. */
static int has_classes_of(const cm_model *m, int64_t classes, const cm_dataset *d)
{
    json_t *names = NULL;
    int same = d->classes && classes == d->classes && !cm_model_class_names(m, &names, NULL);
    for (int k = 0; same && names && d->class_names && k < d->classes; k++) {
        const char *name = cm_class_name(names, k);
        same = name && !strcmp(name, d->class_names[k]);
    }
    json_decref(names);
    return same;
}

/* Picture i of the judge's is n * i / num of the data's. */
static cm_status read_classes(cm_tune_judge *j, const cm_dataset *d, cm_error *err)
{
    const int64_t n = j->pictures->n;
    const int given = !strcmp(j->params->classes, "data");
    j->labels = cm_alloc_array((size_t)n, sizeof *j->labels);
    j->classes = cm_alloc_array((size_t)n, sizeof *j->classes);
    if (!j->labels || !j->classes)
        return out_of_memory(j, err);
    if (given && !has_classes_of(j->model, j->model->net.num_classes, d))
        return cm_fail(err, CM_ERR_ARGUMENT,
                       "classes: data needs pictures of the model's %d classes, found %d class%s%s",
                       j->model->net.num_classes, d->classes, d->classes == 1 ? "" : "es",
                       d->classes == j->model->net.num_classes ? " of other names" : "");
    j->has_labels = j->labels_are_given = given;
    j->classes_are_given =
        has_classes_of(cm_extractor_model(j->extractor), cm_extractor_dims(j->extractor).logits, d);
    for (int64_t i = 0; i < n && d->labels; i++)
        j->labels[i] = j->classes[i] = d->labels[i * d->n / n];
    return CM_OK;
}

/* num of them, or all where there are fewer, even over the set: folders are in order of class. */
static cm_status read_pictures(cm_tune_judge *j, cm_error *err)
{
    const cm_net_config *net = &j->model->net;
    const cm_dataset_options o = {.h = net->height,
                                  .w = net->width,
                                  .channels = net->out_channels,
                                  .background = {255, 255, 255}};
    char shown[512];
    cm_dataset *d = NULL;
    cm_status s = cm_dataset_open(j->params->data, &o, &d, err);
    if (s)
        return s;
    cm_dataset_left_out(d, cm_escape(shown, sizeof shown, j->params->data), j->left_out);
    const int64_t n = j->params->num < d->n ? j->params->num : d->n;
    const size_t image = (size_t)d->h * (size_t)d->w * (size_t)d->c;
    if (n < 2)
        s = cm_fail(err, CM_ERR_ARGUMENT, "%s: expected at least 2 pictures, found %" PRId64, shown,
                    n);
    if (!s && !(j->pictures = cm_images_new(n, d->h, d->w, d->c, 0)))
        s = out_of_memory(j, err);
    for (int64_t i = 0; i < n && !s; i++)
        memcpy(j->pictures->pixels + (size_t)i * image, d->pixels + (size_t)(i * d->n / n) * image,
               image);
    if (!s)
        s = read_classes(j, d, err);
    cm_dataset_free(d);
    return s;
}

/* logits are those of its last pictures. */
static double agreement_of(const cm_tune_judge *j)
{
    const int64_t n = j->pictures->n, classes = cm_extractor_dims(j->extractor).logits;
    int64_t agree = 0;
    for (int64_t i = 0; i < n; i++)
        agree += cm_largest(j->logits + i * classes, classes) == j->classes[i];
    return (double)agree / (double)n;
}

static cm_status look_at(cm_tune_judge *j, const cm_images *m, cm_statistics *statistics,
                         cm_error *err)
{
    cm_moments *moments = NULL;
    cm_status s = cm_extractor_run(j->extractor, m->n, m->pixels, m->h, m->w, m->c, j->features,
                                   NULL, j->logits, err);
    if (!s)
        s = cm_moments_new(&j->linear, (int)cm_extractor_dims(j->extractor).features, &moments,
                           err);
    if (s)
        return s;
    cm_moments_add(moments, m->n, j->features);
    s = cm_moments_finish(moments, statistics, err);
    cm_moments_free(moments);
    return s;
}

cm_status cm_tune_judge_open(cm_tune_judge *j, const cm_model *model, const cm_tune_params *p,
                             const cm_eval_hooks *hooks, cm_error *err)
{
    j->params = p;
    j->hooks = hooks;
    j->model = model;
    const int threads = cm_threads_resolve(p->threads);
    cm_status s =
        cm_extractor_open("small", p->weights, (int)p->batch, threads, &j->extractor, err);
    if (!s) /* what the pictures are brought to */
        s = cm_extractor_check(j->extractor, p->model, model->net.height, model->net.width,
                               model->net.out_channels, err);
    if (!s)
        s = cm_linear_open(threads, &j->linear, err);
    if (!s)
        s = read_pictures(j, err);
    if (s)
        return s;
    const cm_feature_dims dims = cm_extractor_dims(j->extractor);
    const int64_t n = j->pictures->n;
    j->features = cm_alloc_array((size_t)n, (size_t)dims.features * sizeof *j->features);
    j->logits = cm_alloc_array((size_t)n, (size_t)dims.logits * sizeof *j->logits);
    j->edited = cm_images_new(n, j->pictures->h, j->pictures->w, j->pictures->c, 0);
    if (!j->features || !j->logits || !j->edited)
        return out_of_memory(j, err);
    s = look_at(j, j->pictures, &j->untouched, err);
    for (int64_t i = 0; i < n && !s && !j->classes_are_given; i++)
        j->classes[i] = cm_largest(j->logits + i * dims.logits, dims.logits);
    j->agreement_untouched = s ? 0 : agreement_of(j);
    return s;
}

static void drop_task(cm_tune_judge *j)
{
    cm_images_release(j->small);
    cm_images_release(j->mask);
    j->small = j->mask = NULL;
    j->has_labels = j->labels_are_given;
}

void cm_tune_judge_close(cm_tune_judge *j)
{
    drop_task(j);
    cm_images_release(j->pictures);
    cm_images_release(j->edited);
    cm_statistics_clear(&j->untouched);
    cm_free(j->classes);
    cm_free(j->features);
    cm_free(j->logits);
    cm_free(j->labels);
    cm_linear_close(&j->linear);
    cm_extractor_close(j->extractor);
}

/* ---- a task ---- */

static int64_t factor_of(const cm_tune_params *p)
{
    return p->factor ? p->factor : CM_TUNE_FACTOR;
}

cm_status cm_tune_judge_check_factor(const cm_tune_params *p, const cm_model *m, cm_error *err)
{
    const int64_t k = factor_of(p), h = m->net.height, w = m->net.width;
    return k >= 2 && k <= h && k <= w && h % k == 0 && w % k == 0
               ? CM_OK
               : cm_fail(err, CM_ERR_ARGUMENT,
                         "factor: expected at least 2 and to divide the %" PRId64 " x %" PRId64
                         " of the model, found %" PRId64,
                         w, h, k);
}

static cm_status make_small(cm_tune_judge *j, cm_error *err)
{
    const cm_images *m = j->pictures;
    const int64_t k = factor_of(j->params);
    j->edit.factor = k;
    return cm_images_fit_as(m, m->h / (int)k, m->w / (int)k, m->c, "stretch", 0, &j->small, err);
}

/* White from a quarter to three quarters of each side. */
static cm_status make_mask(cm_tune_judge *j, cm_error *err)
{
    const int h = j->pictures->h, w = j->pictures->w;
    j->mask = cm_images_new(1, h, w, 1, 0);
    if (!j->mask)
        return out_of_memory(j, err);
    for (int y = h / 4; y < h - h / 4; y++)
        memset(j->mask->pixels + y * w + w / 4, 255, (size_t)(w - w / 4 * 2));
    j->edit.mask = j->mask;
    return CM_OK;
}

cm_status cm_tune_judge_take(cm_tune_judge *j, const cm_edit_task *task, cm_error *err)
{
    cm_status s = CM_OK;
    drop_task(j);
    j->edit = cm_edit_default(task->name);
    if (task->needs & CM_EDIT_FACTOR)
        s = make_small(j, err);
    if (!s && (task->needs & CM_EDIT_MASK))
        s = make_mask(j, err);
    return s;
}

/* ---- a list ---- */

/* Pictures that are edited together, from picture `first` on. */
static int64_t batch_at(const cm_tune_judge *j, int64_t first)
{
    const int64_t left = j->pictures->n - first;
    return left < j->params->batch ? left : j->params->batch;
}

static void tell(void *user, int64_t done, int64_t all)
{
    const cm_tune_judge *j = user;
    const double took = cm_seconds() - j->begun, n = (double)j->pictures->n;
    const int64_t in_batch = batch_at(j, j->first);
    const double part = ((double)j->first + (double)in_batch * (double)done / (double)all) / n;
    if (j->hooks && j->hooks->progress)
        j->hooks->progress(j->hooks->user, j->what, part, took * (1 - part) / part);
}

static int should_stop(void *user)
{
    const cm_tune_judge *j = user;
    return j->hooks && j->hooks->stop && j->hooks->stop(j->hooks->user);
}

/* Pictures first to first + n - 1 of m. */
static cm_images part_of(const cm_images *m, int64_t first, int64_t n)
{
    cm_images part = *m;
    part.n = n;
    part.pixels += first * m->h * m->w * m->c;
    part.labels = NULL;
    return part;
}

/* The pictures of a batch.  noise has room for all of its draws, *out is its images. */
static cm_status edit_batch(cm_tune_judge *j, cm_sampler *sampler, int64_t seed, float *noise,
                            cm_images **out, cm_error *err)
{
    const int64_t first = j->first, n = batch_at(j, first);
    const int64_t image = (int64_t)j->pictures->h * j->pictures->w * j->pictures->c;
    const int draws = cm_sampler_draws_of(sampler);
    const cm_images given = part_of(j->small ? j->small : j->pictures, first, n);
    cm_edit edit = j->edit;
    edit.image = &given;
    for (int d = 0; d < draws; d++)
        for (int64_t i = 0; i < n; i++)
            cm_noise_draw((uint64_t)seed, first + i, d, image, noise + (d * n + i) * image);
    const cm_request request = {.size = sizeof request,
                                .num = n,
                                .seed = seed,
                                .labels = j->has_labels ? j->labels + first : NULL,
                                .noise = noise,
                                .draws = draws,
                                .edit = &edit,
                                .progress = tell,
                                .stop = should_stop,
                                .user = j};
    const cm_status s = cm_sampler_draw(sampler, &request, out, err);
    if (s)
        return s;
    memcpy(j->edited->pixels + first * image, (*out)->pixels, (size_t)(n * image));
    if (!j->has_labels)
        memcpy(j->labels + first, (*out)->labels, (size_t)n * sizeof *j->labels);
    return CM_OK;
}

/* With the very settings that cm edit would be given. */
static cm_status edit_pictures(cm_tune_judge *j, const cm_tune_list *list, int64_t seed,
                               cm_error *err)
{
    const cm_images *m = j->pictures;
    const size_t image = (size_t)m->h * (size_t)m->w * (size_t)m->c;
    cm_sample_params p = cm_sample_default_params();
    cm_sampler *sampler = NULL;
    cm_images *out = NULL;
    snprintf(p.label, sizeof p.label, ":auto");
    p.num = m->n;
    p.batch = j->params->batch;
    p.threads = j->params->threads;
    p.steps = list->steps;
    memcpy(p.sigmas, list->sigmas, sizeof p.sigmas);
    j->begun = cm_seconds();
    snprintf(j->what, sizeof j->what, "%.20s, %d evaluation%s", j->edit.task, list->evaluations,
             cm_plural(list->evaluations));
    cm_status s = cm_sampler_make(j->model, &p, &sampler, err);
    const size_t draws = s ? 0 : (size_t)cm_sampler_draws_of(sampler);
    float *noise = cm_alloc_array(draws * (size_t)batch_at(j, 0) + 1, image * sizeof *noise);
    if (!s && !noise)
        s = out_of_memory(j, err);
    for (j->first = 0; j->first < m->n && !s; j->first += j->params->batch)
        s = edit_batch(j, sampler, seed, noise, &out, err);
    j->has_labels |= !s && j->model->net.num_classes;
    cm_images_release(out);
    cm_free(noise);
    cm_sampler_release(sampler);
    return s;
}

/* What is in `edited` now. */
static cm_status score_edited(cm_tune_judge *j, double *score, double *agreement, cm_error *err)
{
    cm_statistics found = {0};
    cm_status s = look_at(j, j->edited, &found, err);
    if (!s)
        s = cm_frechet(&j->linear, &j->untouched, "pictures", &found, "edits", score, err);
    cm_statistics_clear(&found);
    if (!s)
        *agreement = agreement_of(j);
    return s;
}

cm_status cm_tune_judge_plain(cm_tune_judge *j, const cm_plain_edit *plain, double *score,
                              double *agreement, cm_error *err)
{
    plain->make(j->pictures, &j->edit, j->edited);
    return score_edited(j, score, agreement, err);
}

cm_status cm_tune_judge_score(cm_tune_judge *j, const cm_tune_list *list, int64_t seed,
                              double *score, double *agreement, cm_error *err)
{
    const cm_status s = edit_pictures(j, list, seed, err);
    return s ? s : score_edited(j, score, agreement, err);
}
