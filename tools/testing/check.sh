#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make check: static checks and unit tests, then KUnit and the kselftests on the
# emulated host. First fetches and builds what these need.
#
# make check-debug (check.sh --debug): KUnit, the kselftests and a guest's short run
# on the debug kernel, which is some fifty times slower: the property test does
# SMMUV3_ACCEL_ROUNDS (500) rounds. Then the programs with threads, on a kernel that
# finds data races.
#
# make check-hosts (check.sh --hosts [SERIES]...): KUnit, the kselftests and a guest's short run on
# kernels that are older than the newest.
#
# make coverage (check.sh --coverage): KUnit and the kselftests on a kernel that
# counts how often each line runs. Leaves build/coverage: the module's sources with
# their counts, and the lines that did not run.
#
# Prints a line for each result, its output below a failure, and the counts at the
# end.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL V

# Options of run.sh, and which programs run on that host; "rest": KUnit and the
# programs that no other line names.
hosts=(
	'--testdev 4 --edu 2 --grouped --smmus 2: rest'
	'--testdev 1 --no-canwbs: refuse_nesting'
	'--testdev 40 --smmus 2: scale'
	'--testdev 8 --smmus 4: property'
)
# Programs that need the debug kernel's fault injection
debug_hosts=(
	'--testdev 1: fail_nth'
)
named=" ${hosts[*]##*: } ${debug_hosts[*]##*: } "
# Programs with threads, which run once more on the kernel that finds data races
threads='authority closed fuzz_ioctl fuzz_ring halves hotplug idr lifetime pass postcopy scratch sharing smmus unload'
kcsan_hosts=("--testdev 4 --edu 2 --grouped --smmus 2: $threads")

# Series of kernels for --hosts: the oldest with long-term support, and one between it
# and the newest
series=(6.18 7.1)

flavour=base
case ${1:-} in
'') ;;
--debug) flavour=debug ;;
--coverage) flavour=gcov ;;
--hosts)
	flavour=hosts
	(($# == 1)) || series=("${@:2}")
	;;
*) die "usage: check.sh [--debug | --coverage | --hosts [SERIES]...]" ;;
esac

driver=drivers/iommu/smmuv3-accel
selftests=tools/testing/selftests/smmuv3-accel
uapi=include/uapi/linux/smmuv3_accel.h
linux=$CACHE/linux
kernel=$CACHE/kernel-$flavour

cd "$TOP_DIR"
work=$(mktemp -d)
declare -A job
cleanup() {
	local pid
	for pid in "${job[@]}"; do
		kill -- "-$pid" 2>/dev/null || kill "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Before each result: with --hosts, the host's kernel
label=''
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); printf 'ok   %s%s\n' "$label" "$1"; }
skip() { skipped=$((skipped + 1)); printf 'skip %s%s: %s\n' "$label" "$1" "${2:-no reason given}"; }
fail() { # $1: what, $2: a file with what it printed; drop the firmware's escapes
	failed=$((failed + 1))
	printf 'FAIL %s%s\n' "$label" "$1"
	sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g; s/^/    | /' "$2"
}

finish() {
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	exit $((failed > 0))
}

# Run a check, which prints nothing if it finds nothing. $1: its name, rest: a
# function. Each has a process group, so that all that it started can be ended.
start() {
	set -m
	"${@:2}" >"$work/$1.log" 2>&1 </dev/null &
	set +m
	job[$1]=$!
}

result() {
	local rc=0
	wait "${job[$1]}" || rc=$?
	unset "job[$1]"
	((rc == 0)) || [ -s "$work/$1.log" ] || echo "status $rc" >"$work/$1.log"
	if [ -s "$work/$1.log" ]; then fail "$1" "$work/$1.log"; else ok "$1"; fi
}

check() { start "$@"; result "$1"; }

# List the project's files, $@: pathspecs. In a new repository all files are
# untracked, so this works without the real repository and for any owner.
sources() { git --git-dir="$work/git" --work-tree=. ls-files -o --exclude-standard -- "$@"; }
each() { xargs -r -d '\n' "$@"; }

# Build the module and its tests as a user does. $1: output folder, rest: for make.
module() {
	make -j"$(nproc)" KDIR="$kernel" MODULE_OUT="$work/$1" ARCH=arm64 \
		CROSS_COMPILE=aarch64-linux-gnu- CONFIG_SMMUV3_ACCEL_KUNIT_TEST=m "${@:2}" modules 2>&1 |
		tee "$work/$1.make" | sed '/^  [A-Z]/d; /^make.* directory /d; /^built /d'
}

check_build() {
	local ko
	module build W=1
	for ko in smmuv3-accel smmuv3-accel-test; do
		[ -e "$work/build/$driver/$ko.ko" ] || echo "$ko.ko was not built"
	done
}

# A layer uses only the layers below it, and no function is too long.
check_layers() {
	tools/testing/layers-test.sh
	tools/testing/layers.sh "$work/build/$driver" "$driver"
}
check_functions() {
	sources "$driver/*.[ch]" ":!$driver/*_test.c" ":!$driver/host_mock.c" |
		each awk -v max=60 -f tools/testing/functions.awk
}

# If sparse is too old, kbuild only warns and continues without it.
check_sparse() {
	local seen all
	module sparse C=2 CHECK="$CACHE/sparse/sparse"
	seen=$(grep -c '^  CHECK ' "$work/sparse.make" || true)
	all=$(sources "$driver/*.c" | wc -l)
	[ "$seen" = "$all" ] || echo "sparse has seen $seen of $all files"
}

check_coccinelle() {
	make -s -C "$kernel" M="$TOP_DIR/$driver" MO="$work/cocci" ARCH=arm64 MODE=report J=1 \
		DEBUG_FILE="$work/cocci.debug" coccicheck >"$work/cocci.out" ||
		tail -n 20 "$work/cocci.out" "$work/cocci.debug"
	grep -F "$TOP_DIR/$driver/" "$work/cocci.out" || true
}

# tools/qemu has QEMU's style, and its build QEMU's checkpatch.
check_checkpatch() {
	sources ':!tools/qemu' '*.[ch]' '*Kbuild' '*Kconfig' '*Makefile' '*.mk' >"$work/sources"
	each perl "$linux/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary --show-types \
		-f <"$work/sources" >"$work/findings" || true
	grep -vEf <(sed '/^#/d; /^$/d' tools/testing/checkpatch.conf) "$work/findings" || true
}

check_kernel_doc() {
	local tool=$linux/tools/docs/kernel-doc
	[ -x "$tool" ] || tool=$linux/scripts/kernel-doc
	sources "$driver/*.[ch]" "$uapi" 'tools/lib/vsmmu/*.[ch]' | each "$tool" -none -Wall 2>&1 | sort -u
}

check_uapi() {
	local compiler
	for compiler in "aarch64-linux-gnu-gcc -x c -std=c99" "g++ -x c++ -std=c++11"; do
		# shellcheck disable=SC2086 # several words
		echo "#include <${uapi#include/uapi/}>" | $compiler -pedantic -Wall -Wextra -Werror \
			-fsyntax-only -isystem "$kernel/usr/include" -Iinclude/uapi -
	done
}

check_spelling() { sources ':!LICENSES' | each codespell; }
check_python() { sources '*.py' | PYTHONPYCACHEPREFIX=$work/pycache each python3 -m py_compile; }
# The tables of the page about real hosts are what the model prints.
check_model() { python3 -B tools/bench/model_test.py >"$work/model.out" 2>&1 || tail -n 25 "$work/model.out"; }
# busybox's read forgets half a line at a signal, if the rest of it comes later. So in the
# emulated host it may only read what comes as a whole: /proc and /sys, or lines of a
# terminal.
# shellcheck disable=SC2016 # $0 is awk's
check_shell() {
	sources | each awk 'FNR == 1 && (/^#!.*sh$/ || FILENAME ~ /\.(ba)?sh$/) { print FILENAME }' | each shellcheck
	sources | each awk 'FNR == 1 { sh = 0 } /^# shellcheck shell=sh/ { sh = 1 }
		!sh || /^[[:space:]]*#/ { next }
		{ text = $0; gsub(/<(\$tracing\/kprobe_|\$profile |\/(proc|sys)\/|\/dev\/(console|null) )/, "", text)
			sub(/read -r -t (0|"\$nap") -n 1 /, "", text) }
		text ~ /(^|[^_[:alnum:]])(read|done|fi|esac)([^_[:alnum:]].*)?<|^[[:space:]]*[})].*<|exec( [0-9]*)?<[^>]/ {
			print FILENAME ":" FNR ": busybox forgets half a line at a signal: use console.sh" }'
}
check_licences() {
	sources ':!LICENSES' ':!*.md' ':!*.golden' ":!$selftests/"{config,settings} \
		':!debian/'{changelog,copyright,source} | each grep -L 'SPDX-License-Identifier: ' || true
	# Each paragraph has one licence, and each licence has its text once, in a paragraph of its own.
	awk -v RS= -F'\n' '
		NR == 1 { next }
		{ num = 0; name = "" }
		{ for (i = 1; i <= NF; i++) if (sub(/^License: /, "", $i)) { num++; name = $i } }
		num != 1 { print FILENAME ": paragraph " NR " has " num " licences" }
		/^Files: / { used[name]; next }
		{ texts[name]++ }
		END {
			for (name in used) if (texts[name] != 1)
				print FILENAME ": " texts[name] + 0 " texts of the licence " name
		}' debian/copyright
}

check_maintainers() {
	local patterns pattern
	mapfile -t patterns < <(sed -n 's/^F:\t//p' MAINTAINERS)
	sources "${patterns[@]/#/:(exclude,glob)}" | sed 's/$/ has no section in MAINTAINERS/'
	for pattern in "${patterns[@]}"; do
		[ -n "$(sources ":(glob)$pattern")" ] || echo "MAINTAINERS: $pattern matches no file"
	done
}

# The build refuses a kernel that lacks an option or is too old, and says so.
check_refusals() {
	local option
	mkdir "$work/kdir"
	: >"$work/kdir/Makefile"
	for option in ARM64 IOMMUFD ARM_SMMU_V3_IOMMUFD VFIO VFIO_DEVICE_CDEV; do
		sed "/^CONFIG_$option=/d" "$kernel/.config" >"$work/kdir/.config"
		! ARCH=arm64 scripts/check-kernel.sh "$work/kdir" 2>"$work/refusal" &&
			grep -q " CONFIG_$option\$" "$work/refusal" || echo "CONFIG_$option is not missed"
	done
	mkdir -p "$work/kdir/include/generated/uapi/linux"
	cp "$kernel/.config" "$work/kdir/.config"
	echo '#define LINUX_VERSION_CODE 397568' >"$work/kdir/include/generated/uapi/linux/version.h"
	ARCH=arm64 scripts/check-kernel.sh "$work/kdir" 2>&1 || echo "Linux 6.17 is refused"
	echo '#define LINUX_VERSION_CODE 397567' >"$work/kdir/include/generated/uapi/linux/version.h"
	! ARCH=arm64 scripts/check-kernel.sh "$work/kdir" 2>"$work/refusal" &&
		grep -q ' is Linux 6\.16, ' "$work/refusal" || echo "Linux 6.16 is not refused"
}

# Only its owner can change the cache.
check_cache() { tools/testing/cache-test.sh; }

# The library's own tests, on this machine
check_libvsmmu() {
	make -s -C tools/lib/vsmmu OUTPUT="$work/lib" CFLAGS='-O2 -Werror' all check >"$work/lib.out" 2>&1 ||
		tail -n 25 "$work/lib.out"
}

# The reference VMM's own tests, on this machine
check_vmm() {
	make -s -C tools/vmm OUTPUT="$work/vmm" KHDR_INCLUDES="-isystem $kernel/usr/include" check \
		>"$work/vmm.out" 2>&1 || tail -n 25 "$work/vmm.out"
}

# The crate for VMMs in Rust, on this machine. Its suite may not have what fits its rustc.
check_rust() {
	make -s -C tools/rust OUTPUT="$work/rust" KHDR_INCLUDES="-isystem $kernel/usr/include" \
		check check-lesson >"$work/rust.out" 2>&1 || tail -n 25 "$work/rust.out"
}
rust_ready() {
	local rc=0
	"$VM_DIR/setup.sh" rust 2>&1 | tee "$work/setup" >&2 || rc=$?
	case $rc in
	0) return ;;
	4) skip rust "$(tail -n 1 "$work/setup")" ;;
	*) fail "set-up of rust" "$work/setup" ;;
	esac
	return 1
}

# The administrator's tool: here, and in two emulated hosts
check_accelctl() {
	make -s -C tools/smmuv3-accelctl O="$work/accelctl" KHDR_INCLUDES="-isystem $kernel/usr/include" check \
		>"$work/accelctl.out" 2>&1 && ! grep '^not ok' "$work/accelctl.out" ||
		tail -n 25 "$work/accelctl.out"
}
# It compiles with the headers of an older series, too. $1: series
check_accelctl_headers() {
	make -s -C tools/smmuv3-accelctl O="$work/accelctl-$1" \
		KHDR_INCLUDES="-isystem $CACHE/kernel-$1/usr/include" all >"$work/accelctl.out" 2>&1 ||
		tail -n 25 "$work/accelctl.out"
}
check_accelctl_vm() {
	make -s -C tools/smmuv3-accelctl check-vm >"$work/accelctl-vm.out" 2>&1 &&
		! grep '^not ok' "$work/accelctl-vm.out" || tail -n 25 "$work/accelctl-vm.out"
}

# The benchmark: its options and the report here, one short run in an emulated host
check_bench() {
	make -s -C tools/bench O="$work/bench" KHDR_INCLUDES="-isystem $kernel/usr/include" check \
		>"$work/bench.out" 2>&1 || tail -n 25 "$work/bench.out"
}
check_bench_vm() {
	make -s -C tools/bench check-vm >"$work/bench-vm.out" 2>&1 && ! grep '^not ok' "$work/bench-vm.out" ||
		tail -n 25 "$work/bench-vm.out"
}

# The module's pure parts, as a program with the sanitizers
check_fuzz() {
	make -s -C tools/testing/fuzz OUTPUT="$work/fuzz" check >"$work/fuzz.out" 2>&1 ||
		tail -n 25 "$work/fuzz.out"
}

# A warning by the host's kernel is a panic, or else ends the run as a failure, whatever the
# command's status. $1: series
check_warnings() {
	# shellcheck disable=SC2016 # expanded there
	! "$VM_DIR/run.sh" --kernel "$1" -- sh -c '! grep 1 /proc/sys/kernel/panic_on_warn || exit 1
		echo "WARNING: CPU: 0 PID: 1 at drivers/test.c:1 test+0x0/0x8" >/dev/kmsg' >"$work/warned" 2>&1 &&
		grep -q '^1$\|the log of its kernel has a warning' "$work/warned" ||
		{ echo "a warning goes unnoticed"; cat "$work/warned"; }
}

# The short test of a guest behind the reference VMM
check_guest() { tools/testing/demo-guest.sh --short "$@" >"$work/guest.tap" 2>&1 || cat "$work/guest.tap"; }

# The same of one of Debian's stock kernels
check_guests() { tools/testing/guests.sh --short trixie >"$work/guests.out" 2>&1 || cat "$work/guests.out"; }

# A guest with 4 vCPUs, a disk behind each of two host SMMUs, and the filter
check_vcpus() { ROUNDS=40 tools/testing/vcpus.sh --short >"$work/vcpus.tap" 2>&1 || cat "$work/vcpus.tap"; }

# Prepare the host's kernel of a series, and what runs on it. Status 1: it cannot run.
series_ready() {
	local rc=0
	"$VM_DIR/setup.sh" "kernel-$1" 2>&1 | tee "$work/setup" >&2 || rc=$?
	case $rc in
	0) ;;
	4) skip "KUnit, kselftests, demo-guest" "$(tail -n 1 "$work/setup")"; return 1 ;;
	*) fail "set-up" "$work/setup"; return 1 ;;
	esac
	make -s "vm-$1" >"$work/programs" 2>&1 || { fail "vm-programs" "$work/programs"; return 1; }
}

check_programs() { make -s vm-base | sed '/^  CC /d'; }

# Count the results of one boot. $1: options of run.sh, rest: tests. The lines
# before a result are its own; KUnit indents the results of a suite's cases.
boot() {
	local results options line test='' indent='' plan seen failures status name ended=' ' rc=0
	local out=$work/said tap='^(not )?ok [0-9]+ *(- )?([^#]*[^# ])? *(# *SKIP *(.*)|#.*)?$'
	read -ra options <<<"$1"
	shift
	: >"$out"
	exec {results}< <(exec "$VM_DIR/run.sh" "${options[@]}" --timeout $((patience * 900)) -- \
		env "TEST_TIMEOUT=$((patience * 300))" "${run_env[@]}" run-tests "$@" 2>"$work/host.err")
	job[host]=$!
	while IFS= read -r line <&"$results"; do
		if [[ $line == '@@ begin '* ]]; then
			test=${line#@@ begin } indent='' plan='' seen=0 failures=$failed
			[[ $test != kunit:* ]] || indent='    '
			continue
		elif [[ $line == '@@ end '* ]]; then
			status=${line##* } ended+="$test "
			# A kselftest that skips all its tests exits with status 4.
			if [ "$plan" != "$seen" ] || ((seen == 0)) ||
			   ((status != 0 && status != 4 && failures == failed)); then
				fail "$test: $seen of ${plan:-unknown} results, status $status" "$out"
			fi
			: >"$out"
			continue
		fi
		printf '%s\n' "$line" >>"$out"
		[[ $line == "$indent"* ]] || continue
		line=${line#"$indent"}
		if [[ $line =~ ^1\.\.0\ *#\ *SKIP\ *(.*)$ ]]; then
			plan=1 seen=1
			skip "$test" "${BASH_REMATCH[1]}"
		elif [[ $line =~ ^1\.\.([0-9]+) ]]; then
			plan=${BASH_REMATCH[1]}
		elif [[ $line =~ $tap ]]; then
			seen=$((seen + 1))
			name="$test: ${BASH_REMATCH[3]:-$seen}"
			case "${BASH_REMATCH[1]}${BASH_REMATCH[4]}" in
			not*) fail "$name" "$out" ;;
			*SKIP*) skip "$name" "${BASH_REMATCH[5]}" ;;
			*) ok "$name" ;;
			esac
			: >"$out"
		fi
	done
	exec {results}<&-
	wait "${job[host]}" || rc=$?
	unset "job[host]"
	case ${options[0]} in
	--debug) set -- "$@" kmemleak ;;
	--kcsan) set -- "$@" kcsan ;;
	esac
	for test; do
		[[ $ended == *" $test "* ]] || fail "$test: did not end" "$out"
	done
	((rc == 0)) || fail "emulated host: status $rc" "$work/host.err"
}

# Print the sums of the counts of several boots, as text.
coverage() {
	local out=build/coverage object counts=build/kbuild-gcov/$driver sum=$work/counts.0 i
	rm -rf "$out"
	mkdir -p "$out"
	for ((i = 1; i < ${#hosts[@]}; i++)); do
		aarch64-linux-gnu-gcov-tool merge -o "$work/sum.$i" "$sum" "$work/counts.$i" >/dev/null
		sum=$work/sum.$i
	done
	for object in "$counts"/*.gcno; do
		object=$(basename "$object" .gcno)
		[[ $object != *_test && $object != *.mod && -e $sum/$object.gcda ]] || continue
		cp "$counts/$object.gcno" "$sum/"
		(cd "$out" && aarch64-linux-gnu-gcov -s "$TOP_DIR" -r "$sum/$object.gcda" >>summary)
	done
	grep -H '#####:' "$out"/*.c.gcov | sed "s|^$out/||" >"$out/unreached" || true
	[ -s "$out/summary" ] || echo "nothing was counted"
}

static_checks() {
	start coccinelle check_coccinelle
	start qemu-patch tools/qemu/apply-test.sh
	check build check_build
	check layers check_layers
	check functions check_functions
	check sparse check_sparse
	check checkpatch check_checkpatch
	check kernel-doc check_kernel_doc
	check uapi-header check_uapi
	check spelling check_spelling
	check shellcheck check_shell
	check python check_python
	check cost-model check_model
	check licences check_licences
	check maintainers check_maintainers
	check check-kernel check_refusals
	check cache check_cache
	check libvsmmu check_libvsmmu
	check vmm check_vmm
	! rust_ready || { check rust check_rust; rust=(rust-lesson); }
	check fuzz check_fuzz
	check vm-programs check_programs
	check accelctl check_accelctl
	check accelctl-vm check_accelctl_vm
	check bench check_bench
	check bench-vm check_bench_vm
	check demo-guest check_guest
	check guests check_guests
	check vcpus check_vcpus
}

patience=1 run_env=() rust=()
case $flavour in
base)
	"$VM_DIR/setup.sh" default checkers || { fail "set-up" /dev/null; finish; }
	git --git-dir="$work/git" init -q
	static_checks
	;;
debug)
	"$VM_DIR/setup.sh" default kernel-debug kernel-kcsan || { fail "set-up" /dev/null; finish; }
	patience=6 run_env=("SMMUV3_ACCEL_ROUNDS=${SMMUV3_ACCEL_ROUNDS:-500}" SMMUV3_ACCEL_VMS=10 SMMUV3_ACCEL_FEEDS=10
		SMMUV3_ACCEL_DETACHES=5)
	hosts=("${hosts[@]/#/--debug }" "${debug_hosts[@]/#/--debug }" "${kcsan_hosts[@]/#/--kcsan }")
	;;
gcov)
	"$VM_DIR/setup.sh" default kernel-gcov || { fail "set-up" /dev/null; finish; }
	for ((i = 0; i < ${#hosts[@]}; i++)); do
		mkdir "$work/counts.$i"
		hosts[i]="--gcov --share $work/counts.$i ${hosts[i]}"
	done
	;;
hosts)
	"$VM_DIR/setup.sh" || { fail "set-up" /dev/null; finish; }
	;;
esac

mapfile -t rest < <(
	sed -n '/struct kunit_suite .*= {/,/};/s/.*\.name = "\(.*\)".*/kunit:\1/p' "$driver"/*_test.c
	make -s -C "$selftests" OUTPUT=. KSFT_DIR="$linux/tools/testing/selftests" emit_tests | sed 's/.*://'
	printf 'libvsmmu-dma\nlibvsmmu-traces\nrounds-test\n'
)
rest+=(${rust[@]+"${rust[@]}"})
[[ ${rest[*]} == *kunit:*' '[^k]* ]] || fail "no KUnit suite or no kselftest was found" /dev/null
# Boot all hosts. $1: options of run.sh for each
boot_hosts() {
	local host test tests
	for host in "${hosts[@]}"; do
		read -ra tests <<<"${host##*: }"
		if [ "${tests[*]}" = rest ]; then
			tests=()
			for test in "${rest[@]}"; do
				[[ $named == *" $test "* ]] || tests+=("$test")
			done
		fi
		boot "${1:+$1 }${host%: *}" "${tests[@]}"
	done
}

if [ $flavour = hosts ]; then
	for host_kernel in "${series[@]}"; do
		label="Linux $host_kernel: "
		series_ready "$host_kernel" || continue
		check accelctl check_accelctl_headers "$host_kernel"
		check warnings check_warnings "$host_kernel"
		boot_hosts "--kernel $host_kernel"
		check demo-guest check_guest --kernel "$host_kernel"
	done
	label=''
elif make -s "vm-$flavour" >/dev/null 2>&1; then
	boot_hosts
else
	skip "KUnit and kselftests" "what the emulated host runs was not built"
fi

case $flavour in
base)
	result coccinelle
	result qemu-patch
	;;
debug) check demo-guest check_guest --debug ;;
gcov) check coverage coverage ;;
esac
finish
