# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# In the emulated host: functions that give a guest commands on its console, and print TAP
# without the plan. For vmm.sh and qemu.sh, which start guests.
#
# Set "sum", the SHA-256 of the first disk. This sets "nvme" and "nvme2", the disks, and
# "edu", if there are any, to PCI addresses.

# shellcheck source=../vm/console.sh
. console.sh

out=4 patience=180 initramfs=/tmp/initramfs
tests=0 failed=0 lost='' nvme='' nvme2='' edu=''

say() { echo "# $*"; }

# $1: name of the test, rest: a command that must succeed. Without a guest to talk to
# there is no other test.
check() {
	tests=$((tests + 1))
	what=$1
	shift
	if "$@"; then
		echo "ok $tests - $what"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $what"
		[ -z "$why" ] || say "$why"
		[ ! -e "/tmp/$side.log" ] || tail -n 20 "/tmp/$side.log" | sed 's/^/#   | /'
	fi
	why=''
	[ -z "$lost" ] || end
}

end() {
	[ -z "$lost" ] || echo "Bail out! The guest does not answer."
	echo "$tests" >tests
	exit $((failed > 0))
}

hear() { [ -z "$lost" ] && { expect "$1" || { lost=1; false; }; }; }

guest() { # run a command in the guest and return its status
	tell "$*"
	hear "guest: status " && [ "$line" = "guest: status 0" ]
}

# The SHA-256 among what the guest said. The kernel may say something there, too.
hash() { echo "$said" | sed -n 's/^\([0-9a-f]\{64\}\)  -$/\1/p' | tail -n 1; }

# $1: which disk, $2: its sum. Without them: the first disk
same_sum() { guest "sum ${1:-0}" && [ -n "${2:-$sum}" ] && [ "$(hash)" = "${2:-$sum}" ]; }
no_complaint() { guest 'complaints; test $? = 1'; }
has() { echo "$said" | grep -q "$1"; }

for dev in /sys/bus/pci/drivers/vfio-pci/0000:*; do
	[ -e "$dev" ] || continue
	case $(cat "$dev/vendor") in
	0x1b36) if [ -z "$nvme" ]; then nvme=${dev##*/}; else nvme2=${dev##*/}; fi ;;
	0x1234) edu=${dev##*/} ;;
	esac
done
