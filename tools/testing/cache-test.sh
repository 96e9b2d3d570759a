#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What the make targets fetch and build is run, also by root: nobody else can change
# it in the cache. Says what is wrong, and nothing if all is well. Needs no root.

set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/vm"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# A folder that nobody else can write to, whatever TMPDIR is like
home=$work/home
mkdir "$home"
wrong() { echo "$*"; exit 1; }

# What lib.sh's functions do with a cache below $1. $2: commands, run after lib.sh
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

# A cache is made for its owner alone, also by somebody without a umask.
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
	# Root can make it another user's; anybody else asks for another user.
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

for test in new_cache old_cache parents make; do
	("test_$test") || failed=1
done
exit "${failed:-0}"
