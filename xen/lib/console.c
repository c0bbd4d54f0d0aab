/* The console: messages out to ring, serial port and screen; keys in, to us or to Dom0.
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * console_lock guards the ring and the order of output on all sinks; input_lock guards
 * what was typed for Dom0.
 */
#include "lib/console.h"
#include "lib/errno.h"
#include "lib/keyhandler.h"
#include "lib/printk.h"
#include "lib/serial.h"
#include "lib/spinlock.h"
#include "lib/string.h"
#include "lib/video.h"
#include "boot/boot.h"
#include "cpu/nmi.h"
#include "cpu/time.h"
#include "cpu/x86.h"
#include "domain/domain.h"
#include "domain/evtchn.h"

#define RING_SIZE    65536u /* powers of two */
#define INPUT_SIZE   1024u
#define LINE_SIZE    512
#define PREFIX       "(XEN) "
#define SWITCH_KEY   0x01 /* Ctrl-A */
#define SWITCH_COUNT 3

#define GUEST_LINES_PER_S 10

static char opt_console[32] = "com1,vga";
option_string("console", opt_console, "where messages go: com1, com2, vga, none");

static bool opt_timestamps;
option_bool("console_timestamps", opt_timestamps, "system time in front of each message");

static enum { GUESTS_SOME, GUESTS_ALL, GUESTS_NONE } guest_lines;

/* Xen's words, of which we tell apart three; what is behind a slash is for Xen's limited
 * messages. */
static int parse_guest_loglvl(const char *s)
{
    static const char *const words[] = {"none", "error", "warning",
                                        "info", "debug", "all"};

    for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
        size_t n = strlen(words[i]);

        if (strncmp(s, words[i], n) || (s[n] && s[n] != '/'))
            continue;
        guest_lines = i == 0 && !s[n] ? GUESTS_NONE : i >= 4 ? GUESTS_ALL : GUESTS_SOME;
        return 0;
    }
    return -EINVAL;
}
option_custom("guest_loglvl", parse_guest_loglvl,
              "messages of and about guests: none, all, or some in each second");

static struct spinlock console_lock;
static char ring[RING_SIZE];
static uint32_t ring_put, ring_clear; /* bytes ever put; where `clear` was */
static bool at_line_start = true, dom0_mid_line, use_video, panicking;
static int lock_owner = -1;

static struct spinlock input_lock;
static char input[INPUT_SIZE];
static uint32_t input_put, input_get;
static bool input_to_xen;
static unsigned int switch_seen;

/* NMIs and panics print whoever has the lock: if this CPU has it, go on without. */
static bool lock(void)
{
    int self = (int)this_cpu()->id;

    if (panicking || READ_ONCE(lock_owner) == self)
        return false;
    spin_lock(&console_lock);
    WRITE_ONCE(lock_owner, self);
    return true;
}

bool console_is_free(void)
{
    return !spin_is_locked(&console_lock) && !serial_is_busy();
}

static void unlock(bool locked)
{
    if (!locked)
        return;
    WRITE_ONCE(lock_owner, -1);
    spin_unlock(&console_lock);
}

static void emit(const char *s, size_t n)
{
    serial_write(s, n);
    if (use_video)
        video_write(s, n);
}

static void ring_write(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ring[ring_put++ % RING_SIZE] = s[i];
}

static void line_start(void)
{
    char stamp[32];
    ns_t now = now_ns();

    emit(PREFIX, sizeof(PREFIX) - 1);
    ring_write(PREFIX, sizeof(PREFIX) - 1);
    if (!opt_timestamps)
        return;
    snprintf(stamp, sizeof(stamp), "[%5lld.%06lld] ", now / NS_PER_S,
             now % NS_PER_S / NS_PER_US);
    emit(stamp, strlen(stamp));
    ring_write(stamp, strlen(stamp));
}

/* A message of ours: each line gets the prefix; all of it goes into the ring. */
static void message(const char *s)
{
    if (dom0_mid_line)
        emit("\n", 1);
    dom0_mid_line = false;
    while (*s) {
        const char *nl = strchr(s, '\n');
        size_t n = nl ? (size_t)(nl - s) + 1 : strlen(s);

        if (at_line_start)
            line_start();
        emit(s, n);
        ring_write(s, n);
        at_line_start = nl != NULL;
        s += n;
    }
}

void vprintk(const char *format, va_list ap)
{
    char line[LINE_SIZE];
    bool locked;

    vsnprintf(line, sizeof(line), format, ap);
    locked = lock();
    message(line);
    unlock(locked);
}

void printk(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vprintk(format, ap);
    va_end(ap);
}

/* At most GUEST_LINES_PER_S in each second, unless guest_loglvl= says otherwise; what was
 * left out is counted. */
static bool guest_may_print(unsigned int *left_out)
{
    static ns_t second;
    static unsigned int lines, suppressed;
    ns_t now = now_ns();
    bool may;

    bool locked = lock();

    *left_out = 0;
    if (now - second >= NS_PER_S) {
        second = now;
        lines = 0;
        *left_out = suppressed;
        suppressed = 0;
    }
    may = guest_lines == GUESTS_ALL ||
          (guest_lines == GUESTS_SOME && lines < GUEST_LINES_PER_S);
    if (may)
        lines++;
    else
        suppressed++;
    unlock(locked);
    return may;
}

void printk_guest(const char *format, ...)
{
    unsigned int left_out;
    va_list ap;

    if (!guest_may_print(&left_out))
        return;
    if (left_out)
        printk("(%u messages about guests left out)\n", left_out);
    va_start(ap, format);
    vprintk(format, ap);
    va_end(ap);
}

/* Printable, or blank space: a guest must not steer the terminal. */
static char harmless(char c)
{
    return (c >= ' ' && c < 0x7f) || c == '\t' ? c : '.';
}

/* Lines of other domains than Dom0 wait here until they are whole. */
static struct {
    uint16_t domid;
    size_t len;
    char text[160];
} guest_line;

static void guest_line_flush(void)
{
    if (guest_line.len)
        printk_guest("d%u: %.*s\n", guest_line.domid, (int)guest_line.len,
                     guest_line.text);
    guest_line.len = 0;
}

static void guest_write(const char *buf, size_t n, uint16_t domid)
{
    static struct spinlock guest_line_lock;

    spin_lock(&guest_line_lock);
    if (guest_line.domid != domid)
        guest_line_flush();
    guest_line.domid = domid;
    for (size_t i = 0; i < n; i++) {
        if (buf[i] != '\n' && buf[i] != '\r')
            guest_line.text[guest_line.len++] = harmless(buf[i]);
        if (buf[i] == '\n' || guest_line.len == sizeof(guest_line.text))
            guest_line_flush();
    }
    spin_unlock(&guest_line_lock);
}

void console_write_guest(const char *buf, size_t n, uint16_t domid)
{
    bool locked;

    if (domid != 0) {
        guest_write(buf, n, domid);
        return;
    }
    if (!n)
        return;
    locked = lock();
    if (!at_line_start)
        emit("\n", 1); /* a message of ours that is not finished */
    at_line_start = true;
    serial_write(buf, n);
    dom0_mid_line = buf[n - 1] != '\n';
    unlock(locked);
}

size_t console_ring_read(char *buf, size_t size, bool clear, uint32_t *index)
{
    uint32_t oldest, i;
    size_t n = 0;
    bool locked = lock();

    oldest = ring_put - ring_clear > RING_SIZE ? ring_put - RING_SIZE : ring_clear;
    i = *index;
    if (i - oldest > ring_put - oldest)
        i = oldest;
    while (n < size && i != ring_put)
        buf[n++] = ring[i++ % RING_SIZE];
    *index = i;
    if (clear)
        ring_clear = ring_put;
    unlock(locked);
    return n;
}

/* ---- Input ---- */

int console_read(char *buf, size_t n)
{
    size_t i = 0;

    spin_lock(&input_lock);
    while (i < n && input_get != input_put)
        buf[i++] = input[input_get++ % INPUT_SIZE];
    spin_unlock(&input_lock);
    return (int)i;
}

static void input_for_dom0(char c)
{
    spin_lock(&input_lock);
    if (input_put - input_get < INPUT_SIZE)
        input[input_put++ % INPUT_SIZE] = c;
    spin_unlock(&input_lock);
}

static void deliver(char c)
{
    if (input_to_xen)
        keyhandler_run(c);
    else
        input_for_dom0(c);
}

static void say_target(void)
{
    printk("*** Serial input to %s (type Ctrl-A three times to switch)\n",
           input_to_xen ? "the hypervisor; h for help" : "Dom0");
}

void console_input(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == SWITCH_KEY && ++switch_seen == SWITCH_COUNT) {
            switch_seen = 0;
            input_to_xen = !input_to_xen;
            say_target();
        } else if (s[i] != SWITCH_KEY) {
            for (; switch_seen; switch_seen--)
                deliver(SWITCH_KEY);
            deliver(s[i]);
        }
    }
    if (input_put != input_get && dom0)
        evtchn_send_global_virq(VIRQ_CONSOLE);
}

/* ---- Set-up ---- */

static bool console_wanted(const char *name)
{
    const char *p = opt_console;
    size_t n = strlen(name);

    while ((p = strstr(p, name))) {
        if ((p == opt_console || p[-1] == ',') && (!p[n] || p[n] == ','))
            return true;
        p += n;
    }
    return false;
}

void console_init(void)
{
    bool serial = false;

    if (console_wanted("com1"))
        serial = serial_init(1);
    if (!serial && console_wanted("com2"))
        serial_init(2);
    if (console_wanted("vga"))
        use_video = video_init();
}

void console_init_irq(void)
{
    serial_init_irq();
}

void console_end_boot(void)
{
    bool locked;

    say_target();
    locked = lock();
    if (use_video && !video_keep())
        use_video = false;
    unlock(locked);
}

bool console_owns_port(uint16_t port)
{
    return serial_owns_port(port);
}

bool console_owns_gsi(unsigned int gsi)
{
    return serial_owns_gsi(gsi);
}

void console_force_sync(void)
{
    panicking = true;
    serial_force_sync();
}

void console_flush(void)
{
    serial_flush();
}
