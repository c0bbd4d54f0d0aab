/*
 * What firmware is told: fw_cfg through ports and DMA, e820, boot order, SMBIOS, and the
 * ACPI tables as firmware places them (loader script run, sums checked, AML disassembled
 * by iasl).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit-devmodel/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITEM_MOST 65536

static size_t find_file(struct bench *b, const char *name, uint16_t *key)
{
    out16(b, 0x510, 0x19);
    uint32_t count = 0;
    for (unsigned i = 0; i < 4; i++)
        count = count << 8 | in8(b, 0x511);
    for (uint32_t n = 0; n < count; n++) {
        uint8_t entry[64];
        for (unsigned i = 0; i < sizeof(entry); i++)
            entry[i] = in8(b, 0x511);
        if (strcmp((char *)entry + 8, name) == 0) {
            *key = load_be16(entry + 4);
            return load_be32(entry);
        }
    }
    return 0;
}

/* Read a file by DMA. */
static size_t read_file(struct bench *b, const char *name, uint8_t *data)
{
    uint16_t key;
    size_t bytes = find_file(b, name, &key);
    uint8_t request[16];

    assert_true(bytes && bytes <= ITEM_MOST);
    store_be32(request, (uint32_t)key << 16 | 8 | 2); /* select, read */
    store_be32(request + 4, (uint32_t)bytes);
    store_be64(request + 8, 0x200000);
    mem_put(b, 0x100000, request, sizeof(request));
    out32(b, 0x514, 0);
    out32(b, 0x518, __builtin_bswap32(0x100000));
    mem_get(b, 0x100000, request, 4);
    assert_int_equal(load_be32(request), 0);
    mem_get(b, 0x200000, data, bytes);
    return bytes;
}

static void test_fw_cfg(void **state)
{
    struct bench b = {.image = ""};
    uint8_t data[ITEM_MOST], request[16];
    uint16_t key;

    bench_start(&b, "-nodefaults", "-fw_cfg", "opt/a,string=hello", NULL);
    out16(&b, 0x510, 0);
    assert_int_equal(in8(&b, 0x511), 'Q');
    assert_int_equal(in8(&b, 0x511), 'E');
    assert_int_equal(in32(&b, 0x514), 0x554d4551);
    assert_int_equal(in32(&b, 0x518), 0x47464320);
    assert_int_equal(read_file(&b, "opt/a", data), 5);
    assert_memory_equal(data, "hello", 5);
    /* Behind the end there are zeroes; skipping works; writing is refused. */
    find_file(&b, "opt/a", &key);
    store_be32(request, (uint32_t)key << 16 | 8 | 4);
    store_be32(request + 4, 4);
    mem_put(&b, 0x100000, request, sizeof(request));
    out32(&b, 0x518, __builtin_bswap32(0x100000));
    assert_int_equal(in8(&b, 0x511), 'o');
    assert_int_equal(in8(&b, 0x511), 0);
    store_be32(request, 16);
    mem_put(&b, 0x100000, request, sizeof(request));
    out32(&b, 0x518, __builtin_bswap32(0x100000));
    mem_get(&b, 0x100000, request, 4);
    assert_int_equal(load_be32(request), 1);
    /* 4 GiB to where no memory is: an error, and soon. */
    store_be32(request, (uint32_t)key << 16 | 8 | 2);
    store_be32(request + 4, 0xffffffff);
    store_be64(request + 8, 0xf0000000);
    mem_put(&b, 0x100000, request, sizeof(request));
    out32(&b, 0x518, __builtin_bswap32(0x100000));
    mem_get(&b, 0x100000, request, 4);
    assert_int_equal(load_be32(request), 1);
    out32(&b, 0x514, 0xffffffff);
    out32(&b, 0x518, 0xffffffff);
    bench_stop(&b);
}

static void test_memory_map(void **state)
{
    struct bench b = {.image = ""};
    uint8_t map[ITEM_MOST];

    bench_start(&b, "-nodefaults", "-m", "5G", NULL);
    assert_int_equal(read_file(&b, "etc/e820", map), 60);
    assert_int_equal(load_le64(map), 0);
    assert_int_equal(load_le64(map + 8), 0xc0000000);
    assert_int_equal(load_le32(map + 36), 2);
    assert_int_equal(load_le64(map + 40), 1ull << 32);
    assert_int_equal(load_le64(map + 48), 2ull << 30);
    bench_stop(&b);
}

static void test_boot_order(void **state)
{
    struct bench b = {.image = ""};
    uint8_t text[ITEM_MOST];

    bench_start(&b, "-nodefaults", "-boot", "order=dc", "-drive",
                "file=null-co://,if=ide,id=x", "-device", "ide-cd,bus=ide.1", "-drive",
                "file=null-co://,if=none,id=y", "-device",
                "ide-hd,drive=y,bus=ide.1,unit=1,bootindex=5", NULL);
    size_t bytes = read_file(&b, "bootorder", text);
    assert_int_equal(text[bytes - 1], 0);
    assert_string_equal((char *)text, "/pci@i0cf8/ide@1,1/drive@1/disk@1\n"
                                      "/pci@i0cf8/ide@1,1/drive@1/disk@0\n"
                                      "/pci@i0cf8/ide@1,1/drive@0/disk@0\n");
    bench_stop(&b);
}

/* ---- a kernel without a boot loader -------------------------------------------------
 */

#define SETUP_BYTES  (3 * 512u)
#define KERNEL_BYTES 5000u
#define INITRD_BYTES 6000u

static const char *temporary(const char *name, const void *data, size_t bytes)
{
    static char path[2][64];
    static unsigned made;
    char *p = path[made++ % 2];

    snprintf(p, sizeof(path[0]), "/tmp/corbel-%d-%s", getpid(), name);
    FILE *f = fopen(p, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
    return p;
}

/* An item by its key, through the data port. */
static uint32_t key_u32(struct bench *b, uint16_t key)
{
    uint8_t value[4];

    out16(b, 0x510, key);
    for (unsigned i = 0; i < 4; i++)
        value[i] = in8(b, 0x511);
    return load_le32(value);
}

/* A machine that is not made, with this error. */
#define refused(b, error, ...)                                                           \
    do {                                                                                 \
        assert_int_equal(bench_try(b, __VA_ARGS__, NULL), error);                        \
        bench_stop(b);                                                                   \
    } while (0)

static void test_kernel(void **state)
{
    struct bench b = {.image = ""};
    static uint8_t kernel[SETUP_BYTES + KERNEL_BYTES], initrd[INITRD_BYTES];
    uint8_t text[ITEM_MOST], setup[SETUP_BYTES];

    kernel[0x1f1] = 2;
    memcpy(kernel + 0x202, "HdrS", 4);
    store_le16(kernel + 0x206, 0x20f);
    kernel[0x211] = 1;
    store_le32(kernel + 0x22c, 0x7fffffff);
    store_le32(kernel + 0x238, 2047);
    for (unsigned i = SETUP_BYTES; i < sizeof(kernel); i++)
        kernel[i] = (uint8_t)(i * 3);
    const char *k = temporary("kernel", kernel, sizeof(kernel));
    const char *i = temporary("initrd", initrd, sizeof(initrd));
    bench_start(&b, "-nodefaults", "-m", "64", "-boot", "order=c", "-drive",
                "file=null-co://,if=ide,id=x", "-kernel", k, "-initrd", i, "-append",
                "console=ttyS0", NULL);
    assert_int_equal(key_u32(&b, 0x08), KERNEL_BYTES);
    assert_int_equal(key_u32(&b, 0x07), 0x100000);
    assert_int_equal(key_u32(&b, 0x17), SETUP_BYTES);
    assert_int_equal(key_u32(&b, 0x14), 14);
    assert_int_equal(key_u32(&b, 0x0b), INITRD_BYTES);
    uint32_t at = key_u32(&b, 0x0a);
    assert_int_equal(at % 4096, 0);
    assert_true(at + INITRD_BYTES <= 64 << 20 && at > 62 << 20);
    out16(&b, 0x510, 0x18);
    for (unsigned n = 0; n < sizeof(setup); n++)
        setup[n] = in8(&b, 0x511);
    assert_int_equal(load_le32(setup + 0x218), at);
    assert_int_equal(load_le32(setup + 0x21c), INITRD_BYTES);
    assert_int_equal(load_le32(setup + 0x228), key_u32(&b, 0x13));
    assert_int_equal(setup[0x210] && setup[0x211] & 0x80, 1);
    out16(&b, 0x510, 0x15);
    for (unsigned n = 0; n < 14; n++)
        text[n] = in8(&b, 0x511);
    assert_string_equal((char *)text, "console=ttyS0");
    /* The option ROM comes before the disk. */
    assert_int_equal(read_file(&b, "genroms/linuxboot_dma.bin", text) % 512, 0);
    assert_int_equal(load_le16(text), 0xaa55);
    read_file(&b, "bootorder", text);
    assert_string_equal((char *)text, "/rom@genroms/linuxboot_dma.bin\n"
                                      "/pci@i0cf8/ide@1,1/drive@0/disk@0\n");
    bench_stop(&b);
    /* Under hvmloader there are no tables, but the kernel is there. */
    bench_start(&b, "-machine", "xenfv", "-nodefaults", "-m", "64", "-kernel", k, NULL);
    assert_int_equal(key_u32(&b, 0x00), 0x554d4551);
    assert_int_equal(key_u32(&b, 0x08), KERNEL_BYTES);
    assert_int_equal(key_u32(&b, 0x0b), 0);
    read_file(&b, "bootorder", text);
    assert_string_equal((char *)text, "/rom@genroms/linuxboot_dma.bin\n");
    bench_stop(&b);
    /* What is not a kernel, too much of it, or none. */
    refused(&b, -ENOEXEC, "-nodefaults", "-kernel", i);
    refused(&b, -EINVAL, "-nodefaults", "-initrd", i);
    refused(&b, -ENOENT, "-nodefaults", "-kernel", "/none");
    store_le32(kernel + 0x238, 10);
    k = temporary("kernel", kernel, sizeof(kernel));
    refused(&b, -E2BIG, "-nodefaults", "-kernel", k, "-append", "0123456789a");
    store_le32(kernel + 0x22c, 0x101000);
    k = temporary("kernel", kernel, sizeof(kernel));
    refused(&b, -ENOSPC, "-nodefaults", "-kernel", k, "-initrd", i);
    /* It unpacks itself to 16 MiB, and needs 40 MiB there. */
    store_le32(kernel + 0x238, 2047);
    store_le32(kernel + 0x22c, 0x7fffffff);
    store_le32(kernel + 0x258, 16 << 20);
    store_le32(kernel + 0x260, 40 << 20);
    k = temporary("kernel", kernel, sizeof(kernel));
    refused(&b, -ENOSPC, "-nodefaults", "-m", "48", "-kernel", k);
    refused(&b, -ENOSPC, "-nodefaults", "-m", "56", "-kernel", k);
    bench_start(&b, "-nodefaults", "-m", "58", "-kernel", k, "-initrd", i, NULL);
    assert_true(key_u32(&b, 0x0a) >= 56 << 20);
    bench_stop(&b);
    kernel[0x1f1] = 255;
    k = temporary("kernel", kernel, sizeof(kernel));
    refused(&b, -ENOEXEC, "-nodefaults", "-kernel", k);
    unlink(k);
    unlink(i);
}

static uint8_t sum(const uint8_t *data, size_t bytes)
{
    uint8_t s = 0;

    while (bytes--)
        s = (uint8_t)(s + *data++);
    return s;
}

static void test_smbios(void **state)
{
    struct bench b = {.image = ""};
    uint8_t anchor[ITEM_MOST], tables[ITEM_MOST];
    unsigned seen[128] = {0}, count = 0, largest = 0;

    bench_start(&b, "-nodefaults", "-smp", "3", "-uuid",
                "00112233-4455-6677-8899-aabbccddeeff", "-smbios", "type=1,serial=S-1",
                NULL);
    assert_int_equal(read_file(&b, "etc/smbios/smbios-anchor", anchor), 31);
    assert_int_equal(sum(anchor, 31), 0);
    assert_int_equal(sum(anchor + 16, 15), 0);
    size_t bytes = read_file(&b, "etc/smbios/smbios-tables", tables), at = 0;
    assert_int_equal(bytes, load_le16(anchor + 22));
    while (at + 4 <= bytes) {
        size_t start = at;
        unsigned type = tables[at];
        seen[type & 127]++;
        count++;
        if (type == 1) {
            assert_int_equal(tables[at + 8], 0x33);
            assert_int_equal(tables[at + 15], 0x66);
        }
        at += tables[at + 1];
        while (at + 1 < bytes && (tables[at] || tables[at + 1]))
            at++;
        at += 2;
        if (at - start > largest)
            largest = (unsigned)(at - start);
        if (type == 127)
            break;
    }
    assert_int_equal(at, bytes);
    assert_int_equal(count, load_le16(anchor + 28));
    assert_int_equal(largest, load_le16(anchor + 8));
    assert_int_equal(seen[4], 3);
    assert_int_equal(seen[0] && seen[1] && seen[3] && seen[16] && seen[17] && seen[19],
                     1);
    bench_stop(&b);
}

/* ---- ACPI ---------------------------------------------------------------------------
 */

#define TABLES_AT 0x7f000000u /* where the test's firmware puts them */
#define RSDP_AT   0x000f5000u

struct acpi {
    uint8_t tables[ITEM_MOST], rsdp[64];
    size_t bytes;
    unsigned allocated, pointers, sums;
};

static uint8_t *file_named(struct acpi *a, const uint8_t *name, uint32_t *base)
{
    bool rsdp = strcmp((const char *)name, "etc/acpi/rsdp") == 0;

    assert_true(rsdp || strcmp((const char *)name, "etc/acpi/tables") == 0);
    if (base)
        *base = rsdp ? RSDP_AT : TABLES_AT;
    return rsdp ? a->rsdp : a->tables;
}

static void run_entry(struct acpi *a, const uint8_t *e)
{
    uint32_t base;

    switch (load_le32(e)) {
    case 1:
        file_named(a, e + 4, NULL);
        a->allocated++;
        break;
    case 2: {
        uint8_t *at = file_named(a, e + 4, NULL) + load_le32(e + 116);
        file_named(a, e + 60, &base);
        assert_true(load_le32(at) < a->bytes);
        store_le32(at, load_le32(at) + base);
        a->pointers++;
        break;
    }
    case 3: {
        uint8_t *file = file_named(a, e + 4, NULL);
        uint8_t *result = file + load_le32(e + 60);
        *result = 0;
        *result = (uint8_t)-sum(file + load_le32(e + 64), load_le32(e + 68));
        a->sums++;
        break;
    }
    default:
        fail_msg("loader command %u", load_le32(e));
    }
}

static const uint8_t *table_at(struct acpi *a, uint32_t address)
{
    assert_true(address >= TABLES_AT && address - TABLES_AT + 36 <= a->bytes);
    const uint8_t *t = a->tables + (address - TABLES_AT);
    assert_true(address - TABLES_AT + load_le32(t + 4) <= a->bytes);
    assert_int_equal(sum(t, load_le32(t + 4)), 0);
    return t;
}

/* A file of ours with the table; returns its path, which the next call overwrites. */
static const char *table_file(const char *name)
{
    static char path[64];

    snprintf(path, sizeof(path), "/tmp/corbel-%d-%s.aml", getpid(), name);
    return path;
}

static void disassemble(const uint8_t *table, const char *name)
{
    const char *path = table_file(name);
    char command[400];

    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(table, 1, load_le32(table + 4), f), load_le32(table + 4));
    fclose(f);
    snprintf(command, sizeof(command),
             "iasl -p %s.out -d %s >%s.log 2>&1 && ! grep -i 'error' %s.log", path, path,
             path, path);
    int status = system(command);
    snprintf(command, sizeof(command), "rm -f %s.*", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(status, 0);
}

/* ACPICA, the interpreter that Linux has, loads both tables and executes what a kernel
 * asks them first (not _PRT, whose answer is too long for that program). */
static void execute(void)
{
    char command[600], paths[140];
    int n = snprintf(paths, sizeof(paths), "%s ", table_file("dsdt"));

    snprintf(paths + n, sizeof(paths) - (size_t)n, "%s", table_file("ssdt"));
    snprintf(command, sizeof(command),
             "acpiexec -b 'evaluate \\_SB.PCI0._CRS;"
             "evaluate \\_SB.LNKA._CRS;evaluate \\_SB.HPET._STA;"
             "evaluate \\_SB.PCI0.SNTF 0x80000034 3;evaluate \\_GPE._E01;"
             "evaluate \\_SB.PCI0.S1F._EJ0 1' %s >%s.log 2>&1 && "
             "test $(grep -c 'returned object' %s.log) = 3 && "
             "test $(grep -Ec 'Notify on .(S04|S05|S1F)_' %s.log) = 3 && "
             "! grep -E 'Error|Warning' %s.log",
             paths, table_file("dsdt"), table_file("dsdt"), table_file("dsdt"),
             table_file("dsdt"));
    int status = system(command);
    snprintf(command, sizeof(command), "rm -f %s %s.log", paths, table_file("dsdt"));
    assert_int_equal(system(command), 0);
    assert_int_equal(status, 0);
}

static void test_acpi(void **state)
{
    struct bench b = {.image = ""};
    struct acpi a = {.bytes = 0};
    uint8_t loader[ITEM_MOST];
    unsigned cpus = 0, seen = 0;

    bench_start(&b, "-smp", "32", NULL);
    a.bytes = read_file(&b, "etc/acpi/tables", a.tables);
    assert_int_equal(read_file(&b, "etc/acpi/rsdp", a.rsdp), 36);
    size_t bytes = read_file(&b, "etc/table-loader", loader);
    assert_int_equal(bytes % 128, 0);
    for (size_t at = 0; at < bytes; at += 128)
        run_entry(&a, loader + at);
    assert_int_equal(a.allocated, 2);
    assert_int_equal(sum(a.rsdp, 20), 0);
    assert_int_equal(sum(a.rsdp, 36), 0);
    const uint8_t *rsdt = table_at(&a, load_le32(a.rsdp + 16));
    const uint8_t *xsdt = table_at(&a, load_le32(a.rsdp + 24));
    assert_memory_equal(rsdt, "RSDT", 4);
    assert_memory_equal(xsdt, "XSDT", 4);
    assert_int_equal((load_le32(rsdt + 4) - 36) / 4, (load_le32(xsdt + 4) - 36) / 8);
    for (uint32_t n = 0; n < (load_le32(rsdt + 4) - 36) / 4; n++) {
        const uint8_t *t = table_at(&a, load_le32(rsdt + 36 + 4 * n));
        if (memcmp(t, "FACP", 4) == 0) {
            assert_int_equal(load_le32(t + 4), 244);
            assert_int_equal(load_le32(t + 76), 0x608);
            const uint8_t *dsdt = table_at(&a, load_le32(t + 40));
            assert_int_equal(load_le32(t + 140), load_le32(t + 40));
            assert_memory_equal(dsdt, "DSDT", 4);
            disassemble(dsdt, "dsdt");
            assert_memory_equal(a.tables + (load_le32(t + 36) - TABLES_AT), "FACS", 4);
            seen |= 1;
        } else if (memcmp(t, "APIC", 4) == 0) {
            for (uint32_t at = 44; at < load_le32(t + 4); at += t[at + 1])
                cpus += t[at] == 0;
            seen |= 2;
        } else if (memcmp(t, "SSDT", 4) == 0) {
            disassemble(t, "ssdt");
            seen |= 4;
        } else if (memcmp(t, "HPET", 4) == 0) {
            seen |= 8;
        }
    }
    assert_int_equal(seen, 15);
    assert_int_equal(cpus, 32);
    execute();
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fw_cfg),     cmocka_unit_test(test_memory_map),
        cmocka_unit_test(test_boot_order), cmocka_unit_test(test_smbios),
        cmocka_unit_test(test_acpi),       cmocka_unit_test(test_kernel),
    };

    return cmocka_run_group_tests_name("firmware tables", tests, NULL, NULL);
}
