/* test_group.c - the order of sums over parts and processes, against the tree written down
 * recursively: of n parts the largest power of two below n on the left, the rest on the right. */
#include "check.h"

#include "base/memory.h"
#include "base/philox.h"
#include "group/engine.h"
#include "group/group.h"

#include <string.h>

enum { MOST = 40, COUNT = 1100 }; /* more than a chunk of cm_order_sum */

static float part[MOST][COUNT];

/* Of such different sizes that each order of additions has bits of its own. */
static void make_parts(void)
{
    for (int i = 0; i < MOST; i++)
        for (int k = 0; k < COUNT; k++) {
            const cm_philox_block r = cm_philox(7, (uint32_t)i, (uint32_t)k, 0, 0);
            part[i][k] = (2.0f * cm_uniform(r.v[0]) - 1.0f) * (float)(1 << (r.v[1] % 20));
        }
}

static float tree(int first, int n, int k)
{
    int left = 1;
    if (n == 1)
        return part[first][k];
    while (left * 2 < n)
        left *= 2;
    const float a = tree(first, left, k), b = tree(first + left, n - left, k);
    return a + b;
}

/* One after another, as a process does with its own. */
static void in_time(cm_span own, float *sum)
{
    static float pending[8][COUNT];
    CHECK(cm_order_pending(own.count) <= 8, "%d sums wait", cm_order_pending(own.count));
    for (int i = 0; i < own.count; i++) {
        memcpy(sum, part[own.first + i], sizeof part[0]);
        const unsigned merges = cm_order_merges(i, own.count);
        for (int b = 0; b < 8; b++)
            for (int k = 0; k < COUNT && merges >> b & 1; k++)
                sum[k] += pending[b][k];
        if (i + 1 < own.count) {
            CHECK(cm_order_waits(i) < cm_order_pending(own.count), "%d: waits too high", i);
            memcpy(pending[cm_order_waits(i)], sum, sizeof part[0]);
        }
    }
}

static void check_split(int parts, int processes)
{
    cm_span span[MOST];
    static float sum[MOST][COUNT], all[COUNT];
    const float *x[MOST];
    int next = 0, least = parts, most = 0;
    cm_order_split(parts, processes, span);
    for (int i = 0; i < processes; i++) {
        CHECK(span[i].first == next && span[i].count > 0, "%d of %d: %d+%d", i, processes,
              span[i].first, span[i].count);
        next += span[i].count;
        least = span[i].count < least ? span[i].count : least;
        most = span[i].count > most ? span[i].count : most;
        in_time(span[i], sum[i]);
        x[i] = sum[i];
    }
    CHECK(next == parts, "%d of %d parts", next, parts);
    if (!(parts & (parts - 1)))
        CHECK(most <= 2 * least, "%d parts, %d processes: %d to %d", parts, processes, least, most);
    cm_order_sum(span, processes, x, all, COUNT);
    for (int k = 0; k < COUNT; k++)
        if (!CHECK(all[k] == tree(0, parts, k), "%d parts, %d processes: element %d", parts,
                   processes, k))
            return;
}

static void test_order(void)
{
    make_parts();
    for (int parts = 1; parts <= MOST; parts++)
        for (int processes = 1; processes <= parts; processes++)
            check_split(parts, processes);
}

/* Where the order matters: else the test above could not fail. */
static void test_order_matters(void)
{
    int differ = 0;
    make_parts();
    for (int k = 0; k < COUNT; k++) {
        float chain = part[0][k];
        for (int i = 1; i < 8; i++)
            chain += part[i][k];
        differ += chain != tree(0, 8, k);
    }
    CHECK(differ > COUNT / 4, "%d of %d sums depend on the order", differ, COUNT);
}

/* Slices follow one another, begin at blocks, and differ by a block at most; each fits its room. */
static void test_slices(void)
{
    static const size_t floats[] = {0, 1, 1023, 1024, 1025, 5000, 1 << 18, (1 << 18) + 16, 7654321};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        for (int size = 1; size <= 9; size++) {
            const size_t n = floats[i], block = CM_GROUP_BLOCK,
                         least = (n + block - 1) / block / (size_t)size * block;
            size_t at = 0;
            for (int rank = 0; rank < size; rank++) {
                const size_t begin = cm_engine_slice(n, size, rank),
                             end = cm_engine_slice(n, size, rank + 1);
                CHECK(begin == at && end >= begin && (begin % block == 0 || begin == n),
                      "%zu over %d: slice %d is %zu to %zu", n, size, rank, begin, end);
                CHECK(end - begin + block > least && end - begin <= least + block,
                      "%zu over %d: slice %d has %zu", n, size, rank, end - begin);
                CHECK(cm_engine_room(n, size, rank) == (size_t)size * (end - begin), "room");
                at = end;
            }
            CHECK(at == n, "%zu over %d: %zu", n, size, at);
        }
}

/* NULL: a process alone. */
static void test_alone(void)
{
    cm_error err = {0};
    cm_span own;
    int x = 5;
    CHECK(cm_group_rank(NULL) == 0 && cm_group_size(NULL) == 1 && cm_group_threads(NULL, 3) == 3,
          "not alone");
    CHECK_OK(cm_group_share(NULL, 6, &own, &err), err);
    CHECK(own.first == 0 && own.count == 6 && cm_group_room(NULL, 100) == 0, "not all of it");
    CHECK_OK(cm_group_broadcast(NULL, &x, sizeof x, &err), err);
    CHECK_OK(cm_group_same(NULL, 1, &(cm_alike){"x", 1}, &err), err);
    CHECK(cm_group_agree(NULL, CM_ERR_IO, &err) == CM_ERR_IO, "another status");
    size_t begin = 1, end = 1;
    cm_group_slice(NULL, 5000, &begin, &end);
    CHECK(begin == 0 && end == 5000, "%zu to %zu of 5000", begin, end);
    cm_group_sum_begin(NULL, NULL, NULL, 3);
    cm_group_add_begin(NULL, NULL, NULL, 3);
    cm_group_spread_begin(NULL, NULL, 3);
    cm_group_sum_end(NULL);
    cm_group_leave(NULL, CM_ERR_IO);
}

static const check_test tests[] = {
    {"sums in time and over processes are the tree's", test_order},
    {"sums depend on their order", test_order_matters},
    {"slices", test_slices},
    {"a process alone", test_alone},
};

int main(void)
{
    return check_main(tests, sizeof tests / sizeof *tests);
}
