/*
 * What both programs do after the machine is assembled: control socket, screen server,
 * signals.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "start.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

static uv_signal_t stop_signals[3], counter_signal;

static void stopped(uv_signal_t *handle, int number)
{
    struct machine *m = handle->data;

    control_event(m, "SHUTDOWN",
                  json_pack("{s:b, s:s}", "guest", 0, "reason", "host-signal"));
    machine_quit(m, 0);
}

/* SIGUSR1: which registers the guest uses, and how often. */
static void show_counters(uv_signal_t *handle, int number)
{
    static const char *const space[] = {"port", "memory"};
    const struct machine *m = handle->data;

    for (unsigned s = 0; s < ARRAY_LEN(m->io); s++) {
        for (unsigned i = 0; i < m->io[s].count; i++) {
            const struct io_region *r = m->io[s].region[i];
            dev_log(NULL, LOG_INFO, "%s %#llx %s of %s: %llu accesses", space[s],
                    (unsigned long long)r->base, r->name, r->dev->id,
                    (unsigned long long)r->accesses);
        }
    }
    for (const struct block_backend *b = m->blocks; b; b = b->next)
        dev_log(NULL, LOG_INFO, "drive %s: %llu reads, %llu KiB; %llu writes, %llu KiB",
                b->id, (unsigned long long)b->reads,
                (unsigned long long)b->bytes_read >> 10, (unsigned long long)b->writes,
                (unsigned long long)b->bytes_written >> 10);
    dev_log(NULL, LOG_INFO, "%llu requests, %llu accesses hit nothing, %llu mappings",
            (unsigned long long)m->requests, (unsigned long long)m->unclaimed,
            (unsigned long long)m->mappings);
}

static void watch_signals(struct machine *m)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of that write */
    uv_signal_init(&m->loop, &counter_signal);
    counter_signal.data = m;
    uv_signal_start(&counter_signal, show_counters, SIGUSR1);
    for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
        uv_signal_init(&m->loop, &stop_signals[i]);
        stop_signals[i].data = m;
        uv_signal_start(&stop_signals[i], stopped, numbers[i]);
    }
}

static int set_vnc_password(struct machine *m, const char *file, struct error *error)
{
    char line[64] = "";
    FILE *f = fopen(file, "re");

    if (!f)
        return error_set(error, -errno, "cannot read '%s': %s", file, strerror(errno));
    bool empty = !fgets(line, sizeof(line), f);
    fclose(f);
    line[strcspn(line, "\r\n")] = 0;
    if (empty || !*line)
        return error_set(error, -EINVAL, "'%s' has no password in its first line", file);
    return vnc_set_password(m->vnc, line);
}

int start_services(struct machine *m, const struct config *c, struct error *error)
{
    int err = 0;

    watch_signals(m);
    if (c->vnc && strcmp(c->vnc, "none") != 0) {
        if (!vnc_start)
            return error_set(error, -ENOSYS, "this program has no screen server");
        if (!m->display && !c->for_libxl) /* which asks for a screen in any case */
            return error_set(error, -EINVAL, "--vnc without a graphics card");
        if (m->display && !(m->vnc = vnc_start(m, c->vnc, error)))
            return -EIO;
    }
    if (c->vnc_password_file && m->vnc)
        err = set_vnc_password(m, c->vnc_password_file, error);
    if (!err && c->control)
        err = control_start(m, c->control, error);
    for (unsigned i = 0; !err && i < c->monitors; i++)
        err = control_start(m, c->monitor[i], error);
    return err;
}

void stop_services(struct machine *m)
{
    if (m->vnc)
        vnc_stop(m->vnc);
    m->vnc = NULL;
    control_stop(m);
}

int fail(const struct error *error)
{
    fprintf(stderr, "corbel-dm: error: %s\n", error->text);
    return 1;
}

static void list_device(const struct device_ops *ops, void *opaque)
{
    static const char *const bus[] = {"board", "PCI", "IDE"};

    printf("%-20s %s\n", ops->name, bus[ops->bus]);
    for (const struct option_desc *d = ops->options; d && d->name; d++)
        printf("    %-16s %s\n", d->name, d->help ? d->help : "");
}

bool answered_help(const struct config *c, const char *program, bool for_tests)
{
    if (c->version) {
        printf("%s, part of Corbel\n", program);
        return true;
    }
    if (c->help) {
        config_help(program, for_tests);
        return true;
    }
    for (unsigned i = 0; i < c->devices.count; i++) {
        if (strcmp(c->devices.text[i], "help") == 0) {
            device_list(list_device, NULL);
            return true;
        }
    }
    return false;
}
