#!/bin/sh
# Guests come and go in Dom0; what they used must be free again. Speaks TAP on the virtio port.
# SPDX-License-Identifier: GPL-2.0-or-later
# CYCLES is put in front by tests/system/leaks.
exec 3<>/dev/virtio-ports/org.corbel.console
exec <&3 >&3 2>&1
n=0

result() { # result STATUS NAME
    n=$((n + 1))
    [ "$1" -eq 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}

# What there is, one thing in a line, as the hypervisor and the kernel count it.
picture() {
    corbel dmesg -c >/dev/null
    corbel debug-keys mqe
    corbel dmesg | sed -n 's/.*Memory:.*(\([0-9]*\) frames).*/free frames: \1/p
        s/.*Small objects: \([0-9]*\), .* in \([0-9]*\) frames; larger ones: \([0-9]*\) frames; pages that domains may map: \([0-9]*\) frames/small objects: \1\nframes of small objects: \2\nframes of larger objects: \3\nframes that domains may map: \4/p
        s/.*\(d[0-9]*\): RAM \([0-9]*\) frames, nested page tables \([0-9]*\) frames (\([0-9]*\) unlinked)/frames of \1: \2\nframes of page tables of \1: \3\nunlinked of them: \4/p
        s/.*\(d[0-9]*: alive\|d[0-9]*: [a-z]*ing\),.* \([0-9]*\) references.*/references of \1: \2/p
        s/.*\(d[0-9]*\): \([0-9]*\) event channels in use/event channels of \1: \2/p'
    echo "domains: $(corbel list | tail -n +2 | wc -l)"
    echo "files in /run/corbel: $(find /run/corbel | wc -l)"
    echo "files in /tmp and /dev/shm: $(find /tmp /dev/shm | grep -v /tmp/leaks | wc -l)"
    echo "processes: $(ps | grep -c '[c]orbel \|[c]orbel-dm')"
    echo "network interfaces: $(ls /sys/class/net | wc -l)"
    echo "interrupts of event channels: $(grep -c xen-dyn /proc/interrupts)"
    echo "terminals: $(ls /dev/pts | wc -l)"
}

# Ends of several kinds, each with our device model.
cycle() { # cycle NUMBER
    set -- "$1" name=cycle memory=$((32 + $1 % 3 * 32)) vcpus=$((1 + $1 % 2)) vif=net=user \
        cdrom=/etc/empty.iso disk=/etc/disk.img,raw,vda,rw
    case $(($1 % 4)) in
    0) shift && corbel create -p "$@" && corbel destroy cycle ;;
    1) shift && corbel create "$@" && usleep 300000 && corbel destroy cycle ;;
    2) shift && corbel create "$@" && corbel reboot cycle && corbel destroy cycle ;;
    3) shift && corbel create "$@" && kill -9 $(pidof corbel-dm) && corbel wait cycle
        corbel list -a | grep -q "cycle.*device model" ;;
    esac
}

head -c 2048000 /dev/zero >/etc/empty.iso
head -c 1048576 /dev/zero >/etc/disk.img
ip link add br7 type bridge
for i in 0 1 2 3; do # what is kept for the next guest is there now
    cycle $i >/tmp/leaks.log 2>&1 || cat /tmp/leaks.log
done
sleep 1
picture >/tmp/leaks.before
i=0
while [ $i -lt $CYCLES ]; do
    cycle $i >/tmp/leaks.log 2>&1 || break
    i=$((i + 1))
done
[ $i -eq $CYCLES ]
result $? "$CYCLES guests were created and ended"
[ $i -eq $CYCLES ] || sed 's/^/# /' /tmp/leaks.log
sleep 1
picture >/tmp/leaks.after
sed 's/^/# /' /tmp/leaks.after
diff /tmp/leaks.before /tmp/leaks.after
result $? "and everything is as it was before: frames, event channels, files, processes"
echo "1..$n"
echo "# done"
