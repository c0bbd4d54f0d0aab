/*
 * The commands of the control socket.  Names and forms are QMP's, so that tools that know
 * QEMU can ask this device model too; what is not here is refused by name.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block.h"
#include "control.h"

typedef json_t *(*handler)(struct machine *m, json_t *arguments, struct error *error);

static const char *text_argument(json_t *arguments, const char *name)
{
    return json_string_value(json_object_get(arguments, name));
}

static json_t *missing(struct error *error, const char *name)
{
    error_set(error, -EINVAL, "the argument '%s' is missing", name);
    return NULL;
}

const char *control_argument(json_t *arguments, const char *name, struct error *error)
{
    const char *text = text_argument(arguments, name);

    if (!text)
        missing(error, name);
    return text;
}

static json_t *query_status(struct machine *m, json_t *arguments, struct error *error)
{
    return json_pack("{s:s, s:b, s:b}", "status",
                     m->asleep      ? "suspended"
                     : m->running   ? "running"
                     : m->prelaunch ? "prelaunch"
                                    : "paused",
                     "running", m->running && !m->asleep, "singlestep", 0);
}

static json_t *query_version(struct machine *m, json_t *arguments, struct error *error)
{
    return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "major", 7, "minor", 2, "micro",
                     0, "package", "corbel-dm");
}

static json_t *query_name(struct machine *m, json_t *arguments, struct error *error)
{
    return json_pack("{s:s}", "name", m->name ? m->name : "");
}

static json_t *quit(struct machine *m, json_t *arguments, struct error *error)
{
    machine_quit(m, 0);
    return json_object();
}

static json_t *system_reset(struct machine *m, json_t *arguments, struct error *error)
{
    m->reset_why = "control socket";
    deferred_queue(&m->request);
    return json_object();
}

static json_t *system_powerdown(struct machine *m, json_t *arguments, struct error *error)
{
    machine_power_button(m);
    control_event(m, "POWERDOWN", NULL);
    return json_object();
}

static json_t *system_wakeup(struct machine *m, json_t *arguments, struct error *error)
{
    return machine_wake(m, WAKE_OTHER, error) ? NULL : json_object();
}

static json_t *stop(struct machine *m, json_t *arguments, struct error *error)
{
    if (!m->front->pause) {
        error_set(error, -ENOTSUP, "this front end cannot pause the guest");
        return NULL;
    }
    m->front->pause(m);
    control_event(m, "STOP", NULL);
    return json_object();
}

static json_t *cont(struct machine *m, json_t *arguments, struct error *error)
{
    if (m->front->resume)
        m->front->resume(m);
    else
        machine_start(m);
    block_retry_stalled(m);
    control_event(m, "RESUME", NULL);
    return json_object();
}

static json_t *screendump(struct machine *m, json_t *arguments, struct error *error)
{
    const char *file = control_argument(arguments, "filename", error);

    if (!file)
        return NULL;
    if (!m->display) {
        error_set(error, -ENODEV, "the machine has no screen");
        return NULL;
    }
    return display_write_ppm(m->display, file, error) ? NULL : json_object();
}

/* One key of send-key: {type: qcode, data: NAME} or {type: number, data: N}. */
static int key_code(json_t *key)
{
    json_t *data = json_object_get(key, "data");

    if (json_is_string(key))
        return input_code_by_name(json_string_value(key));
    if (json_is_string(data))
        return input_code_by_name(json_string_value(data));
    if (json_is_integer(data))
        return (int)json_integer_value(data);
    return -1;
}

static json_t *send_key(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *keys = json_object_get(arguments, "keys"), *key;
    size_t i;

    if (!json_is_array(keys))
        return missing(error, "keys");
    json_array_foreach(keys, i, key)
    {
        if (key_code(key) < 0) {
            error_set(error, -EINVAL, "key %zu of the list is unknown", i);
            return NULL;
        }
    }
    json_array_foreach(keys, i, key)
    {
        input_key(m, (unsigned)key_code(key), true);
    }
    for (i = json_array_size(keys); i--;)
        input_key(m, (unsigned)key_code(json_array_get(keys, i)), false);
    return json_object();
}

static json_t *describe_block(const struct block_backend *b)
{
    json_t *j = json_pack("{s:s, s:b, s:b, s:s}", "device", b->id, "removable", b->cdrom,
                          "locked", 0, "type", "unknown");

    if (b->ops)
        json_object_set_new(
            j, "inserted",
            json_pack("{s:s, s:b, s:s, s:{s:s, s:I}}", "file", b->file ? b->file : "",
                      "ro", b->read_only, "drv", b->ops->name, "image", "filename",
                      b->file ? b->file : "", "virtual-size", (json_int_t)b->bytes));
    return j;
}

static json_t *query_block(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *list = json_array();

    for (struct block_backend *b = m->blocks; b; b = b->next)
        json_array_insert_new(list, 0, describe_block(b));
    return list;
}

static json_t *query_blockstats(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *list = json_array();

    for (struct block_backend *b = m->blocks; b; b = b->next)
        json_array_insert_new(
            list, 0,
            json_pack("{s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "device", b->id, "stats",
                      "rd_operations", (json_int_t)b->reads, "wr_operations",
                      (json_int_t)b->writes, "flush_operations", (json_int_t)b->flushes,
                      "rd_bytes", (json_int_t)b->bytes_read, "wr_bytes",
                      (json_int_t)b->bytes_written, "failed_operations",
                      (json_int_t)b->failures));
    return list;
}

static json_t *query_chardev(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *list = json_array();

    for (struct char_backend *c = m->chars; c; c = c->next)
        json_array_insert_new(list, 0,
                              json_pack("{s:s, s:s, s:b}", "label", c->id, "filename",
                                        c->ops->where ? c->ops->where(c) : c->ops->name,
                                        "frontend-open", c->front != NULL));
    return list;
}

static json_t *query_vnc(struct machine *m, json_t *arguments, struct error *error)
{
    if (!m->vnc)
        return json_pack("{s:b}", "enabled", 0);
    const char *address = vnc_address(m->vnc), *colon = strrchr(address, ':');
    int host = colon ? (int)(colon - address) : (int)strlen(address);
    return json_pack("{s:b, s:s%, s:s, s:s, s:i}", "enabled", 1, "host", address,
                     (size_t)host, "service", colon ? colon + 1 : "", "family",
                     colon ? "ipv4" : "unix", "clients-count", (int)vnc_clients(m->vnc));
}

static json_t *set_password(struct machine *m, json_t *arguments, struct error *error)
{
    const char *password = control_argument(arguments, "password", error);

    if (!password)
        return NULL;
    if (!m->vnc || vnc_set_password(m->vnc, password)) {
        error_set(error, -ENODEV, "there is no screen server, or it takes no password");
        return NULL;
    }
    return json_object();
}

static struct block_backend *drive_argument(struct machine *m, json_t *arguments,
                                            struct error *error)
{
    const char *name = text_argument(arguments, "device");
    struct device *dev;

    if (!name)
        name = text_argument(arguments, "id");
    if (!name) {
        missing(error, "device");
        return NULL;
    }
    struct block_backend *b = block_by_id(m, name);
    /* By the name of the drive's device, too. */
    if (!b && (dev = device_by_id(m, name))) {
        for (b = m->blocks; b && b->front_opaque != dev; b = b->next)
            ;
    }
    if (!b)
        error_set(error, -ENOENT, "there is no drive '%s'", name);
    return b;
}

static json_t *eject(struct machine *m, json_t *arguments, struct error *error)
{
    struct block_backend *b = drive_argument(m, arguments, error);

    if (!b)
        return NULL;
    if (b->cdrom && block_tray_locked(b) &&
        !json_is_true(json_object_get(arguments, "force"))) {
        block_press_eject(b);
        error_set(error, -EBUSY,
                  "the guest has locked the tray of %s; it was asked to open", b->id);
        return NULL;
    }
    return block_change_medium(b, NULL, json_is_true(json_object_get(arguments, "force")),
                               error)
               ? NULL
               : json_object();
}

static json_t *change_medium(struct machine *m, json_t *arguments, struct error *error)
{
    struct block_backend *b = drive_argument(m, arguments, error);
    const char *file = text_argument(arguments, "filename");
    const char *format = text_argument(arguments, "format");

    if (!file)
        file = text_argument(arguments, "target");
    if (!b)
        return NULL;
    if (!file)
        return missing(error, "filename");
    if (format && strcmp(format, "raw") != 0) {
        error_set(error, -ENOTSUP, "a disc is a raw image here, not %.16s", format);
        return NULL;
    }
    return block_change_medium(b, file, json_is_true(json_object_get(arguments, "force")),
                               error)
               ? NULL
               : json_object();
}

static json_t *resize(struct machine *m, json_t *arguments, struct error *error)
{
    struct block_backend *b = drive_argument(m, arguments, error);
    json_t *size = json_object_get(arguments, "size");

    if (!b)
        return NULL;
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return missing(error, "size");
    return block_resize(b, (uint64_t)json_integer_value(size), error) ? NULL
                                                                      : json_object();
}

static json_t *query_cpus(struct machine *m, json_t *arguments, struct error *error)
{
    return control_query_cpus(m);
}

static json_t *hotpluggable_cpus(struct machine *m, json_t *arguments,
                                 struct error *error)
{
    return control_hotpluggable_cpus(m);
}

static json_t *query_machines(struct machine *m, json_t *arguments, struct error *error)
{
    return json_pack("[{s:s, s:s, s:b, s:i, s:b, s:b, s:b, s:s}]", "name",
                     "pc-i440fx-corbel", "alias", "pc", "is-default", 1, "cpu-max", 255,
                     "hotpluggable-cpus", 0, "numa-mem-supported", 0, "deprecated", 0,
                     "default-ram-id", "pc.ram");
}

static void add_type(const struct device_ops *ops, void *opaque)
{
    json_array_append_new(opaque,
                          json_pack("{s:s, s:s}", "name", ops->name, "parent", "device"));
    if (ops->alias)
        json_array_append_new(
            opaque, json_pack("{s:s, s:s}", "name", ops->alias, "parent", "device"));
}

static json_t *list_types(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *list = json_array();

    device_list(add_type, list);
    return list;
}

static json_t *list_properties(struct machine *m, json_t *arguments, struct error *error)
{
    const char *name = text_argument(arguments, "typename");
    const struct device_ops *ops = name ? device_find(name) : NULL;

    if (!ops) {
        error_set(error, -ENOENT, "there is no device '%s'", name ? name : "");
        return NULL;
    }
    json_t *list = json_array();
    for (const struct option_desc *d = ops->options; d && d->name; d++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", d->name, "type",
                                              "str", "description", d->help));
    return list;
}

static json_t *query_pci(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *devices = json_array();

    for (unsigned devfn = 0; devfn < ARRAY_LEN(m->pci); devfn++) {
        const struct pci_device *pci = m->pci[devfn];
        if (pci)
            json_array_append_new(
                devices, json_pack("{s:i, s:i, s:i, s:s, s:{s:i, s:i}}", "bus", 0, "slot",
                                   (int)devfn >> 3, "function", (int)devfn & 7, "qdev_id",
                                   pci->dev.id, "id", "vendor", pci_get16(pci, 0),
                                   "device", pci_get16(pci, 2)));
    }
    return json_pack("[{s:i, s:o}]", "bus", 0, "devices", devices);
}

static json_t *human_command(struct machine *m, json_t *arguments, struct error *error)
{
    const char *line = control_argument(arguments, "command-line", error);

    return line ? control_text(m, line) : NULL;
}

/* Device state to a file and back: what save, restore and restart are made of. */
static json_t *save_state(struct machine *m, json_t *arguments, struct error *error)
{
    const char *file = control_argument(arguments, "filename", error);

    if (!file)
        return NULL;
    int fd = control_open(m, file, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0) {
        error_set(error, -errno, "cannot write '%s': %s", file, strerror(errno));
        return NULL;
    }
    bool running = m->running;
    machine_pause(m);
    block_flush_all(m); /* another machine may be the next to read the images */
    int err = machine_save(m, fd, error);
    if (close(fd) && !err)
        err = error_set(error, -errno, "cannot write '%s': %s", file, strerror(errno));
    if (running)
        machine_start(m);
    return err ? NULL : json_object();
}

static json_t *load_state(struct machine *m, json_t *arguments, struct error *error)
{
    const char *file = control_argument(arguments, "filename", error);

    if (!file)
        return NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(error, -errno, "cannot read '%s': %s", file, strerror(errno));
        return NULL;
    }
    bool running = m->running;
    machine_pause(m);
    int err = machine_load(m, fd, error);
    close(fd);
    if (running)
        machine_start(m);
    return err ? NULL : json_object();
}

static json_t *set_dirty_log(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *enable = json_object_get(arguments, "enable");

    if (!json_is_boolean(enable))
        return missing(error, "enable");
    m->log_dirty = json_is_true(enable);
    return json_object();
}

static json_t *query_commands(struct machine *m, json_t *arguments, struct error *error);

static const struct {
    const char *name;
    handler run;
} commands[] = {
    {"query-status", query_status},
    {"query-version", query_version},
    {"query-name", query_name},
    {"query-commands", query_commands},
    {"query-block", query_block},
    {"query-blockstats", query_blockstats},
    {"query-chardev", query_chardev},
    {"query-vnc", query_vnc},
    {"query-pci", query_pci},
    {"query-cpus", query_cpus},
    {"query-cpus-fast", query_cpus},
    {"query-hotpluggable-cpus", hotpluggable_cpus},
    {"cpu-add", control_cpu_add},
    {"query-machines", query_machines},
    {"qom-list-types", list_types},
    {"device-list-properties", list_properties},
    {"quit", quit},
    {"xen-set-global-dirty-log", set_dirty_log},
    {"stop", stop},
    {"cont", cont},
    {"system_reset", system_reset},
    {"system_powerdown", system_powerdown},
    {"system_wakeup", system_wakeup},
    {"human-monitor-command", human_command},
    {"screendump", screendump},
    {"send-key", send_key},
    {"block_resize", resize},
    {"device_add", control_device_add},
    {"device_del", control_device_del},
    {"blockdev-add", control_blockdev_add},
    {"blockdev-del", control_blockdev_del},
    {"netdev_add", control_netdev_add},
    {"netdev_del", control_netdev_del},
    {"eject", eject},
    {"blockdev-change-medium", change_medium},
    {"change", change_medium},
    {"change-vnc-password", set_password},
    {"set_password", set_password},
    {"xen-save-devices-state", save_state},
    {"xen-load-devices-state", load_state},
};

static json_t *query_commands(struct machine *m, json_t *arguments, struct error *error)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        json_array_append_new(list, json_pack("{s:s}", "name", commands[i].name));
    return list;
}

json_t *control_execute(struct machine *m, const char *command, json_t *arguments,
                        struct error *error)
{
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, command) == 0)
            return commands[i].run(m, arguments, error);
    }
    error_set(error, -ENOSYS, "The command %s has not been found", command);
    return NULL;
}
