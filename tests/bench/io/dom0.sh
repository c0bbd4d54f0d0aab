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
cat >/tmp/send <<'S'
#!/bin/busybox sh
read -r mib
exec dd if=/dev/zero bs=1M count="$mib" 2>/dev/null
S
cat >/tmp/take <<'S'
#!/bin/busybox sh
read -r mib
dd of=/dev/null bs=64k count=$((mib * 16)) iflag=fullblock 2>/dev/null
echo taken
S
chmod +x /tmp/send /tmp/take
nc -ll -p 5001 -e /tmp/send &
nc -ll -p 5002 -e /tmp/take &

wait_for() { # wait_for TEXT FILE: until the guest has said it, or ten virtual minutes are over
    tries=0
    while ! grep -q "$1" "$2" 2>/dev/null && [ $tries -lt 6000 ]; do
        usleep 100000
        tries=$((tries + 1))
    done
    cat "$2"
    echo
}
