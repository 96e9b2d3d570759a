#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench-guest: compare the same guest behind QEMU's accelerated SMMUv3 and behind
# the reference VMM. The guests work in turn, in one boot of the emulated host, once
# with a clock that counts instructions and once with this machine's clock. Leaves
# build/bench-guest.json and build/bench-guest.svg, and fails if a bar is missed.
# ROUNDS (15): the number of turns of each guest.

. "$(dirname -- "${BASH_SOURCE[0]}")/../testing/vm/lib.sh"

"$VM_DIR/setup.sh" default qemu-arm64 bench
here=$TOP_DIR/tools/bench/guest
out=$TOP_DIR/build/bench-guest
rm -rf "$out" "$TOP_DIR"/build/bench-guest.{json,svg}
mkdir -p "$out/share"
cp -r "$CACHE/qemu-arm64" "$out/share/qemu"
cp "$CACHE/qemu/usr/share/qemu-efi-aarch64/QEMU_EFI.fd" "$out/share/qemu/"
rounds=${ROUNDS:-15}
sides=(qemu ours ours_polled)
disks=()
for side in "${sides[@]}"; do
	head -c 64M /dev/urandom >"$out/share/disk-$side"
	disks+=(--nvme "$out/share/disk-$side")
done

measure() { # $1: the clock's name; rest: run.sh's options
	local clock=$1
	shift
	say "booting the emulated host, and ${#sides[@]} guests in it, for $rounds rounds; clock: $clock"
	# rounds has time-outs of its own, and tells which line did not come.
	"$VM_DIR/run.sh" "${disks[@]}" "$@" --mem 3G --share "$out/share" --timeout $((7200 + 60 * rounds)) \
		-- rounds "$rounds" "${sides[@]}" | tee "$out/$clock"
}
measure instructions --icount
measure real
rc=0
python3 "$here/report.py" "$out/instructions" "$out/real" \
	"$TOP_DIR/build/bench-guest.json" "$out/bench-guest.dat" || rc=$?
[ ! -s "$out/bench-guest.dat" ] ||
	gnuplot -e "dat='$out/bench-guest.dat'; svg='$TOP_DIR/build/bench-guest.svg'" "$here/chart.gp"
rm -rf "$out/share"
case $rc in
0) say "all bars are met: build/bench-guest.json, build/bench-guest.svg" ;;
2) die "bars are missed, see above" ;;
*) die "no results, see above" ;;
esac
