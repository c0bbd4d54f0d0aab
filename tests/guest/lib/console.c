/*
 * Where the text goes. Under Xen: the console_io hypercall if it is allowed, else the PV
 * console ring. Without that, or as an HVM guest: COM1 if it answers. The debug ports
 * 0xe9 and 0x12 get a copy unless console_io carries the text (in Dom0 they would only
 * say it twice); `console=` on the command line names the outputs instead: any of xen,
 * ring, com1, e9, 12. SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "xen.h"

#include <xen/io/console.h>

#define COM1         0x3f8
#define COM_IER      1
#define COM_FCR      2 /* reads as IIR */
#define COM_LCR      3
#define FCR_ENABLE   0x07
#define IIR_16550A   0xc0
#define UART_FIFO    16
#define COM_LSR      5
#define COM_SCRATCH  7
#define LSR_THRE     0x20
#define LCR_8N1      0x03
#define LCR_DLAB     0x80
#define PORT_DEBUG   0xe9
#define PORT_DEBUG_2 0x12
#define UART_SPINS   100000
#define RING_SPINS   1000

static bool to_xen, to_ring, to_com1, to_e9, to_12;
static struct xencons_interface *ring;
static uint32_t ring_port;
static size_t com1_depth;

static bool com1_present(void)
{
    outb(COM1 + COM_SCRATCH, 0x5a);
    if (inb(COM1 + COM_SCRATCH) != 0x5a)
        return false;
    outb(COM1 + COM_SCRATCH, 0xa5);
    return inb(COM1 + COM_SCRATCH) == 0xa5;
}

static void com1_setup(void)
{
    outb(COM1 + COM_IER, 0);
    outb(COM1 + COM_LCR, LCR_DLAB | LCR_8N1);
    outb(COM1, 1); /* 115200 baud */
    outb(COM1 + 1, 0);
    outb(COM1 + COM_LCR, LCR_8N1);
    outb(COM1 + COM_FCR, FCR_ENABLE);
    com1_depth = (inb(COM1 + COM_FCR) & IIR_16550A) == IIR_16550A ? UART_FIFO : 1;
}

static bool ring_setup(void)
{
    uint64_t pfn = hvm_param_get(HVM_PARAM_CONSOLE_PFN);
    uint64_t port = hvm_param_get(HVM_PARAM_CONSOLE_EVTCHN);

    if (pfn == 0 || pfn >= 1ul << 20 || port == 0 || port == ~0ul)
        return false;
    ring = (struct xencons_interface *)(pfn << 12);
    ring_port = (uint32_t)port;
    return true;
}

static bool wanted(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (; *list && *list != ' '; list++)
        if (!strncmp(list, name, n) && (!list[n] || list[n] == ',' || list[n] == ' '))
            return true;
    return false;
}

void console_init(void)
{
    char empty[] = "";
    const char *list = NULL;

    for (const char *c = env.cmdline; *c; c++)
        if (!strncmp(c, "console=", 8))
            list = c + 8;
    if (list) {
        to_xen = env.xen && wanted(list, "xen");
        to_ring = env.xen && wanted(list, "ring") && ring_setup();
        to_com1 = wanted(list, "com1");
        to_e9 = wanted(list, "e9");
        to_12 = wanted(list, "12");
    } else {
        to_xen = env.xen && console_io(CONSOLEIO_write, 0, empty) >= 0;
        to_ring = env.xen && !to_xen && ring_setup();
        to_com1 = !env.dom0 && com1_present();
        to_e9 = to_12 = !to_xen && !to_com1;
    }
    if (to_com1)
        com1_setup();
}

/* A FIFO's worth for each look at the line status: both leave a guest, one by one. */
static void com1_flush(const char *text, size_t length)
{
    unsigned spins = 0;

    while (!(inb(COM1 + COM_LSR) & LSR_THRE) && ++spins < UART_SPINS)
        cpu_relax();
    asm volatile("rep outsb" : "+S"(text), "+c"(length) : "d"(COM1) : "memory");
}

static void com1_write(const char *text, size_t length)
{
    char part[UART_FIFO];
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        if (used + 2 > com1_depth) {
            com1_flush(part, used);
            used = 0;
        }
        if (text[i] == '\n')
            part[used++] = '\r';
        if (used == com1_depth) {
            com1_flush(part, used);
            used = 0;
        }
        part[used++] = text[i];
    }
    com1_flush(part, used);
}

/* A ring that nobody empties must not stop a test: text is dropped then. */
static void ring_put(char c)
{
    struct evtchn_send send = {.port = ring_port};
    unsigned spins = 0;

    while (READ_ONCE(ring->out_prod) - READ_ONCE(ring->out_cons) >= sizeof(ring->out)) {
        evtchn_op(EVTCHNOP_send, &send);
        sched_op(SCHEDOP_yield, NULL);
        if (++spins == RING_SPINS)
            return;
    }
    ring->out[MASK_XENCONS_IDX(ring->out_prod, ring->out)] = c;
    asm volatile("" ::: "memory");
    WRITE_ONCE(ring->out_prod, ring->out_prod + 1);
}

void console_write(const char *text, size_t length)
{
    if (to_xen)
        console_io(CONSOLEIO_write, (uint32_t)length, (void *)text);
    if (to_com1)
        com1_write(text, length);
    for (size_t i = 0; i < length; i++) {
        if (to_e9)
            outb(PORT_DEBUG, (uint8_t)text[i]);
        if (to_12)
            outb(PORT_DEBUG_2, (uint8_t)text[i]);
        if (to_ring)
            ring_put(text[i]);
    }
    if (to_ring) {
        struct evtchn_send send = {.port = ring_port};

        evtchn_op(EVTCHNOP_send, &send);
    }
}
