#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Fetch and build the parts of the emulated host, once, into the cache:
#
#   setup.sh [toolchain] [checkers] [bench] [clang] [docs] [packaging] [qemu]
#            [qemu-arm64] [qemu-accel] [qemu-accel-SERIES] [busybox] [vmm-libs] [kernel]
#            [kernel-64k] [kernel-debug] [kernel-gcov] [kernel-kcsan] [kernel-debian]
#            [kernel-sriov] [kernel-SERIES] [debian-arm64] [guest-SUITE]
#            [guest-SUITE-16k] [guest-tools] [debian-root] [rust]
#
# kernel-SERIES: the kernel "base" of another series, such as 6.18. Status 4: the mirror
# has no source of that series, which the last line says. rust: Debian's compiler, and
# its standard library for arm64. Status 4: the mirror has none that fits. qemu-accel[-SERIES]: QEMU for
# arm64 with the device of tools/qemu, of the newest source that the mirror has, or of a
# series, such as 10.0.
#
# Without arguments: what "run.sh" needs. A part that is there takes no time and
# prints nothing. To start again, or to get newer versions of Debian's packages,
# remove the cache.

. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

setup_toolchain() {
	host_packages make gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
		flex bison bc libssl-dev libelf-dev cpio gzip xz-utils zstd rsync kmod perl python3
}

# coccinelle needs the -dev package, which alone has Python's library by the right
# name.
setup_checkers() {
	host_packages git g++ shellcheck coccinelle libpython3-dev ocaml-nox ocaml-findlib \
		codespell libcmocka-dev zlib1g-dev libzstd-dev
	setup_sparse
}

# The kernel needs a newer sparse than stable has. sid's runs from a root of its own,
# through that root's loader.
setup_sparse() {
	[ ! -x "$CACHE/sparse/sparse" ] || return 0
	say "fetching sparse"
	(
		private_apt sparse amd64 sid
		rm -rf "$CACHE/sparse.tmp"
		private_unpack "$CACHE/sparse.tmp/tree" sid sparse
	)
	cat >"$CACHE/sparse.tmp/sparse" <<-'WRAPPER'
		#!/bin/sh
		lib=${0%/*}/tree/usr/lib/x86_64-linux-gnu
		exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" "${0%/*}/tree/usr/bin/sparse" "$@"
	WRAPPER
	chmod +x "$CACHE/sparse.tmp/sparse"
	"$CACHE/sparse.tmp/sparse" --version >/dev/null || die "the sparse that was fetched does not run"
	publish "$CACHE/sparse.tmp" "$CACHE/sparse"
}

# Debian's cargo and rustc, and their standard library for arm64. That only fits the rustc of
# the same version, so it comes from the machine's own suite.
setup_rust() {
	local tree=$CACHE/rust.tmp version suite package
	host_packages cargo rustc rustfmt rust-clippy bindgen libclang-dev librust-libc-dev
	# shellcheck disable=SC2016 # dpkg-query's
	version=$(dpkg-query -W -f '${source:Version}' rustc)
	[ "$(cat "$CACHE/rust/version" 2>/dev/null)" != "$version" ] || return 0
	say "fetching Rust's standard library for arm64 (about 40 MB)"
	need_space 400
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")
	rm -rf "$tree"
	mkdir -p "$tree"
	(
		private_apt rust arm64 "$suite"
		package=$(apt-cache madison libstd-rust-dev |
			awk -v want="$version" '{ have = $3; sub(/\+b[0-9]+$/, "", have) } have == want { print $3; exit }')
		if [ -z "$package" ]; then
			echo "$suite has no libstd-rust-dev $version for arm64: upgrade rustc" >&2
			exit 4
		fi
		cd "$tree"
		logged "$CACHE/log/rust.log" verified_apt download "libstd-rust-dev=$package" ||
			die "cannot fetch libstd-rust-dev: is there a network?"
		dpkg-deb -x ./*.deb . || die "libstd-rust-dev is damaged; start again"
		rm ./*.deb
	)
	echo "$version" >"$tree/version"
	publish "$tree" "$CACHE/rust"
}

setup_qemu() {
	[ ! -r "$CACHE/qemu/version" ] || return 0
	say "fetching QEMU (about 45 MB)"
	need_space 1000
	(
		private_apt qemu amd64 trixie trixie-backports
		rm -rf "$CACHE/qemu.tmp"
		private_unpack "$CACHE/qemu.tmp" trixie-backports qemu-system-arm qemu-efi-aarch64
	)
	rm -rf "$CACHE/qemu.tmp/usr/share/AAVMF"
	qemu_from "$CACHE/qemu.tmp" --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p' \
		>"$CACHE/qemu.tmp/version"
	grep -q '^1[1-9]\.\|^[2-9][0-9]\.' "$CACHE/qemu.tmp/version" ||
		die "QEMU 11.1 or newer is needed, the mirror has '$(cat "$CACHE/qemu.tmp/version")'"
	publish "$CACHE/qemu.tmp" "$CACHE/qemu"
}

# Copy arm64 programs, and all libraries that they need, to "lib" below a folder. $1: the
# root that packages were unpacked to, $2: the folder, rest: programs
copy_programs() {
	local lib=$1/usr/lib/aarch64-linux-gnu out=$2 i name path
	local -a files
	shift 2
	mkdir -p "$out/lib"
	files=("$@")
	for ((i = 0; i < ${#files[@]}; i++)); do
		while read -r name; do
			[ ! -e "$out/lib/$name" ] || continue
			path=$(find "$lib" -name "$name" -print -quit)
			cp "$path" "$out/lib/"
			files+=("$path")
		done < <(aarch64-linux-gnu-readelf -d "${files[i]}" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	done
	cp "$@" "$out/"
}

# The same QEMU for arm64, to run in the emulated host: only the program and its
# libraries, because the host reads them over 9p.
setup_qemu_arm64() {
	local tree=$CACHE/qemu-arm64.tmp
	[ ! -x "$CACHE/qemu-arm64/qemu-system-aarch64" ] || return 0
	say "fetching QEMU for arm64 (about 40 MB)"
	need_space 400
	(
		private_apt qemu-arm64 arm64 trixie trixie-backports
		rm -rf "$tree"
		private_unpack "$tree" trixie-backports qemu-system-arm
	)
	copy_programs "$tree" "$tree/qemu-arm64" "$tree/usr/bin/qemu-system-aarch64"
	publish "$tree/qemu-arm64" "$CACHE/qemu-arm64"
	rm -rf "$tree"
}

# What QEMU for arm64 is built with: static libraries, and a meson that is new enough. The
# libraries are of the suite of this machine, because its compiler links its own libc.
setup_qemu_deps() {
	local tree=$CACHE/qemu-deps.tmp suite
	local packages=(libglib2.0-dev libpcre2-dev zlib1g-dev libfdt-dev)
	[ ! -r "$CACHE/qemu-deps/meson/usr/bin/meson" ] || return 0
	say "fetching meson, and the libraries of QEMU for arm64"
	need_space 200
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	[ -n "$suite" ] || die "/etc/os-release has no VERSION_CODENAME: of which suite is the cross compiler?"
	rm -rf "$tree"
	mkdir -p "$tree/fetched"
	(
		private_apt qemu-libs arm64 "$suite"
		cd "$tree/fetched"
		# Since Debian 13 glib is in libgio-2.0-dev. Static programs need libsysprof, too.
		mapfile -t -O "${#packages[@]}" packages < <(
			apt-cache depends libglib2.0-dev libgio-2.0-dev 2>/dev/null |
				sed -n 's/^ *Depends: \(libgio-2\.0-dev\|libsysprof-capture-[0-9]*-dev\)$/\1/p' | sort -u)
		logged "$CACHE/log/qemu-libs.log" verified_apt download "${packages[@]}" ||
			die "cannot fetch the libraries of QEMU: is there a network?"
	)
	unpack_all "$tree/fetched" "$tree/arm64"
	(
		private_apt meson amd64 trixie
		cd "$tree/fetched"
		logged "$CACHE/log/meson.log" verified_apt download meson || die "cannot fetch meson: is there a network?"
	)
	unpack_all "$tree/fetched" "$tree/meson"
	publish "$tree" "$CACHE/qemu-deps"
}

# Unpack packages, and remove them. $1: the folder that they are in, $2: where to
unpack_all() {
	local deb
	for deb in "$1"/*.deb; do
		dpkg-deb -x "$deb" "$2" || die "$deb is damaged; start again"
		rm "$deb"
	done
}

# $1: a series, or nothing, $2: the folder to make
setup_qemu_source() {
	local tree=$2.tmp file newest versions
	[ ! -r "$2/VERSION" ] || return 0
	need_space 1000
	say "fetching the source of QEMU${1:+ $1} (about 40 MB)"
	rm -rf "$tree"
	mkdir -p "$tree"/{fetched,tree}
	(
		private_apt qemu-source amd64+source trixie trixie-backports sid
		cd "$tree/fetched"
		versions="\([0-9]*:\)\?${1:+${1//./\\.}[.~+-]}"
		file=$(fetch_archive qemu "$versions")
		[ -n "$file" ] || die "the mirror has no source of QEMU${1:+ $1}"
		read -r newest < <(source_versions qemu "$versions")
		[[ qemu_${newest#*:} == "${file%.orig.*}"-* ]] ||
			say "the lists have QEMU $newest, but the mirror does not have its source"
		say "unpacking $file"
		tar -xJ -C "$tree/tree" --strip-components=1 -f "$file" || die "cannot unpack $file"
	)
	# Debian's source lacks both: a package for tests, and firmware.
	sed -i '/^pycotap = /d' "$tree/tree/pythondeps.toml"
	sed -i "s/^if unpack_edk2_blobs$/if false/; /^subdir('dtb')/d" "$tree/tree/pc-bios/meson.build"
	mkdir -p "$(dirname "$2")"
	publish "$tree/tree" "$2"
	rm -rf "$tree"
}

# $1: source, $2: build folder
configure_qemu() {
	local lib=$CACHE/qemu-deps/arm64/usr/lib/aarch64-linux-gnu
	printf 'CONFIG_%s=y\n' ARM_VIRT PCI_BRIDGE PCIE_PORT PXB CXL CXL_MEM_DEVICE IOMMUFD VFIO_PCI \
		VIRTIO_PCI VIRTIO_BLK >"$1/configs/devices/aarch64-softmmu/smmuv3-accel.mak"
	rm -rf "$2"
	mkdir -p "$2"
	cd "$2"
	# meson does not look for a static libfdt where -L says.
	logged "$CACHE/log/$(basename "${2%/build}")-configure.log" "$1/configure" --target-list=aarch64-softmmu \
		--cross-prefix=aarch64-linux-gnu- --cc="aarch64-linux-gnu-gcc -B$lib" --python=/usr/bin/python3 \
		--without-default-features --without-default-devices --with-devices-aarch64=smmuv3-accel \
		--enable-system --enable-kvm --disable-tcg --enable-fdt=system --static \
		--disable-werror --disable-debug-info --disable-install-blobs --disable-download \
		--extra-cflags="-isystem $CACHE/qemu-deps/arm64/usr/include"
}

# QEMU for arm64 with the device of tools/qemu. Source and build folder stay, so that a
# change of the device alone costs seconds. $1: a series, or nothing
setup_qemu_accel() {
	local out=$CACHE/qemu-accel${1:+-$1} key
	key=$({
		cat "$TOP_DIR"/tools/qemu/* "$TOP_DIR/include/uapi/linux/smmuv3_accel.h" "$TOP_DIR/scripts/reasons.awk"
		declare -f configure_qemu
	} | sha256sum | cut -c1-16)
	[ "$(cat "$out/key" 2>/dev/null)" != "$key" ] || return 0
	host_packages ninja-build pkgconf python3-venv coccinelle libpython3-dev
	setup_qemu_deps
	setup_qemu_source "$1" "$out/source"
	rm -f "$out/key"
	say "building QEMU $(cat "$out/source/VERSION") with the device smmuv3-accel$(
		[ -e "$out/build/qemu-system-aarch64" ] || echo " (4 minutes on 2 cores)")"
	"$TOP_DIR/tools/qemu/apply.sh" "$out/source" >&2
	perl "$out/source/scripts/checkpatch.pl" --no-tree --terse -f "$TOP_DIR"/tools/qemu/*.[ch] >"$out/style" ||
		{ cat "$out/style" >&2; die "the device does not have QEMU's style"; }
	(
		export PYTHONPATH=$CACHE/qemu-deps/meson/usr/lib/python3/dist-packages
		export PKG_CONFIG=/usr/bin/pkg-config PKG_CONFIG_SYSROOT_DIR=$CACHE/qemu-deps/arm64
		export PKG_CONFIG_LIBDIR=$PKG_CONFIG_SYSROOT_DIR/usr/lib/aarch64-linux-gnu/pkgconfig
		if [ "$(cat "$out/configured" 2>/dev/null)" != "$(declare -f configure_qemu | sha256sum)" ]; then
			configure_qemu "$out/source" "$out/build"
			declare -f configure_qemu | sha256sum >"$out/configured"
		fi
		logged "$CACHE/log/$(basename "$out").log" ninja -C "$out/build" qemu-system-aarch64 ||
			die "QEMU did not build"
	)
	aarch64-linux-gnu-strip -o "$out/stripped" "$out/build/qemu-system-aarch64"
	mv "$out/stripped" "$out/qemu-system-aarch64"
	cp "$out/source/VERSION" "$out/version"
	printf '%s\n' "$key" >"$out/key"
}

# Programs for Debian's kernels as guests, as a tar: they are too large for an initramfs.
setup_guest_tools() {
	local tree=$CACHE/guest-tools.tmp
	[ ! -r "$CACHE/guest-tools/tools.tar" ] || return 0
	say "fetching fio and kexec for arm64 (about 50 MB)"
	need_space 600
	(
		private_apt guest-trixie arm64 trixie
		rm -rf "$tree"
		private_unpack "$tree/packages" trixie fio kexec-tools
	)
	mkdir "$tree/out"
	copy_programs "$tree/packages" "$tree/tools" "$tree/packages/usr/bin/fio" \
		"$tree/packages/usr/sbin/kexec"
	tar -C "$tree" --owner=0 --group=0 -cf "$tree/out/tools.tar" tools
	publish "$tree/out" "$CACHE/guest-tools"
	rm -rf "$tree"
}

# One of Debian's kernels for a guest, with modules for NVMe and virtio disks, and for a
# device that only needs to have a driver. From 7.2 on the package linux-image-* has no
# files of its own. $1: suite, $2: suffix of the metapackage, such as -16k
setup_guest_kernel() {
	local out=$CACHE/guest-$1$2 tree=$CACHE/guest-$1$2.tmp modules="nvme pci-stub virtio_blk"
	[ "$(cat "$out/modules" 2>/dev/null)" != "$modules" ] || return 0
	say "fetching the kernel of Debian's $1${2:+, }${2#-} (about 100 MB)"
	need_space 1000
	rm -rf "$tree"
	mkdir -p "$tree"/{root,small,out}
	(
		local image
		private_apt "guest-$1" arm64 "$1"
		cd "$tree"
		image=$(depends "linux-image-arm64$2" image)
		[ -n "$image" ] || die "the mirror has no linux-image-arm64$2 in $1"
		# shellcheck disable=SC2046 # several words
		logged "$CACHE/log/guest-$1$2.log" verified_apt download "$image" $(depends "$image" 'binary\|modules') ||
			die "cannot fetch $image: is there a network?"
	)
	# shellcheck disable=SC2086 # several words
	unpack_guest_kernel "$tree" $modules
	echo "$modules" >"$tree/out/modules"
	publish "$tree/out" "$out"
	rm -rf "$tree"
}

# Print the packages "linux-KIND-VERSION" that package $1 depends on. $2: the kinds
depends() { apt-cache depends "$1" | sed -n "s/^ *Depends: \(linux-\($2\)-[0-9].*\)/\1/p"; }

# $1: the folder with the packages, rest: modules that it must have
unpack_guest_kernel() {
	local tree=$1 root=$1/root small=$1/small deb version image module path
	shift
	for deb in "$tree"/*.deb; do
		dpkg-deb -x "$deb" "$root" || die "$deb is damaged; start again"
	done
	[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
	version=$(basename "$root"/lib/modules/*)
	image=$root/boot/vmlinuz-$version
	[ -e "$image" ] || image=$root/lib/modules/$version/vmlinuz
	# It warns if lists of built-in modules are missing.
	depmod -b "$root" "$version" 2>"$tree/errors"
	# nvme of 6.1 finds that its CRC is missing only when it is loaded.
	for module in "$@" crc64_rocksoft_generic; do
		modprobe -d "$root" -S "$version" --show-depends "$module" || true
	done 2>>"$tree/errors" | sed -n "s|^insmod $root/*||p" | while read -r path; do
		mkdir -p "$small/$(dirname "$path")"
		cp "$root/$path" "$small/$(dirname "$path")"
	done
	find "$small" -name '*.xz' -exec xz -d {} +
	depmod -b "$small" "$version" 2>>"$tree/errors"
	for module; do
		[ -n "$(find "$small" -name "$module.ko")" ] || die "Linux $version has no module $module"
	done
	(cd "$small" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$tree/out/modules.cpio.gz"
	cp "$image" "$tree/out/Image"
	echo "$version" >"$tree/out/version"
}

setup_busybox() {
	[ ! -x "$CACHE/busybox/bin/busybox" ] || return 0
	say "fetching busybox for arm64"
	(
		private_apt busybox arm64 trixie
		rm -rf "$CACHE/busybox.tmp"
		private_unpack "$CACHE/busybox.tmp" trixie busybox-static
	)
	if [ ! -e "$CACHE/busybox.tmp/bin/busybox" ]; then
		mkdir -p "$CACHE/busybox.tmp/bin"
		mv "$CACHE/busybox.tmp/usr/bin/busybox" "$CACHE/busybox.tmp/bin/"
	fi
	publish "$CACHE/busybox.tmp" "$CACHE/busybox"
}

# What the reference VMM is linked with
setup_vmm_libs() {
	local tree=$CACHE/vmm-libs.tree deb
	[ ! -r "$CACHE/vmm-libs/lib/libfdt.a" ] || return 0
	say "fetching libfdt, zlib and libzstd for arm64"
	(
		private_apt vmm-libs arm64 trixie
		rm -rf "$tree" "$CACHE/vmm-libs.tmp"
		mkdir -p "$tree"
		cd "$tree"
		logged "$CACHE/log/vmm-libs.log" verified_apt download libfdt-dev zlib1g-dev libzstd-dev ||
			die "cannot fetch the libraries of the VMM: is there a network?"
		for deb in *.deb; do
			dpkg-deb -x "$deb" . || die "$deb is damaged; start again"
		done
	)
	mkdir -p "$CACHE/vmm-libs.tmp"/{include,lib}
	find "$tree/usr/include" -name '*.h' -exec cp -t "$CACHE/vmm-libs.tmp/include" {} +
	find "$tree/usr/lib" -name '*.a' -exec cp -t "$CACHE/vmm-libs.tmp/lib" {} +
	rm -rf "$tree"
	publish "$CACHE/vmm-libs.tmp" "$CACHE/vmm-libs"
}

# debootstrap's first stage. $1: the root to make, $2: packages that it has, too
debootstrap_arm64() {
	host_packages debootstrap debian-archive-keyring gpgv
	logged "$CACHE/log/debootstrap.log" as_root debootstrap --foreign --arch=arm64 --variant=minbase \
		--keyring="$KEYRING" --force-check-gpg --include="$2" trixie "$1" "$(debian_mirror)" ||
		die "debootstrap failed"
}

# A disk with Debian as a guest has it: systemd, a stock kernel, and the initramfs that
# Debian's own tools make. debootstrap's second stage runs in QEMU with that kernel.
setup_debian_root() {
	local tree=$CACHE/debian-root.tmp version
	host_packages e2fsprogs
	[ ! -r "$CACHE/debian-root/initrd" ] || return 0
	say "installing Debian for arm64 on a disk (about 150 MB to fetch, 8 minutes on 2 cores)"
	need_space 3000
	as_root rm -rf "$tree"
	mkdir -p "$tree"/{root,small,out,initramfs/{bin,dev,proc,sys,mnt}}
	debootstrap_arm64 "$tree/debian" linux-image-arm64,initramfs-tools,zstd,systemd-sysv,udev,kmod,dbus,libpam-systemd
	cp "$tree"/debian/var/cache/apt/archives/linux-image-[0-9]*.deb "$tree"
	truncate -s 2G "$tree/out/disk"
	as_root mke2fs -q -F -t ext4 -L root -d "$tree/debian" "$tree/out/disk" || die "cannot make a disk of Debian"
	as_root rm -rf "$tree/debian"
	unpack_guest_kernel "$tree" nvme ext4
	cp "$CACHE/busybox/bin/busybox" "$tree/initramfs/bin/"
	install -m 755 "$VM_DIR/second-stage" "$tree/initramfs/init"
	(cd "$tree/initramfs" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1) |
		cat - "$tree/out/modules.cpio.gz" >"$tree/initrd"
	second_stage "$tree"
	version=$(cat "$tree/out/version")
	rm "$tree/out"/{Image,modules.cpio.gz}
	debugfs -R "dump /boot/vmlinuz-$version $tree/out/vmlinuz" "$tree/out/disk" 2>/dev/null
	debugfs -R "dump /boot/initrd.img-$version $tree/out/initrd" "$tree/out/disk" 2>/dev/null
	[ -s "$tree/out/vmlinuz" ] && [ -s "$tree/out/initrd" ] || die "Debian has made no initramfs for Linux $version"
	publish "$tree/out" "$CACHE/debian-root"
	rm -rf "$tree"
}

# debootstrap's second stage. The disk is made again if this machine fails meanwhile, so
# QEMU need not write it out (cache=unsafe). $1: the folder of setup_debian_root
second_stage() {
	logged "$CACHE/log/debian-root.log" qemu_from "$CACHE/qemu" -M virt,gic-version=3 -cpu neoverse-n1 -smp 2 \
		-m 2G -nodefaults -no-reboot -display none -monitor none -serial stdio \
		-kernel "$1/out/Image" -initrd "$1/initrd" -append "console=ttyAMA0 panic=-1" \
		-drive "file=${1//,/,,}/out/disk,if=none,id=disk,format=raw,cache=unsafe" -device nvme,drive=disk,serial=root
	grep -q '^second-stage: done' "$CACHE/log/debian-root.log" ||
		die "the second stage of debootstrap failed: see $CACHE/log/debian-root.log"
}

# Debian after debootstrap's first stage. The emulated host runs the second.
setup_debian_arm64() {
	local tree=$CACHE/debian-arm64.tmp
	[ ! -r "$CACHE/debian-arm64/root.tar" ] || return 0
	say "fetching Debian for arm64 (about 100 MB)"
	need_space 2000
	as_root rm -rf "$tree"
	mkdir -p "$tree"
	debootstrap_arm64 "$tree/root" dkms,gcc,libc6-dev,udev
	as_root tar -C "$tree/root" -cf - . >"$tree/root.tar" || die "cannot pack Debian"
	as_root rm -rf "$tree/root"
	publish "$tree" "$CACHE/debian-arm64"
}

setup_linux_source() {
	local name
	[ ! -r "$CACHE/linux/Makefile" ] || return 0
	need_space 6000
	say "fetching the kernel source (about 160 MB)"
	(
		private_apt linux amd64 trixie trixie-backports
		name=$(apt-cache search --names-only '^linux-source-7\.[0-9]+$' |
			awk '{ print $1 }' | sort -V | tail -n 1)
		[ -n "$name" ] || die "the mirror has no linux-source-7.x"
		cd "$CACHE/apt/linux"
		rm -f ./*.deb
		logged "$CACHE/log/linux-source.log" verified_apt download "$name/trixie-backports" ||
			die "cannot fetch $name: is there a network?"
		say "unpacking $name"
		rm -rf "$CACHE/linux.tmp"
		mkdir "$CACHE/linux.tmp"
		dpkg-deb --fsys-tarfile ./*.deb |
			tar -xO "./usr/src/$name.tar.xz" |
			tar -xJ -C "$CACHE/linux.tmp" --strip-components=1 ||
			die "cannot unpack $name; start again"
		rm -f ./*.deb
	)
	publish "$CACHE/linux.tmp" "$CACHE/linux"
}

# The source of a series beside the newest. $1: series
setup_series_source() {
	local file dir=$CACHE/linux-$1.tmp
	[ ! -r "$CACHE/linux-$1/Makefile" ] || return 0
	need_space 6000
	say "fetching the source of Linux $1 (about 160 MB)"
	rm -rf "$dir"
	mkdir -p "$dir"/{fetched,tree}
	kernels_apt
	file=$(kernel_source "$1" "$dir/fetched")
	if [ -z "$file" ]; then
		rm -rf "$dir"
		echo "the mirror has no source of Linux $1" >&2
		exit 4
	fi
	say "unpacking $file"
	unpack_kernel "$dir/fetched/$file" "$dir/tree"
	publish "$dir/tree" "$CACHE/linux-$1"
	rm -rf "$dir"
}

# $1: base, the name of the config on top of that, or a series of kernels. The key has
# all that the build depends on. An interrupted build continues.
setup_kernel() {
	local out=$CACHE/kernel-$1 key version source=$CACHE/linux fragments=("$VM_DIR/config/base.config")
	local images=(Image)
	case $1 in
	base) ;;
	*.*) fragments+=("$VM_DIR/config/series.config") ;;
	*) fragments+=("$VM_DIR/config/$1.config") ;;
	esac
	key=$(cat "${fragments[@]}" | sha256sum | cut -c1-16)
	if [[ $1 = *.* ]]; then
		setup_series_source "$1"
		source=$CACHE/linux-$1
		version=$(make -s -C "$source" kernelversion)
		key+=-$version
	fi
	if [ "$(cat "$out/key" 2>/dev/null)" = "$key" ]; then
		return 0
	fi
	setup_linux_source
	version=${version:-$(make -s -C "$source" kernelversion)}
	say "building the $1 kernel ($version, $([[ $1 = @(debug|kcsan) ]] && echo 20 || echo 8) minutes on 2 cores)"
	need_space 4000
	mkdir -p "$out"
	rm -f "$out/key"
	kmake "$source" "$out" -s tinyconfig
	(cd "$source" && ARCH=arm64 scripts/kconfig/merge_config.sh -m -Q -O "$out" \
		"$out/.config" "${fragments[@]}" >/dev/null)
	kmake "$source" "$out" -s olddefconfig
	check_config "$out/.config" "${fragments[@]}"
	! grep -qx CONFIG_EFI_ZBOOT=y "$out/.config" || images+=(vmlinuz.efi)
	logged "$CACHE/log/kernel-$1.log" kmake "$source" "$out" -j"$(nproc)" "${images[@]}" modules headers ||
		die "the $1 kernel did not build"
	printf '%s\n' "$key" >"$out/key"
}

# $1: source, $2: output, rest: for make
kmake() {
	make -C "$1" O="$2" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- "${@:3}"
}

# Check for options that Kconfig dropped, which nobody would miss until much later.
check_config() {
	local config=$1 want lost=()
	shift
	while read -r want; do
		grep -qxF "$want" "$config" || lost+=("$want")
	done < <(cat "$@" | grep '^CONFIG_.*=' | tac | awk -F= '!seen[$1]++')
	((${#lost[@]} == 0)) || die "the kernel does not take: ${lost[*]}"
}

main() {
	local part
	cache_lock
	for part in "${@:-default}"; do
		case $part in
		toolchain) setup_toolchain ;;
		checkers) setup_checkers ;;
		bench) host_packages gnuplot-nox ;;
		clang) host_packages clang-19 lld-19 llvm-19 ;;
		docs) host_packages python3-sphinx python3-sphinx-rtd-theme; setup_linux_source ;;
		packaging) host_packages debhelper dh-dkms dpkg-dev lintian pkgconf ;;
		qemu) setup_qemu ;;
		qemu-arm64) setup_toolchain; setup_qemu_arm64 ;;
		qemu-accel) setup_toolchain; setup_qemu_accel '' ;;
		qemu-accel-[0-9]*.[0-9]*)
			[[ $part =~ ^qemu-accel-[0-9]+\.[0-9]+$ ]] || die "unknown part '$part'"
			setup_toolchain; setup_qemu_accel "${part#qemu-accel-}" ;;
		busybox) setup_busybox ;;
		vmm-libs) setup_vmm_libs ;;
		kernel) setup_toolchain; setup_kernel base ;;
		kernel-64k | kernel-debian | kernel-debug | kernel-gcov | kernel-kcsan | kernel-sriov)
			setup_toolchain; setup_kernel "${part#kernel-}" ;;
		kernel-[0-9]*.[0-9]*)
			[[ $part =~ ^kernel-[0-9]+\.[0-9]+$ ]] || die "unknown part '$part'"
			setup_toolchain; setup_kernel "${part#kernel-}" ;;
		debian-arm64) setup_debian_arm64 ;;
		rust) setup_toolchain; setup_rust ;;
		debian-root) setup_toolchain; setup_qemu; setup_busybox; setup_debian_root ;;
		guest-tools) setup_toolchain; setup_guest_tools ;;
		guest-*-16k) setup_toolchain; part=${part%-16k}; setup_guest_kernel "${part#guest-}" -16k ;;
		guest-*) setup_toolchain; setup_guest_kernel "${part#guest-}" '' ;;
		default) setup_toolchain; setup_qemu; setup_busybox; setup_vmm_libs; setup_kernel base ;;
		*) die "unknown part '$part'" ;;
		esac
	done
}

main "$@"
