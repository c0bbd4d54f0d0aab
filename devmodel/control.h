/*
 * The control socket: JSON lines in the form of QEMU's machine protocol.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_CONTROL_H
#define DEVMODEL_CONTROL_H

#include <jansson.h>

#include "machine.h"

/*
 * Listen on a path ("PATH", or "unix:PATH,server=on"), or connect ("unix:PATH", or a
 * "socket,path=PATH,id=..." character device).
 */
int control_start(struct machine *m, const char *address, struct error *error);
void control_stop(struct machine *m);
/* Open a file by name; /dev/fdset/N is one that a client handed over. -1 with errno. */
int control_open(struct machine *m, const char *file, int flags);
/* Tell all clients; takes the data, which may be NULL. */
void control_event(struct machine *m, const char *name, json_t *data);

/* control_commands.c: the answer, or NULL with the error filled in. */
json_t *control_execute(struct machine *m, const char *command, json_t *arguments,
                        struct error *error);

/* A text of the command's arguments, or NULL with the error filled in. */
const char *control_argument(json_t *arguments, const char *name, struct error *error);

/* control_text.c: what the text monitor answers to a line. */
json_t *control_text(struct machine *m, const char *line);

/* control_cpus.c: query-cpus, query-hotpluggable-cpus, cpu-add, device_add of a vCPU. */
json_t *control_query_cpus(struct machine *m);
json_t *control_hotpluggable_cpus(struct machine *m);
json_t *control_cpu_add(struct machine *m, json_t *arguments, struct error *error);
bool control_is_cpu(json_t *arguments);
json_t *control_cpu_device_add(struct machine *m, json_t *arguments, struct error *error);

/* control_devices.c: devices and back ends that come and go. */
json_t *control_device_add(struct machine *m, json_t *arguments, struct error *error);
json_t *control_device_del(struct machine *m, json_t *arguments, struct error *error);
json_t *control_blockdev_add(struct machine *m, json_t *arguments, struct error *error);
json_t *control_blockdev_del(struct machine *m, json_t *arguments, struct error *error);
json_t *control_netdev_add(struct machine *m, json_t *arguments, struct error *error);
json_t *control_netdev_del(struct machine *m, json_t *arguments, struct error *error);

#endif
