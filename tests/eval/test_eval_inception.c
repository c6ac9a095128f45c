/* test_eval_inception.c - cm_eval with the Inception network, of formula weights: its scores have
 * the names that are its alone, and saved statistics give them again */
#include "feature_weights.h"
#include "scratch.h"

#include "eval/class_score.h"
#include "eval/extractor.h"
#include "io/npz.h"
#include "nn/features/inception.h"

enum { N = 7, SIDE = 12, IMAGE = SIDE * SIDE * 3 };

static uint8_t pixels[2][N * IMAGE];
static cm_error err;

static void write_weights(const char *path)
{
    cm_params *p = NULL;
    CHECK_OK(cm_inception_params(&p, &err), err);
    float *flat = feature_weights(p);
    feature_file(p, flat, path, WHOLE_FILE, NULL);
    cm_free(flat);
    cm_params_free(p);
}

static void write_images(const char *path, int which)
{
    for (int i = 0; i < N * IMAGE; i++)
        pixels[which][i] = (uint8_t)(((uint32_t)i * 2654435761u >> 13) % (which ? 256 : 200));
    const cm_npz_array a = {"arr_0", CM_NPZ_U8, 4, {N, SIDE, SIDE, 3}, pixels[which]};
    CHECK_OK(cm_npz_write(path, 1, &a, &err), err);
}

static char *evaluate(const char *ref, const char *samples, int json)
{
    cm_eval_params p = cm_eval_default_params();
    cm_sample_params sampling = cm_sample_default_params();
    char *text = NULL;
    sampling.batch = 4;
    sampling.threads = 2;
    p.json = json;
    snprintf(p.weights, sizeof p.weights, "%.500s", in_dir("w.safetensors"));
    snprintf(p.ref, sizeof p.ref, "%.500s", in_dir(ref));
    if (samples)
        snprintf(p.samples, sizeof p.samples, "%.500s", in_dir(samples));
    else
        snprintf(p.save_stats, sizeof p.save_stats, "%.500s", in_dir("stats.npz"));
    CHECK_OK(cm_eval(&p, &sampling, NULL, &text, &err), err);
    return text;
}

static double number(const char *json, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *at = json ? strstr(json, key) : NULL;
    CHECK(at, "no %s in %s", name, json ? json : "nothing");
    return at ? strtod(at + strlen(key), NULL) : (double)NAN;
}

/* From the logits, without an evaluation. */
static double inception_score(int which)
{
    static float logits[N * CM_INCEPTION_LOGITS];
    cm_extractor *e = NULL;
    cm_class_score s;
    CHECK_OK(cm_extractor_open("inception", in_dir("w.safetensors"), N, 2, &e, &err), err);
    CHECK_OK(cm_extractor_run(e, N, pixels[which], SIDE, SIDE, 3, NULL, NULL, logits, &err), err);
    CHECK_OK(cm_class_score_start(&s, CM_INCEPTION_LOGITS, &err), err);
    cm_class_score_add(&s, N, logits);
    const double score = cm_class_score_finish(&s);
    cm_class_score_clear(&s);
    cm_extractor_close(e);
    return score;
}

static void test_scores(void)
{
    write_weights(in_dir("w.safetensors"));
    write_images(in_dir("a.npz"), 0);
    write_images(in_dir("b.npz"), 1);
    char *ab = evaluate("a.npz", "b.npz", 1), *saved = evaluate("a.npz", NULL, 1);
    char *again = evaluate("stats.npz", "b.npz", 1), *aa = evaluate("a.npz", "a.npz", 0);
    const double fid = number(ab, "frechet"), sfid = number(ab, "spatial");
    CHECK(fid > 0 && sfid > 0, "FID %g, sFID %g", fid, sfid);
    CHECK(fabs(number(again, "frechet") - fid) < 1e-9 * fid, "FID of saved statistics");
    CHECK(fabs(number(again, "spatial") - sfid) < 1e-9 * sfid, "sFID of saved statistics");
    const double score = inception_score(1);
    CHECK(fabs(number(ab, "inception_score") - score) < 1e-6 * score, "Inception score %g, not %g",
          number(ab, "inception_score"), score);
    CHECK(strstr(ab, "\"name\": \"FID\"") && strstr(ab, "\"features\": \"inception\""), "%s", ab);
    CHECK(strstr(ab, "not more than the 2048 features"), "%s", ab);
    CHECK(strstr(aa, "\nFID ") && strstr(aa, "\nsFID ") && strstr(aa, "\nInception score ") &&
              strstr(aa, "\nKID "),
          "%s", aa);
    cm_string_free(ab);
    cm_string_free(saved);
    cm_string_free(again);
    cm_string_free(aa);
}

static const check_test tests[] = {{"inception: FID, sFID, Inception score, KID", test_scores}};
SCRATCH_MAIN(tests)
