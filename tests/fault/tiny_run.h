/* tiny_run.h - runs so small that hundreds of them can be damaged, killed and starved: 12
 * images of 8 x 8 in 3 classes, a network of one level */
#ifndef CM_TESTS_TINY_RUN_H
#define CM_TESTS_TINY_RUN_H

#include "scratch.h"

#include "base/memory.h"
#include "io/file.h"
#include "io/safetensors.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* An IDX pair: a bar that lies, stands or crosses. */
static inline void tiny_data(void)
{
    enum { IMAGES = 12, SIDE = 8 };
    char pixels[16 + IMAGES * SIDE * SIDE] = "\0\0\x08\x03\0\0\0\x0c\0\0\0\x08\0\0\0\x08";
    char labels[8 + IMAGES] = "\0\0\x08\x01\0\0\0\x0c";
    for (int i = 0; i < IMAGES; i++) {
        const int label = i % 3, bar = 2 + i % 4;
        labels[8 + i] = (char)label;
        for (int k = 0; k < SIDE * SIDE; k++)
            if ((label != 1 && k / SIDE == bar) || (label != 0 && k % SIDE == bar))
                pixels[16 + i * SIDE * SIDE + k] = (char)255;
    }
    put(in_dir("tiny-images-idx3-ubyte"), pixels, sizeof pixels);
    put(in_dir("tiny-labels-idx1-ubyte"), labels, sizeof labels);
}

/* Of a run in_dir(name); cd and pd take in_dir("teacher"). */
static inline cm_train_params tiny_params(const char *method, const char *name, int64_t steps)
{
    cm_train_params p = cm_train_default_params();
    snprintf(p.method, sizeof p.method, "%s", method);
    snprintf(p.data, sizeof p.data, "%s", in_dir("tiny-images-idx3-ubyte"));
    snprintf(p.out, sizeof p.out, "%s", in_dir(name));
    if (!strcmp(method, "cd") || !strcmp(method, "pd"))
        snprintf(p.teacher, sizeof p.teacher, "%s", in_dir("teacher"));
    else {
        snprintf(p.channel_mult, sizeof p.channel_mult, "1");
        snprintf(p.attention, sizeof p.attention, "%s", "");
        p.channels = 32;
        p.num_heads = 1;
        p.res_blocks = 1;
    }
    snprintf(p.ema_rates, sizeof p.ema_rates, "0.9,0.99");
    snprintf(p.dtype, sizeof p.dtype, "f32");
    p.steps = steps;
    p.batch = 2;
    p.accumulate = 2;
    p.threads = 1;
    p.dropout = 0.1;
    p.flip = 1;
    p.log_every = 1;
    p.sample_every = 1000000000; /* only the last */
    return p;
}

/* rm -r of a tree a few levels deep. */
static inline void tiny_remove(const char *path)
{
    char child[2048];
    struct stat st;
    DIR *d = !lstat(path, &st) && S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            snprintf(child, sizeof child, "%.1500s/%.255s", path, e->d_name);
            tiny_remove(child);
        }
    if (d)
        closedir(d);
    remove(path);
}

static inline int tiny_exists(const char *path)
{
    struct stat st;
    return !lstat(path, &st);
}

/* Steps that have a folder in the run's ckpt: the newest; -1: none. */
static inline int64_t tiny_newest(const char *run)
{
    char ckpt[1100];
    int64_t newest = -1;
    snprintf(ckpt, sizeof ckpt, "%s/ckpt", run);
    DIR *d = opendir(ckpt);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && atoll(e->d_name) > newest)
            newest = atoll(e->d_name);
    if (d)
        closedir(d);
    return newest;
}

/* Whether two safetensors files hold the same tensors, byte for byte. */
static inline int tiny_same_tensors(const char *a, const char *b)
{
    cm_st_file *f = NULL, *g = NULL;
    int same = !cm_st_open(a, &f, NULL) && !cm_st_open(b, &g, NULL) && cm_st_count(f) > 0 &&
               cm_st_count(f) == cm_st_count(g);
    for (int i = 0; same && i < cm_st_count(f); i++) {
        const cm_st_tensor *t = cm_st_at(f, i), *u = cm_st_find(g, t->name);
        char *x = cm_alloc(t->bytes), *y = cm_alloc(t->bytes);
        same = u && u->bytes == t->bytes && u->dtype == t->dtype && !cm_st_read(f, t, x, NULL) &&
               !cm_st_read(g, u, y, NULL) && !memcmp(x, y, t->bytes);
        cm_free(x);
        cm_free(y);
    }
    cm_st_close(f);
    cm_st_close(g);
    return same;
}

/* Whether the tensors of every file of checkpoint `step` are those of the same step of
 * another run; says which is not. */
static inline int tiny_same_checkpoint(const char *run, const char *other, int64_t step)
{
    static const char *const files[] = {"model.safetensors",    "ema_0.9.safetensors",
                                        "ema_0.99.safetensors", "optimizer.safetensors",
                                        "target.safetensors",   "teacher.safetensors"};
    char a[1200], b[1200];
    int n = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(a, sizeof a, "%.1000s/ckpt/%08lld/%s", run, (long long)step, files[i]);
        snprintf(b, sizeof b, "%.1000s/ckpt/%08lld/%s", other, (long long)step, files[i]);
        if (i >= 4 && !tiny_exists(a) && !tiny_exists(b)) /* edm has none */
            continue;
        n += CHECK(tiny_same_tensors(a, b), "%s and %s differ", a, b);
    }
    return n >= 4;
}

#endif
