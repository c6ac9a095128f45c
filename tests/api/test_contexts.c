/* test_contexts.c - sampling and training where programs do it: in the child of a fork, in
 * several threads that share a model, within an OpenMP region.  The same bits as alone; what
 * hangs is killed by its alarm. */
#include "scratch.h"

#include <pthread.h>
#include <sys/wait.h>

enum { THREADS = 4, NUM = 6, LIMIT = 60 /* seconds */ };
static cm_model *model;
static cm_images *alone;

static cm_images *sample(void)
{
    cm_error err = {0};
    cm_images *images = NULL;
    cm_sample_params p = cm_sample_default_params();
    snprintf(p.sampler, sizeof p.sampler, "multistep");
    p.num = NUM;
    p.threads = 2;
    if (cm_sample(model, &p, &images, &err))
        printf("    %s\n", err.message);
    return images;
}

static int same_as_alone(const cm_images *m)
{
    return m && alone && m->n == alone->n &&
           !memcmp(m->pixels, alone->pixels, (size_t)(NUM * m->h * m->w * m->c));
}

static int samples_the_same(void)
{
    cm_images *m = sample();
    const int same = same_as_alone(m);
    cm_images_free(m);
    return same;
}

/* ---- training: two steps into a folder of this name ---- */

/* Of the grid at the end. */
struct drawing {
    int64_t done, all;
};

static void see(void *user, const cm_train_progress *p)
{
    struct drawing *d = user;
    if (p->to_draw && p->drawn > d->done && p->drawn <= p->to_draw)
        *d = (struct drawing){p->drawn, p->to_draw};
}

static int train(const char *name)
{
    cm_error err = {0};
    struct drawing drawing = {0};
    const cm_train_hooks hooks = {.size = sizeof hooks, .progress = see, .user = &drawing};
    cm_train_params p = cm_train_default_params();
    snprintf(p.data, sizeof p.data, "tests/golden/data/train/data/rgb");
    snprintf(p.out, sizeof p.out, "%.300s/%s", scratch_dir, name);
    snprintf(p.channel_mult, sizeof p.channel_mult, "1");
    snprintf(p.attention, sizeof p.attention, "%s", "");
    p.steps = 2;
    p.batch = 4;
    p.sample_every = 1000000000; /* only the last */
    p.threads = 2;
    const cm_status s = cm_train(&p, 0, &hooks, &err);
    if (s)
        printf("    training %s: %s\n", name, err.message);
    else if (!drawing.all || drawing.done != drawing.all)
        printf("    training %s: told of %d of %d drawn\n", name, (int)drawing.done,
               (int)drawing.all);
    return !s && drawing.all && drawing.done == drawing.all;
}

/* The weights of a run: what follows the header of its model, which has paths in it. */
static void *weights_of(const char *name, size_t *size)
{
    char path[600];
    uint64_t header = 0;
    snprintf(path, sizeof path, "%s/%s/model.safetensors", scratch_dir, name);
    FILE *f = fopen(path, "rb");
    if (!f || fread(&header, sizeof header, 1, f) != 1)
        return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f) - 8 - (size_t)header;
    fseek(f, 8 + (long)header, SEEK_SET);
    void *bytes = malloc(*size);
    if (bytes && fread(bytes, 1, *size, f) != *size)
        *size = 0;
    fclose(f);
    return bytes;
}

static int trained_the_same(const char *name)
{
    size_t n = 0, k = 0;
    void *a = weights_of("alone", &n), *b = weights_of(name, &k);
    const int same = a && b && n > 10000 && n == k && !memcmp(a, b, n);
    free(a);
    free(b);
    return same;
}

/* ---- in the child of a fork ---- */

static int child_says(int (*f)(void))
{
    int status = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (!child) {
        alarm(LIMIT);
        const int fine = f();
        fflush(stdout);
        _exit(fine ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child, "no child");
    CHECK(!WIFSIGNALED(status), "the child died of signal %d", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static cm_sampler *before_fork;

static int run_session_of_the_parent(void)
{
    cm_error err = {0};
    cm_images *images = NULL;
    cm_request r = cm_request_default();
    r.num = NUM;
    const int same = !cm_sampler_run(before_fork, &r, &images, &err) && same_as_alone(images);
    cm_images_free(images);
    cm_sampler_free(before_fork);
    return same;
}

static int train_in_child(void)
{
    return train("child");
}

static void test_fork(void)
{
    cm_error err = {0};
    cm_sample_params p = cm_sample_default_params();
    snprintf(p.sampler, sizeof p.sampler, "multistep");
    p.num = NUM;
    p.threads = 2;
    CHECK_OK(cm_sampler_new(model, &p, &before_fork, &err), err);
    CHECK(child_says(samples_the_same), "other images in a child");
    CHECK(child_says(run_session_of_the_parent), "a child with a session of its parent");
    CHECK(child_says(train_in_child) && trained_the_same("child"), "training in a child");
    CHECK(samples_the_same(), "the parent goes on");
    cm_images *images = NULL;
    cm_request r = cm_request_default();
    r.num = NUM;
    CHECK_OK(cm_sampler_run(before_fork, &r, &images, &err), err);
    CHECK(same_as_alone(images), "the parent's session goes on");
    cm_images_free(images);
    cm_sampler_free(before_fork);
}

/* ---- in threads ---- */

static void *in_thread(void *argument)
{
    char name[32];
    const int i = (int)(intptr_t)argument;
    snprintf(name, sizeof name, "thread%d", i);
    const int fine = samples_the_same() && samples_the_same() && (i > 1 || train(name));
    return (void *)(intptr_t)fine;
}

static void test_threads(void)
{
    pthread_t thread[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&thread[i], NULL, in_thread, (void *)i), "no thread");
    for (int i = 0; i < THREADS; i++) {
        void *fine = NULL;
        pthread_join(thread[i], &fine);
        CHECK(fine != NULL, "thread %d", i);
    }
    CHECK(trained_the_same("thread0") && trained_the_same("thread1"), "other weights");
}

/* ---- within OpenMP ---- */

static void test_openmp(void)
{
    int fine[2] = {0}, workers = 0;
#pragma omp parallel for num_threads(2) schedule(static, 1) reduction(+ : workers)
    for (int i = 0; i < 2; i++) {
        char name[32];
        snprintf(name, sizeof name, "omp%d", i);
        fine[i] = samples_the_same() && train(name);
        workers++;
    }
    CHECK(workers == 2 && fine[0] && fine[1], "in a region");
    CHECK(trained_the_same("omp0") && trained_the_same("omp1"), "other weights");
    CHECK(samples_the_same(), "after a region");
    CHECK(child_says(samples_the_same), "in a child after a region");
}

static void test_alone(void)
{
    alone = sample();
    CHECK(alone != NULL && train("alone"), "nothing to compare with");
}

/* The folders of the runs, which scratch.h would leave. */
static void test_clear(void)
{
    char command[2400];
    snprintf(command, sizeof command, "cd '%s' && rm -rf alone child thread? omp?", scratch_dir);
    CHECK(!system(command), "%s", command);
}

static const check_test tests[] = {
    {"alone", test_alone},
    {"in the child of a fork", test_fork},
    {"four threads share a model", test_threads},
    {"within an OpenMP region", test_openmp},
    {"the runs are removed", test_clear},
};

int main(void)
{
    cm_error err = {0};
    alarm(4 * LIMIT);
    if (cm_model_open("models/fashion-mnist-cd.safetensors", &model, &err)) {
        printf("%s\n", err.message);
        return EXIT_FAILURE;
    }
    const int status = scratch_main(tests, sizeof tests / sizeof *tests);
    cm_images_free(alone);
    cm_model_free(model);
    return status;
}
