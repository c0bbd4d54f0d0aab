/*
 * A guest's configuration: every key, and what is said about wrong ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../../tools/corbel/config.h"

#define BIOS     "firmware=\"" ROM_FILE "\"\n"
#define ROM_FILE "/proc/self/exe" /* any file that can be read */

static int parse(struct guest_config *c, const char *text, struct failure *f)
{
    char whole[4096];

    memset(f, 0, sizeof(*f));
    snprintf(whole, sizeof(whole), "%s%s", BIOS, text);
    return config_parse(c, "t", whole, strlen(whole), f);
}

static void accepted(const char *text, struct guest_config *c)
{
    struct failure f;

    if (parse(c, text, &f))
        fail_msg("'%s' was refused: %s", text, f.text);
}

/* Refused, and the message has every one of the words. */
static void refused(const char *text, const char *word, const char *other)
{
    struct guest_config c;
    struct failure f;

    if (parse(&c, text, &f) == 0)
        fail_msg("'%s' was accepted", text);
    if (!strstr(f.text, word) || (other && !strstr(f.text, other)))
        fail_msg("'%s' gives '%s'", text, f.text);
}

static void defaults_are_a_guest(void **state)
{
    struct guest_config c;

    accepted("", &c);
    assert_int_equal(c.spec.ram_bytes, 512ull << 20);
    assert_int_equal(c.spec.vcpus, 1);
    assert_true(c.spec.any_cpu);
    assert_true(c.vnc);
    assert_int_equal(c.on_reboot, END_RESTART);
    assert_int_equal(c.on_poweroff, END_DESTROY);
    assert_int_equal(c.name[0], 0);
    config_free(&c);
}

static void all_keys(void **state)
{
    struct guest_config c;

    accepted(
        "name = 'vm-1'\n"
        "uuid = \"01234567-89ab-cdef-0123-456789abcdef\" # a comment\n"
        "type='hvm'; builder=\"hvm\"\nmemory = "
        "2048\nmaxmem=2048\nvcpus=4\ncpus=\"0-3,^2\"\n"
        "cpu_weight=512\ncap=150\n"
        "kernel='" ROM_FILE "'\nramdisk='" ROM_FILE
        "'\ncmdline='a=b'\nroot='/dev/x'\nextra='ro'\n"
        "boot='dc'\nserial='pty'\nvga='stdvga'\nvideoram=8\nvnc=1\nvnclisten='0.0.0.0'\n"
        "vncdisplay=7\nvncpasswd='x'\non_poweroff='restart'\non_reboot='destroy'\n"
        "on_crash='preserve'\nhpet=0\nviridian=1\nxen_leaves=1\ntsc_mode='default'\n"
        "device_model='none'\ndevice_model_args=[ '--debugcon', 'f,i' ]\nhap=1\nacpi=1\n",
        &c);
    assert_string_equal(c.name, "vm-1");
    assert_int_equal(c.spec.uuid[15], 0xef);
    assert_int_equal(c.spec.ram_bytes, 2048ull << 20);
    assert_int_equal(c.spec.vcpus, 4);
    assert_int_equal(c.spec.cpus[0], 0xb);
    assert_false(c.spec.any_cpu);
    assert_int_equal(c.spec.weight, 512);
    assert_int_equal(c.spec.cap, 150);
    assert_false(c.spec.hpet);
    assert_true(c.spec.viridian);
    assert_true(c.spec.xen_leaves);
    assert_false(c.spec.native_tsc);
    assert_string_equal(c.kernel, c.ramdisk);
    assert_string_equal(c.cmdline, "a=b root=/dev/x ro");
    assert_string_equal(c.vga, "std");
    assert_int_equal(c.vnc_display, 7);
    assert_int_equal(c.on_poweroff, END_RESTART);
    assert_int_equal(c.on_reboot, END_DESTROY);
    assert_int_equal(c.on_crash, END_PRESERVE);
    assert_int_equal(c.model_arg_count, 2);
    assert_string_equal(c.model_args[1], "f,i");
    config_free(&c);
}

static void disks_and_cards(void **state)
{
    struct guest_config c;

    accepted("disk = [ '" ROM_FILE
             ",raw,hda,ro',\n 'format=raw,vdev=vdb,access=ro,target=" ROM_FILE
             "' ] # two\ncdrom='" ROM_FILE "'\n"
             "vif = [ 'mac=52:54:00:11:22:33,model=virtio', '', 'bridge=xenbr0' ]\n",
             &c);
    assert_int_equal(c.disks, 3);
    assert_int_equal(c.disk[0].bus, DISK_IDE);
    assert_true(c.disk[0].read_only);
    assert_int_equal(c.disk[0].path[0], '/');
    assert_int_equal(c.disk[1].bus, DISK_VIRTIO);
    assert_int_equal(c.disk[1].index, 1);
    assert_true(c.disk[2].cdrom);
    assert_int_equal(c.disk[2].index, 2);
    assert_int_equal(c.nics, 3);
    assert_string_equal(c.nic[0].model, "virtio-net");
    assert_string_equal(c.nic[0].mac, "52:54:00:11:22:33");
    assert_string_equal(c.nic[1].model, "e1000");
    assert_memory_equal(c.nic[1].mac, "52:54:00:", 9);
    assert_string_equal(c.nic[2].bridge, "xenbr0");
    config_free(&c);
}

static void additions_extend_lists(void **state)
{
    struct guest_config c;

    accepted("vif=['net=user']\nvif += [ 'net=user' ]\nmemory=64\nmemory=\"128\"\n"
             "cdrom += [ '" ROM_FILE "' ]\ncdrom += [ '" ROM_FILE "' ]\n",
             &c);
    assert_int_equal(c.nics, 2);
    assert_int_equal(c.disks, 2);
    assert_int_equal(c.spec.ram_bytes, 128ull << 20);
    config_free(&c);
}

static void wrong_keys_are_named(void **state)
{
    refused("memry=64\n", "'memry'", "'memory'");
    refused("memory=64\nnonsense_key=1\n", "'nonsense_key'", "t:3");
    refused("disk=['" ROM_FILE ",raw,hda,r',\n\n'" ROM_FILE ",raw,hdb,r']\nvcpu=2\n",
            "t:5", "'vcpus'");
    refused("name='a#b'\nx=1\n", "'x'", "t:3");
    refused("type='pv'\n", "'type'", "hvm");
    refused("hap=0\n", "'hap'", "nested paging");
}

static void wrong_values_are_named(void **state)
{
    refused("memory='abc'\n", "abc", "MiB");
    refused("memory=1\n", "at least", NULL);
    refused("memory=64\nmaxmem=128\n", "maxmem", NULL);
    refused("vcpus=0\n", "vcpus", "1 to");
    refused("vcpus=1000\n", "vcpus", "128");
    refused("vcpus=[1]\n", "vcpus", "list");
    refused("name='..'\n", "name", NULL);
    refused("name='12'\n", "name", NULL);
    refused("name='a/b'\n", "name", NULL);
    refused("uuid='123'\n", "uuid", NULL);
    refused("boot='xyz'\n", "boot", NULL);
    refused("boot=''\n", "boot", NULL);
    refused("cpus='3-1'\n", "cpus", NULL);
    refused("vga='qxl'\n", "qxl", NULL);
    refused("videoram=3\n", "videoram", NULL);
    refused("on_crash='explode'\n", "on_crash", "preserve");
    refused("hpet='maybe'\n", "hpet", NULL);
    refused("tsc_mode='x'\n", "tsc_mode", NULL);
    refused("cpu_weight=0\n", "cpu_weight", NULL);
    refused("cap=70000\n", "cap", NULL);
    refused("firmware='/no/such/file'\n", "/no/such/file", "No such file");
    refused("firmware='uefi'\n", "seabios", NULL);
    refused("memory=\n", "syntax error", NULL);
    refused("name='x\n", "t:", NULL);
}

static void wrong_devices_are_named(void **state)
{
    refused("disk=['/no/such,raw,hda,rw']\n", "/no/such", "No such file");
    refused("disk=['" ROM_FILE ",raw,sda,ro']\n", "sda", "hda");
    refused("disk=['" ROM_FILE ",vhd,hda,ro']\n", "raw or qcow2", NULL);
    refused("disk=['" ROM_FILE ",raw,hda,ro','" ROM_FILE ",raw,hda,ro']\n", "same place",
            NULL);
    refused("disk=['/dev/null,raw,hda,rw']\n", "/dev/null", "block device");
    refused("cdrom='/proc'\n", "/proc", NULL);
    refused("vif=['mac=zz']\n", "mac=zz", NULL);
    refused("vif=['mac=01:00:00:00:00:00']\n", "mac=01", NULL);
    refused("vif=['model=ne2k']\n", "e1000", NULL);
    refused("kernel='/no/such/file'\n", "/no/such/file", NULL);
    refused("extra='ro'\n", "kernel", NULL);
    refused("vif=['colour=red']\n", "colour", NULL);
    refused("vif=['bridge=b,hostfwd=x']\n", "hostfwd", NULL);
}

/* Whatever bytes come: an answer, no crash. */
static void noise_is_refused_or_parsed(void **state)
{
    static const char alphabet[] = "abcmemory=vcpusdisk[]'\",;\n #+=0129\\^-";
    struct guest_config c;
    struct failure f;
    char text[200];

    srand(3);
    for (unsigned i = 0; i < 5000; i++) {
        size_t n = (size_t)rand() % sizeof(text);
        for (size_t j = 0; j < n; j++)
            text[j] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
        memset(&f, 0, sizeof(f));
        if (config_parse(&c, "noise", text, n, &f) == 0)
            config_free(&c);
        else
            assert_true(f.text[0]);
    }
    assert_int_equal(config_parse(&c, "zero", "a\0b", 3, &f), -EINVAL);
}

static void small_parsers(void **state)
{
    uint8_t map[4], uuid[16], mac[6];
    char text[37];
    uint64_t bytes;

    assert_int_equal(cpu_list_parse("0", map, sizeof(map)), 0);
    assert_int_equal(map[0], 1);
    assert_int_equal(cpu_list_parse("1-9,^3, 31", map, sizeof(map)), 0);
    assert_int_equal(map[0], 0xf6);
    assert_int_equal(map[1], 3);
    assert_int_equal(map[3], 0x80);
    assert_int_equal(cpu_list_parse("32", map, sizeof(map)), -ERANGE);
    assert_int_equal(cpu_list_parse("", map, sizeof(map)), -EINVAL);
    assert_int_equal(cpu_list_parse("1,,2", map, sizeof(map)), -EINVAL);
    assert_int_equal(memory_parse("2G", &bytes), 0);
    assert_int_equal(bytes, 2ull << 30);
    assert_int_equal(memory_parse("99999999999999", &bytes), -ERANGE);
    assert_int_equal(memory_parse("-1", &bytes), -EINVAL);
    assert_int_equal(memory_parse("1T", &bytes), -EINVAL);
    assert_int_equal(uuid_parse("01234567-89ab-cdef-0123-456789abcdef", uuid), 0);
    uuid_format(uuid, text);
    assert_string_equal(text, "01234567-89ab-cdef-0123-456789abcdef");
    assert_int_equal(uuid_parse("01234567-89ab-cdef-0123-456789abcdef0", uuid), -EINVAL);
    assert_int_equal(uuid_parse("0123456789abcdef0123456789abcdef", uuid), -EINVAL);
    assert_int_equal(mac_parse("52:54:00:00:00:01x", mac), -EINVAL);
    assert_int_equal(edit_distance("memry", "memory"), 1);
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_false(guest_name_valid("-x"));
    assert_true(guest_name_valid("3x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_a_guest),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(disks_and_cards),
        cmocka_unit_test(additions_extend_lists),
        cmocka_unit_test(wrong_keys_are_named),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(wrong_devices_are_named),
        cmocka_unit_test(noise_is_refused_or_parsed),
        cmocka_unit_test(small_parsers),
    };

    return cmocka_run_group_tests_name("tools: configuration", tests, NULL, NULL);
}
