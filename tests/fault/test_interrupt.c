/* test_interrupt.c - a run that is asked to stop, or loses its folder, at any moment.  The
 * hooks are asked between runs of the network on the way to a picture and to the number of
 * steps; what is done is saved, and going on from there ends as a run left alone.  A folder
 * that is moved, removed or replaced meanwhile ends the run, which writes nothing elsewhere. */
#include "tiny_run.h"

/* What happens, and when: at a step's first report, event or evaluation of a picture. */
typedef struct moment {
    int64_t step;
    const char *event; /* its beginning; NULL: none */
    int drawing;
    int wish;             /* that is answered from then on; once if CM_TRAIN_SAVE */
    void (*act)(void);    /* NULL: nothing */
    int come, asked;      /* whether it did; how often the hooks were asked */
    int64_t drawn, after; /* the last picture: evaluations, and of them after the moment */
} moment;

static void see(void *user, const cm_train_progress *p)
{
    moment *m = user;
    m->after += m->come && p->to_draw;
    if (p->to_draw)
        m->drawn = p->drawn;
    if (m->come || p->step != m->step || (p->to_draw > 0) != m->drawing || !p->event != !m->event ||
        (m->event && strncmp(p->event, m->event, strlen(m->event)) != 0))
        return;
    m->come = 1;
    if (m->act)
        m->act();
}

static int answer(void *user)
{
    moment *m = user;
    const int wish = m->come || m->step < 0 ? m->wish : CM_TRAIN_GO_ON;
    if (m->step < 0 && ++m->asked < -m->step) /* -3: the third time */
        return CM_TRAIN_GO_ON;
    if (m->come && wish == CM_TRAIN_SAVE)
        m->wish = CM_TRAIN_GO_ON;
    return wish;
}

/* Six steps, a picture after the third and the last. */
static cm_train_params six(const char *name)
{
    cm_train_params p = tiny_params("edm", name, 6);
    p.sample_every = 3;
    p.save_every = 1000000000;
    return p;
}

static cm_status train(const cm_train_params *p, moment *m, cm_error *err)
{
    const cm_train_hooks hooks = {.size = sizeof hooks, .progress = see, .stop = answer, .user = m};
    return cm_train(p, 0, &hooks, err);
}

/* With its own settings, but for where it is. */
static cm_status resume(const char *name, moment *m, cm_error *err)
{
    char config[1100];
    const cm_train_hooks hooks = {.size = sizeof hooks, .progress = see, .stop = answer, .user = m};
    cm_train_params p = six(name);
    snprintf(config, sizeof config, "%s/config.json", in_dir(name));
    const cm_status s = cm_options_read(cm_train_options(), &p, config, err);
    snprintf(p.out, sizeof p.out, "%s", in_dir(name));
    return s ? s : cm_train(&p, 1, &hooks, err);
}

static void go_on(const char *name)
{
    moment none = {.step = 0};
    cm_error err = {0};
    CHECK_OK(resume(name, &none, &err), err);
    CHECK(tiny_same_checkpoint(in_dir(name), in_dir("straight"), 6), "%s differs", name);
    tiny_remove(in_dir(name));
}

/* ---- stop ---------------------------------------------------------------------- */

static void straight(void)
{
    moment none = {.step = 0};
    cm_error err = {0};
    tiny_data();
    const cm_train_params p = six("straight");
    CHECK_OK(train(&p, &none, &err), err);
    CHECK(none.drawn == 24 * 35, "%d evaluations a picture", (int)none.drawn);
}

static void stop_while_drawing(void)
{
    moment m = {.step = 3, .drawing = 1, .wish = CM_TRAIN_STOP};
    cm_error err = {0};
    const cm_train_params p = six("run");
    CHECK(train(&p, &m, &err) == CM_INTERRUPTED, "not interrupted");
    CHECK(m.come && m.after == 0, "%d evaluations after it", (int)m.after);
    CHECK(tiny_newest(in_dir("run")) == 3, "step %d", (int)tiny_newest(in_dir("run")));
    CHECK(!tiny_exists(in_dir("run/samples/00000003_heun.png")), "half a picture");
    go_on("run");
}

static void save_while_drawing(void)
{
    moment m = {.step = 3, .drawing = 1, .wish = CM_TRAIN_SAVE};
    cm_error err = {0};
    const cm_train_params p = six("run");
    CHECK_OK(train(&p, &m, &err), err);
    CHECK(tiny_exists(in_dir("run/ckpt/00000003/manifest.json")), "not saved");
    CHECK(tiny_exists(in_dir("run/samples/00000003_heun.png")), "no picture");
    tiny_remove(in_dir("run"));
}

/* All steps are done: the picture is let go, and the run is whole. */
static void stop_in_last_picture(void)
{
    moment m = {.step = 6, .drawing = 1, .wish = CM_TRAIN_STOP};
    cm_error err = {0};
    const cm_train_params p = six("run");
    CHECK_OK(train(&p, &m, &err), err);
    CHECK(m.come && m.after == 0, "%d evaluations after it", (int)m.after);
    CHECK(tiny_exists(in_dir("run/model.safetensors")), "not exported");
    CHECK(tiny_same_checkpoint(in_dir("run"), in_dir("straight"), 6), "differs");
    tiny_remove(in_dir("run"));
}

/* Before a step is done there is nothing to save, and no folder is made. */
static void stop_before_the_first_step(void)
{
    cm_error err = {0};
    cm_train_params p = six("run");
    for (int steps = 0; steps <= 6; steps += 6) {
        moment m = {.step = steps ? -1 : -3, .wish = CM_TRAIN_STOP};
        p.steps = steps;
        CHECK(train(&p, &m, &err) == CM_INTERRUPTED, "%d steps: not interrupted", steps);
        has(&err, "before the first step");
        CHECK(m.asked == -m.step, "asked %d times", m.asked);
        CHECK(!tiny_exists(in_dir("run")), "%d steps: a folder", steps);
    }
    moment three = {.step = 3, .wish = CM_TRAIN_STOP},
           at_once = {.step = -1, .wish = CM_TRAIN_STOP};
    CHECK(train(&p, &three, &err) == CM_INTERRUPTED, "not interrupted");
    CHECK(resume("run", &at_once, &err) == CM_INTERRUPTED, "resumed: not interrupted");
    CHECK(tiny_newest(in_dir("run")) == 3, "step %d", (int)tiny_newest(in_dir("run")));
    go_on("run");
}

/* ---- the folder goes ------------------------------------------------------------ */

static void move(void)
{
    CHECK(!rename(in_dir("run"), in_dir("moved")), "rename");
}

/* By one that looks as if a run could write there. */
static void replace(void)
{
    move();
    CHECK(!mkdir(in_dir("run"), 0777) && !mkdir(in_dir("run/ckpt"), 0777) &&
              !mkdir(in_dir("run/samples"), 0777),
          "mkdir");
    put(in_dir("run/lock"), "The lock of a run of cm; it stays here.\n", 40);
}

static void take_away(void)
{
    tiny_remove(in_dir("run"));
}

static int entries(const char *path)
{
    int n = -2; /* . and .. */
    DIR *d = opendir(path);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static void lose_folder(void)
{
    static const moment when[] = {{.step = 3},
                                  {.step = 3, .drawing = 1},
                                  {.step = 3, .event = "drew"},
                                  {.step = 6},
                                  {.step = 6, .event = "saved"},
                                  {.step = 6, .drawing = 1},
                                  {.step = 6, .event = "drew"}};
    void (*const acts[])(void) = {move, replace, take_away};
    for (size_t i = 0; i < 3 * sizeof when / sizeof *when; i++) {
        moment m = when[i / 3];
        cm_error err = {0};
        cm_train_params p = six("run");
        p.save_every = 2;
        p.log_every = i / 3 == 0 ? 1 : 1000000000; /* by the log, or the next checkpoint */
        m.act = acts[i % 3];
        CHECK(train(&p, &m, &err) == CM_ERR_IO, "%d: %s", (int)i, err.message);
        has(&err, in_dir("run"));
        has(&err, "was moved, removed or replaced");
        CHECK(m.come, "%d: did not come", (int)i);
        if (m.act == replace)
            CHECK(entries(in_dir("run")) == 3 && entries(in_dir("run/ckpt")) == 0 &&
                      entries(in_dir("run/samples")) == 0,
                  "%d: something was written", (int)i);
        else
            CHECK(!tiny_exists(in_dir("run")), "%d: made again", (int)i);
        tiny_remove(in_dir("run"));
        if (m.act != take_away)
            go_on("moved");
    }
}

static const check_test tests[] = {
    {"a run left alone", straight},
    {"stop while a picture is drawn", stop_while_drawing},
    {"save while a picture is drawn", save_while_drawing},
    {"stop while the last picture is drawn", stop_in_last_picture},
    {"stop before the first step", stop_before_the_first_step},
    {"the folder is moved, replaced or removed", lose_folder},
};
SCRATCH_MAIN(tests)
