#!/bin/sh
# What jobs in Dom0 check with. Speaks TAP on the machine's virtio port. The tests put their own
# commands behind it.
# SPDX-License-Identifier: GPL-2.0-or-later
exec 3<>/dev/virtio-ports/org.corbel.console
exec <&3 >&3 2>&1
cd /root || exit 1
n=0

result() { # result STATUS NAME
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        sed 's/^/# /' /tmp/out
    fi
}

# run STATUS WORDS NAME COMMAND...: the command ends with the status and says the words.
run() {
    want=$1 words=$2 name=$3
    shift 3
    "$@" >/tmp/out 2>&1
    got=$?
    echo "(status $got)" >>/tmp/out
    [ $got -eq "$want" ] && grep -q -- "$words" /tmp/out
    result $? "$name"
}

free_mib() {
    corbel info | sed -n 's/^free MiB *: //p'
}

