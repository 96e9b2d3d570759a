#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests of smmuv3-accelctl in the emulated host, with real vSMMUs; TAP. Runs
# there, with busybox; see "check-vm" in the Makefile.

tool=$PWD/smmuv3-accelctl
holder=$PWD/holder
cd /tmp || exit 1
# shellcheck source=../../testing/tap.sh
. tap.sh

# The tool's output has a line that matches $1. Rest: arguments
has() {
	pattern=$1
	shift
	"$tool" "$@" >out 2>&1
	grep -qE -- "$pattern" out || { echo "no line matches $pattern"; cat out; return 1; }
}
lacks() { ! has "$@" >/dev/null || { cat out; return 1; }; }
fails() { # $1: status, $2: pattern, rest: arguments
	status=$1 pattern=$2
	shift 2
	"$tool" "$@" >out 2>&1
	[ $? = "$status" ] && grep -qE -- "$pattern" out || { cat out; return 1; }
}
nobody() { su nobody -s /bin/sh -c "$tool $*"; }
nobody_has() {
	pattern=$1
	shift
	nobody "$@" >out 2>&1
	grep -qE -- "$pattern" out || { cat out; return 1; }
}
counter() { "$tool" -j stats "$1" | sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"; }
equal() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }

# Look once, for several questions about devices.
look() { "$tool" info "$@" >seen 2>/dev/null; }
# What was seen of a device
device() { awk -v bdf="$1" '/^[^ ]/ { on = 0 } /^  - bdf: / { on = $3 == bdf } on' seen; }
# Of that, a line matches. $1: the device, $2: pattern
device_has() {
	device "$1" >out
	grep -qE -- "$2" out || { echo "no line matches $2"; cat out; return 1; }
}

grep -q ^nobody /etc/passwd 2>/dev/null || echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd

if [ "${1-}" = no-canwbs ]; then
	t "info: the firmware does not declare CANWBS" has '^    canwbs: no$' info
	t "info: what nesting needs" has 'because: nesting needs an SMMU with S2FWB' info
	t "info --probe: no nesting" has '^    can_nest: no$' info --probe
	look --probe
	t "info --probe: so no device is ready" device_has 0000:00:01.0 '^    ready: no$'
	t "info --probe: what to do about that" device_has 0000:00:01.0 '^    to_do: nothing: its SMMU cannot nest'
	t "info --probe: why" has 'does not declare the root complex CANWBS, and the SMMU has no S2FWB' info --probe
	finish
fi

if [ "${1-}" = groups ]; then
	direct=0000:00:1b.0 below=0000:01:01.0 function=0000:00:1c
	look
	t "info: a direct region" device_has $direct '^      - 0x30000000-0x3000ffff$'
	t "info: a device with a direct region is not ready" device_has $direct '^    ready: no$'
	t "info: what to do about a direct region" device_has $direct \
		'^    to_do: .* 0x30000000-0x3000ffff mapped 1:1 .*, so the host gives it to no VMM'
	t "the host refuses to bind a device with a direct region" equal \
		"$("$holder" bind "$(device $direct | sed -n 's/^    cdev: //p')")" \
		"$(device $direct | sed -n 's/^    cdev: //p'): EINVAL"
	t "the kernel says so" test -n "$(dmesg | grep 'requested this device have a 1:1 IOMMU mapping')"
	t "info: behind a PCI bridge" device_has $below '^    to_do: .* the bridge 0000:00:1a.0, '
	t "info: shares its group with the bridge" equal \
		"$(device $below | grep -A 2 '^      - bdf: 0000:00:1a.0$' | sed -n 's/^        bridge: //p')" yes
	t "info: a device that shares its group with a bridge is not ready" device_has $below '^    ready: no$'
	remove="echo 1 > /sys/bus/pci/devices/$function.1/remove"
	t "info: a function without ACS" device_has $function.0 '^    to_do: .* nothing isolates them from this one \(no ACS\)'
	t "info: the other function has a driver" device_has $function.0 "^    to_do: .* unbind them first: $function.1 \(vfio-pci\)\$"
	t "info: a function without ACS is not ready" device_has $function.0 '^    ready: no$'
	t "info --probe: no device is ready" has 'because: there is no device behind it to try it with' info --probe
	echo $function.1 >/sys/bus/pci/devices/$function.1/driver/unbind
	look
	t "info: the other function has no driver" device_has $function.0 "^    to_do: .*; these have no driver: $remove\$"
	t "info: it is not ready yet" device_has $function.0 '^    ready: no$'
	eval "$remove"
	look
	t "info: ready without the other function" device_has $function.0 '^    ready: yes$'
	t "info --probe: a vSMMU can attach it then" has "because: a vSMMU can attach $function.0, as a dry run shows" info --probe
	mkfifo fifo
	"$holder" group /dev/vfio/"$(device $function.0 | sed -n 's/^    group: //p')" $function.0 <fifo >held 2>&1 &
	pid=$!
	exec 9>fifo
	t "a VMM has a device through its group" soon grep -q ready held
	look
	t "info: it has the device" equal "$(device $function.0 | sed -n 's/^      - pid: //p')" $pid
	t "info: such a device is not free" device_has $function.0 '^    free: no$'
	exec 9>&-
	wait $pid
	look
	t "info: it is free again" device_has $function.0 '^    free: yes$'
	finish
fi

first=0000:00:01.0 other=0000:21:00.0
host='because: a vSMMU can attach .*, as a dry run shows'
t "info: the module and its API" has '^  api_version: 1$' info
t "info: limits" has '^  max_phys: [1-9]' info
t "info: flags of CREATE" has '^  create_flags: SHARED_ASIDS FEED NO_GLOBAL$' info
t "info: flags of ATTACH" has '^  attach_flags: BRIDGE FEED DRY_RUN$' info
t "info: ioctls" has '^  ioctls: GET_INFO CREATE .* SET_VSIDS$' info
t "info: parameters" has '^    escalate: 64$' info
t "info: nodes" has '^  - path: /dev/smmuv3-accel$' info
t "info: options found out without a configuration" has '^      known_from: /proc/kallsyms$' info
t "info: two SMMUs" equal "$("$tool" info | grep -c '^  - name: smmu3\.')" 2
t "info: CANWBS of both" equal "$("$tool" info | grep -c '^    canwbs: yes$')" 2
t "info: does not try" lacks "$host" info
t "info: devices bound to vfio-pci" equal "$("$tool" info | grep -c '^    cdev: ')" 8
t "info: two that share a group" equal "$("$tool" info | grep -c '^    to_do: take the other functions from the host')" 2
t "info --all: others too" has '^    driver: virtio-pci$' info --all
t "info --probe: both SMMUs nest" equal "$("$tool" info --probe | grep -c "^    $host")" 2
t "info --probe: ID registers" has '^      - 0x0d44101b$' info --probe
t "info --probe: leaves nothing behind" has '^vsmmus: none$' list
t "list: nothing" has '^vsmmus: none$' list
t "stats: no such vSMMU" fails 1 'there is no vSMMU 4711' stats 4711

mkfifo fifo
"$holder" <fifo >held 2>&1 &
pid=$!
exec 9>fifo
t "a VMM runs" soon grep -q ready held
id=$("$tool" list | sed -n 's/^  - id: //p' | head -n 1)

t "list: two vSMMUs" equal "$("$tool" list | grep -c '^  - id: ')" 2
t "list: their holder" equal "$("$tool" list | grep -c "pid: $pid\$")" 2
t "list: three streams" has '^    stream_count: 3$' list
t "list: the streams' devices" equal "$("$tool" list | sed -n 's/^ *device: //p' | tr '\n' ' ')" "$first $other bridge "
t "list: physical SMMUs" equal "$("$tool" list | grep -c '^      - index: ')" 2
t "list: what is installed" has '^        installed: s1$' list
t "list: why a stream aborts" has '^        reason: STE_CONFIG$' list
ste=$("$tool" list | sed -n 's/^ *ste: //p')
# shellcheck disable=SC2086 # two words
t "decode: the STE that list shows" has "is translated by the guest's stage 1" decode ste $ste
look
t "info: the device is in use" equal "$(device $first | grep -cE "free: no|pid: $pid|vsmmu: $id|vsid: 0x42")" 5
t "info: nesting works, as a vSMMU shows" equal "$("$tool" info | grep -c "because: vSMMU $id has devices there")" 2
t "info --probe: takes devices that are free" has "$host" info --probe

# A user who has files of such names open, and the devices themselves with O_PATH
mkdir -p eve/vfio/devices
for name in smmuv3-accel vfio/devices/vfio0 vfio/devices/vfio1 vfio/devices/vfio2; do
	: >eve/$name
done
free() { "$tool" info | grep -c '^    free: yes'; }
free=$(free)
mkfifo eve/fifo
su nobody -s /bin/sh -c "exec $holder $PWD/eve/smmuv3-accel $PWD/eve/vfio/devices/* /dev/smmuv3-accel /dev/vfio/devices/* /sys/bus/pci/drivers/vfio-pci/unbind" \
	<eve/fifo >eve/held 2>&1 &
eve=$!
exec 8>eve/fifo
t "a user pretends" soon grep -q ready eve/held
t "a user pretends: has the devices' paths open" equal \
	"$(for fd in "/proc/$eve/fd/"*; do readlink "$fd"; done | grep -c '^/dev/vfio/devices/vfio')" 8
t "info: a user who pretends uses no device" lacks "pid: $eve\$" info
t "info: as many devices are free" equal "$(free)" "$free"
t "list: a user who pretends has no vSMMU" lacks "pid: $eve\$" list
exec 8>&-

t "stats: cmds are counted" test "$(counter "$id" cmds)" -gt 0
t "stats: share subsumed" has '^      subsumed_percent: 85\.7$' stats "$id"
# A flush when the STE came is a call more.
t "stats: 8 commands, and a host call for the one SMMU that translates" \
	has '^      cmds_per_host_call: 7\.[5-9][0-9]*$' stats "$id"
t "stats: the other SMMU did not need them" has '^      withheld_percent: (4[5-9]\.[0-9]|50\.0)$' stats "$id"
t "stats: a bad STE" equal "$(counter "$id" ste_bad)" 1
t "stats --watch: a row" has "^ *$id +[1-9][0-9]* .* 8\.0 +85\.7% .* 50\.0% " stats "$id" --watch=2 --count 2
t "stats --watch: as many as asked for" equal "$("$tool" stats "$id" -w1 -n3 | grep -c '%')" 3
t "stats --watch --json: rates" has '"per_second":\{"cmds":[1-9]' -j stats --watch=1 --count 1

t "not root: list says what it lacks" nobody_has 'processes are hidden: run it as root' list
t "not root: info says whom the node is for" nobody_has 'smmuv3-accel: Permission denied: run it as root, or' info
t "not root: whether a device is free is not known" nobody_has '^    free: unknown$' info

umount /sys/kernel/debug
t "no debugfs: list says what to do" has 'mount -t debugfs none /sys/kernel/debug' list
t "no debugfs: the vSMMUs are seen" equal "$("$tool" list 2>/dev/null | grep -c '^  - id: ')" 2
t "no debugfs: counters too" test "$(counter "$id" cmds)" -gt 0
mount -t debugfs debugfs /sys/kernel/debug

driver=/sys/bus/pci/drivers/vfio-pci
sh -c "echo $first >$driver/unbind" 9>&- &
unbind_first=$!
sh -c "echo $other >$driver/unbind" 9>&- &
unbind_other=$!
t "the unbind takes the VFIO device away" soon test ! -e /sys/bus/pci/devices/$first/vfio-dev
t "the other unbind does, too" soon test ! -e /sys/bus/pci/devices/$other/vfio-dev
look
t "info: the unbind waits" device_has $first '^    unbinding: yes$'
t "info: a device whose unbind waits is not ready" device_has $first '^    ready: no$'
t "info: it is not free" device_has $first '^    free: no$'
t "info: who keeps the device" equal "$(device $first | grep -c "^      - pid: $pid\$")" 2
t "info: with which descriptors" equal \
	"$(device $first | sed -n 's/^        fd: //p' | while read -r fd; do readlink "/proc/$pid/fd/$fd"; done | tr '\n' ' ')" \
	"/dev/vfio/devices/vfio0 (deleted) /dev/smmuv3-accel "
t "info: what to do about it" device_has $first '^    to_do: its unbind waits until the processes in used_by'
t "info: only the vSMMU keeps the other one" equal "$(device $other | grep -c "^      - pid: $pid\$")" 1
t "info: the other unbind waits, too" device_has $other '^    unbinding: yes$'
t "info: who waits" equal "$(sed -n '/^unbinds:/,$p' seen | grep -cE "pid: ($unbind_first|$unbind_other)\$")" 2

exec 9>&-
wait "$pid"
t "the VMM ends well" equal $? 0
wait "$unbind_first" "$unbind_other"
t "the unbind ends with the VMM" equal $? 0
look --all
t "info: no unbind waits" grep -q '^unbinds: none$' seen
t "info: what to do with a device without a driver" device_has $first '^    to_do: bind it to vfio-pci'
echo $first >/sys/bus/pci/drivers_probe
echo $other >/sys/bus/pci/drivers_probe
look
t "info: ready again" device_has $first '^    ready: yes$'
t "list: nothing is left" has '^vsmmus: none$' list
t "stats: the vSMMU is gone" fails 1 "there is no vSMMU $id" stats "$id"

rmmod smmuv3_accel
t "no module: list" fails 1 'not loaded: modprobe smmuv3-accel' list
t "no module: stats" fails 1 'not loaded: modprobe smmuv3-accel' stats
t "no module: info" has '^  loaded: no$' info
t "no module: info --probe reads the ID registers" has '^      - 0x0d44101b$' info --probe
t "no module: info --probe judges by them" has 'by the ID registers: it lacks nothing' info --probe

finish
