/*
 * Port accesses of a test program that is a whole machine. Whoever includes this has a
 * `struct bench` with the machine as its member `m`.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_DEVICES_PORTS_H
#define TESTS_UNIT_DEVICES_PORTS_H

#include "devmodel/machine.h"

static inline uint8_t in8(struct bench *b, uint16_t port)
{
    return (uint8_t)io_read(b->m, IO_PORT, port, 1);
}

static inline uint16_t in16(struct bench *b, uint16_t port)
{
    return (uint16_t)io_read(b->m, IO_PORT, port, 2);
}

static inline uint32_t in32(struct bench *b, uint16_t port)
{
    return (uint32_t)io_read(b->m, IO_PORT, port, 4);
}

static inline void out8(struct bench *b, uint16_t port, uint8_t value)
{
    io_write(b->m, IO_PORT, port, 1, value);
}

static inline void out16(struct bench *b, uint16_t port, uint16_t value)
{
    io_write(b->m, IO_PORT, port, 2, value);
}

static inline void out32(struct bench *b, uint16_t port, uint32_t value)
{
    io_write(b->m, IO_PORT, port, 4, value);
}

#endif
