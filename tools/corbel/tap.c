/*
 * Network interfaces for guests on a bridge (Linux Documentation/networking/tuntap.rst,
 * linux/sockios.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/sockios.h>

#include "tap.h"

static int set_persistent(const char *name, bool on)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    int err = ioctl(fd, TUNSETIFF, &r) || ioctl(fd, TUNSETPERSIST, on) ? -errno : 0;
    close(fd);
    return err;
}

static int join_bridge(const char *name, const char *bridge)
{
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", bridge);
    r.ifr_ifindex = (int)if_nametoindex(name);
    int err = ioctl(fd, SIOCBRADDIF, &r) ? -errno : 0;
    if (!err) {
        memset(&r, 0, sizeof(r));
        snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
        if (ioctl(fd, SIOCGIFFLAGS, &r))
            err = -errno;
        r.ifr_flags |= IFF_UP;
        if (!err && ioctl(fd, SIOCSIFFLAGS, &r))
            err = -errno;
    }
    close(fd);
    return err;
}

int tap_check_bridge(const char *bridge, struct failure *f)
{
    if (if_nametoindex(bridge))
        return 0;
    return fail_with(f, -ENODEV, "there is no bridge '%s'; ip link add %s type bridge",
                     bridge, bridge);
}

int tap_join(const char *name, const char *bridge, struct failure *f)
{
    int err = join_bridge(name, bridge);

    return err ? fail_with(f, err, "cannot put %s on the bridge %s: %s", name, bridge,
                           strerror(-err))
               : 0;
}

int tap_create(const char *name, const char *bridge, struct failure *f)
{
    int err = tap_check_bridge(bridge, f);

    if (err)
        return err;
    err = set_persistent(name, true);
    if (err)
        return fail_with(f, err,
                         "cannot make the interface %s: %s (is the module tun loaded?)",
                         name, strerror(-err));
    err = tap_join(name, bridge, f);
    if (err)
        tap_remove(name);
    return err;
}

void tap_remove(const char *name)
{
    if (if_nametoindex(name))
        set_persistent(name, false);
}
