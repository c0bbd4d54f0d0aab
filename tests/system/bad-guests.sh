# Guests that do what no guest should, beside one that behaves; checks.sh comes before it.
# SPDX-License-Identifier: GPL-2.0-or-later
devices="xen_leaves=1 on_reboot=destroy cdrom=/etc/garbage disk=/etc/disk.img,raw,hda,rw
    disk=/etc/disk2.img,raw,vda,rw vif=net=user,model=e1000 vif=net=user,model=virtio"
head -c 3000000 /dev/urandom >/etc/garbage
head -c 1048576 /dev/zero >/etc/disk.img
cp /etc/disk.img /etc/disk2.img

run 0 "guest good" "a guest that behaves" \
    corbel create name=good memory=32 firmware=/root/spin.bin xen_leaves=1

run 3 "asked for a reboot" "a guest that jumps to where nothing is ends by a triple fault" \
    corbel run name=nowhere memory=32 firmware=/root/nowhere.bin $devices
corbel dmesg | tail -n 40 >/tmp/out
grep -q "e0000000" /tmp/out
result $? "its address is in the hypervisor's messages"

for seed in $SEEDS; do
    corbel run name=flood$seed memory=32 firmware=/root/flood$seed.bin $devices >/tmp/out 2>&1
    grep -qE "watchdog ran out|powered itself off|asked for a reboot" /tmp/out
    result $? "nonsense $seed to all devices: the device model lives"
    grep -q "watchdog ran out" /tmp/out || echo "# nonsense $seed: $(tail -n 1 /tmp/out)"
done

run 1 "memory" "too little memory is refused" \
    corbel create name=small memory=1 firmware=/root/spin.bin
run 1 "nonsense" "nonsense for the device model: its words are the reason" \
    corbel create name=words memory=32 firmware=/root/spin.bin device_model_args=--nonsense
run 1 "No such file" "an ISO that is not there" corbel create name=iso memory=32 cdrom=/no.iso
run 0 "no ISO 9660 file system" "a damaged ISO is named" \
    corbel create name=iso memory=32 cdrom=/etc/garbage
run 0 "" "and ended" corbel destroy iso
run 1 "for qcow2 images the package" "a qcow2 disk, and nothing here that reads one" \
    corbel create name=disk memory=32 disk=/etc/garbage,qcow2,vda,rw

before=$(corbel list | sed -n 's/^good .* //p')
sleep 1
run 0 "^good  *[0-9]*  *[0-9]*  *1 [r-]" "the guest that behaves is there" corbel list
after=$(corbel list | sed -n 's/^good .* //p')
echo "$before s of CPU before, $after s after" >/tmp/out
[ "$before" != "$after" ]
result $? "and runs"
run 0 "VM status: running" "its device model answers" corbel monitor good info status
run 1 "unknown command: 'nonsense'; 'help' lists them" "and refuses nonsense" \
    corbel monitor good nonsense
run 0 "" "and is destroyed" corbel destroy good
[ "$(corbel list | tail -n +2 | wc -l)" -eq 1 ]
result $? "no other domain is left"
echo "1..$n"
echo "# done"
