/* progress.c - how training and other long work show themselves on stderr: a bar on a
 * terminal, plain lines in a file or pipe. */
#include "cli/progress.h"

#include "cli/cli.h"
#include "cli/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { least_bar = 8, most_bar = 40, numbers_bytes = 200 };
static const double seconds_between_lines = 10;

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
}

/* "1:02:03", or "--:--" before it is known. */
static void format_time(char *text, size_t size, double seconds)
{
    if (!(seconds >= 0 && seconds < 1e7)) {
        snprintf(text, size, "--:--");
        return;
    }
    const int s = (int)(seconds + 0.5), h = s / 3600;
    if (h)
        snprintf(text, size, "%d:%02d:%02d", h, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%d:%02d", s / 60, s % 60);
}

static void format_numbers(char *text, size_t size, const cm_train_progress *now)
{
    char eta[32], scales[32] = "";
    if (now->to_draw) {
        snprintf(text, size, "step %lld/%lld  drawing samples: %d%%", (long long)now->step,
                 (long long)now->steps, (int)(100 * now->drawn / now->to_draw));
        return;
    }
    format_time(eta, sizeof eta, now->eta_s);
    if (now->scales)
        snprintf(scales, sizeof scales, "  N %d", now->scales);
    snprintf(text, size, "step %lld/%lld  loss %.5f%s  %.1f images/s  ETA %s", (long long)now->step,
             (long long)now->steps, now->loss, scales, now->images_per_s, eta);
}

/* A run that stops after some minutes is as far as its time, not as its steps. */
static double fraction_done(const cli_progress *p, const cm_train_progress *now)
{
    const double elapsed = cli_seconds() - p->start;
    const double by_steps = now->steps > 0 ? (double)now->step / (double)now->steps : 0;
    const double by_time = now->eta_s >= 0 ? elapsed / (elapsed + now->eta_s + 1e-9) : 0;
    const double done = by_steps > by_time ? by_steps : by_time;
    return done > 1 ? 1 : done;
}

static void draw_line(const char *line)
{
    fprintf(stderr, "\r%s\x1b[K", line);
}

/* The bar takes what the numbers leave; the last column stays empty, because some
 * terminals wrap after it. */
static void format_bar(char line[cli_line_bytes], const char *numbers, double done)
{
    char bar[most_bar + 1];
    const int width = terminal_width() - 1;
    int cells = width - (int)strlen(numbers) - 4;
    cells = cells > most_bar ? most_bar : cells;
    if (cells < least_bar) {
        snprintf(line, cli_line_bytes, "%.*s", width, numbers);
    } else {
        const int full = (int)(done * cells);
        memset(bar, '.', (size_t)cells);
        memset(bar, '#', (size_t)full);
        bar[cells] = '\0';
        snprintf(line, cli_line_bytes, "[%s]  %s", bar, numbers);
    }
}

/* While samples are drawn the line of the last step is kept for afterwards. */
static void draw_bar(cli_progress *p, const cm_train_progress *now)
{
    char numbers[numbers_bytes], drawing[cli_line_bytes], *line = now->to_draw ? drawing : p->line;
    format_numbers(numbers, sizeof numbers, now);
    format_bar(line, numbers, fraction_done(p, now));
    draw_line(line);
}

/* Not more often than is worth reading, but the last. */
static int is_time_for_line(cli_progress *p, int is_last)
{
    const double time = cli_seconds();
    if (p->last_line > 0 && time - p->last_line < seconds_between_lines && !is_last)
        return 0;
    p->last_line = time;
    return 1;
}

static void print_line(cli_progress *p, const cm_train_progress *now)
{
    char numbers[numbers_bytes];
    if (!is_time_for_line(p, now->step >= now->steps && !now->to_draw))
        return;
    format_numbers(numbers, sizeof numbers, now);
    fprintf(stderr, "%s\n", numbers);
}

const cm_option cli_quiet_options[] = {
    {"quiet", CM_OPT_FLAG, offsetof(cli_quiet, quiet), "false", NULL, 0, 1, NULL,
     "print nothing but results and errors"},
    {0},
};

void cli_progress_start(cli_progress *p, int quiet)
{
    const char *term = getenv("TERM");
    *p = (cli_progress){.quiet = quiet, .start = cli_seconds()};
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

void cli_progress_say(cli_progress *p, const char *text)
{
    if (p->quiet)
        return;
    if (p->terminal)
        fputs("\r\x1b[K", stderr);
    cli_say(stderr, "%s", text);
    if (*p->line)
        draw_line(p->line);
}

void cli_progress_show(cli_progress *p, const cm_train_progress *now)
{
    p->last_step = now->step;
    if (p->quiet)
        return;
    if (now->event)
        cli_progress_say(p, now->event);
    else if (p->terminal)
        draw_bar(p, now);
    else
        print_line(p, now);
}

static void show_work(void *user, const char *what, double done, double eta_s)
{
    cli_progress *p = user;
    char numbers[numbers_bytes], eta[32];
    if (p->quiet || (!p->terminal && !is_time_for_line(p, 0)))
        return;
    format_time(eta, sizeof eta, eta_s);
    snprintf(numbers, sizeof numbers, "%s  %d%%  ETA %s", what, (int)(100 * done), eta);
    if (!p->terminal) {
        fprintf(stderr, "%s\n", numbers);
        return;
    }
    format_bar(p->line, numbers, done > 1 ? 1 : done);
    draw_line(p->line);
}

static int should_stop(void *user)
{
    (void)user;
    return cli_stop_wish() == CM_TRAIN_STOP;
}

cm_eval_hooks cli_progress_of_work(cli_progress *p, int quiet)
{
    cli_catch_signals();
    cli_progress_start(p, quiet);
    return (cm_eval_hooks){sizeof(cm_eval_hooks), show_work, should_stop, p, NULL};
}

void cli_progress_end(cli_progress *p)
{
    if (*p->line)
        fputc('\n', stderr);
    *p->line = '\0';
}
