#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make check-debian: the reference VMM boots Debian from an NVMe disk behind its vSMMU, by
# the disk's own kernel and initramfs, and systemd powers it off. Prints PASS, or what
# failed.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"

here=$VM_DIR/../demo-guest
"$VM_DIR/setup.sh" default debian-root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/share"
cp --sparse=always "$CACHE/debian-root/disk" "$work/disk"
gzip -1 <"$CACHE/debian-root/vmlinuz" >"$work/share/vmlinuz.gz"
cp "$CACHE/debian-root/initrd" "$here"/{lib.sh,vmm.sh,debian} "$work/share/"

say "booting the emulated host, and Debian in it"
rc=0
"$VM_DIR/run.sh" --nvme "$work/disk" --mem 3G --share "$work/share" --timeout 8000 -- sh debian "$(date +%s)" |
	sed -u 's/^# \(  |\)/\1/; t; s/^# /\n/; s/^ok [0-9]* - /    ok: /; s/^not ok [0-9]* - /    FAIL: /' || rc=1

# The host has no part in these: systemd unmounted the disk, and it has what the guest wrote.
result() { # $1: what, rest: a command that must succeed
	local what=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		echo "    ok: $what"
	else
		echo "    FAIL: $what"
		sed 's/^/  | /' "$work/out"
		rc=1
	fi
}
same_data() {
	[ -s "$work/share/written" ] &&
		[ "$(debugfs -R "cat /srv/data" "$work/disk" 2>/dev/null | sha256sum)" = "$(cat "$work/share/written")  -" ]
}
is_clean() { e2fsck -fn "$1" && ! dumpe2fs -h "$1" | grep needs_recovery; }
result "its file system is clean" is_clean "$work/disk"
result "what Debian wrote is in the disk's image" same_data
((rc == 0)) || die "FAIL: see above"
printf '\nPASS\n'
