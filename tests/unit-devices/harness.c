/*
 * See harness.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devmodel/board.h"

/* ---- front end: the qtest memory with our own interrupts ----------------------------
 */

static struct bench *bench_of(struct machine *m)
{
    return m->front_data;
}

static void front_isa_irq(struct machine *m, unsigned irq, bool level)
{
    struct bench *b = bench_of(m);

    if (level && !b->q.irq_level[irq])
        b->edges[irq]++;
    b->q.irq_level[irq] = level;
}

static void front_msi(struct machine *m, struct device *dev, uint64_t address,
                      uint32_t data)
{
    struct bench *b = bench_of(m);

    b->msi_address[b->msis % MSI_LOG] = address;
    b->msi_data[b->msis % MSI_LOG] = data;
    b->msis++;
}

static int64_t front_clock(struct machine *m)
{
    return bench_of(m)->q.clock;
}

static void front_deadline(struct machine *m, int64_t ns)
{
}

static void front_reset(struct machine *m, const char *why)
{
    bench_of(m)->resets++;
}

static void front_shutdown(struct machine *m, const char *why)
{
    bench_of(m)->shutdowns++;
}

static int front_sleep(struct machine *m, uint8_t rtc[RTC_REGISTERS], struct error *error)
{
    struct bench *b = bench_of(m);

    if (b->refuses_sleep)
        return error_set(error, -EPERM, "not now");
    memcpy(rtc, b->rtc, RTC_REGISTERS);
    b->sleeps++;
    return 0;
}

static int front_wake(struct machine *m, struct error *error)
{
    bench_of(m)->wakes++;
    return 0;
}

static const struct front_ops front = {
    .name = "test",
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
    .sleep = front_sleep,
    .wake = front_wake,
};

/* ---- start and stop -----------------------------------------------------------------
 */

#define ARGS_MOST 48

static int start(struct bench *b, const char *const *args, struct error *error)
{
    char *argv[ARGS_MOST] = {(char *)"test", (char *)"-m", (char *)"16",
                             (char *)"-nodefaults"};
    struct config *c = calloc(1, sizeof(*c));
    int argc = 4;

    for (; *args && argc < ARGS_MOST - 1; args++)
        argv[argc++] = (char *)*args;
    log_threshold = getenv("CORBEL_DM_DEBUG") ? LOG_DEBUG : LOG_ERROR;
    int err = config_parse(c, argc, argv, true, error);
    b->q.fd = -1;
    b->m = err ? NULL : machine_create(&front, b);
    if (b->m) {
        b->q.machine = b->m;
        err = board_prepare(b->m, c, error);
        if (!err)
            err = board_build(b->m, c, error);
        if (!err)
            err = qtest_ram_init(&b->q, NULL, error);
    }
    free(c);
    return err;
}

struct bench *bench_start_with(const char *const *args)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct error error = {.text = ""};

    int err = start(b, args, &error);
    if (err)
        fail_msg("cannot start the machine: %s", error.text);
    machine_start(b->m);
    return b;
}

void bench_refused_with(const char *what, const char *const *args)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct error error = {.text = ""};

    int err = start(b, args, &error);
    if (!err || !strstr(error.text, what))
        fail_msg("expected '%s', got '%s' (%d)", what, error.text, err);
    bench_stop(b);
}

void bench_stop(struct bench *b)
{
    if (b->m) {
        struct board board = b->m->board;
        machine_pause(b->m);
        machine_destroy(b->m);
        qtest_ram_free(&b->q, &board);
    }
    free(b);
}

/* ---- accesses -----------------------------------------------------------------------
 */

uint64_t cpu_read(struct bench *b, uint64_t gpa, unsigned size)
{
    uint8_t bytes[8] = {0};

    qtest_cpu_read(b->m, gpa, bytes, size);
    return load_le64(bytes);
}

void cpu_write(struct bench *b, uint64_t gpa, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    store_le64(bytes, value);
    qtest_cpu_write(b->m, gpa, bytes, size);
}

void mem_read(struct bench *b, uint64_t gpa, void *to, size_t bytes)
{
    assert_int_equal(qtest_ram_read(b->m, gpa, to, bytes), 0);
}

void mem_write(struct bench *b, uint64_t gpa, const void *from, size_t bytes)
{
    assert_int_equal(qtest_ram_write(b->m, gpa, from, bytes), 0);
}

uint32_t config_read(struct bench *b, unsigned slot, unsigned offset, unsigned size)
{
    return pci_config_read(b->m, PCI_DEVFN(slot, 0), offset, size);
}

void config_write(struct bench *b, unsigned slot, unsigned offset, unsigned size,
                  uint32_t value)
{
    pci_config_write(b->m, PCI_DEVFN(slot, 0), offset, size, value);
}

void config_enable(struct bench *b, unsigned slot)
{
    config_write(b, slot, 4, 2, 7);
}

bool irq_level(const struct bench *b, unsigned irq)
{
    return b->q.irq_level[irq];
}

void step_clock(struct bench *b, int64_t ns)
{
    int64_t end = b->q.clock + ns;

    for (;;) {
        int64_t next = timers_deadline(b->m);
        if (next > end)
            break;
        if (next > b->q.clock)
            b->q.clock = next;
        timers_run(b->m, b->q.clock);
    }
    b->q.clock = end;
    turn(b);
}

void turn(struct bench *b)
{
    uv_run(&b->m->loop, UV_RUN_NOWAIT);
}

void turn_wait(struct bench *b)
{
    turn(b);
    usleep(1000);
}

struct device *bench_device(struct bench *b, const char *name)
{
    for (struct device *dev = b->m->devices; dev; dev = dev->next) {
        if (strcmp(dev->ops->name, name) == 0)
            return dev;
    }
    fail_msg("the machine has no %s", name);
    return NULL;
}

/* ---- state --------------------------------------------------------------------------
 */

static FILE *save(struct bench *b)
{
    struct error error = {.text = ""};
    FILE *f = tmpfile();

    assert_non_null(f);
    machine_pause(b->m);
    if (machine_save(b->m, fileno(f), &error))
        fail_msg("%s", error.text);
    return f;
}

void save_and_load(struct bench *b)
{
    struct error error = {.text = ""};
    FILE *f = save(b);

    machine_reset(b->m);
    assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
    if (machine_load(b->m, fileno(f), &error))
        fail_msg("%s", error.text);
    machine_start(b->m);
    fclose(f);
}

/* The stream again with one byte changed; whatever load says, the machine must live. */
static void load_one(struct bench *b, const uint8_t *stream, size_t bytes)
{
    struct error error = {.text = ""};
    FILE *f = tmpfile();

    assert_non_null(f);
    assert_int_equal(fwrite(stream, 1, bytes, f), bytes);
    fflush(f);
    lseek(fileno(f), 0, SEEK_SET);
    machine_load(b->m, fileno(f), &error);
    fclose(f);
}

void load_damaged(struct bench *b, const char *device)
{
    FILE *f = save(b);
    long bytes = lseek(fileno(f), 0, SEEK_END);
    uint8_t *stream = malloc((size_t)bytes);

    assert_int_equal(pread(fileno(f), stream, (size_t)bytes, 0), bytes);
    fclose(f);
    const uint8_t *at = memmem(stream, (size_t)bytes, device, strlen(device));
    assert_non_null(at);
    size_t first = (size_t)(at - stream), last = first + 3000;
    for (size_t i = first; i < last && i < (size_t)bytes; i++) {
        uint8_t old = stream[i];
        stream[i] = (uint8_t)(i % 2 ? 0xff : old ^ 0x81);
        load_one(b, stream, (size_t)bytes);
        stream[i] = old;
    }
    load_one(b, stream, (size_t)bytes);
    free(stream);
    machine_start(b->m);
}

/* ---- back ends that are the test ----------------------------------------------------
 */

struct char_test {
    struct char_backend c;
    struct test_char t;
};

static int char_create(struct char_backend *c, struct error *error)
{
    ((struct char_test *)c)->t.room = SIZE_MAX;
    return 0;
}

static size_t char_test_write(struct char_backend *c, const uint8_t *data, size_t bytes)
{
    struct test_char *t = &((struct char_test *)c)->t;

    if (bytes > t->room)
        bytes = t->room;
    t->room -= bytes;
    assert_true(t->out_bytes + bytes <= sizeof(t->out));
    memcpy(t->out + t->out_bytes, data, bytes);
    t->out_bytes += bytes;
    return bytes;
}

static const struct char_backend_ops test_chardev = {
    .name = "test",
    .size = sizeof(struct char_test),
    .create = char_create,
    .write = char_test_write,
};
REGISTER_CHAR_BACKEND(test_chardev);

struct test_char *test_char(struct bench *b, const char *id)
{
    return &((struct char_test *)char_by_id(b->m, id))->t;
}

void test_char_input(struct bench *b, const char *id, const char *text, size_t bytes)
{
    struct char_backend *c = char_by_id(b->m, id);

    for (size_t i = 0; i < bytes; i++) {
        if (char_can_receive(c))
            char_receive(c, (const uint8_t *)text + i, 1);
    }
}

void test_char_room(struct bench *b, const char *id, size_t room)
{
    test_char(b, id)->room = room;
    if (room)
        char_writable(char_by_id(b->m, id));
}

struct net_test {
    struct net_backend n;
    struct test_net *t;
};

static int net_create(struct net_backend *n, struct error *error)
{
    ((struct net_test *)n)->t = calloc(1, sizeof(struct test_net));
    return 0;
}

static void net_test_send(struct net_backend *n, const struct iovec *iov, int iovcnt)
{
    struct test_net *t = ((struct net_test *)n)->t;
    unsigned slot = t->frames % TEST_NET_FRAMES;

    t->bytes[slot] = 0;
    for (int i = 0; i < iovcnt; i++) {
        assert_true(t->bytes[slot] + iov[i].iov_len <= sizeof(t->frame[slot]));
        memcpy(t->frame[slot] + t->bytes[slot], iov[i].iov_base, iov[i].iov_len);
        t->bytes[slot] += iov[i].iov_len;
    }
    t->frames++;
}

static void net_destroy(struct net_backend *n)
{
    free(((struct net_test *)n)->t);
}

static const struct net_backend_ops test_netdev = {
    .name = "test",
    .size = sizeof(struct net_test),
    .create = net_create,
    .send = net_test_send,
    .destroy = net_destroy,
};
REGISTER_NET_BACKEND(test_netdev);

struct test_net *test_net(struct bench *b, const char *id)
{
    return ((struct net_test *)net_by_id(b->m, id))->t;
}

bool test_net_input(struct bench *b, const char *id, const void *frame, size_t bytes)
{
    return net_receive(net_by_id(b->m, id), frame, bytes);
}

bool test_net_input_offload(struct bench *b, const char *id, uint8_t *frame, size_t bytes,
                            const struct net_offload *o)
{
    return net_receive_offload(net_by_id(b->m, id), frame, bytes, o);
}
