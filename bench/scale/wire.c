/* wire.c - a slow wire between two network namespaces, for kernels without netem
 *
 * Makes the interface wire0 in both and hands packets from one to the other DELAY later: packets
 * wait in a queue of each direction, in the order in which they came.  Bandwidth is tc's (tbf on
 * wire0).  Linux; needs to be root.
 *
 * usage: wire NAMESPACE NAMESPACE DELAY_MS  (made by `ip netns add`; runs until it is killed) */
#define _GNU_SOURCE /* setns */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 4096, MOST = 65536 };

struct packet {
    double due;
    ssize_t size;
};

/* What is on its way from `in` to `out`; SLOTS * MOST bytes hold it. */
struct way {
    int in, out;
    unsigned first, count;
    struct packet packet[SLOTS];
    char *bytes;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The interface stays in the namespace in which it was made. */
static int open_end(const char *netns)
{
    char path[256];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(path, sizeof path, "/run/netns/%s", netns);
    const int ns = open(path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET))
        die(path);
    close(ns);
    const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(request.ifr_name, sizeof request.ifr_name, "wire0");
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
        die("/dev/net/tun");
    return fd;
}

static char *slot(const struct way *w, unsigned i)
{
    return w->bytes + (size_t)(i % SLOTS) * MOST;
}

/* All that has come, until there is no room. */
static void take(struct way *w, double delay)
{
    while (w->count < SLOTS) {
        const unsigned i = w->first + w->count;
        const ssize_t n = read(w->in, slot(w, i), MOST);
        if (n <= 0)
            return;
        w->packet[i % SLOTS] = (struct packet){now() + delay, n};
        w->count++;
    }
}

/* All that is due; returns seconds until the next is. */
static double give(struct way *w)
{
    while (w->count) {
        const struct packet *p = &w->packet[w->first % SLOTS];
        const double left = p->due - now();
        if (left > 0.0)
            return left;
        if (write(w->out, slot(w, w->first), (size_t)p->size) < 0 && errno == EAGAIN)
            return 1e-4;
        w->first++;
        w->count--;
    }
    return 1.0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: wire NAMESPACE NAMESPACE DELAY_MS\n");
        return 2;
    }
    static struct way way[2];
    const double delay = 1e-3 * strtod(argv[3], NULL);
    const int a = open_end(argv[1]), b = open_end(argv[2]);
    for (int i = 0; i < 2; i++) {
        way[i].in = i ? b : a;
        way[i].out = i ? a : b;
        if (!(way[i].bytes = malloc((size_t)SLOTS * MOST)))
            die("memory");
    }
    for (;;) {
        double wait = give(&way[0]), other = give(&way[1]);
        wait = other < wait ? other : wait;
        struct pollfd fds[2] = {{a, way[0].count < SLOTS ? POLLIN : 0, 0},
                                {b, way[1].count < SLOTS ? POLLIN : 0, 0}};
        const struct timespec time = {(time_t)wait, (long)(1e9 * (wait - (double)(time_t)wait))};
        ppoll(fds, 2, &time, NULL);
        take(&way[0], delay);
        take(&way[1], delay);
    }
}
