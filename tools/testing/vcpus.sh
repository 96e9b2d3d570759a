#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make check-vcpus: a guest with 4 vCPUs behind the reference VMM in the emulated host, with a
# disk behind each of two host SMMUs. All its CPUs read and write both disks at once, with
# strict invalidation, and compare. Then the disks' images are compared with what the guest
# has read last. Prints TAP.
#
# ROUNDS (100): transfers of each process. PROCESSES (16): how many there are.
#
# --short: one boot of the guest instead of three.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

case ${1:-long} in
long | --short) form=${1:-long} ;;
*) die "usage: vcpus.sh [--short]" ;;
esac

here=$VM_DIR/..
"$VM_DIR/setup.sh" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
share=$work/share
mkdir -p "$share" "$work/overlay"
for disk in 0 1; do
	head -c 64M /dev/urandom >"$work/disk$disk"
done
install -m 755 "$here/demo-guest/guest" "$work/overlay/demo"
(cd "$work/overlay" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$share/demo.cpio.gz"
cp "$here/vcpus/host" "$here"/demo-guest/{lib,vmm}.sh "$share/"

rc=0
"$VM_DIR/run.sh" --smmus 2 --nvme "$work/disk0" --nvme "$work/disk1" --mem 3G --share "$share" \
	--timeout 7200 -- sh host "${form#--}" "${ROUNDS:-100}" "${PROCESSES:-16}" || rc=$?
tests=$(cat "$share/tests" 2>/dev/null || echo 0)
touch "$share/sums"
for disk in 0 1; do
	tests=$((tests + 1))
	if [ "$(sha256sum <"$work/disk$disk")" = "$(sed -n "s/^$disk //p" "$share/sums")  -" ]; then
		echo "ok $tests - the image of disk $disk has what the guest read"
	else
		echo "not ok $tests - the image of disk $disk has what the guest read"
		rc=1
	fi
done
echo "1..$tests"
exit $rc
