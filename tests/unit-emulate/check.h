/* What the directed tests of the emulator share: running given bytes on the test machine.
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_EMULATE_CHECK_H
#define TESTS_UNIT_EMULATE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "machine.h"

enum { UD = 6, NM = 7, TS = 10, NP = 11, SS = 12, GP = 13, PF = 14 };

/* A machine with 64 KiB at linear 0 (real mode) or 0x10000; page 12 is a hole, page 13
 * read-only.  Code goes to its start, the stack pointer to 0x8000 above it. */
struct machine *check_machine(unsigned int bits);

/* Run one instruction, given as its bytes, at the current CS:RIP. */
int check_run(struct machine *m, const uint8_t *bytes, unsigned int n);
#define RUN(m, ...)                                                                      \
    check_run(m, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Assert a hardware exception with an error code (-1: none), registers untouched. */
void check_fault(struct machine *m, const uint8_t *bytes, unsigned int n,
                 unsigned int vector, int error);
#define FAULT(m, vector, error, ...)                                                     \
    check_fault(m, (const uint8_t[]){__VA_ARGS__},                                       \
                sizeof((const uint8_t[]){__VA_ARGS__}), vector, error)

/* Assert success and where RIP went, relative to where it was. */
#define OKAY(m, ...) assert_int_equal(RUN(m, __VA_ARGS__), EMUL_OKAY)

static inline uint64_t peek(const struct machine *m, uint64_t off, unsigned int bytes)
{
    uint64_t v = 0;

    memcpy(&v, m->mem + off, bytes);
    return v;
}

static inline void poke(struct machine *m, uint64_t off, unsigned int bytes, uint64_t v)
{
    memcpy(m->mem + off, &v, bytes);
}

extern const struct CMUnitTest system_tests[], modes_tests[], insn_len_tests[];
extern const size_t system_count, modes_count, insn_len_count;

#endif
