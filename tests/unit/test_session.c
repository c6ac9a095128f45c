/* test_session.c - a batch in parts: the same images, in the memory of a part, whose size
 * is one that the cache holds. */
#include "check.h"

#include "base/cache.h"
#include "cm.h"
#include "cpu/cpu.h"
#include "sample/session.h"

static const char shipped[] = "models/fashion-mnist-cd.safetensors";
static const char wide[] = "bench/networks/wide.json"; /* 76 MB of weights */

static cm_images *sample(cm_model *m, int batch, int micro, int threads)
{
    cm_error err = {0};
    cm_images *images = NULL;
    cm_sample_params c = cm_sample_default_params();
    snprintf(c.sampler, sizeof c.sampler, "multistep");
    snprintf(c.dtype, sizeof c.dtype, "f32");
    snprintf(c.label, sizeof c.label, "random");
    c.num = 13;
    c.batch = batch;
    c.micro_batch = micro;
    c.threads = threads;
    CHECK_OK(cm_sample(m, &c, &images, &err), err);
    return images;
}

/* 13 images: in batches of which the last is short, in parts of which the last is short */
static void test_same_images(void)
{
    static const int how[][3] = {{13, 13, 2}, {13, 5, 2}, {13, 5, 1}, {8, 3, 2},
                                 {8, 8, 1},   {4, 16, 2}, {13, 0, 2}, {13, 1, 2}};
    cm_error err = {0};
    cm_model *m = NULL;
    CHECK_OK(cm_model_open(shipped, &m, &err), err);
    cm_images *want = m ? sample(m, 1, 1, 1) : NULL;
    for (size_t i = 0; want && i < sizeof how / sizeof *how; i++) {
        cm_images *got = sample(m, how[i][0], how[i][1], how[i][2]);
        CHECK(got && !memcmp(got->pixels, want->pixels, (size_t)(13 * want->h * want->w)),
              "batches of %d in parts of %d, %d threads: other images", how[i][0], how[i][1],
              how[i][2]);
        cm_images_free(got);
    }
    cm_images_free(want);
    cm_model_free(m);
}

static cm_session *session_of(cm_model *m, int batch, int micro)
{
    cm_error err = {0};
    cm_session *p = NULL;
    CHECK_OK(cm_session_new(m, batch, micro, CM_F32, 2, &p, &err), err);
    return p;
}

static void test_fits(void)
{
    static const int batches[] = {1, 2, 3, 7, 16, 17, 50, 64, 100, 1000};
    const size_t cache = cm_cache_bytes();
    cm_error err = {0};
    cm_model *m = NULL;
    CHECK_OK(cm_model_open(shipped, &m, &err), err);
    for (size_t i = 0; m && i < sizeof batches / sizeof *batches; i++) {
        cm_session *p = session_of(m, batches[i], 0);
        if (!p)
            continue;
        const cm_plan_memory memory = cm_plan_get_memory(p->plan);
        const int computed = cm_session_parts(p) * p->micro;
        CHECK(computed >= batches[i] && computed <= batches[i] + batches[i] / 8 + 1,
              "batch of %d: %d images computed", batches[i], computed);
        CHECK(!cache || p->micro <= 2 || memory.activations + memory.constants <= cache,
              "batch of %d: %zu bytes of activations and %zu of weights, cache of %zu", batches[i],
              memory.activations, memory.constants, cache);
        CHECK(!cache || batches[i] < 64 || p->micro < batches[i], "batch of %d: one part",
              batches[i]);
        cm_session_free(p);
    }
    cm_model_free(m);
}

/* Weights that do not stay in the cache are read once for the whole batch. */
static void test_large_weights(void)
{
    cm_error err = {0};
    cm_model *m = NULL;
    CHECK_OK(cm_model_random(wide, 1, &m, &err), err);
    cm_session *p = m ? session_of(m, 20, 0) : NULL;
    CHECK(p && p->micro == 20, "parts of %d", p ? p->micro : 0);
    cm_session_free(p);
    cm_model_free(m);
}

static void test_as_told(void)
{
    cm_error err = {0};
    cm_model *m = NULL;
    CHECK_OK(cm_model_open(shipped, &m, &err), err);
    cm_session *p = m ? session_of(m, 20, 6) : NULL;
    CHECK(p && p->micro == 6 && cm_session_parts(p) == 4, "parts of %d", p ? p->micro : 0);
    cm_session_free(p);
    cm_model_free(m);
}

/* A session for one image packs every weight once: those of Winograd's convolutions (3 x 3 of
 * stride 1, channels in sixteens: 36 values for 9, outputs in panels), and the others, which some
 * libraries round up, their channels to panels at most. */
static void packed_bounds(const cm_model *m, size_t *least, size_t *most)
{
    const cm_isa isa = cm_cpu_isa();
    const size_t panel = isa == CM_ISA_PLAIN ? 8 : isa == CM_ISA_AVX2 ? 16 : 32;
    *least = *most = 0;
    for (int i = 0; i < cm_params_size(m->params); i++) {
        const cm_param *p = cm_params_at(m->params, i);
        const size_t k = (size_t)p->type.dim[0], c = p->type.rank > 1 ? (size_t)p->type.dim[1] : 0;
        const size_t bytes = cm_type_bytes(&p->type), taps = c ? bytes / 4 / k / c : 0;
        const size_t winograd = 36 * c * ((k + panel - 1) / panel * panel) * 4;
        const size_t rounded = (k + 31) / 32 * 32 * ((c + 31) / 32 * 32) * taps * 4;
        if (!c || strstr(p->name, "label_emb")) /* of a table, rows are read */
            continue;
        const int halves = strstr(p->name, ".op.") != NULL; /* of stride 2 */
        const int is_winograd = taps == 9 && k % 16 == 0 && c % 16 == 0 && !halves;
        *least += is_winograd ? winograd : bytes;
        *most += is_winograd ? winograd : rounded;
    }
}

static void test_needs(void)
{
    static const int batches[] = {1, 64};
    cm_error err = {0};
    cm_model *m = NULL;
    CHECK_OK(cm_model_open(shipped, &m, &err), err);
    for (size_t i = 0; m && i < sizeof batches / sizeof *batches; i++) {
        cm_session_needs n = {0};
        cm_session *s = session_of(m, batches[i], 0);
        CHECK_OK(cm_session_needs_of(m, batches[i], CM_F32, 2, &n, &err), err);
        CHECK(s && n.micro == s->micro && n.bytes == cm_session_bytes(s, m) &&
                  n.packed == cm_plan_get_memory(s->plan).packed,
              "batch of %d: parts of %d, %zu bytes, %zu of packed weights", batches[i], n.micro,
              n.bytes, n.packed);
        size_t least, most;
        packed_bounds(m, &least, &most);
        CHECK(i || cm_cpu_direct_only() || (n.packed >= least && n.packed <= most),
              "%zu bytes of packed weights, expected %zu to %zu", n.packed, least, most);
        cm_session_free(s);
    }
    cm_model_free(m);
}

static const check_test tests[] = {
    {"the same images in any parts", test_same_images},
    {"parts fit the cache and leave little over", test_fits},
    {"large weights: the batch at once", test_large_weights},
    {"parts as told", test_as_told},
    {"what a session takes, told before", test_needs},
};

CHECK_MAIN(tests)
