#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench-guest: compare the same guest behind QEMU's accelerated SMMUv3, behind the
# reference VMM with one disk and with two on different host SMMUs, and without a virtual
# SMMU. make bench-qemu ("bench-guest.sh qemu"): behind that QEMU and behind
# a QEMU whose SMMUv3 is on /dev/smmuv3-accel, with and without range invalidation. make
# bench-vcpus ("bench-guest.sh vcpus"): that QEMU and the reference VMM with 4 vCPUs. The
# guests work in turn, in one boot of the emulated host, once with a clock that counts
# instructions and once with this machine's clock. Leaves build/bench-guest.json and
# build/bench-guest.svg, or build/bench-qemu.json or build/bench-vcpus.json, and fails if
# a bar is missed.
# ROUNDS (15): the number of turns of each guest.

. "$(dirname -- "${BASH_SOURCE[0]}")/../testing/vm/lib.sh"

kind=${1:-guest}
case $kind in
guest) parts=(bench) sides=(qemu ours ours_polled none one two two_polled) smmus=2 ;;
vcpus) parts=(bench) sides=(four_qemu four four_polled four_trapped) smmus=1 smp=4 ;;
qemu) parts=(qemu-accel) sides=(qemu accel single qemu_ril accel_ril) smmus=1 ;;
*) die "usage: bench-guest.sh [guest|vcpus|qemu]" ;;
esac
"$VM_DIR/setup.sh" default qemu-arm64 "${parts[@]}"
here=$TOP_DIR/tools/bench/guest
name=bench-$kind
out=$TOP_DIR/build/$name
rm -rf "$out" "$out".{json,svg}
mkdir -p "$out/share"
cp -r "$CACHE/qemu-arm64" "$out/share/qemu"
cp "$CACHE/qemu/usr/share/qemu-efi-aarch64/QEMU_EFI.fd" "$out/share/qemu/"
[ "$kind" != qemu ] || cp "$CACHE/qemu-accel/qemu-system-aarch64" "$out/share/qemu/accel"
rounds=${ROUNDS:-15}
# Disks are dealt out to the SMMUs in turn. One that no side takes can be small.
disks=()
for side in "${sides[@]}"; do
	for ((smmu = 0; smmu < smmus; smmu++)); do
		disk=$out/share/disk-$side-$smmu
		size=64M
		((smmu == 0)) || [[ $side == two* ]] || size=1M
		head -c "$size" /dev/urandom >"$disk"
		disks+=(--nvme "$disk")
	done
done

measure() { # $1: the clock's name; rest: run.sh's options
	local clock=$1
	shift
	say "booting the emulated host, and ${#sides[@]} guests in it, for $rounds rounds; clock: $clock"
	# rounds has time-outs of its own, and tells which line did not come.
	"$VM_DIR/run.sh" "${disks[@]}" --smmus "$smmus" --smp "${smp:-2}" "$@" --mem 3G --share "$out/share" --timeout $((7200 + 60 * rounds)) \
		-- rounds "$rounds" "${sides[@]}" | tee "$out/$clock"
}
measure instructions --icount
measure real
rc=0
python3 "$here/report.py" "$kind" "$out/instructions" "$out/real" "$out.json" "$out/$name.dat" || rc=$?
results=build/$name.json
if [ -s "$out/$name.dat" ]; then
	gnuplot -e "dat='$out/$name.dat'; svg='$out.svg'" "$here/chart.gp"
	results+=", build/$name.svg"
fi
rm -rf "$out/share"
case $rc in
0) say "all bars are met: $results" ;;
2) die "bars are missed, see above" ;;
*) die "no results, see above" ;;
esac
