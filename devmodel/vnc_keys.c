/*
 * X key symbols to keys of a US keyboard.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vnc_keys.h"

#include <linux/input-event-codes.h>
#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Printable ASCII from 0x20; upper case and shifted signs in the second table. */
static const uint8_t plain[0x60] = {
    [' ' - 32] = KEY_SPACE,     ['\'' - 32] = KEY_APOSTROPHE, [',' - 32] = KEY_COMMA,
    ['-' - 32] = KEY_MINUS,     ['.' - 32] = KEY_DOT,         ['/' - 32] = KEY_SLASH,
    ['0' - 32] = KEY_0,         ['1' - 32] = KEY_1,           ['2' - 32] = KEY_2,
    ['3' - 32] = KEY_3,         ['4' - 32] = KEY_4,           ['5' - 32] = KEY_5,
    ['6' - 32] = KEY_6,         ['7' - 32] = KEY_7,           ['8' - 32] = KEY_8,
    ['9' - 32] = KEY_9,         [';' - 32] = KEY_SEMICOLON,   ['=' - 32] = KEY_EQUAL,
    ['[' - 32] = KEY_LEFTBRACE, ['\\' - 32] = KEY_BACKSLASH,  [']' - 32] = KEY_RIGHTBRACE,
    ['`' - 32] = KEY_GRAVE,     ['a' - 32] = KEY_A,           ['b' - 32] = KEY_B,
    ['c' - 32] = KEY_C,         ['d' - 32] = KEY_D,           ['e' - 32] = KEY_E,
    ['f' - 32] = KEY_F,         ['g' - 32] = KEY_G,           ['h' - 32] = KEY_H,
    ['i' - 32] = KEY_I,         ['j' - 32] = KEY_J,           ['k' - 32] = KEY_K,
    ['l' - 32] = KEY_L,         ['m' - 32] = KEY_M,           ['n' - 32] = KEY_N,
    ['o' - 32] = KEY_O,         ['p' - 32] = KEY_P,           ['q' - 32] = KEY_Q,
    ['r' - 32] = KEY_R,         ['s' - 32] = KEY_S,           ['t' - 32] = KEY_T,
    ['u' - 32] = KEY_U,         ['v' - 32] = KEY_V,           ['w' - 32] = KEY_W,
    ['x' - 32] = KEY_X,         ['y' - 32] = KEY_Y,           ['z' - 32] = KEY_Z,
};

static const uint8_t shifted[0x60] = {
    ['!' - 32] = KEY_1,         ['"' - 32] = KEY_APOSTROPHE, ['#' - 32] = KEY_3,
    ['$' - 32] = KEY_4,         ['%' - 32] = KEY_5,          ['&' - 32] = KEY_7,
    ['(' - 32] = KEY_9,         [')' - 32] = KEY_0,          ['*' - 32] = KEY_8,
    ['+' - 32] = KEY_EQUAL,     [':' - 32] = KEY_SEMICOLON,  ['<' - 32] = KEY_COMMA,
    ['>' - 32] = KEY_DOT,       ['?' - 32] = KEY_SLASH,      ['@' - 32] = KEY_2,
    ['^' - 32] = KEY_6,         ['_' - 32] = KEY_MINUS,      ['{' - 32] = KEY_LEFTBRACE,
    ['|' - 32] = KEY_BACKSLASH, ['}' - 32] = KEY_RIGHTBRACE, ['~' - 32] = KEY_GRAVE,
};

/* The 0xff00 page of X: function and modifier keys (X11's keysymdef has the numbers). */
static const uint8_t function[0x100] = {
    [0x08] = KEY_BACKSPACE,
    [0x09] = KEY_TAB,
    [0x0a] = KEY_ENTER,
    [0x0d] = KEY_ENTER,
    [0x13] = KEY_PAUSE,
    [0x14] = KEY_SCROLLLOCK,
    [0x15] = KEY_SYSRQ,
    [0x1b] = KEY_ESC,
    [0x20] = KEY_COMPOSE,
    [0x22] = KEY_MUHENKAN,
    [0x23] = KEY_HENKAN,
    [0x27] = KEY_KATAKANAHIRAGANA,
    [0x50] = KEY_HOME,
    [0x51] = KEY_LEFT,
    [0x52] = KEY_UP,
    [0x53] = KEY_RIGHT,
    [0x54] = KEY_DOWN,
    [0x55] = KEY_PAGEUP,
    [0x56] = KEY_PAGEDOWN,
    [0x57] = KEY_END,
    [0x61] = KEY_SYSRQ,
    [0x63] = KEY_INSERT,
    [0x67] = KEY_COMPOSE,
    [0x6b] = KEY_PAUSE,
    [0x7e] = KEY_RIGHTALT, /* Mode_switch */
    [0x7f] = KEY_NUMLOCK,
    [0x8d] = KEY_KPENTER,
    /* the keypad without Num Lock */
    [0x95] = KEY_KP7,
    [0x96] = KEY_KP4,
    [0x97] = KEY_KP8,
    [0x98] = KEY_KP6,
    [0x99] = KEY_KP2,
    [0x9a] = KEY_KP9,
    [0x9b] = KEY_KP3,
    [0x9c] = KEY_KP1,
    [0x9d] = KEY_KP5,
    [0x9e] = KEY_KP0,
    [0x9f] = KEY_KPDOT,
    [0xaa] = KEY_KPASTERISK,
    [0xab] = KEY_KPPLUS,
    [0xac] = KEY_KPCOMMA,
    [0xad] = KEY_KPMINUS,
    [0xae] = KEY_KPDOT,
    [0xaf] = KEY_KPSLASH,
    /* and with it */
    [0xb0] = KEY_KP0,
    [0xb1] = KEY_KP1,
    [0xb2] = KEY_KP2,
    [0xb3] = KEY_KP3,
    [0xb4] = KEY_KP4,
    [0xb5] = KEY_KP5,
    [0xb6] = KEY_KP6,
    [0xb7] = KEY_KP7,
    [0xb8] = KEY_KP8,
    [0xb9] = KEY_KP9,
    [0xbd] = KEY_KPEQUAL,
    [0xbe] = KEY_F1,
    [0xbf] = KEY_F2,
    [0xc0] = KEY_F3,
    [0xc1] = KEY_F4,
    [0xc2] = KEY_F5,
    [0xc3] = KEY_F6,
    [0xc4] = KEY_F7,
    [0xc5] = KEY_F8,
    [0xc6] = KEY_F9,
    [0xc7] = KEY_F10,
    [0xc8] = KEY_F11,
    [0xc9] = KEY_F12,
    [0xca] = KEY_F13,
    [0xcb] = KEY_F14,
    [0xcc] = KEY_F15,
    [0xe1] = KEY_LEFTSHIFT,
    [0xe2] = KEY_RIGHTSHIFT,
    [0xe3] = KEY_LEFTCTRL,
    [0xe4] = KEY_RIGHTCTRL,
    [0xe5] = KEY_CAPSLOCK,
    [0xe7] = KEY_LEFTMETA,
    [0xe8] = KEY_RIGHTMETA,
    [0xe9] = KEY_LEFTALT,
    [0xea] = KEY_RIGHTALT,
    [0xeb] = KEY_LEFTMETA,
    [0xec] = KEY_RIGHTMETA,
    [0xff] = KEY_DELETE,
};

static const struct {
    uint32_t keysym;
    uint16_t code;
} others[] = {
    {0xfe03, KEY_RIGHTALT}, /* ISO_Level3_Shift */
    {0xfe20, KEY_TAB},      /* ISO_Left_Tab: Tab with Shift held */
    {0x1008ff11, KEY_VOLUMEDOWN},
    {0x1008ff12, KEY_MUTE},
    {0x1008ff13, KEY_VOLUMEUP},
    {0x1008ff14, KEY_PLAYPAUSE},
    {0x1008ff15, KEY_STOPCD},
    {0x1008ff16, KEY_PREVIOUSSONG},
    {0x1008ff17, KEY_NEXTSONG},
    {0x1008ff18, KEY_HOMEPAGE},
    {0x1008ff19, KEY_MAIL},
    {0x1008ff1b, KEY_SEARCH},
    {0x1008ff1d, KEY_CALC},
    {0x1008ff26, KEY_BACK},
    {0x1008ff27, KEY_FORWARD},
    {0x1008ff29, KEY_REFRESH},
    {0x1008ff2a, KEY_POWER},
    {0x1008ff2b, KEY_WAKEUP},
    {0x1008ff2f, KEY_SLEEP},
};

struct vnc_key vnc_key_of(uint32_t keysym)
{
    if (keysym >= 'A' && keysym <= 'Z')
        return (struct vnc_key){plain[keysym - 'A' + 'a' - 32], VNC_LETTER_DOWN};
    if (keysym >= 'a' && keysym <= 'z')
        return (struct vnc_key){plain[keysym - 32], VNC_LETTER_UP};
    if (keysym == ' ')
        return (struct vnc_key){KEY_SPACE, VNC_SHIFT_ANY};
    if (keysym >= 0x20 && keysym < 0x80) {
        if (plain[keysym - 32])
            return (struct vnc_key){plain[keysym - 32], VNC_SHIFT_UP};
        return (struct vnc_key){shifted[keysym - 32], VNC_SHIFT_DOWN};
    }
    if (keysym >> 8 == 0xff)
        return (struct vnc_key){function[keysym & 0xff], VNC_SHIFT_ANY};
    for (size_t i = 0; i < COUNT(others); i++) {
        if (others[i].keysym == keysym)
            return (struct vnc_key){others[i].code, VNC_SHIFT_ANY};
    }
    return (struct vnc_key){0, VNC_SHIFT_ANY};
}
