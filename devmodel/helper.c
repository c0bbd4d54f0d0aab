/*
 * See helper.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void become_helper(int socket, void (*serve)(int socket, void *opaque),
                          void *opaque)
{
    static const int signals[] = {SIGINT, SIGHUP, SIGTERM, SIGPIPE};

    /* The end of the socket is what ends this process. */
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
        signal(signals[i], SIG_IGN);
    socket = dup2(socket, STDERR_FILENO + 1);
    fcntl(socket, F_SETFD, FD_CLOEXEC);
    close_range(STDERR_FILENO + 2, ~0u, 0);
    serve(socket, opaque);
    _exit(0);
}

int helper_start(struct helper *h, const char *why,
                 void (*serve)(int socket, void *opaque), void *opaque,
                 struct error *error)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return error_set(error, -errno, "no socket %s: %s", why, strerror(errno));
    fflush(NULL);
    h->pid = fork();
    if (h->pid == 0)
        become_helper(pair[1], serve, opaque);
    close(pair[1]);
    if (h->pid < 0) {
        int err = error_set(error, -errno, "no process %s: %s", why, strerror(errno));
        close(pair[0]);
        return err;
    }
    h->socket = pair[0];
    return 0;
}

void helper_stop(struct helper *h)
{
    close(h->socket);
    waitpid(h->pid, NULL, 0); /* not in the sandbox: the end of this process will do */
}
