# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shared by the scripts of the emulated host: the cache, messages, and a private
# Debian package root, which needs neither root rights nor the machine's suite.

set -euo pipefail
export LC_ALL=C
# Debian's users have no /usr/sbin there.
export PATH=$PATH:/usr/sbin:/sbin
umask 022

VM_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the scripts that source this
TOP_DIR=$(cd -- "$VM_DIR/../../.." && pwd)
CACHE=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/smmuv3-accel

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Print TAP from a pipe as a person reads it.
pretty_tap() {
	sed -u 's/^# \(  |\)/\1/; t; s/^# /\n/; s/^ok [0-9]* - /    ok: /; s/^not ok [0-9]* - /    FAIL: /'
}

# Print why a user other than root and $2, a user's number, can change the file at $1,
# an absolute path. Print nothing if nobody else can. Parts of the path that do not
# exist are ignored. In a sticky folder, such as /tmp, only the owner of a file can
# replace it.
unsafe_path() {
	local user=$2 path='' part parts kind owner name mode target
	IFS=/ read -r -d '' -a parts < <(printf '%s\0' "${1#/}")
	for part in '' ${parts[@]+"${parts[@]}"}; do
		path=${path%/}/$part
		[ -e "$path" ] || return 0
		read -r owner name mode kind < <(stat -c '%u %U %a %F' "$path")
		case $owner in
		"$user" | 0 | "$(stat -c %u /)") ;;
		*) echo "$path belongs to $name"; return 0 ;;
		esac
		if [ "$kind" = "symbolic link" ]; then
			target=$(readlink "$path")
			[[ $target == /* ]] || target=${path%/*}/$target
			target=$(unsafe_path "$target" "$user")
			[ -z "$target" ] || { echo "$target"; return 0; }
		elif (((8#$mode & 8#22) && !(8#$mode & 8#1000))); then
			echo "others can write to $path (mode $mode)"
			return 0
		fi
	done
}

# Refuse a cache that another user can change: users, and root, run what is in it.
# This checks its folders too, because a careless umask may have made them writable.
# $1: the user's number.
cache_check() {
	local why
	[[ $CACHE == /* ]] || die "the cache $CACHE has no absolute path: set XDG_CACHE_HOME to one"
	why=$(unsafe_path "$CACHE" "$1")
	if [ -z "$why" ] && [ -d "$CACHE" ]; then
		why=$(find -H "$CACHE" -maxdepth 1 ! -type l \( -perm /022 -printf 'others can write to %p (mode %m)\n' \
			-o ! -uid 0 ! -uid "$1" ! -uid "$(stat -c %u /)" -printf '%p belongs to %u\n' \) -quit)
	fi
	[ -z "$why" ] ||
		die "$why: somebody else could change what is run from the cache $CACHE; take that right away (chmod go-w) and remove the cache, or set XDG_CACHE_HOME to a folder that only you and root can write to"
}

# Run a long command with its output in a log, and show progress on a terminal. If the
# command fails, show the tail of the log. $1: log, rest: command.
logged() {
	local log=$1 pid rc=0 start=$SECONDS
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		if (((SECONDS - start) % 30 == 29)); then
			printf '    %4d s: %.100s\n' $((SECONDS - start)) \
				"$(tail -n 1 "$log" | tr -cd '[:print:]')" >&2
		fi
	done
	wait "$pid" || rc=$?
	if ((rc)); then
		tail -n 25 "$log" | sed 's/^/    | /' >&2
		printf '%s: %s failed with status %d; the whole log is %s\n' \
			"${0##*/}" "$1" "$rc" "$log" >&2
	fi
	return "$rc"
}

# The cache has one writer at a time. A second one waits and then finds the work done.
cache_lock() {
	[ -z "${CACHE_LOCKED:-}" ] || return 0
	(umask 077 && mkdir -p "$CACHE") || die "cannot create the cache $CACHE"
	cache_check "$(id -u)"
	[ ! -O "$CACHE" ] || chmod go= "$CACHE"
	exec {CACHE_LOCKED}>"$CACHE/lock"
	if ! flock -n "$CACHE_LOCKED"; then
		say "waiting for another set-up that uses $CACHE"
		flock "$CACHE_LOCKED"
	fi
}

# $1: MiB that the next step needs free below the cache.
need_space() {
	local free
	free=$(df -Pm "$CACHE" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "needs $1 MiB free in $CACHE, there are $free; set XDG_CACHE_HOME to a larger disk"
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "neither root nor sudo: cannot run '$*'; run it by hand, then start again"
	fi
}

# Install those of the named packages that are missing, with the machine's own APT.
host_packages() {
	local p missing=()
	for p; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
			grep -q 'ok installed' || missing+=("$p")
	done
	((${#missing[@]})) || return 0
	[ "$(dpkg --print-architecture)" = amd64 ] ||
		die "the emulated host is made for amd64 machines, this is $(uname -m)"
	say "installing ${missing[*]}"
	if ! logged "$CACHE/log/apt-install.log" as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -y --no-install-recommends install "${missing[@]}"; then
		say "refreshing the package lists and trying again"
		logged "$CACHE/log/apt-update.log" as_root apt-get update ||
			die "apt-get update failed: is there a network?"
		logged "$CACHE/log/apt-install.log" as_root env DEBIAN_FRONTEND=noninteractive \
			apt-get -y --no-install-recommends install "${missing[@]}" ||
			die "cannot install ${missing[*]}"
	fi
}

# Print the Debian mirror in the machine's own configuration, whatever its suite. APT
# knows the archives whose lists it has fetched. If one has no label, go by its path.
debian_mirror() {
	local uri
	uri=$(known_mirror)
	if [ -z "$uri" ]; then
		logged "$CACHE/log/apt-update.log" as_root apt-get update ||
			die "apt-get update failed: is there a network?"
		uri=$(known_mirror)
	fi
	[ -n "$uri" ] || die "no Debian mirror in this machine's APT configuration"
	printf '%s\n' "$uri"
}

known_mirror() {
	# shellcheck disable=SC2016 # $() is APT's
	apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		awk -F'|' '$1 == "Debian" || ($1 == "" && $2 ~ /\/debian\/?$/) { print $2; exit }'
}

# Debian's keys, to verify all that is fetched
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# apt-get for what is fetched into the cache. Options on the command line override the
# machine's own configuration.
verified_apt() {
	apt-get -o Acquire::AllowInsecureRepositories=0 -o Acquire::AllowWeakRepositories=0 \
		-o Acquire::AllowDowngradeToInsecureRepositories=0 -o APT::Get::AllowUnauthenticated=0 "$@"
}

# Set up a private package root. $1: its name, $2: architecture, with "+source" if it
# has source packages as well, $3...: suites. Sets APT_CONFIG for the apt commands that
# follow in the same (sub)shell.
private_apt() {
	local dir=$CACHE/apt/$1 arch=${2%+source} lists=(Packages) list type suite mirror
	[ "$arch" = "$2" ] || lists+=(Sources)
	shift 2
	host_packages debian-archive-keyring
	mirror=$(debian_mirror)
	mkdir -p "$dir"/{state/lists/partial,cache/archives/partial}
	: >"$dir/status"
	: >"$dir/sources.list"
	for suite; do
		for list in "${lists[@]}"; do
			[ "$list" = Sources ] && type='deb-src' || type=deb
			printf '%s [arch=%s signed-by=%s] %s %s main\n' "$type" "$arch" "$KEYRING" "$mirror" "$suite" \
				>>"$dir/sources.list"
		done
	done
	cat >"$dir/apt.conf" <<-CONF
		Dir::State "$dir/state";
		Dir::State::status "$dir/status";
		Dir::Cache "$dir/cache";
		Dir::Etc::sourcelist "$dir/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Install-Recommends "0";
		APT::Default-Release "";
		Acquire::Languages "none";
		Acquire::Retries "3";
	CONF
	[ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >>"$dir/apt.conf"
	export APT_CONFIG=$dir/apt.conf
	logged "$CACHE/log/apt-$arch-$1.log" verified_apt update ||
		die "cannot read the lists of $*: is there a network?"
	# apt-get update only warns if it cannot reach a suite.
	for suite; do
		for list in "${lists[@]}"; do
			compgen -G "$dir/state/lists/*_dists_${suite}_*$list*" >/dev/null ||
				die "no package list of $suite could be fetched: is there a network?"
		done
	done
}

# Download packages by the private APT and unpack them. $1: root to fill,
# $2: suite to prefer, rest: packages.
private_unpack() {
	local root=$1 suite=$2 archives deb
	shift 2
	archives=$(dirname "$APT_CONFIG")/cache/archives
	logged "$CACHE/log/download-$1.log" verified_apt -y --download-only -t "$suite" install "$@" ||
		die "cannot fetch $*: is there a network?"
	mkdir -p "$root"
	for deb in "$archives"/*.deb; do
		dpkg-deb -x "$deb" "$root" || die "$deb is damaged; remove it and start again"
	done
	rm -f "$archives"/*.deb
}

# Run QEMU from a private root, in place of the (sub)shell, so that killing that ends
# QEMU. $1: the root, rest: its arguments.
qemu_from() {
	local root=$1 lib=$1/usr/lib/x86_64-linux-gnu
	shift
	QEMU_MODULE_DIR=$lib/qemu exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" \
		"$root/usr/bin/qemu-system-aarch64" -L "$root/usr/share/qemu" "$@"
}

# The private package root that has kernels of many series
kernels_apt() { private_apt linux-series amd64+source trixie-backports sid experimental; }

# Print the series of kernels from $1 to the newest that the lists of kernels_apt() name,
# with those between that they do not name. Since Linux 5 the last series of a major
# number is 19.
kernel_series() {
	local series=$1 named newest
	named=$(apt-cache showsrc linux | sed -n 's/^Version: \([0-9]*\.[0-9]*\)[.~-].*/\1/p' | sort -Vu)
	newest=$(printf '%s\n' "$1" "$named" | sort -V | tail -n 1)
	until [ "$series" = "$newest" ]; do
		echo "$series"
		if [[ ${series#*.} -lt 19 || $newest == "${series%.*}".* ]]; then
			series=${series%.*}.$((${series#*.} + 1))
		else
			series=$((${series%.*} + 1)).0
		fi
	done
	echo "$newest"
}

# Run an APT command that fetches a file. Status 1: the mirror does not have that
# file. Every other failure ends the script. $1: what it fetches, rest: the command
fetch_or_none() {
	local what=$1 log=$CACHE/log/source.log errors
	shift
	mkdir -p "$CACHE/log"
	! "$@" >"$log" 2>&1 || return 0
	errors=$(grep '^E: Failed to fetch ' "$log") || true
	[ -n "$errors" ] && ! grep -v '  404  \|  File not found - ' <<<"$errors" >/dev/null ||
		die "cannot fetch $what: is there a network? The log is $log"
	return 1
}

# Print the versions of a source package in the lists, the newest first. $1: the package,
# $2: a pattern that they begin with
source_versions() {
	apt-cache showsrc "$1" | sed -n 's/^Version: //p' | grep "^$2" | sort -Vru || true
}

# Fetch the pristine archive of the newest version of a source package that the mirror
# has, into this folder. $1 and $2: as above. Prints the name of the file, or nothing.
fetch_archive() {
	local version uri file hash seen=' '
	while read -r version; do
		hash=''
		read -r uri file _ hash < <(verified_apt source --print-uris "$1=$version" 2>/dev/null |
			tr -d "'" | grep '\.orig\.tar\.xz ') || true
		[[ $hash == SHA256:* ]] || die "the lists have no pristine archive of $1 $version"
		[[ $seen != *" $file "* ]] || continue
		seen+="$file "
		fetch_or_none "$file" /usr/lib/apt/apt-helper download-file "$uri" "$file" "$hash" || continue
		echo "$file"
		return
	done < <(source_versions "$1" "$2")
}

# Fetch the newest source of a series that the mirror has, after kernels_apt(): Debian's
# package linux-source-SERIES or, for older series, the pristine archive of a source
# package. $1: series, $2: folder. Prints the name of the file, or nothing if the mirror has
# no version. Call it in a subshell, because it changes the folder.
kernel_source() {
	local version
	cd "$2"
	while read -r version; do
		fetch_or_none "linux-source-$1 $version" verified_apt download "linux-source-$1=$version" || continue
		compgen -G "linux-source-$1_*.deb"
		return
	done < <(apt-cache madison "linux-source-$1" | awk '$NF == "Packages" { print $3 }' | sort -Vru)
	fetch_archive linux "${1//./\\.}[.~-]"
}

# Unpack a file of kernel_source(), and remove it. $1: the file, $2: where to, rest:
# patterns of what to leave out.
unpack_kernel() {
	local file=$1 dir=$2 name top
	name=$(basename "$file")
	name=${name%%_*}
	kernel_archive() {
		case $file in
		*.deb) dpkg-deb --fsys-tarfile "$file" | tar -xO "./usr/src/$name.tar.xz" ;;
		*) cat "$file" ;;
		esac
	}
	shift 2
	top=$(kernel_archive 2>/dev/null | tar -tJ 2>/dev/null | head -n 1) || true
	kernel_archive | tar -xJ -C "$dir" --strip-components=1 --wildcards "${@/#/--exclude=$top}" ||
		die "cannot unpack $file"
	rm "$file"
}

# Publish a finished folder: an incomplete one never has the final name.
publish() {
	rm -rf "${2:?}"
	mv "$1" "$2"
}

cache_check "$(id -u)"
