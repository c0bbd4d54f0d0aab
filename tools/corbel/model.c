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
        snprintf(place, sizeof(place), "if=virtio,id=disk%u", number);
    args_add(a, "--drive");
    args_add(a, "%s,media=%s%s%s%s%s%s", place, d->cdrom ? "cdrom" : "disk",
             d->read_only ? ",readonly=on" : "", d->path ? ",format=" : "",
             d->path ? d->format : "", d->path ? ",file=" : "",
             d->path ? commas(d->path, file, sizeof(file)) : "");
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
    args_add(a, "%s,netdev=net%u,mac=%s",
             !strcmp(n->model, "virtio-net") ? "virtio-net-pci" : n->model, number,
             n->mac);
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

/* Send, then skip events and the greeting until the answer. */
static int exchange(int fd, const char *command, int64_t deadline, struct failure *f)
{
    char line[4096];
    int n = snprintf(line, sizeof(line), "{\"execute\":\"%s\"}\n", command);

    if (write(fd, line, (size_t)n) != n)
        return fail_with(f, -EPIPE, "the device model does not listen");
    for (;;) {
        int err = read_line(fd, line, sizeof(line), deadline);
        if (err)
            return fail_with(f, err, "the device model gives no answer to %s", command);
        json_t *j = json_loads(line, 0, NULL);
        json_t *error = json_object_get(j, "error");
        const char *why = json_string_value(json_object_get(error, "desc"));
        bool answered = json_object_get(j, "return") != NULL;
        if (error)
            fail_with(f, -EIO, "the device model refused %s: %s", command,
                      why ? why : "");
        json_decref(j);
        if (error)
            return -EIO;
        if (answered)
            return 0;
    }
}

int model_command(const char *name, const char *command, unsigned ms, struct failure *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[GUEST_PATH_MAX];
    int64_t deadline = now_ms() + ms;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    guest_path(path, name, "dm.sock");
    memcpy(address.sun_path, path, sizeof(path));
    int err = 0;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
        err = fail_with(f, -errno, "cannot reach the device model: %s: %s", path,
                        strerror(errno));
    if (!err)
        err = exchange(fd, "qmp_capabilities", deadline, f);
    if (!err)
        err = exchange(fd, command, deadline, f);
    if (fd >= 0)
        close(fd);
    return err;
}
