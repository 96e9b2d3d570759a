#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make deb: build the Debian packages for arm64 on an amd64 machine, and let
# lintian look at them. make check-deb: see that what they hold can be used, the
# module by DKMS for the emulated host's kernel.
#
#   deb.sh build|check

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL V

cross=aarch64-linux-gnu-
kernel=$CACHE/kernel-base
out=$TOP_DIR/build/deb

cd "$TOP_DIR"
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)

# $1: file, $2: the line that says which version this is
same_version() {
	grep -qxF -- "$2" "$1" || die "$1 lacks '$2': debian/changelog says that this is $version"
}

build() {
	"$VM_DIR/setup.sh" kernel packaging
	same_version dkms.conf "PACKAGE_VERSION=\"$version\""
	same_version drivers/iommu/smmuv3-accel/main.c "MODULE_VERSION(\"$version\");"
	same_version tools/lib/vsmmu/Makefile "VERSION := $version"

	rm -rf "$out"
	mkdir -p "$out"
	rsync -a --exclude=/build --exclude=/.git --exclude='*.o' --exclude='*.a' ./ "$out/source"
	(
		cd "$out/source"
		export KHDR_INCLUDES="-isystem $kernel/usr/include"
		# The cross compiler stands in for arm64's own build dependencies.
		DEB_BUILD_OPTIONS=noautodbgsym logged "$out/build.log" dpkg-buildpackage -b -d -us -uc -a arm64
	)
	lintian --allow-root --fail-on error,warning "$out"/*.changes
	du -b "$out"/*.deb | sed "s|$TOP_DIR/||"
}

# dkms, with all that it keeps below $work. Its status is that of the command.
dkms_in() {
	ARCH=arm64 CROSS_COMPILE=$cross PATH="$work/bin:$PATH" dkms "$@" -m smmuv3-accel -v "$version" \
		--sourcetree "$work/tree/usr/src" --dkmstree "$work/dkms" --installtree "$work/modules" 2>&1
}

check_module() {
	local release ko
	release=$(cat "$kernel/include/config/kernel.release")
	mkdir -p "$work/bin" "$work/dkms" "$work/modules"
	ln -s "$(command -v ${cross}strip)" "$work/bin/strip"
	dkms_in add >"$work/log" && dkms_in build -k "$release" -a arm64 --kernelsourcedir "$kernel" >>"$work/log" ||
		{ cat "$work/log" "$work"/dkms/smmuv3-accel/"$version"/build/make.log; die "dkms did not build the module"; }
	ko=$(find "$work/dkms/smmuv3-accel/$version/$release" -name smmuv3-accel.ko)
	[ "$(modinfo -F version "$ko")" = "$version" ] && modinfo -F vermagic "$ko" | grep -qF "$release " ||
		die "dkms built something else: $(modinfo "$ko")"
	cp "$ko" "$out/"
	echo "ok   dkms builds the module for $release"

	# A kernel that will not do is skipped, and the reason given.
	mkdir "$work/kdir"
	: >"$work/kdir/Makefile"
	sed '/^CONFIG_IOMMUFD=/d' "$kernel/.config" >"$work/kdir/.config"
	rc=0
	dkms_in build -k 0.0-no-iommufd -a arm64 --kernelsourcedir "$work/kdir" >"$work/log" || rc=$?
	[ "$rc" = 77 ] && grep 'lacks what the module stands on: CONFIG_IOMMUFD$' "$work/log" ||
		{ cat "$work/log"; die "a kernel without IOMMUFD: dkms ended with $rc"; }
	echo "ok   dkms skips a kernel without IOMMUFD"
}

check_library() {
	local flags
	flags=$(PKG_CONFIG_SYSROOT_DIR=$work/tree PKG_CONFIG_LIBDIR=$work/tree/usr/lib/aarch64-linux-gnu/pkgconfig \
		pkg-config --cflags --libs libvsmmu)
	cat >"$work/test.c" <<-'C'
		#include <vsmmu.h>
		#include <linux/smmuv3_accel.h>

		int main(void)
		{
			struct vsmmu *vsmmu;

			return vsmmu_new(&(struct vsmmu_config){ 0 }, &vsmmu, 0);
		}
	C
	# shellcheck disable=SC2086 # several words
	${cross}gcc -Wall -Werror -o "$work/test" "$work/test.c" $flags
	echo "ok   a program links with libvsmmu"
}

check_tools() {
	local f=$work/tree
	${cross}readelf -h "$f/usr/sbin/smmuv3-accelctl" | grep -q AArch64
	[ -s "$f/usr/share/man/man8/smmuv3-accelctl.8.gz" ]
	bash -n "$f/usr/share/bash-completion/completions/smmuv3-accelctl"
	[ -s "$f/lib/udev/rules.d/60-smmuv3-accel.rules" ] || [ -s "$f/usr/lib/udev/rules.d/60-smmuv3-accel.rules" ]
	echo "ok   the tools are there"
}

check() {
	local deb
	[ -e "$out/smmuv3-accel-dkms_${version}_all.deb" ] || build
	"$VM_DIR/setup.sh" packaging
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	for deb in "$out"/*.deb; do
		dpkg-deb -x "$deb" "$work/tree"
	done
	check_module
	check_library
	check_tools
}

case ${1:-} in
build | check) "$1" ;;
*) die "say build or check" ;;
esac
