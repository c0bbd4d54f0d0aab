/*
 * A guest's configuration: xl.cfg syntax, from a file, from the command line or both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_CONFIG_H
#define CORBEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/domain.h"

#define GUEST_NAME_MAX 63
#define GUEST_DISKS    16
#define GUEST_NICS     8
#define DEFAULT_MEMORY "512"

enum disk_bus { DISK_IDE, DISK_VIRTIO };

struct disk_config {
    char *path;   /* NULL: an empty CD-ROM drive */
    char *format; /* raw, qcow2 */
    enum disk_bus bus;
    unsigned index; /* IDE: 0 to 3 */
    bool cdrom, read_only;
};

struct nic_config {
    char *model; /* e1000, virtio-net */
    char mac[18];
    char *bridge;  /* NULL: user-mode network */
    char *hostfwd; /* user-mode: proto:addr:port-addr:port, as QEMU's */
    char tap[16];  /* made when the guest starts */
};

enum end_action { END_DESTROY, END_RESTART, END_PRESERVE };

struct guest_config {
    char name[GUEST_NAME_MAX + 1];
    struct domain_spec spec;
    char *firmware;
    char *kernel, *ramdisk; /* instead of a boot loader; NULL: none */
    char *cmdline;          /* for the kernel; NULL: none */
    char *device_model;     /* NULL: the one installed with us; "none": no device model */
    char **model_args;
    unsigned model_arg_count;
    struct disk_config disk[GUEST_DISKS];
    unsigned disks;
    struct nic_config nic[GUEST_NICS];
    unsigned nics;
    char *boot;   /* letters: c disk, d CD-ROM, n network */
    char *serial; /* "console": ours; else what the device model takes */
    char *vga;    /* std, none */
    unsigned video_mib;
    bool vnc;
    char *vnc_listen;
    int vnc_display; /* -1: the first that is free */
    char *vnc_password;
    bool localtime;
    enum end_action on_poweroff, on_reboot, on_crash, on_watchdog;
};

/*
 * Parse `text` (`name` is for messages, with line numbers) into `c`.  An unknown key is
 * an error that names it.  c->name may be empty: the caller chooses one.
 */
int config_parse(struct guest_config *c, const char *name, const char *text, size_t bytes,
                 struct failure *f);
void config_free(struct guest_config *c);

/* keys.c: pure */

/*
 * Find assignments in text of xl.cfg's syntax: calls `each` for every key with its line,
 * until it returns non-zero; returns that.
 */
int config_each_key(const char *text, size_t bytes,
                    int (*each)(const char *key, size_t bytes, unsigned line,
                                void *opaque),
                    void *opaque);
/* How many single-letter changes lie between two names; for "did you mean". */
unsigned edit_distance(const char *a, const char *b);
bool guest_name_valid(const char *name);
/* "0-3,^2,7" into a bitmap. */
int cpu_list_parse(const char *text, uint8_t *map, size_t bytes);
/* "512", "512M", "2G": MiB unless it has a suffix; 0 or bytes. */
int memory_parse(const char *text, uint64_t *bytes);
int uuid_parse(const char *text, uint8_t uuid[16]);
void uuid_format(const uint8_t uuid[16], char text[37]);
int mac_parse(const char *text, uint8_t mac[6]);

#endif
