/*
 * The device model: its command line, and its control socket.  See model.h.
 *
 * The command line is that of devmodel/cmdline.c, which follows QEMU's; the control
 * socket speaks QMP (a greeting, then one answer for each command, events in between).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "guestdir.h"
#include "model.h"

#define PROGRAM "corbel-dm"
/* The longest message of the control socket that is understood. */
#define MODEL_LINE 65536
#ifndef LIBEXEC_DIR
#define LIBEXEC_DIR "/usr/lib/corbel"
#endif

void args_add(struct args *a, const char *format, ...)
{
    va_list v;
    char *text;

    if (a->failed)
        return;
    va_start(v, format);
    int n = vasprintf(&text, format, v);
    va_end(v);
    char **list = n < 0 ? NULL : realloc(a->list, (a->count + 2) * sizeof(*list));
    if (!list) {
        if (n >= 0)
            free(text);
        a->failed = true;
        return;
    }
    a->list = list;
    list[a->count++] = text;
    list[a->count] = NULL;
}

void args_free(struct args *a)
{
    for (unsigned i = 0; i < a->count; i++)
        free(a->list[i]);
    free(a->list);
    memset(a, 0, sizeof(*a));
}

bool model_none(const struct guest_config *c)
{
    return c->device_model && !strcmp(c->device_model, "none");
}

int model_program(const struct guest_config *c, char *path, size_t room,
                  struct failure *f)
{
    const char *wanted = c->device_model ? c->device_model : getenv("CORBEL_DM");
    const char *const places[] = {LIBEXEC_DIR "/" PROGRAM, "/usr/bin/" PROGRAM};

    if (wanted) {
        snprintf(path, room, "%s", wanted);
        if (access(path, X_OK))
            return fail_with(f, -errno, "device model %s: %s", path, strerror(errno));
        return 0;
    }
    ssize_t n = readlink("/proc/self/exe", path, room - sizeof(PROGRAM) - 1);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (slash) {
        strcpy(slash + 1, PROGRAM);
        if (access(path, X_OK) == 0)
            return 0;
    }
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, room, "%s", places[i]);
        if (access(path, X_OK) == 0)
            return 0;
    }
    return fail_with(f, -ENOENT,
                     "the device model " PROGRAM
                     " is in none of its places (%s); name it with "
                     "device_model=\"...\"",
                     LIBEXEC_DIR);
}

/* Commas inside of a value are written twice. */
static const char *commas(const char *value, char *buffer, size_t room)
{
    size_t n = 0;

    for (; *value && n + 3 < room; value++) {
        buffer[n++] = *value;
        if (*value == ',')
            buffer[n++] = ',';
    }
    buffer[n] = 0;
    return buffer;
}

static void add_kernel(const struct guest_config *c, struct args *a)
{
    const struct {
        const char *option, *value;
    } words[] = {
        {"--kernel", c->kernel}, {"--initrd", c->ramdisk}, {"--append", c->cmdline}};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].value) {
            args_add(a, "%s", words[i].option);
            args_add(a, "%s", words[i].value);
        }
    }
}

static void add_disk(const struct disk_config *d, unsigned number, struct args *a)
{
    char file[8192], place[64];

    if (d->bus == DISK_IDE)
        snprintf(place, sizeof(place), "if=ide,index=%u,id=disk%u", d->index, number);
    else
        snprintf(place, sizeof(place), "if=none,id=disk%u", number);
    args_add(a, "--drive");
    args_add(a, "%s,media=%s%s%s%s%s%s", place, d->cdrom ? "cdrom" : "disk",
             d->read_only ? ",readonly=on" : "", d->path ? ",format=" : "",
             d->path ? d->format : "", d->path ? ",file=" : "",
             d->path ? commas(d->path, file, sizeof(file)) : "");
    if (d->bus == DISK_VIRTIO) {
        args_add(a, "--device");
        args_add(a, "virtio-blk-pci,drive=disk%u,id=vd%c", number, 'a' + d->index);
    }
}

const char *model_nic(const struct nic_config *n)
{
    return !strcmp(n->model, "virtio-net") ? "virtio-net-pci" : n->model;
}

static void add_nic(const struct nic_config *n, unsigned number, struct args *a)
{
    args_add(a, "--netdev");
    if (n->bridge)
        args_add(a, "tap,id=net%u,ifname=%s,script=no,downscript=no", number, n->tap);
    else
        args_add(a, "user,id=net%u%s%s", number, n->hostfwd ? ",hostfwd=" : "",
                 n->hostfwd ? n->hostfwd : "");
    args_add(a, "--device");
    args_add(a, "%s,netdev=net%u,mac=%s,id=%s", model_nic(n), number, n->mac, n->mac);
}

static void add_serial(const struct guest_config *c, struct args *a)
{
    char path[GUEST_PATH_MAX];

    if (!strcmp(c->serial, "console")) {
        guest_path(path, c->name, "serial.sock");
        args_add(a, "--chardev");
        args_add(a, "socket,id=serial0,path=%s", path);
        args_add(a, "--serial");
        args_add(a, "chardev:serial0");
    } else {
        args_add(a, "--serial");
        args_add(a, "%s", c->serial);
    }
}

static void add_screen(const struct guest_config *c, unsigned vnc_port, struct args *a)
{
    char path[GUEST_PATH_MAX];

    args_add(a, "--vga");
    args_add(a, "%s", c->vga);
    if (vnc_port) {
        args_add(a, "--vnc");
        args_add(a, "%s:%u", c->vnc_listen, vnc_port);
        if (c->vnc_password) {
            guest_path(path, c->name, "vnc-password");
            args_add(a, "--vnc-password-file");
            args_add(a, "%s", path);
        }
    }
}

int model_args(const struct guest_config *c, const char *program, uint32_t domid,
               unsigned vnc_port, struct args *a, struct failure *f)
{
    char path[GUEST_PATH_MAX], uuid[37];
    struct {
        const char *name, *file;
    } files[] = {{"--control", "dm.sock"}, {"--ready-file", "dm.ready"}};

    uuid_format(c->spec.uuid, uuid);
    memset(a, 0, sizeof(*a));
    args_add(a, "%s", program);
    args_add(a, "--domid");
    args_add(a, "%u", domid);
    args_add(a, "--name");
    args_add(a, "%s", c->name);
    args_add(a, "--uuid");
    args_add(a, "%s", uuid);
    args_add(a, "--memory");
    args_add(a, "%lluM", (unsigned long long)(c->spec.ram_bytes >> 20));
    args_add(a, "--vcpus");
    args_add(a, "%u", c->spec.vcpus);
    args_add(a, "--boot");
    args_add(a, "order=%s", c->boot);
    for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        guest_path(path, c->name, files[i].file);
        args_add(a, "%s", files[i].name);
        args_add(a, "%s", path);
    }
    add_kernel(c, a);
    add_serial(c, a);
    add_screen(c, vnc_port, a);
    for (unsigned i = 0; i < c->disks; i++)
        add_disk(&c->disk[i], i, a);
    for (unsigned i = 0; i < c->nics; i++)
        add_nic(&c->nic[i], i, a);
    for (unsigned i = 0; i < c->model_arg_count; i++)
        args_add(a, "%s", c->model_args[i]);
    if (a->failed) {
        args_free(a);
        return fail_with(f, -ENOMEM, "out of memory");
    }
    return 0;
}

int model_guest(const char *who, const char *consequence, struct guest_state *s,
                struct failure *f)
{
    int err = guestdir_find(who, s, f);

    if (err)
        return err;
    if (!guest_alive(s))
        return fail_with(f, -ESRCH, "guest '%s' has ended: %s", s->name, s->reason);
    if (!s->device_model)
        return fail_with(f, -ENOTSUP, "guest '%s' has no device model%s", s->name,
                         consequence);
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* One line of JSON, without the newline; -ETIMEDOUT, -EPIPE. */
static int read_line(int fd, char *line, size_t room, int64_t deadline)
{
    size_t n = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - now_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            return -ETIMEDOUT;
        char c;
        if (read(fd, &c, 1) != 1)
            return -EPIPE;
        if (c == '\n') {
            line[n] = 0;
            return 0;
        }
        if (n + 1 < room)
            line[n++] = c;
    }
}

/* The next message with this member: an answer or an event. */
static int await(struct model_link *l, const char *member, json_t **message)
{
    char line[MODEL_LINE];

    for (;;) {
        int err = read_line(l->fd, line, sizeof(line), l->deadline);
        if (err)
            return err;
        json_t *j = json_loads(line, 0, NULL);
        if (json_object_get(j, member) || json_object_get(j, "error")) {
            *message = j;
            return 0;
        }
        json_decref(j);
    }
}

int model_query(struct model_link *l, const char *command, json_t *arguments,
                json_t **result, struct failure *f)
{
    json_t *request = json_pack("{s:s}", "execute", command), *j;

    if (arguments)
        json_object_set_new(request, "arguments", arguments);
    char *text = json_dumps(request, JSON_COMPACT);
    size_t n = text ? strlen(text) : 0;
    json_decref(request);
    if (!text)
        return fail_with(f, -EINVAL, "%s: a name in it is not UTF-8", command);
    bool sent = write(l->fd, text, n) == (ssize_t)n && write(l->fd, "\n", 1) == 1;
    free(text);
    if (!sent)
        return fail_with(f, -EPIPE, "the device model does not listen");
    int err = await(l, "return", &j);
    if (err)
        return fail_with(f, err, "the device model gives no answer to %s", command);
    json_t *error = json_object_get(j, "error");
    if (error) {
        const char *why = json_string_value(json_object_get(error, "desc"));
        err = fail_with(f, -EIO, "the device model refused %s: %s", command,
                        why ? why : "");
    }
    if (!err)
        *result = json_incref(json_object_get(j, "return"));
    json_decref(j);
    return err;
}

int model_ask(struct model_link *l, const char *command, json_t *arguments,
              struct failure *f)
{
    json_t *result = NULL;
    int err = model_query(l, command, arguments, &result, f);

    json_decref(result);
    return err;
}

int model_wait(struct model_link *l, const char *event, const char *device)
{
    for (;;) {
        json_t *j;
        int err = await(l, "event", &j);
        if (err)
            return err;
        const char *name = json_string_value(json_object_get(j, "event"));
        json_t *data = json_object_get(j, "data");
        const char *who = json_string_value(json_object_get(data, "device"));
        bool found = name && who && !strcmp(name, event) && !strcmp(who, device);
        json_decref(j);
        if (found)
            return 0;
    }
}

int model_open(struct model_link *l, const char *name, unsigned ms, struct failure *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[GUEST_PATH_MAX];

    l->deadline = now_ms() + ms;
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    guest_path(path, name, "dm.sock");
    memcpy(address.sun_path, path, sizeof(path));
    int err = 0;
    if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&address, sizeof(address)))
        err = fail_with(f, -errno, "cannot reach the device model: %s: %s", path,
                        strerror(errno));
    if (!err)
        err = model_ask(l, "qmp_capabilities", NULL, f);
    if (err)
        model_close(l);
    return err;
}

void model_close(struct model_link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

int model_command(const char *name, const char *command, unsigned ms, struct failure *f)
{
    struct model_link l;
    int err = model_open(&l, name, ms, f);

    if (err)
        return err;
    err = model_ask(&l, command, NULL, f);
    model_close(&l);
    return err;
}
