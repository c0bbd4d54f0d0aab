/*
 * Keyboard and pointer events: from the viewers to the devices that want them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

int input_register(struct device *dev, const struct input_ops *ops, void *opaque)
{
    struct machine *m = dev->machine;

    if (m->inputs == ARRAY_LEN(m->input))
        return -ENOSPC;
    m->input[m->inputs++] = (struct input_sink){dev, ops, opaque};
    return 0;
}

void input_unregister(struct device *dev)
{
    struct machine *m = dev->machine;
    unsigned kept = 0;

    for (unsigned i = 0; i < m->inputs; i++) {
        if (m->input[i].dev != dev)
            m->input[kept++] = m->input[i];
    }
    m->inputs = kept;
}

void input_leds(struct device *dev, bool scroll, bool num, bool caps)
{
    dev_log(dev, LOG_DEBUG, "keyboard lights: scroll %d num %d caps %d", scroll, num,
            caps);
}

static bool ready(const struct input_sink *s)
{
    return !s->ops->ready || s->ops->ready(s->opaque);
}

void input_key(struct machine *m, unsigned code, bool down)
{
    struct error ignored;

    if (m->asleep && down) { /* and the key is lost, as on a PC */
        machine_wake(m, WAKE_OTHER, &ignored);
        return;
    }
    for (unsigned i = m->inputs; i--;) {
        struct input_sink *s = &m->input[i];
        if (s->ops->key && ready(s)) {
            s->ops->key(s->opaque, code, down);
            return;
        }
    }
}

bool input_absolute_ready(struct machine *m)
{
    for (unsigned i = 0; i < m->inputs; i++) {
        if (m->input[i].ops->pointer_absolute && ready(&m->input[i]))
            return true;
    }
    return false;
}

void input_pointer_absolute(struct machine *m, unsigned x, unsigned y, unsigned buttons,
                            int wheel)
{
    for (unsigned i = m->inputs; i--;) {
        struct input_sink *s = &m->input[i];
        if (s->ops->pointer_absolute && ready(s)) {
            s->ops->pointer_absolute(s->opaque, x, y, buttons, wheel);
            return;
        }
    }
}

void input_pointer_relative(struct machine *m, int dx, int dy, unsigned buttons,
                            int wheel)
{
    for (unsigned i = m->inputs; i--;) {
        struct input_sink *s = &m->input[i];
        if (s->ops->pointer_relative && ready(s)) {
            s->ops->pointer_relative(s->opaque, dx, dy, buttons, wheel);
            return;
        }
    }
}

/* QMP's names of keys (QKeyCode), in the order of Linux's codes. */
static const struct key_name {
    const char *name;
    int code;
} keys[] = {
    {"esc", KEY_ESC},
    {"1", KEY_1},
    {"2", KEY_2},
    {"3", KEY_3},
    {"4", KEY_4},
    {"5", KEY_5},
    {"6", KEY_6},
    {"7", KEY_7},
    {"8", KEY_8},
    {"9", KEY_9},
    {"0", KEY_0},
    {"minus", KEY_MINUS},
    {"equal", KEY_EQUAL},
    {"backspace", KEY_BACKSPACE},
    {"tab", KEY_TAB},
    {"q", KEY_Q},
    {"w", KEY_W},
    {"e", KEY_E},
    {"r", KEY_R},
    {"t", KEY_T},
    {"y", KEY_Y},
    {"u", KEY_U},
    {"i", KEY_I},
    {"o", KEY_O},
    {"p", KEY_P},
    {"bracket_left", KEY_LEFTBRACE},
    {"bracket_right", KEY_RIGHTBRACE},
    {"ret", KEY_ENTER},
    {"ctrl", KEY_LEFTCTRL},
    {"a", KEY_A},
    {"s", KEY_S},
    {"d", KEY_D},
    {"f", KEY_F},
    {"g", KEY_G},
    {"h", KEY_H},
    {"j", KEY_J},
    {"k", KEY_K},
    {"l", KEY_L},
    {"semicolon", KEY_SEMICOLON},
    {"apostrophe", KEY_APOSTROPHE},
    {"grave_accent", KEY_GRAVE},
    {"shift", KEY_LEFTSHIFT},
    {"backslash", KEY_BACKSLASH},
    {"z", KEY_Z},
    {"x", KEY_X},
    {"c", KEY_C},
    {"v", KEY_V},
    {"b", KEY_B},
    {"n", KEY_N},
    {"m", KEY_M},
    {"comma", KEY_COMMA},
    {"dot", KEY_DOT},
    {"slash", KEY_SLASH},
    {"shift_r", KEY_RIGHTSHIFT},
    {"kp_multiply", KEY_KPASTERISK},
    {"asterisk", KEY_KPASTERISK},
    {"alt", KEY_LEFTALT},
    {"spc", KEY_SPACE},
    {"caps_lock", KEY_CAPSLOCK},
    {"f1", KEY_F1},
    {"f2", KEY_F2},
    {"f3", KEY_F3},
    {"f4", KEY_F4},
    {"f5", KEY_F5},
    {"f6", KEY_F6},
    {"f7", KEY_F7},
    {"f8", KEY_F8},
    {"f9", KEY_F9},
    {"f10", KEY_F10},
    {"num_lock", KEY_NUMLOCK},
    {"scroll_lock", KEY_SCROLLLOCK},
    {"kp_7", KEY_KP7},
    {"kp_8", KEY_KP8},
    {"kp_9", KEY_KP9},
    {"kp_subtract", KEY_KPMINUS},
    {"kp_4", KEY_KP4},
    {"kp_5", KEY_KP5},
    {"kp_6", KEY_KP6},
    {"kp_add", KEY_KPPLUS},
    {"kp_1", KEY_KP1},
    {"kp_2", KEY_KP2},
    {"kp_3", KEY_KP3},
    {"kp_0", KEY_KP0},
    {"kp_decimal", KEY_KPDOT},
    {"less", KEY_102ND},
    {"f11", KEY_F11},
    {"f12", KEY_F12},
    {"kp_enter", KEY_KPENTER},
    {"ctrl_r", KEY_RIGHTCTRL},
    {"kp_divide", KEY_KPSLASH},
    {"sysrq", KEY_SYSRQ},
    {"print", KEY_SYSRQ},
    {"alt_r", KEY_RIGHTALT},
    {"home", KEY_HOME},
    {"up", KEY_UP},
    {"pgup", KEY_PAGEUP},
    {"left", KEY_LEFT},
    {"right", KEY_RIGHT},
    {"end", KEY_END},
    {"down", KEY_DOWN},
    {"pgdn", KEY_PAGEDOWN},
    {"insert", KEY_INSERT},
    {"delete", KEY_DELETE},
    {"power", KEY_POWER},
    {"pause", KEY_PAUSE},
    {"meta_l", KEY_LEFTMETA},
    {"meta_r", KEY_RIGHTMETA},
    {"compose", KEY_COMPOSE},
    {"menu", KEY_COMPOSE},
};

int input_code_by_name(const char *qcode)
{
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].name, qcode) == 0)
            return keys[i].code;
    }
    return -1;
}
