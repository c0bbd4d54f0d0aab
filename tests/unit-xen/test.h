/* What every test of this folder needs. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_XEN_TEST_H
#define TESTS_UNIT_XEN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* xorshift64*: the same numbers in every run. */
static inline uint64_t random64(void)
{
    static uint64_t s = 0x9e3779b97f4a7c15ull;

    s ^= s >> 12;
    s ^= s << 25;
    s ^= s >> 27;
    return s * 0x2545f4914f6cdd1dull;
}

#endif
