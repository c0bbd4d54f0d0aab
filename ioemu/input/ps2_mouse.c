/*
 * PS/2 mouse with the wheel of Microsoft's IntelliMouse and the five buttons of the
 * IntelliMouse Explorer.  The driver wakes these by a sequence of sample rates.
 * Movement is reported when it happens, not at the sample rate, and never lost: what does
 * not fit into one packet goes into the next.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "ps2.h"

enum {
    AUX_SCALE_1 = 0xe6,
    AUX_SCALE_2 = 0xe7,
    AUX_RESOLUTION = 0xe8,
    AUX_STATUS = 0xe9,
    AUX_STREAM = 0xea,
    AUX_POLL = 0xeb,
    AUX_END_WRAP = 0xec,
    AUX_WRAP = 0xee,
    AUX_REMOTE = 0xf0,
    AUX_IDENTIFY = 0xf2,
    AUX_RATE = 0xf3,
    AUX_ENABLE = 0xf4,
    AUX_DISABLE = 0xf5,
    AUX_DEFAULTS = 0xf6,
    AUX_RESEND = 0xfe,
    AUX_RESET = 0xff,

    PACKET_ALWAYS = 0x08,
    PACKET_X_SIGN = 0x10,
    PACKET_Y_SIGN = 0x20,
    MOVE_MOST = 255, /* nine-bit two's complement */
    PENDING_MOST = 100000,
    DEFAULT_RATE = 100,
    DEFAULT_RESOLUTION = 2,
};

static void defaults(struct ps2_mouse *m)
{
    m->rate = DEFAULT_RATE;
    m->resolution = DEFAULT_RESOLUTION;
    m->scaling = m->reporting = m->remote = m->wrap = false;
    m->dx = m->dy = m->dz = 0;
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    m->command = 0;
    m->type = PS2_MOUSE;
    memset(m->knock, 0, sizeof(m->knock));
    m->buttons = m->buttons_reported = 0;
    defaults(m);
    ps2_queue_clear(&m->queue);
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* Take what fits into one packet out of the pending movement. */
static unsigned make_packet(struct ps2_mouse *m, uint8_t packet[4])
{
    int dx = clamp(m->dx, -MOVE_MOST, MOVE_MOST),
        dy = clamp(m->dy, -MOVE_MOST, MOVE_MOST);

    packet[0] = (uint8_t)(PACKET_ALWAYS | (m->buttons & 7) |
                          (dx < 0 ? PACKET_X_SIGN : 0) | (dy < 0 ? PACKET_Y_SIGN : 0));
    packet[1] = (uint8_t)dx;
    packet[2] = (uint8_t)dy;
    m->dx -= dx;
    m->dy -= dy;
    m->buttons_reported = m->buttons;
    if (m->type == PS2_MOUSE) {
        m->dz = 0;
        return 3;
    }
    int dz = m->type == PS2_EXPLORER ? clamp(m->dz, -8, 7) : clamp(m->dz, -128, 127);
    m->dz -= dz;
    packet[3] = (uint8_t)dz;
    if (m->type == PS2_EXPLORER)
        packet[3] = (uint8_t)((dz & 0x0f) | (m->buttons & 0x18) << 1);
    return 4;
}

static bool something_new(const struct ps2_mouse *m)
{
    return m->dx || m->dy || (m->dz && m->type != PS2_MOUSE) ||
           m->buttons != m->buttons_reported;
}

void ps2_mouse_refill(struct ps2_mouse *m)
{
    uint8_t packet[4];

    if (!m->reporting || m->remote || m->wrap || !something_new(m))
        return;
    /* Movement adds up while a packet waits, but every click gets a packet of its own. */
    if (m->queue.event.count &&
        (m->buttons == m->buttons_reported || m->queue.event.count + 4 > PS2_EVENT_BYTES))
        return;
    unsigned bytes = make_packet(m, packet);
    ps2_event(&m->queue, packet, bytes);
}

static uint8_t status_byte(const struct ps2_mouse *m)
{
    return (uint8_t)((m->buttons & POINTER_RIGHT ? 1 : 0) |
                     (m->buttons & POINTER_MIDDLE ? 2 : 0) |
                     (m->buttons & POINTER_LEFT ? 4 : 0) | (m->scaling ? 0x10 : 0) |
                     (m->reporting ? 0x20 : 0) | (m->remote ? 0x40 : 0));
}

static void set_rate(struct ps2_mouse *m, uint8_t rate)
{
    static const uint8_t wheel[3] = {200, 100, 80}, explorer[3] = {200, 200, 80};

    m->rate = rate;
    memmove(m->knock, m->knock + 1, 2);
    m->knock[2] = rate;
    if (memcmp(m->knock, wheel, 3) == 0 && m->type == PS2_MOUSE)
        m->type = PS2_INTELLIMOUSE;
    else if (memcmp(m->knock, explorer, 3) == 0)
        m->type = PS2_EXPLORER;
}

static void poll_packet(struct ps2_mouse *m)
{
    uint8_t packet[4];
    unsigned bytes = make_packet(m, packet);

    for (unsigned i = 0; i < bytes; i++)
        ps2_reply(&m->queue, packet[i]);
}

/* After the acknowledgement. */
static bool command(struct ps2_mouse *m, uint8_t byte)
{
    switch (byte) {
    case AUX_SCALE_1:
    case AUX_SCALE_2:
        m->scaling = byte == AUX_SCALE_2;
        return true;
    case AUX_RESOLUTION:
    case AUX_RATE:
        m->command = byte;
        return true;
    case AUX_STATUS:
        ps2_reply(&m->queue, status_byte(m));
        ps2_reply(&m->queue, m->resolution);
        ps2_reply(&m->queue, m->rate);
        return true;
    case AUX_STREAM:
    case AUX_REMOTE:
        m->remote = byte == AUX_REMOTE;
        return true;
    case AUX_POLL:
        poll_packet(m);
        return true;
    case AUX_WRAP:
        m->wrap = true;
        return true;
    case AUX_END_WRAP:
        return true;
    case AUX_IDENTIFY:
        ps2_reply(&m->queue, m->type);
        return true;
    case AUX_ENABLE:
    case AUX_DISABLE:
        m->reporting = byte == AUX_ENABLE;
        return true;
    case AUX_DEFAULTS:
        defaults(m);
        return true;
    default:
        return false;
    }
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte)
{
    struct ps2_queue *q = &m->queue;

    if (m->wrap && byte != AUX_END_WRAP && byte != AUX_RESET) {
        ps2_reply(q, byte);
        return;
    }
    m->wrap = false;
    if (m->command) {
        if (m->command == AUX_RATE)
            set_rate(m, byte);
        else
            m->resolution = byte & 3;
        m->command = 0;
        ps2_reply(q, PS2_ACK);
        return;
    }
    if (byte == AUX_RESEND) {
        ps2_reply(q, q->last);
        return;
    }
    if (byte == AUX_RESET) {
        ps2_mouse_reset(m);
        ps2_reply(q, PS2_ACK);
        ps2_reply(q, PS2_SELF_TEST_PASSED);
        ps2_reply(q, PS2_MOUSE);
        return;
    }
    /* A packet of which nothing was sent may go after all; a half one must not. */
    q->event = (struct ps2_ring){0};
    ps2_reply(q, PS2_ACK);
    if (!command(m, byte)) {
        q->reply.count--;
        ps2_reply(q, PS2_RESEND);
    }
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, unsigned buttons, int wheel)
{
    m->buttons = buttons & 0x1f;
    if (!m->reporting && !m->remote)
        return;
    m->dx = clamp(m->dx + clamp(dx, -PENDING_MOST, PENDING_MOST), -PENDING_MOST,
                  PENDING_MOST);
    m->dy = clamp(m->dy - clamp(dy, -PENDING_MOST, PENDING_MOST), -PENDING_MOST,
                  PENDING_MOST);
    /* A turn away from the user is negative in the protocol. */
    m->dz = clamp(m->dz - clamp(wheel, -PENDING_MOST, PENDING_MOST), -PENDING_MOST,
                  PENDING_MOST);
    ps2_mouse_refill(m);
}

int ps2_mouse_state(struct ps2_mouse *m, struct state *state)
{
    uint32_t type = m->type;
    int64_t dx = m->dx, dy = m->dy, dz = m->dz;

    ps2_queue_state(&m->queue, state);
    state_u8(state, "command", &m->command);
    state_range(state, "type", &type, PS2_MOUSE, PS2_EXPLORER);
    state_u8(state, "rate", &m->rate);
    state_u8(state, "resolution", &m->resolution);
    state_bytes(state, "knock", m->knock, sizeof(m->knock));
    state_bool(state, "scaling", &m->scaling);
    state_bool(state, "reporting", &m->reporting);
    state_bool(state, "remote", &m->remote);
    state_bool(state, "wrap", &m->wrap);
    state_i64(state, "dx", &dx);
    state_i64(state, "dy", &dy);
    state_i64(state, "dz", &dz);
    state_u8(state, "buttons", &m->buttons);
    int err = state_u8(state, "buttons-reported", &m->buttons_reported);
    if (err || !state_loading(state))
        return err;
    if (type != PS2_MOUSE && type != PS2_INTELLIMOUSE && type != PS2_EXPLORER)
        return state_fail(state, "mouse type %u", type);
    m->type = (uint8_t)type;
    m->dx = (int32_t)dx;
    m->dy = (int32_t)dy;
    m->dz = (int32_t)dz;
    m->dx = clamp(m->dx, -PENDING_MOST, PENDING_MOST);
    m->dy = clamp(m->dy, -PENDING_MOST, PENDING_MOST);
    m->dz = clamp(m->dz, -PENDING_MOST, PENDING_MOST);
    return 0;
}
