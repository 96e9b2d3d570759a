# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# In the emulated host: functions that run a guest behind the reference VMM, give it
# commands on its console, and print TAP without the plan. For scripts that source this.
#
# Set "image", the kernel, and "sum", the SHA-256 of the first disk. This sets "nvme"
# and "nvme2", the disks, and "edu", if there are any, to PCI addresses.

# shellcheck source=../vm/console.sh
. console.sh

side=vmm out=4 patience=180 initramfs=/tmp/initramfs
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
		[ ! -e /tmp/vmm.log ] || tail -n 20 /tmp/vmm.log | sed 's/^/#   | /'
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

monitor() { timeout 60 vmm --monitor /tmp/monitor --send "$*" >/tmp/answer && ! grep -q ^error /tmp/answer; }

counter() { # $1: a counter in the JSON that the VMM prints
	monitor stats && sed "s/.*\"$1\": \([0-9]*\).*/\1/" /tmp/answer
}

start() { # $1: the kernel's options, rest: the VMM's
	append="console=ttyAMA0 loglevel=1 rdinit=/demo $1"
	shift
	begin_vmm vmm --kernel "$image" --initrd "$initramfs" --append "$append" --cpus 2 \
		--monitor /tmp/monitor --stats /tmp/stats "$@" && hear "guest: up"
}

stop() { monitor quit && end_vmm 60; }

# The SHA-256 among what the guest said. The kernel may say something there, too.
hash() { echo "$said" | sed -n 's/^\([0-9a-f]\{64\}\)  -$/\1/p' | tail -n 1; }

same_sum() { guest sum && [ -n "$sum" ] && [ "$(hash)" = "$sum" ]; }
no_complaint() { guest 'complaints; test $? = 1'; }
has() { echo "$said" | grep -q "$1"; }

for dev in /sys/bus/pci/drivers/vfio-pci/0000:*; do
	[ -e "$dev" ] || continue
	case $(cat "$dev/vendor") in
	0x1b36) if [ -z "$nvme" ]; then nvme=${dev##*/}; else nvme2=${dev##*/}; fi ;;
	0x1234) edu=${dev##*/} ;;
	esac
done
