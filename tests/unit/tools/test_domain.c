/*
 * The pure parts of the domain builder: RAM layout, extents, the first vCPU's state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../../firmware/layout.h"
#include "../../../tools/lib/domain.h"
#include <xen/hvm/save.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static uint64_t ram_frames(const struct ram_range *r, unsigned n)
{
    uint64_t frames = 0;

    for (unsigned i = 0; i < n; i++) {
        assert_true(r[i].end > r[i].first);
        if (i)
            assert_true(r[i].first >= r[i - 1].end);
        frames += r[i].end - r[i].first;
    }
    return frames;
}

/* All of the RAM that was asked for, but for the window of the VGA, and none in the hole.
 */
static void layout_has_all_ram(void **state)
{
    static const uint64_t sizes[] = {4 * MIB,       64 * MIB,          512 * MIB,
                                     3 * GIB - MIB, 3 * GIB,           3 * GIB + MIB,
                                     4 * GIB,       5 * GIB + 7 * MIB, 64 * GIB};
    struct ram_range r[RAM_RANGES];

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned n = ram_layout(sizes[i], r);
        uint64_t vga = (LAYOUT_VGA_END - LAYOUT_VGA_BASE) >> 12;
        assert_int_equal(ram_frames(r, n), (sizes[i] >> 12) - vga);
        assert_int_equal(n, sizes[i] > LAYOUT_LOW_RAM_MAX ? 3 : 2);
        assert_true(r[1].end <= LAYOUT_LOW_RAM_MAX >> 12);
        if (n == 3)
            assert_int_equal(r[2].first, LAYOUT_HIGH_RAM_BASE >> 12);
    }
}

/* Runs cover a range exactly, are aligned, and no smaller size is used than has to be. */
static void check_runs(uint64_t first, uint64_t end)
{
    uint64_t at = first;

    while (at < end) {
        unsigned order;
        uint64_t extents = ram_run(at, end, &order);
        assert_true(order == 0 || order == 9 || order == 18);
        assert_true(extents > 0);
        assert_int_equal(at % (1ull << order), 0);
        uint64_t next = at + (extents << order);
        assert_true(next <= end);
        if (order == 0) {
            /* No whole 2 MiB page lies inside of a run of small ones. */
            uint64_t border = (at + 511) & ~511ull;
            assert_true(border + 512 > next);
        }
        at = next;
    }
    assert_int_equal(at, end);
}

static void runs_cover_ranges(void **state)
{
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t first = (uint64_t)rand() % (1 << 20);
        uint64_t length = (uint64_t)rand() % (i % 2 ? 3000 : 1 << 20) + 1;
        check_runs(first, first + length);
    }
    check_runs(0, 0xa0);
    check_runs(0xc0, 0xc0000);
    check_runs(1 << 20, (1 << 20) + (5 << 18));
}

static void big_pages_where_possible(void **state)
{
    unsigned order;

    assert_int_equal(ram_run(1 << 20, (1 << 20) + (2 << 18), &order), 2);
    assert_int_equal(order, 18);
    assert_int_equal(ram_run(512, 512 * 4, &order), 3);
    assert_int_equal(order, 9);
    assert_int_equal(ram_run(0xc0, 512 * 4, &order), 512 - 0xc0);
    assert_int_equal(order, 0);
}

static void reset_state_is_a_stream(void **state)
{
    struct hvm_save_header header = {.magic = HVM_FILE_MAGIC,
                                     .version = HVM_FILE_VERSION};
    struct hvm_save_descriptor d;
    struct hvm_hw_cpu cpu;
    uint8_t stream[4096];

    int n = cpustate_reset(&header, stream, sizeof(stream));
    assert_true(n > 0);
    memcpy(&d, stream, sizeof(d));
    assert_int_equal(d.typecode, HVM_SAVE_CODE(HEADER));
    assert_int_equal(d.length, sizeof(header));
    assert_memory_equal(stream + sizeof(d), &header, sizeof(header));
    size_t at = sizeof(d) + d.length;
    memcpy(&d, stream + at, sizeof(d));
    assert_int_equal(d.typecode, HVM_SAVE_CODE(CPU));
    assert_int_equal(d.length, sizeof(cpu));
    assert_int_equal(d.instance, 0);
    memcpy(&cpu, stream + at + sizeof(d), sizeof(cpu));
    at += sizeof(d) + d.length;
    memcpy(&d, stream + at, sizeof(d));
    assert_int_equal(d.typecode, HVM_SAVE_CODE(END));
    assert_int_equal(at + sizeof(d), n);

    /* The first instruction is at 0xfffffff0, in real mode, interrupts off. */
    assert_int_equal(cpu.cs_base + cpu.rip, 0xfffffff0);
    assert_int_equal(cpu.cs_sel, 0xf000);
    assert_int_equal(cpu.cr0 & 0x80000001, 0);
    assert_int_equal(cpu.rflags, 2);
    assert_int_equal(cpu.msr_efer, 0);
    assert_int_equal(cpu.tr_arbytes & 0x8f, 0x8b);
}

static void reset_state_needs_room(void **state)
{
    struct hvm_save_header header = {0};
    uint8_t stream[128];

    assert_int_equal(cpustate_reset(&header, stream, sizeof(stream)), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_has_all_ram),
        cmocka_unit_test(runs_cover_ranges),
        cmocka_unit_test(big_pages_where_possible),
        cmocka_unit_test(reset_state_is_a_stream),
        cmocka_unit_test(reset_state_needs_room),
    };

    return cmocka_run_group_tests_name("tools: domain", tests, NULL, NULL);
}
