#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of smmuv3-accelctl that need no SMMU; TAP.
#
#   test.sh [--update] PROGRAM HANG
#
# HANG is test/hang.c as a shared library.
#
# test/*.golden have command lines, "$ decode ...", and the expected output below each.
# --update replaces that with the present output.

set -uo pipefail
export LC_ALL=C.UTF-8
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
header=$here/../../include/uapi/linux/smmuv3_accel.h

update=0
[ "${1-}" != --update ] || { update=1; shift; }
[ -x "${1-}" ] && [ -r "${2-}" ] || { echo "usage: test.sh [--update] PROGRAM HANG" >&2; exit 2; }
tool=$(realpath "$1") hang=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
python3 "$here/test/root.py" "$root"

# shellcheck source=../testing/tap.sh
. "$here/../testing/tap.sh"
said=$work/said

run() { timeout 60 "$tool" "$@"; }

# The owner and mode of the root do not depend on the tool, so hide them.
anonymous() { sed -E '/^nodes:/,/^kernel:/{/^    (mode|owner|group): /d}'; }

# Print the output of a golden file's command line, including standard error.
golden_output() {
	local words
	read -ra words <<<"$1"
	run --root "$root" "${words[@]}" 2>&1 | anonymous || true
}

same() { # $1: command line, $2: a file with what is expected
	golden_output "$1" | diff -u "$2" -
}

golden() { # $1: file
	local line command='' out=$work/new
	: >"$out"
	while IFS= read -r line || [ -n "$line" ]; do
		if [[ $line != '$ '* ]]; then
			printf '%s\n' "$line" >>"$work/expected"
			# Text before the first command is a comment.
			[ -n "$command" ] || printf '%s\n' "$line" >>"$out"
			continue
		fi
		[ -z "$command" ] || t "$command" same "$command" "$work/expected"
		command=${line#'$ '}
		: >"$work/expected"
		if ((update)); then
			printf '%s\n' "$line" >>"$out"
			golden_output "$command" >>"$out"
		fi
	done <"$1"
	t "$command" same "$command" "$work/expected"
	((!update)) || cp "$out" "$1"
}

# Wrong usage: status 2, a message, and no result.
refused() {
	local rc=0
	run "$@" >"$work/out" 2>"$work/err" </dev/null || rc=$?
	((rc == 2)) && [ ! -s "$work/out" ] && grep -q . "$work/err" &&
		! grep -q 'Sanitizer\|runtime error' "$work/err" && return
	echo "status $rc"
	head -c 2000 "$work/out" "$work/err"
	return 1
}

refused_input() { # $1: what comes in, rest: arguments
	local rc=0
	printf '%b' "$1" | run "${@:2}" - >"$work/out" 2>"$work/err" || rc=$?
	((rc == 2)) && [ ! -s "$work/out" ] && ! grep -q Sanitizer "$work/err" && return
	echo "status $rc"
	head -c 2000 "$work/err"
	return 1
}

# Each line of a file is JSON, in UTF-8, without a key twice.
all_json() { python3 "$here/test/all-json.py" "$1"; }
json() { run --json "$@" >"$work/json" && all_json "$work/json"; }

# $1: a Python expression on the result r, rest: arguments
json_says() {
	run --json "${@:2}" >"$work/json" || return 1
	python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); assert eval(sys.argv[2]), r' \
		"$work/json" "$1"
}

for file in "$here"/test/*.golden; do
	golden "$file"
done

# The tests are complete: each opcode and event of a table is in a golden file.
covers() { # $1: table, $2: golden file
	local name
	sed -n 's/^	{ 0x[0-9a-f]*, "\([^"]*\)".*/\1/p' "$here/$1" >"$work/names"
	[ -s "$work/names" ] || echo "no names in $1"
	while read -r name; do
		grep -q "^$name: " "$here/test/$2" || { echo "$name is not tested"; return 1; }
	done <"$work/names"
}
t "each command is decoded in a test" covers cmd_fields.c cmd.golden
t "each event is decoded in a test" covers event_fields.c event.golden
ste_reasons() {
	local name
	sed -n 's/^	SMMUV3_ACCEL_REASON_\(STE_[A-Z0-9_]*\) = .*/\1/p' "$header" >"$work/names"
	while read -r name; do
		case $name in
		# of the table that the STE is in
		STE_SID_RANGE | STE_L1_INVALID | STE_L1_NONE | STE_UNREADABLE) ;;
		# which the module does not return
		STE_S1DSS) ;;
		*) grep -q "reason: $name:" "$here/test/ste.golden" || { echo "$name is not tested"; return 1; } ;;
		esac
	done <"$work/names"
}
t "each reason of an STE is met in a test" ste_reasons

for args in info "info --all" list stats "stats 7" "decode ste 1 2" "decode cmd 46 0 ff ff" \
	"decode event 10 0 0 0 ff ff ff ff" "decode idr 0 0 0 0 0 0"; do
	read -ra words <<<"$args"
	t "JSON: $args" json --root "$root" "${words[@]}"
done
t "JSON: numbers up to 2^64 - 1" json_says 'r["vsmmus"][0]["counters"]["replays"] == 2**64 - 1' \
	--root "$root" stats 12
t "JSON: any name of a process" \
	json_says 'r["vsmmus"][0]["holders"][0]["comm"] == "\x1b[31m\"\\\ufffd\u00e9" + 3 * "\ufffd"' \
	--root "$root" list
t "JSON: what is not known is null" json_says 'r["smmus"][1]["can_nest"] is None' --root "$root" info
t "JSON behind the command" json --root "$root" list -j
no_controls() { ! run --root "$root" list | grep -q $'[\x01-\x09\x0b-\x1f\x7f]'; }
t "text: no control characters" no_controls

# The command that takes a device away is shown only for those that nothing can have open.
to_do() { # $1: a root, $2: a device, $3: a pattern that the whole text has
	run --root "$1" info | sed -n "/bdf: $2\$/,/^  - bdf/s/^    to_do: //p" >"$work/out"
	grep -qxE -- "$3" "$work/out" || { cat "$work/out"; return 1; }
}
cp -r "$root" "$work/named"
rm -r "$work/named/proc/401"
t "info: members of a group that are in use" to_do "$work/named" 0000:00:1d.0 \
	'.*first: 0000:00:1d\.2 \(uhci_hcd\), 0000:00:1d\.3 \(its unbind may be waiting\), 0000:00:1d\.7 \(ehci-pci\); .*'
t "info: members of a group that are not in use" to_do "$work/named" 0000:00:1d.0 \
	'[^/]*; these have no driver: echo 1 > /sys/bus/pci/devices/0000:00:1d\.1/remove'
t "info: a file that may be of any member" to_do "$root" 0000:00:1d.0 \
	'[^/]*0000:00:1d\.1 \(its unbind may be waiting\)[^/]*'

# Files that name no device, while several unbinds wait, or with several device numbers
unclear() { # $1: a root, $2: the processes that come into question, rest: devices
	local bdf
	run --root "$1" --json info --all >"$work/json" || return 1
	for bdf in "${@:3}"; do
		python3 - "$work/json" "$bdf" "$2" <<-'END' || { echo "$bdf"; return 1; }
			import json, sys
			device = [d for d in json.load(open(sys.argv[1]))["devices"] if d["bdf"] == sys.argv[2]][0]
			assert device["unbinding"] and not device["used_by"], device
			pids = " ".join(str(holder["pid"]) for holder in device["used_by_one_of"])
			assert pids == sys.argv[3], pids
			assert "does not say which" in device["to_do"], device
		END
	done
}
cp -r "$root" "$work/two-unbinds"
mkdir "$work/two-unbinds/sys/class/vfio/12"
echo 1:4712 >"$work/two-unbinds/sys/class/vfio/12/dev"
t "info: two unbinds that wait, and a file" unclear "$work/two-unbinds" 401 0000:00:09.0 0000:00:0a.0
cp -r "$root" "$work/shared-unbind"
mkdir "$work/shared-unbind/sys/class/vfio/15"
echo 1:4712 >"$work/shared-unbind/sys/class/vfio/15/dev"
t "info: an unbind that waits, a second one that may, and a file" unclear "$work/shared-unbind" 401 0000:00:09.0
cp -r "$root" "$work/two-files"
rm -r "$work/two-files/sys/class/vfio-dev/vfio1"
cp -r "$work/two-files/proc/401" "$work/two-files/proc/403"
ln -sfn /dev/vfio/devices/vfio1 "$work/two-files/proc/403/fd/3"
t "info: an unbind that waits, and two files" unclear "$work/two-files" '401 403' 0000:00:09.0
mkdir "$work/two-unbinds/sys/class/vfio/9"
echo 1:4713 >"$work/two-unbinds/sys/class/vfio/9/dev"
t "info: such an unbind that waits for a vSMMU, too" to_do "$work/two-unbinds" 0000:00:05.0 \
	'its unbind waits until the processes in used_by have closed .* one in used_by_one_of may .*'

# Run the tool while another process, the victim, has 20 files open, of which the last is
# /dev/null. $1: the start of the descriptors that hang, $2: what else is in the
# environment, rest: arguments
with_victim() {
	local fd rc=0
	: >"$work/file"
	: >"$work/asked"
	(
		for fd in {3..18}; do eval "exec $fd<\"\$work/file\""; done
		exec 99</dev/null sleep 300
	) <"$work/file" >"$work/victim" 2>&1 &
	victim=$!
	while [ "$(readlink "/proc/$victim/exe")" != "$(realpath "$(command -v sleep)")" ]; do sleep 0.1; done
	env "HANG=/proc/$victim/fd/$1" "HANG_LOG=$work/asked" "$2" "LD_PRELOAD=$hang" 		ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 		timeout 60 "$tool" "${@:3}" >"$work/out" 2>"$work/err" || rc=$?
	kill "$victim"
	wait "$victim" 2>/dev/null
	((rc == 0)) && all_json "$work/out" && return
	echo "status $rc"
	return 1
}
seen() { head -c 2000 "$work/out" "$work/err" "$work/asked"; return 1; }
mute() { # how many files of the victim are said not to answer
	grep -o "process $victim: the file of descriptor [0-9]* does not answer" "$work/out" | wc -l
}

# Files on filesystems that never answer, here two, cost a time-out for each filesystem.
silent() { with_victim '' A=1 info -j && [[ $(mute) == [12] ]] || seen; }
t "info: filesystems that do not answer" silent
slow() {
	with_victim '' HANG_SECONDS=2 info -j && [ "$(mute)" = 0 ] &&
		grep -q 'it took too long to look at the files of processes' "$work/out" &&
		[ "$(wc -l <"$work/asked")" -lt 15 ] && grep -qx "/proc/$victim/fd/99" "$work/asked" || seen
}
t "info: a slow filesystem has a limit, except for device nodes" slow
interrupted() {
	HANG_SECONDS=2 with_victim 99 HANG_POLL=1 info -j && [ "$(mute)" = 0 ] && [ -s "$work/asked" ] || seen
}
t "info: a signal while a file is slow" interrupted

cp -r "$root" "$work/next"
rm -r "$work/next/sys/bus/pci/drivers/vfio-pci"
rates() { # after a second, cmds and issued are 10 more, withheld is 30 more
	(
		sleep 0.5
		sed -i 's/^vsmmu-cmds:.*/vsmmu-cmds:\t81930/; s/^vsmmu-issued:.*/vsmmu-issued:\t40010/
			s/^vsmmu-withheld:.*/vsmmu-withheld:\t10030/' "$work"/next/proc/100/fdinfo/[34]
	) &
	run --root "$work/next" stats 7 -w1 -n1 >"$work/out"
	wait
	grep -qE '^ +7 +(9|10) +0 +(9|10) +0 +- +0\.0% +0\.0% +75\.0% +- +0$' "$work/out" || { cat "$work/out"; return 1; }
}
t "stats --watch: rates" rates
gone() {
	(
		sleep 0.5
		rm -r "$work/next/proc/100" "$work/next/sys/kernel/debug/smmuv3-accel/7"
	) &
	run --root "$work/next" stats 7 --watch >"$work/out" 2>&1
	[ $? = 1 ] && wait && grep -q 'vSMMU 7 is gone' "$work/out"
}
t "stats --watch: ends with the vSMMU" gone

mkdir "$work/empty"
empty() { # $1: command, $2: what it says
	local rc=0
	run --root "$work/empty" "$1" >"$work/out" 2>&1 || rc=$?
	((rc == 1)) && grep -q "$2" "$work/out"
}
t "list: no module" empty list 'not loaded: modprobe smmuv3-accel'
t "stats: no module" empty stats 'not loaded: modprobe smmuv3-accel'
t "info: nothing at all" json_says 'not r["module"]["loaded"] and not r["devices"] and r["notes"]' \
	--root "$work/empty" info

mkdir -p "$work/plain/boot" "$work/plain/proc/sys/kernel"
echo 1.2.3 >"$work/plain/proc/sys/kernel/osrelease"
printf 'CONFIG_IOMMUFD=y\n' >"$work/plain/boot/config-1.2.3"
t "info: a configuration in /boot" \
	json_says '[o["value"] for o in r["kernel"]["options"]] == list("nnynnn")' --root "$work/plain" info
rm "$work/plain/boot/config-1.2.3"
printf '0 T arm_vsmmu_init\t[arm_smmu_v3]\n0 T iommufd_ctx_from_file_not\n' >"$work/plain/proc/kallsyms"
t "info: symbols instead" \
	json_says '[o["value"] for o in r["kernel"]["options"]] == [None, "y or m"] + 4 * [None]' --root "$work/plain" info
printf 'no gzip' >"$work/plain/proc/config.gz"
t "info: a configuration that is not gzip" \
	json_says 'r["kernel"]["options"][1]["value"] == "y or m"' --root "$work/plain" info

# Damaged files. Whatever they hold, the result is complete. $1: the file, $2: command
damaged() {
	local file
	rm -rf "$work/damaged"
	cp "$root/$1" "$work/saved"
	python3 "$here/test/root.py" --damage 60 "$root/$1" "$work/damaged"
	: >"$work/results"
	for file in "$work"/damaged/*; do
		cp "$file" "$root/$1"
		run --json --root "$root" "$2" >>"$work/results" || { echo "${file##*/}"; return 1; }
	done
	cp "$work/saved" "$root/$1"
	all_json "$work/results"
}
t "info: vfio-pci is not loaded" json_says \
	'[d["to_do"][:17] for d in r["devices"] if d["bdf"] == "0000:00:03.0"] == ["modprobe vfio-pci"]' \
	--root "$work/next" info --all
t "info: damaged IORTs" damaged sys/firmware/acpi/tables/IORT info
t "info: damaged reserved regions" damaged sys/kernel/iommu_groups/7/reserved_regions info
t "info: damaged fdinfo of a VFIO device" damaged proc/400/fdinfo/3 info
t "info: damaged list of character devices" damaged proc/devices info
t "list: damaged fdinfo" damaged proc/100/fdinfo/3 list
t "list: damaged debugfs" damaged sys/kernel/debug/smmuv3-accel/7 list

t "no command" refused
t "unknown command" refused nothing
t "unknown option" refused --nothing
t "unknown option of a command" refused info --nothing
t "argument of info" refused info more
t "argument of list" refused list more
t "--probe of a copy" refused --root "$root" info --probe
t "stats: not a number" refused stats x
t "stats: a negative number" refused stats -- -1
t "stats: a number too large" refused stats 4294967296
t "stats: two" refused stats 1 2
t "stats: interval 0" refused stats --watch=0
t "stats: interval too large" refused stats --watch=99999999999999999999
t "stats: count without an interval" refused stats -n 1
t "decode: nothing" refused decode
t "decode: what?" refused decode cd 0 0
t "decode: no words" refused decode cmd
t "decode: too few words" refused decode cmd 1
t "decode: not a multiple" refused decode event 1 2 3 4 5
t "decode: not hex" refused decode cmd 0xg 0
t "decode: a sign" refused decode cmd -- -1 0
t "decode: 0x alone" refused decode cmd 0x 0
t "decode: 0x twice" refused decode cmd 0x0x1 0
t "decode: 65 bits" refused decode cmd 10000000000000000 0
t "decode: overlong" refused decode cmd "$(printf '%0100000d' 1)" 0
t "decode: a format" refused decode cmd %s%n 0
t "decode --bytes: half a byte" refused decode -b cmd 123
t "decode --bytes: not hex" refused decode -b cmd zz
t "decode --bytes: half a word" refused decode -b cmd 01020304
t "decode idr: five" refused decode idr 1 2 3 4 5
t "decode idr: 33 bits" refused decode idr 1 2 3 4 5 100000000
t "decode idr: bytes" refused decode -b idr "$(printf '%048d' 0)"
t "decode --idr: five" refused decode -i 1,2,3,4,5 cmd 46 0
t "decode --idr: seven" refused decode -i 1,2,3,4,5,6,7 cmd 46 0
t "decode --idr: 33 bits" refused decode -i 1,2,3,4,5,100000000 cmd 46 0
t "decode: a null byte comes in" refused_input '46 0\0' decode cmd
t "decode: nothing comes in" refused_input '' decode cmd
t "decode: noise comes in" refused_input '\377\376\001' decode cmd
many() {
	python3 -c 'print("46 0 " * 200000)' | run decode cmd - | grep -c '^CMD_SYNC' >"$work/out"
	[ "$(cat "$work/out")" = 200000 ]
}
t "decode: 200,000 commands come in" many
endless() { yes 46 | run decode cmd - >"$work/out" 2>"$work/err"; [ "${PIPESTATUS[1]}" = 2 ]; }
t "decode: no end comes in" endless
as_words() { diff <(run decode cmd 0x0007000000000012 0x10000001) <(run decode -b cmd "$@"); }
t "decode --bytes" as_words 12000000000007000100001000000000
t "decode --bytes: separated" as_words 12 00 00 00 00 00 07 00,01,00,00,10,00 00 00 00
t "decode --bytes: as xxd writes them" as_words '00000000: 1200 0000 0000 0700 0100 0010 0000 0000'
random_entries() {
	local kind
	for kind in "ste 8 64" "cmd 2 64" "event 4 64" "idr 6 32"; do
		# shellcheck disable=SC2086 # three words
		set -- $kind
		python3 "$here/test/random-words.py" "$((3000 * $2))" "$3" >"$work/words"
		json decode "$1" -a - <"$work/words" || { echo "$kind"; return 1; }
	done
}
t "decode: random entries" random_entries
full() { ! run decode cmd 46 0 >/dev/full 2>"$work/err" && grep -q 'No space left' "$work/err"; }
t "a full disk is an error" full

t "--help" grep -q '^usage: ' <(run --help)
t "--version" grep -q '^smmuv3-accelctl .*API version' <(run --version)

man_page() {
	local complaints
	if command -v mandoc >/dev/null; then
		complaints=$(mandoc -Tlint -Wwarning "$here/smmuv3-accelctl.8" 2>&1)
	else
		complaints=$(groff -mandoc -Tutf8 -ww -z "$here/smmuv3-accelctl.8" 2>&1)
	fi
	[ -z "$complaints" ] || { echo "$complaints"; return 1; }
}
if command -v mandoc >/dev/null || command -v groff >/dev/null; then
	t "man page" man_page
fi
man_names() { # each option of the help is in the man page
	local option
	for option in $(run --help | grep -oE -- '--[a-z]+' | sort -u); do
		grep -q -- "Fl ${option/#--/Fl }" "$here/smmuv3-accelctl.8" || { echo "$option"; return 1; }
	done
}
t "man page: all options" man_names
completes() { # $1: words typed, rest: what is offered
	(
		# shellcheck source=/dev/null
		. "$here/smmuv3-accelctl.bash"
		read -ra COMP_WORDS <<<"$1"
		[[ $1 != *' ' ]] || COMP_WORDS+=('')
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_smmuv3_accelctl
		diff <(printf '%s\n' "${@:2}" | sort) <(printf '%s\n' "${COMPREPLY[@]}" | sort)
	)
}
t "completion: commands" completes 'smmuv3-accelctl ' info list stats decode
t "completion: a command" completes 'smmuv3-accelctl -j st' stats
t "completion: options" completes 'smmuv3-accelctl info --p' --probe
t "completion: what to decode" completes 'smmuv3-accelctl decode -a ' ste cmd event idr

finish
