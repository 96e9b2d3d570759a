# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154
# In the emulated host: functions that run a guest behind the reference VMM. For scripts
# that source this. Set "image", the kernel, and what lib.sh wants.

# shellcheck source=tools/testing/demo-guest/lib.sh
. ./lib.sh
side=vmm

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
