/* EPT entries for every type of page, by the tables of the Intel SDM vol 3, 29.3.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vmx/vmcs.h"
#include "lib/printk.h"

struct vmx_caps vmx_caps;
struct p2m_format p2m_format;

void printk(const char *format, ...)
{
}

/* The machine: write-combining at an address that is given, else uncached. */
static uint64_t combining;

uint8_t vmx_memtype(uint64_t maddr, uint64_t bytes)
{
    return combining >= maddr && combining < maddr + bytes;
}

#define READ   1ull
#define WRITE  2ull
#define EXEC   4ull
#define LARGE  0x80ull
#define TYPE_6 (6ull << 3)
#define PAGE   0x123456000ull

static int set_up(void **state)
{
    vmx_caps.ept_vpid = CAP_EPT_1G | CAP_EPT_AD;
    vmx_caps.exec_large = true;
    ept_init_format();
    return 0;
}

static uint64_t leaf(enum p2m_type type, unsigned int order, uint8_t memtype)
{
    return p2m_format.leaf(MFN(PAGE >> PAGE_SHIFT), type, order, memtype);
}

static void test_writable(void **state)
{
    static const enum p2m_type writable[] = {P2M_RAM_RW, P2M_MMIO_DIRECT, P2M_FOREIGN,
                                             P2M_GRANT_RW, P2M_SHARED};
    static const enum p2m_type read_only[] = {P2M_RAM_RO, P2M_GRANT_RO, P2M_IOREQ_WRITE};

    for (unsigned int i = 0; i < ARRAY_SIZE(writable); i++)
        assert_int_equal(leaf(writable[i], ORDER_4K, 6) & 7, READ | WRITE | EXEC);
    for (unsigned int i = 0; i < ARRAY_SIZE(read_only); i++)
        assert_int_equal(leaf(read_only[i], ORDER_4K, 6) & 7, READ | EXEC);
}

static void test_address_and_type(void **state)
{
    uint64_t ram = leaf(P2M_RAM_RW, ORDER_4K, 6),
             mmio = leaf(P2M_MMIO_DIRECT, ORDER_4K, 0);

    assert_int_equal(ram & 0xffffffffff000ull, PAGE);
    assert_int_equal(ram & 0x38, TYPE_6);
    assert_int_equal(mmio & 0x38, 0);
    combining = PAGE + 0x1ff000;
    assert_int_equal(leaf(P2M_MMIO_DIRECT, ORDER_4K, 6) & 0x38, 0);
    assert_int_equal(leaf(P2M_MMIO_DIRECT, ORDER_2M, 6) & 0x38, 1 << 3);
    assert_int_equal(leaf(P2M_RAM_RW, ORDER_2M, 6) & 0x38, TYPE_6);
    /* The guest's PAT has its say: "ignore PAT" is clear. */
    assert_int_equal((ram | mmio) & 0x40, 0);
    /* Bits 52 to 63 are the p2m's, or must be clear. */
    assert_int_equal(ram >> 52, 0);
}

static void test_large(void **state)
{
    assert_int_equal(leaf(P2M_RAM_RW, ORDER_4K, 6) & LARGE, 0);
    assert_int_equal(leaf(P2M_RAM_RW, ORDER_2M, 6) & LARGE, LARGE);
    assert_int_equal(leaf(P2M_RAM_RW, ORDER_1G, 6) & LARGE, LARGE);
    assert_int_equal(p2m_format.large_mask, LARGE);
}

/* The erratum of the page size change: code in small pages only, data as ever. */
static void test_no_code_in_large(void **state)
{
    vmx_caps.exec_large = false;
    assert_int_equal(leaf(P2M_RAM_RW, ORDER_4K, 6) & 7, READ | WRITE | EXEC);
    assert_int_equal(leaf(P2M_RAM_RW, ORDER_2M, 6) & 7, READ | WRITE);
    assert_int_equal(leaf(P2M_RAM_RW, ORDER_1G, 6) & 7, READ | WRITE);
}

/* In a table's entry bits 3 to 7 are reserved: a memory type there would misconfigure. */
static void test_table(void **state)
{
    uint64_t e = p2m_format.table(MFN(PAGE >> PAGE_SHIFT));

    assert_int_equal(e, PAGE | READ | WRITE | EXEC);
}

/* Present means any of the three rights; a dirty page says so in bit 9. */
static void test_masks(void **state)
{
    assert_int_equal(p2m_format.present_mask, 7);
    assert_int_equal(p2m_format.accessed_mask, 0x100);
    assert_int_equal(p2m_format.dirty_mask, 0x200);
    assert_true(leaf(P2M_RAM_RW, ORDER_4K, 6) & p2m_format.dirty_mask);
    assert_int_equal(leaf(P2M_RAM_LOGDIRTY, ORDER_4K, 6) & (7 | p2m_format.dirty_mask),
                     READ | WRITE | EXEC);
}

static void test_capabilities(void **state)
{
    assert_true(p2m_format.has_1g);
    assert_int_equal(ept_pointer(PAGE), PAGE | 6 | 3 << 3 | 0x40);
    vmx_caps.ept_vpid = 0;
    ept_init_format();
    assert_false(p2m_format.has_1g);
    assert_int_equal(p2m_format.dirty_mask, 0);
    assert_int_equal(leaf(P2M_RAM_LOGDIRTY, ORDER_4K, 6) & 7, READ | EXEC);
    assert_int_equal(ept_pointer(PAGE), PAGE | 6 | 3 << 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_writable, set_up),
        cmocka_unit_test_setup(test_address_and_type, set_up),
        cmocka_unit_test_setup(test_large, set_up),
        cmocka_unit_test_setup(test_no_code_in_large, set_up),
        cmocka_unit_test_setup(test_table, set_up),
        cmocka_unit_test_setup(test_masks, set_up),
        cmocka_unit_test_setup(test_capabilities, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
