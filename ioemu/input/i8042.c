/*
 * Keyboard controller of the PC/AT and PS/2 (Intel 8042 with IBM's program; IBM PS/2
 * Hardware Interface Technical Reference, Keyboard and Auxiliary Device Controller),
 * with its two devices.
 *
 * One byte waits in the output buffer at a time; the next one follows when it was read.
 * Interrupts are pulses of the buffer-full signal, so each byte gives an edge.
 * Left out: the keyboard lock and the test ports; A20 is remembered, not acted upon,
 * as no guest of this platform can switch it off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "ps2.h"

enum {
    PORT_DATA = 0x60,
    PORT_COMMAND = 0x64,
    IRQ_KEYBOARD = 1,
    IRQ_MOUSE = 12,

    STATUS_OUTPUT_FULL = 0x01,
    STATUS_SYSTEM = 0x04,
    STATUS_COMMAND = 0x08,
    STATUS_UNLOCKED = 0x10,
    STATUS_MOUSE_DATA = 0x20,

    MODE_KEYBOARD_IRQ = 0x01,
    MODE_MOUSE_IRQ = 0x02,
    MODE_SYSTEM = 0x04,
    MODE_KEYBOARD_OFF = 0x10,
    MODE_MOUSE_OFF = 0x20,
    MODE_TRANSLATE = 0x40,

    CMD_READ_RAM = 0x20,  /* to 0x3f */
    CMD_WRITE_RAM = 0x60, /* to 0x7f */
    CMD_TEST_PASSWORD = 0xa4,
    CMD_MOUSE_OFF = 0xa7,
    CMD_MOUSE_ON = 0xa8,
    CMD_TEST_MOUSE_PORT = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_TEST_KEYBOARD_PORT = 0xab,
    CMD_KEYBOARD_OFF = 0xad,
    CMD_KEYBOARD_ON = 0xae,
    CMD_READ_INPUT_PORT = 0xc0,
    CMD_READ_OUTPUT_PORT = 0xd0,
    CMD_WRITE_OUTPUT_PORT = 0xd1,
    CMD_WRITE_KEYBOARD_BUFFER = 0xd2,
    CMD_WRITE_MOUSE_BUFFER = 0xd3,
    CMD_WRITE_MOUSE = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_READ_TEST_PORT = 0xe0,
    CMD_PULSE = 0xf0, /* to 0xff: low bits that are 0 pulse their line */

    OUT_RESET_OFF = 0x01,
    OUT_A20 = 0x02,
    OUT_KEYBOARD_IRQ = 0x10,
    OUT_MOUSE_IRQ = 0x20,
    OUT_ALWAYS = 0xcc, /* clock and data lines at rest */
};

enum source { FROM_NOBODY, FROM_CONTROLLER, FROM_KEYBOARD, FROM_MOUSE };

struct i8042 {
    struct device dev;
    struct io_region data_port, command_port;
    struct irq_line keyboard_irq, mouse_irq;
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;

    uint8_t ram[32]; /* byte 0 is the mode */
    uint8_t output;  /* the output buffer */
    uint8_t source;  /* whose byte it is; FROM_NOBODY: empty */
    uint8_t status;  /* SYSTEM, COMMAND */
    uint8_t command; /* waits for its parameter; 0: none */
    uint8_t output_port;
    bool release;         /* a 0xf0 is on its way through translation */
    struct ps2_queue own; /* the controller's answers; `event` is for the mouse's side */
};

static uint8_t mode(const struct i8042 *c)
{
    return c->ram[0];
}

static void update_irqs(struct i8042 *c)
{
    bool keyboard = c->source == FROM_KEYBOARD || c->source == FROM_CONTROLLER;

    irq_set(&c->keyboard_irq, keyboard && mode(c) & MODE_KEYBOARD_IRQ);
    irq_set(&c->mouse_irq, c->source == FROM_MOUSE && mode(c) & MODE_MOUSE_IRQ);
}

/* The next byte of the keyboard, translated; false: nothing now. */
static bool next_keyboard_byte(struct i8042 *c, uint8_t *byte)
{
    while (ps2_pending(&c->keyboard.queue)) {
        *byte = ps2_take(&c->keyboard.queue);
        if (!(mode(c) & MODE_TRANSLATE)) {
            c->release = false;
            return true;
        }
        if (*byte == 0xf0) {
            c->release = true;
            continue;
        }
        *byte = (uint8_t)(ps2_translate(*byte) | (c->release ? 0x80 : 0));
        c->release = false;
        return true;
    }
    return false;
}

/* Fill the output buffer when it is empty. */
static void refill(struct i8042 *c)
{
    if (c->source != FROM_NOBODY)
        return;
    if (c->own.reply.count) {
        c->output = ps2_take(&c->own);
        c->source = FROM_CONTROLLER;
    } else if (c->own.event.count) {
        c->output = ps2_take(&c->own);
        c->source = FROM_MOUSE;
    } else if (!(mode(c) & MODE_KEYBOARD_OFF) && next_keyboard_byte(c, &c->output)) {
        c->source = FROM_KEYBOARD;
    } else if (!(mode(c) & MODE_MOUSE_OFF)) {
        ps2_mouse_refill(&c->mouse);
        if (ps2_pending(&c->mouse.queue)) {
            c->output = ps2_take(&c->mouse.queue);
            c->source = FROM_MOUSE;
        }
    }
    update_irqs(c);
}

static void answer(struct i8042 *c, uint8_t byte)
{
    ps2_reply(&c->own, byte);
    refill(c);
}

static uint64_t read_data(void *opaque, uint64_t offset, unsigned size)
{
    struct i8042 *c = opaque;
    uint8_t byte = c->output;

    if (c->source != FROM_NOBODY) {
        c->source = FROM_NOBODY;
        update_irqs(c); /* falls, so that the next byte gives an edge */
        refill(c);
    }
    return byte;
}

static uint64_t read_status(void *opaque, uint64_t offset, unsigned size)
{
    const struct i8042 *c = opaque;
    uint8_t full = 0;

    if (c->source != FROM_NOBODY)
        full = STATUS_OUTPUT_FULL | (c->source == FROM_MOUSE ? STATUS_MOUSE_DATA : 0);
    return (uint64_t)(c->status | full | STATUS_UNLOCKED);
}

static void write_output_port(struct i8042 *c, uint8_t value)
{
    c->output_port = value;
    if (!(value & OUT_RESET_OFF))
        machine_reset_request(&c->dev, "keyboard controller, output port");
}

static uint8_t read_output_port(const struct i8042 *c)
{
    return (uint8_t)((c->output_port & (OUT_RESET_OFF | OUT_A20)) | OUT_ALWAYS |
                     (c->keyboard_irq.level ? OUT_KEYBOARD_IRQ : 0) |
                     (c->mouse_irq.level ? OUT_MOUSE_IRQ : 0));
}

static void write_mode(struct i8042 *c, uint8_t value)
{
    c->ram[0] = value;
    if (value & MODE_SYSTEM)
        c->status |= STATUS_SYSTEM;
    else
        c->status &= (uint8_t)~STATUS_SYSTEM;
    update_irqs(c);
    refill(c);
}

static void self_test(struct i8042 *c)
{
    c->source = FROM_NOBODY;
    ps2_queue_clear(&c->own);
    ps2_reply(&c->own, 0x55); /* before anything the devices have to say */
    c->status |= STATUS_SYSTEM;
    refill(c);
}

static void write_command(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *c = opaque;
    uint8_t byte = (uint8_t)value;

    c->status |= STATUS_COMMAND;
    c->command = 0;
    switch (byte) {
    case CMD_READ_RAM ... CMD_READ_RAM + 31:
        answer(c, c->ram[byte & 31]);
        break;
    case CMD_WRITE_RAM ... CMD_WRITE_RAM + 31:
    case CMD_WRITE_OUTPUT_PORT:
    case CMD_WRITE_KEYBOARD_BUFFER:
    case CMD_WRITE_MOUSE_BUFFER:
    case CMD_WRITE_MOUSE:
        c->command = byte;
        break;
    case CMD_TEST_PASSWORD:
        answer(c, 0xf1); /* none loaded */
        break;
    case CMD_MOUSE_OFF:
        write_mode(c, mode(c) | MODE_MOUSE_OFF);
        break;
    case CMD_MOUSE_ON:
        write_mode(c, mode(c) & (uint8_t)~MODE_MOUSE_OFF);
        break;
    case CMD_TEST_MOUSE_PORT:
    case CMD_TEST_KEYBOARD_PORT:
    case CMD_READ_TEST_PORT:
        answer(c, 0);
        break;
    case CMD_SELF_TEST:
        self_test(c);
        break;
    case CMD_KEYBOARD_OFF:
        write_mode(c, mode(c) | MODE_KEYBOARD_OFF);
        break;
    case CMD_KEYBOARD_ON:
        write_mode(c, mode(c) & (uint8_t)~MODE_KEYBOARD_OFF);
        break;
    case CMD_READ_INPUT_PORT:
        answer(c, 0x80); /* not locked */
        break;
    case CMD_READ_OUTPUT_PORT:
        answer(c, read_output_port(c));
        break;
    case CMD_A20_OFF:
        c->output_port &= (uint8_t)~OUT_A20;
        break;
    case CMD_A20_ON:
        c->output_port |= OUT_A20;
        break;
    case CMD_PULSE ... 0xff:
        if (!(byte & 1))
            machine_reset_request(&c->dev, "keyboard controller");
        break;
    default:
        guest_error(&c->dev, "unknown command %#x", byte);
        break;
    }
}

static void write_parameter(struct i8042 *c, uint8_t command, uint8_t byte)
{
    switch (command) {
    case CMD_WRITE_RAM:
        write_mode(c, byte);
        break;
    case CMD_WRITE_RAM + 1 ... CMD_WRITE_RAM + 31:
        c->ram[command & 31] = byte;
        break;
    case CMD_WRITE_OUTPUT_PORT:
        write_output_port(c, byte);
        break;
    case CMD_WRITE_KEYBOARD_BUFFER:
        answer(c, byte);
        break;
    case CMD_WRITE_MOUSE_BUFFER:
        ps2_event(&c->own, &byte, 1);
        refill(c);
        break;
    default:
        /* A byte to a device switches its port on, so that the answer can come. */
        c->ram[0] &= (uint8_t)~MODE_MOUSE_OFF;
        ps2_mouse_write(&c->mouse, byte);
        refill(c);
        break;
    }
}

static void write_data(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *c = opaque;
    uint8_t command = c->command;

    c->status &= (uint8_t)~STATUS_COMMAND;
    c->command = 0;
    if (command) {
        write_parameter(c, command, (uint8_t)value);
        return;
    }
    c->ram[0] &= (uint8_t)~MODE_KEYBOARD_OFF;
    ps2_keyboard_write(&c->keyboard, (uint8_t)value);
    refill(c);
}

static const struct io_ops data_io = {
    .read = read_data,
    .write = write_data,
    .max_size = 1,
};

static const struct io_ops command_io = {
    .read = read_status,
    .write = write_command,
    .max_size = 1,
};

/* ---- events -------------------------------------------------------------------------
 */

static void key_event(void *opaque, unsigned code, bool down)
{
    struct i8042 *c = opaque;

    ps2_keyboard_key(&c->keyboard, code, down);
    refill(c);
}

static void pointer_event(void *opaque, int dx, int dy, unsigned buttons, int wheel)
{
    struct i8042 *c = opaque;

    ps2_mouse_move(&c->mouse, dx, dy, buttons, wheel);
    refill(c);
}

static const struct input_ops input = {
    .name = "ps2",
    .key = key_event,
    .pointer_relative = pointer_event,
};

/* ---- life cycle ---------------------------------------------------------------------
 */

static void i8042_reset(struct device *dev)
{
    struct i8042 *c = container_of(dev, struct i8042, dev);

    memset(c->ram, 0, sizeof(c->ram));
    c->ram[0] = MODE_KEYBOARD_IRQ | MODE_MOUSE_IRQ;
    c->source = FROM_NOBODY;
    c->output = c->command = 0;
    c->status = STATUS_COMMAND;
    c->output_port = OUT_RESET_OFF | OUT_A20;
    c->release = false;
    ps2_queue_clear(&c->own);
    ps2_keyboard_reset(&c->keyboard);
    ps2_mouse_reset(&c->mouse);
    update_irqs(c);
}

static int i8042_create(struct device *dev, struct error *error)
{
    struct i8042 *c = container_of(dev, struct i8042, dev);

    c->keyboard.dev = c->mouse.dev = dev;
    irq_line_init(&c->keyboard_irq, dev, IRQ_KEYBOARD);
    irq_line_init(&c->mouse_irq, dev, IRQ_MOUSE);
    io_region_init(&c->data_port, dev, "i8042-data", IO_PORT, 1, &data_io, c);
    io_region_init(&c->command_port, dev, "i8042-command", IO_PORT, 1, &command_io, c);
    int err = io_region_map(&c->data_port, PORT_DATA);
    if (!err)
        err = io_region_map(&c->command_port, PORT_COMMAND);
    if (!err)
        err = input_register(dev, &input, c);
    if (!err)
        return 0;
    io_region_unmap(&c->data_port);
    io_region_unmap(&c->command_port);
    return error_set(error, err, "%s: ports 0x60 and 0x64: %s", dev->id, strerror(-err));
}

static void i8042_destroy(struct device *dev)
{
    struct i8042 *c = container_of(dev, struct i8042, dev);

    input_unregister(dev);
    io_region_unmap(&c->data_port);
    io_region_unmap(&c->command_port);
    irq_set(&c->keyboard_irq, false);
    irq_set(&c->mouse_irq, false);
}

static int i8042_state(struct i8042 *c, struct state *state)
{
    uint32_t source = c->source;

    state_bytes(state, "ram", c->ram, sizeof(c->ram));
    state_u8(state, "output", &c->output);
    state_range(state, "source", &source, FROM_NOBODY, FROM_MOUSE);
    state_u8(state, "status", &c->status);
    state_u8(state, "command", &c->command);
    state_u8(state, "output-port", &c->output_port);
    state_bool(state, "release", &c->release);
    ps2_queue_state(&c->own, state);
    ps2_keyboard_state(&c->keyboard, state);
    int err = ps2_mouse_state(&c->mouse, state);
    if (err)
        return err;
    c->source = (uint8_t)source;
    c->status &= STATUS_SYSTEM | STATUS_COMMAND;
    return 0;
}

static int i8042_save(struct device *dev, struct state *state)
{
    return i8042_state(container_of(dev, struct i8042, dev), state);
}

static int i8042_load(struct device *dev, struct state *state, uint32_t version)
{
    struct i8042 *c = container_of(dev, struct i8042, dev);
    int err = i8042_state(c, state);

    if (!err)
        update_irqs(c);
    return err;
}

static const struct device_ops i8042_ops = {
    .name = "i8042",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct i8042),
    .version = 1,
    .create = i8042_create,
    .reset = i8042_reset,
    .save = i8042_save,
    .load = i8042_load,
    .destroy = i8042_destroy,
};

REGISTER_DEVICE(i8042_ops);
