/*
 * The core: options, region tables, timers, BARs, the state stream.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit-devmodel/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_options(void **state)
{
    struct options o;
    struct error error;
    uint64_t size;
    uint8_t mac[6];

    assert_int_equal(options_parse(&o, "disk,file=a,,b,readonly", "driver", &error), 0);
    assert_string_equal(options_take(&o, "driver"), "disk");
    assert_string_equal(options_take(&o, "file"), "a,b");
    assert_int_equal(options_check_used(&o, "x", &error), -EINVAL);
    assert_non_null(strstr(error.text, "readonly"));
    assert_string_equal(options_take(&o, "readonly"), "on");
    assert_int_equal(options_check_used(&o, "x", &error), 0);
    assert_null(options_take(&o, "other"));
    options_free(&o);
    assert_int_equal(options_parse(&o, "=x", NULL, &error), -EINVAL);

    assert_int_equal(parse_size("3M", &size), 0);
    assert_int_equal(size, 3 << 20);
    assert_int_not_equal(parse_size("-1", &size), 0);
    assert_int_not_equal(parse_size("1X", &size), 0);
    assert_int_not_equal(parse_size("99999999999T", &size), 0);
    assert_int_equal(parse_mac("52:54:00:12:34:56", mac), 0);
    assert_int_equal(mac[5], 0x56);
    assert_int_not_equal(parse_mac("53:54:00:12:34:56", mac), 0);
    assert_int_not_equal(parse_mac("52:54:00:12:34:56x", mac), 0);
}

/* What is wrong on a command line is named. */
static void test_refusals(void **state)
{
    static const struct {
        const char *option, *value, *named;
    } bad[] = {
        {"-device", "no-such-thing", "no-such-thing"},
        {"-device", "ide-cd,colour=red", "colour"},
        {"-device", "ide-cd,bus=ide.7", "ide.7"},
        {"-drive", "file=/does/not/exist,if=ide", "/does/not/exist"},
        {"-drive", "file=null-co://,if=floppy", "floppy"},
        {"-drive", "file=/etc/hostname,format=cow", "cow"},
        {"-m", "4", "memory"},
        {"-machine", "isapc", "isapc"},
        {"-boot", "order=z", "z"},
        {"-vga", "cirrus", "cirrus"},
        {"-serial", "tcp:1", "tcp:1"},
        {"-netdev", "carrier-pigeon,id=n", "carrier-pigeon"},
        {"-uuid", "12345", "12345"},
        {"-frobnicate", "x", "-frobnicate"},
    };

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct bench b = {.image = ""};
        if (!bench_try(&b, bad[i].option, bad[i].value, NULL))
            fail_msg("%s %s was taken", bad[i].option, bad[i].value);
        if (!strstr(b.error.text, bad[i].named))
            fail_msg("'%s' does not name '%s'", b.error.text, bad[i].named);
        bench_stop(&b);
    }
}

struct probe {
    struct io_region region;
    uint64_t offset, value;
    unsigned size, calls;
};

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
    struct probe *p = opaque;

    p->offset = offset;
    p->size = size;
    p->calls++;
    return 0x1122334455667788ull >> (offset * 8);
}

static void probe_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct probe *p = opaque;

    p->offset = offset;
    p->size = size;
    p->value = value;
    p->calls++;
}

static const struct io_ops probe_bytes = {
    .read = probe_read,
    .write = probe_write,
    .max_size = 1,
};
static const struct io_ops probe_words = {
    .read = probe_read,
    .write = probe_write,
    .min_size = 4,
};

static void test_regions(void **state)
{
    struct bench b = {.image = ""};
    struct probe p = {.calls = 0}, other = {.calls = 0};

    bench_start(&b, "-nodefaults", NULL);
    struct device *dev = b.m->devices;
    io_region_init(&p.region, dev, "p", IO_PORT, 4, &probe_bytes, &p);
    io_region_init(&other.region, dev, "o", IO_PORT, 8, &probe_bytes, &other);
    assert_int_equal(io_region_map(&p.region, 0x1000), 0);
    assert_int_equal(in32(&b, 0x1000), 0x55667788);
    assert_int_equal(p.calls, 4);
    assert_int_equal(io_region_map(&other.region, 0x0ffc), -EEXIST);
    assert_int_equal(io_region_map(&other.region, 0x1003), -EEXIST);
    assert_int_equal(io_region_map(&other.region, 0xfffc), -ERANGE);
    assert_int_equal(io_region_map(&other.region, 0x0ff8), 0);
    /* Across the border of two regions, and out of the last one. */
    assert_int_equal(in32(&b, 0x0ffe), 0x77881122);
    assert_int_equal(in32(&b, 0x1002), 0xffff5566);
    out32(&b, 0x1002, 0xaabbccdd);
    assert_int_equal(p.offset, 3);
    assert_int_equal(p.value, 0xcc);
    io_region_unmap(&other.region);
    io_region_unmap(&other.region);
    assert_int_equal(io_region_map(&p.region, 0x2000), 0); /* moves */
    assert_int_equal(in8(&b, 0x1000), 0xff);
    assert_int_equal(in8(&b, 0x2000), 0x88);
    io_region_unmap(&p.region);

    struct probe wide = {.calls = 0};
    io_region_init(&wide.region, dev, "w", IO_MEM, 8, &probe_words, &wide);
    assert_int_equal(io_region_map(&wide.region, 0xf0000000), 0);
    assert_int_equal(io_read(b.m, IO_MEM, 0xf0000002, 1), 0x66);
    assert_int_equal(wide.size, 4);
    assert_int_equal(wide.offset, 0);
    assert_int_equal(io_read(b.m, IO_MEM, 0xf0000000, 8), 0x1122334455667788ull);
    io_region_unmap(&wide.region);
    bench_stop(&b);
}

static unsigned order[8], fired;

static void expired(void *opaque)
{
    order[fired++] = (unsigned)(uintptr_t)opaque;
}

static void test_timers(void **state)
{
    struct bench b = {.image = ""};
    struct vtimer t[5];
    static const int64_t when[5] = {500, 100, 300, 200, 400};

    bench_start(&b, "-nodefaults", NULL);
    for (unsigned i = 0; i < 5; i++) {
        vtimer_init(&t[i], b.m->devices, expired, (void *)(uintptr_t)i);
        vtimer_set(&t[i], when[i]);
    }
    vtimer_cancel(&t[2]);
    vtimer_cancel(&t[2]);
    vtimer_set(&t[1], 450); /* re-armed, later */
    fired = 0;
    bench_step(&b, 410);
    assert_int_equal(fired, 2);
    assert_int_equal(order[0], 3);
    assert_int_equal(order[1], 4);
    assert_false(vtimer_armed(&t[3]));
    bench_step(&b, 1000);
    assert_int_equal(fired, 4);
    assert_int_equal(order[2], 1);
    assert_int_equal(order[3], 0);
    bench_stop(&b);
}

/* BARs: size probe, moving, switching off, and two on the same place. */
static void test_bars(void **state)
{
    struct bench b = {.image = ""};

    bench_start(&b, "-nodefaults", NULL);
    cfg_write(&b, 1, 1, 0x20, 4, 0xffffffff);
    assert_int_equal(cfg_read(&b, 1, 1, 0x20, 4), 0xfffffff1);
    cfg_write(&b, 1, 1, 0x20, 4, 0xc001);
    assert_int_equal(in8(&b, 0xc002), 0xff);
    cfg_write(&b, 1, 1, 0x04, 2, 1);
    assert_int_equal(in8(&b, 0xc002), 0);
    cfg_write(&b, 1, 1, 0x20, 4, 0xd001);
    assert_int_equal(in8(&b, 0xc002), 0xff);
    assert_int_equal(in8(&b, 0xd002), 0);
    /* Over the power management block, which was there first; then away again. */
    cfg_write(&b, 1, 3, 0x40, 4, 0x600);
    cfg_write(&b, 1, 3, 0x80, 1, 1);
    cfg_write(&b, 1, 1, 0x20, 4, 0x601);
    assert_int_equal(in16(&b, 0x602), 0);
    cfg_write(&b, 1, 1, 0x20, 4, 0xd001);
    assert_int_equal(in8(&b, 0xd002), 0);
    /* Reading and writing where nobody is. */
    assert_int_equal(cfg_read(&b, 9, 0, 0, 4), 0xffffffff);
    cfg_write(&b, 9, 0, 4, 4, 0xffffffff);
    bench_stop(&b);
}

static void test_pirq(void **state)
{
    struct bench b = {.image = ""};

    bench_start(&b, "-nodefaults", NULL);
    struct pci_device *pm = b.m->pci[PCI_DEVFN(1, 3)];
    pci_intx(pm, true); /* slot 1, INTA: PIRQ A */
    assert_false(irq_is_up(&b, 10));
    cfg_write(&b, 1, 0, 0x60, 1, 10);
    assert_true(irq_is_up(&b, 10));
    cfg_write(&b, 1, 0, 0x60, 1, 11);
    assert_false(irq_is_up(&b, 10));
    assert_true(irq_is_up(&b, 11));
    cfg_write(&b, 1, 3, 0x04, 2, 0x400); /* INTx disable */
    assert_false(irq_is_up(&b, 11));
    cfg_write(&b, 1, 3, 0x04, 2, 0);
    assert_true(irq_is_up(&b, 11));
    cfg_write(&b, 1, 0, 0x60, 1, 0x80);
    assert_false(irq_is_up(&b, 11));
    pci_intx(pm, false);
    bench_stop(&b);
}

static int temporary(void)
{
    char name[] = "/tmp/corbel-state-XXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    return fd;
}

/* Save, load into another machine, save again: the same bytes. */
static void test_state(void **state)
{
    struct bench a = {.image = ""}, b = {.image = ""};
    int first = temporary(), second = temporary();
    struct error error;

    bench_start(&a, "-nodefaults", "-device", "ide-cd", NULL);
    cfg_write(&a, 1, 3, 0x40, 4, 0x600);
    cfg_write(&a, 1, 3, 0x80, 1, 1);
    out16(&a, 0x602, 0x100);
    cfg_write(&a, 1, 0, 0x61, 1, 11);
    out16(&a, 0x510, 0x19);
    in8(&a, 0x511);
    out8(&a, 0x1f6, 0xb0);
    machine_pause(a.m);
    assert_int_equal(machine_save(a.m, first, &error), 0);
    bench_start(&b, "-nodefaults", "-device", "ide-cd", NULL);
    lseek(first, 0, SEEK_SET);
    if (machine_load(b.m, first, &error))
        fail_msg("%s", error.text);
    assert_int_equal(in16(&b, 0x602), 0x100);
    assert_int_equal(cfg_read(&b, 1, 0, 0x61, 1), 11);
    machine_pause(b.m);
    assert_int_equal(machine_save(b.m, second, &error), 0);
    off_t bytes = lseek(first, 0, SEEK_END);
    assert_int_equal(lseek(second, 0, SEEK_END), bytes);
    uint8_t *x = malloc((size_t)bytes), *y = malloc((size_t)bytes);
    assert_int_equal(pread(first, x, (size_t)bytes, 0), bytes);
    assert_int_equal(pread(second, y, (size_t)bytes, 0), bytes);
    assert_memory_equal(x, y, bytes);
    free(y);

    /* Damaged in any way: refused or read, never worse. */
    srand(1);
    for (unsigned n = 0; n < 300; n++) {
        size_t at = (size_t)rand() % (n < 200 ? 4096 : (size_t)bytes);
        uint8_t old = x[at];
        x[at] ^= (uint8_t)(1 << rand() % 8);
        int fd = temporary();
        size_t length = n % 10 ? (size_t)bytes : at;
        assert_int_equal(write(fd, x, length), length);
        lseek(fd, 0, SEEK_SET);
        machine_load(b.m, fd, &error);
        close(fd);
        x[at] = old;
    }
    free(x);
    close(first);
    close(second);
    bench_stop(&b);
    bench_stop(&a);
}

/* Random accesses everywhere: nothing may crash, hang or trip a sanitizer. */
static void test_noise(void **state)
{
    struct bench b = {.image = ""};
    static const uint16_t ports[] = {0x1f0,  0x170, 0x3f6, 0x376, 0xcf8, 0xcfc, 0x510,
                                     0x514,  0x600, 0x60,  0x64,  0x70,  0x92,  0xb2,
                                     0xc000, 0x3c0, 0x3f8, 0x700, 0xafe0};

    bench_image(&b, 64);
    char drive[128], cd[128];
    snprintf(cd, sizeof(cd), "file=%s,if=ide,index=2,media=cdrom", b.image);
    /* One file twice needs one of them as a copy. */
    snprintf(drive, sizeof(drive), "file=%s,if=ide,snapshot=on", b.image);
    bench_start(&b, "-drive", drive, "-drive", cd, NULL);
    cfg_write(&b, 1, 1, 0x20, 4, 0xc001);
    cfg_write(&b, 1, 1, 4, 2, 5);
    cfg_write(&b, 1, 3, 0x40, 4, 0x600);
    cfg_write(&b, 1, 3, 0x80, 1, 1);
    srand(2);
    for (unsigned n = 0; n < 200000; n++) {
        unsigned port = ports[(unsigned)rand() % ARRAY_LEN(ports)] + (unsigned)rand() % 8;
        unsigned size = 1u << rand() % 3;
        uint32_t value = (uint32_t)rand() ^ (uint32_t)rand() << 16;
        if (port == 0xcf8 && size == 4)
            value = 1u << 31 | (value & 0x1fff);
        if (rand() % 2)
            io_write(b.m, IO_PORT, port, size, value);
        else
            io_read(b.m, IO_PORT, port, size);
        if (n % 64 == 0)
            uv_run(&b.m->loop, UV_RUN_NOWAIT);
        b.m->quit = false;
    }
    bench_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_regions), cmocka_unit_test(test_timers),
        cmocka_unit_test(test_bars),    cmocka_unit_test(test_pirq),
        cmocka_unit_test(test_state),   cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests_name("devmodel core", tests, NULL, NULL);
}
