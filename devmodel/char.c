/*
 * Character back ends: making them, and passing bytes between them and devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

extern const struct char_backend_ops *const __start_corbel_chardevs[]
    __attribute__((weak));
extern const struct char_backend_ops *const __stop_corbel_chardevs[]
    __attribute__((weak));

struct char_backend *char_by_id(struct machine *m, const char *id)
{
    for (struct char_backend *c = m->chars; c; c = c->next) {
        if (strcmp(c->id, id) == 0)
            return c;
    }
    return NULL;
}

static const struct char_backend_ops *find(const char *name)
{
    for (const struct char_backend_ops *const *at = __start_corbel_chardevs;
         at != __stop_corbel_chardevs; at++) {
        if (strcmp((*at)->name, name) == 0)
            return *at;
    }
    return NULL;
}

int char_add(struct machine *m, struct options *o, struct error *error)
{
    const char *type = options_take(o, "backend"), *id = options_take(o, "id");
    const struct char_backend_ops *ops = type ? find(type) : NULL;

    if (!ops)
        return error_set(error, -ENODEV, "'%s': there is no character back end '%s'",
                         o->text, type ? type : "");
    if (!id || strlen(id) >= sizeof(((struct char_backend *)0)->id) || char_by_id(m, id))
        return error_set(error, -EINVAL, "'%s': an id of its own is needed", o->text);
    struct char_backend *c = must_alloc(ops->size);
    c->ops = ops;
    c->machine = m;
    strcpy(c->id, id);
    int err = options_apply(o, ops->options, c, m, error);
    if (!err)
        err = options_check_used(o, ops->name, error);
    if (!err && ops->create)
        err = ops->create(c, error);
    if (err) {
        free(c);
        return err;
    }
    c->next = m->chars;
    m->chars = c;
    return 0;
}

void char_free_all(struct machine *m)
{
    while (m->chars) {
        struct char_backend *c = m->chars;
        m->chars = c->next;
        if (c->ops->destroy)
            c->ops->destroy(c);
        free(c);
    }
}

int char_attach(struct char_backend *c, const struct char_front_ops *ops, void *opaque)
{
    if (c->front)
        return -EBUSY;
    c->front = ops;
    c->front_opaque = opaque;
    char_accept_input(c);
    return 0;
}

void char_detach(struct char_backend *c)
{
    c->front = NULL;
    c->front_opaque = NULL;
}

size_t char_write(struct char_backend *c, const uint8_t *data, size_t bytes)
{
    return c->ops->write(c, data, bytes);
}

void char_accept_input(struct char_backend *c)
{
    if (c->ops->accept_input)
        c->ops->accept_input(c);
}

size_t char_can_receive(struct char_backend *c)
{
    return c->front && c->front->can_receive ? c->front->can_receive(c->front_opaque) : 0;
}

void char_receive(struct char_backend *c, const uint8_t *data, size_t bytes)
{
    if (c->front && c->front->receive)
        c->front->receive(c->front_opaque, data, bytes);
}

void char_writable(struct char_backend *c)
{
    if (c->front && c->front->writable)
        c->front->writable(c->front_opaque);
}

void char_connected(struct char_backend *c, bool up)
{
    if (c->front && c->front->connected)
        c->front->connected(c->front_opaque, up);
}
