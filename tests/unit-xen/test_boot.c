/* What the boot loader and the firmware say: options, memory map, Multiboot 2, ACPI.
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test.h"
#include "boot/acpi_tables.h"
#include "boot/multiboot.h"
#include "boot/options.h"
#include "lib/printk.h"
#include "mm/frame.h"

void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
}
void printk(const char *format, ...)
{
}
uint64_t virt_to_maddr(const void *p)
{
    return (uintptr_t)p;
}

/* The end of the hypervisor's own table of options, which this program does not have. */
const struct option options_start[1], options_end[1];

/* Firmware's memory: tables of the tests lie at their own addresses; low memory is zero.
 */
const void *acpi_map(uint64_t maddr, size_t bytes)
{
    static const uint8_t zero[1 << 20];

    return maddr < sizeof(zero) ? zero + maddr : (const void *)maddr;
}

/* ---- Options ---- */

static bool flag;
static unsigned int number;
static uint64_t size;
static char text[8], custom[32];
static unsigned int complaints;
static char complaint[64];

static int parse_custom(const char *val)
{
    strcpy(custom, val);
    return strcmp(val, "bad") ? 0 : -EINVAL;
}
static void complain(const char *what, const char *why)
{
    complaints++;
    snprintf(complaint, sizeof(complaint), "%s", what);
}

static const struct option table[] = {
    {"flag", OPTION_BOOL, &flag, 0, NULL, ""},
    {"number", OPTION_UINT, &number, 0, NULL, ""},
    {"size", OPTION_SIZE, &size, 0, NULL, ""},
    {"text", OPTION_STRING, text, sizeof(text), NULL, ""},
    {"custom", OPTION_CUSTOM, NULL, 0, parse_custom, ""},
};

static unsigned int parse(const char *line)
{
    complaints = 0;
    options_parse_table(line, table, table + ARRAY_SIZE(table), complain);
    return complaints;
}

static void test_options(void **state)
{
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("  flag   number=7 size=64M text=abc custom=x,y "), 0);
    assert_true(flag);
    assert_int_equal(number, 7);
    assert_int_equal(size, 64 << 20);
    assert_string_equal(text, "abc");
    assert_string_equal(custom, "x,y");
    assert_int_equal(parse("no-flag number=0x10 size=3"), 0);
    assert_false(flag);
    assert_int_equal(number, 16);
    assert_int_equal(size, 3);
    assert_int_equal(parse("flag=yes"), 0);
    assert_true(flag);
    assert_int_equal(parse("flag=off custom"), 0);
    assert_false(flag);
    assert_string_equal(custom, "");
    assert_int_equal(parse("text=\"a b\" custom='c d'"), 0);
    assert_string_equal(text, "a b");
    assert_string_equal(custom, "c d");
}

static void test_bad_options(void **state)
{
    static const char *const bad[] = {
        "unknown",  "unknown=3",  "flag=maybe",     "number",
        "number=x", "number=3x",  "number=-1",      "number=4294967296",
        "size=1Q",  "size=M",     "size=99999999T", "text=12345678",
        "text",     "custom=bad", "no-number=1",    "no-number",
    };

    number = 5;
    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(parse(bad[i]), 1);
        assert_string_equal(complaint, bad[i]);
    }
    assert_int_equal(number, 5);
    assert_int_equal(parse("a b flag c"), 3);
}

static void test_long_words(void **state)
{
    static char line[5000];

    memset(line, 'x', sizeof(line) - 1);
    assert_int_equal(parse(line), 1);
    memset(line, '"', sizeof(line) - 1);
    parse(line);
}

/* ---- Memory map ---- */

static void test_e820(void **state)
{
    struct e820_entry map[BOOT_E820_MAX] = {
        {0x100000, 0x7f00000, E820_RAM},    /* overlapped in the middle and at the end */
        {0x0, 0x9fc00, E820_RAM},           /* out of order */
        {0x2000000, 0x1000, E820_RESERVED}, /* a hole in RAM */
        {0x7000000, 0x2000000, E820_ACPI},  /* over the end */
        {0x5000, 0, E820_RESERVED},         /* nothing */
        {0x9000000, 0x1000, E820_RAM},      /* two neighbours */
        {0x9001000, 0x1000, E820_RAM},
        {0xfffffffffffff000, 0x2000, E820_RESERVED}, /* beyond all addresses */
    };
    static const struct e820_entry want[] = {
        {0x0, 0x9fc00, E820_RAM},           {0x100000, 0x1f00000, E820_RAM},
        {0x2000000, 0x1000, E820_RESERVED}, {0x2001000, 0x4fff000, E820_RAM},
        {0x7000000, 0x2000000, E820_ACPI},  {0x9000000, 0x2000, E820_RAM},
    };
    unsigned int n = e820_sanitize(map, 8, BOOT_E820_MAX);

    assert_int_equal(n, ARRAY_SIZE(want));
    assert_memory_equal(map, want, sizeof(want));
}

/* Against a map by pages. */
static void test_e820_random(void **state)
{
    for (int round = 0; round < 300; round++) {
        struct e820_entry map[BOOT_E820_MAX];
        uint8_t type[256] = {0};
        unsigned int n = 1 + random64() % 40, out;
        uint64_t end = 0;

        for (unsigned int i = 0; i < n; i++) {
            uint64_t start = random64() % 200, pages = random64() % 56;

            map[i] = (struct e820_entry){start * 4096, pages * 4096,
                                         (uint32_t)(1 + random64() % 5)};
            for (uint64_t k = start; k < start + pages; k++)
                type[k] = (uint8_t)max((uint32_t)type[k], map[i].type);
        }
        out = e820_sanitize(map, n, BOOT_E820_MAX);
        for (unsigned int i = 0; i < out; i++) {
            assert_true(map[i].addr >= end && map[i].size);
            for (uint64_t k = end / 4096; k < map[i].addr / 4096; k++)
                assert_int_equal(type[k], 0);
            end = map[i].addr + map[i].size;
            for (uint64_t k = map[i].addr / 4096; k < end / 4096; k++)
                assert_int_equal(type[k], map[i].type);
        }
        for (uint64_t k = end / 4096; k < 256; k++)
            assert_int_equal(type[k], 0);
    }
}

static void test_early_mem(void **state)
{
    uint64_t a, b, start, end;

    boot_info.e820_count = 3;
    boot_info.e820[0] = (struct e820_entry){0, 0x9f000, E820_RAM};
    boot_info.e820[1] = (struct e820_entry){MB(1), MB(63), E820_RAM};
    boot_info.e820[2] = (struct e820_entry){GB(4), MB(16), E820_RAM};
    early_reserve(MB(60), MB(2)); /* in the middle of the upper part */
    a = early_alloc(MB(2), MB(2));
    assert_int_equal(a, MB(62));
    b = early_alloc(MB(4), MB(2));
    assert_int_equal(b, MB(56));
    assert_int_equal(early_try_alloc(MB(8), PAGE_SIZE, ~0ull), GB(4) + MB(8));
    assert_int_equal(early_try_alloc(MB(100), PAGE_SIZE, ~0ull), 0);
    assert_true(early_next_reserved(MB(57), &start, &end));
    assert_int_equal(start, MB(56));
    early_unreserve(MB(60), MB(2));
    assert_int_equal(early_alloc(MB(2), MB(2)), MB(60));
    while (early_try_alloc(MB(4), PAGE_SIZE, GB(4)))
        ;
    /* Never below 1 MiB. */
    assert_int_equal(early_try_alloc(MB(4), PAGE_SIZE, GB(4)), 0);
}

/* ---- Multiboot 2 ---- */

static uint8_t mbi[4096] __aligned(8);

static void mbi_start(void)
{
    memset(mbi, 0, sizeof(mbi));
    *(uint32_t *)mbi = 8;
    memset(&boot_info, 0, sizeof(boot_info));
    memset(boot_rsdp_copy, 0, sizeof(boot_rsdp_copy));
}

static void mbi_tag(uint32_t type, const void *data, uint32_t bytes)
{
    uint32_t *total = (uint32_t *)mbi;
    uint32_t head[2] = {type, bytes + 8};

    memcpy(mbi + *total, head, 8);
    memcpy(mbi + *total + 8, data, bytes);
    *total = ALIGN_UP(*total + bytes + 8, 8u);
}

static void test_mb2(void **state)
{
    static const struct {
        uint32_t size, version;
        uint64_t e[2][3];
    } mmap = {24, 0, {{0x100000, 0x100000, 1}, {0, 0x9f000, 1}}};
    static const struct {
        uint32_t start, end;
        char text[24];
    } mod = {0x300000, 0x345678, "placeholder console=hvc0"};
    char modtag[33];

    mbi_start();
    mbi_tag(1, "placeholder com1=9600 x", 24);
    mbi_tag(2, "GRUB 2.06", 10);
    memcpy(modtag, &mod, 32);
    modtag[32] = 0;
    mbi_tag(3, modtag, 33);
    mbi_tag(6, &mmap, sizeof(mmap));
    mbi_tag(14, "RSD PTR 123456789012", 20);
    mbi_tag(0, "", 0);
    assert_int_equal(mb2_parse(mbi, &boot_info), 0);
    assert_string_equal(boot_info.loader, "GRUB 2.06");
    assert_string_equal(boot_info.cmdline, "com1=9600 x");
    assert_int_equal(boot_info.module_count, 1);
    assert_int_equal(boot_info.modules[0].maddr, 0x300000);
    assert_int_equal(boot_info.modules[0].bytes, 0x45678);
    assert_string_equal(boot_info.modules[0].cmdline, "console=hvc0");
    assert_int_equal(boot_info.e820_count, 2);
    assert_memory_equal(boot_rsdp_copy, "RSD PTR 123456789012", 20);
}

/* A loader that passes the name of the file in front. */
static void test_mb2_names(void **state)
{
    mbi_start();
    mbi_tag(1, "/boot/corbel  a=b c", 20);
    mbi_tag(2, "iPXE 1.21", 10);
    mb2_parse(mbi, &boot_info);
    assert_string_equal(boot_info.cmdline, "a=b c");
}

static void test_mb2_damaged(void **state)
{
    for (int i = 0; i < 20000; i++) {
        uint8_t *copy;
        uint32_t total;

        mbi_start();
        for (int t = 0; t < 12; t++) {
            uint8_t data[64];
            static const uint8_t types[] = {1, 2, 3, 6, 8, 12, 14, 15, 17};

            for (unsigned int k = 0; k < sizeof(data); k++)
                data[k] = random64() % 4 ? 0 : (uint8_t)random64();
            mbi_tag(types[random64() % 9], data, random64() % 64);
        }
        total = *(uint32_t *)mbi;
        for (int k = 0; k < 4; k++)
            mbi[8 + random64() % (total - 8)] = (uint8_t)random64();
        copy = aligned_alloc(8, total);
        memcpy(copy, mbi, total);
        mb2_parse(copy, &boot_info);
        assert_true(boot_info.module_count <= BOOT_MODULES_MAX);
        assert_true(boot_info.e820_count <= BOOT_E820_MAX);
        free(copy);
    }
}

/* ---- ACPI ---- */

static void fix_sum(uint8_t *p, size_t n, uint8_t *sum)
{
    uint8_t s = 0;

    *sum = 0;
    for (size_t i = 0; i < n; i++)
        s = (uint8_t)(s + p[i]);
    *sum = (uint8_t)-s;
}

static void header(void *p, const char *sig, uint32_t length)
{
    struct acpi_header *h = p;

    memcpy(h->signature, sig, 4);
    h->length = length;
    fix_sum(p, length, &h->checksum);
}

static uint8_t madt[256], fadt[sizeof(struct acpi_fadt)], dsdt[128], rsdt[64], hpet[64];
static struct acpi_rsdp rsdp;

/* Tables must be where 32-bit pointers reach, so the tests use the XSDT. */
static void make_tables(void)
{
    static const uint8_t entries[] = {
        0, 8,  0, 0, 1, 0, 0,    0,                               /* CPU, APIC id 0 */
        0, 8,  1, 2, 0, 0, 0,    0,                               /* not enabled */
        0, 8,  2, 4, 1, 0, 0,    0,                               /* APIC id 4 */
        9, 16, 0, 0, 0, 1, 0,    0,    1,    0, 0, 0, 9, 0, 0, 0, /* x2APIC id 256 */
        1, 12, 3, 0, 0, 0, 0xc0, 0xfe, 0,    0, 0, 0,             /* I/O APIC */
        2, 10, 0, 0, 2, 0, 0,    0,    0x0d, 0,                   /* IRQ 0 to 2 */
        7, 2,  1, 0,                                              /* too short: end */
    };
    static const uint8_t s5[] = {0x10, 0x20, 0x08, '_',  'S',  '5',  '_',  0x12,
                                 0x06, 0x04, 0x0a, 0x05, 0x0a, 0x03, 0x00, 0x00};
    struct acpi_madt *m = (struct acpi_madt *)madt;
    struct acpi_fadt *f = (struct acpi_fadt *)fadt;
    uint64_t *pointer = (uint64_t *)(rsdt + 36);
    uint64_t tables[] = {(uintptr_t)madt, (uintptr_t)fadt, (uintptr_t)hpet};

    memset(&acpi, 0, sizeof(acpi));
    m->lapic_address = 0xfee00000;
    memcpy(madt + sizeof(*m), entries, sizeof(entries));
    header(madt, "APIC", sizeof(*m) + sizeof(entries));
    memcpy(dsdt + 36, s5, sizeof(s5));
    header(dsdt, "DSDT", sizeof(dsdt));
    f->pm_timer = 0x608;
    f->pm_timer_length = 4;
    f->flags = FADT_TMR_VAL_EXT | FADT_RESET_REG;
    f->pm1a_cnt = 0x604;
    f->reset.space = 1;
    f->reset.address = 0xcf9;
    f->reset_value = 0xf;
    f->x_dsdt = (uintptr_t)dsdt;
    header(fadt, "FACP", sizeof(fadt));
    ((struct acpi_hpet *)hpet)->address.address = 0xfed00000;
    header(hpet, "HPET", sizeof(struct acpi_hpet));
    memcpy(pointer, tables, sizeof(tables));
    header(rsdt, "XSDT", 36 + sizeof(tables));
    memset(&rsdp, 0, sizeof(rsdp));
    memcpy(rsdp.signature, "RSD PTR ", 8);
    rsdp.revision = 2;
    rsdp.length = sizeof(rsdp);
    rsdp.xsdt = (uintptr_t)rsdt;
    fix_sum((uint8_t *)&rsdp, 20, &rsdp.checksum);
    fix_sum((uint8_t *)&rsdp, sizeof(rsdp), &rsdp.checksum2);
    boot_info.rsdp = (uintptr_t)&rsdp;
}

static void test_acpi(void **state)
{
    make_tables();
    acpi_init();
    assert_int_equal(acpi.rsdp, (uintptr_t)&rsdp);
    assert_int_equal(acpi.cpu_count, 3);
    assert_int_equal(acpi.cpu[1].apic_id, 4);
    assert_int_equal(acpi.cpu[1].acpi_id, 2);
    assert_int_equal(acpi.cpu[2].apic_id, 256);
    assert_int_equal(acpi.cpu[2].acpi_id, 9);
    assert_int_equal(acpi.lapic_base, 0xfee00000);
    assert_int_equal(acpi.ioapic_count, 1);
    assert_int_equal(acpi.ioapic[0].maddr, 0xfec00000);
    assert_int_equal(acpi.override_count, 1);
    assert_int_equal(acpi.override[0].gsi, 2);
    assert_int_equal(acpi.pm_timer_port, 0x608);
    assert_true(acpi.pm_timer_32bit);
    assert_int_equal(acpi.pm1a_cnt, 0x604);
    assert_int_equal(acpi.reset_addr, 0xcf9);
    assert_int_equal(acpi.s5_slp_typ[0], 5);
    assert_int_equal(acpi.s5_slp_typ[1], 3);
    assert_int_equal(acpi.hpet, 0xfed00000);
    assert_ptr_equal(acpi_find_table("APIC", 0), madt);
    assert_null(acpi_find_table("APIC", 1));
    assert_null(acpi_find_table("SSDT", 0));
}

static void test_madt_damaged(void **state)
{
    for (int i = 0; i < 20000; i++) {
        uint32_t n = (uint32_t)(sizeof(struct acpi_madt) + random64() % 120);
        uint8_t *copy = malloc(n);

        memset(&acpi, 0, sizeof(acpi));
        memcpy(copy, madt, n);
        for (uint32_t k = sizeof(struct acpi_header); k < n; k++) {
            if (random64() % 8 == 0)
                copy[k] = (uint8_t)(random64() % 16);
        }
        ((struct acpi_header *)copy)->length = n;
        acpi_parse_madt(copy);
        free(copy);
    }
}

static void test_s5_damaged(void **state)
{
    uint8_t typ[2];

    for (int i = 0; i < 20000; i++) {
        size_t n = 1 + random64() % 40;
        uint8_t *aml = malloc(n);

        for (size_t k = 0; k < n; k++)
            aml[k] = (uint8_t)random64();
        for (int k = 0; k < 3 && n > 8; k++)
            memcpy(aml + random64() % (n - 7), "\x08_S5_\x12", 6);
        acpi_parse_s5(aml, n, typ);
        free(aml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),      cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_long_words),   cmocka_unit_test(test_e820),
        cmocka_unit_test(test_e820_random),  cmocka_unit_test(test_early_mem),
        cmocka_unit_test(test_mb2),          cmocka_unit_test(test_mb2_names),
        cmocka_unit_test(test_mb2_damaged),  cmocka_unit_test(test_acpi),
        cmocka_unit_test(test_madt_damaged), cmocka_unit_test(test_s5_damaged),
    };

    return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
