#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make check-guests: Debian's stock kernels as guests behind the reference VMM, in the
# emulated host. For each: right data under writes, checksums, rebinds, resets, reboot,
# kexec and kdump, with strict and lazy invalidation, trapped and polled doorbells, and
# MSIs.
#
#   guests.sh [--short|--kdump] [KERNEL]...    a kernel is the suite that has it, or SUITE-16k
#
# --short: boot, checksum, write and fault alone. --kdump: kdump alone. Prints a line for
# each result, its output below a failure, and the counts at the end.
#
# Faults of the guests, which are worked round:
#
# - Linux 6.1 does not know iommu-addresses in a device tree (6.3 does), so its stage 1
#   lacks the window for MSIs. With pci=nomsi its devices use wired interrupts.
# - Linux 6.12 oopses in trans_pgd_create_copy() when it copies its page tables for kexec,
#   if its virtual addresses can have 52 bits. arm64.nolva makes that 48.
# - A GICv3 cannot turn off LPIs, so the kernel that kexec starts takes over their tables
#   from the previous one. Without EFI nothing reserves these, and that kernel writes them
#   where it may lie itself. kexec --mem-min puts it elsewhere.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

here=$VM_DIR/..
form=long kernels=()
for arg; do
	case $arg in
	--short | --kdump) form=${arg#--} ;;
	-*) die "usage: guests.sh [--short|--kdump] [KERNEL]..." ;;
	*) kernels+=("$arg") ;;
	esac
done
((${#kernels[@]})) || kernels=(bookworm trixie trixie-16k trixie-backports sid)

work=$(mktemp -d) host=''
cleanup() {
	[ -z "$host" ] || kill "$host" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

fail() { # $1: what, $2: a file with what it printed
	failed=$((failed + 1))
	printf 'FAIL %s\n' "$1"
	[ -z "${2:-}" ] || sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g; s/^/    | /' "$2"
}
ok() { passed=$((passed + 1)); printf 'ok   %s\n' "$1"; }

finish() {
	printf '%d passed, %d failed\n' "$passed" "$failed"
	exit $((failed > 0))
}

archive() { (cd "$1" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1); }

# Fill the folder that the emulated host sees, and the disks. $1: kernel
prepare() {
	local kernel=$CACHE/guest-$1 share=$work/share
	rm -rf "${work:?}"/{share,overlay,boot}
	mkdir -p "$share" "$work/overlay" "$work/boot"
	install -m 755 "$here/demo-guest/guest" "$work/overlay/demo"
	cp "$here/guests/guest" "$work/overlay/functions"
	cp "$here/guests/host" "$here"/demo-guest/{lib,vmm}.sh "$kernel/Image" "$share/"
	{
		cat "$TOP_DIR/build/vm/base/guest/initramfs" "$kernel/modules.cpio.gz"
		archive "$work/overlay"
	} >"$share/initramfs"
	head -c 64M /dev/urandom >"$work/disk"
	disks=(--nvme "$work/disk")
	[ "$form" != short ] || return 0
	cp "$CACHE/guest-tools/tools.tar" "$work/disk2"
	cp "$kernel/Image" "$share/initramfs" "$work/boot/"
	tar -C "$work" --owner=0 --group=0 -rf "$work/disk2" boot
	disks+=(--nvme "$work/disk2")
}

# Work round faults of a guest: set "options" to what it wants on its command line, and
# "kexec" to what it wants there for kexec. $1: its version
workarounds() {
	options='' kexec=''
	case $1 in
	6.1.*) options=pci=nomsi ;;
	6.12.*) kexec=arm64.nolva ;;
	esac
}

# Pass the results on, "kernel: test". $1: kernel
results() {
	local line
	while IFS= read -r line; do
		case $line in
		'ok '*) ok "$1: ${line#* - }" ;;
		'not ok '*) fail "$1: ${line#* - }" ;;
		'#   | '*) printf '    | %s\n' "${line#'#   | '}" ;;
		*) printf '     %s\n' "${line#'# '}" ;;
		esac
	done
}

# $1: kernel
run() {
	local before=$((passed + failed)) rc=0 sum part=- version options kexec
	prepare "$1"
	version=$(cat "$CACHE/guest-$1/version")
	workarounds "$version"
	sum=$(sha256sum <"$work/disk")
	[ "$form" = short ] || part=$(head -c 16M "$work/disk2" | sha256sum)
	: >"$work/results"
	"$VM_DIR/run.sh" "${disks[@]}" --edu 1 --mem 3G --share "$work/share" --timeout 10800 -- \
		sh host "$form" "${sum%% *}" "${part%% *}" "$version" "$options" "$kexec" \
		>"$work/results" 2>"$work/errors" &
	host=$!
	results "$1" < <(tail -n +1 -f --pid=$host "$work/results")
	wait $host || rc=$?
	host=''
	if [ ! -s "$work/share/tests" ] || ((passed + failed - before != $(cat "$work/share/tests"))); then
		fail "$1: the emulated host, status $rc" "$work/errors"
	elif [ ! -s "$work/share/sum" ]; then
		return
	elif [ "$(sha256sum <"$work/disk")" = "$(cat "$work/share/sum")  -" ]; then
		ok "$1: what the guest wrote is in the disk's image"
	else
		fail "$1: what the guest wrote is not in the disk's image"
	fi
}

parts=(default "${kernels[@]/#/guest-}")
[ "$form" = short ] || parts+=(guest-tools)
"$VM_DIR/setup.sh" "${parts[@]}" || { fail "set-up"; finish; }
make -s -C "$TOP_DIR" vm-base >&2 || { fail "what the emulated host runs"; finish; }
for kernel in "${kernels[@]}"; do
	run "$kernel"
done
finish
