#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# make check-kernels: the module must compile without a warning for every series from
# the oldest that it supports to the newest that Debian has. The build must refuse
# Debian's own kernels, in kernels.txt, in one sentence.
#
#   kernels.sh [SERIES]...     only kernels of these series, such as 7.2
#
# gcc compiles for all series, clang for the newest and for the oldest that the mirror has.
# The last line names the series of which the mirror has no source. That is no failure, but
# it is one if the script cannot find out, or compiles for no series. The script fetches
# Debian's package lists once a day.

. "$(dirname -- "${BASH_SOURCE[0]}")/vm/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL V

here=$(cd -- "$VM_DIR/.." && pwd)
kernels=$CACHE/kernels
options=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
oldest=$(sed -n 's/^oldest=//p' "$TOP_DIR/scripts/check-kernel.sh")

# Packages of one line of the table, "package version suite". $1: suites, $2: name.
packages() {
	local package
	apt-cache search --names-only "$2" | awk '{ print $1 }' | while read -r package; do
		apt-cache madison "$package" | tr '/|' '  ' |
			awk -v suites=",$1," '{ for (i = 3; i <= NF; i++) if (index(suites, "," $i ",")) print $1, $2, $i }' |
			sort -V | tail -n 1
	done
}

# "builds SERIES VERSION" and "refused PACKAGE VERSION SUITE" for each kernel. The
# version of a series is the newest that the lists name, or missing if they name none.
find_kernels() {
	local suites name list series
	(
		kernels_apt
		for series in $(kernel_series "$oldest"); do
			printf 'builds %s %s\n' "$series" \
				"$(apt-cache showsrc linux | sed -n "s/^Version: \(${series//./\\.}[.~-].*\)/\1/p" |
					sort -V | tail -n 1)"
		done
	)
	list=$(sed '/^#/d' "$here/kernels.txt")
	(
		# shellcheck disable=SC2046 # several words
		private_apt kernels-arm64 arm64 $(awk '{ print $1 }' <<<"$list" | tr , '\n' | sort -u)
		while read -r suites name; do
			packages "$suites" "$name" | sort -k 2V | tail -n 1 | sed 's/^/refused /'
		done <<<"$list"
	)
}

# Print what "make modules_prepare" does not read in a kernel source.
unread() {
	printf '%s\n' {drivers,fs,net,sound}'/*.[chS]' 'Documentation/*.'{rst,yaml,svg,txt} 'arch/*.dts*' \
		tools/{perf,testing}
}

# Fetch the source of a series. $1: folder, $2: series, $3: its newest version. Makes
# "missing" if the mirror has none.
fetch_series() {
	local dir=$1 new=$1.new file patterns
	[ "$(cat "$dir/version" 2>/dev/null)" != "$3" ] || return 0
	need_space 2000
	say "fetching the source of Linux $2"
	rm -rf "$new"
	mkdir -p "$new"/{fetched,tree}
	file=$(APT_CONFIG=$CACHE/apt/linux-series/apt.conf kernel_source "$2" "$new/fetched")
	if [ -z "$file" ]; then
		rm -rf "$new"
		: >"$work/missing"
		return
	fi
	mapfile -t patterns < <(unread)
	unpack_kernel "$new/fetched/$file" "$new/tree" "${patterns[@]}"
	printf '%s\n' "$3" >"$new/version"
	publish "$new" "$dir"
}

# Fetch a headers package. $1: folder, $2: package, $3: version
fetch_headers() {
	local dir=$1 new=$1.new
	[ "$(cat "$dir/version" 2>/dev/null)" != "$3" ] || return 0
	need_space 2000
	say "fetching $2 $3"
	rm -rf "$new"
	mkdir -p "$new/tree"
	(
		cd "$new"
		APT_CONFIG=$CACHE/apt/kernels-arm64/apt.conf logged "$CACHE/log/kernels-fetch.log" \
			verified_apt download "$2=$3"
	) || die "cannot fetch $2 $3: is there a network?"
	dpkg-deb --fsys-tarfile "$new"/*.deb |
		tar -x -C "$new/tree" --strip-components=4 --wildcards './usr/src/linux-headers-*/*' ||
		die "cannot unpack $2 $3"
	rm "$new"/*.deb
	printf '%s\n' "$3" >"$new/version"
	publish "$new" "$dir"
}

# Print the version of a kernel source. $1: folder
source_version() { make -s -C "$1" kernelversion 2>/dev/null || true; }

# $1: source, $2: output, $3: compiler
prepare() {
	local fragment=$here/vm/config/base.config key make=(make -C "$1" O="$2" "${options[@]}" LLVM="$3")
	key=$({ cat "$fragment"; echo "$1 $(source_version "$1")"; } | sha256sum | cut -c1-16)
	[ "$(cat "$2/key" 2>/dev/null)" != "$key" ] || return 0
	say "configuring Linux $(source_version "$1") for ${3:+clang}${3:-gcc}"
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

# $1: series, $2: its newest version, or nothing if the lists name none
builds() {
	local dir=$kernels/linux-$1 tree=$kernels/linux-$1/tree compilers=('') compiler shared
	if [ -z "$2" ]; then
		: >"$work/missing"
		return
	fi
	# An emulated host's kernel may be this version.
	for shared in "$CACHE/linux" "$CACHE/linux-$1"; do
		[ "$(source_version "$shared")" != "${2%%[-~]*}" ] || tree=$shared
	done
	# Not in a condition, so that errors end this function.
	[ "$tree" != "$dir/tree" ] || fetch_series "$dir" "$1" "$2"
	[ ! -e "$work/missing" ] || return 0
	printf '     Linux %s\n' "$(source_version "$tree")" >&3
	mkdir -p "$dir"
	if [[ ! -e $work/clang || $1 == "$newest" ]]; then
		compilers+=(-19)
		: >"$work/clang"
	fi
	for compiler in "${compilers[@]}"; do
		prepare "$tree" "$dir/out$compiler" "$compiler"
		compile "$dir/out$compiler" "build/kernels/$1$compiler" "$compiler"
	done
	: >"$work/compiled"
}

# $1: package, $2: version
refused() {
	local tree=$kernels/$1/tree
	fetch_headers "$kernels/$1" "$1" "$2"
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
found=$kernels/found-$({ cat "$here/kernels.sh" "$here/kernels.txt"; echo "$oldest"; } | sha256sum | cut -c1-16)
if [ -z "$(find "$found" -mmin -1440 2>/dev/null)" ]; then
	find_kernels >"$found.new"
	mv "$found.new" "$found"
fi

newest=$(awk '$1 == "builds" { print $2 }' "$found" | tail -n 1)

count=0 failed=0 absent=''
while read -r expected name version suite; do
	case $expected in
	builds) series=$name title="linux $name" ;;
	*) series=$(grep -o '^[0-9]*\.[0-9]*' <<<"$version") title="$name $version ($suite)" ;;
	esac
	(($# == 0)) || [[ " $* " == *" $series "* ]] || continue
	# Run it in the background, without "||", so that errors still end the
	# function.
	rc=0
	"$expected" "$name" "$version" >"$work/log" 3>"$work/why" </dev/null &
	wait $! || rc=$?
	((rc == 0)) || [ -s "$work/log" ] || echo "status $rc" >"$work/log"
	if [ -e "$work/missing" ]; then
		rm "$work/missing"
		absent+="${absent:+, }$name"
		printf 'skip %s: the mirror has no source of it%s\n' "$title" "${version:+, though it lists $version}"
		continue
	fi
	count=$((count + 1))
	if [ -s "$work/log" ]; then
		failed=$((failed + 1))
		printf 'FAIL %s\n' "$title"
		sed 's/^/    | /' "$work/log"
	else
		printf 'ok   %s: %s\n' "$title" "$expected"
	fi
	cat "$work/why"
done <"$found"
printf '%d kernels, %d failed%s\n' "$count" "$failed" "${absent:+; no source of: $absent}"
((count > 0)) || [ -n "$absent" ] || die "the lists name no kernel of $*"
(($# > 0)) || [ -e "$work/compiled" ] || die "the module was compiled for no series"
exit $((failed > 0))
