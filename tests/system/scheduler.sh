# What each domain gets of the CPUs while all spin; checks.sh comes before it, PART is set there.
# SPDX-License-Identifier: GPL-2.0-or-later
guest() { # guest NAME KEY=VALUE...
    spinner=$1
    shift
    corbel create name=$spinner memory=16 firmware=/root/spin.bin device_model=none xen_leaves=1 \
        "$@" >/tmp/out 2>&1 || result 1 "guest $spinner"
}

# measure SECONDS GUEST...: what each had meanwhile by the hypervisor's account, to a tenth of a second,
# into ms_GUEST; into ms the time that passed.
measure() {
    seconds=$1
    shift
    start=$(cut -d' ' -f1 /proc/uptime)
    corbel list >/tmp/before
    sleep "$seconds"
    ms=$(cut -d' ' -f1 /proc/uptime | awk -v start="$start" '{ print int(($1 - start) * 1000) }')
    corbel list >/tmp/after
    for domain; do
        eval "ms_${domain%-0}=$(awk -v name="$domain" '
            $1 == name && !seen++ { before = $NF }
            $1 == name { after = $NF }
            END { print int((after - before) * 1000 + 0.5) }' /tmp/before /tmp/after)"
    done
}

within() { # within LOW HIGH PART WHOLE NAME: PART is from LOW to HIGH percent of WHOLE
    share=$(($3 * 100 / ($4 + 1)))
    echo "$3 of $4 ms: $share %, wanted $1 to $2 %" >/tmp/out
    [ $share -ge "$1" ] && [ $share -le "$2" ]
    good=$?
    result $good "$5"
    [ $good -ne 0 ] || sed 's/^/# /' /tmp/out
}

end() {
    for domain; do corbel destroy "$domain" >/tmp/out 2>&1; done
}

busy_dom0() { # busy_dom0 LOOPS
    for loop in $(seq "$1"); do
        sh -c 'while :; do :; done' &
        loops="$loops $!"
    done
}

one() {
    guest light cpu_weight=128
    guest heavy cpu_weight=512
    measure 8 light heavy
    within 13 27 $ms_light $((ms_light + ms_heavy)) "weights 128 and 512 get a fifth and four fifths"
    end light heavy
    guest capped cap=25
    measure 6 capped
    within 5 32 $ms_capped $ms "a cap of 25 percent holds on an idle CPU"
    end capped
    guest spin
    busy_dom0 1
    measure 6 Domain-0 spin
    within 38 62 $ms_Domain $((ms_Domain + ms_spin)) "a busy Dom0 and a busy guest get the half each"
    kill $loops
    end spin
}

two() {
    for guest in a b c; do guest $guest; done
    measure 6 a b c
    all=$((ms_a + ms_b + ms_c))
    for guest in $ms_a $ms_b $ms_c; do
        within 24 43 "$guest" $all "three guests on two CPUs get a third each"
    done
    end a b c
    guest first cpus=0
    guest second cpus=1
    busy_dom0 2
    measure 6 Domain-0 first second
    guests=$((ms_first + ms_second))
    within 38 62 $ms_Domain $((ms_Domain + guests)) "Dom0 on two CPUs and a guest on each: the half"
    within 35 65 $ms_first $guests "and the guests get as much as each other"
    kill $loops
    end first second
    guest pinned vcpus=1 cpus=1
    guest free vcpus=1
    measure 3 free
    within 62 104 $ms_free $ms "beside one that may not leave its CPU, another guest has the other"
    end pinned free
}

$PART
echo "1..$n"
echo "# done"
