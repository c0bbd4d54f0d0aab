#!/bin/sh
# Checks of the corbel command, inside Dom0; checks.sh comes before it.
# SPDX-License-Identifier: GPL-2.0-or-later
domains() {
    corbel list | wc -l
}

cat >dm-ready <<'S'
#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" = --ready-file ] && touch "$2"
    shift
done
trap 'exit 0' TERM
while :; do
    sleep 1 &
    wait $!
done
S
cat >dm-dies <<'S'
#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" = --ready-file ] && touch "$2"
    shift
done
sleep 1
echo "something is broken" >&2
exit 7
S
printf '#!/bin/sh\necho "cannot find my disk" >&2\nexit 1\n' >dm-refuses
chmod +x dm-*
mem="memory=64"
none="device_model=none xen_leaves=1"

run 0 "powered itself off" "a guest that powers itself off" \
    corbel run name=off $mem firmware=/root/off.bin $none
run 3 "asked for a reboot" "a triple fault is a reboot, which can end the guest" \
    corbel run name=fault $mem firmware=/root/fault.bin $none on_reboot=destroy
run 3 "again and again" "a guest that only reboots is ended" \
    corbel run name=loop $mem firmware=/root/fault.bin $none
run 0 "powered itself off" "a guest with eight vCPUs" \
    corbel run name=smp $mem vcpus=8 firmware=/root/off.bin $none

run 1 "not enough memory: the guest asks for" "too much memory is refused with numbers" \
    corbel create name=big memory=64G firmware=/root/off.bin $none
run 1 "did you mean 'memory'" "a typo in a key is named" \
    corbel create name=typo memry=64
run 1 "No such file" "firmware that is not there is named" \
    corbel create name=fw $mem firmware=/root/none.bin $none
run 1 "4 KiB" "firmware of a strange size is refused" \
    corbel create name=fw $mem firmware=/root/job $none
run 1 "cannot find my disk" "a device model that refuses: its last words are the reason" \
    corbel create name=refused $mem firmware=/root/spin.bin device_model=/root/dm-refuses
run 1 "/root/dm-none" "a device model that is not there is named" \
    corbel create name=nodm $mem firmware=/root/spin.bin device_model=/root/dm-none
run 2 "no command" "an unknown command is named" corbel explode
run 1 "no guest 'nobody'" "an unknown guest is named" corbel pause nobody
run 1 "no guest 'nobody'" "an unknown guest is not woken" corbel wakeup nobody

run 0 "guest one" "create" \
    corbel create name=one $mem firmware=/root/spin.bin device_model=/root/dm-ready vnc=0
run 1 "there already" "a second guest of that name is refused" \
    corbel create name=one $mem firmware=/root/spin.bin $none
run 0 "guest two" "create paused" \
    corbel create -p name=two memory=32 firmware=/root/spin.bin device_model=/root/dm-ready
run 0 "^one  *[0-9]* *64 *1 [r-]" "list shows the running guest" corbel list
run 0 "^two  *[0-9]* *32 *1 --p" "list shows the paused guest" corbel list
run 0 "^127.0.0.1:590[0-9]$" "vnc prints the address" corbel vnc two
run 1 "no screen" "vnc of a guest without it" corbel vnc one
run 0 "" "pause" corbel pause one
run 0 "^one .* --p" "and it is paused" corbel list
run 1 "paused already" "pausing again is refused" corbel pause one
run 0 "" "unpause" corbel unpause one
run 0 "phase  *: running" "info" corbel info one
run 0 "^one  *[0-9]* [r-]" "top" corbel top -n 2
run 0 "" "reboot" corbel reboot one
sleep 2
run 0 "restarts  *: 1" "and it has restarted" corbel info one
run 0 "" "destroy" corbel destroy one
run 1 "has ended" "destroying again is refused" corbel destroy one
run 0 "destroyed on request" "list -a tells the reason" corbel list -a
run 0 "" "destroy the other" corbel destroy two

corbel create name=dies $mem firmware=/root/spin.bin device_model=/root/dm-dies >/dev/null 2>&1
run 3 "ended with status 7: something is broken" "the device model's death ends the guest" \
    corbel wait dies
run 0 "^Domain-0" "and only Dom0 is left" corbel list
[ "$(domains)" -eq 2 ]
result $? "no domain is left behind"

corbel create name=orphan $mem firmware=/root/spin.bin device_model=/root/dm-ready >/tmp/out 2>&1
kill -9 "$(sed -n 's/.*"supervisor": \([0-9]*\).*/\1/p' /run/corbel/orphan/state.json)"
sleep 0.2
run 0 "its supervisor died" "a guest without its supervisor is shown" corbel list -a
run 0 "" "and can be destroyed" corbel destroy orphan
[ "$(domains)" -eq 2 ] && ! ps | grep -q "[d]m-ready"
result $? "with all that belongs to it"

run 1 "no bridge 'br7'" "a bridge that is not there is named" \
    corbel create name=net $mem firmware=/root/spin.bin device_model=/root/dm-ready vif=bridge=br7
ip link add br7 type bridge
run 0 "guest net" "a guest on a bridge" \
    corbel create name=net $mem firmware=/root/spin.bin device_model=/root/dm-ready vif=bridge=br7
ls /sys/class/net/br7/brif >/tmp/out
grep -q "^tap" /tmp/out
result $? "its interface is a port of the bridge"
corbel destroy net
ls /sys/class/net/br7/brif >/tmp/out
! grep -q "^tap" /tmp/out
result $? "and goes with the guest"
run 1 "none of the CPUs" "CPUs that are not there are refused" \
    corbel create name=pin $mem cpus=77 firmware=/root/off.bin $none
run 0 "powered itself off" "a guest on one CPU" \
    corbel run name=pin $mem vcpus=2 cpus=1 firmware=/root/off.bin $none

before=$(free_mib)
i=0
while [ $i -lt "${CYCLES:-30}" ]; do
    corbel run name=cycle memory=128 vcpus=2 firmware=/root/off.bin $none >/tmp/out 2>&1 || break
    i=$((i + 1))
done
sleep 1
after=$(free_mib)
echo "created $i guests, $before MiB free before, $after after" >/tmp/out
[ $i -eq "${CYCLES:-30}" ] && [ $((before - after)) -le 1 ]
result $? "guests that come and go leave no memory behind"

echo "1..$n"
echo "# done"
