/*
 * 16550A UART on the ISA bus (National PC16550D datasheet, June 1995).
 *
 * Bytes leave as soon as the back end takes them: the programmed speed only decides how
 * long the receive timeout is.  Registers, FIFOs, the order of interrupts and loopback
 * are as in the datasheet's sections 8.1 to 8.11.  Left out: DMA modes (the RXRDY and
 * TXRDY pins are not wired on a PC), errors on the line, and a carrier that comes and
 * goes: CTS, DSR and DCD are always on, as with a null-modem cable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "../../devmodel/device.h"

#define FIFO_BYTES  16
#define UART_CLOCK  115200 /* baud rate with divisor 1 */
#define NS_PER_S    1000000000LL
#define UART_PORTS  8
#define UART_STATES 1

enum {
    REG_DATA = 0, /* RBR, THR; DLL with DLAB */
    REG_IER = 1,  /* DLM with DLAB */
    REG_IIR = 2,  /* FCR when written */
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_MSR = 6,
    REG_SCR = 7,

    IER_RDI = 0x01,  /* received data */
    IER_THRI = 0x02, /* transmitter empty */
    IER_RLSI = 0x04, /* line status */
    IER_MSI = 0x08,  /* modem status */

    IIR_NONE = 0x01,
    IIR_MSI = 0x00,
    IIR_THRI = 0x02,
    IIR_RDI = 0x04,
    IIR_RLSI = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0,

    FCR_ENABLE = 0x01,
    FCR_CLEAR_RX = 0x02,
    FCR_CLEAR_TX = 0x04,
    FCR_KEPT = 0xc9,

    LCR_BREAK = 0x40,
    LCR_DLAB = 0x80,

    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08, /* on a PC the gate of the interrupt line */
    MCR_LOOP = 0x10,

    LSR_DR = 0x01,
    LSR_OE = 0x02,
    LSR_PE = 0x04,
    LSR_FE = 0x08,
    LSR_BI = 0x10,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,

    MSR_DCTS = 0x01,
    MSR_TERI = 0x04,
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
    MSR_LINES = 0xf0,
};

struct fifo {
    uint8_t data[FIFO_BYTES];
    uint8_t first, count;
};

struct serial {
    struct device dev;
    struct char_backend *chr;
    uint32_t index, iobase, irq_number; /* options; 0: by index */

    struct io_region region;
    struct irq_line irq;
    struct vtimer timeout;
    struct fifo rx, tx;
    uint16_t divisor;
    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
    bool thr_pending;     /* the transmitter-empty interrupt waits to be seen */
    bool timeout_pending; /* received bytes below the trigger level grew old */
};

/* ---- FIFOs --------------------------------------------------------------------------
 */

static void fifo_put(struct fifo *f, uint8_t byte)
{
    f->data[(f->first + f->count) % FIFO_BYTES] = byte;
    f->count++;
}

static uint8_t fifo_get(struct fifo *f)
{
    uint8_t byte = f->data[f->first];

    f->first = (f->first + 1) % FIFO_BYTES;
    f->count--;
    return byte;
}

static void fifo_clear(struct fifo *f)
{
    f->first = f->count = 0;
}

static unsigned fifo_limit(const struct serial *s)
{
    return s->fcr & FCR_ENABLE ? FIFO_BYTES : 1;
}

static unsigned rx_trigger(const struct serial *s)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};

    return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

/* ---- interrupts ---------------------------------------------------------------------
 */

/* The source of highest priority (datasheet 8.6, table II). */
static uint8_t interrupt_id(const struct serial *s)
{
    if (s->ier & IER_RLSI && s->lsr & LSR_ERRORS)
        return IIR_RLSI;
    if (s->ier & IER_RDI && s->rx.count >= rx_trigger(s))
        return IIR_RDI;
    if (s->ier & IER_RDI && s->timeout_pending)
        return IIR_TIMEOUT;
    if (s->ier & IER_THRI && s->thr_pending)
        return IIR_THRI;
    if (s->ier & IER_MSI && s->msr & ~MSR_LINES)
        return IIR_MSI;
    return IIR_NONE;
}

static void update_irq(struct serial *s)
{
    /* In loopback the OUT2 pin is inactive (8.7), so the line is cut off from the bus. */
    bool gate = (s->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

    irq_set(&s->irq, gate && interrupt_id(s) != IIR_NONE);
}

/* Four characters of start, data, parity and stop bits (8.4.1, timeout). */
static int64_t timeout_ns(const struct serial *s)
{
    unsigned bits = 1 + 5 + (s->lcr & 3) + (s->lcr >> 3 & 1) + 1 + (s->lcr >> 2 & 1);
    unsigned divisor = s->divisor ? s->divisor : 1;

    return 4 * NS_PER_S * bits * divisor / UART_CLOCK;
}

static void restart_timeout(struct serial *s)
{
    s->timeout_pending = false;
    if (s->fcr & FCR_ENABLE && s->rx.count)
        vtimer_set(&s->timeout, clock_now(&s->dev) + timeout_ns(s));
    else
        vtimer_cancel(&s->timeout);
}

static void timeout_expired(void *opaque)
{
    struct serial *s = opaque;

    s->timeout_pending = s->rx.count != 0;
    update_irq(s);
}

/* ---- receiver -----------------------------------------------------------------------
 */

static void receive_byte(struct serial *s, uint8_t byte)
{
    if (s->rx.count < fifo_limit(s)) {
        fifo_put(&s->rx, byte);
    } else {
        s->lsr |= LSR_OE;
        if (!(s->fcr & FCR_ENABLE))
            s->rx.data[s->rx.first] = byte; /* the register is overwritten (8.3) */
    }
    s->lsr |= LSR_DR;
    restart_timeout(s);
}

static size_t can_receive(void *opaque)
{
    const struct serial *s = opaque;

    /* The receiver's input is disconnected in loopback (8.7). */
    return s->mcr & MCR_LOOP ? 0 : fifo_limit(s) - s->rx.count;
}

static void receive(void *opaque, const uint8_t *data, size_t bytes)
{
    struct serial *s = opaque;

    for (size_t i = 0; i < bytes; i++)
        receive_byte(s, data[i]);
    update_irq(s);
}

static uint8_t read_data(struct serial *s)
{
    uint8_t byte = s->rx.data[s->rx.first];

    if (!s->rx.count)
        return byte;
    fifo_get(&s->rx);
    if (!s->rx.count)
        s->lsr &= (uint8_t)~LSR_DR;
    restart_timeout(s);
    update_irq(s);
    if (s->chr)
        char_accept_input(s->chr);
    return byte;
}

/* ---- transmitter --------------------------------------------------------------------
 */

static void transmit(struct serial *s)
{
    while (s->tx.count) {
        uint8_t byte = s->tx.data[s->tx.first];
        if (s->mcr & MCR_LOOP)
            receive_byte(s, byte);
        else if (s->chr && !char_write(s->chr, &byte, 1))
            return; /* writable() continues */
        fifo_get(&s->tx);
    }
    if (!(s->lsr & LSR_TEMT)) {
        s->lsr |= LSR_THRE | LSR_TEMT;
        s->thr_pending = true;
    }
}

static void writable(void *opaque)
{
    struct serial *s = opaque;

    transmit(s);
    update_irq(s);
}

static void write_data(struct serial *s, uint8_t byte)
{
    s->thr_pending = false;
    s->lsr &= (uint8_t) ~(LSR_THRE | LSR_TEMT);
    update_irq(s); /* the line falls first, so that an edge follows */
    if (s->tx.count < fifo_limit(s))
        fifo_put(&s->tx, byte);
    else if (!(s->fcr & FCR_ENABLE))
        s->tx.data[s->tx.first] = byte;
    transmit(s);
    update_irq(s);
}

/* ---- registers ----------------------------------------------------------------------
 */

static void update_modem_lines(struct serial *s)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD;

    if (s->mcr & MCR_LOOP) {
        lines = (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) |
                          (s->mcr & MCR_DTR ? MSR_DSR : 0) |
                          (s->mcr & MCR_OUT1 ? MSR_RI : 0) |
                          (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
    }
    uint8_t changed = (s->msr ^ lines) & MSR_LINES;
    /* RI only counts when it ends. */
    if (changed & MSR_RI && lines & MSR_RI)
        changed &= (uint8_t)~MSR_RI;
    s->msr = (uint8_t)((s->msr & ~MSR_LINES) | lines | changed >> 4);
}

static void write_fcr(struct serial *s, uint8_t value)
{
    bool switched = (value ^ s->fcr) & FCR_ENABLE;

    /* Without the enable bit the others are not programmed (8.5). */
    s->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    if (switched || (value & FCR_ENABLE && value & FCR_CLEAR_RX)) {
        fifo_clear(&s->rx);
        s->lsr &= (uint8_t) ~(LSR_DR | LSR_BI);
        restart_timeout(s);
    }
    if (switched || (value & FCR_ENABLE && value & FCR_CLEAR_TX)) {
        fifo_clear(&s->tx);
        transmit(s);
    }
    /* An emptied transmitter asks for more, even if nothing was in it. */
    if (switched || value & FCR_CLEAR_TX)
        s->thr_pending = true;
    update_irq(s);
    if (s->chr)
        char_accept_input(s->chr);
}

static void write_ier(struct serial *s, uint8_t value)
{
    uint8_t rising = value & (uint8_t)~s->ier;

    s->ier = value & 0x0f;
    /* Enabling the interrupt while the register is empty gives one at once. */
    if (rising & IER_THRI && s->lsr & LSR_THRE)
        s->thr_pending = true;
    update_irq(s);
}

static void write_lcr(struct serial *s, uint8_t value)
{
    bool new_break = value & (uint8_t)~s->lcr & LCR_BREAK;

    s->lcr = value;
    if (new_break && s->mcr & MCR_LOOP) {
        receive_byte(s, 0);
        s->lsr |= LSR_BI | LSR_FE;
        update_irq(s);
    }
}

static void write_mcr(struct serial *s, uint8_t value)
{
    bool left_loop = s->mcr & ~value & MCR_LOOP;

    s->mcr = value & 0x1f;
    update_modem_lines(s);
    update_irq(s);
    if (left_loop) {
        transmit(s);
        if (s->chr)
            char_accept_input(s->chr);
    }
}

static void serial_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct serial *s = opaque;
    uint8_t byte = (uint8_t)value;

    switch (offset) {
    case REG_DATA:
        if (s->lcr & LCR_DLAB)
            s->divisor = (s->divisor & 0xff00) | byte;
        else
            write_data(s, byte);
        break;
    case REG_IER:
        if (s->lcr & LCR_DLAB)
            s->divisor = (uint16_t)((s->divisor & 0x00ff) | byte << 8);
        else
            write_ier(s, byte);
        break;
    case REG_IIR:
        write_fcr(s, byte);
        break;
    case REG_LCR:
        write_lcr(s, byte);
        break;
    case REG_MCR:
        write_mcr(s, byte);
        break;
    case REG_SCR:
        s->scr = byte;
        break;
    default:
        break; /* LSR and MSR: factory test only */
    }
}

static uint8_t read_iir(struct serial *s)
{
    uint8_t id = interrupt_id(s);

    /* Reading it acknowledges the transmitter interrupt, but only when that is shown. */
    if (id == IIR_THRI) {
        s->thr_pending = false;
        update_irq(s);
    }
    return (uint8_t)(id | (s->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
}

static uint64_t serial_read(void *opaque, uint64_t offset, unsigned size)
{
    struct serial *s = opaque;
    uint8_t value;

    switch (offset) {
    case REG_DATA:
        return s->lcr & LCR_DLAB ? s->divisor & 0xff : read_data(s);
    case REG_IER:
        return s->lcr & LCR_DLAB ? s->divisor >> 8 : s->ier;
    case REG_IIR:
        return read_iir(s);
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        value = s->lsr;
        s->lsr &= (uint8_t)~LSR_ERRORS;
        update_irq(s);
        return value;
    case REG_MSR:
        value = s->msr;
        s->msr &= MSR_LINES;
        update_irq(s);
        return value;
    default:
        return s->scr;
    }
}

static const struct io_ops serial_io = {
    .read = serial_read,
    .write = serial_write,
    .max_size = 1,
};

/* ---- life cycle ---------------------------------------------------------------------
 */

static void serial_reset(struct device *dev)
{
    struct serial *s = container_of(dev, struct serial, dev);

    fifo_clear(&s->rx);
    fifo_clear(&s->tx);
    memset(s->rx.data, 0, sizeof(s->rx.data));
    vtimer_cancel(&s->timeout);
    s->divisor = 12; /* 9600 baud */
    s->ier = s->fcr = s->lcr = s->scr = 0;
    s->mcr = MCR_OUT2;
    s->lsr = LSR_THRE | LSR_TEMT;
    s->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    s->thr_pending = s->timeout_pending = false;
    update_irq(s);
}

static const struct char_front_ops serial_front = {
    .can_receive = can_receive,
    .receive = receive,
    .writable = writable,
};

static int serial_create(struct device *dev, struct error *error)
{
    static const struct {
        uint16_t base;
        uint8_t irq;
    } com[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};
    struct serial *s = container_of(dev, struct serial, dev);

    if (s->index >= ARRAY_LEN(com))
        return error_set(error, -EINVAL, "%s: index %u is not 0 to 3 (COM1 to COM4)",
                         dev->id, s->index);
    uint32_t base = s->iobase ? s->iobase : com[s->index].base;
    uint32_t irq = s->irq_number ? s->irq_number : com[s->index].irq;
    if (base > 0x10000 - UART_PORTS || irq > 15)
        return error_set(error, -EINVAL, "%s: iobase %#x or irq %u does not exist on ISA",
                         dev->id, base, irq);
    irq_line_init(&s->irq, dev, irq);
    vtimer_init(&s->timeout, dev, timeout_expired, s);
    io_region_init(&s->region, dev, "serial", IO_PORT, UART_PORTS, &serial_io, s);
    int err = io_region_map(&s->region, base);
    if (err)
        return error_set(error, err, "%s: ports %#x to %#x are in use", dev->id, base,
                         base + UART_PORTS - 1);
    if (s->chr && (err = char_attach(s->chr, &serial_front, s))) {
        io_region_unmap(&s->region);
        return error_set(error, err, "%s: that chardev belongs to another device",
                         dev->id);
    }
    return 0;
}

static void serial_destroy(struct device *dev)
{
    struct serial *s = container_of(dev, struct serial, dev);

    if (s->chr)
        char_detach(s->chr);
    vtimer_cancel(&s->timeout);
    io_region_unmap(&s->region);
    irq_set(&s->irq, false);
}

static int fifo_state(struct state *state, const char *name, struct fifo *f)
{
    struct fifo copy = *f;
    int err = state_bytes(state, name, &copy, sizeof(copy));

    if (err || !state_loading(state))
        return err;
    if (copy.first >= FIFO_BYTES || copy.count > FIFO_BYTES)
        return state_fail(state, "%s: %u bytes from %u", name, copy.count, copy.first);
    *f = copy;
    return 0;
}

static int serial_state(struct serial *s, struct state *state)
{
    fifo_state(state, "rx", &s->rx);
    fifo_state(state, "tx", &s->tx);
    state_u16(state, "divisor", &s->divisor);
    state_u8(state, "ier", &s->ier);
    state_u8(state, "fcr", &s->fcr);
    state_u8(state, "lcr", &s->lcr);
    state_u8(state, "mcr", &s->mcr);
    state_u8(state, "lsr", &s->lsr);
    state_u8(state, "msr", &s->msr);
    state_u8(state, "scr", &s->scr);
    state_bool(state, "thr-pending", &s->thr_pending);
    state_bool(state, "timeout-pending", &s->timeout_pending);
    return state_vtimer(state, "timeout", &s->timeout);
}

static int serial_save(struct device *dev, struct state *state)
{
    return serial_state(container_of(dev, struct serial, dev), state);
}

static int serial_load(struct device *dev, struct state *state, uint32_t version)
{
    struct serial *s = container_of(dev, struct serial, dev);
    int err = serial_state(s, state);

    if (err)
        return err;
    if (s->rx.count > fifo_limit(s) || s->tx.count > fifo_limit(s))
        return state_fail(state, "more bytes than the FIFOs hold");
    update_irq(s);
    transmit(s);
    update_irq(s);
    return 0;
}

static const struct option_desc serial_options[] = {
    OPTION("chardev", CHAR, struct serial, chr, NULL, "back end"),
    OPTION("index", U32, struct serial, index, "0", "0 to 3: COM1 to COM4"),
    OPTION("iobase", U32, struct serial, iobase, NULL, "first port"),
    OPTION("irq", U32, struct serial, irq_number, NULL, "ISA interrupt"),
    {0},
};

static const struct device_ops serial_ops = {
    .name = "isa-serial",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct serial),
    .version = UART_STATES,
    .options = serial_options,
    .create = serial_create,
    .reset = serial_reset,
    .save = serial_save,
    .load = serial_load,
    .destroy = serial_destroy,
};

REGISTER_DEVICE(serial_ops);
