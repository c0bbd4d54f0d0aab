/*
 * Disks and network cards of a guest's configuration, one text each.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CORBEL_DISKNIC_H
#define CORBEL_DISKNIC_H

#include "config.h"

/* xl's disk syntax (xl-disk-configuration(5)); hda to hdd are IDE, vda.. and xvda..
 * virtio. */
int disk_add(struct guest_config *c, const char *spec, struct failure *f);
/* An ISO as the next free IDE CD-ROM. */
int cdrom_add(struct guest_config *c, const char *path, struct failure *f);
/* xl's vif syntax: mac=, bridge=, model=; ours: net=user, hostfwd=. */
int nic_add(struct guest_config *c, const char *spec, struct failure *f);
/* Files are there and may be opened; their paths become absolute. */
int disks_check(struct guest_config *c, struct failure *f);
/* What a guest's user would otherwise only see on its screen: a line to stderr for each
 * CD-ROM that looks damaged. */
void disks_warn(const struct guest_config *c);

#endif
