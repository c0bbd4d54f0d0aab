/* Arithmetic that C has no word for. SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORBEL_LIB_MATH_H
#define CORBEL_LIB_MATH_H

#include "lib/types.h"

/* a * b / c with a 128-bit product; all ones if the result has more than 64 bits. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t lo, hi;

    __asm__("mulq %3" : "=a"(lo), "=d"(hi) : "0"(a), "rm"(b) : "cc");
    if (hi >= c)
        return ~0ull;
    __asm__("divq %2" : "+a"(lo), "+d"(hi) : "rm"(c) : "cc");
    return lo;
}

#endif
