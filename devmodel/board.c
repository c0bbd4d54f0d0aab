/*
 * The native i440fx board: which devices a configuration asks for, and in which order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../firmware/firmware.h"
#include "../firmware/layout.h"
#include "board.h"

#define XENFV_LOW_RAM_MAX 0xf0000000u /* HVM_BELOW_4G_MMIO_START of Xen's tools */

#define RAM_LEAST (8u << 20)
#define RAM_MOST  (1ull << 40)

/* Devices to make for drives and cards, after the board's own. */
struct pending {
    char *text[2 * CONFIG_LIST];
    unsigned count;
};

static int later(struct pending *p, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int later(struct pending *p, struct error *error, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (length >= (int)sizeof(text) || p->count == ARRAY_LEN(p->text))
        return error_set(error, -ENOSPC, "'%.60s': too much", text);
    p->text[p->count++] = must_strdup(text);
    return 0;
}

static void free_pending(struct pending *p)
{
    while (p->count)
        free(p->text[--p->count]);
}

/* ---- memory, identity ---------------------------------------------------------------
 */

static int parse_uuid(const char *text, uint8_t uuid[16])
{
    int end = 0;
    unsigned byte[16];
    int n = sscanf(text, "%2x%2x%2x%2x-%2x%2x-%2x%2x-%2x%2x-%2x%2x%2x%2x%2x%2x%n",
                   &byte[0], &byte[1], &byte[2], &byte[3], &byte[4], &byte[5], &byte[6],
                   &byte[7], &byte[8], &byte[9], &byte[10], &byte[11], &byte[12],
                   &byte[13], &byte[14], &byte[15], &end);

    if (n != 16 || text[end])
        return -EINVAL;
    for (int i = 0; i < 16; i++)
        uuid[i] = (uint8_t)byte[i];
    return 0;
}

int board_prepare(struct machine *m, const struct config *c, struct error *error)
{
    struct board *b = &m->board;

    if (c->memory % 4096 || c->memory < RAM_LEAST || c->memory > RAM_MOST)
        return error_set(
            error, -EINVAL, "guest memory of %llu bytes: %u MiB to %u GiB in whole pages",
            (unsigned long long)c->memory, RAM_LEAST >> 20, (unsigned)(RAM_MOST >> 30));
    uint64_t low = c->xenfv ? XENFV_LOW_RAM_MAX : LAYOUT_LOW_RAM_MAX;
    if (c->ram_below_4g && c->ram_below_4g < low)
        low = c->ram_below_4g;
    b->ram_below_4g = c->memory < low ? c->memory : low;
    b->xenfv = c->xenfv;
    b->ram_above_4g = c->memory - b->ram_below_4g;
    b->cpus = c->cpus;
    b->max_cpus = c->max_cpus;
    for (unsigned n = 0; n < c->cpus; n++)
        b->online[n / 8] |= (uint8_t)(1u << (n % 8));
    if (c->uuid) {
        if (parse_uuid(c->uuid, b->uuid))
            return error_set(error, -EINVAL, "'%s' is not a UUID", c->uuid);
        b->uuid_set = true;
    }
    m->name = must_strdup(c->name ? c->name : "guest");
    return 0;
}

static int set_boot(struct machine *m, const struct config *c, struct error *error)
{
    struct options o;
    struct firmware_boot boot = {.splash_ms = -1, .reboot_ms = -1};
    bool menu = false;

    if (!c->boot)
        return firmware_set_boot(m, &boot, error);
    int err = options_parse(&o, c->boot, "order", error);
    if (err)
        return err;
    const char *order = options_take(&o, "order"), *text;
    if (!order)
        order = options_take(&o, "once");
    if (order && strspn(order, "acdn") != strlen(order))
        err = error_set(error, -EINVAL,
                        "boot order '%s' has letters other than c, d, n, a", order);
    if (!err && (text = options_take(&o, "menu")) && parse_bool(text, &menu))
        err = error_set(error, -EINVAL, "menu=%s is not on or off", text);
    if (!err && (text = options_take(&o, "splash-time")))
        boot.splash_ms = atoi(text);
    if (!err && (text = options_take(&o, "reboot-timeout")))
        boot.reboot_ms = atoi(text);
    options_take(&o, "strict");
    if (!err)
        err = options_check_used(&o, "-boot", error);
    if (!err) {
        m->board.boot_order = order ? machine_string(m, order) : NULL;
        m->board.boot_menu = menu;
        err = firmware_set_boot(m, &boot, error);
    }
    options_free(&o);
    return err;
}

/* ---- back ends ----------------------------------------------------------------------
 */

static int add_chardev(struct machine *m, struct error *error, const char *text)
{
    struct options o;
    int err = options_parse(&o, text, "backend", error);

    if (err)
        return err;
    err = char_add(m, &o, error);
    options_free(&o);
    return err;
}

static int add_chardevs(struct machine *m, const struct config *c, struct error *error)
{
    int err = 0;

    for (unsigned i = 0; !err && i < c->chardevs.count; i++) {
        bool monitor = false;
        for (unsigned n = 0; n < c->monitors; n++)
            monitor |= c->chardevs.text[i] == c->monitor[n];
        if (!monitor)
            err = add_chardev(m, error, c->chardevs.text[i]);
    }
    return err;
}

struct drive_place {
    char interface[16];
    bool indexed;
    unsigned index; /* bus * 2 + unit */
    bool cdrom;
    char id[64];
};

/* if=, index=, bus=, unit= choose the place; the rest describes the image. */
static int take_place(struct options *o, unsigned number, const bool ide_taken[4],
                      struct drive_place *place, struct error *error)
{
    const char *interface = options_take(o, "if"), *index = options_take(o, "index");
    const char *bus = options_take(o, "bus"), *unit = options_take(o, "unit");
    const char *media = options_peek(o, "media"), *id = options_peek(o, "id");
    uint64_t index_n = 0, bus_n = 0, unit_n = 0;

    if ((index && parse_u64(index, &index_n)) || (bus && parse_u64(bus, &bus_n)) ||
        (unit && parse_u64(unit, &unit_n)) || index_n > 255 || bus_n > 127 || unit_n > 1)
        return error_set(error, -EINVAL, "'%s': bad index, bus or unit", o->text);
    snprintf(place->interface, sizeof(place->interface), "%s",
             interface ? interface : "ide");
    place->indexed = index || bus || unit;
    place->index = (unsigned)(index ? index_n : bus_n * 2 + unit_n);
    place->cdrom = media && strcmp(media, "cdrom") == 0;
    while (!place->indexed && place->index < 3 && ide_taken[place->index])
        place->index++;
    if (id) {
        snprintf(place->id, sizeof(place->id), "%s", id);
        return 0;
    }
    /* As QEMU calls them: ide0-hd0, ide1-cd0, virtio0. */
    if (strcmp(place->interface, "ide") == 0)
        snprintf(place->id, sizeof(place->id), "ide%u-%s%u", place->index / 2,
                 place->cdrom ? "cd" : "hd", place->index % 2);
    else
        snprintf(place->id, sizeof(place->id), "%s%u", place->interface, number);
    o->list = must_realloc(o->list, (o->count + 1) * sizeof(*o->list));
    o->list[o->count++] =
        (struct option){must_strdup("id"), must_strdup(place->id), false};
    return 0;
}

static int attach_drive(const struct drive_place *place, bool ide_taken[4],
                        struct pending *p, struct error *error)
{
    unsigned index = place->index;

    if (strcmp(place->interface, "none") == 0 || strcmp(place->interface, "pflash") == 0)
        return 0;
    if (strcmp(place->interface, "virtio") == 0)
        return later(p, error, "virtio-blk-pci,drive=%s", place->id);
    if (strcmp(place->interface, "ide") != 0)
        return error_set(error, -EINVAL, "drive %s: if=%s is not ide, virtio or none",
                         place->id, place->interface);
    if (index > 3 || ide_taken[index])
        return error_set(error, -EBUSY, "drive %s: IDE has no free place with index %u",
                         place->id, index);
    ide_taken[index] = true;
    return later(p, error, "%s,drive=%s,bus=ide.%u,unit=%u",
                 place->cdrom ? "ide-cd" : "ide-hd", place->id, index / 2, index % 2);
}

static int add_drives(struct machine *m, const struct config *c, struct pending *p,
                      bool ide_taken[4], const char **flash, struct error *error)
{
    int err = 0;

    for (unsigned i = 0; !err && i < c->drives.count; i++) {
        struct drive_place place;
        struct options o;
        err = options_parse(&o, c->drives.text[i], "file", error);
        if (err)
            return err;
        err = take_place(&o, i, ide_taken, &place, error);
        if (!err && strcmp(place.interface, "pflash") == 0)
            *flash = machine_string(m, options_peek(&o, "file") ?: "");
        else if (!err)
            err = block_add(m, &o, error);
        options_free(&o);
        if (!err)
            err = attach_drive(&place, ide_taken, p, error);
    }
    return err;
}

/* driver=file,node-name=ID,filename=F: what QEMU's tools and tests write. */
static int add_blockdev(struct machine *m, const char *text, struct error *error)
{
    struct options o, drive;
    int err = options_parse(&o, text, "driver", error);

    if (err)
        return err;
    const char *driver = options_take(&o, "driver"), *id = options_take(&o, "node-name");
    const char *file = options_take(&o, "filename"), *ro = options_take(&o, "read-only");
    char line[1200];
    bool null = driver && strncmp(driver, "null-", 5) == 0;
    if (!driver ||
        (!null && strcmp(driver, "file") != 0 && strcmp(driver, "host_device")))
        err = error_set(error, -EINVAL, "'%s': driver is not file or null-co", text);
    else if (!id || (!file && !null))
        err = error_set(error, -EINVAL, "'%s': node-name and filename are needed", text);
    else if (snprintf(line, sizeof(line), "id=%s,file=%s,readonly=%s", id,
                      null ? "null-co://" : file, ro ? ro : "off") >= (int)sizeof(line))
        err = error_set(error, -ENAMETOOLONG, "'%.60s' is too long", text);
    if (!err)
        err = options_check_used(&o, "a block device", error);
    options_free(&o);
    if (err)
        return err;
    err = options_parse(&drive, line, "file", error);
    if (!err) {
        err = block_add(m, &drive, error);
        options_free(&drive);
    }
    return err;
}

static int add_netdev(struct machine *m, const char *text, struct error *error)
{
    struct options o;
    int err = options_parse(&o, text, "type", error);

    if (!err) {
        err = net_add(m, &o, error);
        options_free(&o);
    }
    return err;
}

/* --nic TYPE,model=CARD,mac=M and the back end's options. */
static int add_nic(struct machine *m, const char *text, unsigned number,
                   struct pending *p, struct error *error)
{
    struct options o;

    if (strcmp(text, "none") == 0)
        return 0;
    int err = options_parse(&o, text, "type", error);
    if (err)
        return err;
    const char *model = options_take(&o, "model"), *mac = options_take(&o, "mac");
    char id[32];
    snprintf(id, sizeof(id), "nic%u", number);
    err = later(p, error, "%s,netdev=%s%s%s", model ? model : "e1000", id,
                mac ? ",mac=" : "", mac ? mac : "");
    /* What is left goes to the back end, under an id of our own. */
    unsigned kept = 0;
    for (unsigned i = 0; i < o.count; i++) {
        if (o.list[i].used) {
            free(o.list[i].name);
            free(o.list[i].value);
        } else {
            o.list[kept++] = o.list[i];
        }
    }
    o.count = kept;
    o.list = must_realloc(o.list, (kept + 1) * sizeof(*o.list));
    o.list[o.count++] = (struct option){must_strdup("id"), must_strdup(id), false};
    if (!err)
        err = net_add(m, &o, error);
    options_free(&o);
    return err;
}

static int add_serial(struct machine *m, const char *text, unsigned number,
                      struct pending *p, struct error *error)
{
    char id[32], line[1200];

    snprintf(id, sizeof(id), "serial%u", number);
    if (strcmp(text, "none") == 0)
        return 0;
    if (strncmp(text, "chardev:", 8) == 0)
        return later(p, error, "isa-serial,index=%u,chardev=%s", number, text + 8);
    if (strncmp(text, "file:", 5) == 0)
        snprintf(line, sizeof(line), "file,id=%s,path=%s", id, text + 5);
    else if (strncmp(text, "unix:", 5) == 0)
        snprintf(line, sizeof(line), "socket,id=%s,path=%s", id, text + 5);
    else if (strncmp(text, "pty:", 4) == 0)
        snprintf(line, sizeof(line), "pty,id=%s,path=%s", id, text + 4);
    else
        snprintf(line, sizeof(line), "%s,id=%s", text, id);
    int err = add_chardev(m, error, line);
    return err ? err : later(p, error, "isa-serial,index=%u,chardev=%s", number, id);
}

static int add_back_ends(struct machine *m, const struct config *c, struct pending *p,
                         const char **flash, struct error *error)
{
    bool ide_taken[4] = {false};
    int err = add_chardevs(m, c, error);

    for (unsigned i = 0; !err && i < c->blockdevs.count; i++)
        err = add_blockdev(m, c->blockdevs.text[i], error);
    if (!err)
        err = add_drives(m, c, p, ide_taken, flash, error);
    /* A PC as people know it has a CD drive as secondary master. */
    if (!err && !c->no_defaults && !ide_taken[2])
        err = later(p, error, "ide-cd,bus=ide.1,unit=0");
    for (unsigned i = 0; !err && i < c->netdevs.count; i++)
        err = add_netdev(m, c->netdevs.text[i], error);
    for (unsigned i = 0; !err && i < c->nics.count; i++)
        err = add_nic(m, c->nics.text[i], i, p, error);
    for (unsigned i = 0; !err && i < c->serials.count; i++)
        err = add_serial(m, c->serials.text[i], i, p, error);
    return err;
}

/* ---- firmware's contents ------------------------------------------------------------
 */

/* [name=]NAME,file=F or string=S */
static int add_fwcfg(struct machine *m, const char *text, struct error *error)
{
    struct options o;
    int err = options_parse(&o, text, "name", error);

    if (err)
        return err;
    const char *name = options_take(&o, "name"), *file = options_take(&o, "file");
    const char *string = options_take(&o, "string");
    uint8_t *data = NULL;
    size_t bytes = 0;
    err = options_check_used(&o, "-fw_cfg", error);
    if (!err && (!name || !file == !string))
        err =
            error_set(error, -EINVAL, "'%s': a name, and either file= or string=", text);
    if (!err && file && (err = firmware_read_file(file, 64u << 20, &data, &bytes)))
        error_set(error, err, "-fw_cfg: cannot read '%s': %s", file, strerror(-err));
    if (!err) {
        err = fwcfg_add_file(m, name, file ? (void *)data : string,
                             file ? bytes : strlen(string));
        if (err)
            error_set(error, err, "-fw_cfg '%s': %s", name, strerror(-err));
    }
    free(data);
    options_free(&o);
    return err;
}

static int add_smbios(struct machine *m, const char *text, struct firmware_smbios *texts,
                      struct error *error)
{
    struct options o;
    int err = options_parse(&o, text, NULL, error);

    if (err)
        return err;
    err = firmware_smbios_options(m, &o, texts, error);
    if (!err)
        err = options_check_used(&o, "-smbios", error);
    options_free(&o);
    return err;
}

static int add_kernel(struct machine *m, const struct config *c, struct error *error)
{
    if (!c->kernel && (c->initrd || c->append))
        return error_set(error, -EINVAL, "-initrd and -append need -kernel");
    return c->kernel ? firmware_add_kernel(m, c->kernel, c->initrd,
                                           c->append ? c->append : "", error)
                     : 0;
}

static int add_firmware(struct machine *m, const struct config *c, struct error *error)
{
    struct firmware_smbios texts = {0};
    int err = set_boot(m, c, error);

    for (unsigned i = 0; !err && i < c->smbios.count; i++)
        err = add_smbios(m, c->smbios.text[i], &texts, error);
    for (unsigned i = 0; !err && i < c->fwcfg.count; i++)
        err = add_fwcfg(m, c->fwcfg.text[i], error);
    return err ? err : firmware_add_tables(m, &texts, error);
}

/* ---- devices ------------------------------------------------------------------------
 */

static int add_globals(struct machine *m, const struct config *c, struct error *error)
{
    for (unsigned i = 0; i < c->globals.count; i++) {
        const char *text = c->globals.text[i];
        const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
        if (!dot || !equals || dot > equals)
            return error_set(error, -EINVAL, "-global '%s' is not DRIVER.OPTION=VALUE",
                             text);
        struct device_global g = {
            .driver = machine_string(m, text),
            .name = machine_string(m, dot + 1),
            .value = machine_string(m, equals + 1),
        };
        g.driver[dot - text] = 0;
        g.name[equals - dot - 1] = 0;
        device_set_global(m, &g);
    }
    return 0;
}

static int add_board_devices(struct machine *m, const struct config *c,
                             struct error *error)
{
    static const char *const board[] = {
        "i440fx,addr=0",
        "piix3-isa,addr=1.0",
        "piix3-ide,addr=1.1",
        "piix4-pm,addr=1.3",
        "port92",
        "cmos",
    };
    int err = 0;

    for (unsigned i = 0; !err && i < ARRAY_LEN(board); i++) {
        bool power = strncmp(board[i], "piix4-pm", 8) == 0;
        if (!power || !c->no_acpi || !c->xenfv)
            err = device_add_text(m, error, "%s", board[i]);
    }
    /* hvmloader brings its own tables, but for a kernel SeaBIOS asks there. */
    if (!err && (!c->xenfv || c->kernel))
        err = device_add_text(m, error, "fw_cfg");
    if (!err && c->xen_platform)
        err = device_add_text(m, error, "xen-platform,addr=2");
    if (!err)
        err = device_add_text(m, error, "debugcon%s%s", c->debug_log ? ",file=" : "",
                              c->debug_log ? c->debug_log : "");
    if (!err && (!c->no_defaults || c->xenfv) && device_find("i8042"))
        err = device_add_text(m, error, "i8042");
    return err;
}

static int add_graphics(struct machine *m, const struct config *c, struct error *error)
{
    bool none = c->no_graphics || (c->vga && strcmp(c->vga, "none") == 0);

    if (none || (!c->vga && (c->no_defaults || !device_find("VGA"))))
        return 0;
    if (c->vga && strcmp(c->vga, "std") != 0)
        return error_set(error, -EINVAL, "there is no graphics card '%s': std or none",
                         c->vga);
    m->board.graphics = true;
    return device_add_text(m, error, "VGA,addr=2");
}

/* libxl asks for it whenever the guest's configuration names no card. */
static const char *instead_of_cirrus(const struct config *c, const char *text,
                                     char line[200])
{
    static const char cirrus[] = "cirrus-vga";

    if (!c->for_libxl || strncmp(text, cirrus, sizeof(cirrus) - 1) != 0)
        return text;
    dev_log(NULL, LOG_WARNING,
            "there is no cirrus-vga: the guest gets the standard VGA, as with "
            "vga=\"stdvga\"");
    snprintf(line, 200, "VGA%s", text + sizeof(cirrus) - 1);
    return line;
}

static int add_user_device(struct machine *m, const struct config *c, const char *text,
                           struct error *error)
{
    char line[200];
    struct options o;

    text = instead_of_cirrus(c, text, line);
    int err = options_parse(&o, text, "driver", error);

    if (!err) {
        err = device_add(m, &o, error, NULL);
        options_free(&o);
    }
    return err;
}

static int add_all_devices(struct machine *m, const struct config *c, struct pending *p,
                           struct error *error)
{
    int err = add_globals(m, c, error);

    if (!err && c->xenfv)
        err = set_boot(m, c, error); /* hvmloader's SeaBIOS reads it in the CMOS */
    if (!err)
        err = add_board_devices(m, c, error);
    if (!err)
        err = add_graphics(m, c, error);
    /* What has an address of its own first, so that the others go around it. */
    for (unsigned i = 0; !err && i < c->devices.count; i++) {
        if (strstr(c->devices.text[i], "addr="))
            err = add_user_device(m, c, c->devices.text[i], error);
    }
    for (unsigned i = 0; !err && i < p->count; i++)
        err = add_user_device(m, c, p->text[i], error);
    for (unsigned i = 0; !err && i < c->devices.count; i++) {
        if (!strstr(c->devices.text[i], "addr="))
            err = add_user_device(m, c, c->devices.text[i], error);
    }
    if (!err && c->usb_tablet)
        err = add_user_device(m, c, "virtio-tablet-pci", error);
    return err;
}

int board_build(struct machine *m, const struct config *c, struct error *error)
{
    struct pending pending = {.count = 0};
    const char *flash = NULL;
    int err = add_back_ends(m, c, &pending, &flash, error);

    if (!err)
        err = add_all_devices(m, c, &pending, error);
    if (!err)
        err = add_kernel(m, c, error);
    if (!err && !c->xenfv)
        err = add_firmware(m, c, error);
    else if (!err && c->kernel)
        err = firmware_add_boot_rom(m, error);
    m->flash_file = flash;
    m->assembled = true;
    free_pending(&pending);
    return err;
}
