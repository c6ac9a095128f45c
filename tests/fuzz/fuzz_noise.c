/* fuzz_noise.c - libFuzzer's target for files of noise, and with FORMAT search for the log of a
 * search: what is read is whole, finite and within bounds.  ./run fuzz noise, ./run fuzz search
 *
 * The corpus: files of a model of 2 x 2 images and three classes with one draw and with three; a
 * log of three scores, the last of them half a line. */
#include "fed_file.h"

#include "eval/search_log.h"
#include "model/model.h"
#include "options/options.h"
#include "sample/images.h"

#include <math.h>
#include <string.h>

static void read_noise(const char *path)
{
    const cm_model model = {
        .net = {.height = 2, .width = 2, .in_channels = 1, .out_channels = 1, .num_classes = 3}};
    cm_images *m = NULL;
    cm_error err = {0};
    const cm_status s = cm_images_noise_of_file(&model, path, &m, &err);
    require(s == err.status && !s == (m != NULL));
    if (!m)
        return;
    require(m->n >= 1 && m->draws >= 1 && m->h == 2 && m->w == 2 && m->c == 1);
    require(m->first >= 0 && m->first <= CM_MOST_FIRST);
    for (int64_t i = 0; i < m->n * m->draws * 4; i++)
        require(isfinite(m->noise[i]));
    for (int64_t i = 0; i < m->n; i++)
        require(m->labels[i] >= -1 && m->labels[i] < 3 && (m->labels[i] < 0) == (m->labels[0] < 0));
    cm_images_release(m);
}

/* Once it was read it reads as the same again: half a line is gone. */
static void read_search(const char *path)
{
    cm_search_log *log = NULL;
    cm_error err = {0};
    const cm_status s = cm_search_log_open(path, 77, &log, &err);
    require(s == err.status && !s == (log != NULL));
    if (!log)
        return;
    const int n = cm_search_log_count(log);
    const cm_search_score *score = cm_search_log_find(log, "80,3.9", 0);
    require(n >= 0 && (!score || isfinite(score->score)));
    cm_search_log_close(log);
    require(cm_search_log_open(path, 77, &log, &err) == CM_OK && cm_search_log_count(log) == n);
    cm_search_log_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *path = fed_file(bytes, n);
    if (!strcmp(FORMAT, "search"))
        read_search(path);
    else
        read_noise(path);
    return 0;
}
