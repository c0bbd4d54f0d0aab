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

static void destroy_list(struct net_backend **list)
{
    while (*list) {
        struct net_backend *n = *list;
        *list = n->next;
        if (n->ops->destroy)
            n->ops->destroy(n);
        free(n);
    }
}

int net_remove(struct net_backend *n, struct error *error)
{
    struct machine *m = n->machine;
    struct net_backend **at = &m->nets;

    if (n->front)
        return error_set(error, -EBUSY, "network back end %s has a device", n->id);
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    n->next = m->dead_nets;
    m->dead_nets = n;
    return 0;
}

/* Destroying one turns the loop, so not from within it. */
void net_bury(struct machine *m)
{
    destroy_list(&m->dead_nets);
}

void net_free_all(struct machine *m)
{
    net_bury(m);
    destroy_list(&m->nets);
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

static void count_sent(struct net_backend *n, size_t bytes)
{
    n->tx_frames++;
    n->tx_bytes += bytes;
}

void net_send(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    size_t bytes = 0;

    if (n->link_down)
        return;
    for (int i = 0; i < iovcnt; i++)
        bytes += iov[i].iov_len;
    count_sent(n, bytes);
    n->ops->send(n, iov, iovcnt);
}

static void send_segment(void *opaque, const struct iovec *iov, int iovcnt)
{
    net_send(opaque, iov, iovcnt);
}

static bool finish_sum(uint8_t *frame, size_t bytes, const struct net_offload *o)
{
    size_t start = o->sum_start;

    return !o->sum ||
           checksum_store(frame, bytes, start, bytes, start + o->sum_offset, true);
}

bool net_send_offload(struct net_backend *n, uint8_t *frame, size_t bytes,
                      const struct net_offload *o)
{
    struct segmentation s;

    if (bytes < ETH_HEADER)
        return false;
    if (!n->link_down && (o->sum || o->gso) && n->ops->send_offload &&
        n->ops->send_offload(n, frame, bytes, o)) {
        count_sent(n, bytes);
        return true;
    }
    if (o->gso)
        return offload_plan(frame, bytes, o, &s) &&
               segment_frame(frame, bytes, &s, send_segment, n) > 0;
    if (!finish_sum(frame, bytes, o))
        return false;
    const struct iovec iov = {frame, bytes};
    net_send(n, &iov, 1);
    return true;
}

static bool has_room(const struct net_backend *n)
{
    return n->front && !n->link_down && n->machine->running &&
           (!n->front->can_receive || n->front->can_receive(n->front_opaque));
}

static void count_received(struct net_backend *n, size_t bytes)
{
    n->rx_frames++;
    n->rx_bytes += bytes;
}

/* There is room. */
static void deliver(struct net_backend *n, const uint8_t *frame, size_t bytes)
{
    count_received(n, bytes);
    n->front->receive(n->front_opaque, frame, bytes);
}

bool net_receive(struct net_backend *n, const uint8_t *frame, size_t bytes)
{
    if (!has_room(n))
        return false;
    deliver(n, frame, bytes);
    return true;
}

static unsigned needs(const struct net_offload *o)
{
    return (o->sum ? NET_TAKES_SUM : 0u) |
           (o->gso == NET_GSO_TCP4 ? NET_TAKES_TCP4 : 0u) |
           (o->gso == NET_GSO_TCP6 ? NET_TAKES_TCP6 : 0u) | (o->ecn ? NET_TAKES_ECN : 0u);
}

/* There is room for one. Each segment's headers go where the data of the one before it
 * was, which the device has by then: so it lies in one piece. */
static bool receive_segments(struct net_backend *n, uint8_t *frame)
{
    struct segments *c = &n->segments;
    const uint8_t *data;
    size_t bytes;

    do {
        uint8_t *headers = frame + c->at - c->s.payload;
        if (!segments_next(c, headers, &data, &bytes)) {
            net_forget(n);
            return true;
        }
        deliver(n, headers, c->s.payload + bytes);
    } while (has_room(n));
    return false;
}

bool net_receive_offload(struct net_backend *n, uint8_t *frame, size_t bytes,
                         const struct net_offload *o)
{
    unsigned needed = needs(o);
    struct segmentation s;

    if (!has_room(n))
        return false;
    if (n->cutting)
        return receive_segments(n, frame);
    if (n->front->takes && !(needed & ~n->front->takes(n->front_opaque))) {
        if (!n->front->receive_offload(n->front_opaque, frame, bytes, o))
            return false;
        count_received(n, bytes);
        return true;
    }
    if (!o->gso) {
        if (finish_sum(frame, bytes, o))
            deliver(n, frame, bytes);
        return true;
    }
    if (!offload_plan(frame, bytes, o, &s) ||
        segments_begin(&n->segments, frame, bytes, &s)) {
        n->rx_dropped++;
        return true;
    }
    n->cutting = true;
    return receive_segments(n, frame);
}

void net_forget(struct net_backend *n)
{
    n->cutting = false;
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
