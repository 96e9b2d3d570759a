#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo-guest: in the emulated host the reference VMM boots Linux, with an NVMe
# disk and an edu device behind its vSMMU. Says PASS, or what failed.
#
# With --short only what one boot shows, as TAP; --debug: the host has the debug kernel.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

form=long host=()
for arg; do
	case $arg in
	--short) form=short ;;
	--debug) host=(--debug) ;;
	*) die "usage: demo-guest.sh [--short] [--debug]" ;;
	esac
done

"$VM_DIR/setup.sh"
[ $form = short ] || "$VM_DIR/setup.sh" kernel-64k
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{share,overlay}
head -c 64M /dev/urandom >"$work/disk"
[ $form = short ] || cp "$CACHE/kernel-64k/arch/arm64/boot/Image" "$work/share/Image-64k"

# The guest does what it is told on its console, a line at a time.
cat >"$work/overlay/demo" <<'GUEST'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
stty -echo
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /tmp

disk() { # Wait for it: the driver may still be looking at it.
	tries=0
	while [ ! -b /dev/nvme0n1 ] && [ $tries -lt 100 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	echo 3 >/proc/sys/vm/drop_caches
}
sum() { disk; sha256sum </dev/nvme0n1; }
write() { # $1: at which MiB
	dd if=/dev/urandom of=/tmp/new bs=1M count=1 2>/dev/null
	disk
	dd if=/tmp/new of=/dev/nvme0n1 bs=1M seek="$1" conv=fsync 2>/dev/null
	disk
	dd if=/dev/nvme0n1 bs=1M skip="$1" count=1 2>/dev/null | cmp - /tmp/new && sha256sum </tmp/new
}

echo "guest: up"
while read -r line; do
	eval "$line"
	echo "guest: status $?"
done
GUEST
chmod 755 "$work/overlay/demo"
(cd "$work/overlay" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/share/demo.cpio.gz"

# What runs in the emulated host. It prints TAP without the plan.
cat >"$work/share/host" <<'HOST'
form=$1 sum=$2 image=/opt/guest/Image
cr=$(printf '\r') nl='
'
tests=0 failed=0 vmm=''

say() { echo "# $*"; }

check() { # $1: what is true if the rest succeeds
	tests=$((tests + 1))
	what=$1
	shift
	if "$@"; then
		echo "ok $tests - $what"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $what"
		tail -n 20 /tmp/console /tmp/errors | sed 's/^/#   | /'
	fi
}

# Read the guest's console up to a line that begins with $1, into "line"; what is
# before it, into "said".
expect() {
	said=''
	while read -r -t 180 line <&4; do
		line=${line%"$cr"}
		echo "$line" >>/tmp/console
		case $line in "$1"*) return 0 ;; esac
		said=$said$line$nl
	done
	return 1
}

guest() { # a command; its status is returned
	echo "$*" >&3
	expect "guest: status " && [ "$line" = "guest: status 0" ]
}

monitor() { timeout 60 vmm --monitor /tmp/monitor --send "$*" >/tmp/answer && ! grep -q ^error /tmp/answer; }

counter() { # $1: of the JSON that the VMM prints
	monitor stats && sed "s/.*\"$1\": \([0-9]*\).*/\1/" /tmp/answer
}

start() { # $1: the kernel's options, rest: the VMM's
	append="console=ttyAMA0 loglevel=1 rdinit=/demo $1"
	shift
	vmm --kernel $image --initrd /tmp/initramfs --append "$append" --cpus 2 \
		--monitor /tmp/monitor --stats /tmp/stats "$@" <>/tmp/in >/tmp/out 2>/tmp/errors &
	vmm=$!
	exec 4</tmp/out
	expect "guest: up"
}

ends() { # by itself, with status 0
	(sleep 60; kill -KILL "$vmm") &
	watchdog=$!
	wait "$vmm"
	status=$?
	kill $watchdog 2>/dev/null
	return $status
}

stop() { monitor quit && ends; }

# Nobody reads the console, its pipe is full; then the guest writes, and is told more.
stall() {
	timeout 1 dd if=/dev/zero of=/tmp/out bs=4096 count=17 2>/dev/null
	echo 'echo stalled' >&3
	sleep 1
	echo 'echo read again' >&3
	sleep 1
}

read_again() { head -c 65536 <&4 >/dev/null && expect "read again" && expect "guest: status 0"; }

unbound() { # $1: a device that the host wants back from vfio-pci
	{ echo "$1" >/sys/bus/pci/drivers/vfio-pci/unbind && : >/tmp/unbound; } &
	tries=0
	while [ ! -e /tmp/unbound ]; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || return 1
		sleep 0.1
	done
}

stop_amid_reset() { monitor reset && kill -TERM $vmm && ends; }

same_sum() { guest sum && [ "${said%% *}" = "$sum" ]; }
has() { echo "$said" | grep -q "$1"; }

mkfifo /tmp/in /tmp/out
exec 3<>/tmp/in
cat /opt/guest/initramfs demo.cpio.gz >/tmp/initramfs
for dev in /sys/bus/pci/drivers/vfio-pci/0000:*; do
	case $(cat "$dev/vendor") in
	0x1b36) nvme=${dev##*/} ;;
	0x1234) edu=${dev##*/} ;;
	esac
done

say "The VMM boots Linux with $nvme (NVMe) and $edu (edu) behind a vSMMU, invalidation strict."
check "the guest is up" start "iommu.strict=1" --vsmmu --device "$nvme,slot=8" --device "$edu,slot=9"
check "its invalidation is strict" guest 'dmesg | grep -q "invalidation policy: strict mode"'
guest 'dmesg | grep arm-smmu-v3; ls /sys/class/iommu/*/devices'
check "its SMMUv3 driver has both devices" has '0000:00:09.0'
before=$(counter cmds)
check "SHA-256 of the whole disk is what it is outside" same_sum
strict=$(($(counter cmds) - before))
say "That took $strict commands of the guest's SMMU."

say "edu is told to write where the guest has nothing mapped."
check "the guest's driver reports the fault" guest 'edu-fault 0xdead000'
guest 'dmesg | grep F_TRANSLATION'
check "with edu's StreamID, 0x48" has 'sid: 0x48'
say "$(echo "$said" | head -n 1)"

if [ "$form" = long ]; then
	say "The guest writes 1 MiB, and reads it back."
	check "it reads what it wrote" guest write 32
	echo "32 ${said%% *}" >written
	guest sum
	sum=${said%% *}

	say "Hotplug: the guest lets go of the disk, the VMM unplugs it, and plugs it in another slot."
	check "the guest removes the device" guest 'echo 1 >/sys/bus/pci/devices/0000:00:08.0/remove'
	check "the VMM unplugs it" monitor unplug 8
	check "the guest sees none on a rescan" \
		guest 'echo 1 >/sys/bus/pci/rescan; test ! -e /sys/bus/pci/devices/0000:00:08.0'
	check "the VMM plugs it" monitor "plug $nvme,slot=10"
	check "the guest finds it on a rescan" \
		guest 'echo 1 >/sys/bus/pci/rescan; test -e /sys/bus/pci/devices/0000:00:0a.0'
	check "the whole disk is what it was" same_sum

	say "The guest reboots."
	echo 'reboot -f' >&3
	check "the guest is up again" expect "guest: up"
	check "the whole disk is what it was" same_sum
fi

say "The VMM resets the machine, with edu's bus mastering on."
check "the VMM takes the command" monitor reset
check "the guest is up again" expect "guest: up"
check "edu's PCI_COMMAND is 0" \
	guest 'test "$(od -A n -t u1 -j 4 -N 1 /sys/bus/pci/devices/0000:00:09.0/config)" -eq 0'
[ "$form" = short ] || check "the whole disk is what it was" same_sum

say "Nobody reads the console, then the host wants edu back."
stall
check "the monitor answers" monitor stats
check "the host gets edu back" unbound "$edu"
check "what the guest wrote meanwhile is there" read_again
echo "$edu" >/sys/bus/pci/drivers/vfio-pci/bind

say "SIGTERM while the machine is being reset."
check "the VMM ends" stop_amid_reset
say "The VMM's counters: $(cat /tmp/stats)"

if [ "$form" = long ]; then
	say "Once more with lazy invalidation."
	check "the guest is up" start "iommu.strict=0" --vsmmu --device "$nvme,slot=8"
	check "its invalidation is lazy" guest 'dmesg | grep -q "invalidation policy: lazy mode"'
	before=$(counter cmds)
	check "the whole disk is what it was" same_sum
	say "That took $(($(counter cmds) - before)) commands instead of $strict."
	check "the VMM ends" stop

	say "A guest with pages of 64 KiB."
	image=/mnt/share/Image-64k
	check "the guest is up" start "iommu.strict=1" --vsmmu --device "$nvme,slot=8" --device "$edu,slot=9"
	check "its pages are of 64 KiB" guest 'od -A n -t d8 -w16 /proc/self/auxv | grep -q "^ *6 *65536$"'
	check "the whole disk is what it was" same_sum
	check "the guest's driver reports a fault" guest 'edu-fault 0xdead0000 && dmesg | grep F_TRANSLATION'
	check "with edu's StreamID, 0x48" has 'sid: 0x48'
	check "it reads what it wrote" guest write 48
	echo "48 ${said%% *}" >>written
	check "the VMM ends" stop
fi
echo "$tests" >tests
exit $((failed > 0))
HOST

pretty() {
	if [ $form = short ]; then cat; else
		sed -u 's/^# \(  |\)/\1/; t; s/^# /\n/; s/^ok [0-9]* - /    ok: /; s/^not ok [0-9]* - /    FAIL: /'
	fi
}

[ $form = short ] || say "booting the emulated host, and a guest in it"
rc=0
sum=$(sha256sum <"$work/disk")
{
	"$VM_DIR/run.sh" ${host[@]+"${host[@]}"} --nvme "$work/disk" --edu 1 --share "$work/share" --timeout 900 -- \
		sh host $form "${sum%% *}"
} | pretty || rc=$?
touch "$work/share/written"
while read -r mib sum; do
	tests=$(($(cat "$work/share/tests") + 1))
	echo $tests >"$work/share/tests"
	not=''
	[ "$(dd if="$work/disk" bs=1M skip="$mib" count=1 2>/dev/null | sha256sum)" = "$sum  -" ] || not='not ' rc=1
	echo "${not}ok $tests - what the guest wrote at $mib MiB is in the disk's image" | pretty
done <"$work/share/written"
if [ $form = short ]; then
	echo "1..$(cat "$work/share/tests" 2>/dev/null || echo 0)"
	exit $rc
fi
((rc == 0)) || die "FAIL: see above"
printf '\nPASS\n'
