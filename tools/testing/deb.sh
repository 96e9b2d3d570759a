#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make deb: build the Debian packages for arm64 on an amd64 machine, and let
# lintian look at them. make check-deb: see that what they hold can be used, for
# which they are installed on the emulated host.
#
#   deb.sh build|check

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL V

cross=aarch64-linux-gnu-
kernel=$CACHE/kernel-debian
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

# Debian for arm64 on the emulated host, with the kernel's modules and headers as
# Debian has them, and a kernel beside it that will not do. There the packages are
# installed, by dpkg, and the module is built, by the machine itself.
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
	cat >"$work/share/host" <<-'HOST'
		set -e
		date -s "@$1" >/dev/null
		mkdir /debian
		mount -t tmpfs -o size=80% tmpfs /debian
		tar -C /debian -xf root.tar
		tar -C /debian -xf kernel.tar
		cp install ./*.deb /debian/tmp/
		mount --bind /dev /debian/dev
		export PATH=/usr/sbin:/usr/bin version="$2"
		exec chroot /debian sh /tmp/install
	HOST
	cat >"$work/share/install" <<-'DEBIAN'
		export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
		rc=0

		check() { # $1: what is true if the rest succeeds
			what=$1
			shift
			if "$@" >/tmp/log 2>&1; then
				echo "ok   $what"
			else
				echo "FAIL $what"
				tail -n 30 /tmp/log | sed 's/^/   | /'
				rc=1
			fi
		}

		install() { dpkg --install /tmp/*.deb; }
		built() { dkms status -k "$(uname -r)" | grep ': installed' && modinfo smmuv3-accel; }
		skipped() { # which dkms calls 77 where it was asked for this module
			dkms autoinstall -k "$1"
			! dkms status -k "$1" | grep ': \(built\|installed\)' || return 1
			dkms build "smmuv3-accel/$version" -k "$1" >/tmp/skipped 2>&1
			[ $? = 77 ] && grep 'lacks what the module stands on: CONFIG_IOMMUFD$' /tmp/skipped
		}
		coldplug() { udevadm trigger --action=add && udevadm settle; }
		node() { stat "$1" && [ "$(stat -c '%G %a' "$1")" = "kvm 660" ]; }
		as() { setpriv --reuid=nobody --regid=nogroup --groups="$1" sh -c ': <>/dev/smmuv3-accel'; }
		as_others() { ! as nogroup; }
		info() { smmuv3-accelctl info >/tmp/info && grep -A1 '^module:' /tmp/info | grep 'loaded: yes'; }
		remove() {
			modprobe -r smmuv3-accel && dpkg --remove smmuv3-accel-dkms smmuv3-accel-tools libvsmmu-dev &&
				! modinfo smmuv3-accel && ! command -v smmuv3-accelctl
		}

		/debootstrap/debootstrap --second-stage >/tmp/log 2>&1 || { tail -n 30 /tmp/log; exit 1; }
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		export SYSTEMD_IGNORE_CHROOT=1
		depmod # as is done for Debian's own kernels
		/usr/lib/systemd/systemd-udevd --daemon >/tmp/log 2>&1
		check "dpkg installs the packages" install
		check "DKMS has built the module, on the machine" built
		check "DKMS skips a kernel without IOMMUFD" skipped 0.0-no-iommufd
		check "udev goes through the devices" coldplug
		check "udev has loaded the module" test -d /sys/module/smmuv3_accel
		check "/dev/smmuv3-accel is for the group kvm" node /dev/smmuv3-accel
		check "/dev/iommu is" node /dev/iommu
		check "so is a device bound to vfio-pci" node /dev/vfio/devices/vfio0
		check "who is in the group can open it" as kvm
		check "nobody else can" as_others
		check "smmuv3-accelctl runs" info
		check "the packages go away, and the module" remove
		exit $rc
	DEBIAN
	"$VM_DIR/run.sh" --debian --no-module --testdev 1 --mem 6G --timeout 3000 --share "$work/share" -- \
		sh host "$(date +%s)" "$version"
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
	[ -s "$work/tree/usr/share/man/man8/smmuv3-accelctl.8.gz" ]
	bash -n "$work/tree/usr/share/bash-completion/completions/smmuv3-accelctl"
	echo "ok   smmuv3-accelctl has a man page, and completion"
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
