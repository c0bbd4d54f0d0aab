/*
 * Devices and back ends that come and go while the guest runs: the control socket's
 * device_add, device_del, blockdev-add, blockdev-del, netdev_add and netdev_del.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

/* The members of an object, as if they stood on a command line. */
static int options_of(struct options *o, json_t *arguments, const char *what,
                      struct error *error)
{
    const char *name;
    json_t *value;

    *o = (struct options){.text = must_strdup(what)};
    json_object_foreach(arguments, name, value)
    {
        char number[32];
        if (json_is_string(value)) {
            options_add(o, name, json_string_value(value));
        } else if (json_is_boolean(value)) {
            options_add(o, name, json_is_true(value) ? "on" : "off");
        } else if (json_is_integer(value)) {
            snprintf(number, sizeof(number), "%lld",
                     (long long)json_integer_value(value));
            options_add(o, name, number);
        } else {
            options_free(o);
            return error_set(error, -EINVAL, "%s: '%.40s' is not a text, number or bool",
                             what, name);
        }
    }
    return 0;
}

static json_t *nothing_or_error(int err)
{
    return err ? NULL : json_object();
}

json_t *control_device_add(struct machine *m, json_t *arguments, struct error *error)
{
    struct options o;

    if (control_is_cpu(arguments))
        return control_cpu_device_add(m, arguments, error);
    int err = options_of(&o, arguments, "device_add", error);
    if (err)
        return NULL;
    err = machine_hot_add(m, &o, error);
    options_free(&o);
    return nothing_or_error(err);
}

json_t *control_device_del(struct machine *m, json_t *arguments, struct error *error)
{
    const char *id = control_argument(arguments, "id", error);

    return id ? nothing_or_error(machine_hot_remove(m, id, error)) : NULL;
}

/* An image is a node of its own in QEMU, below one for its format; here they are one. */
static json_t *flatten(json_t *arguments, struct error *error)
{
    json_t *flat = json_copy(arguments), *file = json_object_get(arguments, "file");
    const char *driver = json_string_value(json_object_get(arguments, "driver"));
    const char *name;
    json_t *value;

    if (json_is_object(file)) {
        json_object_del(flat, "file");
        json_object_set_new(flat, "format", json_string(driver));
        json_object_foreach(file, name, value)
        {
            json_object_set(flat, name, value);
        }
        driver = json_string_value(json_object_get(file, "driver"));
    }
    bool null = driver && strncmp(driver, "null-", 5) == 0;
    if (!driver ||
        (!null && strcmp(driver, "file") != 0 && strcmp(driver, "host_device") != 0)) {
        error_set(error, -EINVAL, "driver is not file, host_device or null-co");
        json_decref(flat);
        return NULL;
    }
    json_object_del(flat, "driver");
    json_object_set(flat, "id", json_object_get(arguments, "node-name"));
    json_object_del(flat, "node-name");
    json_t *image = json_object_get(flat, "filename");
    json_object_set_new(flat, "file",
                        null ? json_string("null-co://") : json_incref(image));
    json_object_del(flat, "filename");
    return flat;
}

json_t *control_blockdev_add(struct machine *m, json_t *arguments, struct error *error)
{
    struct options o;

    if (!control_argument(arguments, "node-name", error))
        return NULL;
    json_t *flat = flatten(arguments, error);
    if (!flat)
        return NULL;
    int err = options_of(&o, flat, "blockdev-add", error);
    json_decref(flat);
    if (err)
        return NULL;
    err = block_add(m, &o, error);
    options_free(&o);
    return nothing_or_error(err);
}

json_t *control_blockdev_del(struct machine *m, json_t *arguments, struct error *error)
{
    const char *id = control_argument(arguments, "node-name", error);
    struct block_backend *b = id ? block_by_id(m, id) : NULL;

    if (!id)
        return NULL;
    if (!b)
        return nothing_or_error(error_set(error, -ENOENT, "there is no drive '%s'", id));
    if (b->attached)
        return nothing_or_error(error_set(error, -EBUSY, "drive %s has a device", id));
    block_remove(b);
    return json_object();
}

json_t *control_netdev_add(struct machine *m, json_t *arguments, struct error *error)
{
    struct options o;

    if (options_of(&o, arguments, "netdev_add", error))
        return NULL;
    int err = net_add(m, &o, error);
    options_free(&o);
    return nothing_or_error(err);
}

json_t *control_netdev_del(struct machine *m, json_t *arguments, struct error *error)
{
    const char *id = control_argument(arguments, "id", error);
    struct net_backend *n = id ? net_by_id(m, id) : NULL;

    if (!id)
        return NULL;
    if (!n)
        return nothing_or_error(
            error_set(error, -ENOENT, "there is no network back end '%s'", id));
    return nothing_or_error(net_remove(n, error));
}
