/*
 * Xen's platform: the platform device, unplug and its state, libxl's command line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tests/unit-devmodel/bench.h"

#include "devmodel/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PLATFORM_SLOT = 2,
    PORT_UNPLUG = 0x10,
    PORT_VERSION = 0x12,
    MAGIC = 0x49d2,
    DISKS = 1,
    NICS = 2,
    IDE_SELECT = 0x1f6,
    IDE_STATUS = 0x1f7,
    READY = 0x40,
};

static void start(struct bench *b)
{
    char drive[120];

    bench_image(b, 64);
    snprintf(drive, sizeof(drive), "file=%s,if=ide,index=0,format=raw", b->image);
    bench_start(b, "-machine", "xenfv,suppress-vmdesc=on", "-nodefaults", "-m", "64",
                "-netdev", "user,id=n", "-device", "e1000,netdev=n,addr=5", "-drive",
                drive, "-boot", "order=dc", NULL);
}

/* What xen_emul_unplug of Linux does, in its order. */
static void test_unplug(void **state)
{
    struct bench b = {0};

    start(&b);
    assert_int_equal(cfg_read(&b, PLATFORM_SLOT, 0, 0, 4), 0x00015853);
    assert_int_equal(cfg_read(&b, PLATFORM_SLOT, 0, 0x2c, 4), 0x00015853);
    assert_int_equal(in16(&b, PORT_UNPLUG), MAGIC);
    assert_int_equal(in8(&b, PORT_VERSION), 1);
    out16(&b, PORT_VERSION, 3);
    out32(&b, PORT_UNPLUG, 0xffff);
    assert_int_equal(in16(&b, PORT_UNPLUG), MAGIC);

    out8(&b, IDE_SELECT, 0xa0);
    assert_true(in8(&b, IDE_STATUS) & READY);
    assert_int_equal(cfg_read(&b, 5, 0, 0, 4), 0x100e8086);
    cfg_write(&b, 5, 0, 0x10, 4, 0xf2000000);
    cfg_write(&b, 5, 0, 4, 2, 7);

    out16(&b, PORT_UNPLUG, DISKS);
    assert_int_equal(in8(&b, IDE_STATUS), 0);
    assert_int_equal(cfg_read(&b, 5, 0, 0, 4), 0x100e8086);
    out16(&b, PORT_UNPLUG, NICS);
    assert_int_equal(cfg_read(&b, 5, 0, 0, 4), 0xffffffff);
    cfg_write(&b, 5, 0, 4, 2, 7); /* nobody is there */
    assert_null(b.m->pci[5 << 3]->bar[0].region->mapped ? b.m : NULL);
    out16(&b, PORT_UNPLUG, DISKS | NICS); /* once more does no harm */
    bench_stop(&b);
}

/* An unplugged disk stays away in a machine that the state is loaded into. */
static void test_state_keeps_unplugged(void **state)
{
    struct bench b = {0};
    FILE *file = tmpfile();

    assert_non_null(file);
    start(&b);
    out16(&b, PORT_UNPLUG, DISKS | NICS);
    machine_pause(b.m);
    assert_int_equal(machine_save(b.m, fileno(file), &b.error), 0);
    bench_stop(&b);

    start(&b);
    out8(&b, IDE_SELECT, 0xa0);
    assert_true(in8(&b, IDE_STATUS) & READY);
    rewind(file);
    machine_pause(b.m);
    assert_int_equal(machine_load(b.m, fileno(file), &b.error), 0);
    machine_start(b.m);
    assert_int_equal(in8(&b, IDE_STATUS), 0);
    assert_int_equal(cfg_read(&b, 5, 0, 0, 4), 0xffffffff);
    bench_stop(&b);
    fclose(file);
}

/* Without Xen's platform device (xen_platform_pci=0) nothing answers, nor does fw_cfg. */
static void test_without_platform(void **state)
{
    struct bench b = {0};

    bench_start(&b, "-machine", "pc,accel=xen,suppress-vmdesc=on", "-nodefaults", "-m",
                "64", NULL);
    assert_int_equal(cfg_read(&b, PLATFORM_SLOT, 0, 0, 4), 0xffffffff);
    assert_int_equal(in16(&b, PORT_UNPLUG), 0xffff);
    assert_int_equal(in8(&b, 0x511), 0xff);
    bench_stop(&b);
}

static json_t *command(struct bench *b, const char *name, const char *arguments)
{
    json_t *j = json_loads(arguments, 0, NULL);
    json_t *answer = control_execute(b->m, name, j, &b->error);

    json_decref(j);
    return answer;
}

static bool accepts(struct bench *b, const char *name, const char *arguments)
{
    json_t *answer = command(b, name, arguments);

    json_decref(answer);
    return answer;
}

static size_t entries(struct bench *b, const char *name)
{
    json_t *answer = command(b, name, "{}");
    size_t n = json_array_size(answer);

    json_decref(answer);
    return n;
}

/* vCPUs that come later: hvmloader's tables read port 0xaf00 on general purpose event 2.
 */
static void test_vcpus(void **state)
{
    struct bench b = {0};
    FILE *file = tmpfile();

    bench_start(&b, "-machine", "xenfv", "-nodefaults", "-m", "64", "-smp",
                "2,maxcpus=12", NULL);
    cfg_write(&b, 1, 3, 0x40, 4, 0xb001);
    cfg_write(&b, 1, 3, 0x80, 1, 1);
    out16(&b, 0xb004, 1); /* ACPI mode */
    out8(&b, 0xafe2, 4);
    assert_int_equal(in16(&b, 0xaf00), 3);
    assert_int_equal(entries(&b, "query-cpus-fast"), 2);
    assert_int_equal(entries(&b, "query-hotpluggable-cpus"), 12);
    assert_false(irq_is_up(&b, 9));
    assert_true(accepts(&b, "cpu-add", "{\"id\": 9}"));
    assert_int_equal(in16(&b, 0xaf00), 0x203);
    assert_int_equal(in8(&b, 0xafe0), 4);
    assert_true(irq_is_up(&b, 9));
    out8(&b, 0xafe0, 4);
    assert_false(irq_is_up(&b, 9));
    assert_true(accepts(&b, "device_add",
                        "{\"driver\": \"corbel-vcpu\", \"id\": \"cpu-2\", "
                        "\"socket-id\": 2, \"core-id\": 0, \"thread-id\": 0}"));
    assert_int_equal(in16(&b, 0xaf00), 0x207);
    assert_false(accepts(&b, "cpu-add", "{\"id\": 9}"));
    assert_false(accepts(&b, "cpu-add", "{\"id\": 12}"));
    assert_false(accepts(&b, "cpu-add", "{\"id\": -1}"));
    assert_false(accepts(&b, "cpu-add", "{}"));
    assert_int_equal(entries(&b, "query-cpus"), 4);
    out8(&b, 0xaf00, 0xff); /* nothing is taken away */
    assert_int_equal(in16(&b, 0xaf00), 0x207);
    /* A restored machine has them, too. */
    machine_pause(b.m);
    assert_int_equal(machine_save(b.m, fileno(file), &b.error), 0);
    bench_stop(&b);
    rewind(file);
    bench_start(&b, "-machine", "xenfv", "-nodefaults", "-m", "64", "-smp",
                "2,maxcpus=12", NULL);
    machine_pause(b.m);
    assert_int_equal(machine_load(b.m, fileno(file), &b.error), 0);
    assert_int_equal(in16(&b, 0xaf00), 0x207);
    bench_stop(&b);
    fclose(file);
    /* The native board's tables have no room for them. */
    bench_start(&b, "-nodefaults", "-m", "64", "-smp", "1,maxcpus=2", NULL);
    assert_false(accepts(&b, "cpu-add", "{\"id\": 1}"));
    bench_stop(&b);
}

static int parse(struct config *c, struct error *error, const char *const *words)
{
    char *argv[64];
    int argc = 0;

    for (; words[argc]; argc++)
        argv[argc] = (char *)words[argc];
    return config_parse(c, argc, argv, false, error);
}

#define PARSE(c, error, ...)                                                             \
    parse(c, error, (const char *const[]){"corbel-dm", __VA_ARGS__, NULL})

static void test_command_line(void **state)
{
    static struct config c;
    struct error error = {.text = ""};

    assert_int_equal(
        PARSE(&c, &error, "-xen-domid", "7", "-no-shutdown", "-chardev",
              "socket,id=libxl-cmd,path=/run/a,server=on,wait=off", "-mon",
              "chardev=libxl-cmd,mode=control", "-chardev",
              "socket,id=libxenstat-cmd,path=/run/b,server=on,wait=off", "-mon",
              "chardev=libxenstat-cmd,mode=control", "-nodefaults", "-no-user-config",
              "-name", "guest", "-vnc", "127.0.0.1:0,to=99", "-display", "none",
              "-serial", "pty", "-device", "VGA,vgamem_mb=16", "-boot", "order=cda",
              "-net", "none", "-incoming", "fd:12", "-machine",
              "xenfv,suppress-vmdesc=on,max-ram-below-4g=3221225472", "-m", "512"),
        0);
    assert_int_equal(c.domid, 7);
    assert_true(c.for_libxl && c.xenfv && c.xen_platform);
    assert_int_equal(c.monitors, 2);
    assert_int_equal(c.incoming, 12);
    assert_int_equal(c.ram_below_4g, 3ull << 30);

    assert_int_equal(PARSE(&c, &error, "-xen-domid", "7", "-kernel", "/boot/x", "-append",
                           "a b", "-initrd", "/boot/y"),
                     0);
    assert_string_equal(c.append, "a b");
    assert_int_not_equal(PARSE(&c, &error, "-xen-domid", "7", "-xen-attach"), 0);
    assert_int_not_equal(PARSE(&c, &error, "-usb"), 0);
    assert_non_null(strstr(error.text, "-usb"));
    assert_int_equal(PARSE(&c, &error, "-usb", "-usbdevice", "tablet", "-k", "en-us"), 0);
    assert_int_not_equal(PARSE(&c, &error, "-usb", "-usbdevice", "host:1:2"), 0);
    assert_non_null(strstr(error.text, "host:1:2"));
    assert_int_not_equal(PARSE(&c, &error, "-k", "de"), 0);
    assert_non_null(strstr(error.text, "de"));
    assert_int_not_equal(PARSE(&c, &error, "-spice", "port=1"), 0);
    assert_non_null(strstr(error.text, "-spice"));
    assert_int_not_equal(PARSE(&c, &error, "-incoming", "tcp:1"), 0);
    assert_int_not_equal(PARSE(&c, &error, "-machine", "xenpv"), 0);
    assert_non_null(strstr(error.text, "xenpv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unplug),
        cmocka_unit_test(test_state_keeps_unplugged),
        cmocka_unit_test(test_without_platform),
        cmocka_unit_test(test_vcpus),
        cmocka_unit_test(test_command_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
