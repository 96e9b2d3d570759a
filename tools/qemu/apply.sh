#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Put the device into an unpacked source of QEMU, and connect it:
#
#   apply.sh FOLDER
#
# It can run again after a change here: files that stay the same keep their time, so
# that ninja builds only what changed. FOLDER/.smmuv3-accel keeps the original of each
# file of QEMU that is changed and, as FILE.connected, what became of it. If somebody
# else changed that since, this does nothing.

set -euo pipefail
export LC_ALL=C

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
TOP=$HERE/../..
SOURCE=${1:?usage: apply.sh FOLDER}

# What the semantic patch must have inserted, and how often: a file, the number of lines
# that match, and the pattern. A rule of spatch that matches nothing is silent.
INSERTIONS='
include/hw/arm/smmuv3.h       1 struct SMMUv3AccelDev \*accel_dev;
hw/arm/smmuv3.c               1 ^#include "hw/arm/smmuv3-accel-dev\.h"
hw/arm/smmuv3.c               1 ^void smmuv3_trigger_irq(
hw/arm/smmuv3.c               1 ^MemTxResult smmuv3_write_eventq(
hw/arm/smmuv3.c               1 smmuv3_accel_dev_gerror(s);
hw/arm/smmuv3.c               1 smmuv3_accel_dev_consume(s)
hw/arm/smmuv3.c               1 smmuv3_accel_dev_reset(s);
hw/arm/smmuv3.c               1 smmuv3_accel_dev_realize(s, errp);
hw/arm/smmuv3.c               1 smmuv3_accel_dev_class_init(klass);
hw/vfio/iommufd.c             1 ^#include "hw/arm/smmuv3-accel-dev\.h"
hw/vfio/iommufd.c             1 flags = smmuv3_accel_dev_hwpt_flags(vbasedev, flags);
hw/arm/virt-acpi-build.c      1 ^#include "hw/arm/smmuv3-accel-dev\.h"
hw/arm/virt-acpi-build.c      1 smmuv3_accel_dev_build_iort(table_data, table\.table_offset);
hw/pci-host/gpex-acpi.c       1 ^#include "hw/arm/smmuv3-accel-dev\.h"
hw/pci-host/gpex-acpi.c       1 smmuv3_accel_dev_host_bridge_dsm(
hw/arm/meson.build            1 files(.smmuv3\.c., .smmuv3-accel-dev\.c., .smmuv3-accel-fw\.c.)
hw/arm/meson.build            1 ^stub_ss\.add(files(.smmuv3-accel-stubs\.c.))
'

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Copy a file unless the same is there. $1: from, $2: to, in the source
put() {
	cmp -s "$1" "$SOURCE/$2" && return
	cp "$1" "$SOURCE/$2.tmp"
	mv "$SOURCE/$2.tmp" "$SOURCE/$2"
}

# Copy the original of a file to the folder $new, where it is changed. $1: the file
take() {
	local kept=$SOURCE/.smmuv3-accel/$1
	if [ ! -e "$kept" ]; then
		[ -e "$SOURCE/$1" ] || die "$SOURCE has no $1"
		! grep -q smmuv3.accel.dev "$SOURCE/$1" || die "$SOURCE/$1 has the device already"
		mkdir -p "$(dirname "$kept")"
		cp -p "$SOURCE/$1" "$kept.tmp"
		mv "$kept.tmp" "$kept"
	fi
	mkdir -p "$new/$(dirname "$1")"
	cp "$kept" "$new/$1"
}

# Refuse to undo a change by somebody else. $1: the file
check_unchanged() {
	local kept=$SOURCE/.smmuv3-accel/$1 known
	[ -e "$kept.connected" ] || return 0
	for known in "$kept" "$kept.connected" "$new/$1"; do
		cmp -s "$known" "$SOURCE/$1" && return
	done
	die "$SOURCE/$1 was changed after the device was connected: unpack the source again, and make that change first"
}

check_insertions() {
	local file count pattern found bad=0
	while read -r file count pattern; do
		[ -n "$file" ] || continue
		found=$(grep -c -- "$pattern" "$new/$file") || true
		[ "$found" = "$count" ] && continue
		echo "$file: found $found times, not $count: $pattern" >&2
		bad=1
	done <<<"$INSERTIONS"
	((!bad)) || die "$version is not connected: the semantic patch does not fit it"
}

[ -r "$SOURCE/VERSION" ] && [ -r "$SOURCE/hw/arm/smmuv3.c" ] || die "$SOURCE has no source of QEMU"
command -v spatch >/dev/null || die "needs spatch: install coccinelle"
version="QEMU $(cat "$SOURCE/VERSION")"
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

files=$(awk 'NF && !seen[$1]++ { print $1 }' <<<"$INSERTIONS")
for file in $files; do
	take "$file"
	[[ $file == *.[ch] ]] || continue
	options=()
	[ "$file" != hw/arm/smmuv3.c ] || options=(-D smmu)
	spatch --very-quiet --no-includes --in-place "${options[@]}" --sp-file "$HERE/smmuv3-accel-dev.cocci" "$new/$file" >/dev/null ||
		die "spatch failed on $file of $version"
done
sed -i "/files('smmuv3\.c')/{
	s//files('smmuv3.c', 'smmuv3-accel-dev.c', 'smmuv3-accel-fw.c')/
	a stub_ss.add(files('smmuv3-accel-stubs.c'))
	}" "$new/hw/arm/meson.build"
check_insertions
for file in $files; do
	check_unchanged "$file"
done

awk -f "$TOP/scripts/reasons.awk" "$TOP/include/uapi/linux/smmuv3_accel.h" >"$new/reasons"
put "$new/reasons" hw/arm/smmuv3-accel-reasons.c.inc
put "$TOP/include/uapi/linux/smmuv3_accel.h" linux-headers/linux/smmuv3_accel.h
put "$HERE/smmuv3-accel-dev.h" include/hw/arm/smmuv3-accel-dev.h
for file in dev fw stubs; do
	put "$HERE/smmuv3-accel-$file.c" "hw/arm/smmuv3-accel-$file.c"
done
for file in $files; do
	put "$new/$file" "$file"
	put "$new/$file" ".smmuv3-accel/$file.connected"
done
echo "$version has the device smmuv3-accel"
