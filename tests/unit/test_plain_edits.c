/* test_plain_edits.c - edits without a network against their definitions, pixel by pixel */
#include "check.h"
#include "eval/plain_edits.h"

enum { N = 3, H = 4, W = 6, C = 3, FACTOR = 2 };
typedef uint8_t pictures[N][H][W][C];

static uint8_t mask[H][W] = {
    {0, 0, 255, 0, 0, 0}, {0, 127, 128, 200, 0, 0}, {0, 0, 0, 255, 0, 0}, {0, 0, 0, 0, 0, 255}};
static pictures before, after;

static double value_at(const char *name, int i, int y, int x, int c)
{
    double sum = 0, count = 0;
    if (!strcmp(name, "the gray")) {
        const uint8_t *p = before[i][y][x];
        return 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    }
    for (int i1 = 0; i1 < N; i1++)
        for (int y1 = 0; y1 < H; y1++)
            for (int x1 = 0; x1 < W; x1++) {
                const int counts =
                    !strcmp(name, "the mean picture") ? y1 == y && x1 == x
                    : !strcmp(name, "patches of one value")
                        ? i1 == i && y1 / FACTOR == y / FACTOR && x1 / FACTOR == x / FACTOR
                        : i1 == i && mask[y1][x1] < 128;
                sum += counts ? before[i1][y1][x1][c] : 0;
                count += counts;
            }
    return sum / count;
}

static void test_definitions(void)
{
    cm_images m = {.n = N, .h = H, .w = W, .c = C, .pixels = &before[0][0][0][0]};
    cm_images mask_image = {.n = 1, .h = H, .w = W, .c = 1, .pixels = &mask[0][0]};
    cm_images edited = {.n = N, .h = H, .w = W, .c = C, .pixels = &after[0][0][0][0]};
    for (int k = 0; k < N * H * W * C; k++)
        m.pixels[k] = (uint8_t)(k * 7919 % 251);
    for (const cm_plain_edit *p = cm_plain_edits; p->task; p++) {
        cm_edit edit = cm_edit_default(p->task);
        edit.mask = &mask_image;
        edit.factor = FACTOR;
        p->make(&m, &edit, &edited);
        const int inpaints = !strcmp(p->task, "inpaint");
        double worst = 0;
        for (int k = 0; k < N * H * W * C; k++) {
            const int i = k / (H * W * C), y = k / (W * C) % H, x = k / C % W, c = k % C;
            const double want =
                inpaints && mask[y][x] < 128 ? before[i][y][x][c] : value_at(p->name, i, y, x, c);
            worst = fmax(worst, fabs(after[i][y][x][c] - want));
        }
        CHECK(worst <= 0.5 + 1e-9, "%s: %s, within rounding (%g)", p->task, p->name, worst);
    }
}

static const check_test tests[] = {{"definitions", test_definitions}};

CHECK_MAIN(tests)
