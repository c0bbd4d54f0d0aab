/*
 * The process beside the device model that starts a qemu-storage-daemon for each image in
 * a format other than raw.
 *
 *   device model                       opener, outside the sandbox
 *   request: an image, or a device     looks what image the device has (after the seal)
 *                                      starts the server, waits for its greeting
 *   answer, with a connected socket
 *   close: the number of the server    ends it
 *   end of the socket                  ends all of them and itself
 *
 * The device model may have fallen to its guest: what it sends is taken for numbers and
 * texts of a limited length, and after the seal it chooses no file.  The server's socket
 * has no name in the file system when the device model hears of it.
 *
 * Source: qemu-storage-daemon(1), and the NBD protocol, "newstyle negotiation".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "opener.h"
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVERS_MOST    64u
#define START_WAIT_MS   10000
#define NO_PROGRAM      127 /* status of a process that could not become the server */
#define GREETING        "NBDMAGIC"
#define GREETING_LENGTH 8

enum what { OPEN_IMAGE, OPEN_DEVICE, CLOSE_IMAGE, SEAL };

struct request {
    uint32_t what;
    uint32_t id;     /* CLOSE_IMAGE */
    char device[24]; /* OPEN_DEVICE */
    struct opener_image image;
};

struct answer {
    int32_t err;
    uint32_t id;
    char text[256];
};

struct opener {
    struct helper process;
};

/* ---- the other process --------------------------------------------------------------
 */

struct server_side {
    int socket;
    bool sealed;
    opener_lookup *lookup;
    void *opaque;
    pid_t server[SERVERS_MOST]; /* 0: none */
};

/* A socket that listens, and one that is connected to it; nobody else can find it. */
static int make_sockets(int *listening, int *connected)
{
    char directory[] = "/tmp/corbel-nbd-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int err = 0;

    if (!mkdtemp(directory))
        return -errno;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/nbd", directory);
    *listening = socket(AF_UNIX, SOCK_STREAM, 0); /* inherited by the server */
    *connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listening < 0 || *connected < 0 ||
        bind(*listening, (struct sockaddr *)&address, sizeof(address)) ||
        listen(*listening, 1) ||
        connect(*connected, (struct sockaddr *)&address, sizeof(address)))
        err = -errno;
    unlink(address.sun_path);
    rmdir(directory);
    return err;
}

static void double_commas(char *to, size_t room, const char *from)
{
    size_t n = 0;

    for (; *from && n + 3 < room; from++) {
        to[n++] = *from;
        if (*from == ',')
            to[n++] = ',';
    }
    to[n] = 0;
}

static void run_server(const struct opener_image *image, int listening)
{
    char file[2 * sizeof(image->file)], node[sizeof(file) + 256], server[64], export[96];

    double_commas(file, sizeof(file), image->file);
    snprintf(node, sizeof(node),
             "driver=%s,node-name=d,read-only=%s,discard=unmap,file.driver=file,"
             "file.locking=%s,file.filename=%s",
             image->format, image->read_only ? "on" : "off",
             image->shared ? "off" : "auto", file);
    snprintf(server, sizeof(server), "addr.type=fd,addr.str=%d", listening);
    snprintf(export, sizeof(export), "type=nbd,id=e,node-name=d,name=%s,writable=%s",
             OPENER_EXPORT, image->read_only ? "off" : "on");
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    execlp("qemu-storage-daemon", "qemu-storage-daemon", "--blockdev", node,
           "--nbd-server", server, "--export", export, (char *)NULL);
    fprintf(stderr, "corbel-dm: error: qemu-storage-daemon: %s\n", strerror(errno));
    _exit(NO_PROGRAM);
}

/* The server greets its client as soon as it has the image; it ends if it cannot. */
static bool greets(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char text[GREETING_LENGTH];

    return poll(&p, 1, START_WAIT_MS) == 1 &&
           recv(fd, text, sizeof(text), MSG_PEEK | MSG_WAITALL) == sizeof(text) &&
           memcmp(text, GREETING, sizeof(text)) == 0;
}

/* Returns how it ended, as waitpid() says it. */
static int end_server(struct server_side *s, unsigned id)
{
    int status = 0;

    if (id >= SERVERS_MOST || s->server[id] <= 0)
        return status;
    kill(s->server[id], SIGTERM);
    waitpid(s->server[id], &status, 0);
    s->server[id] = 0;
    return status;
}

/* Start a server for the image; a connected socket, or a negative errno. */
static int start_server(struct server_side *s, const struct opener_image *image,
                        struct answer *a)
{
    int listening = -1, connected = -1;
    unsigned id = 0;

    while (id < SERVERS_MOST && s->server[id])
        id++;
    if (id == SERVERS_MOST) {
        snprintf(a->text, sizeof(a->text), "more than %u images", SERVERS_MOST);
        return -ENOSPC;
    }
    int err = make_sockets(&listening, &connected);
    if (err)
        snprintf(a->text, sizeof(a->text), "no socket for the image: %s", strerror(-err));
    /* Not fork(), at which libuv closes the numbers that its files had before. */
    if (!err && (s->server[id] = _Fork()) == 0)
        run_server(image, listening);
    if (!err && s->server[id] < 0)
        err = -errno;
    if (listening >= 0)
        close(listening);
    if (!err && !greets(connected)) {
        int status = end_server(s, id);
        bool missing = WIFEXITED(status) && WEXITSTATUS(status) == NO_PROGRAM;
        snprintf(a->text, sizeof(a->text),
                 missing ? "'%.100s': for %s images the package qemu-system-common is "
                           "needed"
                         : "qemu-storage-daemon does not open '%.100s' as %s; its own "
                           "message is above",
                 image->file, image->format);
        err = -EIO;
    }
    if (err && connected >= 0)
        close(connected);
    a->id = id;
    return err ? err : connected;
}

static bool ends_inside(const char *text, size_t room)
{
    return memchr(text, 0, room);
}

static bool known_format(const char *format)
{
    static const char *const formats[] = {"qcow2", "qcow", "vmdk", "vdi", "vhdx", "vpc"};

    for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
        if (strcmp(formats[i], format) == 0)
            return true;
    }
    return false;
}

static int open_image(struct server_side *s, struct request *r, struct answer *a)
{
    struct opener_image *image = &r->image;
    int err = 0;

    if (r->what == OPEN_DEVICE) {
        bool shared = image->shared;
        *image = (struct opener_image){.shared = shared};
        err = !s->lookup || !ends_inside(r->device, sizeof(r->device))
                  ? -EPERM
                  : s->lookup(s->opaque, r->device, image);
    } else if (s->sealed) {
        err = -EPERM;
    }
    if (!err && (!ends_inside(image->file, sizeof(image->file)) ||
                 !ends_inside(image->format, sizeof(image->format))))
        err = -EINVAL;
    if (err) {
        snprintf(a->text, sizeof(a->text), "no image may be opened: %s", strerror(-err));
        return err;
    }
    if (!known_format(image->format)) {
        snprintf(a->text, sizeof(a->text), "'%.100s': there is no image format '%s'",
                 image->file, image->format);
        return -EINVAL;
    }
    if (access(image->file, image->read_only ? R_OK : R_OK | W_OK)) {
        err = -errno;
        snprintf(a->text, sizeof(a->text), "cannot open image '%.100s': %s", image->file,
                 strerror(-err));
        return err;
    }
    return start_server(s, image, a);
}

static void send_answer(int socket, struct answer *a, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } file = {0};
    struct iovec part = {a, sizeof(*a)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        message.msg_control = file.bytes;
        message.msg_controllen = sizeof(file.bytes);
        struct cmsghdr *h = CMSG_FIRSTHDR(&message);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &fd, sizeof(int));
    }
    sendmsg(socket, &message, MSG_NOSIGNAL);
}

static void serve(struct server_side *s)
{
    struct request r;
    ssize_t n;

    while ((n = recv(s->socket, &r, sizeof(r), 0)) > 0 || (n < 0 && errno == EINTR)) {
        struct answer a = {0};
        int fd = -1;
        if (n != sizeof(r))
            continue;
        if (r.what == OPEN_IMAGE || r.what == OPEN_DEVICE)
            fd = open_image(s, &r, &a);
        else if (r.what == CLOSE_IMAGE)
            end_server(s, r.id);
        else if (r.what == SEAL)
            s->sealed = true;
        a.err = r.what <= OPEN_DEVICE && fd < 0 ? fd : 0;
        send_answer(s->socket, &a, fd);
        if (fd >= 0)
            close(fd);
    }
    for (unsigned id = 0; id < SERVERS_MOST; id++)
        end_server(s, id);
}

/* What the process begins with. */
struct beginning {
    opener_lookup *lookup;
    void *opaque;
};

static void become_opener(int socket, void *opaque)
{
    static struct server_side s;
    const struct beginning *b = opaque;

    s.socket = socket;
    s.lookup = b->lookup;
    s.opaque = b->opaque;
    serve(&s);
}

/* ---- this process -------------------------------------------------------------------
 */

struct opener *opener_start(opener_lookup *lookup, void *opaque, struct error *error)
{
    struct beginning b = {lookup, opaque};
    struct opener *o = must_alloc(sizeof(*o));

    if (helper_start(&o->process, "to open images", become_opener, &b, error) == 0)
        return o;
    free(o);
    return NULL;
}

/* The file that came along, or -1. */
static int take_file(struct msghdr *message)
{
    struct cmsghdr *h = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
        h->cmsg_len >= CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(h), sizeof(int));
    return fd;
}

/* Ask, and wait; returns the file that came with the answer, 0 without one, or a negative
 * errno with the reason. */
static int ask(struct opener *o, const struct request *r, struct answer *a,
               struct error *error)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } file;
    struct iovec part = {a, sizeof(*a)};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = file.bytes,
        .msg_controllen = sizeof(file.bytes),
    };
    ssize_t n = -1;

    if (send(o->process.socket, r, sizeof(*r), MSG_NOSIGNAL) == sizeof(*r)) {
        do
            n = recvmsg(o->process.socket, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
    }
    if (n != sizeof(*a))
        return error_set(error, -EPIPE, "the process that opens images has ended");
    a->text[sizeof(a->text) - 1] = 0;
    int fd = take_file(&message);
    return a->err ? error_set(error, a->err, "%s", a->text) : fd < 0 ? 0 : fd;
}

int opener_open(struct opener *o, const char *device, const struct opener_image *image,
                unsigned *id, struct error *error)
{
    struct request r = {.what = device ? OPEN_DEVICE : OPEN_IMAGE, .image = *image};
    struct answer a;

    if (device)
        snprintf(r.device, sizeof(r.device), "%s", device);
    int fd = ask(o, &r, &a, error);
    if (fd > 0)
        *id = a.id;
    return fd ? fd : error_set(error, -EIO, "the image's socket did not come");
}

void opener_close(struct opener *o, unsigned id)
{
    struct request r = {.what = CLOSE_IMAGE, .id = id};
    struct answer a;
    struct error ignored; /* it has ended, and its servers with it */

    ask(o, &r, &a, &ignored);
}

int opener_seal(struct opener *o, struct error *error)
{
    struct request r = {.what = SEAL};
    struct answer a;

    return ask(o, &r, &a, error);
}

void opener_stop(struct opener *o)
{
    if (!o)
        return;
    helper_stop(&o->process);
    free(o);
}
