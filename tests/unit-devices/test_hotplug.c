/*
 * PCI devices that come and go: the registers that ACPI's methods use, what the control
 * socket asks, and slots that a guest empties at the wrong moment.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "driver.h"

#include <string.h>

#include "devmodel/control.h"

enum {
    SLOTS_UP = 0xae00,
    SLOTS_DOWN = 0xae04,
    SLOTS_EJECT = 0xae08,
    SLOTS_REMOVABLE = 0xae0c,
    GPE_STATUS = 0xafe0,
    GPE_ENABLE = 0xafe2,
    GPE_PCI = 2,
    APM_CONTROL = 0xb2,
    ACPI_ENABLE = 0xf1,
    SCI = 9,

    SLOT = 4,
    BIT = 1 << SLOT,
    HEADER = 0x200000,
    DATA = 0x210000,
    STATUS = 0x20f000,
};

static char text[256]; /* the last refusal */

/* `command {arguments}`, the latter in JSON with ' for ". */
static bool ask(struct bench *b, const char *command, const char *arguments)
{
    struct error error = {.text = ""};
    json_error_t why;
    char line[300];

    assert_true(strlen(arguments) < sizeof(line));
    strcpy(line, arguments);
    for (char *c = line; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *j = json_loads(line, 0, &why), *answer;
    assert_non_null(j);
    answer = control_execute(b->m, command, j, &error);
    memcpy(text, error.text, sizeof(text));
    json_decref(j);
    json_decref(answer);
    net_bury(b->m);
    return answer;
}

static void refused(struct bench *b, const char *command, const char *arguments,
                    const char *named)
{
    if (ask(b, command, arguments))
        fail_msg("%s %s was taken", command, arguments);
    if (!strstr(text, named))
        fail_msg("'%s' does not name '%s'", text, named);
}

static void must(struct bench *b, const char *command, const char *arguments)
{
    if (!ask(b, command, arguments))
        fail_msg("%s %s: %s", command, arguments, text);
}

static void add_disk(struct bench *b)
{
    must(b, "blockdev-add", "{'driver': 'null-co', 'node-name': 'd'}");
    must(b, "device_add",
         "{'driver': 'virtio-blk-pci', 'drive': 'd', 'id': 'disk', 'addr': '4'}");
}

static bool there(struct bench *b)
{
    return config_read(b, SLOT, 0, 4) != UINT32_MAX;
}

/* A read of one sector, offered and not waited for. */
static void start_read(struct driver *d, struct bench *b)
{
    uint8_t header[16] = {0};

    driver_start(d, b, SLOT, false, true, 0);
    driver_queue(d, 0);
    driver_ok(d);
    mem_write(b, HEADER, header, sizeof(header));
    driver_desc(d, 0, 0, HEADER, 16, D_NEXT, 1);
    driver_desc(d, 0, 1, DATA, 512, D_NEXT | D_WRITE, 2);
    driver_desc(d, 0, 2, STATUS, 1, D_WRITE, 0);
    driver_offer(d, 0, 0);
}

static void test_comes(void **state)
{
    struct bench *b = bench_start("-smp", "1");
    struct driver d;

    assert_false(there(b));
    assert_int_equal(in32(b, SLOTS_UP), 0);
    out8(b, APM_CONTROL, ACPI_ENABLE);
    out8(b, GPE_ENABLE, GPE_PCI);
    assert_false(irq_level(b, SCI));
    add_disk(b);
    assert_true(there(b));
    assert_int_equal(in8(b, GPE_STATUS), GPE_PCI);
    assert_true(irq_level(b, SCI));
    out8(b, GPE_STATUS, GPE_PCI);
    assert_false(irq_level(b, SCI));
    assert_int_equal(in32(b, SLOTS_UP), BIT);
    assert_int_equal(in32(b, SLOTS_UP), 0); /* reading clears it */
    assert_int_equal(in32(b, SLOTS_DOWN), 0);
    assert_int_equal(in32(b, SLOTS_EJECT), 0); /* no features */
    start_read(&d, b);
    assert_int_equal(driver_wait(&d, 0, NULL), 0);
    assert_int_equal(cpu_read(b, STATUS, 1), 0);
    bench_stop(b);
}

static void test_goes(void **state)
{
    struct bench *b = bench_start("-smp", "1");
    struct driver d;

    for (unsigned round = 0; round < 3; round++) {
        add_disk(b);
        start_read(&d, b); /* still under way when the slot is given free */
        must(b, "device_del", "{'id': 'disk'}");
        refused(b, "device_del", "{'id': 'disk'}", "already");
        refused(b, "blockdev-del", "{'node-name': 'd'}", "has a device");
        assert_int_equal(in32(b, SLOTS_DOWN), BIT);
        assert_int_equal(in32(b, SLOTS_DOWN), BIT); /* until it is done */
        assert_true(in8(b, GPE_STATUS) & GPE_PCI);
        assert_true(there(b));
        out32(b, SLOTS_EJECT, BIT);
        assert_false(there(b));
        assert_int_equal(in32(b, SLOTS_DOWN), 0);
        assert_int_equal(cpu_read(b, DRIVER_MODERN, 4), UINT32_MAX); /* BARs went, too */
        refused(b, "device_del", "{'id': 'disk'}", "no device 'disk'");
        must(b, "blockdev-del", "{'node-name': 'd'}");
        refused(b, "blockdev-del", "{'node-name': 'd'}", "no drive");
        turn(b);
    }
    bench_stop(b);
}

/* Cards with frames in both directions, and their back ends. */
static void test_cards(void **state)
{
    static const char *const cards[] = {"e1000", "rtl8139", "virtio-net-pci"};
    static const char *const nets[] = {"test", "user", "hubport"};
    struct bench *b = bench_start("-smp", "1");
    char line[200];

    for (unsigned i = 0; i < ARRAY_LEN(cards); i++) {
        for (unsigned n = 0; n < ARRAY_LEN(nets); n++) {
            snprintf(line, sizeof(line), "{'type': '%s', 'id': 'n'%s}", nets[n],
                     n == 2 ? ", 'hubid': 1" : "");
            must(b, "netdev_add", line);
            refused(b, "netdev_add", line, "id of its own");
            snprintf(line, sizeof(line),
                     "{'driver': '%s', 'netdev': 'n', 'id': 'card', 'addr': '4'}",
                     cards[i]);
            must(b, "device_add", line);
            config_write(b, SLOT, 0x10, 4, DRIVER_MODERN);
            config_enable(b, SLOT);
            if (n == 0)
                test_net_input(b, "n", "\xff\xff\xff\xff\xff\xff......\x08\x06", 14);
            turn(b);
            refused(b, "netdev_del", "{'id': 'n'}", "has a device");
            out32(b, SLOTS_EJECT, BIT); /* nobody asked the guest to */
            assert_false(there(b));
            must(b, "netdev_del", "{'id': 'n'}");
            refused(b, "netdev_del", "{'id': 'n'}", "no network back end");
            turn(b);
        }
    }
    bench_stop(b);
}

/* What is the board's stays, whatever the guest writes. */
static void test_board_stays(void **state)
{
    struct bench *b =
        bench_start("-device", "VGA,addr=3", "-device", "virtio-tablet-pci,addr=4.0",
                    "-device", "virtio-tablet-pci,addr=4.2");
    uint32_t removable = in32(b, SLOTS_REMOVABLE);

    assert_int_equal(removable, ~0xbu); /* not 0, 1 and the VGA's */
    out32(b, SLOTS_UP, UINT32_MAX);
    out32(b, SLOTS_REMOVABLE, UINT32_MAX);
    out16(b, SLOTS_EJECT, 0xffff); /* not an access of its size */
    assert_true(there(b));
    out32(b, SLOTS_EJECT, UINT32_MAX);
    assert_false(there(b));
    assert_null(b->m->pci[PCI_DEVFN(SLOT, 2)]); /* all functions */
    assert_int_equal(config_read(b, 0, 0, 4), 0x12378086);
    assert_int_equal(config_read(b, 3, 0, 2), 0x1234);
    assert_int_equal(in32(b, SLOTS_REMOVABLE), removable);
    bench_stop(b);
}

static void test_refusals(void **state)
{
    struct bench *b = bench_start("-device", "virtio-tablet-pci,addr=5.1,id=odd",
                                  "-device", "VGA,addr=3,id=vga");

    refused(b, "device_add", "{'driver': 'no-such-thing'}", "no-such-thing");
    refused(b, "device_add", "{}", "no device");
    refused(b, "device_add", "{'driver': 'VGA'}", "VGA");
    refused(b, "device_add", "{'driver': 'ide-cd'}", "ide-cd");
    refused(b, "device_add", "{'driver': ['e1000']}", "driver");
    refused(b, "device_add", "{'driver': 'e1000', 'colour': 'red'}", "colour");
    refused(b, "device_add", "{'driver': 'e1000', 'addr': '4.1'}", "function 0");
    refused(b, "device_add", "{'driver': 'e1000', 'addr': '5'}", "empty slot");
    refused(b, "device_add", "{'driver': 'e1000', 'addr': '3'}", "taken by vga");
    refused(b, "device_add", "{'driver': 'virtio-blk-pci'}", "drive");
    refused(b, "device_del", "{}", "'id' is missing");
    refused(b, "device_del", "{'id': 'vga'}", "cannot leave");
    refused(b, "device_del", "{'id': 'i440fx'}", "cannot leave");
    refused(b, "device_del", "{'id': 'fw_cfg'}", "cannot leave");
    refused(b, "blockdev-add", "{'driver': 'null-co'}", "'node-name' is missing");
    refused(b, "blockdev-add", "{'driver': 'ssh', 'node-name': 'd'}", "driver");
    refused(b, "blockdev-add",
            "{'driver': 'raw', 'node-name': 'd', 'file': {'driver': 'file', 'filename': "
            "'/no/such'}}",
            "/no/such");
    refused(b, "netdev_add", "{'type': 'carrier-pigeon', 'id': 'n'}", "carrier-pigeon");
    assert_int_equal(in32(b, SLOTS_UP), 0);
    assert_int_equal(in8(b, GPE_STATUS), 0);
    must(b, "device_add", "{'driver': 'e1000'}"); /* a free slot is found */
    assert_int_equal(in32(b, SLOTS_UP), BIT >> 2);
    bench_stop(b);
}

/* A guest that does not listen loses the device with its reset. */
static void test_reset(void **state)
{
    struct bench *b = bench_start("-smp", "1");

    add_disk(b);
    machine_reset(b->m);
    assert_true(there(b));
    assert_int_equal(in32(b, SLOTS_UP), 0); /* it will be found anyway */
    must(b, "device_del", "{'id': 'disk'}");
    machine_reset(b->m);
    assert_false(there(b));
    assert_int_equal(in32(b, SLOTS_DOWN), 0);
    must(b, "blockdev-del", "{'node-name': 'd'}");
    bench_stop(b);
}

/* What the guest has not looked at yet is in the state. */
static void test_state(void **state)
{
    struct bench *b = bench_start("-drive", "file=null-co://,if=none,id=d", "-device",
                                  "virtio-blk-pci,drive=d,id=disk,addr=4");

    b->m->slots = (struct pci_slots){.came = 1 << 6, .leaving = 0};
    save_and_load(b);
    assert_int_equal(in32(b, SLOTS_UP), 1 << 6);
    load_damaged(b, "piix4-pm");
    bench_stop(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes),    cmocka_unit_test(test_goes),
        cmocka_unit_test(test_cards),    cmocka_unit_test(test_board_stays),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_reset),
        cmocka_unit_test(test_state),
    };

    return cmocka_run_group_tests_name("PCI hotplug", tests, NULL, NULL);
}
