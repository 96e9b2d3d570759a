#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench: run tools/bench/bench.c on the emulated host, twice in one boot; the
# second run has the module's fast path off. Then measure the fan-out on a host with four
# SMMUs, with and without the module's filter. Leaves build/bench.json and
# build/bench.svg, and fails if a bar is missed.

. "$(dirname -- "${BASH_SOURCE[0]}")/../testing/vm/lib.sh"

"$VM_DIR/setup.sh" default bench
out=$TOP_DIR/build/bench
rm -rf "$out"
mkdir -p "$out"
# shellcheck disable=SC2016 # expanded there
both='bench .
rc=$?
[ $rc -le 1 ] || exit $rc
rmmod smmuv3_accel && insmod /opt/smmuv3-accel.ko fast=0 && bench . || exit 2
exit $rc'
fanout='rmmod smmuv3_accel && insmod /opt/smmuv3-accel.ko filter=0 && bench . || exit 2
rmmod smmuv3_accel && insmod /opt/smmuv3-accel.ko filter=1 || exit 2
bench .'
rc=0
"$VM_DIR/run.sh" --testdev 26 --share "$out" -- sh -c "$both" || rc=$?
((rc > 1)) || "$VM_DIR/run.sh" --smmus 4 --testdev 8 --share "$out" -- sh -c "$fanout" || rc=$?
[ ! -s "$out/bench.dat" ] ||
	gnuplot -e "dat='$out/bench.dat'; svg='$TOP_DIR/build/bench.svg'" "$TOP_DIR/tools/bench/chart.gp"
[ ! -s "$out/bench.keys" ] ||
	{ echo '{'; sed 's/^/  /; $!s/$/,/' "$out/bench.keys"; echo '}'; } >"$TOP_DIR/build/bench.json"
case $rc in
0) say "all bars are met: build/bench.json, build/bench.svg" ;;
1) die "bars are missed, see above; on a machine that is busy with other things try again" ;;
*) die "the benchmark ended with status $rc" ;;
esac
