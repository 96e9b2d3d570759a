#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make deb: build the Debian packages for arm64 on an amd64 machine, and check them
# with lintian. make check-deb: install them on the emulated host and test what they
# contain.
#
#   deb.sh build|check

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL V

here=$VM_DIR/../deb
cross=aarch64-linux-gnu-
kernel=$CACHE/kernel-debian
out=$TOP_DIR/build/deb

cd "$TOP_DIR"
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)

# $1: file, $2: the line that has its version
same_version() {
	grep -qxF -- "$2" "$1" || die "$1 lacks '$2': debian/changelog says that this is $version"
}

build() {
	"$VM_DIR/setup.sh" kernel packaging
	same_version dkms.conf "PACKAGE_VERSION=\"$version\""
	same_version drivers/iommu/smmuv3-accel/main.c "MODULE_VERSION(\"$version\");"
	same_version tools/lib/vsmmu/vsmmu.h "#define VSMMU_VERSION_MAJOR	${version%%.*}"
	same_version tools/lib/vsmmu/vsmmu.h "#define VSMMU_VERSION_MINOR	${version#*.}"
	same_version tools/rust/Cargo.toml "version = \"$version.0\""

	rm -rf "$out"
	mkdir -p "$out"
	rsync -a --exclude=/build --exclude=/.git --exclude='*.o' --exclude='*.a' ./ "$out/source"
	(
		cd "$out/source"
		export KHDR_INCLUDES="-isystem $CACHE/kernel-base/usr/include"
		# The cross compiler stands in for arm64's own build dependencies.
		DEB_BUILD_OPTIONS=noautodbgsym logged "$out/build.log" dpkg-buildpackage -b -d -us -uc -a arm64
	)
	lintian --allow-root --fail-on error,warning "$out"/*.changes
	du -b "$out"/*.deb | sed "s|$TOP_DIR/||"
}

# $1: a folder, $2 and so on: goals of the kernel that Debian runs on
kernel_make() {
	logged "$out/kernel.log" make -s -C "$CACHE/linux" O="$kernel" ARCH=arm64 CROSS_COMPILE=$cross "$@"
}

# Boot Debian for arm64 on the emulated host, with the kernel's modules and headers in
# Debian's places, and a second kernel that lacks what the module needs. dpkg installs
# the packages there, and DKMS builds the module on that machine.
check_install() {
	local modules=$work/kernel/usr/lib/modules release
	"$VM_DIR/setup.sh" kernel-debian debian-arm64
	release=$(cat "$kernel/include/config/kernel.release")
	kernel_make modules_install INSTALL_MOD_PATH="$work/kernel/usr" DEPMOD=true
	rm -f "$modules/$release/build"
	kernel_make run-command \
		KBUILD_RUN_COMMAND="$CACHE/linux/scripts/package/install-extmod-build $modules/$release/build"
	mkdir -p "$modules/0.0-no-iommufd/build/include"
	touch "$modules/0.0-no-iommufd/build/Makefile"
	sed '/^CONFIG_IOMMUFD=/d' "$kernel/.config" >"$modules/0.0-no-iommufd/build/.config"

	mkdir "$work/share"
	tar -C "$work/kernel" -cf "$work/share/kernel.tar" .
	cp "$CACHE/debian-arm64/root.tar" "$out"/*.deb "$work/share/"
	cp "$here/host" "$here/install" "$work/share/"
	"$VM_DIR/run.sh" --debian --no-module --testdev 1 --mem 6G --timeout 3000 --share "$work/share" -- \
		sh host "$(date +%s)" "$version"
}

check_library() {
	local flags
	flags=$(PKG_CONFIG_SYSROOT_DIR=$work/tree PKG_CONFIG_LIBDIR=$work/tree/usr/lib/aarch64-linux-gnu/pkgconfig \
		pkg-config --cflags --libs libvsmmu)
	# shellcheck disable=SC2086 # several words
	${cross}gcc -Wall -Werror -o "$work/test" "$here/library.c" $flags
	echo "ok   a program links with libvsmmu"
	[ -s "$work/tree/usr/share/man/man7/vsmmu.7.gz" ]
	[ -s "$work/tree/usr/share/man/man3/vsmmu_kick.3.gz" ]
	echo "ok   its calls have man pages"
}

check_tools() {
	[ -s "$work/tree/usr/share/man/man8/smmuv3-accelctl.8.gz" ]
	bash -n "$work/tree/usr/share/bash-completion/completions/smmuv3-accelctl"
	echo "ok   smmuv3-accelctl has a man page, and completion"
	[ -s "$work/tree/usr/share/man/man8/smmuv3-accel-bench.8.gz" ]
	echo "ok   smmuv3-accel-bench has a man page"
}

check() {
	local deb
	[ -e "$out/smmuv3-accel-dkms_${version}_all.deb" ] || die "there are no packages: make deb comes first"
	"$VM_DIR/setup.sh" packaging
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	for deb in "$out"/*.deb; do
		dpkg-deb -x "$deb" "$work/tree"
	done
	check_library
	check_tools
	check_install
}

case ${1:-} in
build | check) "$1" ;;
*) die "say build or check" ;;
esac
