/*
 * Byte queues of PS/2 devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "ps2.h"

static void put(struct ps2_ring *r, uint8_t *data, unsigned room, uint8_t byte)
{
    data[(r->first + r->count) % room] = byte;
    r->count++;
}

static uint8_t take(struct ps2_ring *r, const uint8_t *data, unsigned room)
{
    uint8_t byte = data[r->first];

    r->first = (uint8_t)((r->first + 1) % room);
    r->count--;
    return byte;
}

void ps2_queue_clear(struct ps2_queue *q)
{
    memset(&q->reply, 0, sizeof(q->reply));
    memset(&q->event, 0, sizeof(q->event));
}

void ps2_reply(struct ps2_queue *q, uint8_t byte)
{
    if (q->reply.count < PS2_REPLY_BYTES)
        put(&q->reply, q->reply_data, PS2_REPLY_BYTES, byte);
}

bool ps2_event(struct ps2_queue *q, const uint8_t *data, unsigned bytes)
{
    if (bytes > (unsigned)PS2_EVENT_BYTES - q->event.count)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        put(&q->event, q->event_data, PS2_EVENT_BYTES, data[i]);
    return true;
}

bool ps2_pending(const struct ps2_queue *q)
{
    return q->reply.count || q->event.count;
}

uint8_t ps2_take(struct ps2_queue *q)
{
    if (q->reply.count)
        q->last = take(&q->reply, q->reply_data, PS2_REPLY_BYTES);
    else
        q->last = take(&q->event, q->event_data, PS2_EVENT_BYTES);
    return q->last;
}

static int ring_state(struct state *state, const char *name, struct ps2_ring *r,
                      unsigned room)
{
    struct ps2_ring copy = *r;
    int err = state_bytes(state, name, &copy, sizeof(copy));

    if (err)
        return err;
    if (copy.first >= room || copy.count > room)
        return state_fail(state, "%s: %u bytes from %u", name, copy.count, copy.first);
    *r = copy;
    return 0;
}

int ps2_queue_state(struct ps2_queue *q, struct state *state)
{
    ring_state(state, "reply", &q->reply, PS2_REPLY_BYTES);
    ring_state(state, "event", &q->event, PS2_EVENT_BYTES);
    state_bytes(state, "reply-data", q->reply_data, sizeof(q->reply_data));
    state_bytes(state, "event-data", q->event_data, sizeof(q->event_data));
    return state_u8(state, "last", &q->last);
}
