/*
 * QEMU's qtest protocol (comment at the start of QEMU's softmmu/qtest.c describes it):
 * one text command a line, one answer a line, and `IRQ raise N` / `IRQ lower N` in
 * between.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block.h"
#include "qtest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WORDS        6
#define LINE_MOST    (256u << 20)
#define TRANSFER_MAX (128u << 20)

static void send_bytes(struct qtest *q, const char *text, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(q->fd, text, bytes);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = q->fd, .events = POLLOUT};
            poll(&p, 1, -1);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* the reader notices the end */
        text += n;
        bytes -= (size_t)n;
    }
}

static void answer(struct qtest *q, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void answer(struct qtest *q, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        send_bytes(q, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* ---- front end ----------------------------------------------------------------------
 */

static void front_isa_irq(struct machine *m, unsigned irq, bool level)
{
    struct qtest *q = m->front_data;

    if (q->irq_level[irq] == level)
        return;
    q->irq_level[irq] = level;
    if (q->intercept && q->fd >= 0)
        answer(q, "IRQ %s %u\n", level ? "raise" : "lower", irq);
}

/* A message is a write: tests point it at memory and look there. */
static void front_msi(struct machine *m, struct device *dev, uint64_t address,
                      uint32_t data)
{
    uint8_t bytes[4];

    store_le32(bytes, data);
    qtest_ram_write(m, address, bytes, sizeof(bytes));
}

static int64_t front_clock(struct machine *m)
{
    return ((struct qtest *)m->front_data)->clock;
}

static void front_deadline(struct machine *m, int64_t ns)
{
}

static void front_reset(struct machine *m, const char *why)
{
    dev_log(NULL, LOG_DEBUG, "reset: %s", why);
    machine_reset(m);
}

static void front_shutdown(struct machine *m, const char *why)
{
    dev_log(NULL, LOG_DEBUG, "shutdown: %s", why);
    machine_quit(m, 0);
}

const struct front_ops qtest_front = {
    .name = "qtest",
    .memory_read = qtest_ram_read,
    .memory_write = qtest_ram_write,
    .isa_irq = front_isa_irq,
    .msi = front_msi,
    .window_init = qtest_window_init,
    .window_fini = qtest_window_fini,
    .window_map = qtest_window_map,
    .window_unmap = qtest_window_unmap,
    .window_track = qtest_window_track,
    .window_dirty = qtest_window_dirty,
    .set_pam = qtest_set_pam,
    .clock = front_clock,
    .deadline = front_deadline,
    .reset = front_reset,
    .shutdown = front_shutdown,
};

/* ---- commands -----------------------------------------------------------------------
 */

struct command {
    const char *name;
    unsigned words; /* at least, with the name */
    void (*run)(struct qtest *q, char **word);
};

static uint64_t number(const char *word)
{
    return strtoull(word, NULL, 0);
}

static unsigned size_of_suffix(char suffix)
{
    return suffix == 'b' ? 1 : suffix == 'w' ? 2 : suffix == 'l' ? 4 : 8;
}

static void run_out(struct qtest *q, char **word)
{
    io_write(q->machine, IO_PORT, number(word[1]) & 0xffff, size_of_suffix(word[0][3]),
             number(word[2]));
    answer(q, "OK\n");
}

static void run_in(struct qtest *q, char **word)
{
    uint64_t value = io_read(q->machine, IO_PORT, number(word[1]) & 0xffff,
                             size_of_suffix(word[0][2]));

    answer(q, "OK 0x%04llx\n", (unsigned long long)value);
}

static void run_write_n(struct qtest *q, char **word)
{
    uint8_t bytes[8];

    store_le64(bytes, number(word[2]));
    qtest_cpu_write(q->machine, number(word[1]), bytes, size_of_suffix(word[0][5]));
    answer(q, "OK\n");
}

static void run_read_n(struct qtest *q, char **word)
{
    uint8_t bytes[8] = {0};

    qtest_cpu_read(q->machine, number(word[1]), bytes, size_of_suffix(word[0][4]));
    answer(q, "OK 0x%016llx\n", (unsigned long long)load_le64(bytes));
}

static uint8_t *transfer_buffer(struct qtest *q, const char *word, size_t *bytes)
{
    uint64_t n = number(word);

    if (n > TRANSFER_MAX) {
        answer(q, "ERR invalid argument size\n");
        return NULL;
    }
    *bytes = (size_t)n;
    return must_alloc(*bytes);
}

static void run_read(struct qtest *q, char **word)
{
    static const char digits[] = "0123456789abcdef";
    size_t bytes;
    uint8_t *data = transfer_buffer(q, word[2], &bytes);

    if (!data)
        return;
    qtest_cpu_read(q->machine, number(word[1]), data, bytes);
    char *text = must_alloc(2 * bytes + 8);
    memcpy(text, "OK 0x", 5);
    for (size_t i = 0; i < bytes; i++) {
        text[5 + 2 * i] = digits[data[i] >> 4];
        text[6 + 2 * i] = digits[data[i] & 15];
    }
    text[5 + 2 * bytes] = '\n';
    send_bytes(q, text, 6 + 2 * bytes);
    free(text);
    free(data);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void run_write(struct qtest *q, char **word)
{
    size_t bytes;
    uint8_t *data = transfer_buffer(q, word[2], &bytes);
    const char *hex = word[3] + (strncmp(word[3], "0x", 2) == 0 ? 2 : 0);

    if (!data)
        return;
    /* Missing digits are zeroes. */
    for (size_t i = 0; i < bytes && hex[0] && hex[1]; i++, hex += 2)
        data[i] = (uint8_t)(hex_digit(hex[0]) << 4 | (hex_digit(hex[1]) & 15));
    qtest_cpu_write(q->machine, number(word[1]), data, bytes);
    free(data);
    answer(q, "OK\n");
}

static void run_memset(struct qtest *q, char **word)
{
    size_t bytes;
    uint8_t *data = transfer_buffer(q, word[2], &bytes);

    if (!data)
        return;
    memset(data, (int)number(word[3]), bytes);
    qtest_cpu_write(q->machine, number(word[1]), data, bytes);
    free(data);
    answer(q, "OK\n");
}

static const char base64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void run_b64read(struct qtest *q, char **word)
{
    size_t bytes, n = 3;
    uint8_t *data = transfer_buffer(q, word[2], &bytes);

    if (!data)
        return;
    qtest_cpu_read(q->machine, number(word[1]), data, bytes);
    char *text = must_alloc(bytes * 4 / 3 + 16);
    memcpy(text, "OK ", 3);
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16;
        v |= i + 1 < bytes ? (uint32_t)data[i + 1] << 8 : 0;
        v |= i + 2 < bytes ? data[i + 2] : 0;
        text[n++] = base64[v >> 18];
        text[n++] = base64[v >> 12 & 63];
        text[n++] = i + 1 < bytes ? base64[v >> 6 & 63] : '=';
        text[n++] = i + 2 < bytes ? base64[v & 63] : '=';
    }
    text[n++] = '\n';
    send_bytes(q, text, n);
    free(text);
    free(data);
}

static void run_b64write(struct qtest *q, char **word)
{
    size_t bytes, n = 0;
    uint8_t *data = transfer_buffer(q, word[2], &bytes);
    uint32_t v = 0;
    unsigned bits = 0;

    if (!data)
        return;
    for (const char *c = word[3]; *c && n < bytes; c++) {
        const char *at = strchr(base64, *c);
        if (!at)
            continue;
        v = v << 6 | (uint32_t)(at - base64);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            data[n++] = (uint8_t)(v >> bits);
        }
    }
    qtest_cpu_write(q->machine, number(word[1]), data, n);
    free(data);
    answer(q, "OK\n");
}

static void run_endianness(struct qtest *q, char **word)
{
    answer(q, "OK little\n");
}

/* Time passes in steps from timer to timer, so that each sees its own deadline. */
static void advance(struct qtest *q, int64_t to)
{
    struct machine *m = q->machine;

    while (timers_deadline(m) <= to) {
        if (timers_deadline(m) > q->clock)
            q->clock = timers_deadline(m);
        timers_run(m, q->clock);
        deferred_run_all(m);
    }
    if (to > q->clock)
        q->clock = to;
    deferred_run_all(m);
    workers_poll(m, false);
}

static void run_clock_step(struct qtest *q, char **word)
{
    int64_t to = timers_deadline(q->machine);

    if (word[1])
        to = q->clock + (int64_t)number(word[1]);
    else if (to == INT64_MAX)
        to = q->clock;
    advance(q, to);
    answer(q, "OK %lld\n", (long long)q->clock);
}

static void run_clock_set(struct qtest *q, char **word)
{
    advance(q, (int64_t)number(word[1]));
    answer(q, "OK %lld\n", (long long)q->clock);
}

/* Interrupts are visible at the I/O APIC's inputs, as with QEMU's PC. */
static void run_intercept(struct qtest *q, char **word)
{
    const char *name = strrchr(word[1], '/');

    name = name ? name + 1 : word[1];
    if (strcmp(name, "ioapic") != 0) {
        answer(q, "FAIL Unknown device\n");
        return;
    }
    q->intercept = true;
    answer(q, "OK\n");
}

static void run_set_irq_in(struct qtest *q, char **word)
{
    answer(q, "FAIL Unknown device\n");
}

static void run_module_load(struct qtest *q, char **word)
{
    answer(q, "OK\n"); /* everything is built in */
}

static const struct command commands[] = {
    {"outb", 3, run_out},
    {"outw", 3, run_out},
    {"outl", 3, run_out},
    {"inb", 2, run_in},
    {"inw", 2, run_in},
    {"inl", 2, run_in},
    {"writeb", 3, run_write_n},
    {"writew", 3, run_write_n},
    {"writel", 3, run_write_n},
    {"writeq", 3, run_write_n},
    {"readb", 2, run_read_n},
    {"readw", 2, run_read_n},
    {"readl", 2, run_read_n},
    {"readq", 2, run_read_n},
    {"read", 3, run_read},
    {"write", 4, run_write},
    {"memset", 4, run_memset},
    {"b64read", 3, run_b64read},
    {"b64write", 4, run_b64write},
    {"endianness", 1, run_endianness},
    {"clock_step", 1, run_clock_step},
    {"clock_set", 2, run_clock_set},
    {"irq_intercept_in", 2, run_intercept},
    {"irq_intercept_out", 2, run_intercept},
    {"set_irq_in", 5, run_set_irq_in},
    {"module_load", 3, run_module_load},
};

void qtest_command(struct qtest *q, char *line)
{
    char *word[WORDS + 1] = {0}, *rest = line;
    unsigned count = 0;

    while (count < WORDS && (word[count] = strsep(&rest, " ")))
        count += *word[count] != 0;
    if (count < WORDS)
        word[count] = NULL;
    for (unsigned i = 0; count && i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, word[0]) != 0)
            continue;
        if (count < commands[i].words)
            answer(q, "FAIL '%s' needs %u words\n", word[0], commands[i].words);
        else
            commands[i].run(q, word);
        deferred_run_all(q->machine);
        return;
    }
    answer(q, "FAIL Unknown command '%.60s'\n", count ? word[0] : "");
}

/* ---- the socket ---------------------------------------------------------------------
 */

static void run_lines(struct qtest *q)
{
    char *start = q->line, *end;
    size_t left = q->line_bytes;

    while ((end = memchr(start, '\n', left))) {
        *end = 0;
        if (end > start && end[-1] == '\r')
            end[-1] = 0;
        qtest_command(q, start);
        left -= (size_t)(end + 1 - start);
        start = end + 1;
    }
    memmove(q->line, start, left);
    q->line_bytes = left;
}

static void readable(uv_poll_t *poll, int status, int events)
{
    struct qtest *q = poll->data;

    if (q->line_bytes + 65536 > q->line_room) {
        if (q->line_room > LINE_MOST) {
            machine_quit(q->machine, 1);
            return;
        }
        q->line_room = (q->line_bytes + 65536) * 2;
        q->line = must_realloc(q->line, q->line_room);
    }
    ssize_t n = read(q->fd, q->line + q->line_bytes, 65536);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        machine_quit(q->machine, 0); /* the test is over */
        return;
    }
    q->line_bytes += (size_t)n;
    run_lines(q);
}

int qtest_connect(struct qtest *q, const char *address, struct error *error)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    const char *path = strncmp(address, "unix:", 5) == 0 ? address + 5 : address;
    size_t length = strcspn(path, ",");

    if (length >= sizeof(sun.sun_path))
        return error_set(error, -ENAMETOOLONG, "-qtest: '%s' is too long", path);
    memcpy(sun.sun_path, path, length);
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (q->fd < 0 || connect(q->fd, (struct sockaddr *)&sun, sizeof(sun)))
        return error_set(error, -errno, "-qtest: cannot connect to '%s': %s", path,
                         strerror(errno));
    fcntl(q->fd, F_SETFL, O_NONBLOCK);
    uv_poll_init(&q->machine->loop, &q->poll, q->fd);
    q->poll.data = q;
    uv_poll_start(&q->poll, UV_READABLE, readable);
    return 0;
}

void qtest_disconnect(struct qtest *q)
{
    if (q->fd < 0)
        return;
    uv_poll_stop(&q->poll);
    close(q->fd);
    q->fd = -1;
    free(q->line);
    q->line = NULL;
}
