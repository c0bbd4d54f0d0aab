/* The console's NS16550 serial port. SPDX-License-Identifier: GPL-2.0-or-later
 *
 * National Semiconductor PC16550D data sheet. Output goes to the FIFO while it is empty,
 * else into a buffer that the transmit interrupt empties; before interrupts work and in a
 * panic it is waited for. Input comes by interrupt, or by a timer where the port has no
 * usable interrupt.
 *
 * Parameters, as users of Xen know them: com1=baud[/clock],DPS[,port[,irq]], e.g.
 * com1=115200,8n1,0x3f8,4; baud "auto" keeps what the firmware set; irq 0 polls.
 */
#include "lib/serial.h"
#include "lib/printk.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "lib/errno.h"
#include "boot/boot.h"
#include "cpu/apic.h"
#include "cpu/time.h"
#include "cpu/x86.h"

enum uart_reg {
    UART_DATA = 0,
    UART_DLL = 0, /* with LCR.DLAB */
    UART_IER = 1,
    UART_DLM = 1,
    UART_IIR = 2,
    UART_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_SCR = 7,
};

#define UART_IER_RX    0x01
#define UART_IER_TX    0x02
#define UART_FCR_SETUP 0x07 /* on, both cleared, trigger at one byte */
#define UART_LCR_DLAB  0x80
#define UART_MCR_SETUP 0x0b /* DTR, RTS, OUT2 (interrupt enable of the PC) */
#define UART_LSR_DATA  0x01
#define UART_LSR_THRE  0x20
#define UART_LSR_TEMT  0x40
#define UART_FIFO      16

#define TX_SIZE     16384u /* power of two */
#define POLL_PERIOD (10 * NS_PER_MS)
#define TX_TIMEOUT  100000 /* reads of LSR; a port without a clock must not hang us */
#define CLOCK_HZ    1843200u

struct port {
    uint16_t base;
    uint8_t irq;
    uint32_t baud; /* 0: as it is */
    uint32_t clock;
    uint8_t lcr;
};

static struct port ports[2] = {
    {0x3f8, 4, 115200, CLOCK_HZ, 3},
    {0x2f8, 3, 115200, CLOCK_HZ, 3},
};
static struct port *port; /* the one in use */

static struct spinlock tx_lock; /* guards tx_*, ier and the transmit side of the port */
static char tx_buf[TX_SIZE];
static uint32_t tx_put, tx_get;
static uint8_t ier;
static bool use_irq, sync = true;
static unsigned int gsi;
static struct timer poll_timer;

static void reg_write(enum uart_reg r, uint8_t v)
{
    outb(port->base + r, v);
}

static uint8_t reg_read(enum uart_reg r)
{
    return inb(port->base + r);
}

/* "8n1": data bits, parity, stop bits, as LCR has them. */
static int parse_lcr(const char *s, uint8_t *lcr)
{
    static const char parities[] = "noems";
    static const uint8_t parity_bits[] = {0x00, 0x08, 0x18, 0x28, 0x38};
    const char *p;

    if (s[0] < '5' || s[0] > '8' || !s[1] || !s[2])
        return -EINVAL;
    p = strchr(parities, s[1]);
    if (!p || (s[2] != '1' && s[2] != '2'))
        return -EINVAL;
    *lcr = (uint8_t)((s[0] - '5') | parity_bits[p - parities] | (s[2] == '2' ? 4 : 0));
    return 0;
}

static int parse_port(struct port *p, const char *s)
{
    uint64_t v;

    if (!strncmp(s, "auto", 4)) {
        p->baud = 0;
        s += 4;
    } else if (*s && *s != ',') {
        v = strtoull(s, &s, 0);
        if (!v || v > 4000000)
            return -EINVAL;
        p->baud = (uint32_t)v;
        if (*s == '/') {
            v = strtoull(s + 1, &s, 0);
            if (v < 16 || v > UINT32_MAX / 16)
                return -EINVAL;
            p->clock = (uint32_t)(v * 16);
        }
    }
    if (*s == ',' && *++s && *s != ',') {
        if (parse_lcr(s, &p->lcr))
            return -EINVAL;
        s += 3;
    }
    if (*s == ',' && *++s && *s != ',') {
        v = strtoull(s, &s, 0);
        if (!v || v > 0xfff8)
            return -EINVAL;
        p->base = (uint16_t)v;
    }
    if (*s == ',' && *++s && *s != ',') {
        v = strtoull(s, &s, 0);
        if (v > 15)
            return -EINVAL;
        p->irq = (uint8_t)v;
    }
    return *s ? -EINVAL : 0;
}

static int parse_com1(const char *s)
{
    return parse_port(&ports[0], s);
}
static int parse_com2(const char *s)
{
    return parse_port(&ports[1], s);
}
option_custom("com1", parse_com1, "first serial port: baud,DPS,port,irq");
option_custom("com2", parse_com2, "second serial port");

bool serial_init(unsigned int n)
{
    uint32_t divisor;

    port = &ports[n - 1];
    reg_write(UART_SCR, 0x5a);
    if (reg_read(UART_SCR) != 0x5a) {
        port = NULL;
        return false;
    }
    reg_write(UART_IER, 0);
    if (port->baud) {
        divisor = max(port->clock / 16 / port->baud, 1u);
        reg_write(UART_LCR, UART_LCR_DLAB);
        reg_write(UART_DLL, (uint8_t)divisor);
        reg_write(UART_DLM, (uint8_t)(divisor >> 8));
    }
    reg_write(UART_LCR, port->lcr);
    reg_write(UART_FCR, UART_FCR_SETUP);
    reg_write(UART_MCR, UART_MCR_SETUP);
    return true;
}

static bool wait_lsr(uint8_t bit)
{
    for (int i = 0; i < TX_TIMEOUT; i++) {
        if (reg_read(UART_LSR) & bit)
            return true;
        cpu_relax();
    }
    return false;
}

/* Fill the empty FIFO from the buffer. tx_lock is held, or the machine panics. */
static void tx_fill(void)
{
    for (int i = 0; i < UART_FIFO && tx_get != tx_put; i++)
        reg_write(UART_DATA, (uint8_t)tx_buf[tx_get++ % TX_SIZE]);
}

static void set_ier(uint8_t v)
{
    if (v == ier)
        return;
    ier = v;
    reg_write(UART_IER, v);
}

static void tx_byte(char c)
{
    if (tx_put - tx_get == TX_SIZE) {
        wait_lsr(UART_LSR_THRE);
        tx_fill();
    }
    tx_buf[tx_put++ % TX_SIZE] = c;
}

void serial_write(const char *s, size_t n)
{
    if (!port)
        return;
    if (!sync)
        spin_lock(&tx_lock);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\n')
            tx_byte('\r');
        tx_byte(s[i]);
    }
    while (tx_put != tx_get &&
           (sync ? wait_lsr(UART_LSR_THRE) : reg_read(UART_LSR) & UART_LSR_THRE))
        tx_fill();
    if (!sync) {
        set_ier(tx_put != tx_get ? UART_IER_RX | UART_IER_TX : UART_IER_RX);
        spin_unlock(&tx_lock);
    } else {
        tx_get = tx_put;
    }
}

/* What came in, and what can go out. */
static void serve(void)
{
    char in[64];
    size_t n = 0;

    while (n < sizeof(in) && (reg_read(UART_LSR) & UART_LSR_DATA))
        in[n++] = (char)reg_read(UART_DATA);
    spin_lock(&tx_lock);
    if (tx_put != tx_get && (reg_read(UART_LSR) & UART_LSR_THRE)) {
        tx_fill();
        if (use_irq && tx_put == tx_get)
            set_ier(UART_IER_RX);
    }
    spin_unlock(&tx_lock);
    if (n)
        console_input(in, n);
}

void serial_interrupt(void)
{
    /* Edge-triggered: all causes must be gone before we leave. Bit 0 set: none left. */
    for (int i = 0; i < 64 && port && !(reg_read(UART_IIR) & 1); i++)
        serve();
}

static void poll(void *opaque)
{
    serve();
    timer_set(&poll_timer, now_ns() + POLL_PERIOD);
}

void serial_init_irq(void)
{
    bool low, level;

    if (!port)
        return;
    if (port->irq) {
        gsi = isa_irq_to_gsi(port->irq, &low, &level);
        use_irq = !ioapic_claim(gsi, VECTOR_SERIAL, low, level);
    }
    if (use_irq) {
        sync = false;
        set_ier(UART_IER_RX);
    } else {
        timer_init(&poll_timer, poll, NULL);
        timer_set(&poll_timer, now_ns() + POLL_PERIOD);
    }
}

bool serial_is_busy(void)
{
    return spin_is_locked(&tx_lock);
}

void serial_force_sync(void)
{
    sync = true;
    serial_flush();
}

void serial_flush(void)
{
    bool locked = false;

    if (!port)
        return;
    /* In a panic the owner may have been stopped: go on without. */
    for (unsigned int i = 0; i < TX_TIMEOUT && !locked; i++)
        locked = spin_trylock(&tx_lock);
    while (tx_put != tx_get && wait_lsr(UART_LSR_THRE))
        tx_fill();
    wait_lsr(UART_LSR_TEMT);
    if (locked)
        spin_unlock(&tx_lock);
}

bool serial_owns_port(uint16_t p)
{
    return port && p >= port->base && p < port->base + 8;
}

bool serial_owns_gsi(unsigned int g)
{
    return port && use_irq && g == gsi;
}
