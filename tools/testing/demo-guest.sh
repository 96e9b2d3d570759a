#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make demo-guest: the reference VMM boots Linux in the emulated host, with an NVMe
# disk and an edu device behind its vSMMU. Prints PASS, or what failed.
#
# --short: only the tests of one boot, as TAP. --debug: the host has the debug kernel.
# --kernel SERIES: it has a kernel of that series.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

here=$VM_DIR/../demo-guest
form=long host=()
while (($#)); do
	case $1 in
	--short) form=short ;;
	--debug) host=(--debug) ;;
	--kernel) host=(--kernel "${2:?}"); shift ;;
	*) die "usage: demo-guest.sh [--short] [--debug | --kernel SERIES]" ;;
	esac
	shift
done

"$VM_DIR/setup.sh"
[ $form = short ] || "$VM_DIR/setup.sh" kernel-64k
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{share,overlay}
head -c 64M /dev/urandom >"$work/disk"
[ $form = short ] || cp "$CACHE/kernel-64k/arch/arm64/boot/vmlinuz.efi" "$work/share/vmlinuz-64k.efi"

install -m 755 "$here/guest" "$work/overlay/demo"
(cd "$work/overlay" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$work/share/demo.cpio.gz"
cp "$here"/{host,lib.sh,vmm.sh} "$work/share/"

pretty() { if [ $form = short ]; then cat; else pretty_tap; fi; }

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
