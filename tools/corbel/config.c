/*
 * A guest's configuration: from xl.cfg's syntax to struct guest_config.  libxlutil parses
 * the text; this file knows the keys.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <libxlutil.h>

#include "../lib/firmware.h"
#include "config.h"
#include "disknic.h"

/* One parse: where values come from, where they go. */
struct parse {
    struct guest_config *c;
    const XLU_Config *x;
    const char *file;
    struct failure *f;
};

struct key {
    const char *name;
    /* Take the value into the configuration; NULL: see `only`. */
    int (*take)(struct parse *p, const char *key);
    const char *only; /* the one value that is accepted; NULL and no take: never */
    const char *instead;
};

static int text_of(struct parse *p, const char *key, const char **value)
{
    if (xlu_cfg_get_string(p->x, key, value, 1))
        return fail_with(p->f, -EINVAL, "%s: '%s' takes one value, not a list", p->file,
                         key);
    return 0;
}

static int copy_of(struct parse *p, const char *key, char **field)
{
    const char *value;
    int err = text_of(p, key, &value);

    if (err)
        return err;
    free(*field);
    *field = strdup(value);
    return *field ? 0 : fail_with(p->f, -ENOMEM, "out of memory");
}

static int number_of(struct parse *p, const char *key, long low, long high, long *value)
{
    const char *text;
    char *end;
    int err = text_of(p, key, &text);

    if (err)
        return err;
    errno = 0;
    *value = strtol(text, &end, 0);
    if (errno || end == text || *end || *value < low || *value > high)
        return fail_with(p->f, -EINVAL, "%s: %s=%s: a number from %ld to %ld is needed",
                         p->file, key, text, low, high);
    return 0;
}

static int bool_of(struct parse *p, const char *key, bool *value)
{
    static const char *const yes[] = {"1", "yes", "true", "on"};
    static const char *const no[] = {"0", "no", "false", "off"};
    const char *text;
    int err = text_of(p, key, &text);

    for (unsigned i = 0; !err && i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *value = !strcmp(text, yes[i]);
            return 0;
        }
    }
    return err ? err
               : fail_with(p->f, -EINVAL, "%s: %s=%s: 0 or 1 is needed", p->file, key,
                           text);
}

static int take_name(struct parse *p, const char *key)
{
    const char *value;
    int err = text_of(p, key, &value);

    if (!err && !guest_name_valid(value))
        err = fail_with(
            p->f, -EINVAL,
            "%s: name=%s: a name is 1 to %d letters, digits, '_', '.', '+', '-', "
            "not only digits, and starts with none of '.', '-'",
            p->file, value, GUEST_NAME_MAX);
    if (!err)
        strcpy(p->c->name, value);
    return err;
}

static int take_uuid(struct parse *p, const char *key)
{
    const char *value;
    int err = text_of(p, key, &value);

    if (!err && uuid_parse(value, p->c->spec.uuid))
        err = fail_with(p->f, -EINVAL,
                        "%s: uuid=%s: it looks like 01234567-89ab-cdef-0123-456789abcdef",
                        p->file, value);
    return err;
}

static int take_memory(struct parse *p, const char *key)
{
    const char *value;
    uint64_t bytes;
    int err = text_of(p, key, &value);

    if (err)
        return err;
    if (memory_parse(value, &bytes))
        return fail_with(p->f, -EINVAL,
                         "%s: %s=%s: it is a number of MiB, or one with M or G behind it",
                         p->file, key, value);
    if (bytes < DOMAIN_MIN_BYTES)
        return fail_with(p->f, -EINVAL, "%s: %s=%s: a guest needs at least %llu MiB",
                         p->file, key, value,
                         (unsigned long long)(DOMAIN_MIN_BYTES >> 20));
    if (!strcmp(key, "maxmem") && p->c->spec.ram_bytes && bytes != p->c->spec.ram_bytes)
        return fail_with(p->f, -EINVAL,
                         "%s: maxmem differs from memory; ballooning is not there",
                         p->file);
    p->c->spec.ram_bytes = bytes;
    return 0;
}

static int take_vcpus(struct parse *p, const char *key)
{
    long value;
    int err = number_of(p, key, 1, DOMAIN_MAX_VCPUS, &value);

    if (!err)
        p->c->spec.vcpus = (unsigned)value;
    return err;
}

static int take_firmware(struct parse *p, const char *key)
{
    const char *value;
    int err = text_of(p, key, &value);
    const char *path = err ? NULL : firmware_path(value);

    if (!err && !path)
        return fail_with(p->f, -EINVAL,
                         "%s: %s=%s: it is 'seabios' or the path of an image", p->file,
                         key, value);
    if (err)
        return err;
    free(p->c->firmware);
    p->c->firmware = realpath(path, NULL);
    return p->c->firmware
               ? 0
               : fail_with(p->f, -errno, "firmware %s: %s", path, strerror(errno));
}

static int take_file(struct parse *p, const char *key)
{
    char **field = !strcmp(key, "kernel") ? &p->c->kernel : &p->c->ramdisk;
    const char *value;
    int err = text_of(p, key, &value);

    if (err)
        return err;
    free(*field);
    *field = realpath(value, NULL);
    return *field ? 0
                  : fail_with(p->f, -errno, "%s: %s=%s: %s", p->file, key, value,
                              strerror(errno));
}

static int take_cmdline(struct parse *p, const char *key)
{
    return copy_of(p, key, &p->c->cmdline);
}

/* xl's older way to say the command line: root= and extra=. */
static int add_words(struct parse *p, const char *key)
{
    const char *value;
    char *text;
    int err = text_of(p, key, &value);

    if (err)
        return err;
    if (asprintf(&text, "%s%s%s%s", p->c->cmdline ? p->c->cmdline : "",
                 p->c->cmdline ? " " : "", !strcmp(key, "root") ? "root=" : "",
                 value) < 0)
        return fail_with(p->f, -ENOMEM, "out of memory");
    free(p->c->cmdline);
    p->c->cmdline = text;
    return 0;
}

static int take_boot(struct parse *p, const char *key)
{
    int err = copy_of(p, key, &p->c->boot);

    if (!err && (!*p->c->boot || strspn(p->c->boot, "cdn") != strlen(p->c->boot)))
        err = fail_with(
            p->f, -EINVAL,
            "%s: boot=%s: letters are c (disk), d (CD-ROM), n (network), the first "
            "is tried first",
            p->file, p->c->boot);
    return err;
}

static int take_serial(struct parse *p, const char *key)
{
    return copy_of(p, key, &p->c->serial);
}

static int take_vga(struct parse *p, const char *key)
{
    int err = copy_of(p, key, &p->c->vga);

    if (!err && !strcmp(p->c->vga, "stdvga"))
        p->c->vga[3] = 0;
    if (!err && strcmp(p->c->vga, "std") && strcmp(p->c->vga, "none"))
        err = fail_with(p->f, -EINVAL, "%s: vga=%s: 'stdvga' or 'none'", p->file,
                        p->c->vga);
    return err;
}

static int take_videoram(struct parse *p, const char *key)
{
    long value;
    int err = number_of(p, key, 1, 256, &value);

    if (!err && (value & (value - 1)))
        err = fail_with(p->f, -EINVAL, "%s: videoram=%ld: it is a power of two (MiB)",
                        p->file, value);
    if (!err)
        p->c->video_mib = (unsigned)value;
    return err;
}

static int take_vnc(struct parse *p, const char *key)
{
    return bool_of(p, key, &p->c->vnc);
}

static int take_vnclisten(struct parse *p, const char *key)
{
    return copy_of(p, key, &p->c->vnc_listen);
}

static int take_vncdisplay(struct parse *p, const char *key)
{
    long value;
    int err = number_of(p, key, 0, 59635, &value); /* the port is 5900 more */

    if (!err)
        p->c->vnc_display = (int)value;
    return err;
}

static int take_vncpasswd(struct parse *p, const char *key)
{
    return copy_of(p, key, &p->c->vnc_password);
}

static int take_on_end(struct parse *p, const char *key)
{
    static const char *const names[] = {[END_DESTROY] = "destroy",
                                        [END_RESTART] = "restart",
                                        [END_PRESERVE] = "preserve"};
    enum end_action *field = !strcmp(key, "on_poweroff") ? &p->c->on_poweroff
                             : !strcmp(key, "on_reboot") ? &p->c->on_reboot
                             : !strcmp(key, "on_crash")  ? &p->c->on_crash
                                                         : &p->c->on_watchdog;
    const char *value;
    int err = text_of(p, key, &value);

    for (unsigned i = 0; !err && i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(value, names[i])) {
            *field = (enum end_action)i;
            return 0;
        }
    }
    return err ? err
               : fail_with(p->f, -EINVAL, "%s: %s=%s: 'destroy', 'restart' or 'preserve'",
                           p->file, key, value);
}

static int take_cpus(struct parse *p, const char *key)
{
    const char *value;
    int err = text_of(p, key, &value);

    if (err)
        return err;
    p->c->spec.any_cpu = !strcmp(value, "all");
    if (!p->c->spec.any_cpu &&
        cpu_list_parse(value, p->c->spec.cpus, sizeof(p->c->spec.cpus)))
        return fail_with(p->f, -EINVAL,
                         "%s: cpus=%s: a list such as 0-3,^2 of CPUs below %u", p->file,
                         value, DOMAIN_MAX_CPUS);
    return 0;
}

static int take_share(struct parse *p, const char *key)
{
    bool weight = !strcmp(key, "cpu_weight");
    long value;
    int err = number_of(p, key, weight, 65534, &value);

    if (!err)
        *(weight ? &p->c->spec.weight : &p->c->spec.cap) = (uint16_t)value;
    return err;
}

static int take_tsc_khz(struct parse *p, const char *key)
{
    long value;
    int err = number_of(p, key, 1, UINT32_MAX, &value);

    if (!err)
        p->c->spec.tsc_khz = (uint32_t)value;
    p->c->spec.native_tsc = false;
    return err;
}

static int take_tsc_mode(struct parse *p, const char *key)
{
    const char *value;
    int err = text_of(p, key, &value);

    if (!err && strcmp(value, "native") && strcmp(value, "default"))
        err = fail_with(p->f, -EINVAL, "%s: tsc_mode=%s: 'native' or 'default'", p->file,
                        value);
    if (!err)
        p->c->spec.native_tsc = !strcmp(value, "native");
    return err;
}

static int take_switch(struct parse *p, const char *key)
{
    const struct {
        const char *name;
        bool *field;
    } fields[] = {
        {"hpet", &p->c->spec.hpet},
        {"viridian", &p->c->spec.viridian},
        {"xen_leaves", &p->c->spec.xen_leaves},
        {"localtime", &p->c->localtime},
    };

    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!strcmp(key, fields[i].name))
            return bool_of(p, key, fields[i].field);
    }
    return -EINVAL;
}

static int take_device_model(struct parse *p, const char *key)
{
    return copy_of(p, key, &p->c->device_model);
}

/* Every item of a list (or the one value) to `each`. */
static int take_list(struct parse *p, const char *key,
                     int (*each)(struct guest_config *c, const char *item,
                                 struct failure *f))
{
    XLU_ConfigList *list;
    int n, err = 0;

    if (xlu_cfg_get_list(p->x, key, &list, &n, 1)) {
        const char *value;
        err = text_of(p, key, &value);
        return err ? err : each(p->c, value, p->f);
    }
    for (int i = 0; i < n && !err; i++) {
        const char *item = xlu_cfg_get_listitem(list, i);
        err = item ? each(p->c, item, p->f)
                   : fail_with(p->f, -EINVAL, "%s: %s: item %d is not a text", p->file,
                               key, i);
    }
    return err;
}

static int take_disk(struct parse *p, const char *key)
{
    return take_list(p, key, disk_add);
}

static int take_cdrom(struct parse *p, const char *key)
{
    return take_list(p, key, cdrom_add);
}

static int take_vif(struct parse *p, const char *key)
{
    return take_list(p, key, nic_add);
}

static int add_model_arg(struct guest_config *c, const char *item, struct failure *f)
{
    char **args =
        realloc(c->model_args, (c->model_arg_count + 1) * sizeof(*c->model_args));

    if (!args)
        return fail_with(f, -ENOMEM, "out of memory");
    c->model_args = args;
    args[c->model_arg_count] = strdup(item);
    if (!args[c->model_arg_count])
        return fail_with(f, -ENOMEM, "out of memory");
    c->model_arg_count++;
    return 0;
}

static int take_model_args(struct parse *p, const char *key)
{
    return take_list(p, key, add_model_arg);
}

static const struct key keys[] = {
    {.name = "name", .take = take_name},
    {.name = "uuid", .take = take_uuid},
    {.name = "type", .only = "hvm"},
    {.name = "builder", .only = "hvm"},
    {.name = "memory", .take = take_memory},
    {.name = "maxmem", .take = take_memory},
    {.name = "vcpus", .take = take_vcpus},
    {.name = "cpus", .take = take_cpus},
    {.name = "cpu_weight", .take = take_share},
    {.name = "cap", .take = take_share},
    {.name = "disk", .take = take_disk},
    {.name = "cdrom", .take = take_cdrom},
    {.name = "vif", .take = take_vif},
    {.name = "boot", .take = take_boot},
    {.name = "kernel", .take = take_file},
    {.name = "ramdisk", .take = take_file},
    {.name = "cmdline", .take = take_cmdline},
    {.name = "root", .take = add_words},
    {.name = "extra", .take = add_words},
    {.name = "firmware", .take = take_firmware},
    {.name = "bios", .take = take_firmware},
    {.name = "serial", .take = take_serial},
    {.name = "vga", .take = take_vga},
    {.name = "videoram", .take = take_videoram},
    {.name = "vnc", .take = take_vnc},
    {.name = "vnclisten", .take = take_vnclisten},
    {.name = "vncdisplay", .take = take_vncdisplay},
    {.name = "vncpasswd", .take = take_vncpasswd},
    {.name = "on_poweroff", .take = take_on_end},
    {.name = "on_reboot", .take = take_on_end},
    {.name = "on_crash", .take = take_on_end},
    {.name = "on_watchdog", .take = take_on_end},
    {.name = "hpet", .take = take_switch},
    {.name = "viridian", .take = take_switch},
    {.name = "xen_leaves", .take = take_switch},
    {.name = "localtime", .take = take_switch},
    {.name = "tsc_mode", .take = take_tsc_mode},
    {.name = "tsc_khz", .take = take_tsc_khz},
    {.name = "device_model", .take = take_device_model},
    {.name = "device_model_override", .take = take_device_model},
    {.name = "device_model_args", .take = take_model_args},
    /* xl's keys whose other values mean something that is not there. */
    {.name = "platform", .only = "native", .instead = "use xl for the platform xenfv"},
    {.name = "hap", .only = "1", .instead = "nested paging is required"},
    {.name = "acpi", .only = "1"},
    {.name = "apic", .only = "1"},
    {.name = "pae", .only = "1"},
    {.name = "nx", .only = "1"},
    {.name = "sdl", .only = "0", .instead = "use vnc=1"},
    {.name = "nographic", .only = "0", .instead = "use vga=\"none\""},
    {.name = "xen_platform_pci", .only = "0", .instead = "use xl for the platform xenfv"},
    {.name = "nestedhvm", .only = "0"},
    {.name = "pci", .instead = "passthrough is not there"},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static int check_key(const char *key, size_t bytes, unsigned line, void *opaque)
{
    struct parse *p = opaque;
    char name[64];
    const struct key *near = NULL;
    unsigned best = 3; /* farther away is no typo any more */

    for (unsigned i = 0; i < KEYS; i++) {
        if (strlen(keys[i].name) == bytes && !memcmp(keys[i].name, key, bytes))
            return 0;
    }
    snprintf(name, sizeof(name), "%.*s", (int)bytes, key);
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned distance = edit_distance(name, keys[i].name);
        if (distance < best) {
            best = distance;
            near = &keys[i];
        }
    }
    return fail_with(p->f, -EINVAL, "%s:%u: there is no key '%s'%s%s%s", p->file, line,
                     name, near ? "; did you mean '" : "", near ? near->name : "",
                     near ? "'?" : "");
}

static int take_keys(struct parse *p)
{
    for (unsigned i = 0; i < KEYS; i++) {
        const struct key *k = &keys[i];
        const char *value = NULL;
        int err = xlu_cfg_get_string(p->x, k->name, &value, 1);

        if (err == ESRCH)
            continue;
        if (k->take)
            err = k->take(p, k->name);
        else if (err || !k->only || strcmp(value, k->only))
            err = fail_with(p->f, -EINVAL, "%s: '%s'%s%s%s%s%s", p->file, k->name,
                            k->only ? " can only be '" : " is not supported",
                            k->only ? k->only : "", k->only ? "'" : "",
                            k->instead ? "; " : "", k->instead ? k->instead : "");
        if (err)
            return err;
    }
    return 0;
}

static int set_defaults(struct guest_config *c, struct failure *f)
{
    memset(c, 0, sizeof(*c));
    c->spec.vcpus = 1;
    c->spec.hpet = true;
    c->spec.native_tsc = true;
    c->spec.any_cpu = true;
    c->video_mib = 16;
    c->vnc = true;
    c->vnc_display = -1;
    c->on_poweroff = END_DESTROY;
    c->on_reboot = END_RESTART;
    c->on_crash = END_DESTROY;
    c->on_watchdog = END_DESTROY;
    if (getrandom(c->spec.uuid, sizeof(c->spec.uuid), 0) != sizeof(c->spec.uuid))
        return fail_with(f, -EIO, "no random numbers for a UUID");
    c->spec.uuid[6] =
        (c->spec.uuid[6] & 0x0f) | 0x40; /* RFC 4122: version 4, variant 1 */
    c->spec.uuid[8] = (c->spec.uuid[8] & 0x3f) | 0x80;
    c->firmware = strdup(firmware_path("seabios"));
    c->boot = strdup("cdn");
    c->serial = strdup("console");
    c->vga = strdup("std");
    c->vnc_listen = strdup("127.0.0.1");
    if (!c->firmware || !c->boot || !c->serial || !c->vga || !c->vnc_listen)
        return fail_with(f, -ENOMEM, "out of memory");
    return 0;
}

/* What can only be checked when every key is known. */
static int check_whole(struct parse *p)
{
    struct guest_config *c = p->c;

    if (!c->spec.ram_bytes)
        memory_parse(DEFAULT_MEMORY, &c->spec.ram_bytes);
    if (!c->kernel && (c->ramdisk || c->cmdline))
        return fail_with(p->f, -EINVAL, "%s: ramdisk and cmdline need a kernel", p->file);
    if (!strcmp(c->vga, "none"))
        c->vnc = false;
    c->spec.extra_bytes = (uint64_t)c->video_mib << 20;
    c->spec.firmware = c->firmware;
    if (access(c->firmware, R_OK))
        return fail_with(p->f, -errno, "firmware %s: %s", c->firmware, strerror(errno));
    return disks_check(c, p->f);
}

int config_parse(struct guest_config *c, const char *name, const char *text, size_t bytes,
                 struct failure *f)
{
    struct parse p = {.c = c, .file = name, .f = f};
    char *report = NULL;
    size_t report_bytes = 0;
    int err = set_defaults(c, f);

    if (err)
        goto out;
    if (bytes > INT_MAX || memchr(text, 0, bytes)) {
        err = fail_with(f, -EINVAL, "%s: this is not a text", name);
        goto out;
    }
    FILE *stream = open_memstream(&report, &report_bytes);
    if (!stream) {
        err = fail_with(f, -ENOMEM, "out of memory");
        goto out;
    }
    XLU_Config *x = xlu_cfg_init(stream, name);
    if (!x)
        err = fail_with(f, -ENOMEM, "out of memory");
    else if (xlu_cfg_readdata(x, text, (int)bytes)) {
        fflush(stream);
        err = fail_with(f, -EINVAL, "%.*s", (int)strcspn(report, "\n"), report);
    }
    p.x = x;
    if (!err)
        err = config_each_key(text, bytes, check_key, &p);
    if (!err)
        err = take_keys(&p);
    if (!err)
        err = check_whole(&p);
    if (x)
        xlu_cfg_destroy(x);
    fclose(stream);
    free(report);
out:
    if (err)
        config_free(c);
    return err;
}

void config_free(struct guest_config *c)
{
    for (unsigned i = 0; i < c->disks; i++) {
        free(c->disk[i].path);
        free(c->disk[i].format);
    }
    for (unsigned i = 0; i < c->nics; i++) {
        free(c->nic[i].model);
        free(c->nic[i].bridge);
        free(c->nic[i].hostfwd);
    }
    for (unsigned i = 0; i < c->model_arg_count; i++)
        free(c->model_args[i]);
    free(c->model_args);
    free(c->firmware);
    free(c->kernel);
    free(c->ramdisk);
    free(c->cmdline);
    free(c->device_model);
    free(c->boot);
    free(c->serial);
    free(c->vga);
    free(c->vnc_listen);
    free(c->vnc_password);
    memset(c, 0, sizeof(*c));
}
