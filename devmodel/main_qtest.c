/*
 * corbel-dm-qtest: the devices of the native board, driven by a test program over qtest.
 * Takes the command lines that QEMU's libqtest builds: QTEST_QEMU_BINARY=corbel-dm-qtest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qtest.h"
#include "start.h"

static int run(struct machine *m, struct qtest *q, const struct config *c)
{
    struct error error = {.text = ""};
    int err = 0;

    /* `-machine none` is asked about machines and devices only. */
    if (!c->machine_none) {
        err = board_prepare(m, c, &error);
        if (!err)
            err = board_build(m, c, &error);
        if (!err)
            err = qtest_ram_init(q, m->flash_file ? m->flash_file : c->bios, &error);
    }
    if (!err && c->qtest)
        err = qtest_connect(q, c->qtest, &error);
    if (!err)
        err = start_services(m, c, &error);
    if (err)
        return fail(&error);
    /* Nothing runs by itself: even with -S the test drives the devices. */
    machine_start(m);
    int status = machine_run(m);
    machine_pause(m);
    return status;
}

int main(int argc, char **argv)
{
    static struct config c;
    struct qtest q = {.fd = -1};
    struct error error = {.text = ""};

    if (config_parse(&c, argc, argv, true, &error))
        return fail(&error);
    if (answered_help(&c, "corbel-dm-qtest", true))
        return 0;
    log_threshold = getenv("CORBEL_DM_DEBUG") ? LOG_DEBUG : LOG_WARNING;
    struct machine *m = machine_create(&qtest_front, &q);
    if (!m)
        return 1;
    q.machine = m;
    int status = run(m, &q, &c);
    qtest_disconnect(&q);
    stop_services(m);
    /* Devices hold windows, which need the front end: memory goes last. */
    struct board board = m->board;
    machine_destroy(m);
    qtest_ram_free(&q, &board);
    return status;
}
