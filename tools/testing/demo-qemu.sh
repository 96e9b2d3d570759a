#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo-qemu: QEMU, with its SMMUv3 on /dev/smmuv3-accel, boots Debian's stock kernel in
# the emulated host, with an NVMe disk and an edu device passed through and a virtio disk
# beside them. Prints PASS, or what failed.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

(($# == 0)) || die "usage: demo-qemu.sh"
here=$VM_DIR/..
# The newest QEMU, and Debian stable's
qemus=(qemu-accel qemu-accel-10.0)
"$VM_DIR/setup.sh" default guest-trixie "${qemus[@]}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{share,overlay}
share=$work/share
for disk in "$work"/disk{0,1}; do
	head -c 64M /dev/urandom >"$disk"
done
head -c 16M /dev/urandom >"$share/virtio"

install -m 755 "$here/demo-guest/guest" "$work/overlay/demo"
cp "$here/qemu/guest" "$work/overlay/functions"
(cd "$work/overlay" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$share/demo.cpio.gz"
cp "$here"/qemu/{host,qemu.sh} "$here/demo-guest/lib.sh" "$CACHE"/guest-trixie/{Image,modules.cpio.gz} \
	"$CACHE/qemu/usr/share/qemu-efi-aarch64/QEMU_EFI.fd" "$share/"

sum() { sha256sum <"$1" | cut -d' ' -f1; }
image() { case $1 in virtio) echo "$share/virtio" ;; *) echo "$work/$1" ;; esac; }

tests=0
# $1: what, $2: how many writes of guests to expect; rest: run.sh's options, "--", and the
# arguments of "host"
host() {
	local rc=0 options=() writes=$2
	say "booting the emulated host, $1"
	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	rm -f "$share"/{tests,written}
	"$VM_DIR/run.sh" "${options[@]}" --mem 3G --share "$share" --timeout 3600 -- sh host "$@" | pretty_tap || rc=$?
	[ ! -e "$share/tests" ] || tests=$((tests + $(cat "$share/tests")))
	touch "$share/written"
	[ "$(wc -l <"$share/written")" = "$writes" ] ||
		{ echo "    FAIL: the guests wrote $(wc -l <"$share/written") times, not $writes times"; rc=1; }
	while read -r disk mib hash; do
		[ "$(dd if="$(image "$disk")" bs=1M skip="$mib" count=1 2>/dev/null | sha256sum)" = "$hash  -" ] ||
			{ echo "    FAIL: the image of the disk '$disk' lacks what the guest wrote at $mib MiB"; rc=1; continue; }
		echo "    ok: what the guest wrote at $mib MiB is in the image of the disk '$disk'"
	done <"$share/written"
	return $rc
}

rc=0 form=long writes=4
for qemu in "${qemus[@]}"; do
	series=$(cut -d. -f1,2 "$CACHE/$qemu/version")
	cp "$CACHE/$qemu/qemu-system-aarch64" "$share/"
	host "and guests behind QEMU $series in it" $writes --nvme "$work/disk0" --nvme "$work/disk1" --edu 2 --smmus 2 --grouped -- \
		$form "$series" "$(sum "$work/disk0")" "$(sum "$work/disk1")" "$(sum "$share/virtio")" || rc=$?
	[ $form = short ] ||
		host "which does not offer nesting" 0 --nvme "$work/disk0" --no-canwbs -- no-nesting "$series" || rc=$?
	form=short writes=3
done
((rc == 0)) || die "FAIL: see above"
printf '\nPASS: %s tests\n' "$tests"
