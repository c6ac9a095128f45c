/* signals.c - signals that save, and closed descriptors */
#include "cli/signals.h"

#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal, save_asked;
static struct timespec told; /* when stop_signal was */

void cli_open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) /* open gives the lowest free one */
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* A launcher hands on what its whole process group gets too: the same wish, twice within moments. */
static int is_echo(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - told.tv_sec) + 1e-9 * (double)(now.tv_nsec - told.tv_nsec) < 0.5;
}

static void on_signal(int number)
{
    if (number == SIGUSR1) {
        save_asked = 1;
    } else if (!stop_signal) {
        clock_gettime(CLOCK_MONOTONIC, &told);
        stop_signal = number;
    } else if (number != SIGPIPE && !is_echo()) { /* each line into a closed pipe sends one */
        _exit(128 + number);
    }
}

void cli_catch_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGUSR1};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] != SIGHUP ||
            (!sigaction(SIGHUP, NULL, &before) && before.sa_handler != SIG_IGN))
            sigaction(numbers[i], &action, NULL);
}

int cli_stop_wish(void)
{
    if (stop_signal)
        return CM_TRAIN_STOP;
    const int save = save_asked;
    save_asked = 0;
    return save ? CM_TRAIN_SAVE : CM_TRAIN_GO_ON;
}

int cli_stopped_code(void)
{
    if (stop_signal == SIGPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    return 128 + (stop_signal ? stop_signal : SIGINT);
}
