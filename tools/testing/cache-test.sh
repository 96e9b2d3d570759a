#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Users, and root, run what the make targets fetch and build. So nobody else can
# change it in the cache, and all that is fetched has a signature by Debian's keys.
# This test prints what is wrong, and nothing if all is well. It needs no network and
# no root. It also checks that a missing source of a kernel or of QEMU is told from a
# failure.

set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/vm"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# Work in a folder that nobody else can write to, even if TMPDIR is not one.
home=$work/home
mkdir "$home"
wrong() { echo "$*"; exit 1; }

# Run commands with lib.sh. $1: the folder above the cache, $2: the commands
with_lib() {
	# shellcheck disable=SC2016 # expanded there
	XDG_CACHE_HOME=$1 bash -c '. ./lib.sh; eval "$1"' test "$2" >"$work/said" 2>&1
}

# $1: what is wrong with it, $2: XDG_CACHE_HOME, $3: a word of the refusal, $4: the
# user who runs this, if that is somebody else
refused() {
	! with_lib "$2" "${4:+cache_check $4; }cache_lock" || wrong "not refused: $1"
	[ "$(wc -l <"$work/said")" = 1 ] && grep -q -- "$3.*XDG_CACHE_HOME" "$work/said" ||
		wrong "refused, but not in one clear line: $1: $(cat "$work/said")"
}

accepted() { with_lib "$2" cache_lock || wrong "refused: $1: $(cat "$work/said")"; }

# $1: folder, $2: what its mode has to be
mode_is() { [ "$(stat -c %a "$1")" = "$2" ] || wrong "$1 has mode $(stat -c %a "$1"), not $2"; }

# Only the owner can use a new cache, even if the umask is 0.
# shellcheck disable=SC2016 # expanded there
test_new_cache() {
	(umask 0; with_lib "$home/new/deep" 'cache_lock; : >"$CACHE/made"') || wrong "$(cat "$work/said")"
	mode_is "$home/new" 700
	mode_is "$home/new/deep/smmuv3-accel" 700
	mode_is "$home/new/deep/smmuv3-accel/made" 644
}

test_old_cache() {
	mkdir -p "$home/old/smmuv3-accel/linux"
	chmod 755 "$home/old/smmuv3-accel"
	accepted "a cache that others can read" "$home/old"
	mode_is "$home/old/smmuv3-accel" 700
	# Root can give the cache to another user. Others pretend to be another user.
	if [ "$(id -u)" = 0 ]; then
		chown 4711 "$home/old/smmuv3-accel"
		refused "root in a user's cache" "$home/old" 'belongs to'
		chown 0 "$home/old/smmuv3-accel"
		chown 4711 "$home/old"
		refused "root in a user's folder" "$home/old" 'belongs to'
		chown 0 "$home/old"
	else
		refused "a cache of another user's" "$home/old" 'belongs to' $(($(id -u) + 4711))
	fi
	chmod 770 "$home/old/smmuv3-accel"
	refused "a cache that a group can write to" "$home/old" 'others can write'
	chmod 1777 "$home/old/smmuv3-accel"
	refused "a cache that all can write to" "$home/old" 'others can write'
	chmod 700 "$home/old/smmuv3-accel"
	chmod 777 "$home/old/smmuv3-accel/linux"
	refused "a cache with a folder that all can write to" "$home/old" 'others can write'
}

test_parents() {
	mkdir -p "$home/open/cache" "$home/sticky/cache" "$home/real"
	chmod 777 "$home/open"
	chmod 1777 "$home/sticky"
	refused "a cache in a folder that all can write to" "$home/open/cache" "write to $home/open "
	[ ! -e "$home/open/cache/smmuv3-accel" ] || wrong "made a cache before it was refused"
	accepted "a cache in a sticky folder" "$home/sticky/cache"
	ln -s ../home/real "$home/link"
	accepted "a cache by way of a link" "$home/link"
	ln -s "$home/open/cache" "$home/bad"
	refused "a link to a folder in one that all can write to" "$home/bad" "write to $home/open "
	ln -s "$home/real" "$home/open/link"
	ln -s open/link "$home/twice"
	refused "a link in a folder that all can write to" "$home/twice" "write to $home/open "
	refused "a cache without an absolute path" "relative" 'no absolute path'
}

# make runs the kernels' makefiles from the cache.
test_make() {
	! XDG_CACHE_HOME=$home/open/cache make -s -C ../../.. vm-base >"$work/said" 2>&1 ||
		wrong "make does not refuse a cache that others can write to"
	grep -q 'others can write' "$work/said" || wrong "make: $(cat "$work/said")"
}

# An unsigned archive on a machine whose configuration accepts that
test_unsigned_lists() {
	mkdir -p "$work/mirror/dists/sid/main/binary-amd64" "$work/bin"
	(
		cd "$work/mirror/dists/sid"
		packages=main/binary-amd64/Packages
		printf 'Package: %s\nVersion: 1\nArchitecture: all\nFilename: x.deb\nSize: 1\n' evil >"$packages"
		printf 'Suite: sid\nCodename: sid\nComponents: main\nArchitectures: amd64\nDate: %s\nSHA256:\n %s %s %s\n' \
			"$(date -Ru)" "$(sha256sum <"$packages" | cut -d' ' -f1)" "$(stat -c %s "$packages")" "$packages" >Release
	)
	cat >"$work/bin/apt-get" <<-'APT'
		#!/bin/sh
		exec /usr/bin/apt-get -o Acquire::AllowInsecureRepositories=1 -o APT::Get::AllowUnauthenticated=1 "$@"
	APT
	chmod 755 "$work/bin/apt-get"
	! PATH=$work/bin:$PATH with_lib "$home/new/deep" "
		host_packages() { :; }
		debian_mirror() { echo 'copy:$work/mirror'; }
		private_apt unsigned amd64 sid" || wrong "the lists of an archive without a signature were taken"
	grep -qi 'not signed' "$work/said" || wrong "unsigned lists: $(cat "$work/said")"
}

# debootstrap accepts unsigned archives unless an option forbids that.
test_debootstrap() {
	local stub
	mkdir -p "$work/stubs" "$home/boot/smmuv3-accel"
	for stub in debootstrap sudo dpkg-query df apt-get; do
		install -m 755 ../cache-test-stub.sh "$work/stubs/$stub"
	done
	! PATH=$work/stubs:$PATH STUB_ARGUMENTS=$work/arguments XDG_CACHE_HOME=$home/boot \
		./setup.sh debian-arm64 >"$work/said" 2>&1 || wrong "debootstrap failed, setup.sh did not"
	grep -q -- '--keyring=/usr/share/keyrings/debian-archive-keyring\.' "$work/arguments" &&
		grep -q -- '--force-check-gpg' "$work/arguments" ||
		wrong "debootstrap does not have to check signatures: $(cat "$work/arguments" "$work/said")"
}

# A mirror with the package linux-source-9.9 and the source packages linux and qemu, whose
# lists name versions that the mirror does not have. Sets "server", and APT_CONFIG for it.
start_mirror() {
	local port='' tries
	mkdir -p "$home/sources" "$work/pool" "$work/apt"/{lists/partial,cache/archives/partial}
	(
		cd "$work/pool"
		echo deb >linux-source-9.9_1_all.deb
		echo tar >linux_9.9.1.orig.tar.xz
		for version in 1 2; do
			printf 'Package: linux-source-9.9\nVersion: %s\nArchitecture: all\nFilename: ./%s\nSize: 4\nSHA256: %s\n\n' \
				"$version" "linux-source-9.9_${version}_all.deb" "$(sha256sum <linux-source-9.9_1_all.deb | cut -d' ' -f1)"
		done >Packages
		printf 'Package: linux\nVersion: 9.9.1-1\nDirectory: .\nFormat: 3.0 (quilt)\nChecksums-Sha256:\n %s 4 %s\n' \
			"$(sha256sum <linux_9.9.1.orig.tar.xz | cut -d' ' -f1)" linux_9.9.1.orig.tar.xz >Sources
		for version in 9.8.10 9.8.9 9.10.1 10.9.8; do
			printf '\nPackage: qemu\nVersion: 1:%s+ds-1\nDirectory: .\nFormat: 3.0 (quilt)\nChecksums-Sha256:\n %s 4 %s\n' \
				"$version" "$(sha256sum <linux_9.9.1.orig.tar.xz | cut -d' ' -f1)" "qemu_$version+ds.orig.tar.xz"
		done >>Sources
		echo tar | tee qemu_9.{8.9,8.10,10.1}+ds.orig.tar.xz >/dev/null
	)
	: >"$work/server"
	python3 -u -m http.server --bind 127.0.0.1 --directory "$work/pool" 0 >>"$work/server" 2>/dev/null &
	server=$!
	trap 'kill "$server"' EXIT
	for tries in {1..300}; do
		port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/server")
		[ -z "$port" ] || break
		sleep 0.1
	done
	[ -n "$port" ] || wrong "no server for a mirror after $tries tries"
	printf 'deb%s [arch=amd64 trusted=yes] http://127.0.0.1:%s ./\n' '' "$port" -src "$port" >"$work/apt/sources.list"
	: >"$work/apt/status"
	cat >"$work/apt/conf" <<-CONF
		Dir::State "$work/apt";
		Dir::State::status "$work/apt/status";
		Dir::Cache "$work/apt/cache";
		Dir::Etc::sourcelist "$work/apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "$(id -un)";
		Acquire::Retries "0";
		Acquire::http::Proxy::127.0.0.1 "DIRECT";
	CONF
	export APT_CONFIG=$work/apt/conf
	apt-get update >"$work/said" 2>&1 || wrong "no lists of a mirror: $(cat "$work/said")"
}

# $1: what the mirror is like, $2: what kernel_source has to print
source_is() {
	# shellcheck disable=SC2016 # expanded there
	with_lib "$home/sources" 'kernel_source 9.9 "$(mktemp -d)"' && [ "$(cat "$work/said")" = "$2" ] ||
		wrong "source of a kernel, $1: $(cat "$work/said")"
}
source_fails() { # $1: what the mirror is like
	# shellcheck disable=SC2016 # expanded there
	! with_lib "$home/sources" 'kernel_source 9.9 "$(mktemp -d)"' && grep -q 'is there a network' "$work/said" ||
		wrong "source of a kernel, $1: not a failure: $(cat "$work/said")"
}

# What setup.sh does for QEMU. $1: a series, or nothing, $2: the file, if there is one
qemu_source_is() {
	local there
	rm -rf "$home/fetch"
	mkdir "$home/fetch"
	sed '$d' setup.sh >"$work/setup.sh"	# without the call of main
	# shellcheck disable=SC2016 # expanded there
	with_lib "$home/sources" "eval \"\$(sed '/^\. .*lib.sh/d' '$work/setup.sh')\"
		private_apt() { :; }; need_space() { :; }; tar() { echo \"unpack \${!#}\"; exit 1; }
		setup_qemu_source '$1' '$home/fetch/source'" || true
	there=$(sed -n 's/^unpack //p' "$work/said")
	[ "$there" = "$2" ] || wrong "source of QEMU $1: '$there', not '$2': $(cat "$work/said")"
}

# shellcheck disable=SC2016 # expanded there
test_sources() {
	local server
	export TMPDIR=$work
	start_mirror
	qemu_source_is '' qemu_9.10.1+ds.orig.tar.xz
	grep -q 'the lists have QEMU 1:10.9.8+ds-1, but' "$work/said" || wrong "QEMU's newest: $(cat "$work/said")"
	qemu_source_is 9.8 qemu_9.8.10+ds.orig.tar.xz
	! grep -q 'the lists have' "$work/said" || wrong "QEMU's newest of a series: $(cat "$work/said")"
	qemu_source_is 10.9 ''
	grep -q 'the mirror has no source of QEMU 10.9' "$work/said" || wrong "QEMU without a source: $(cat "$work/said")"
	qemu_source_is 9.1 ''
	source_is "the newest is gone" linux-source-9.9_1_all.deb
	rm "$work/pool/linux-source-9.9_1_all.deb"
	source_is "all packages are gone" linux_9.9.1.orig.tar.xz
	echo bad >"$work/pool/linux_9.9.1.orig.tar.xz"
	source_fails "the archive is damaged"
	rm "$work/pool/linux_9.9.1.orig.tar.xz"
	source_is "the archive is gone" ''
	kill "$server"
	wait "$server" || true
	trap - EXIT
	source_fails "the server is gone"
	with_lib "$home/sources" 'apt-cache() { printf "Version: %s-1\n" 6.17.8 7.1~rc2 7.1.3 6.12.4; }
		echo $(kernel_series 6.18), $(kernel_series 7.1), $(kernel_series 7.2)' || wrong "$(cat "$work/said")"
	[ "$(cat "$work/said")" = '6.18 6.19 7.0 7.1, 7.1, 7.2' ] || wrong "the series: $(cat "$work/said")"
}

# depmod and others are in /usr/sbin.
# shellcheck disable=SC2016 # expanded there
test_path() {
	PATH=/usr/bin:/bin with_lib "$home/new/deep" '[[ $PATH: == *:/usr/sbin:/sbin: ]]' ||
		wrong "the path lacks /usr/sbin"
}

for test in new_cache old_cache parents make unsigned_lists debootstrap path sources; do
	("test_$test") || failed=1
done
exit "${failed:-0}"
