/*
 * attach, detach: disks and network cards of a guest that runs.
 *
 * A disk is called by its place (vdb), a card by its MAC address; these are the ids of
 * the devices, and with a prefix those of what is behind them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "disknic.h"
#include "model.h"
#include "tap.h"

#define ANSWER_MS 10000u
#define LEAVE_MS  30000u /* how long a guest may take to let go of a device */

static void behind(char name[40], const char *id)
{
    snprintf(name, 40, "hot-%s", id);
}

/* Of what was attached, if it is there and free; what the guest was created with keeps
 * its. */
static void drop_back_end(struct model_link *l, const char *id)
{
    struct failure ignored = {0};
    char name[40];

    behind(name, id);
    if (strchr(id, ':'))
        model_ask(l, "netdev_del", json_pack("{s:s}", "id", name), &ignored);
    else
        model_ask(l, "blockdev-del", json_pack("{s:s}", "node-name", name), &ignored);
}

static int attach_disk(struct model_link *l, const struct disk_config *d,
                       struct failure *f)
{
    char id[] = "vda", drive[40];
    struct failure ignored = {0};

    id[2] = (char)(id[2] + d->index);
    behind(drive, id);
    drop_back_end(l, id);
    int err = model_ask(l, "blockdev-add",
                        json_pack("{s:s, s:s, s:s, s:b}", "driver", "file", "node-name",
                                  drive, "filename", d->path, "read-only", d->read_only),
                        f);
    if (err)
        return err;
    err = model_ask(l, "device_add",
                    json_pack("{s:s, s:s, s:s}", "driver", "virtio-blk-pci", "drive",
                              drive, "id", id),
                    f);
    if (err)
        model_ask(l, "blockdev-del", json_pack("{s:s}", "node-name", drive), &ignored);
    else
        printf("%s\n", id);
    return err;
}

static json_t *describe_net(const struct nic_config *n, const char *net, const char *tap)
{
    json_t *j = json_pack("{s:s, s:s}", "type", n->bridge ? "tap" : "user", "id", net);

    if (n->bridge)
        json_object_set_new(j, "ifname", json_string(tap));
    else if (n->hostfwd)
        json_object_set_new(j, "hostfwd", json_string(n->hostfwd));
    return j;
}

/* The interface on a bridge is the device model's, and goes with it. */
static int attach_nic(struct model_link *l, long domid, const struct nic_config *n,
                      struct failure *f)
{
    char net[40], tap[16];
    unsigned mac[3] = {0};
    struct failure ignored = {0};

    behind(net, n->mac);
    sscanf(n->mac, "%*x:%*x:%*x:%2x:%2x:%2x", &mac[0], &mac[1], &mac[2]);
    snprintf(tap, sizeof(tap), "tap%ld.%02x%02x%02x", domid % 10000, mac[0] & 0xff,
             mac[1] & 0xff, mac[2] & 0xff);
    drop_back_end(l, n->mac);
    int err = n->bridge ? tap_check_bridge(n->bridge, f) : 0;
    if (!err)
        err = model_ask(l, "netdev_add", describe_net(n, net, tap), f);
    if (err)
        return err;
    if (n->bridge)
        err = tap_join(tap, n->bridge, f);
    if (!err)
        err = model_ask(l, "device_add",
                        json_pack("{s:s, s:s, s:s, s:s}", "driver", model_nic(n),
                                  "netdev", net, "mac", n->mac, "id", n->mac),
                        f);
    if (err)
        model_ask(l, "netdev_del", json_pack("{s:s}", "id", net), &ignored);
    else
        printf("%s\n", n->mac);
    return err;
}

/* One disk or card in `c`, which config_free() frees. */
static int parse(struct guest_config *c, const char *word, struct failure *f)
{
    if (!strncmp(word, "vif=", 4))
        return nic_add(c, word + 4, f);
    if (strncmp(word, "disk=", 5) != 0)
        return fail_with(f, -EINVAL, "'%s': disk=... or vif=... can be attached", word);
    int err = disk_add(c, word + 5, f);
    if (err)
        return err;
    if (c->disk[0].bus != DISK_VIRTIO)
        return fail_with(f, -ENOTSUP,
                         "disk '%s': only virtio disks, vda to vdz, can come later",
                         word + 5);
    if (strcmp(c->disk[0].format, "raw") != 0)
        return fail_with(f, -ENOTSUP, "disk '%s': only raw images can come later",
                         word + 5);
    return disks_check(c, f);
}

int command_attach(int argc, char **argv)
{
    struct failure f = {0};
    struct guest_state s;
    struct guest_config c = {0};
    struct model_link l;

    if (argc != 3)
        return usage("attach GUEST disk=FILE,raw,vdX[,ro] | attach GUEST vif=OPTIONS");
    int err = model_guest(argv[1], "", &s, &f);
    if (!err)
        err = parse(&c, argv[2], &f);
    if (!err)
        err = model_open(&l, s.name, ANSWER_MS, &f);
    if (!err) {
        err = c.disks ? attach_disk(&l, &c.disk[0], &f)
                      : attach_nic(&l, s.domid, &c.nic[0], &f);
        model_close(&l);
    }
    config_free(&c);
    return err ? complain(&f) : 0;
}

int command_detach(int argc, char **argv)
{
    struct failure f = {0};
    struct guest_state s;
    struct model_link l;

    if (argc != 3)
        return usage("detach GUEST vdX | detach GUEST MAC");
    int err = model_guest(argv[1], "", &s, &f);
    if (!err)
        err = model_open(&l, s.name, LEAVE_MS, &f);
    if (err)
        return complain(&f);
    err = model_ask(&l, "device_del", json_pack("{s:s}", "id", argv[2]), &f);
    if (!err) {
        err = model_wait(&l, "DEVICE_DELETED", argv[2]);
        if (err)
            fail_with(&f, err,
                      "the guest was asked and has not let go of %s within %u s; it goes "
                      "when the guest does so, or with a reset",
                      argv[2], LEAVE_MS / 1000);
        else
            drop_back_end(&l, argv[2]);
    }
    model_close(&l);
    return err ? complain(&f) : 0;
}
