/*
 * Scan codes of the 104-key keyboard with the usual extra keys (IBM PS/2 Hardware
 * Interface Technical Reference, Keyboards; Microsoft's Keyboard Scan Code
 * Specification for the multimedia keys).
 *
 * Linux's key codes up to 88 are the codes of set 1, so set 1 needs a table for the later
 * keys only.  Set 2 follows from set 1 through the controller's translation table, read
 * backwards.  Set 3 has one plain code per key.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/input-event-codes.h>

#include "ps2.h"

#define E0    0x80 /* the code follows 0xe0; codes themselves have 7 bits */
#define BREAK 0xf0 /* before a released key's code in sets 2 and 3 */

/* The controller's ROM: set 2 to set 1. */
static const uint8_t translation[0x80] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e,
    0x0f, 0x29, 0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71,
    0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04,
    0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23,
    0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, 0x6b,
    0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19,
    0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c,
    0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b,
    0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d,
    0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

uint8_t ps2_translate(uint8_t set2)
{
    if (set2 < 0x80)
        return translation[set2];
    if (set2 == 0x83) /* F7 */
        return 0x41;
    if (set2 == 0x84) /* Alt with Print Screen */
        return 0x54;
    return set2;
}

static uint8_t translate_back(uint8_t set1)
{
    if (set1 == 0x41)
        return 0x83;
    if (set1 == 0x54)
        return 0x84;
    for (unsigned i = 1; i < sizeof(translation); i++) {
        if (translation[i] == set1)
            return (uint8_t)i;
    }
    return 0;
}

/* Set 1 of the keys whose Linux code is not their scan code. */
static const uint8_t later_keys[] = {
    [KEY_102ND] = 0x56,
    [KEY_F11] = 0x57,
    [KEY_F12] = 0x58,
    [KEY_RO] = 0x73,
    [KEY_KATAKANAHIRAGANA] = 0x70,
    [KEY_HENKAN] = 0x79,
    [KEY_MUHENKAN] = 0x7b,
    [KEY_YEN] = 0x7d,
    [KEY_KPJPCOMMA] = 0x5c,
    [KEY_KPCOMMA] = 0x7e,
    [KEY_KPEQUAL] = 0x59,
    [KEY_F13] = 0x5d,
    [KEY_F14] = 0x5e,
    [KEY_F15] = 0x5f,
    [KEY_KPENTER] = E0 | 0x1c,
    [KEY_RIGHTCTRL] = E0 | 0x1d,
    [KEY_KPSLASH] = E0 | 0x35,
    [KEY_RIGHTALT] = E0 | 0x38,
    [KEY_HOME] = E0 | 0x47,
    [KEY_UP] = E0 | 0x48,
    [KEY_PAGEUP] = E0 | 0x49,
    [KEY_LEFT] = E0 | 0x4b,
    [KEY_RIGHT] = E0 | 0x4d,
    [KEY_END] = E0 | 0x4f,
    [KEY_DOWN] = E0 | 0x50,
    [KEY_PAGEDOWN] = E0 | 0x51,
    [KEY_INSERT] = E0 | 0x52,
    [KEY_DELETE] = E0 | 0x53,
    [KEY_LEFTMETA] = E0 | 0x5b,
    [KEY_RIGHTMETA] = E0 | 0x5c,
    [KEY_COMPOSE] = E0 | 0x5d,
    [KEY_POWER] = E0 | 0x5e,
    [KEY_SLEEP] = E0 | 0x5f,
    [KEY_WAKEUP] = E0 | 0x63,
    [KEY_MUTE] = E0 | 0x20,
    [KEY_VOLUMEDOWN] = E0 | 0x2e,
    [KEY_VOLUMEUP] = E0 | 0x30,
    [KEY_CALC] = E0 | 0x21,
    [KEY_PLAYPAUSE] = E0 | 0x22,
    [KEY_STOPCD] = E0 | 0x24,
    [KEY_PREVIOUSSONG] = E0 | 0x10,
    [KEY_NEXTSONG] = E0 | 0x19,
    [KEY_HOMEPAGE] = E0 | 0x32,
    [KEY_SEARCH] = E0 | 0x65,
    [KEY_BOOKMARKS] = E0 | 0x66,
    [KEY_REFRESH] = E0 | 0x67,
    [KEY_STOP] = E0 | 0x68,
    [KEY_FORWARD] = E0 | 0x69,
    [KEY_BACK] = E0 | 0x6a,
    [KEY_COMPUTER] = E0 | 0x6b,
    [KEY_MAIL] = E0 | 0x6c,
};

/* Set 3 by Linux code (make codes; the same keyboard in its third mode). */
static const uint8_t set3[] = {
    [KEY_ESC] = 0x08,        [KEY_1] = 0x16,         [KEY_2] = 0x1e,
    [KEY_3] = 0x26,          [KEY_4] = 0x25,         [KEY_5] = 0x2e,
    [KEY_6] = 0x36,          [KEY_7] = 0x3d,         [KEY_8] = 0x3e,
    [KEY_9] = 0x46,          [KEY_0] = 0x45,         [KEY_MINUS] = 0x4e,
    [KEY_EQUAL] = 0x55,      [KEY_BACKSPACE] = 0x66, [KEY_TAB] = 0x0d,
    [KEY_Q] = 0x15,          [KEY_W] = 0x1d,         [KEY_E] = 0x24,
    [KEY_R] = 0x2d,          [KEY_T] = 0x2c,         [KEY_Y] = 0x35,
    [KEY_U] = 0x3c,          [KEY_I] = 0x43,         [KEY_O] = 0x44,
    [KEY_P] = 0x4d,          [KEY_LEFTBRACE] = 0x54, [KEY_RIGHTBRACE] = 0x5b,
    [KEY_ENTER] = 0x5a,      [KEY_LEFTCTRL] = 0x11,  [KEY_A] = 0x1c,
    [KEY_S] = 0x1b,          [KEY_D] = 0x23,         [KEY_F] = 0x2b,
    [KEY_G] = 0x34,          [KEY_H] = 0x33,         [KEY_J] = 0x3b,
    [KEY_K] = 0x42,          [KEY_L] = 0x4b,         [KEY_SEMICOLON] = 0x4c,
    [KEY_APOSTROPHE] = 0x52, [KEY_GRAVE] = 0x0e,     [KEY_LEFTSHIFT] = 0x12,
    [KEY_BACKSLASH] = 0x5c,  [KEY_Z] = 0x1a,         [KEY_X] = 0x22,
    [KEY_C] = 0x21,          [KEY_V] = 0x2a,         [KEY_B] = 0x32,
    [KEY_N] = 0x31,          [KEY_M] = 0x3a,         [KEY_COMMA] = 0x41,
    [KEY_DOT] = 0x49,        [KEY_SLASH] = 0x4a,     [KEY_RIGHTSHIFT] = 0x59,
    [KEY_KPASTERISK] = 0x7e, [KEY_LEFTALT] = 0x19,   [KEY_SPACE] = 0x29,
    [KEY_CAPSLOCK] = 0x14,   [KEY_F1] = 0x07,        [KEY_F2] = 0x0f,
    [KEY_F3] = 0x17,         [KEY_F4] = 0x1f,        [KEY_F5] = 0x27,
    [KEY_F6] = 0x2f,         [KEY_F7] = 0x37,        [KEY_F8] = 0x3f,
    [KEY_F9] = 0x47,         [KEY_F10] = 0x4f,       [KEY_NUMLOCK] = 0x76,
    [KEY_SCROLLLOCK] = 0x5f, [KEY_KP7] = 0x6c,       [KEY_KP8] = 0x75,
    [KEY_KP9] = 0x7d,        [KEY_KPMINUS] = 0x84,   [KEY_KP4] = 0x6b,
    [KEY_KP5] = 0x73,        [KEY_KP6] = 0x74,       [KEY_KPPLUS] = 0x7c,
    [KEY_KP1] = 0x69,        [KEY_KP2] = 0x72,       [KEY_KP3] = 0x7a,
    [KEY_KP0] = 0x70,        [KEY_KPDOT] = 0x71,     [KEY_102ND] = 0x13,
    [KEY_F11] = 0x56,        [KEY_F12] = 0x5e,       [KEY_KPENTER] = 0x79,
    [KEY_RIGHTCTRL] = 0x58,  [KEY_KPSLASH] = 0x77,   [KEY_SYSRQ] = 0x57,
    [KEY_RIGHTALT] = 0x39,   [KEY_HOME] = 0x6e,      [KEY_UP] = 0x63,
    [KEY_PAGEUP] = 0x6f,     [KEY_LEFT] = 0x61,      [KEY_RIGHT] = 0x6a,
    [KEY_END] = 0x65,        [KEY_DOWN] = 0x60,      [KEY_PAGEDOWN] = 0x6d,
    [KEY_INSERT] = 0x67,     [KEY_DELETE] = 0x64,    [KEY_PAUSE] = 0x62,
    [KEY_LEFTMETA] = 0x8b,   [KEY_RIGHTMETA] = 0x8c, [KEY_COMPOSE] = 0x8d,
};

static unsigned set1_code(unsigned code)
{
    if (code <= KEY_KPDOT)
        return code;
    return code < ARRAY_LEN(later_keys) ? later_keys[code] : 0;
}

static unsigned copy(uint8_t out[PS2_KEY_BYTES], const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        out[i] = bytes[i];
    return count;
}

#define SEND(...)                                                                        \
    copy(out, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Pause has no release; Print Screen drags a shift along, except with Alt (SysRq). */
static unsigned odd_keys(unsigned set, unsigned code, bool down, bool alt,
                         uint8_t out[PS2_KEY_BYTES])
{
    if (code == KEY_PAUSE) {
        if (!down)
            return 0;
        if (set == 1)
            return SEND(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
        return SEND(0xe1, 0x14, 0x77, 0xe1, BREAK, 0x14, BREAK, 0x77);
    }
    if (set == 1) {
        if (alt)
            return down ? SEND(0x54) : SEND(0xd4);
        return down ? SEND(0xe0, 0x2a, 0xe0, 0x37) : SEND(0xe0, 0xb7, 0xe0, 0xaa);
    }
    if (alt)
        return down ? SEND(0x84) : SEND(BREAK, 0x84);
    return down ? SEND(0xe0, 0x12, 0xe0, 0x7c)
                : SEND(0xe0, BREAK, 0x7c, 0xe0, BREAK, 0x12);
}

unsigned ps2_scan_code(unsigned set, unsigned code, bool down, bool alt,
                       uint8_t out[PS2_KEY_BYTES])
{
    unsigned n = 0;

    if (set == 3) {
        if (code >= ARRAY_LEN(set3) || !set3[code])
            return 0;
        return down ? SEND(set3[code]) : SEND(BREAK, set3[code]);
    }
    if (code == KEY_PAUSE || code == KEY_SYSRQ)
        return odd_keys(set, code, down, alt, out);
    unsigned code1 = set1_code(code);
    if (!code1)
        return 0;
    if (code > KEY_KPDOT && code1 & E0)
        out[n++] = 0xe0;
    code1 &= 0x7f;
    if (set == 1) {
        out[n++] = (uint8_t)(code1 | (down ? 0 : 0x80));
        return n;
    }
    uint8_t code2 = translate_back((uint8_t)code1);
    if (!code2)
        return 0;
    if (!down)
        out[n++] = BREAK;
    out[n++] = code2;
    return n;
}
