/*
 * From X key symbols, which VNC viewers send, to keys of a US keyboard.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_VNC_KEYS_H
#define DEVMODEL_VNC_KEYS_H

#include <stdint.h>

enum vnc_shift {
    VNC_SHIFT_ANY,  /* the key means the same with and without Shift */
    VNC_SHIFT_UP,   /* the symbol is the key without Shift */
    VNC_SHIFT_DOWN, /* the symbol needs Shift */
    VNC_LETTER_UP,  /* the same for letters, which Caps Lock turns around */
    VNC_LETTER_DOWN,
};

struct vnc_key {
    uint16_t code; /* linux/input-event-codes.h; 0: no such key */
    enum vnc_shift shift;
};

struct vnc_key vnc_key_of(uint32_t keysym);

#endif
