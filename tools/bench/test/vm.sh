#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Tests of smmuv3-accel-bench in the emulated host; TAP. Runs there; see "check-vm" in the
# Makefile. Leaves one.json, of an NVMe disk, and all.json, of all devices.

# shellcheck source=../../testing/tap.sh
. tap.sh

tool() { smmuv3-accel-bench "$@"; }
fails() { # $1: status, $2: pattern, rest: arguments
	status=$1 pattern=$2
	shift 2
	tool "$@" >out 2>&1
	[ $? = "$status" ] && grep -q -e "$pattern" out || { cat out; return 1; }
}

one_device() { tool --json --repetitions 3 --device "$disk" >one.json; }
all_devices() { bench-all --json --repetitions 3 --only fanout --only scaling >all.json; }
text() {
	tool --repetitions 1 --only ste --device "$disk" >out 2>&1 &&
		grep '^kernel: Linux' out && grep '^ste_new_vs_direct  *[0-9]' out && ! grep doorbell out
}
find_child() { # Set "child" to a child of $1.
	child=$(awk -v parent="$1" '$4 == parent { print $1; exit }' /proc/[1-9]*/stat 2>/dev/null)
	[ "$child" ]
}
# VFIO enables a device when it is bound to an iommufd. The program does that several times, so
# stop it meanwhile.
enabled() { [ "$(cat "/sys/bus/pci/devices/$disk/enable")" = "$1" ]; }
stopped() { grep -q '^State:.T' "/proc/$child/status"; }
stopped_with_device() {
	find_child "$pid" && kill -STOP "$child" && stopped && enabled 1 && return
	kill -CONT "$child"
	return 1
}
says() { grep -q -e "$1" out || { cat out; return 1; }; }
in_use() {
	smmuv3-accel-bench --repetitions 999 --only doorbells --device "$disk" >/dev/null &
	pid=$!
	in_use="opening the VFIO device of $disk: \|binding $disk to iommufd: "
	soon stopped_with_device && fails 1 "^smmuv3-accel-bench: $disk: $in_use" --device "$disk" &&
		says '^kernel: Linux' && says "^ *$disk: $in_use" &&
		fails 3 "\"ste_new_vs_direct\":[0-9].*\"failed\":{\"$disk\":\"$in_use" \
			--json --repetitions 1 --only ste --device "$disk" --device "$other"
	rc=$?
	kill -KILL "$pid"
	wait "$pid"
	soon enabled 0 && return "$rc"
}
killed() {
	smmuv3-accel-bench --json --repetitions 1 --only memory --only calls --device "$disk" >out 2>&1 &
	pid=$!
	soon entered && kill -KILL "$child"
	wait "$pid"
	rc=$?
	[ "$rc" = 3 ] && says '"host_calls_32x512":512,.*"failed":{"memory":"signal 9 ended its process"}' && ! measuring
}
# A virtual SMMU with a device opens as many files as that.
too_many_files() {
	why='opening the VFIO device of [0-9a-f:.]*: Too many open files'
	# shellcheck disable=SC3045 # busybox has it. With this limit it cannot redirect
	(ulimit -n 7 && exec smmuv3-accel-bench --json --repetitions 1 --only fanout --only calls \
		--only scaling "$@") >out 2>err
	[ $? = 3 ] && grep "^smmuv3-accel-bench: fanout: $why" err &&
		says "\"host_calls_32x512\":512,.*\"failed\":{\"fanout\":\"$why\",\"scaling\":\""
}
entered() { child=$(cat "/sys/fs/cgroup/smmuv3-accel-bench.$pid/cgroup.procs") && [ -n "$child" ]; }
measuring() { [ -e "/sys/fs/cgroup/smmuv3-accel-bench.$pid" ]; }
ended() {
	smmuv3-accel-bench --repetitions 1 --only memory --device "$disk" &
	pid=$!
	# The signal gets to the process in the cgroup, too. This can be seen while that is stopped.
	soon entered && kill -STOP "$child" && soon stopped && kill -TERM "$pid" &&
		soon grep '^ShdPnd:.*4000$' "/proc/$child/status"
	passed_on=$?
	kill -CONT "$child"
	wait "$pid"
	rc=$?
	! measuring || { echo "its cgroup is left"; return 1; }
	[ "$passed_on" = 0 ] || return 1
	[ "$rc" = 143 ] || { echo "status $rc"; return 1; }
}
child_ended() { grep -q '^State:.Z' "/proc/$child/status"; }
skipped() { grep -q -F "\"$1\":\"$2" out; }
other_memory() { # $1: what memory.stat has, $2: why the part is skipped
	printf '%s\n' anon "$1" >stat
	smmuv3-accel-bench --json --repetitions 1 --only memory --device "$disk" >out &
	pid=$!
	stat=/sys/fs/cgroup/smmuv3-accel-bench.$pid/memory.stat
	# The child looks at it for the first time after seconds, and again.
	soon entered && kill -STOP "$child" "$pid" && mount --bind stat "$stat" && kill -CONT "$child" &&
		soon child_ended && umount "$stat"
	rc=$?
	kill -CONT "$pid"
	wait "$pid" && [ "$rc" = 0 ] && skipped memory "$2" && ! grep memory_ out || { cat out; echo; return 1; }
}
no_cgroup() {
	umount /sys/fs/cgroup
	tool --repetitions 1 --only memory --device "$disk" >out
	grep 'memory: /sys/fs/cgroup is not cgroup2' out
}
unbound() {
	echo "$disk" >/sys/bus/pci/drivers/vfio-pci/unbind
	fails 1 "$disk: it is not bound to vfio-pci" --device "$disk"
}
slow() {
	rmmod smmuv3_accel && insmod /opt/smmuv3-accel.ko fast=0 &&
		tool --repetitions 1 --only doorbells --device "$disk" >out &&
		grep '^doorbell64_without_fast_path  *[0-9]' out && ! grep '_vs_batch' out
}
no_parameter() {
	mount -t tmpfs none /sys/module/smmuv3_accel/parameters
	bench-all --json --repetitions 1 --only doorbells --only fanout >out
	rc=$?
	umount /sys/module/smmuv3_accel/parameters
	[ "$rc" = 0 ] && skipped doorbells "cannot read the module's parameter 'fast'" &&
		skipped fanout "cannot read the module's parameter 'filter'" || { cat out; echo; return 1; }
}
no_module() { rmmod smmuv3_accel && fails 1 'the module is not loaded' --device "$other"; }

for device in /sys/bus/pci/drivers/vfio-pci/*:*; do
	case $(cat "$device/device") in
	0x0010) disk=${device##*/} ;;
	*) other=${device##*/} ;;
	esac
	set -- "$@" --device "${device##*/}"
done
t "all devices, behind two SMMUs" all_devices
t "one device" one_device
t "text" text
t "a device is named twice" fails 2 'is named twice' --device "$disk" --device "$disk"
t "a device that is in use" in_use
t "a signal leaves no cgroup behind" ended
t "a part that is killed" killed
t "parts that fail" too_many_files "$@"
t "a kernel that charges no cgroup" other_memory "kernel 0" "the kernel charges no cgroup"
t "a kernel that does not count its memory" other_memory "file 0" "memory.stat of the cgroup lacks"
t "no cgroups" no_cgroup
t "a module without parameters" no_parameter
t "without the fast path" slow
t "a device that is not bound" unbound
t "no module" no_module
finish
