#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench: run smmuv3-accel-bench on emulated hosts, first with a clock that counts
# instructions, then with this machine's clock: on a host with one SMMU, once more without
# the module's fast path, and on a host with four SMMUs, with and without the module's
# filter. Leaves build/bench.json and build/bench.svg, and fails if a bar is missed.

. "$(dirname -- "${BASH_SOURCE[0]}")/../testing/vm/lib.sh"

"$VM_DIR/setup.sh" default bench
here=$TOP_DIR/tools/bench
out=$TOP_DIR/build/bench
rm -rf "$out" "$out".{json,svg}
mkdir -p "$out"/{instructions,real}

measure() { # $1: the clock, $2: options of run.sh, rest: of smmuv3-accel-bench
	local run=("$VM_DIR/run.sh" --share "$out/$1")
	[ -z "$2" ] || run+=("$2")
	say "measuring; clock: $1"
	shift 2
	"${run[@]}" --testdev 26 -- bench-steps one "$@" &&
		"${run[@]}" --smmus 4 --testdev 16 --smp 4 -- bench-steps several "$@" ||
		die "the benchmark failed"
}
measure instructions --icount --icount --repetitions 15
measure real ''
rc=0
python3 "$here/report.py" "$out" "$out.json" "$out/bench.dat" || rc=$?
[ ! -s "$out/bench.dat" ] || gnuplot -e "dat='$out/bench.dat'; svg='$out.svg'" "$here/chart.gp"
case $rc in
0) say "all bars are met: build/bench.json, build/bench.svg" ;;
2) die "bars are missed, see above: build/bench.json, build/bench.svg" ;;
*) die "no results, see above" ;;
esac
