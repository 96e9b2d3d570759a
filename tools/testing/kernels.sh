#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make check-kernels: the module must compile without a warning for the kernels that
# kernels.txt marks as supported. The build must refuse the others in one sentence.
#
#   kernels.sh [SERIES]...     only kernels of these series, such as 7.2
#
# The script fetches Debian's package lists once a day.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL V

here=$(cd -- "$VM_DIR/.." && pwd)
kernels=$CACHE/kernels
options=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
# LLVM= for the kernel's make, for each compiler: empty for gcc
compilers=('' -19)

# Packages of one line of the table, "package version suite". $1: suites, $2: name.
packages() {
	local package
	apt-cache search --names-only "$2" | awk '{ print $1 }' | while read -r package; do
		apt-cache madison "$package" | tr '/|' '  ' |
			awk -v suites=",$1," '{ for (i = 3; i <= NF; i++) if (index(suites, "," $i ",")) print $1, $2, $i }' |
			sort -V | tail -n 1
	done
}

# "expected architecture package version suite" for each kernel
find_kernels() {
	local expected arch suites name list
	list=$(sed '/^#/d' "$here/kernels.txt")
	for arch in amd64 arm64; do
		suites=$(awk -v arch="$arch" '$2 == arch { print $3 }' <<<"$list" | tr , '\n' | sort -u)
		(
			# shellcheck disable=SC2086 # several words
			private_apt "kernels-$arch" "$arch" $suites
			awk -v arch="$arch" '$2 == arch' <<<"$list" | while read -r expected _ suites name; do
				packages "$suites" "$name" | sort -k 2V |
					if [ "$expected" = builds ]; then cat; else tail -n 1; fi |
					sed "s/^/$expected $arch /"
			done
		)
	done
}

# $1: folder, $2: architecture, $3: package, $4: version. Unpack a source package
# without most of the files that "make modules_prepare" does not read.
fetch() {
	local dir=$1 new=$1.new name=$3
	[ "$(cat "$dir/version" 2>/dev/null)" != "$4" ] || return 0
	need_space 2000
	say "fetching $3 $4"
	rm -rf "$new"
	mkdir -p "$new/tree"
	(
		cd "$new"
		export APT_CONFIG=$CACHE/apt/kernels-$2/apt.conf
		logged "$CACHE/log/kernels-fetch.log" verified_apt download "$3=$4"
	) || die "cannot fetch $3 $4: is there a network?"
	case $name in
	linux-source-*)
		dpkg-deb --fsys-tarfile "$new"/*.deb |
			tar -xO "./usr/src/$name.tar.xz" |
			tar -xJ -C "$new/tree" --strip-components=1 --wildcards \
				--exclude="$name/"{drivers,fs,net,sound}'/*.[chS]' \
				--exclude="$name/Documentation/*."{rst,yaml,svg,txt} \
				--exclude="$name/arch/*.dts*" --exclude="$name/tools/"{perf,testing}
		;;
	*)
		dpkg-deb --fsys-tarfile "$new"/*.deb |
			tar -x -C "$new/tree" --strip-components=4 --wildcards './usr/src/linux-headers-*/*'
		;;
	esac || die "cannot unpack $3 $4"
	rm "$new"/*.deb
	printf '%s\n' "$4" >"$new/version"
	publish "$new" "$dir"
}

# $1: source, $2: output, $3: compiler
prepare() {
	local fragment=$here/vm/config/base.config key make=(make -C "$1" O="$2" "${options[@]}" LLVM="$3")
	key=$(sha256sum <"$fragment" | cut -c1-16)
	[ "$(cat "$2/key" 2>/dev/null)" != "$key" ] || return 0
	say "configuring Linux $(make -s -C "$1" kernelversion) for ${3:+clang}${3:-gcc}"
	rm -rf "$2"
	mkdir -p "$2"
	"${make[@]}" -s tinyconfig
	(cd "$1" && ARCH=arm64 scripts/kconfig/merge_config.sh -m -Q -O "$2" "$2/.config" "$fragment" >/dev/null)
	"${make[@]}" -s olddefconfig
	logged "$CACHE/log/kernels-prepare.log" "${make[@]}" -j"$(nproc)" modules_prepare
	printf '%s\n' "$key" >"$2/key"
}

# There is no vmlinux, so modpost may warn about missing symbols. Any other warning by
# modpost or the compiler is a failure.
compile() { # $1: kernel's output, $2: ours, $3: compiler
	local module
	rm -rf "$2"
	make -C "$1" M="$TOP_DIR" MO="$TOP_DIR/$2" "${options[@]}" LLVM="$3" CONFIG_SMMUV3_ACCEL=m \
		CONFIG_SMMUV3_ACCEL_KUNIT_TEST=m W=1 KBUILD_MODPOST_WARN=1 -j"$(nproc)" modules >"$work/make" 2>&1 ||
		echo "make failed with status $?"
	sed '/^  [A-Z]/d; /^make.* directory /d; /^WARNING: .*Module.symvers is missing/,/^ .* at your own risk/d
		/^WARNING: modpost: .* undefined!$/d
		/^WARNING: modpost: suppressed [0-9]* unresolved symbol warnings/d' "$work/make"
	for module in smmuv3-accel smmuv3-accel-test; do
		[ -e "$2/drivers/iommu/smmuv3-accel/$module.ko" ] || echo "$module.ko was not made"
	done
}

builds() {
	local dir=$kernels/$1 tree=$kernels/$1/tree compiler
	# The emulated host's kernel may be one of them.
	if [ "$(make -s -C "$CACHE/linux" kernelversion 2>/dev/null)" = "${2%%-*}" ]; then
		tree=$CACHE/linux
	else
		fetch "$dir" amd64 "$1" "$2"
	fi
	for compiler in "${compilers[@]}"; do
		prepare "$tree" "$dir/out$compiler" "$compiler"
		compile "$dir/out$compiler" "build/kernels/$1$compiler" "$compiler"
	done
}

refused() {
	local tree=$kernels/$1/tree
	fetch "$kernels/$1" arm64 "$1" "$2"
	if ARCH=arm64 scripts/check-kernel.sh "$tree" >"$work/said" 2>&1; then
		echo "was not refused"
	elif [ "$(wc -l <"$work/said")" = 1 ] && grep -q "^check-kernel.sh: the kernel in $tree " "$work/said"; then
		sed "s|^check-kernel.sh: the kernel in $tree|     it|" "$work/said" >&3
	else
		cat "$work/said"
	fi
}

cd "$TOP_DIR"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

"$VM_DIR/setup.sh" toolchain clang
mkdir -p "$kernels"
exec {lock}>"$kernels/lock"
flock "$lock"
found=$kernels/found-$(sha256sum <"$here/kernels.txt" | cut -c1-16)
if [ -z "$(find "$found" -mmin -1440 2>/dev/null)" ]; then
	find_kernels >"$found.new"
	mv "$found.new" "$found"
fi

count=0 failed=0
while read -r expected _ package version suite; do
	series=$(grep -o '^[0-9]*\.[0-9]*' <<<"$version")
	(($# == 0)) || [[ " $* " == *" $series "* ]] || continue
	count=$((count + 1))
	# Run it in the background, without "||", so that errors still end the
	# function.
	rc=0
	"$expected" "$package" "$version" >"$work/log" 3>"$work/why" </dev/null &
	wait $! || rc=$?
	((rc == 0)) || [ -s "$work/log" ] || echo "status $rc" >"$work/log"
	if [ -s "$work/log" ]; then
		failed=$((failed + 1))
		printf 'FAIL %s %s (%s)\n' "$package" "$version" "$suite"
		sed 's/^/    | /' "$work/log"
	else
		printf 'ok   %s %s (%s): %s\n' "$package" "$version" "$suite" "$expected"
		cat "$work/why"
	fi
done <"$found"
printf '%d kernels, %d failed\n' "$count" "$failed"
exit $((failed > 0 || count == 0))
