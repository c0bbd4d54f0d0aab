/*
 * A PS/2 keyboard and a PS/2 mouse, as the i8042 sees them: bytes down, bytes up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef IOEMU_INPUT_PS2_H
#define IOEMU_INPUT_PS2_H

#include "../../devmodel/device.h"

#define PS2_REPLY_BYTES 32
#define PS2_EVENT_BYTES 128

enum {
    PS2_ACK = 0xfa,
    PS2_RESEND = 0xfe,
    PS2_ERROR = 0xfc,
    PS2_SELF_TEST_PASSED = 0xaa,
};

struct ps2_ring {
    uint8_t first, count;
};

/*
 * What a device has to say.  Answers to commands overtake events, and a command makes the
 * device forget what it had not said yet, as the protocol demands.
 */
struct ps2_queue {
    struct ps2_ring reply, event;
    uint8_t reply_data[PS2_REPLY_BYTES], event_data[PS2_EVENT_BYTES];
    uint8_t last; /* for Resend */
};

void ps2_queue_clear(struct ps2_queue *q);
void ps2_reply(struct ps2_queue *q, uint8_t byte);
/* All bytes of one event, or none: false when there is no room. */
bool ps2_event(struct ps2_queue *q, const uint8_t *data, unsigned bytes);
bool ps2_pending(const struct ps2_queue *q);
uint8_t ps2_take(struct ps2_queue *q); /* only when pending */
int ps2_queue_state(struct ps2_queue *q, struct state *state);

struct ps2_keyboard {
    struct device *dev; /* for the log and the lights */
    struct ps2_queue queue;
    uint8_t command;  /* waiting for its parameter; 0: none */
    uint8_t code_set; /* 1 to 3 */
    uint8_t lights;
    bool scanning;
    bool overrun; /* said so already */
    bool alt_down;
};

void ps2_keyboard_reset(struct ps2_keyboard *k);
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte);
void ps2_keyboard_key(struct ps2_keyboard *k, unsigned linux_code, bool down);
int ps2_keyboard_state(struct ps2_keyboard *k, struct state *state);

enum ps2_mouse_type { PS2_MOUSE = 0, PS2_INTELLIMOUSE = 3, PS2_EXPLORER = 4 };

struct ps2_mouse {
    struct device *dev;
    struct ps2_queue queue;
    uint8_t command;
    uint8_t type; /* enum ps2_mouse_type, the ID it answers */
    uint8_t rate, resolution;
    uint8_t knock[3]; /* the last sample rates: the way to wake the wheel */
    bool scaling, reporting, remote, wrap;
    int32_t dx, dy, dz; /* not reported yet; y grows upwards */
    uint8_t buttons, buttons_reported;
};

void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte);
/* dy grows downwards as on a screen; wheel > 0 is up; buttons as enum pointer_button. */
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, unsigned buttons, int wheel);
/* Room again: turn pending movement into a packet. */
void ps2_mouse_refill(struct ps2_mouse *m);
int ps2_mouse_state(struct ps2_mouse *m, struct state *state);

/*
 * Scan codes of a Linux key code.  `set` is 1 to 3; writes at most PS2_KEY_BYTES bytes
 * and returns how many (0: the keyboard has no such key, or says nothing on release).
 */
#define PS2_KEY_BYTES 8
unsigned ps2_scan_code(unsigned set, unsigned linux_code, bool down, bool alt,
                       uint8_t out[PS2_KEY_BYTES]);
/* Set 2 to set 1, as the controller does it; 0xf0 is not handled here. */
uint8_t ps2_translate(uint8_t set2);

#endif
