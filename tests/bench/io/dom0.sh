# What both hypervisors' Dom0 offers to the guest that measures disks and networks: disks' images
# in memory, and two bridges with programs that send and drop.
# SPDX-License-Identifier: GPL-2.0-or-later
for n in 1 2; do
    dd if=/dev/zero of=/tmp/disk$n.img bs=1M count=32 2>/dev/null
done
modprobe -a -q bridge tun xen-netback xen-blkback
ip link set lo up
for n in 1 2; do
    ip link add br$n type bridge
    ip addr add 10.9.$n.1/24 dev br$n
    ip link set br$n up
done
serve() { # serve PORT COMMAND: whoever connects talks to the command
    printf '#!/bin/busybox sh\nexec %s\n' "$2" >/tmp/serve$1
    chmod +x /tmp/serve$1
    nc -ll -p $1 -e /tmp/serve$1 2>/dev/null &
}

# Port 5000 + N sends N MiB, port 6000 + N takes as many and then hangs up.
for n in 1 9; do
    serve $((5000 + n)) "dd if=/dev/zero bs=1M count=$n"
    serve $((6000 + n)) "dd of=/dev/null bs=64k count=$((16 * n)) iflag=fullblock"
done

wait_for() { # wait_for TEXT FILE: until the guest has said it, or ten virtual minutes are over
    tries=0
    while ! grep -q "$1" "$2" 2>/dev/null && [ $tries -lt 6000 ]; do
        usleep 100000
        tries=$((tries + 1))
    done
    cat "$2"
    echo
}
