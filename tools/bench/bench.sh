#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench: run smmuv3-accel-bench on emulated hosts, first with a clock that counts
# instructions, then with this machine's clock: on a host with one SMMU, once more without
# the module's fast path, and on a host with four SMMUs, with and without the module's
# filter. Leaves build/bench.json and build/bench.svg, and fails if a bar is missed.

. "$(dirname -- "${BASH_SOURCE[0]}")/../testing/vm/lib.sh"

"$VM_DIR/setup.sh" default bench
out=$TOP_DIR/build/bench
rm -rf "$out" "$out".{json,svg}
mkdir -p "$out"/{instructions,real}

# $1: the results, $2: what to run there, rest: run.sh's options
boot() {
	local dir=$1 steps=$2
	shift 2
	# shellcheck disable=SC2016 # expanded there
	"$VM_DIR/run.sh" --share "$dir" "$@" -- sh -e -c \
		'reload() { rmmod smmuv3_accel; insmod /opt/smmuv3-accel.ko "$@"; }'"; $steps" ||
		die "the benchmark ended with status $?"
}

# $1: the clock, $2: options of smmuv3-accel-bench, rest: run.sh's options
measure() {
	local dir=$out/$1 bench="bench-all --json $2" several
	several="$bench --only fanout"
	say "measuring; clock: $1"
	shift 2
	boot "$dir" "$bench >one.json; reload fast=0; $bench --only doorbells >without-fast-path.json" \
		--testdev 26 "$@"
	boot "$dir" "reload filter=1; $several --only scaling >several.json
		reload filter=0; $several >unfiltered.json" --smmus 4 --testdev 16 --smp 4 "$@"
}
measure instructions '--icount --repetitions 15' --icount
measure real ''
rc=0
python3 "$TOP_DIR/tools/bench/report.py" "$out" "$out.json" "$out/bench.dat" || rc=$?
[ ! -s "$out/bench.dat" ] ||
	gnuplot -e "dat='$out/bench.dat'; svg='$out.svg'" "$TOP_DIR/tools/bench/chart.gp"
case $rc in
0) say "all bars are met: build/bench.json, build/bench.svg" ;;
2) die "bars are missed, see above: build/bench.json, build/bench.svg" ;;
*) die "no results, see above" ;;
esac
