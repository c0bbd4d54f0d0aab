/*
 * PS/2 keyboard (IBM PS/2 Hardware Interface Technical Reference, Keyboards): commands,
 * three scan code sets, lights.  Auto-repeat is the viewer's business: a held key arrives
 * here as repeated presses; the typematic rate is accepted and not used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/input-event-codes.h>

#include "ps2.h"

enum {
    KBD_SET_LIGHTS = 0xed,
    KBD_ECHO = 0xee,
    KBD_CODE_SET = 0xf0,
    KBD_IDENTIFY = 0xf2,
    KBD_SET_RATE = 0xf3,
    KBD_ENABLE = 0xf4,
    KBD_DISABLE = 0xf5,
    KBD_DEFAULTS = 0xf6,
    KBD_ALL_TYPES_FIRST = 0xf7, /* to 0xfa: key types of set 3, for all keys */
    KBD_ALL_TYPES_LAST = 0xfa,
    KBD_KEY_TYPE_FIRST = 0xfb, /* to 0xfd: of one key */
    KBD_KEY_TYPE_LAST = 0xfd,
    KBD_RESEND = 0xfe,
    KBD_RESET = 0xff,

    KBD_OVERRUN_SET1 = 0xff,
    KBD_OVERRUN = 0x00,

    DEFAULT_SET = 2,
};

static void set_lights(struct ps2_keyboard *k, uint8_t lights)
{
    k->lights = lights & 7;
    input_leds(k->dev, lights & 1, lights & 2, lights & 4);
}

static void defaults(struct ps2_keyboard *k)
{
    k->code_set = DEFAULT_SET;
    set_lights(k, 0);
    k->overrun = false;
    ps2_queue_clear(&k->queue);
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    k->command = 0;
    k->scanning = true;
    k->alt_down = false;
    defaults(k);
}

static void parameter(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->command;

    k->command = 0;
    switch (command) {
    case KBD_SET_LIGHTS:
        set_lights(k, byte);
        ps2_reply(&k->queue, PS2_ACK);
        break;
    case KBD_CODE_SET:
        if (byte > 3) {
            ps2_reply(&k->queue, PS2_RESEND);
            break;
        }
        ps2_reply(&k->queue, PS2_ACK);
        if (byte == 0)
            ps2_reply(&k->queue, k->code_set);
        else
            k->code_set = byte;
        break;
    default: /* rate, or keys whose type is set: one each, until the next command */
        ps2_reply(&k->queue, PS2_ACK);
        if (command >= KBD_KEY_TYPE_FIRST)
            k->command = command;
        break;
    }
}

static void command(struct ps2_keyboard *k, uint8_t byte)
{
    struct ps2_queue *q = &k->queue;

    switch (byte) {
    case KBD_ECHO:
        ps2_reply(q, KBD_ECHO);
        return;
    case KBD_RESEND:
        ps2_reply(q, q->last);
        return;
    case KBD_RESET:
        ps2_keyboard_reset(k);
        ps2_reply(q, PS2_ACK);
        ps2_reply(q, PS2_SELF_TEST_PASSED);
        return;
    case KBD_IDENTIFY:
        ps2_reply(q, PS2_ACK);
        ps2_reply(q, 0xab);
        ps2_reply(q, 0x83);
        return;
    case KBD_ENABLE:
        ps2_queue_clear(q);
        k->scanning = true;
        break;
    case KBD_DISABLE:
        defaults(k);
        k->scanning = false;
        break;
    case KBD_DEFAULTS:
        defaults(k);
        k->scanning = true;
        break;
    case KBD_SET_LIGHTS:
    case KBD_CODE_SET:
    case KBD_SET_RATE:
    case KBD_KEY_TYPE_FIRST ... KBD_KEY_TYPE_LAST:
        k->command = byte;
        break;
    case KBD_ALL_TYPES_FIRST ... KBD_ALL_TYPES_LAST:
        break;
    default:
        ps2_reply(q, PS2_RESEND);
        return;
    }
    ps2_reply(q, PS2_ACK);
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte)
{
    /* A command in place of a parameter ends the waiting (keys' types: any of 0xed up).
     */
    if (k->command && byte < KBD_SET_LIGHTS) {
        parameter(k, byte);
        return;
    }
    k->command = 0;
    command(k, byte);
}

void ps2_keyboard_key(struct ps2_keyboard *k, unsigned code, bool down)
{
    uint8_t bytes[PS2_KEY_BYTES];

    if (code == KEY_LEFTALT || code == KEY_RIGHTALT)
        k->alt_down = down;
    if (!k->scanning)
        return;
    unsigned n = ps2_scan_code(k->code_set, code, down, k->alt_down, bytes);
    if (!n)
        return;
    /* Keep a place for the overrun code. */
    if (k->queue.event.count + n < PS2_EVENT_BYTES && ps2_event(&k->queue, bytes, n)) {
        k->overrun = false;
        return;
    }
    if (k->overrun)
        return;
    uint8_t overrun = k->code_set == 1 ? KBD_OVERRUN_SET1 : KBD_OVERRUN;
    k->overrun = ps2_event(&k->queue, &overrun, 1);
}

int ps2_keyboard_state(struct ps2_keyboard *k, struct state *state)
{
    uint32_t set = k->code_set;

    ps2_queue_state(&k->queue, state);
    state_u8(state, "command", &k->command);
    state_range(state, "code-set", &set, 1, 3);
    k->code_set = (uint8_t)set;
    state_u8(state, "lights", &k->lights);
    state_bool(state, "scanning", &k->scanning);
    state_bool(state, "overrun", &k->overrun);
    return state_bool(state, "alt-down", &k->alt_down);
}
