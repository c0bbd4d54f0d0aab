/*
 * The command line.  Options may be written with one or two dashes and follow QEMU's
 * names and forms, so that people and test suites need not learn others; what is not
 * known is refused by name, never ignored.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"

enum scope { BOTH, PRODUCTION, TESTS };

struct cmdline_option {
    const char *name;
    const char *argument; /* what follows; NULL: nothing */
    enum scope scope;
    int (*parse)(struct config *c, const char *value, struct error *error);
    const char *help;
};

static int add(struct config_list *list, const char *text, struct error *error)
{
    if (list->count == CONFIG_LIST)
        return error_set(error, -ENOSPC, "'%s': more than %d of these", text,
                         CONFIG_LIST);
    list->text[list->count++] = text;
    return 0;
}

#define LIST_OPTION(field)                                                               \
    static int parse_##field(struct config *c, const char *value, struct error *error)   \
    {                                                                                    \
        return add(&c->field, value, error);                                             \
    }
#define TEXT_OPTION(field)                                                               \
    static int parse_##field(struct config *c, const char *value, struct error *error)   \
    {                                                                                    \
        c->field = value;                                                                \
        return 0;                                                                        \
    }
#define FLAG_OPTION(field)                                                               \
    static int parse_##field(struct config *c, const char *value, struct error *error)   \
    {                                                                                    \
        c->field = true;                                                                 \
        return 0;                                                                        \
    }

LIST_OPTION(drives)
LIST_OPTION(blockdevs)
LIST_OPTION(devices)
LIST_OPTION(netdevs)
LIST_OPTION(nics)
LIST_OPTION(serials)
LIST_OPTION(globals)
LIST_OPTION(fwcfg)
LIST_OPTION(smbios)
TEXT_OPTION(name)
TEXT_OPTION(uuid)
TEXT_OPTION(bios)
TEXT_OPTION(vga)
TEXT_OPTION(vnc)
TEXT_OPTION(vnc_password_file)
TEXT_OPTION(control)
TEXT_OPTION(boot)
TEXT_OPTION(kernel)
TEXT_OPTION(initrd)
TEXT_OPTION(append)
TEXT_OPTION(debug_log)
TEXT_OPTION(ready_file)
TEXT_OPTION(run_as)
TEXT_OPTION(chroot)
TEXT_OPTION(qtest)
FLAG_OPTION(no_defaults)
FLAG_OPTION(no_graphics)
FLAG_OPTION(usb)
FLAG_OPTION(no_acpi)
FLAG_OPTION(paused)
FLAG_OPTION(version)
FLAG_OPTION(help)
FLAG_OPTION(sandbox_off)
FLAG_OPTION(restricted)

/* What libxl makes of channel= wants the guest's paravirtual consoles served. */
static int parse_chardevs(struct config *c, const char *value, struct error *error)
{
    if (strstr(value, "id=libxl-channel"))
        return error_set(error, -ENOTSUP,
                         "channel: no paravirtual console is served here (-chardev %s)",
                         value);
    return add(&c->chardevs, value, error);
}

static int parse_nothing(struct config *c, const char *value, struct error *error)
{
    return 0;
}

/* The pointer that libxl wants on USB is a virtio one here. */
static int parse_usbdevice(struct config *c, const char *value, struct error *error)
{
    if (strcmp(value, "tablet") != 0)
        return error_set(
            error, -ENOTSUP,
            "-usbdevice %s: there is no USB; only tablet, as a virtio device", value);
    c->usb_tablet = true;
    return 0;
}

/* Viewers send keys, not characters: no other map is needed. */
static int parse_keymap(struct config *c, const char *value, struct error *error)
{
    return strcmp(value, "en-us") == 0
               ? 0
               : error_set(error, -ENOTSUP, "-k %s: the only key map is en-us", value);
}

static int parse_domid(struct config *c, const char *value, struct error *error)
{
    uint64_t domid;

    if (parse_u64(value, &domid) || domid >= 0x7ff0)
        return error_set(error, -EINVAL, "'%s' is not a domain number", value);
    c->domid = (int)domid;
    return 0;
}

/* --memory BYTES, with suffixes. */
static int parse_memory(struct config *c, const char *value, struct error *error)
{
    if (parse_size(value, &c->memory) || !c->memory)
        return error_set(error, -EINVAL, "memory '%s' is not a size such as 512M", value);
    return 0;
}

/* -m [size=]N: MiB unless there is a suffix. */
static int parse_m(struct config *c, const char *value, struct error *error)
{
    struct options o;
    int err = options_parse(&o, value, "size", error);

    if (err)
        return err;
    const char *size = options_take(&o, "size");
    err = options_check_used(&o, "-m", error);
    if (!err && (!size || parse_size(size, &c->memory) || !c->memory))
        err = error_set(error, -EINVAL, "memory '%s' is not a size such as 512M", value);
    else if (!err && strspn(size, "0123456789") == strlen(size))
        c->memory <<= 20;
    options_free(&o);
    return err;
}

static int parse_vcpus(struct config *c, const char *value, struct error *error)
{
    uint64_t n;

    if (parse_u64(value, &n) || !n || n > 255)
        return error_set(error, -EINVAL, "'%s' is not a number of vCPUs from 1 to 255",
                         value);
    c->cpus = (unsigned)n;
    return 0;
}

static int parse_smp(struct config *c, const char *value, struct error *error)
{
    struct options o;
    int err = options_parse(&o, value, "cpus", error);

    if (err)
        return err;
    const char *cpus = options_take(&o, "cpus"), *most = options_take(&o, "maxcpus");
    static const char *const shape[] = {"sockets", "dies", "cores", "threads"};
    for (unsigned i = 0; i < ARRAY_LEN(shape); i++)
        options_take(&o, shape[i]);
    err = options_check_used(&o, "-smp", error);
    if (!err && cpus)
        err = parse_vcpus(c, cpus, error);
    uint64_t n = c->cpus;
    if (!err && most && (parse_u64(most, &n) || n < c->cpus || n > 255))
        err = error_set(error, -EINVAL, "maxcpus=%s makes no sense", most);
    c->max_cpus = (unsigned)n;
    options_free(&o);
    return err;
}

/* -xen-domid N: libxl's way to name the domain. */
static int parse_xen_domid(struct config *c, const char *value, struct error *error)
{
    c->for_libxl = true;
    return parse_domid(c, value, error);
}

static int parse_pv_backends(struct config *c, const char *value, struct error *error)
{
    return error_set(error, -ENOTSUP,
                     "-xen-attach: this device model has no paravirtual back ends; use "
                     "those of the kernel (backendtype=phy)");
}

static int parse_spice(struct config *c, const char *value, struct error *error)
{
    return error_set(error, -ENOTSUP, "-spice: there is no SPICE server; vnc=1 is there");
}

static int parse_incoming(struct config *c, const char *value, struct error *error)
{
    uint64_t fd;

    if (strncmp(value, "fd:", 3) != 0 || parse_u64(value + 3, &fd) || fd > 1u << 20)
        return error_set(error, -EINVAL, "-incoming '%s' is not fd:N", value);
    c->incoming = (int)fd;
    return 0;
}

static int parse_machine(struct config *c, const char *value, struct error *error)
{
    static const char *const accepted[] = {"graphics",       "usb",    "acpi",
                                           "hpet",           "vmport", "smm",
                                           "memory-backend", "accel",  "suppress-vmdesc"};
    struct options o;
    int err = options_parse(&o, value, "type", error);

    if (err)
        return err;
    const char *type = options_take(&o, "type"), *graphics = options_peek(&o, "graphics");
    const char *accel = options_peek(&o, "accel");
    const char *low = options_take(&o, "max-ram-below-4g");
    for (unsigned i = 0; i < ARRAY_LEN(accepted); i++)
        options_take(&o, accepted[i]);
    err = options_check_used(&o, "-machine", error);
    if (!err && type) {
        c->machine_none = strcmp(type, "none") == 0;
        c->xen_platform = strcmp(type, "xenfv") == 0;
        c->xenfv = c->xen_platform || (accel && strcmp(accel, "xen") == 0);
        if (!c->machine_none && !c->xen_platform && strcmp(type, "pc") != 0 &&
            strcmp(type, "i440fx") != 0 && strncmp(type, "pc-i440fx", 9) != 0)
            err = error_set(error, -EINVAL,
                            "there is no machine '%s': pc (i440fx) and xenfv are", type);
    }
    if (!err && low && parse_size(low, &c->ram_below_4g))
        err = error_set(error, -EINVAL, "max-ram-below-4g=%s is not a size", low);
    if (!err && graphics && strcmp(graphics, "off") == 0)
        c->no_graphics = true;
    options_free(&o);
    return err;
}

static int parse_accel(struct config *c, const char *value, struct error *error)
{
    /* QEMU's test suites name several; ours is the only one there is. */
    if (strncmp(value, "qtest", 5) == 0 || strncmp(value, "tcg", 3) == 0 ||
        strncmp(value, "kvm", 3) == 0)
        return 0;
    return error_set(error, -EINVAL, "there is no accelerator '%s'", value);
}

static int parse_display(struct config *c, const char *value, struct error *error)
{
    if (strcmp(value, "none") == 0)
        return 0;
    if (strncmp(value, "vnc=", 4) == 0) {
        c->vnc = value + 4;
        return 0;
    }
    return error_set(error, -EINVAL, "there is no display '%s': none or vnc=ADDRESS",
                     value);
}

static int parse_mon(struct config *c, const char *value, struct error *error)
{
    struct options o;
    bool found = false;
    int err = options_parse(&o, value, "chardev", error);

    if (err)
        return err;
    const char *id = options_take(&o, "chardev"), *mode = options_take(&o, "mode");
    options_take(&o, "pretty");
    options_take(&o, "id");
    err = options_check_used(&o, "-mon", error);
    if (!err && (!mode || strcmp(mode, "control") != 0 || !id))
        err = error_set(error, -EINVAL, "'%s': only chardev=ID,mode=control", value);
    for (unsigned i = 0; !err && i < c->chardevs.count; i++) {
        char want[80];
        snprintf(want, sizeof(want), "id=%s", id);
        if (!strstr(c->chardevs.text[i], want))
            continue;
        if (c->monitors == ARRAY_LEN(c->monitor))
            err = error_set(error, -ENOSPC, "-mon: at most %u",
                            (unsigned)ARRAY_LEN(c->monitor));
        else
            c->monitor[c->monitors++] = c->chardevs.text[i];
        found = true;
    }
    if (!err && !found)
        err = error_set(error, -ENOENT, "-mon: there is no -chardev with id %s", id);
    options_free(&o);
    return err;
}

static int parse_nowhere(struct config *c, const char *value, struct error *error)
{
    if (strcmp(value, "none") == 0 || strncmp(value, "driver=none", 11) == 0)
        return 0;
    return error_set(error, -EINVAL, "'%s': only none is possible here", value);
}

static int parse_cdrom(struct config *c, const char *value, struct error *error)
{
    static char text[4200];

    if (snprintf(text, sizeof(text), "if=ide,index=2,media=cdrom,file=%s", value) >=
        (int)sizeof(text))
        return error_set(error, -ENAMETOOLONG, "-cdrom: the name is too long");
    return add(&c->drives, text, error);
}

static const struct cmdline_option table[] = {
    {"domid", "N", PRODUCTION, parse_domid, "the domain to serve (needed)"},
    {"ready-file", "PATH", PRODUCTION, parse_ready_file, "made when the guest may run"},
    {"run-as", "USER", PRODUCTION, parse_run_as, "drop to this user, or UID:GID"},
    {"runas", "USER", PRODUCTION, parse_run_as, "the same"},
    {"chroot", "DIRECTORY", PRODUCTION, parse_chroot, "see no other files, once ready"},
    {"no-sandbox", NULL, PRODUCTION, parse_sandbox_off,
     "keep all rights (for debugging)"},
    {"memory", "BYTES", BOTH, parse_memory, "guest RAM; suffixes K M G T"},
    {"m", "MIB", BOTH, parse_m, "guest RAM in MiB"},
    {"vcpus", "N", BOTH, parse_vcpus, "vCPUs"},
    {"smp", "N[,maxcpus=N]", BOTH, parse_smp, "vCPUs"},
    {"name", "TEXT", BOTH, parse_name, "name of the guest, for messages"},
    {"uuid", "UUID", BOTH, parse_uuid, "of the machine, in SMBIOS"},
    {"machine", "pc", BOTH, parse_machine, "the board; pc is the only one"},
    {"M", "pc", BOTH, parse_machine, "the same"},
    {"drive",
     "file=F,if=ide|virtio|none,index=N,media=disk|cdrom,format=raw,readonly=on,id=ID",
     BOTH, parse_drives, "a disk or CD-ROM"},
    {"blockdev", "driver=file,node-name=ID,filename=F", BOTH, parse_blockdevs,
     "an image"},
    {"cdrom", "FILE", BOTH, parse_cdrom, "the same as a drive at index 2"},
    {"device", "NAME[,OPTION=VALUE]", BOTH, parse_devices, "a device; 'help' lists them"},
    {"netdev", "user|tap,id=ID,...", BOTH, parse_netdevs, "a network"},
    {"nic", "user|tap|none[,model=e1000|virtio-net-pci][,mac=M]", BOTH, parse_nics,
     "network and card in one"},
    {"chardev", "KIND,id=ID,...", BOTH, parse_chardevs, "null, stdio, file, pty, socket"},
    {"serial", "pty|stdio|file:F|unix:P|chardev:ID|none", BOTH, parse_serials,
     "COM1 and on"},
    {"fw_cfg", "[name=]NAME,file=F|string=S", BOTH, parse_fwcfg,
     "a file for the firmware"},
    {"smbios", "type=N,FIELD=VALUE", BOTH, parse_smbios, "SMBIOS texts"},
    {"global", "DRIVER.OPTION=VALUE", BOTH, parse_globals, "default of a device option"},
    {"vga", "std|none", BOTH, parse_vga, "graphics card"},
    {"vnc", "HOST:PORT|unix:PATH", BOTH, parse_vnc, "serve the screen there"},
    {"spice", "TEXT", PRODUCTION, parse_spice, "refused: there is VNC"},
    {"vnc-password-file", "FILE", BOTH, parse_vnc_password_file,
     "first line: the password"},
    {"usb", NULL, BOTH, parse_usb, "accepted with -usbdevice tablet"},
    {"usbdevice", "tablet", BOTH, parse_usbdevice, "absolute pointer, by virtio"},
    {"k", "en-us", BOTH, parse_keymap, "accepted: the only map"},
    {"no-acpi", NULL, PRODUCTION, parse_no_acpi, "Xen's platform without PIIX4's power"},
    {"firmware", "FILE", BOTH, parse_bios, "BIOS image"},
    {"bios", "FILE", BOTH, parse_bios, "BIOS image"},
    {"boot", "[order=]LETTERS[,menu=on]", BOTH, parse_boot,
     "c disk, d CD-ROM, n network"},
    {"kernel", "FILE", BOTH, parse_kernel, "boot this Linux kernel, without a loader"},
    {"initrd", "FILE", BOTH, parse_initrd, "its initramfs"},
    {"append", "TEXT", BOTH, parse_append, "its command line"},
    {"debugcon", "FILE", BOTH, parse_debug_log, "what firmware writes to port 0x402"},
    {"control", "SOCKET", BOTH, parse_control, "JSON control socket, as QMP"},
    {"qmp", "unix:PATH", BOTH, parse_control, "the same"},
    {"mon", "chardev=ID,mode=control", BOTH, parse_mon, "the same, on a chardev socket"},
    {"monitor", "none", BOTH, parse_nowhere, "there is no text monitor"},
    {"display", "none|vnc=A", BOTH, parse_display, "screen"},
    {"nographic", NULL, BOTH, parse_no_graphics, "no graphics card"},
    {"nodefaults", NULL, BOTH, parse_no_defaults, "only what is named"},
    {"S", NULL, BOTH, parse_paused, "wait for cont on the control socket"},
    {"qtest", "unix:PATH", TESTS, parse_qtest, "socket of the test program (needed)"},
    {"qtest-log", "FILE", TESTS, parse_nothing, "accepted"},
    {"xen-domid", "N", PRODUCTION, parse_xen_domid, "as --domid, and serve libxl"},
    {"xen-domid-restrict", NULL, PRODUCTION, parse_restricted,
     "keep nothing that reaches beyond the domain"},
    {"xen-attach", NULL, PRODUCTION, parse_pv_backends, "refused"},
    {"incoming", "fd:N", PRODUCTION, parse_incoming, "the devices' saved state"},
    {"no-user-config", NULL, PRODUCTION, parse_nothing, "accepted: there is none"},
    {"net", "none", PRODUCTION, parse_nowhere, "no network card"},
    {"accel", "qtest", TESTS, parse_accel, "accepted"},
    {"audio", "none", TESTS, parse_nowhere, "accepted"},
    {"audiodev", "none", TESTS, parse_nowhere, "accepted"},
    {"cpu", "NAME", TESTS, parse_nothing, "accepted: there is no CPU"},
    {"rtc", "BASE", TESTS, parse_nothing, "accepted: there is no RTC"},
    {"no-shutdown", NULL, BOTH, parse_nothing, "accepted: the toolstack ends us"},
    {"no-reboot", NULL, TESTS, parse_nothing, "accepted"},
    {"version", NULL, BOTH, parse_version, "say which version this is"},
    {"help", NULL, BOTH, parse_help, "this text"},
};

static bool in_scope(const struct cmdline_option *o, bool for_tests)
{
    return o->scope == BOTH || (o->scope == TESTS) == for_tests;
}

static const struct cmdline_option *find(const char *argument, bool for_tests)
{
    const char *name = argument + (argument[1] == '-' ? 2 : 1);

    if (argument[0] != '-')
        return NULL;
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (strcmp(table[i].name, name) == 0 && in_scope(&table[i], for_tests))
            return &table[i];
    }
    return NULL;
}

int config_parse(struct config *c, int argc, char **argv, bool for_tests,
                 struct error *error)
{
    memset(c, 0, sizeof(*c));
    c->domid = -1;
    c->incoming = -1;
    c->memory = 128u << 20;
    c->cpus = 1;
    for (int i = 1; i < argc; i++) {
        const struct cmdline_option *o = find(argv[i], for_tests);
        if (!o)
            return error_set(error, -EINVAL,
                             "there is no option '%s' (--help lists them)", argv[i]);
        const char *value = NULL;
        if (o->argument && ++i == argc)
            return error_set(error, -EINVAL, "%s needs %s", argv[i - 1], o->argument);
        if (o->argument)
            value = argv[i];
        int err = o->parse(c, value, error);
        if (err)
            return err;
    }
    if (c->max_cpus < c->cpus)
        c->max_cpus = c->cpus;
    if (c->restricted && c->sandbox_off)
        return error_set(error, -EINVAL,
                         "-xen-domid-restrict and --no-sandbox contradict each other");
    if (c->usb && !c->usb_tablet)
        return error_set(error, -ENOTSUP,
                         "-usb: there is no USB controller (usb=0; with "
                         "usbdevice=\"tablet\" the pointer is a virtio device)");
    return 0;
}

void config_help(const char *program, bool for_tests)
{
    printf("usage: %s OPTION...\n\n", program);
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        if (in_scope(&table[i], for_tests))
            printf("  --%s%s%s\n        %s\n", table[i].name,
                   table[i].argument ? " " : "",
                   table[i].argument ? table[i].argument : "", table[i].help);
    }
}
