/*
 * A whole machine inside the test program.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit-devmodel/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devmodel/block.h"

static int start(struct bench *b, const char *first, va_list args)
{
    static struct config c;
    char name[] = "test", *argv[40] = {name};
    int argc = 1;

    for (const char *word = first; word && argc < 39; word = va_arg(args, const char *))
        argv[argc++] = (char *)word;
    log_threshold = LOG_ERROR;
    memset(&b->qtest, 0, sizeof(b->qtest));
    b->qtest.fd = -1;
    b->error.text[0] = 0;
    b->m = machine_create(&qtest_front, &b->qtest);
    assert_non_null(b->m);
    b->qtest.machine = b->m;
    int err = config_parse(&c, argc, argv, true, &b->error);
    if (!err)
        err = board_prepare(b->m, &c, &b->error);
    if (!err)
        err = board_build(b->m, &c, &b->error);
    if (!err)
        err = qtest_ram_init(&b->qtest, c.bios, &b->error);
    if (!err)
        machine_start(b->m);
    return err;
}

int bench_try(struct bench *b, const char *first, ...)
{
    va_list args;

    va_start(args, first);
    int err = start(b, first, args);
    va_end(args);
    return err;
}

void bench_start(struct bench *b, const char *first, ...)
{
    va_list args;

    va_start(args, first);
    int err = start(b, first, args);
    va_end(args);
    if (err)
        fail_msg("%s", b->error.text);
}

void bench_stop(struct bench *b)
{
    struct board board = b->m->board;

    machine_pause(b->m);
    machine_destroy(b->m);
    qtest_ram_free(&b->qtest, &board);
    if (b->image[0])
        unlink(b->image);
    b->image[0] = 0;
}

void bench_image(struct bench *b, unsigned sectors)
{
    uint8_t sector[512] = {0};

    strcpy(b->image, "/tmp/corbel-test-XXXXXX");
    int fd = mkstemp(b->image);
    assert_true(fd >= 0);
    for (unsigned n = 0; n < sectors; n++) {
        store_le32(sector, n);
        memset(sector + 4, (int)n, 16);
        assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
    }
    close(fd);
}

uint32_t cfg_read(struct bench *b, unsigned slot, unsigned fn, unsigned reg,
                  unsigned size)
{
    out32(b, 0xcf8, 1u << 31 | slot << 11 | fn << 8 | (reg & 0xfc));
    return (uint32_t)io_read(b->m, IO_PORT, 0xcfc + (reg & 3), size);
}

void cfg_write(struct bench *b, unsigned slot, unsigned fn, unsigned reg, unsigned size,
               uint32_t value)
{
    out32(b, 0xcf8, 1u << 31 | slot << 11 | fn << 8 | (reg & 0xfc));
    io_write(b->m, IO_PORT, 0xcfc + (reg & 3), size, value);
}

void mem_put(struct bench *b, uint64_t gpa, const void *data, size_t bytes)
{
    qtest_cpu_write(b->m, gpa, data, bytes);
}

void mem_get(struct bench *b, uint64_t gpa, void *data, size_t bytes)
{
    qtest_cpu_read(b->m, gpa, data, bytes);
}

bool irq_is_up(const struct bench *b, unsigned irq)
{
    return b->qtest.irq_level[irq];
}

void bench_turn(struct bench *b)
{
    uv_run(&b->m->loop, UV_RUN_NOWAIT);
    usleep(1000);
}

void bench_step(struct bench *b, int64_t ns)
{
    char line[64];

    snprintf(line, sizeof(line), "clock_step %lld", (long long)ns);
    qtest_command(&b->qtest, line);
}
