/*
 * From a command line to a machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEVMODEL_BOARD_H
#define DEVMODEL_BOARD_H

#include "machine.h"

#define CONFIG_LIST 64

struct config_list {
    const char *text[CONFIG_LIST];
    unsigned count;
};

struct config {
    /* Each in the order given; see cmdline.c for what may be written. */
    struct config_list drives, blockdevs, devices, netdevs, nics, chardevs, serials,
        globals;
    struct config_list fwcfg, smbios;
    uint64_t memory; /* bytes */
    unsigned cpus, max_cpus;
    const char *name, *uuid, *bios, *vga, *vnc, *vnc_password_file, *control, *boot;
    const char *kernel, *initrd, *append; /* a kernel in place of a boot loader */
    const char *debug_log;                /* chardev or file of port 0x402 */
    const char *monitor[2];               /* chardevs of the control socket */
    unsigned monitors;
    const char *machine;
    bool no_defaults, no_graphics, usb, usb_tablet, no_acpi, paused, version, help,
        sandbox_off;

    /* corbel-dm */
    int domid; /* -1: not given */
    const char *ready_file;
    const char *run_as; /* name, or UID:GID */
    const char *chroot;
    bool xenfv;            /* -machine xenfv or pc,accel=xen: hvmloader's platform */
    bool xen_platform;     /* with the Xen platform device */
    bool for_libxl;        /* -xen-domid: started by libxl */
    bool restricted;       /* no handle may reach beyond the domain (dm_restrict=1) */
    uint64_t ram_below_4g; /* most, in bytes; 0: the platform's */
    int incoming;          /* file with the devices' state; -1: none */

    /* corbel-dm-qtest */
    const char *qtest;
    bool machine_none;
};

/* Fills in `c`; texts point into argv.  0, or a negative errno with a message. */
int config_parse(struct config *c, int argc, char **argv, bool for_tests,
                 struct error *error);
void config_help(const char *program, bool for_tests);

/* Memory, CPUs, identity: what the front end must know first. */
int board_prepare(struct machine *m, const struct config *c, struct error *error);
/* Make everything the configuration asks for, except the front end's own parts. */
int board_build(struct machine *m, const struct config *c, struct error *error);

#endif
