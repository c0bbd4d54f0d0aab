/*
 * Disks and network cards of a guest's configuration.  See disknic.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxlutil.h>

#include "disknic.h"

#define IDE_DRIVES 4
#define IDE_CDROM  2 /* the secondary master, where BIOSes and users look for it */

static const struct disk_config *ide_drive(const struct guest_config *c, unsigned index)
{
    for (unsigned i = 0; i < c->disks; i++) {
        if (c->disk[i].bus == DISK_IDE && c->disk[i].index == index)
            return &c->disk[i];
    }
    return NULL;
}

/* hda..hdd, vda.., xvda..; others are refused with what there is. */
static int place_disk(struct disk_config *d, const char *vdev, const char *spec,
                      struct failure *f)
{
    size_t n = strlen(vdev);
    char letter = n ? vdev[n - 1] : 0;

    if (n == 3 && !strncmp(vdev, "hd", 2) && letter >= 'a' && letter < 'a' + IDE_DRIVES) {
        d->bus = DISK_IDE;
        d->index = (unsigned)(letter - 'a');
        return 0;
    }
    if (((n == 3 && !strncmp(vdev, "vd", 2)) || (n == 4 && !strncmp(vdev, "xvd", 3))) &&
        letter >= 'a' && letter <= 'z') {
        d->bus = DISK_VIRTIO;
        d->index = (unsigned)(letter - 'a');
        return 0;
    }
    return fail_with(
        f, -EINVAL,
        "disk '%s': %s is no place for a disk; hda to hdd are IDE, vda to vdz virtio%s",
        spec, vdev, vdev[0] == 'f' ? ", and there is no floppy drive" : "");
}

static int keep_disk(struct guest_config *c, struct disk_config *d, const char *spec,
                     struct failure *f)
{
    if (c->disks == GUEST_DISKS)
        return fail_with(f, -ENOSPC, "disk '%s': a guest has at most %d disks", spec,
                         GUEST_DISKS);
    for (unsigned i = 0; i < c->disks; i++) {
        if (c->disk[i].bus == d->bus && c->disk[i].index == d->index)
            return fail_with(f, -EEXIST, "disk '%s': another disk is in the same place",
                             spec);
    }
    if (d->cdrom && d->bus != DISK_IDE)
        return fail_with(f, -EINVAL, "disk '%s': a CD-ROM can only be hda to hdd", spec);
    c->disk[c->disks++] = *d;
    return 0;
}

int disk_add(struct guest_config *c, const char *spec, struct failure *f)
{
    libxl_device_disk parsed;
    struct disk_config d = {0};
    char *report = NULL;
    size_t report_bytes;
    int err = 0;

    FILE *stream = open_memstream(&report, &report_bytes);
    XLU_Config *x = stream ? xlu_cfg_init(stream, "disk") : NULL;
    if (!x) {
        if (stream)
            fclose(stream);
        free(report);
        return fail_with(f, -ENOMEM, "out of memory");
    }
    libxl_device_disk_init(&parsed);
    if (xlu_disk_parse(x, 1, &spec, &parsed)) {
        fflush(stream);
        err = fail_with(f, -EINVAL, "disk '%s': %.*s", spec, (int)strcspn(report, "\n"),
                        report);
    } else if (parsed.format != LIBXL_DISK_FORMAT_RAW &&
               parsed.format != LIBXL_DISK_FORMAT_QCOW2 &&
               parsed.format != LIBXL_DISK_FORMAT_EMPTY) {
        err = fail_with(f, -EINVAL, "disk '%s': the format must be raw or qcow2", spec);
    } else {
        err = place_disk(&d, parsed.vdev, spec, f);
    }
    d.cdrom = parsed.is_cdrom;
    d.read_only = d.cdrom || !parsed.readwrite;
    if (!err && parsed.pdev_path && *parsed.pdev_path) {
        d.path = strdup(parsed.pdev_path);
        d.format = strdup(parsed.format == LIBXL_DISK_FORMAT_QCOW2 ? "qcow2" : "raw");
        if (!d.path || !d.format)
            err = fail_with(f, -ENOMEM, "out of memory");
    } else if (!err && !d.cdrom) {
        err = fail_with(f, -EINVAL, "disk '%s': it names no file", spec);
    }
    if (!err)
        err = keep_disk(c, &d, spec, f);
    if (err) {
        free(d.path);
        free(d.format);
    }
    libxl_device_disk_dispose(&parsed);
    xlu_cfg_destroy(x);
    fclose(stream);
    free(report);
    return err;
}

int cdrom_add(struct guest_config *c, const char *path, struct failure *f)
{
    static const unsigned order[IDE_DRIVES] = {IDE_CDROM, 3, 1, 0};
    struct disk_config d = {.bus = DISK_IDE, .cdrom = true, .read_only = true};
    unsigned i = 0;

    while (i < IDE_DRIVES && ide_drive(c, order[i]))
        i++;
    if (i == IDE_DRIVES)
        return fail_with(f, -ENOSPC, "cdrom '%s': all four IDE drives are taken", path);
    d.index = order[i];
    d.path = strdup(path);
    d.format = strdup("raw");
    int err = d.path && d.format ? keep_disk(c, &d, path, f)
                                 : fail_with(f, -ENOMEM, "out of memory");
    if (err) {
        free(d.path);
        free(d.format);
    }
    return err;
}

/* A locally administered address under the prefix that QEMU's users know. */
static int random_mac(struct nic_config *n, struct failure *f)
{
    uint8_t r[3];

    if (getrandom(r, sizeof(r), 0) != sizeof(r))
        return fail_with(f, -EIO, "no random numbers for a MAC address");
    snprintf(n->mac, sizeof(n->mac), "52:54:00:%02x:%02x:%02x", r[0], r[1], r[2]);
    return 0;
}

static int nic_option(struct nic_config *n, const char *name, const char *value,
                      const char *spec, struct failure *f)
{
    uint8_t mac[6];
    char **field = NULL;

    if (!strcmp(name, "mac")) {
        if (strlen(value) >= sizeof(n->mac) || mac_parse(value, mac))
            return fail_with(f, -EINVAL, "vif '%s': mac=%s is no address of one card",
                             spec, value);
        strcpy(n->mac, value);
        return 0;
    }
    if (!strcmp(name, "type"))
        return !strcmp(value, "ioemu")
                   ? 0
                   : fail_with(f, -EINVAL,
                               "vif '%s': only type=ioemu, an emulated card, "
                               "is there",
                               spec);
    if (!strcmp(name, "net"))
        return !strcmp(value, "user")
                   ? 0
                   : fail_with(f, -EINVAL, "vif '%s': net=user or bridge=NAME", spec);
    if (!strcmp(name, "model")) {
        if (!strcmp(value, "virtio"))
            value = "virtio-net";
        if (strcmp(value, "e1000") && strcmp(value, "virtio-net") &&
            strcmp(value, "rtl8139"))
            return fail_with(f, -EINVAL,
                             "vif '%s': the model is e1000, virtio-net or rtl8139", spec);
        field = &n->model;
    } else if (!strcmp(name, "bridge")) {
        field = &n->bridge;
    } else if (!strcmp(name, "hostfwd")) {
        field = &n->hostfwd;
    } else {
        return fail_with(
            f, -EINVAL,
            "vif '%s': no option '%s'; there are mac, bridge, net, model, hostfwd, "
            "type",
            spec, name);
    }
    free(*field);
    *field = strdup(value);
    return *field ? 0 : fail_with(f, -ENOMEM, "out of memory");
}

static int nic_options(struct nic_config *n, char *text, const char *spec,
                       struct failure *f)
{
    char *rest = NULL;

    for (char *item = strtok_r(text, ",", &rest); item;
         item = strtok_r(NULL, ",", &rest)) {
        while (*item == ' ')
            item++;
        char *equals = strchr(item, '=');
        if (!equals)
            return fail_with(f, -EINVAL, "vif '%s': '%s' lacks a value", spec, item);
        *equals = 0;
        int err = nic_option(n, item, equals + 1, spec, f);
        if (err)
            return err;
    }
    if (n->bridge && n->hostfwd)
        return fail_with(f, -EINVAL,
                         "vif '%s': hostfwd is for net=user, not for a bridge", spec);
    return 0;
}

int nic_add(struct guest_config *c, const char *spec, struct failure *f)
{
    struct nic_config n = {0};
    char *text = strdup(spec);
    int err = text ? 0 : fail_with(f, -ENOMEM, "out of memory");

    if (!err && c->nics == GUEST_NICS)
        err = fail_with(f, -ENOSPC, "vif '%s': a guest has at most %d cards", spec,
                        GUEST_NICS);
    if (!err)
        err = random_mac(&n, f);
    if (!err)
        err = nic_options(&n, text, spec, f);
    if (!err && !n.model) {
        n.model = strdup("e1000");
        err = n.model ? 0 : fail_with(f, -ENOMEM, "out of memory");
    }
    if (!err) {
        c->nic[c->nics++] = n;
    } else {
        free(n.model);
        free(n.bridge);
        free(n.hostfwd);
    }
    free(text);
    return err;
}

int disks_check(struct guest_config *c, struct failure *f)
{
    for (unsigned i = 0; i < c->disks; i++) {
        struct disk_config *d = &c->disk[i];
        struct stat st;

        if (!d->path)
            continue;
        if (stat(d->path, &st) || access(d->path, d->read_only ? R_OK : R_OK | W_OK))
            return fail_with(f, -errno, "%s %s: %s", d->cdrom ? "cdrom" : "disk", d->path,
                             strerror(errno));
        if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
            return fail_with(f, -EINVAL, "%s %s: neither a file nor a block device",
                             d->cdrom ? "cdrom" : "disk", d->path);
        if (S_ISREG(st.st_mode) && st.st_size == 0)
            return fail_with(f, -EINVAL, "%s %s: the file is empty",
                             d->cdrom ? "cdrom" : "disk", d->path);
        /* The supervisor and the device model may be in another directory. */
        char *whole = realpath(d->path, NULL);
        if (!whole)
            return fail_with(f, -errno, "%s: %s", d->path, strerror(errno));
        free(d->path);
        d->path = whole;
    }
    return 0;
}

/* ECMA-119, 8.1: volume descriptors, which begin so, are from sector 16 on. UDF's are
 * there too and begin with BEA01 (ECMA-167, part 2, 9.2). */
static bool has_volume(const char *path)
{
    char id[6] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return true; /* not what is asked here */
    ssize_t got = pread(fd, id, 6, 16 * 2048);
    close(fd);
    return got == 6 && (!memcmp(id + 1, "CD001", 5) || !memcmp(id + 1, "BEA01", 5));
}

void disks_warn(const struct guest_config *c)
{
    for (unsigned i = 0; i < c->disks; i++) {
        const struct disk_config *d = &c->disk[i];

        if (d->cdrom && d->path && !has_volume(d->path))
            fprintf(
                stderr,
                "corbel: cdrom %s: no ISO 9660 file system is in it; is it damaged?\n",
                d->path);
    }
}
