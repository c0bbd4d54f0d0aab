/*
 * A whole machine inside the test program: the native board on the qtest front end,
 * without its socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_DEVMODEL_BENCH_H
#define TESTS_UNIT_DEVMODEL_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devmodel/board.h"
#include "devmodel/qtest.h"

struct bench {
    struct qtest qtest;
    struct machine *m;
    struct error error;
    char image[64]; /* a temporary file; empty: none */
};

/* Words as on corbel-dm-qtest's command line, ending with NULL.  0 or negative errno. */
int bench_try(struct bench *b, const char *first, ...) __attribute__((sentinel));
/* The same, and it must work. */
void bench_start(struct bench *b, const char *first, ...) __attribute__((sentinel));
void bench_stop(struct bench *b);

/* A temporary image whose sector n begins with the number n; b->image names it. */
void bench_image(struct bench *b, unsigned sectors);

#include "tests/unit-devices/ports.h"

uint32_t cfg_read(struct bench *b, unsigned slot, unsigned fn, unsigned reg,
                  unsigned size);
void cfg_write(struct bench *b, unsigned slot, unsigned fn, unsigned reg, unsigned size,
               uint32_t value);
void mem_put(struct bench *b, uint64_t gpa, const void *data, size_t bytes);
void mem_get(struct bench *b, uint64_t gpa, void *data, size_t bytes);
bool irq_is_up(const struct bench *b, unsigned irq);
/* Let the main loop run until the condition holds (a minute at most). */
#define WAIT_FOR(b, condition)                                                           \
    do {                                                                                 \
        for (int turns_ = 0; !(condition); turns_++) {                                   \
            assert_true(turns_ < 60000);                                                 \
            bench_turn(b);                                                               \
        }                                                                                \
    } while (0)
void bench_turn(struct bench *b);
void bench_step(struct bench *b, int64_t ns); /* guest time passes */

#endif
