/*
 * console and vnc: a guest's serial line and screen.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "commands.h"

#define ESCAPE 0x1d /* Ctrl-] */

static struct termios saved_terminal;

static void restore_terminal(void)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
}

/* Keys go through as they are; false when stdin is no terminal. */
static bool raw_terminal(void)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved_terminal))
        return false;
    raw = saved_terminal;
    cfmakeraw(&raw);
    atexit(restore_terminal);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

int console_connect(const char *guest, struct failure *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[GUEST_PATH_MAX];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    guest_path(path, guest, "console.sock");
    memcpy(address.sun_path, path, sizeof(path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        int err = -errno;
        if (fd >= 0)
            close(fd);
        return fail_with(f, err, "cannot reach the console of %s: %s", guest,
                         strerror(-err));
    }
    return fd;
}

static int write_all(int fd, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, -1);
            continue;
        }
        if (n <= 0)
            return -EPIPE;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* Keys to the console.  1: the escape was among them, -EPIPE: no more input. */
static int forward_keys(int console, bool terminal)
{
    char data[512];
    ssize_t n = read(STDIN_FILENO, data, sizeof(data));

    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : -EPIPE;
    char *escape = terminal ? memchr(data, ESCAPE, (size_t)n) : NULL;
    size_t bytes = escape ? (size_t)(escape - data) : (size_t)n;
    write_all(console, data, bytes);
    return escape ? 1 : 0;
}

int console_loop(int console)
{
    bool terminal = raw_terminal();
    struct pollfd p[2] = {{.fd = console, .events = POLLIN},
                          {.fd = STDIN_FILENO, .events = POLLIN}};
    char data[4096];
    int left = 0;

    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if (p[0].revents) {
            ssize_t n = read(console, data, sizeof(data));
            if (n == 0 || (n < 0 && errno != EINTR))
                break;
            if (n > 0 && write_all(STDOUT_FILENO, data, (size_t)n))
                break;
        }
        if (p[1].revents) {
            int r = forward_keys(console, terminal);
            if (r < 0)
                p[1].fd = -1; /* the guest goes on without us */
            left = r > 0;
            if (left)
                break;
        }
    }
    if (terminal)
        restore_terminal();
    return left;
}

int command_console(int argc, char **argv)
{
    struct failure f = {0};
    struct guest_state s;

    if (argc != 2)
        return usage("console GUEST");
    if (guestdir_find(argv[1], &s, &f))
        return complain(&f);
    if (!guest_alive(&s)) {
        fail_with(&f, -ESRCH, "guest '%s' has ended: %s", s.name, s.reason);
        return complain(&f);
    }
    int console = console_connect(s.name, &f);
    if (console < 0)
        return complain(&f);
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "corbel: console of %s; Ctrl-] leaves it\n", s.name);
    if (!console_loop(console))
        fprintf(stderr, "\r\ncorbel: guest %s has ended\n", s.name);
    close(console);
    return 0;
}

int command_vnc(int argc, char **argv)
{
    struct failure f = {0};
    struct guest_state s;

    if (argc != 2)
        return usage("vnc GUEST");
    if (guestdir_find(argv[1], &s, &f))
        return complain(&f);
    if (!s.vnc[0] || !guest_alive(&s)) {
        fail_with(&f, -ENOENT, "guest '%s' has no screen on VNC", s.name);
        return complain(&f);
    }
    printf("%s\n", s.vnc);
    return 0;
}
