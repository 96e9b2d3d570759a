#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# check-kernel.sh KDIR: check that the module can be built for, and works on, the
# kernel whose build folder is KDIR. An out-of-tree build does not look at Kconfig.
set -eu

kdir=$1

die() {
	echo "check-kernel.sh: $*" >&2
	exit 1
}

if [ ! -e "$kdir/Makefile" ]; then
	[ "$kdir" != "/lib/modules/$(uname -r)/build" ] ||
		die "there is no build folder for the running kernel, $(uname -r): install its headers, or name another kernel's build folder with KDIR="
	die "KDIR=$kdir is not a kernel's build folder"
fi

for config in "$kdir/.config" "$kdir/include/config/auto.conf" ''; do
	[ ! -r "$config" ] || break
done
[ -n "$config" ] || die "the kernel in $kdir is not configured: it has neither .config nor include/config/auto.conf"

# From 6.17 on, a vDEVICE ends with its device. Before, the host driver goes on to follow
# its pointer to a device that may be gone.
oldest=6.17
floor=$((${oldest%.*} << 16 | ${oldest#*.} << 8))
version=$kdir/include/generated/uapi/linux/version.h
code=$(sed -n 's/^#define LINUX_VERSION_CODE //p' "$version" 2>/dev/null || :)
[ "${code:-$floor}" -ge "$floor" ] ||
	die "the kernel in $kdir is Linux $((code >> 16)).$((code >> 8 & 255)), the module needs $oldest or later"

lacking=
for option in ARM64 IOMMUFD ARM_SMMU_V3_IOMMUFD VFIO VFIO_DEVICE_CDEV; do
	grep -q "^CONFIG_$option=[ym]\$" "$config" || lacking="$lacking${lacking:+, }CONFIG_$option"
done
[ -z "$lacking" ] || die "the kernel in $kdir lacks what the module needs: $lacking"

[ "${ARCH:-$(uname -m | sed s/aarch64/arm64/)}" = arm64 ] ||
	die "the kernel in $kdir is for arm64, this machine is not: add ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-"
