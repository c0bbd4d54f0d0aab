/*
 * A machine made of the real devices and back ends, driven by direct calls in place of a
 * hypervisor: guest memory, ports, interrupts and time belong to the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_DEVICES_HARNESS_H
#define TESTS_UNIT_DEVICES_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devmodel/qtest.h"

#define MSI_LOG 64

struct bench {
    struct qtest q; /* must be first: the front end's memory code looks for it */
    struct machine *m;
    unsigned edges[ISA_IRQS]; /* rising */
    unsigned msis;
    uint64_t msi_address[MSI_LOG];
    uint32_t msi_data[MSI_LOG];
    unsigned resets, shutdowns, sleeps, wakes;
    uint8_t rtc[RTC_REGISTERS]; /* the clock that a sleeping machine leaves */
    bool refuses_sleep;
};

/* Start a machine; arguments as on the command line.  Fails the test when that does not
 * work. */
#define bench_start(...) bench_start_with((const char *const[]){__VA_ARGS__, NULL})
struct bench *bench_start_with(const char *const *args);
/* The same, expecting a refusal whose message contains `what`. */
#define bench_refused(what, ...)                                                         \
    bench_refused_with(what, (const char *const[]){__VA_ARGS__, NULL})
void bench_refused_with(const char *what, const char *const *args);
void bench_stop(struct bench *b);

#include "tests/unit-devices/ports.h"

uint64_t cpu_read(struct bench *b, uint64_t gpa, unsigned size);
void cpu_write(struct bench *b, uint64_t gpa, unsigned size, uint64_t value);
void mem_read(struct bench *b, uint64_t gpa, void *to, size_t bytes);
void mem_write(struct bench *b, uint64_t gpa, const void *from, size_t bytes);
uint32_t config_read(struct bench *b, unsigned slot, unsigned offset, unsigned size);
void config_write(struct bench *b, unsigned slot, unsigned offset, unsigned size,
                  uint32_t value);
/* Memory, ports and bus mastering on. */
void config_enable(struct bench *b, unsigned slot);
bool irq_level(const struct bench *b, unsigned irq);
void step_clock(struct bench *b, int64_t ns);
/* Let back ends work: one turn of the loop without waiting, or until the condition. */
void turn(struct bench *b);
#define turn_until(b, condition)                                                         \
    do {                                                                                 \
        for (unsigned turn_count = 0; !(condition) && turn_count < 2000; turn_count++)   \
            turn_wait(b);                                                                \
        assert_true(condition);                                                          \
    } while (0)
void turn_wait(struct bench *b); /* at most a few milliseconds */

struct device *bench_device(struct bench *b, const char *name);
/* Save every device, reset the machine, load: what was there must be there again. */
void save_and_load(struct bench *b);
/* Load a copy of the saved state with each byte in turn damaged (or a sample of them):
 * refused or taken, but never more than that. */
void load_damaged(struct bench *b, const char *device);

/* A character back end that is the test itself: --chardev test,id=... */
struct test_char {
    uint8_t out[4096];
    size_t out_bytes;
    size_t room; /* bytes it takes before it says no */
};
struct test_char *test_char(struct bench *b, const char *id);
void test_char_input(struct bench *b, const char *id, const char *text, size_t bytes);
void test_char_room(struct bench *b, const char *id, size_t room);

/* A network back end that is the test itself: --netdev test,id=... */
#define TEST_NET_FRAMES 64
struct test_net {
    unsigned frames; /* sent by the guest */
    uint8_t frame[TEST_NET_FRAMES][66000];
    size_t bytes[TEST_NET_FRAMES];
};
struct test_net *test_net(struct bench *b, const char *id);
bool test_net_input(struct bench *b, const char *id, const void *frame, size_t bytes);
bool test_net_input_offload(struct bench *b, const char *id, uint8_t *frame, size_t bytes,
                            const struct net_offload *o);

#endif
