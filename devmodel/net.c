/*
 * Network back ends: making them, and passing frames between them and devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

extern const struct net_backend_ops *const __start_corbel_netdevs[] __attribute__((weak));
extern const struct net_backend_ops *const __stop_corbel_netdevs[] __attribute__((weak));

struct net_backend *net_by_id(struct machine *m, const char *id)
{
    for (struct net_backend *n = m->nets; n; n = n->next) {
        if (strcmp(n->id, id) == 0)
            return n;
    }
    return NULL;
}

static const struct net_backend_ops *find(const char *name)
{
    for (const struct net_backend_ops *const *at = __start_corbel_netdevs;
         at != __stop_corbel_netdevs; at++) {
        if (strcmp((*at)->name, name) == 0)
            return *at;
    }
    return NULL;
}

int net_add(struct machine *m, struct options *o, struct error *error)
{
    const char *type = options_take(o, "type"), *id = options_take(o, "id");
    const struct net_backend_ops *ops = type ? find(type) : NULL;

    if (!ops)
        return error_set(error, -ENODEV, "'%s': there is no network back end '%s'",
                         o->text, type ? type : "");
    if (!id || strlen(id) >= sizeof(((struct net_backend *)0)->id) || net_by_id(m, id))
        return error_set(error, -EINVAL, "'%s': an id of its own is needed", o->text);
    struct net_backend *n = must_alloc(ops->size);
    n->ops = ops;
    n->machine = m;
    strcpy(n->id, id);
    int err = options_apply(o, ops->options, n, m, error);
    if (!err)
        err = options_check_used(o, ops->name, error);
    if (!err)
        err = ops->create(n, error);
    if (err) {
        free(n);
        return err;
    }
    n->next = m->nets;
    m->nets = n;
    return 0;
}

void net_free_all(struct machine *m)
{
    while (m->nets) {
        struct net_backend *n = m->nets;
        m->nets = n->next;
        if (n->ops->destroy)
            n->ops->destroy(n);
        free(n);
    }
}

int net_attach(struct net_backend *n, const struct net_front_ops *ops, void *opaque)
{
    if (n->front)
        return -EBUSY;
    n->front = ops;
    n->front_opaque = opaque;
    return 0;
}

void net_detach(struct net_backend *n)
{
    n->front = NULL;
    n->front_opaque = NULL;
}

void net_send(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    if (n->link_down)
        return;
    n->tx_frames++;
    for (int i = 0; i < iovcnt; i++)
        n->tx_bytes += iov[i].iov_len;
    n->ops->send(n, iov, iovcnt);
}

bool net_receive(struct net_backend *n, const uint8_t *frame, size_t bytes)
{
    if (!n->front || n->link_down || !n->machine->running ||
        (n->front->can_receive && !n->front->can_receive(n->front_opaque)))
        return false;
    n->rx_frames++;
    n->rx_bytes += bytes;
    n->front->receive(n->front_opaque, frame, bytes);
    return true;
}

void net_accept_input(struct net_backend *n)
{
    if (n->ops->accept_input)
        n->ops->accept_input(n);
}

bool net_link_up(const struct net_backend *n)
{
    return !n->link_down;
}
