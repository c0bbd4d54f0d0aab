/*
 * corbel-dm: the device model of one domain.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "opener.h"
#include "sandbox.h"
#include "start.h"
#include "xen_front.h"
#include "xen_libxl.h"

#define STATE_MOST (64u << 20) /* bytes of saved state, with the screen's memory */

static int tell_ready(const struct config *c, struct error *error)
{
    if (!c->ready_file)
        return 0;
    int fd = open(c->ready_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, -errno, "cannot write '%s': %s", c->ready_file,
                         strerror(errno));
    char pid[32];
    int n = snprintf(pid, sizeof(pid), "%d\n", getpid());
    bool bad = write(fd, pid, (size_t)n) != n;
    return close(fd) || bad ? error_set(error, -EIO, "cannot write '%s'", c->ready_file)
                            : 0;
}

/* The devices as they were saved; the file is read from where it is. */
static int load_state(struct machine *m, const struct config *c, struct error *error)
{
    if (c->incoming < 0)
        return 0;
    int err = machine_load(m, c->incoming, error);
    close(c->incoming);
    return err;
}

/* Images, and the file of the saved state, must stay writable. */
static int give_up_rights(struct machine *m, const struct config *c, struct error *error)
{
    uint64_t most = STATE_MOST;
    int err = m->opener && !c->sandbox_off ? opener_seal(m->opener, error) : 0;

    for (const struct block_backend *b = m->blocks; b; b = b->next) {
        if (!block_read_only(b) && block_bytes(b) > most)
            most = block_bytes(b);
    }
    return err ? err : sandbox_enter(c, most, error);
}

static int build(struct machine *m, struct xen_front *x, const struct config *c,
                 struct libxl **libxl, struct error *error)
{
    int err = xen_front_open(x, c->domid, error);

    x->incoming = m->migrating = c->incoming >= 0;
    if (!err && c->for_libxl && !(*libxl = libxl_open(c->domid, error)))
        err = -EIO;
    if (!err && *libxl && !c->restricted)
        err = libxl_start_opener(*libxl, m, error);
    if (!err)
        err = board_prepare(m, c, error);
    m->board.hypervisor_irqs = true;
    if (!err)
        err = xen_front_create_server(x, error);
    if (!err)
        err = board_build(m, c, error);
    if (!err && *libxl)
        err = c->restricted ? libxl_leave_xenstore(*libxl, error)
                            : libxl_serve_disks(*libxl, m, error);
    if (!err)
        err = load_state(m, c, error);
    if (!err)
        err = start_services(m, c, error);
    if (!err)
        err = xen_front_start(x, error);
    if (!err && !c->sandbox_off)
        err = xen_front_restrict(x, error);
    /* The last file that needs our own user. A guest that is let go now waits for its
     * first answer a moment longer. */
    if (!err)
        err = tell_ready(c, error);
    return err ? err : give_up_rights(m, c, error);
}

int main(int argc, char **argv)
{
    static struct config c;
    struct xen_front x = {.timer_fd = -1};
    struct libxl *libxl = NULL;
    struct error error = {.text = ""};

    if (config_parse(&c, argc, argv, false, &error))
        return fail(&error);
    if (answered_help(&c, "corbel-dm", false))
        return 0;
    if (c.domid < 0) {
        fputs("corbel-dm: error: --domid is needed (--help lists the options)\n", stderr);
        return 1;
    }
    if (getenv("CORBEL_DM_DEBUG"))
        log_threshold = LOG_DEBUG;
    struct machine *m = machine_create(&xen_front_ops, &x);
    if (!m)
        return 1;
    x.machine = m;
    int status = 1;
    if (build(m, &x, &c, &libxl, &error)) {
        fail(&error);
    } else {
        m->prelaunch = c.paused && c.incoming < 0;
        if (!c.paused)
            machine_start(m);
        if (libxl && libxl_tell_running(libxl, &error))
            status = fail(&error);
        else
            status = machine_run(m);
        machine_pause(m);
    }
    stop_services(m);
    libxl_stop(libxl);
    machine_destroy(m);
    xen_front_close(&x);
    libxl_close(libxl);
    return status;
}
