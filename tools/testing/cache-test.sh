#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Users, and root, run what the make targets fetch and build. So nobody else can
# change it in the cache, and all that is fetched has a signature by Debian's keys.
# This test prints what is wrong, and nothing if all is well. It needs no network and
# no root.

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

for test in new_cache old_cache parents make unsigned_lists debootstrap; do
	("test_$test") || failed=1
done
exit "${failed:-0}"
