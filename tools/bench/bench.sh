#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench: run tools/bench/bench.c on the emulated host, all in one boot. It
# leaves build/bench.json and build/bench.svg, and fails where a bar is missed.

. "$(dirname -- "${BASH_SOURCE[0]}")/../testing/vm/lib.sh"

"$VM_DIR/setup.sh" default bench
out=$TOP_DIR/build/bench
mkdir -p "$out"
rc=0
"$VM_DIR/run.sh" --testdev 26 --share "$out" -- bench . || rc=$?
[ ! -s "$out/bench.dat" ] ||
	gnuplot -e "dat='$out/bench.dat'; svg='$TOP_DIR/build/bench.svg'" "$TOP_DIR/tools/bench/chart.gp"
[ ! -s "$out/bench.json" ] || mv "$out/bench.json" "$TOP_DIR/build/bench.json"
case $rc in
0) say "all bars are met: build/bench.json, build/bench.svg" ;;
1) die "bars are missed, see above; on a machine that is busy with other things try again" ;;
*) die "the benchmark ended with status $rc" ;;
esac
